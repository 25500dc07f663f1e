"""Commands for operators, run as a process or by the function that the process calls."""

import os
import pty
import select
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Final, NamedTuple

import anyio
import pytest
from httpx import codes
from sqlalchemy import text

import commands
import migrations
from config import Settings
from database import UnitOfWork
from infra import engines
from infra.faults import CommitLost
from tests.support import forks
from tests.support.databases import on_sqlite
from tests.support.people import Person
from tests.support.servers import ROOT, inherited, make_blocking_engine
from tests.support.settings import GOOD_SECRET

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
    with make_blocking_engine(empty_database_url).begin() as connection:
        connection.execute(text("INSERT INTO alembic_version (version_num) VALUES ('another')"))
    done = await run(empty_database_url, "migrate")

    assert done.code == 1
    assert "alembic_version has 2 rows" in done.err


async def test_migrate_ends_with_a_sentence_where_nobody_answers(run: Run) -> None:
    done = await run("mysql://ada:hunter2@127.0.0.1:1/expenses", "migrate")

    assert done.code == 1
    assert done.err.startswith("mysql+aiomysql://ada:***@127.0.0.1:1/expenses was not migrated: ")
    assert len(done.err.splitlines()) == 1


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
    async def lose(_: UnitOfWork) -> None:
        raise CommitLost

    monkeypatch.setattr(UnitOfWork, "commit", lose)

    done = await run(database_url, "password", person.user["username"], typed=f"{NEW}\n".encode())

    assert (done.code, done.out) == (1, "")
    assert done.err == "The connection was lost during the commit: try to sign in with the new password.\n"


# --- at a terminal ----------------------------------------------------------------------------------------------------

Talk = Callable[..., tuple[int, str]]


@pytest.fixture
def talk(environment: dict[str, str], settings: Settings, person: Person, tmp_path: Path) -> Talk:
    """Reset the person's password at a terminal, answering its questions; return the exit code and what it showed."""

    def talk(*answers: str) -> tuple[int, str]:
        ours, theirs = pty.openpty()
        terminal = os.ttyname(theirs)
        own = environment | {"DATABASE_URL": settings.database_url}
        process = forks.start(["-m", "commands", "password", person.user["username"]], tmp_path, [terminal] * 3, own)
        shown = ""
        for answer in answers:
            shown += _read_until(ours, ": ")
            os.write(ours, f"{answer}\n".encode())
        os.close(theirs)
        shown += _read_until(ours, None)
        os.close(ours)
        return process.wait(SECONDS), shown

    return talk


def _read_until(terminal: int, prompt: str | None) -> str:
    shown = ""
    with suppress(OSError):  # nobody is at the other end any more
        while not (prompt and shown.endswith(prompt)):
            assert select.select([terminal], [], [], SECONDS)[0], f"it said nothing more: {shown}"
            shown += os.read(terminal, 1024).decode()
    return shown


@on_sqlite
async def test_a_terminal_is_asked_twice_and_shows_nothing(talk: Talk, person: Person) -> None:
    code, shown = talk(NEW, NEW)
    assert (code, shown.count(": "), NEW in shown) == (0, 2, False)

    person.password = NEW
    await person.sign_in()


@on_sqlite
async def test_two_different_passwords_change_nothing(talk: Talk, person: Person) -> None:
    code, shown = talk(NEW, "a boat before the bay")

    assert code == 1
    assert "two different passwords" in shown
    assert (await person.get("/users/me")).status_code == codes.OK
