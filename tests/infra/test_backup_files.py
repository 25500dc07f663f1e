"""The files of backups: what is placed, numbered, refused, and left behind by who was killed."""

import os
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

import migrations
from infra import backup_files
from infra.backup_files import BackupError
from infra.database_file import find_key
from tests.support import forks
from tests.support.servers import ROOT, inherited
from tests.support.whole_ledgers import fill

SECONDS: Final = 60


def _write_backup(path: Path, mark: str) -> None:
    with closing(sqlite3.connect(path)) as database:
        for table in ("alembic_version", "users", "expenses", mark):
            database.execute(f"CREATE TABLE {table} (id INTEGER)")


def _read_mark(path: Path) -> str:
    with closing(sqlite3.connect(path)) as database:
        return str(database.execute("SELECT name FROM sqlite_master ORDER BY rowid DESC").fetchone()[0])


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where the backup goes; there is one of an earlier day, with its key."""
    target = tmp_path / "copy.db"
    _write_backup(target, "monday")
    backup_files.find_backup_key(target).write_text("monday's")
    return target


def _rotate(target: Path, mark: str, keep: int | None, key: str | None = None, live: Path | None = None) -> None:
    with backup_files.write_aside(target) as aside:
        aside.unlink()
        _write_backup(aside, mark)
        if key:
            (target.parent / "live.key").write_text(key)
            backup_files.copy_key(target.parent / "live.key", aside)
        backup_files.rotate(aside, target, keep, live)


def test_the_newest_has_the_name_and_the_one_before_the_number_1(target: Path) -> None:
    _rotate(target, "tuesday", 3, "tuesday's")
    _rotate(target, "wednesday", 3, "wednesday's")

    files = [target, target.with_name("copy.1.db"), target.with_name("copy.2.db")]
    assert [_read_mark(file) for file in files] == ["wednesday", "tuesday", "monday"]
    assert [backup_files.find_backup_key(file).read_text() for file in files] == [
        "wednesday's",
        "tuesday's",
        "monday's",
    ]


def test_a_gap_in_the_numbers_is_filled_first(target: Path) -> None:
    _write_backup(target.with_name("copy.2.db"), "sunday")
    _rotate(target, "tuesday", 3)

    assert _read_mark(target.with_name("copy.1.db")) == "monday"
    assert _read_mark(target.with_name("copy.2.db")) == "sunday"


def test_without_a_number_to_keep_only_the_newest_is_replaced(target: Path) -> None:
    _rotate(target, "tuesday", 2)
    _rotate(target, "wednesday", None)

    assert [_read_mark(file) for file in (target, target.with_name("copy.1.db"))] == ["wednesday", "monday"]


def test_a_backup_with_a_date_in_its_name_is_no_number_of_the_series(target: Path) -> None:
    dated = target.with_name("copy.20261129.db")
    _write_backup(dated, "another")
    for day in ("tuesday", "wednesday", "thursday"):
        _rotate(target, day, 4)
    _rotate(target, "friday", 2)

    assert sorted(path.name for path in target.parent.glob("*.db")) == ["copy.1.db", "copy.20261129.db", "copy.db"]
    assert _read_mark(dated) == "another"


@pytest.mark.parametrize("name", ["copy.db", "copy.1.db"])
@pytest.mark.parametrize("ending", ["-wal", "-shm", "-journal"])
def test_a_database_in_use_is_not_replaced(target: Path, name: str, ending: str) -> None:
    (target.parent / f"{name}{ending}").touch()

    with pytest.raises(BackupError, match=f"{name}{ending} lies there"):
        _rotate(target, "tuesday", 2)
    assert _read_mark(target) == "monday"


def test_a_database_that_a_service_has_used_is_no_backup(target: Path) -> None:
    with closing(sqlite3.connect(target)) as database:
        database.execute("PRAGMA journal_mode = WAL")

    with pytest.raises(BackupError, match="is no backup of this service"):
        _rotate(target, "tuesday", None)


def test_a_backup_without_a_key_keeps_none_of_an_earlier_day(target: Path) -> None:
    _rotate(target, "tuesday", 1)

    assert _read_mark(target) == "tuesday"
    assert not backup_files.find_backup_key(target).exists()


def test_a_key_of_another_program_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "copy.db.key").write_text("the key of a web server")

    with pytest.raises(BackupError, match=r"copy\.db\.key is there already"):
        _rotate(tmp_path / "copy.db", "monday", 1, "the service's")
    assert (tmp_path / "copy.db.key").read_text() == "the key of a web server"
    assert not (tmp_path / "copy.db").exists()


def test_nothing_is_left_of_a_backup_that_fails(target: Path) -> None:
    def fail() -> None:
        with backup_files.write_aside(target) as aside:
            aside.write_bytes(b"half")
            raise OSError

    with pytest.raises(OSError, match=r"^$"):
        fail()
    assert _read_mark(target) == "monday"
    assert sorted(path.name for path in target.parent.iterdir()) == ["copy.db", "copy.db.key", "copy.db.lock"]


def test_a_restore_overwrites_nothing(target: Path) -> None:
    with backup_files.write_aside(target) as aside, pytest.raises(BackupError, match="meanwhile"):
        backup_files.place(aside, target)

    assert _read_mark(target) == "monday"


def test_a_restore_that_finds_a_database_leaves_no_key_there(target: Path) -> None:
    find_key(target).unlink(missing_ok=True)
    with backup_files.write_aside(target) as aside:
        backup_files.find_key_aside(aside).write_text("a key")
        with pytest.raises(BackupError, match="meanwhile"):
            backup_files.place(aside, target)

    assert not find_key(target).exists()


def test_a_restore_overwrites_nothing_where_there_are_no_hard_links(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "link")

    test_a_restore_overwrites_nothing(target)


def test_backups_are_numbered_where_there_are_no_hard_links(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "link")

    test_the_newest_has_the_name_and_the_one_before_the_number_1(target)


def test_who_is_killed_leaves_the_backup_before_and_the_next_run_clears_up(
    empty_sqlite_url: str, tmp_path: Path
) -> None:
    migrations.upgrade(empty_sqlite_url)
    fill(empty_sqlite_url)
    (tmp_path / "to").mkdir()
    target, aside = tmp_path / "to" / "copy.db", tmp_path / "to" / "copy.db.part"
    environment = inherited() | {"PYTHONPATH": str(ROOT), "DATABASE_URL": empty_sqlite_url}
    command = ["-m", "commands", "backup", str(target)]
    assert forks.run(command, tmp_path, environment).returncode == 0
    before = target.read_bytes()

    # The copy is complete, and the next step waits: nobody writes into this key.
    os.mkfifo(tmp_path / "expenses.key")
    killed = forks.start(command, tmp_path, [os.devnull] * 3, environment)
    deadline = time.monotonic() + SECONDS
    while not backup_files.find_key_aside(aside).exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(killed.pid, signal.SIGKILL)

    assert killed.wait(SECONDS) == -signal.SIGKILL
    (tmp_path / "expenses.key").unlink()
    assert aside.exists()
    assert target.read_bytes() == before
    assert forks.run(command, tmp_path, environment).returncode == 0
    assert sorted(path.name for path in target.parent.iterdir()) == ["copy.db", "copy.db.lock"]


@pytest.mark.parametrize("keep", [1, 3])
def test_the_database_that_is_backed_up_is_no_backup_whatever_its_name(target: Path, keep: int) -> None:
    live = target.with_name("copy.1.db")
    _write_backup(live, "live")

    with pytest.raises(BackupError, match=r"copy\.1\.db is there already"):
        _rotate(target, "tuesday", keep, live=live)

    assert (_read_mark(live), _read_mark(target)) == ("live", "monday")


def test_the_key_of_another_program_stays(target: Path) -> None:
    other = target.with_suffix(".key")
    other.write_text("the key of a web server")

    _rotate(target, "tuesday", 2)
    _rotate(target, "wednesday", 2)

    assert other.read_text() == "the key of a web server"
