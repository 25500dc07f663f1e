"""The files of backups: written aside, placed at once, rotated, and never over anything that is no backup.

    expenses.db.part    what is being written, mode 0600      expenses.db        the newest backup
    expenses.db.lock    held meanwhile; stays, empty          expenses.db.key    the secret that signs its tokens
                                                              expenses.1.db      the one before, with its own key

A file takes its name only when it is complete, verified and on the disk. A process that is killed earlier leaves a
`.part`, which the next run replaces. This module does not look at ledgers; `admin/` does.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from itertools import count, takewhile
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from infra.database_file import find_key, find_lock, list_companions
from infra.file_names import take_name
from infra.private_files import PRIVATE

# With 4 KiB pages, 8 MiB at a time: progress is shown in between.
PAGES: Final = 2_048
SQLITE_HEADER: Final = b"SQLite format 3\x00"
# Where the header says how the file is written, and that it is with a `-wal`: https://sqlite.org/fileformat.html#1.3.3
_WRITE_VERSION: Final = slice(18, 19)
_WITH_WAL: Final = b"\x02"
DUMP_HEADER: Final = b"-- A backup of the expense tracker\n"
DUMP_END: Final = b"-- Dump completed"
_RESERVED: Final = {"", ".key", ".lock", ".part"}

Tell = Callable[[int, int], None]
"""Called after each step with what is done and with all there is, which is 0 if nobody knows."""


class BackupError(Exception):
    """A backup cannot be written or restored; the message says why, and what the operator can do."""


def find_backup_key(backup: Path) -> Path:
    """Return the path of the secret that belongs to a backup: a name that no other program's key has."""
    return backup.with_name(f"{backup.name}.key")


def is_sqlite(path: Path) -> bool:
    """Whether a file is an SQLite database."""
    with path.open("rb") as file:
        return file.read(len(SQLITE_HEADER)) == SQLITE_HEADER


def is_complete_dump(path: Path) -> bool:
    """Whether a file is a dump of MySQL that was written to its end."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 200))
        return file.read().rstrip().rpartition(b"\n")[2].startswith(DUMP_END)


def is_backup(path: Path) -> bool:
    """Whether a file is a backup of this service: only such a file is ever replaced, moved or deleted.

    A database that a service has opened is none: it is written with a `-wal`, and a backup never is.
    """
    with path.open("rb") as file:
        header = file.read(100)
    if header.startswith(DUMP_HEADER):
        return True
    return header.startswith(SQLITE_HEADER) and header[_WRITE_VERSION] != _WITH_WAL and has_our_tables(path)


def has_our_tables(path: Path) -> bool:
    """Whether an SQLite file can be read and has the tables of this service."""
    ours = "SELECT count(*) FROM sqlite_master WHERE name IN ('alembic_version', 'users', 'expenses')"
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection,
    ):
        return bool(connection.execute(ours).fetchone() == (3,))
    return False


def choose_target(file: Path, live: Path | None) -> Path:
    """Return where a backup is written; raise BackupError where it would replace anything that is no backup.

    `live` is the embedded database itself.
    """
    if file.suffix in _RESERVED:
        raise BackupError(f"Give {file.name or 'the file'} another ending, such as .db or .sql.")
    if not file.parent.is_dir():
        raise BackupError(f"There is no folder {file.parent}.")
    target = file.resolve()
    if live and (target in _list_live(live) or find_key(target) == find_key(live.resolve())):
        raise BackupError(f"{file} is the service's own database, or shares its name: choose another name or folder.")
    _refuse_foreign(target, live)
    return target


def _list_live(database: Path) -> list[Path]:
    own = database.resolve()
    return [own, *list_companions(own)]


def _refuse_foreign(target: Path, live: Path | None = None) -> None:
    in_use = next((path.name for path in list_companions(target) if path.exists()), None)
    if in_use:
        # SQLite would take it for the backup's own, and mix the two databases.
        raise BackupError(f"{in_use} lies there: {target.name} belongs to a database in use. Choose another name.")
    if not target.exists():
        return
    if not target.is_file() or (live and live.exists() and target.samefile(live)) or not is_backup(target):
        raise BackupError(f"{target.name} is there already, and is no backup of this service: choose another name.")


@contextmanager
def write_aside(target: Path) -> Iterator[Path]:
    """Yield an empty file beside `target`, which is deleted at the end unless it was placed.

    Raises BackupError if another process writes to the same target.
    """
    # On purpose the lock of a migration: a service that starts during a restore waits, and makes no database there.
    aside = target.with_name(f"{target.name}.part")
    try:
        with FileLock(find_lock(target), timeout=0, mode=PRIVATE):
            _remove(aside)
            try:
                os.close(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE))
                yield aside
            finally:
                _remove(aside)
    except Timeout:
        raise BackupError(f"Another process is writing {target.name}: wait until it is done.") from None


def _remove(aside: Path) -> None:
    for path in (aside, *list_companions(aside), find_key_aside(aside)):
        path.unlink(missing_ok=True)


def find_key_aside(aside: Path) -> Path:
    """Return where the key is written until it is placed."""
    return aside.with_name(f"{aside.name}.key")


def copy_sqlite(source: sqlite3.Connection, aside: Path, tell: Tell) -> None:
    """Copy a database into one file that needs no other.

    The source has begun a transaction and read from it. So all pages are of one moment, no writer waits, and a writer
    does not make the copy begin again.
    """
    with closing(sqlite3.connect(aside, isolation_level=None)) as copy:
        # Nobody reads the copy before `rotate` or `place` has synced it as a whole.
        copy.execute("PRAGMA synchronous = OFF")
        source.backup(copy, pages=PAGES, progress=lambda _, remaining, total: tell(total - remaining, total))
        copy.execute("PRAGMA journal_mode = DELETE").fetchone()


def copy_key(key: Path, aside: Path) -> None:
    """Write a copy of a secret beside a backup that is being written, mode 0600."""
    descriptor = os.open(find_key_aside(aside), os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key.read_bytes())
    sync(find_key_aside(aside))


def rotate(aside: Path, target: Path, keep: int | None, live: Path | None) -> None:
    """Give the file its name, and the backups before it the next number; keep `keep` in all, each with its key.

    With None only the backup of that name is replaced, and numbered ones stay as they are. Raises BackupError, and
    changes nothing, if a number belongs to a file that is no backup, or to the embedded database `live` itself.
    """
    numbered = [_number(target, number) for number in range(keep or 1)]
    surplus = _list_surplus(target, keep) if keep else []
    for path in (*numbered, *surplus):
        _refuse_foreign(path, live)
    _refuse_foreign_key(aside, target)
    sync(aside)
    for path in surplus:
        path.unlink()
        find_backup_key(path).unlink(missing_ok=True)
    free = next((number for number, path in enumerate(numbered) if not path.exists()), len(numbered) - 1)
    for number in range(free, 0, -1):
        _move(numbered[number - 1], numbered[number])
    if find_key_aside(aside).exists():
        find_key_aside(aside).replace(find_backup_key(target))
    elif target.exists():
        find_backup_key(target).unlink(missing_ok=True)
    aside.replace(target)
    sync(target.parent)


def _refuse_foreign_key(aside: Path, target: Path) -> None:
    new, old = find_key_aside(aside), find_backup_key(target)
    if not target.exists() and new.exists() and old.exists() and new.read_bytes() != old.read_bytes():
        raise BackupError(f"{old.name} is there already, and is no key of this service: choose another name.")


def _number(target: Path, number: int) -> Path:
    return target.with_name(f"{target.stem}.{number}{target.suffix}") if number else target


def _list_surplus(target: Path, keep: int) -> list[Path]:
    """Return the backups from number `keep` on, up to a gap: a name with a date is no number of this series."""
    return list(takewhile(_is_idle_backup, (_number(target, number) for number in count(keep))))


def _is_idle_backup(path: Path) -> bool:
    return path.is_file() and is_backup(path) and not any(it.exists() for it in list_companions(path))


def _move(source: Path, target: Path) -> None:
    """Give a backup another number. It keeps its old name as well, until the next file takes it."""
    find_backup_key(target).unlink(missing_ok=True)
    target.unlink(missing_ok=True)
    take_name(source, target)
    if find_backup_key(source).exists():
        take_name(find_backup_key(source), find_backup_key(target))


def place(aside: Path, target: Path) -> None:
    """Give the file and its key their names, if nothing has the file's; raise BackupError if something has."""
    sync(aside)
    files = {aside: target}
    if find_key_aside(aside).exists() and not find_key(target).exists():
        files = {find_key_aside(aside): find_key(target), **files}
    placed = list[Path]()
    for source, name in files.items():
        try:
            take_name(source, name)
        except FileExistsError:
            for path in placed:
                path.unlink()
            raise BackupError(f"{name.name} has come there meanwhile; it was left as it is.") from None
        placed.append(name)
    sync(target.parent)


def refuse_occupied(database: Path, key: Path | None) -> None:
    """Raise BackupError if a database is there already, or another secret than `key`."""
    if not database.parent.is_dir():
        raise BackupError(f"There is no folder {database.parent}.")
    there = [path for path in (database, *list_companions(database)) if path.exists()]
    own = find_key(database)
    if key and own.exists() and own.read_bytes() != key.read_bytes():
        there.append(own)
    if there:
        names = ", ".join(path.name for path in there)
        raise BackupError(f"There is a database already ({names}): stop the service, and move these files away.")


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
