"""What an operator runs, run as an operator does: as a process, with a terminal or without."""

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest
from conftest import Person
from httpx import codes
from servers import INHERITED, ROOT

import migrations
from config import Settings

# Each command is a process that starts anew: what does not depend on the database is tried on one.
on_sqlite: Final = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

NEW: Final = "a boat beyond the bay"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environment() -> dict[str, str]:
    """The environment of the command: nothing of the developer's own settings."""
    inherited = {name: value for name, value in os.environ.items() if name.startswith(INHERITED)}
    return inherited | {"PYTHONPATH": str(ROOT), "BCRYPT_ROUNDS": "4", "SECRET_KEY": "0123456789abcdef" * 4}


@pytest.fixture
def run(environment: dict[str, str], tmp_path: Path) -> Run:
    """Run a command in a folder of its own: `run(url, "password", "ada", typed="…")`."""

    def run(url: str, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "commands", *arguments],
            cwd=tmp_path,
            env=environment | {"DATABASE_URL": url},
            input=typed,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=60,
            check=False,
        )

    return run


# --- migrate ----------------------------------------------------------------------------------------------------------


def test_migrate_says_from_where_to_where(run: Run, empty_database_url: str) -> None:
    first, second = run(empty_database_url, "migrate"), run(empty_database_url, "migrate")

    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.endswith(f": empty → {migrations.head()}\n")
    assert second.stdout.endswith(f": {migrations.head()} → {migrations.head()} (nothing to do)\n")


def test_migrate_ends_with_a_sentence_where_nobody_answers(run: Run) -> None:
    done = run("mysql://ada:hunter2@127.0.0.1:1/expenses", "migrate")

    assert done.returncode == 1
    assert done.stderr.startswith("mysql+aiomysql://ada:***@127.0.0.1:1/expenses was not migrated: ")
    assert len(done.stderr.splitlines()) == 1


def test_a_wrong_setting_is_named(run: Run, environment: dict[str, str]) -> None:
    environment["SECRET_KEY"] = "short"

    done = run("sqlite:///expenses.db", "migrate")

    assert done.returncode == 1
    assert "SECRET_KEY" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_misspelt_command_is_explained(run: Run, sqlite_url: str) -> None:
    done = run(sqlite_url, "pasword", "ada")

    assert done.returncode == 2
    assert "usage: python -m commands" in done.stderr


# --- password ---------------------------------------------------------------------------------------------------------


async def test_the_new_password_replaces_the_forgotten_one(run: Run, person: Person, database_url: str) -> None:
    name, forgotten = person.user["username"], person.password

    done = run(database_url, "password", name, typed=f"{NEW}\n")

    sentence = f"The password of {name} is new, and every session of the account has ended.\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, sentence, "")
    person.password = NEW
    await person.sign_in()
    answer = await person.post("/users/token", data={"username": name, "password": forgotten})
    assert answer.status_code == codes.UNAUTHORIZED


@on_sqlite
async def test_the_sessions_of_that_account_end(run: Run, person: Person, stranger: Person, database_url: str) -> None:
    run(database_url, "password", person.user["username"], typed=f"{NEW}\n")

    assert (await person.get("/users/me")).status_code == codes.UNAUTHORIZED
    assert (await stranger.get("/users/me")).status_code == codes.OK


@on_sqlite
async def test_the_account_may_be_named_by_its_email(run: Run, person: Person, database_url: str) -> None:
    done = run(database_url, "password", person.user["email"].upper(), typed="cafe\u0301 au lait\r\n")
    assert done.returncode == 0, done.stderr

    person.password = "caf\u00e9 au lait"
    await person.sign_in()


@on_sqlite
@pytest.mark.parametrize("typed", [b"password123\n", b"\xff is no text in UTF-8\n"])
async def test_what_registration_refuses_is_refused(run: Run, person: Person, database_url: str, typed: bytes) -> None:
    done = run(database_url, "password", person.user["username"], typed=os.fsdecode(typed))

    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
    assert (await person.get("/users/me")).status_code == codes.OK


@on_sqlite
def test_the_own_email_is_refused_however_the_account_was_named(run: Run, person: Person, database_url: str) -> None:
    done = run(database_url, "password", person.user["username"], typed=f"{person.user['email']}\n")

    assert (done.returncode, done.stderr) == (1, "The password must not be your own name or e-mail.\n")


@on_sqlite
def test_an_unknown_account_is_a_sentence(run: Run, database_url: str) -> None:
    done = run(database_url, "password", "nobody.at.all", typed=f"{NEW}\n")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "There is no account with this user name or e-mail.\n"


def test_a_missing_database_is_not_made(run: Run, empty_sqlite_url: str, tmp_path: Path) -> None:
    done = run(empty_sqlite_url, "password", "ada", typed=f"{NEW}\n")

    assert done.returncode == 1
    assert "There is no database" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_empty_database_asks_for_its_migration(run: Run, empty_mysql_url: str) -> None:
    done = run(empty_mysql_url, "password", "ada", typed=f"{NEW}\n")

    assert done.returncode == 1
    assert "make migrate" in done.stderr


# --- at a terminal ----------------------------------------------------------------------------------------------------

# Makes its standard input the terminal that it is controlled by, as a shell does, and then becomes the command.
AT_A_TERMINAL: Final = (
    "import os, sys; os.open(os.ttyname(0), os.O_RDWR); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)
Talk = Callable[..., tuple[int, str]]


@pytest.fixture
def talk(environment: dict[str, str], settings: Settings, person: Person, tmp_path: Path) -> Talk:
    """Reset the person's password at a terminal, answering its questions; return the exit code and what it showed."""

    def talk(*answers: str) -> tuple[int, str]:
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-c", AT_A_TERMINAL, "-m", "commands", "password", person.user["username"]],
            cwd=tmp_path,
            env=environment | {"DATABASE_URL": settings.database_url},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        shown = ""
        for answer in answers:
            shown += _read_until(ours, ": ")
            os.write(ours, f"{answer}\n".encode())
        shown += _read_until(ours, None)
        os.close(ours)
        return process.wait(60), shown

    return talk


def _read_until(terminal: int, prompt: str | None) -> str:
    shown = ""
    with suppress(OSError):  # nobody is at the other end any more
        while not (prompt and shown.endswith(prompt)):
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
