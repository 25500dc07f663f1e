"""The database's files cannot be written: the disk is full, another process has the lock, or they are read-only."""

import asyncio
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, cast

from faults.databases import MARIADB, SQLITE, FullDiskServer, Server, SqliteFile
from faults.run import Run, in_thread
from faults.scenario import ONE_DATABASE, scenario

FULL: Final = 6.0
LOCKED: Final = 20.0
READ_ONLY: Final = 5.0
# A MariaDB with an empty database needs 100 MB for itself.
DISK: Final = 192 * 1024 * 1024


@scenario(*ONE_DATABASE, quick=ONE_DATABASE, disk_size=DISK)
async def disk_full(run: Run) -> None:
    """The disk of the database is filled to its last block, and freed again."""
    disk = cast("SqliteFile | FullDiskServer", getattr(run.database, "server", run.database)).disk
    try:
        await in_thread(disk.fill)
        await asyncio.sleep(FULL)
    finally:
        await in_thread(disk.empty)
    run.journal.end_fault()


@scenario(SQLITE)
async def file_locked(run: Run) -> None:
    """Another process holds the file's write lock for 20 s."""
    connection = sqlite3.connect(_file(run), timeout=10, isolation_level=None, check_same_thread=False)
    with closing(connection):
        await in_thread(lambda: connection.execute("BEGIN IMMEDIATE"))
        await asyncio.sleep(LOCKED)
    run.journal.end_fault()


@scenario(MARIADB, needs_process=True)
async def tables_locked(run: Run) -> None:
    """Another client holds the global read lock for 20 s, as a backup does."""
    with cast("Server", run.database).open_engine().connect() as connection:
        await in_thread(lambda: connection.exec_driver_sql("FLUSH TABLES WITH READ LOCK"))
        await asyncio.sleep(LOCKED)
        await in_thread(lambda: connection.exec_driver_sql("UNLOCK TABLES"))
    run.journal.end_fault()


@scenario(SQLITE, quick=(SQLITE,))
async def file_read_only(run: Run) -> None:
    """Nobody may write to the file and its log for 5 s, as after `chattr +i`.

    Not to the `-shm` beside them, which is mapped into memory: Linux ends a process (SIGBUS) that writes to mapped
    memory of a file which may not be written.
    """
    with _forbid_writing(_file(run)):
        await asyncio.sleep(READ_ONLY)
    run.journal.end_fault()


def _file(run: Run) -> Path:
    return cast("SqliteFile", run.database).path


@contextmanager
def _forbid_writing(path: Path) -> Iterator[None]:
    """Set the immutable flag where the file system has it and this process may, else the mode 0444."""
    files = [str(path), f"{path}-wal"]
    is_immutable = subprocess.run(["chattr", "+i", *files], capture_output=True, check=False).returncode == 0
    if not is_immutable:
        subprocess.run(["chmod", "0444", *files], check=True)
    try:
        yield
    finally:
        undo = ["chattr", "-i"] if is_immutable else ["chmod", "0600"]
        subprocess.run([*undo, *files], check=True)
