"""Commands for operators, run as a process or by the function that the process calls."""

import json
import os
import pty
import re
import select as selecting
import sqlite3
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any, Final, NamedTuple

import anyio
import httpx
import pytest
from httpx import codes
from sqlalchemy import Connection, select, text, update

import commands
import migrations
from admin import accounts as account_commands
from admin import directory
from admin.console import erase_progress, make_tell
from auth import hash_token
from config import Settings
from crud import UserRow
from database import UnitOfWork, now
from infra import engines
from infra.faults import CommitLost
from models import Invite, User
from tests.support import forks
from tests.support.accounts import token_for
from tests.support.databases import on_sqlite
from tests.support.matrix import dump, ledger_of
from tests.support.people import Person, SignUp, numbers
from tests.support.servers import ROOT, inherited, make_plain_engine
from tests.support.settings import GOOD_SECRET
from values.terminal import compute_width

# What does not depend on the database is tried on one.

SECONDS: Final = 60
NEW: Final = "a boat beyond the bay"


class Done(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


Run = Callable[..., Awaitable[Done]]


@pytest.fixture
def environment() -> dict[str, str]:
    """The environment of the command: nothing of the developer's own settings."""
    return inherited() | {"PYTHONPATH": str(ROOT), "BCRYPT_ROUNDS": "4", "SECRET_KEY": GOOD_SECRET}


@pytest.fixture
def run(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Run:
    """Run a command in a folder and a thread of its own: `await run(url, "password", "ada", typed=b"…")`."""

    async def run(url: str, *arguments: str, typed: bytes = b"") -> Done:
        monkeypatch.setattr(os, "environ", environment | {"DATABASE_URL": url})
        monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(typed)))
        monkeypatch.chdir(tmp_path)
        code = await anyio.to_thread.run_sync(_exit_code, arguments)
        return Done(code, *capfd.readouterr())

    return run


def _exit_code(arguments: Sequence[str]) -> int:
    try:
        return commands.main(arguments)
    except SystemExit as ended:
        if isinstance(ended.code, int):
            return ended.code
        sys.stderr.write(f"{ended.code}\n")
        return 1


# --- migrate ----------------------------------------------------------------------------------------------------------


async def test_migrate_says_from_where_to_where(run: Run, empty_database_url: str) -> None:
    first, again = [await run(empty_database_url, "migrate") for _ in range(2)]

    assert first.out.endswith(f": empty → {migrations.read_newest_revision()}\n")
    assert again.out.endswith(
        f": {migrations.read_newest_revision()} → {migrations.read_newest_revision()} (nothing to do)\n"
    )


def test_migrate_is_a_command(environment: dict[str, str], empty_sqlite_url: str, tmp_path: Path) -> None:
    own = environment | {"DATABASE_URL": empty_sqlite_url}
    ended = forks.run(["-m", "commands", "migrate"], tmp_path, own)

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.endswith(f": empty → {migrations.read_newest_revision()}\n")


async def test_migrate_says_what_to_do_about_a_database_with_two_revisions(run: Run, empty_database_url: str) -> None:
    migrations.upgrade(empty_database_url)
    with make_plain_engine(empty_database_url).begin() as connection:
        connection.execute(text("INSERT INTO alembic_version (version_num) VALUES ('another')"))
    done = await run(empty_database_url, "migrate")

    assert done.code == 1
    assert "alembic_version has 2 rows" in done.err


async def test_migrate_ends_with_a_sentence_where_nobody_answers(run: Run) -> None:
    done = await run("mysql://ada:hunter2@127.0.0.1:1/expenses", "migrate")

    assert done.code == 1
    assert done.err.startswith("mysql+aiomysql://ada:***@127.0.0.1:1/expenses was not migrated: ")
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize(
    "command", [("migrate",), ("check",), ("backup", "copy.sql"), ("user", "list"), ("password", "ada"), ("invite",)]
)
async def test_a_certificate_that_is_missing_is_one_sentence_everywhere(run: Run, command: tuple[str, ...]) -> None:
    url = "mysql://ada:hunter2@127.0.0.1:1/expenses?ssl_ca=missing.pem"

    done = await run(url, *command, typed=f"{NEW}\n".encode())

    said = "DATABASE_URL asks for TLS, but ssl_ca=missing.pem cannot be used (No such file or directory).\n"
    assert (done.code, done.err) == (1, said)


@pytest.mark.parametrize("command", [("migrate",), ("check",), ("backup", "copy.db"), ("user", "list")])
async def test_a_database_newer_than_the_code_asks_for_the_newer_code(
    run: Run, empty_database_url: str, command: tuple[str, ...]
) -> None:
    migrations.upgrade(empty_database_url)
    with make_plain_engine(empty_database_url).begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'fromthefuture'"))

    done = await run(empty_database_url, *command)

    assert (done.code, done.out, len(done.err.splitlines())) == (1, "", 1)
    assert done.err.endswith(": The database is newer than this code: deploy the newer code.\n")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(("command", "code"), [("migrate", 0), ("password ada", 1)])
def test_a_command_runs_with_closed_streams(
    environment: dict[str, str], sqlite_url: str, tmp_path: Path, closed: str, command: str, code: int
) -> None:
    line = f"exec {sys.executable} -m commands {command} {closed}"
    own = environment | {"DATABASE_URL": sqlite_url}

    done = subprocess.run(["/bin/sh", "-c", line], cwd=tmp_path, env=own, capture_output=True, text=True, check=False)

    assert (done.returncode, "Traceback" in done.stderr) == (code, False)


async def test_a_wrong_setting_is_named(run: Run, environment: dict[str, str]) -> None:
    environment["SECRET_KEY"] = "short"

    done = await run("sqlite:///expenses.db", "migrate")

    assert done.code == 1
    assert "SECRET_KEY" in done.err
    assert "Traceback" not in done.err


async def test_a_misspelt_setting_is_told_and_the_command_goes_on(
    run: Run, environment: dict[str, str], tmp_path: Path
) -> None:
    environment["CORS_ORIGIN"] = "https://hunter2.example"

    done = await run(f"sqlite:///{tmp_path}/expenses.db", "migrate")

    assert done.code == 0
    assert done.err == "CORS_ORIGIN in the environment is no setting: did you mean CORS_ORIGINS?\n"


async def test_a_misspelt_command_is_explained(run: Run, sqlite_url: str) -> None:
    done = await run(sqlite_url, "pasword", "ada")

    assert done.code == 2
    assert "usage: python -m commands" in done.err


# --- password ---------------------------------------------------------------------------------------------------------


async def test_the_new_password_replaces_the_forgotten_one(run: Run, person: Person, database_url: str) -> None:
    name, forgotten = person.user["username"], person.password

    done = await run(database_url, "password", name, typed=f"{NEW}\n".encode())

    said = (
        f"The password of {name} is new, and every session of the account has ended.\n"
        "Its personal access tokens stay valid. Whoever must wait (429) after wrong guesses still must.\n"
    )
    assert (done.code, done.out, done.err) == (0, said, "")
    person.password = NEW
    await person.sign_in()
    answer = await person.post("/users/token", data={"username": name, "password": forgotten})
    assert answer.status_code == codes.UNAUTHORIZED


@on_sqlite
async def test_the_sessions_of_that_account_end(run: Run, person: Person, stranger: Person, database_url: str) -> None:
    await run(database_url, "password", person.user["username"], typed=f"{NEW}\n".encode())

    assert (await person.get("/users/me")).status_code == codes.UNAUTHORIZED
    assert (await stranger.get("/users/me")).status_code == codes.OK


@on_sqlite
async def test_the_account_may_be_named_by_its_email(run: Run, person: Person, database_url: str) -> None:
    done = await run(database_url, "password", person.user["email"].upper(), typed="cafe\u0301 au lait\r\n".encode())
    assert done.code == 0, done.err

    person.password = "caf\u00e9 au lait"
    await person.sign_in()


@on_sqlite
@pytest.mark.parametrize("typed", [b"password123\n", b"\xff is no text in UTF-8\n"])
async def test_what_registration_refuses_is_refused(run: Run, person: Person, database_url: str, typed: bytes) -> None:
    done = await run(database_url, "password", person.user["username"], typed=typed)

    assert (done.code, done.out, len(done.err.splitlines())) == (1, "", 1)
    assert (await person.get("/users/me")).status_code == codes.OK


@on_sqlite
async def test_the_own_email_is_refused_however_the_account_was_named(
    run: Run, person: Person, database_url: str
) -> None:
    done = await run(database_url, "password", person.user["username"], typed=f"{person.user['email']}\n".encode())

    assert (done.code, done.err) == (1, "The password must not be your own name or e-mail.\n")


@on_sqlite
async def test_an_unknown_account_is_a_sentence(run: Run, database_url: str) -> None:
    done = await run(database_url, "password", "nobody.at.all", typed=f"{NEW}\n".encode())

    assert (done.code, done.out) == (1, "")
    assert done.err == "There is no account with this user name or e-mail.\n"


@on_sqlite
async def test_a_name_that_is_no_utf_8_is_an_unknown_account(run: Run, database_url: str) -> None:
    done = await run(database_url, "password", "ad\udcff", typed=f"{NEW}\n".encode())

    assert (done.code, done.err) == (1, "There is no account with this user name or e-mail.\n")


def test_a_command_speaks_in_any_encoding(environment: dict[str, str], empty_sqlite_url: str, tmp_path: Path) -> None:
    own = environment | {"DATABASE_URL": empty_sqlite_url, "PYTHONIOENCODING": "ascii"}

    done = subprocess.run(
        [sys.executable, "-m", "commands", "migrate"], cwd=tmp_path, env=own, capture_output=True, text=True, check=True
    )

    assert f"empty \\u2192 {migrations.read_newest_revision()}" in done.stdout


async def test_a_missing_database_is_not_made(run: Run, empty_sqlite_url: str, tmp_path: Path) -> None:
    done = await run(empty_sqlite_url, "password", "ada", typed=f"{NEW}\n".encode())

    assert done.code == 1
    assert "There is no database" in done.err
    assert [file async for file in anyio.Path(tmp_path).iterdir()] == []


async def test_an_empty_database_asks_for_its_migration(run: Run, empty_mysql_url: str) -> None:
    done = await run(empty_mysql_url, "password", "ada", typed=f"{NEW}\n".encode())

    assert done.code == 1
    assert "make migrate" in done.err


@on_sqlite
async def test_a_database_that_is_busy_is_a_sentence(
    run: Run, person: Person, sqlite_url: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "SQLITE_BUSY_SECONDS", 0)
    assert settings.is_embedded
    file = sqlite3.connect(str(settings.url.database), isolation_level=None)
    file.execute("BEGIN IMMEDIATE")

    done = await run(sqlite_url, "password", person.user["username"], typed=f"{NEW}\n".encode())

    file.close()
    assert (done.code, len(done.err.splitlines())) == (1, 1)
    assert "nothing was changed" in done.err


@on_sqlite
async def test_a_commit_that_was_lost_is_a_sentence(
    run: Run, person: Person, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lose(unit: UnitOfWork) -> None:
        if unit._writing:
            raise CommitLost

    monkeypatch.setattr(UnitOfWork, "commit", lose)

    done = await run(database_url, "password", person.user["username"], typed=f"{NEW}\n".encode())

    assert (done.code, done.out) == (1, "")
    assert done.err == "The connection was lost during the commit: try to sign in with the new password.\n"


# --- user add ---------------------------------------------------------------------------------------------------------


def new_name() -> str:
    return f"added-{next(numbers)}"


async def test_an_added_account_can_be_signed_in_to(run: Run, client: httpx.AsyncClient, database_url: str) -> None:
    name = new_name()

    done = await run(database_url, "user", "add", name, f"{name}@example.com", typed=f"{NEW}\n".encode())

    assert (done.code, done.out, done.err) == (0, f"The account {name} is open.\n", "")
    assert (await token_for(client, name, NEW)).status_code == codes.OK


@on_sqlite
@pytest.mark.parametrize("registration", ["invite", "closed"])
async def test_an_account_is_added_whoever_may_register(
    run: Run, environment: dict[str, str], database_url: str, registration: str
) -> None:
    environment["REGISTRATION"], name = registration, new_name()

    done = await run(database_url, "user", "add", name, f"{name}@example.com", typed=f"{NEW}\n".encode())

    assert (done.code, done.err) == (0, "")


@on_sqlite
async def test_all_that_is_wrong_with_an_account_is_said_by_field(run: Run, database_url: str) -> None:
    done = await run(database_url, "user", "add", "x", "no mail", typed=b"short\n")

    assert (done.code, done.out) == (1, "")
    assert done.err.splitlines() == [
        "User name: Send at least 3 characters.",
        "E-mail: This is not an e-mail address.",
        "Password: Send at least 8 characters.",
    ]


async def test_a_taken_name_and_e_mail_are_said(run: Run, person: Person, database_url: str) -> None:
    taken = (person.user["username"].upper(), person.user["email"])

    done = await run(database_url, "user", "add", *taken, typed=f"{NEW}\n".encode())

    assert (done.code, done.out) == (1, "")
    assert done.err.splitlines() == [
        "User name: This user name belongs to another account.",
        "E-mail: This e-mail belongs to another account.",
    ]


@on_sqlite
@pytest.mark.parametrize("typed", [b"", b"password123\n", b"\xff is no text in UTF-8\n"])
async def test_a_password_that_registration_refuses_opens_no_account(run: Run, database_url: str, typed: bytes) -> None:
    name = new_name()

    done = await run(database_url, "user", "add", name, f"{name}@example.com", typed=typed)

    assert (done.code, done.out, len(done.err.splitlines())) == (1, "", 1)
    assert done.err.startswith("Password: " if typed else "No password came from standard input")


async def test_an_account_needs_an_e_mail(run: Run, sqlite_url: str) -> None:
    done = await run(sqlite_url, "user", "add", "ada", typed=f"{NEW}\n".encode())

    assert done.code == 2
    assert "EMAIL" in done.err


# --- user list --------------------------------------------------------------------------------------------------------


async def listed(run: Run, url: str) -> dict[str, dict[str, Any]]:
    """Return the listed accounts by user name."""
    done = await run(url, "user", "list", "--json")
    assert (done.code, done.err) == (0, "")
    answer = json.loads(done.out)
    assert answer["next_cursor"] is None
    return {account["username"]: account for account in answer["items"]}


@pytest.mark.usefixtures("noon")
async def test_an_account_is_listed_with_what_its_operator_asks(run: Run, person: Person, database_url: str) -> None:
    await person.post("/expenses", json={"amount": "12.50"})

    account = (await listed(run, database_url))[person.user["username"]]

    assert account == {
        "id": person.user["id"],
        "username": person.user["username"],
        "email": person.user["email"],
        "created_at": "2026-11-22T12:00:00Z",
        "expense_count": 1,
        "last_sign_in_on": "2026-11-22",
    }


async def test_a_sign_in_is_known_when_its_session_has_ended(run: Run, person: Person, database_url: str) -> None:
    before = (await listed(run, database_url))[person.user["username"]]
    await person.post("/users/logout", json={"refresh_token": person.pair["refresh_token"]})

    assert (await listed(run, database_url))[person.user["username"]] == before


async def test_every_page_of_the_list_is_printed(
    run: Run, person: Person, stranger: Person, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = await listed(run, database_url)
    monkeypatch.setattr(directory, "ROWS_AT_ONCE", 1)

    assert await listed(run, database_url) == whole
    assert {person.user["username"], stranger.user["username"]} <= whole.keys()


@on_sqlite
async def test_the_table_has_a_line_for_each_account(run: Run, person: Person, database_url: str) -> None:
    lines = (await run(database_url, "user", "list")).out.splitlines()

    mine = [line.split() for line in lines if line.split()[3] == person.user["username"]]
    today = f"{now():%Y-%m-%d}"
    assert lines[0].split() == ["since", "last", "sign-in", "expenses", "name", "e-mail"]
    assert mine == [[today, today, "0", person.user["username"], person.user["email"]]]


async def test_a_hostile_name_stays_in_its_line_and_column(run: Run, empty_sqlite_url: str) -> None:
    hostile = "\x1b[2J\u202egnp\n\u200b" + "漢" * 20
    await run(empty_sqlite_url, "migrate")
    await run(empty_sqlite_url, "user", "add", "ada", "ada@example.com", typed=f"{NEW}\n".encode())
    with make_plain_engine(empty_sqlite_url).begin() as connection:
        connection.execute(update(User).values(username=hostile))

    heading, line = (await run(empty_sqlite_url, "user", "list")).out.splitlines()

    assert "\\x1b[2J\\u202egnp\\x0a\\u200b" + "漢" * 20 in line
    assert compute_width(line.partition("ada@example.com")[0]) == heading.index("e-mail")


async def test_a_service_without_accounts_says_so(run: Run, empty_sqlite_url: str) -> None:
    await run(empty_sqlite_url, "migrate")

    assert (await run(empty_sqlite_url, "user", "list")).out == "There are no accounts yet.\n"
    assert await listed(run, empty_sqlite_url) == {}


def test_who_has_read_enough_of_the_list_ends_it(
    environment: dict[str, str], empty_sqlite_url: str, tmp_path: Path
) -> None:
    migrations.upgrade(empty_sqlite_url)
    own = environment | {"DATABASE_URL": empty_sqlite_url}
    command = f"{sys.executable} -m commands user list | true; exit ${{PIPESTATUS[0]}}"

    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, env=own, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (1, "")


# --- user remove ------------------------------------------------------------------------------------------------------


async def test_a_removed_account_leaves_no_row(
    run: Run, sign_up: SignUp, database_url: str, outside: Connection
) -> None:
    person = await sign_up()
    rows = await ledger_of(person)

    done = await run(database_url, "user", "remove", "--yes", person.user["username"])

    assert (done.code, done.out, done.err) == (0, "The account is gone, with everything in it.\n", "")
    assert not any(dump(outside, rows.owner_id).values())
    assert (await person.get("/users/me")).status_code == codes.UNAUTHORIZED


@on_sqlite
async def test_another_account_stays(run: Run, person: Person, stranger: Person, database_url: str) -> None:
    await run(database_url, "user", "remove", "--yes", person.user["email"])

    assert (await stranger.get("/users/me")).status_code == codes.OK


@on_sqlite
async def test_nobody_is_removed_unasked_where_nobody_can_be_asked(run: Run, person: Person, database_url: str) -> None:
    done = await run(database_url, "user", "remove", person.user["username"], typed=b"yes\n")

    assert (done.code, done.out) == (1, "")
    assert done.err == "There is no terminal to ask at: add --yes, or yes=1 after `make user-remove`.\n"
    assert (await person.get("/users/me")).status_code == codes.OK


@on_sqlite
async def test_an_unknown_account_is_not_removed(run: Run, database_url: str) -> None:
    done = await run(database_url, "user", "remove", "--yes", "nobody.at.all")

    assert (done.code, done.err) == (1, "There is no account with this user name or e-mail.\n")


@on_sqlite
@pytest.mark.parametrize("command", [("user", "remove", "--yes"), ("password",)], ids=" ".join)
async def test_an_account_that_was_deleted_meanwhile_is_a_sentence(
    run: Run, person: Person, database_url: str, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    find = account_commands._find_account

    def find_and_lose(settings: Settings, name: str) -> UserRow:
        user = find(settings, name)
        monkeypatch.setattr(account_commands, "_find_account", find)
        assert commands.main(["user", "remove", "--yes", name]) == 0
        return user

    monkeypatch.setattr(account_commands, "_find_account", find_and_lose)

    done = await run(database_url, *command, person.user["username"], typed=f"{NEW}\n".encode())

    assert (done.code, done.err) == (1, "The account was deleted meanwhile.\n")


# --- invite -----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("noon")
async def test_an_invite_is_printed_with_how_it_is_used(
    run: Run, environment: dict[str, str], database_url: str, outside: Connection
) -> None:
    environment["REGISTRATION"] = "invite"

    done = await run(database_url, "invite")

    code, *sentences = done.out.splitlines()
    assert (done.code, done.err) == (0, "")
    assert sentences == [
        "Give this code to one person: it opens one account, until 2026-11-29 12:00 UTC.",
        'It is sent as "invite" with POST /users/register, and is not shown again.',
    ]
    stored = outside.execute(select(Invite.expires_at).where(Invite.code_hash == hash_token(code))).scalar_one()
    assert f"{stored:%Y-%m-%d %H:%M}" == "2026-11-29 12:00"


@on_sqlite
@pytest.mark.usefixtures("noon")
async def test_an_invite_expires_when_it_is_told(run: Run, database_url: str) -> None:
    done = await run(database_url, "invite", "--json", "--expires", "24h")

    made = json.loads(done.out)
    assert made.keys() == {"invite", "expires_at"}
    assert made["expires_at"] == "2026-11-23T12:00:00Z"


@on_sqlite
@pytest.mark.parametrize(
    ("registration", "said"),
    [
        ("open", "REGISTRATION is open: everybody may register without a code. Set REGISTRATION=invite."),
        ("closed", "REGISTRATION is closed: nobody may register, even with a code. Set REGISTRATION=invite."),
    ],
)
async def test_an_invite_that_nobody_needs_is_told(
    run: Run, environment: dict[str, str], database_url: str, registration: str, said: str
) -> None:
    environment["REGISTRATION"] = registration

    assert (await run(database_url, "invite")).out.splitlines()[-1] == said


async def test_a_wrong_duration_is_a_wrong_argument(run: Run, sqlite_url: str) -> None:
    done = await run(sqlite_url, "invite", "--expires", "a week")

    assert (done.code, done.out) == (2, "")
    assert done.err.endswith("Write a number and a unit, of at most 365 days: 30m, 24h, 7d or 2w.\n")


# --- make -------------------------------------------------------------------------------------------------------------


def make(*arguments: str) -> list[str]:
    """Return the commands that make would run."""
    done = subprocess.run(["make", "-ns", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if "-m commands" in line]


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["users"], "user list"),
        (["user-add", "name=$$(id)", "email=a;b"], 'user add -- "$name" "$email"'),
        (["user-remove", "name=`id`"], 'user remove -- "$name"'),
        (["user-remove", "name=`id`", "yes=1"], 'user remove --yes -- "$name"'),
        (["password", "user=`id`"], 'password -- "$user"'),
        (["backup", "file=a;b"], 'backup -- "$file"'),
        (["backup", "file=a;b", "keep=`id`"], 'backup --keep "$keep" -- "$file"'),
        (["restore", "file=$$(id)"], 'restore -- "$file"'),
        (["invite"], "invite"),
        (["invite", "expires=$$(id)"], 'invite --expires "$expires"'),
    ],
)
def test_make_hands_values_on_without_the_shell_reading_them(arguments: list[str], command: str) -> None:
    assert [line.split("-m commands ")[1].strip() for line in make(*arguments)] == [command]


@pytest.mark.parametrize("target", ["users", "user-add", "user-remove", "invite", "password"])
def test_make_help_lists_the_targets_of_the_operator(target: str) -> None:
    helped = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert re.search(rf"^  make {target} +\w", helped, re.MULTILINE)


# --- at a terminal ----------------------------------------------------------------------------------------------------

Talk = Callable[..., tuple[int, str]]


@pytest.fixture
def talk(environment: dict[str, str], settings: Settings, tmp_path: Path) -> Talk:
    """Run a command at a terminal, answering its questions; return the exit code and what it showed."""

    def talk(command: Sequence[str], *answers: str) -> tuple[int, str]:
        ours, theirs = pty.openpty()
        terminal = os.ttyname(theirs)
        own = environment | {"DATABASE_URL": settings.database_url}
        process = forks.start(["-m", "commands", *command], tmp_path, [terminal] * 3, own)
        shown = ""
        for answer in answers:
            shown += _read_until(ours, ":")
            _wait_until_it_sleeps(process.pid)
            os.write(ours, answer.encode())
        os.close(theirs)
        shown += _read_until(ours, None)
        os.close(ours)
        return process.wait(SECONDS), shown

    return talk


def _wait_until_it_sleeps(pid: int) -> None:
    """Wait until a process reads the answer: a Ctrl-C just before that would have an effect only after a line."""
    state = Path(f"/proc/{pid}/stat")
    while state.exists() and state.read_text().rpartition(")")[2].split()[0] == "R":
        time.sleep(0.01)


def _read_until(terminal: int, prompt: str | None) -> str:
    shown = ""
    with suppress(OSError):  # nobody is at the other end any more
        while not (prompt and shown.rstrip().endswith(prompt)):
            assert selecting.select([terminal], [], [], SECONDS)[0], f"it said nothing more: {shown}"
            shown += os.read(terminal, 1024).decode()
    return shown


def test_the_progress_of_a_command_that_fails_is_erased(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        make_tell("Copying")(1, 2)
        erase_progress()
    shown = _read_until(ours, None)
    os.close(ours)

    assert shown == "\r\x1b[KCopying: 50 %\r\x1b[K"


@on_sqlite
async def test_a_terminal_is_asked_twice_and_shows_nothing(talk: Talk, person: Person) -> None:
    code, shown = talk(["password", person.user["username"]], f"{NEW}\n", f"{NEW}\n")
    assert (code, shown.count(": "), NEW in shown) == (0, 2, False)

    person.password = NEW
    await person.sign_in()


@on_sqlite
async def test_two_different_passwords_change_nothing(talk: Talk, person: Person) -> None:
    code, shown = talk(["password", person.user["username"]], f"{NEW}\n", "a boat before the bay\n")

    assert code == 1
    assert "two different passwords" in shown
    assert (await person.get("/users/me")).status_code == codes.OK


@on_sqlite
async def test_a_password_is_asked_for_twice_before_an_account_is_added(talk: Talk, client: httpx.AsyncClient) -> None:
    name = new_name()

    code, shown = talk(["user", "add", name, f"{name}@example.com"], f"{NEW}\n", f"{NEW}\n")

    assert (code, NEW in shown) == (0, False)
    assert (await token_for(client, name, NEW)).status_code == codes.OK


@on_sqlite
async def test_what_will_be_deleted_is_said_and_the_name_asked_for(talk: Talk, person: Person) -> None:
    await person.post("/expenses", json={"amount": "12.50", "category": "Food"})
    name = person.user["username"]

    code, shown = talk(["user", "remove", person.user["email"]], f"{name}\n")

    assert code == 0
    inside = "(expenses: 1, expenses in the trash: 0, categories: 1, budgets: 0)"
    said = f"This deletes for good the account {name} ({person.user['email']}) and everything in it {inside}."
    assert said in shown
    assert (await person.get("/users/me")).status_code == codes.UNAUTHORIZED


@on_sqlite
@pytest.mark.parametrize("answer", ["yes\n", "\n", "\x04"])
async def test_another_answer_removes_nobody(talk: Talk, person: Person, answer: str) -> None:
    code, shown = talk(["user", "remove", person.user["username"]], answer)

    assert (code, "That was not its user name; nothing was changed." in shown) == (1, True)
    assert (await person.get("/users/me")).status_code == codes.OK


@on_sqlite
@pytest.mark.parametrize(
    ("command", "key"), [(["user", "remove"], "\x03"), (["password"], "\x03"), (["password"], "\x04")]
)
async def test_ctrl_c_changes_nothing_and_shows_no_traceback(
    talk: Talk, person: Person, command: list[str], key: str
) -> None:
    code, shown = talk([*command, person.user["username"]], key)

    assert (code, "Traceback" in shown) == (130, False)
    assert (await person.get("/users/me")).status_code == codes.OK
