"""`check`, `backup` and `restore`, run by the function that the process calls."""

import json
import os
import re
import resource
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from subprocess import CompletedProcess
from threading import Event
from typing import Any, Final

import httpx
import pytest
from filelock import FileLock
from sqlalchemy import make_url, text

import commands
import migrations
from admin.backups import _explain_files
from admin.console import OperatorError
from admin.copies import _scratch_database
from infra import dumps
from infra.backup_files import DUMP_END, DUMP_HEADER, BackupError
from tests.support.servers import MySQL, Service, inherited, make_plain_engine
from tests.support.settings import GOOD_SECRET
from tests.support.whole_ledgers import add_accounts, fill

SECONDS: Final = 60
HELD: Final = "Checked: 2 ledgers with 3 expenses (10.01 EUR, 900 JPY), 1 in the trash"
KEY: Final = "7d1f0c2e4d8a6035f1b2c3d4e5f607185f0c1d6b8e9a4723aa90b1c2d3e4f506"

Run = Callable[..., CompletedProcess[str]]


@pytest.fixture
def url(empty_database_url: str) -> str:
    """A migrated database with two ledgers in which nothing is wrong."""
    migrations.upgrade(empty_database_url)
    fill(empty_database_url)
    return empty_database_url


@pytest.fixture
def file_url(empty_sqlite_url: str, tmp_path: Path) -> str:
    """The same on SQLite, in WAL mode, with its generated key."""
    migrations.upgrade(empty_sqlite_url)
    with make_plain_engine(empty_sqlite_url).connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")
    fill(empty_sqlite_url)
    (tmp_path / "expenses.key").write_text(KEY)
    return empty_sqlite_url


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the backups go."""
    folder = tmp_path / "backups"
    folder.mkdir()
    return folder


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a command by the function that the process calls: `run(url, "check", SECRET_KEY=…)`."""

    def run(url: str, *arguments: str | Path, **settings: str) -> CompletedProcess[str]:
        needed = {} if url.startswith("sqlite") else {"SECRET_KEY": GOOD_SECRET}
        monkeypatch.setattr(os, "environ", inherited() | {"DATABASE_URL": url} | needed | settings)
        monkeypatch.chdir(tmp_path)
        code = commands.main([*map(str, arguments)])
        return CompletedProcess(arguments, code, *capfd.readouterr())

    return run


def _execute(url: str, statement: str) -> None:
    with make_plain_engine(url).begin() as connection:
        connection.execute(text(statement))


def _list(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


# --- check ------------------------------------------------------------------------------------------------------------


def test_a_clean_check_says_what_it_has_counted(run: Run, url: str) -> None:
    done = run(url, "check")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        f"{HELD}, schema {migrations.read_newest_revision()}.\n"
        "The largest accounts:\n"
        "  ada  2 expenses, 1 in the trash, 70 bytes of texts, 210 bytes of remembered answers\n"
        "  bo   1 expenses, 0 in the trash, 34 bytes of texts, 0 bytes of remembered answers\n"
    )


def test_the_five_largest_accounts_are_listed_and_their_names_do_nothing_to_a_terminal(run: Run, url: str) -> None:
    """ASVS 5.0 2.4.1: the operator sees who keeps the most."""
    add_accounts(url, 5)
    _execute(url, "UPDATE ledgers SET text_bytes = 3 * 1024 * 1024 WHERE owner_id = 2")
    _execute(url, "UPDATE users SET username = 'b\u202eo' WHERE id = 2")

    lines = run(url, "check").stdout.splitlines()[2:]
    largest = json.loads(run(url, "check", "--json").stdout)["largest"]

    assert (len(lines), len(largest)) == (5, 5)
    assert lines[0].startswith("  b\\u202eo  1 expenses, 0 in the trash, 3 MiB of texts, ")
    assert largest[0] == {
        "username": "b\u202eo",
        "expenses": 1,
        "trashed": 0,
        "text_bytes": 3 * 2**20,
        "answer_bytes": 0,
    }


def test_a_backup_names_no_account(run: Run, url: str) -> None:
    assert "ada" not in run(url, "backup", "copy", "--json").stdout


def test_a_script_reads_a_clean_check(run: Run, url: str) -> None:
    done = run(url, "check", "--json")

    report = json.loads(done.stdout)
    assert (done.returncode, report["problems"], report["expenses"]) == (0, [], 3)
    assert report["totals"][0] == {"currency": "EUR", "count": 2, "total": "10.01"}


def test_what_is_wrong_is_a_sentence_and_exit_code_1(run: Run, url: str) -> None:
    _execute(url, "UPDATE ledgers SET expense_count = 7 WHERE owner_id = 2")

    done = run(url, "check")

    assert done.returncode == 1
    assert done.stdout.startswith("Checked: ")
    assert done.stderr.startswith("Account 2: The ledger counts 7 expenses, and has 1.\n")
    assert done.stderr.endswith(" has the problems above (1 in all).\n")


def test_a_script_reads_what_is_wrong(run: Run, url: str) -> None:
    _execute(url, "UPDATE ledgers SET expense_count = 7 WHERE owner_id = 2")

    done = run(url, "check", "--json")

    wrong = {"owner_id": 2, "code": "expense_count", "detail": "The ledger counts 7 expenses, and has 1."}
    assert (done.returncode, json.loads(done.stdout)["problems"]) == (1, [wrong])


@pytest.mark.parametrize("command", [("check",), ("backup", "backups/copy.db")])
def test_a_missing_database_is_not_made(run: Run, empty_sqlite_url: str, folder: Path, command: tuple[str]) -> None:
    done = run(empty_sqlite_url, *command)

    assert done.returncode == 1
    assert "There is no database" in done.stderr
    assert _list(folder) == []
    assert _list(folder.parent) == ["backups"]


@pytest.mark.parametrize("command", [("check",), ("backup", "copy.sql"), ("restore", "copy.sql")])
def test_a_server_that_does_not_answer_is_a_sentence(run: Run, folder: Path, command: tuple[str]) -> None:
    (folder.parent / "copy.sql").write_bytes(DUMP_HEADER + DUMP_END)

    done = run("mysql://ada:hunter2@127.0.0.1:1/expenses", *command)

    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
    assert "mysql://ada:***@127.0.0.1:1/expenses cannot be used" in done.stderr
    assert "hunter2" not in done.stderr


# --- backup and restore -----------------------------------------------------------------------------------------------


@pytest.fixture
def place(url: str, folder: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """Where nothing is, for a restore of the same kind."""
    if url.startswith("sqlite"):
        yield f"sqlite+aiosqlite:///{folder / 'restored.db'}"
    else:
        server: MySQL = request.getfixturevalue("mysql_server")
        with server.fresh_database() as fresh:
            yield fresh


def test_a_backup_restores_what_was_there(run: Run, url: str, place: str, folder: Path) -> None:
    file = folder / "copy.db"
    backed_up = run(url, "backup", file)
    restored = run(place, "restore", file)
    checked = run(place, "check")

    assert (backed_up.returncode, restored.returncode, checked.returncode) == (0, 0, 0), backed_up.stderr
    assert {done.stdout.splitlines()[0] for done in (backed_up, restored)} == {checked.stdout.splitlines()[0]}
    assert checked.stdout.startswith(HELD)
    assert file.stat().st_mode & 0o777 == 0o600
    assert [name for name in _list(folder) if name.endswith(".part")] == []


def test_a_script_reads_what_was_written(run: Run, file_url: str, folder: Path) -> None:
    done = run(file_url, "backup", folder / "copy.db", "--json")

    written = json.loads(done.stdout)
    assert (written["file"], written["verified"], written["expenses"]) == (str(folder / "copy.db"), True, 3)


def test_an_older_backup_is_replaced_or_numbered(run: Run, file_url: str, folder: Path) -> None:
    codes = [run(file_url, "backup", folder / "copy.db", "--keep", "3").returncode for _ in range(4)]
    numbered = _list(folder)
    codes.append(run(file_url, "backup", folder / "copy.db", "--keep", "1").returncode)

    assert codes == [0] * 5
    assert numbered == ["copy.1.db", "copy.1.db.key", "copy.2.db", "copy.2.db.key", "copy.db", "copy.db.key"]
    assert _list(folder) == ["copy.db", "copy.db.key"]


def test_numbered_backups_stay_where_none_are_to_be_kept(run: Run, file_url: str, folder: Path) -> None:
    for _ in range(3):
        run(file_url, "backup", folder / "copy.db", "--keep", "3")
    dated = folder / "copy.20261129.db"
    shutil.copy(folder / "copy.db", dated)

    assert run(file_url, "backup", folder / "copy.db").returncode == 0
    assert [name for name in _list(folder) if name.endswith(".db")] == [
        *("copy.1.db", "copy.2.db", "copy.20261129.db", "copy.db"),
    ]


def test_the_database_of_another_installation_is_not_replaced(run: Run, file_url: str, folder: Path) -> None:
    other = folder / "expenses.db"
    run(file_url, "backup", folder / "copy.db")
    shutil.copy(folder / "copy.db", other)
    with closing(sqlite3.connect(other)) as service:
        service.execute("PRAGMA journal_mode = WAL")
        service.execute("UPDATE ledgers SET revision = 99")
        service.commit()
        in_use = run(file_url, "backup", other)
    stopped = run(file_url, "backup", other)

    assert "expenses.db-wal lies there" in in_use.stderr
    assert "is no backup of this service" in stopped.stderr
    assert (in_use.returncode, stopped.returncode) == (1, 1)
    with closing(sqlite3.connect(other)) as service:
        assert service.execute("SELECT max(revision) FROM ledgers").fetchone() == (99,)


def test_a_disk_that_takes_no_copy_is_not_blamed_on_the_database(
    run: Run, file_url: str, folder: Path, request: pytest.FixtureRequest
) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    request.addfinalizer(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limits))
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, limits[1]))

    done = run(file_url, "backup", folder / "copy.db")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"{folder / 'copy.db'}: OperationalError SQLITE_")
    assert _list(folder) == []


def test_an_error_without_a_reason_is_told_by_its_kind() -> None:
    with pytest.raises(OperatorError, match=r"^copy\.db: OSError; what was there"), _explain_files("copy.db"):
        raise OSError


def test_a_ledger_that_is_wrong_is_backed_up_and_told(run: Run, file_url: str, folder: Path) -> None:
    _execute(file_url, "UPDATE ledgers SET expense_count = 7 WHERE owner_id = 2")

    done = run(file_url, "backup", folder / "copy.db")
    restored = run(f"sqlite+aiosqlite:///{folder}/restored.db", "restore", folder / "copy.db")

    assert (done.returncode, restored.returncode) == (1, 1)
    assert "The ledger counts 7 expenses" in restored.stderr
    assert done.stderr == (
        "Account 2: The ledger counts 7 expenses, and has 1.\n"
        "The backup is complete; the database has the problems above, and so has the backup (1 in all).\n"
    )


def test_a_backup_of_the_other_kind_is_refused(run: Run, file_url: str, empty_mysql_url: str, folder: Path) -> None:
    run(file_url, "backup", folder / "copy.db")

    done = run(empty_mysql_url, "restore", folder / "copy.db")

    assert done.returncode == 1
    assert "is an SQLite database, and DATABASE_URL names MySQL" in done.stderr


def test_what_is_no_backup_at_all_is_refused(run: Run, folder: Path) -> None:
    (folder / "notes.txt").write_text("Buy bread.")

    done = run(f"sqlite+aiosqlite:///{folder}/restored.db", "restore", folder / "notes.txt")

    assert done.returncode == 1
    assert "is neither an SQLite database nor a dump of MySQL that was written to its end" in done.stderr


def test_a_place_that_holds_something_is_refused(run: Run, url: str, folder: Path) -> None:
    run(url, "backup", folder / "copy.db")

    done = run(url, "restore", folder / "copy.db")

    assert done.returncode == 1
    assert "already" in done.stderr
    assert run(url, "check").stdout.startswith(HELD)


def test_a_secret_of_the_settings_is_not_written(run: Run, file_url: str, folder: Path) -> None:
    done = run(file_url, "backup", folder / "copy.db", SECRET_KEY=GOOD_SECRET)

    assert done.stdout.endswith("SECRET_KEY is in the settings, and not in the backup: keep it too.\n")
    assert _list(folder) == ["copy.db"]
    assert GOOD_SECRET.encode() not in (folder / "copy.db").read_bytes()


# --- on SQLite --------------------------------------------------------------------------------------------------------


def test_the_key_goes_along_and_comes_back(run: Run, file_url: str, folder: Path) -> None:
    run(file_url, "backup", folder / "copy.db", "--keep", "2")
    run(file_url, "backup", folder / "copy.db", "--keep", "2")
    run(f"sqlite+aiosqlite:///{folder}/restored.db", "restore", folder / "copy.1.db")

    keys = [folder / name for name in ("copy.db.key", "copy.1.db.key", "restored.key")]
    assert [key.read_text() for key in keys] == [KEY] * 3
    assert {key.stat().st_mode & 0o777 for key in keys} == {0o600}


def test_a_backup_is_one_file(run: Run, file_url: str, folder: Path) -> None:
    with closing(sqlite3.connect(make_url(file_url).database or "")) as writer:
        writer.execute("UPDATE ledgers SET revision = 99")
        writer.commit()
        run(file_url, "backup", folder / "copy.db")

    (folder / "alone").mkdir()
    shutil.copy(folder / "copy.db", folder / "alone")
    with closing(sqlite3.connect(folder / "alone" / "copy.db")) as copy:
        assert copy.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert copy.execute("SELECT max(revision) FROM ledgers").fetchone() == (99,)


@pytest.mark.parametrize("name", ["expenses.db", "expenses.db-wal", "expenses.bak", "link.db", "hard.db"])
def test_the_service_s_own_files_are_refused(run: Run, file_url: str, tmp_path: Path, name: str) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "expenses.db")
    os.link(tmp_path / "expenses.db", tmp_path / "hard.db")
    before = (tmp_path / "expenses.db").stat().st_ino

    done = run(file_url, "backup", tmp_path / name)

    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert (tmp_path / "expenses.db").stat().st_ino == before
    assert (tmp_path / "expenses.key").read_text() == KEY
    assert run(file_url, "check").stdout.startswith(HELD)


@pytest.mark.parametrize("name", ["letter.db", "folder.db", "missing/copy.db", "copy.key", "copy"])
def test_what_is_no_place_for_a_backup_is_refused(run: Run, file_url: str, folder: Path, name: str) -> None:
    (folder / "letter.db").write_text("Dear Ada, …")
    (folder / "folder.db").mkdir()
    before = _list(folder)

    done = run(file_url, "backup", folder / name)

    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "Traceback" not in done.stderr
    assert _list(folder) == before
    assert (folder / "letter.db").read_text() == "Dear Ada, …"


def test_a_number_that_is_no_backup_is_left_alone(run: Run, file_url: str, folder: Path) -> None:
    run(file_url, "backup", folder / "copy.db")
    (folder / "copy.1.db").write_text("Dear Ada, …")
    (folder / "copy.7.db").write_text("Dear Bo, …")

    done = run(file_url, "backup", folder / "copy.db", "--keep", "3")

    assert done.returncode == 1
    assert "copy.1.db is there already, and is no backup" in done.stderr
    assert _list(folder) == ["copy.1.db", "copy.7.db", "copy.db", "copy.db.key"]


def test_two_backups_to_one_file_at_once_are_refused(run: Run, file_url: str, folder: Path) -> None:
    with FileLock(f"{folder / 'copy.db'}.lock"):
        done = run(file_url, "backup", folder / "copy.db")

    assert done.returncode == 1
    assert "Another process is writing copy.db" in done.stderr


def test_what_a_killed_backup_has_left_is_removed_by_the_next(run: Run, file_url: str, folder: Path) -> None:
    (folder / "copy.db.part").write_bytes(b"SQLite format 3\0, and no more")
    (folder / "copy.db.part-journal").touch()

    assert run(file_url, "backup", folder / "copy.db").returncode == 0
    assert _list(folder) == ["copy.db", "copy.db.key"]


def test_a_damaged_backup_is_not_restored(run: Run, file_url: str, folder: Path) -> None:
    run(file_url, "backup", folder / "copy.db")
    with (folder / "copy.db").open("r+b") as file:
        file.seek(40 * 1024)
        file.write(os.urandom(60 * 1024))

    done = run(f"sqlite+aiosqlite:///{folder}/restored.db", "restore", folder / "copy.db")

    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert _list(folder) == ["copy.db", "copy.db.key"]


def test_another_key_in_the_place_is_refused(run: Run, file_url: str, folder: Path) -> None:
    run(file_url, "backup", folder / "copy.db")
    (folder / "restored.key").write_text(KEY[::-1])

    done = run(f"sqlite+aiosqlite:///{folder}/restored.db", "restore", folder / "copy.db")

    assert done.returncode == 1
    assert "restored.key" in done.stderr
    assert (folder / "restored.key").read_text() == KEY[::-1]


@pytest.mark.parametrize("key", ["", "password\n", "root:x:0:0:root:/root:/bin/bash\n" * 20, "0123456789abcdef" * 2])
def test_what_is_no_key_of_the_service_is_not_restored(run: Run, file_url: str, folder: Path, key: str) -> None:
    run(file_url, "backup", folder / "copy.db")
    (folder / "copy.db.key").write_text(key)

    done = run(f"sqlite+aiosqlite:///{folder}/restored.db", "restore", folder / "copy.db")

    assert (done.returncode, done.stderr.startswith("copy.db.key contains ")) == (1, True)
    assert _list(folder) == ["copy.db", "copy.db.key"]


def test_a_restore_without_a_key_says_what_follows(run: Run, file_url: str, folder: Path) -> None:
    run(file_url, "backup", folder / "copy.db")
    (folder / "copy.db.key").unlink()

    done = run(f"sqlite+aiosqlite:///{folder}/restored.db", "restore", folder / "copy.db")

    assert done.returncode == 0
    assert done.stdout.endswith("the service makes a new one, and everybody signs in again.\n")


def test_another_program_s_database_is_no_backup(run: Run, folder: Path) -> None:
    _execute(f"sqlite:///{folder}/other.db", "CREATE TABLE songs (id INTEGER)")

    done = run(f"sqlite+aiosqlite:///{folder}/restored.db", "restore", folder / "other.db")

    assert (done.returncode, done.stderr) == (1, f"{folder}/other.db is damaged, or is no database of this service.\n")


def test_an_older_schema_is_restored_and_its_migration_asked_for(run: Run, empty_sqlite_url: str, folder: Path) -> None:
    migrations.upgrade(empty_sqlite_url, "head-1")
    place = f"sqlite+aiosqlite:///{folder}/restored.db"

    backed_up = run(empty_sqlite_url, "backup", folder / "copy.db")
    restored = run(place, "restore", folder / "copy.db")

    assert (backed_up.returncode, restored.returncode) == (0, 0), backed_up.stderr
    assert backed_up.stdout.startswith("The ledgers were not checked: their schema ")
    assert restored.stdout.startswith("The ledgers were not checked: their schema ")
    assert "Its schema is older: run `make migrate`.\nNo key lies beside the backup" in restored.stdout
    assert run(place, "migrate").returncode == 0
    assert run(place, "check").returncode == 0


def test_a_newer_schema_is_refused(run: Run, file_url: str, folder: Path) -> None:
    run(file_url, "backup", folder / "copy.db")
    _execute(f"sqlite+aiosqlite:///{folder}/copy.db", "UPDATE alembic_version SET version_num = 'ffffffffffff'")

    done = run(f"sqlite+aiosqlite:///{folder}/restored.db", "restore", folder / "copy.db")

    assert done.returncode == 1
    assert "newer than this code" in done.stderr
    assert _list(folder) == ["copy.db", "copy.db.key"]


# --- on MySQL ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def server_url(empty_mysql_url: str) -> str:
    """The two ledgers on MySQL."""
    migrations.upgrade(empty_mysql_url)
    fill(empty_mysql_url)
    return empty_mysql_url


def test_a_dump_that_breaks_off_is_refused(run: Run, server_url: str, folder: Path) -> None:
    run(server_url, "backup", folder / "copy.sql")
    dump = (folder / "copy.sql").read_bytes()
    (folder / "half.sql").write_bytes(dump[: len(dump) // 2])

    done = run(server_url, "restore", folder / "half.sql")

    assert done.returncode == 1
    assert "nor a dump of MySQL that was written to its end" in done.stderr


def test_a_restore_that_fails_half_way_leaves_the_database_empty(
    run: Run, server_url: str, mysql_server: MySQL, folder: Path
) -> None:
    run(server_url, "backup", folder / "copy.sql")
    dump = (folder / "copy.sql").read_text()
    (folder / "copy.sql").write_text(re.sub("INSERT INTO `trash`", "INSERT INTO `rubbish`", dump))
    with mysql_server.fresh_database() as place:
        done = run(place, "restore", folder / "copy.sql")
        with make_plain_engine(place).connect() as connection:
            tables = connection.exec_driver_sql("SHOW TABLES").all()

    assert done.returncode == 1
    assert re.fullmatch(r"\S+ ended with 1: ERROR \d+ \(\w+\) at line \d+\n", done.stderr)
    assert tables == []


def test_an_account_that_may_create_nothing_is_told_that_the_dump_is_untried(
    run: Run, server_url: str, mysql_server: MySQL, folder: Path
) -> None:
    own = make_url(server_url)
    mysql_server.execute("CREATE USER plain@'127.0.0.1' IDENTIFIED BY 'it''s \"quoted\" \\\\ #'")
    mysql_server.execute(f"GRANT ALL ON `{own.database}`.* TO plain@'127.0.0.1'")
    plain = own.set(username="plain", password='it\'s "quoted" \\ #').render_as_string(hide_password=False)

    done = run(plain, "backup", folder / "copy.sql")
    mysql_server.execute("DROP USER plain@'127.0.0.1'")

    assert done.returncode == 0, done.stderr
    assert "it was not restored for a trial" in done.stdout
    assert (folder / "copy.sql").read_bytes().count(b"INSERT INTO `expenses`") == 1


def test_no_scratch_database_is_left(run: Run, server_url: str, mysql_server: MySQL, folder: Path) -> None:
    done = run(server_url, "backup", folder / "copy.sql", "--json")
    with make_plain_engine(mysql_server.server_url).connect() as connection:
        names = connection.exec_driver_sql("SHOW DATABASES LIKE '%%scratch%%'").all()

    assert (json.loads(done.stdout)["verified"], names) == (True, [])


def test_a_scratch_database_that_cannot_be_dropped_is_named(server_url: str, mysql_server: MySQL) -> None:
    url = migrations.make_sync_url(make_url(server_url))
    named = r"The scratch database \w+_scratch_[0-9a-f]{12} was not dropped"
    with pytest.raises(BackupError, match=named), _scratch_database(url) as scratch:
        mysql_server.execute(f"DROP DATABASE `{scratch and scratch.database}`")


def test_no_connection_idles_while_a_dump_is_tried(server_url: str, mysql_server: MySQL) -> None:
    own = make_url(server_url)
    others = text("SELECT count(*) FROM information_schema.processlist WHERE db = :database")
    engine = make_plain_engine(mysql_server.server_url)
    deadline = time.monotonic() + SECONDS
    with _scratch_database(migrations.make_sync_url(own)), engine.connect() as connection:
        # The server notices a moment later that a connection was closed.
        while connection.scalar(others, {"database": own.database}):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_the_progress_of_a_dump_ends(server_url: str, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    (tmp_path / "copy.sql").touch()

    dumps.dump(make_url(server_url), tmp_path / "copy.sql", lambda done, total: told.append((done, total)))

    assert told[-1] == ((tmp_path / "copy.sql").stat().st_size,) * 2


@pytest.mark.parametrize(("query", "verified"), [("", "0"), ("?ssl_ca=ca.pem", "1")])
def test_the_programs_verify_a_server_where_the_service_does(query: str, verified: str) -> None:
    with dumps._write_options(make_url(f"mysql://ada@localhost/expenses{query}")) as options:
        lines = options.read_text().splitlines()

    assert f'loose-ssl-verify-server-cert="{verified}"' in lines
    assert ('loose-ssl-mode="VERIFY_IDENTITY"' in lines) is bool(query)


def test_missing_programs_are_named(run: Run, server_url: str, folder: Path) -> None:
    done = run(server_url, "backup", folder / "copy.sql", PATH=str(folder))

    assert done.returncode == 1
    assert "Neither mariadb-dump nor mysqldump is installed" in done.stderr
    assert _list(folder) == []


# --- beside a working service -----------------------------------------------------------------------------------------


def _write_on(service: Service, acknowledged: list[str], ended: Event) -> None:
    account = {"username": "ada", "email": "ada@example.com", "password": "a walk along the sea"}
    with httpx.Client(base_url=service.url, timeout=SECONDS, trust_env=False) as client:
        client.post("/users/register", json=account).raise_for_status()
        token = client.post("/users/token", data={"username": "ada", "password": account["password"]})
        client.headers["Authorization"] = f"Bearer {token.raise_for_status().json()['access_token']}"
        while not ended.is_set():
            body = {"amount": "1.00", "description": str(len(acknowledged)), "category": "Food"}
            acknowledged.append(client.post("/expenses", json=body).raise_for_status().headers["Location"])


def test_each_backup_beside_a_working_service_has_all_that_was_acknowledged(
    run: Run, empty_database_url: str, folder: Path
) -> None:
    acknowledged: list[str] = []
    ended = Event()
    migrations.upgrade(empty_database_url)
    with Service({"DATABASE_URL": empty_database_url}) as service, ThreadPoolExecutor() as pool:
        writer = pool.submit(_write_on, service, acknowledged, ended)
        try:
            written = [_back_up_after_more(run, empty_database_url, folder, acknowledged) for _ in range(3)]
        finally:
            ended.set()
        writer.result(SECONDS)

    assert [report["problems"] for _, report, _ in written] == [[], [], []]
    assert [before <= report["expenses"] <= after for before, report, after in written] == [True] * 3


def _back_up_after_more(run: Run, url: str, folder: Path, acknowledged: list[str]) -> tuple[int, dict[str, Any], int]:
    """Back up after a further write; return the acknowledged before, the report, and the most that were later."""
    enough = len(acknowledged) + 1
    deadline = time.monotonic() + SECONDS
    while len(acknowledged) < enough and time.monotonic() < deadline:
        time.sleep(0.01)
    before = len(acknowledged)
    done = run(url, "backup", folder / "copy.db", "--json")
    assert done.returncode == 0, done.stderr
    # One more may have been committed, whose answer is on its way.
    return before, json.loads(done.stdout), len(acknowledged) + 1
