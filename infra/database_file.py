"""The file of an SQLite database: what lies beside it, and whether it is still the one that the service has opened.

A connection goes on with its file after that was deleted or replaced: it would acknowledge writes that nobody finds
again. So the identity of the first file that was opened is kept, and compared before a connection is opened, used, or
committed. A file that was put back is recognized, and the service goes on.

A file in its place is not opened. Its `-wal` and `-shm` are still those of the first one, which other connections and
other workers may hold: SQLite would mix the two databases.
"""

import os
import sqlite3
from pathlib import Path
from typing import Final

from config import Settings
from infra.log import logger
from infra.private_files import list_exposed, write_chmod

Identity = tuple[int, int, int, int]
"""Device and inode of a name, and of the file that it leads to: a symbolic link has a `-wal` elsewhere."""

GONE: Final = "its file is gone"
REPLACED: Final = "its file was replaced"
READ_ONLY: Final = "read-only"
WHAT_TO_DO: Final = {
    GONE: "The file of the database was deleted or moved away while the service uses it; it answers 503 until the file "
    "is back.",
    REPLACED: "The file of the database was replaced while the service uses it; it answers 503. Stop the service, "
    "delete the files ending in -wal and -shm beside the database, and start it again.",
}
_COMPANIONS: Final = ("-wal", "-shm", "-journal")


def find_key(database: Path) -> Path:
    """Return the path of the secret that belongs to a database which is served."""
    return database.with_suffix(".key")


def find_lock(database: Path) -> Path:
    """Return the path of the lock that is held while a database is migrated or restored."""
    return database.with_name(f"{database.name}.lock")


def list_companions(database: Path) -> list[Path]:
    """Return the paths of the files that SQLite keeps beside a database while it is in use."""
    return [database.with_name(database.name + ending) for ending in _COMPANIONS]


def describe_exposed(settings: Settings) -> list[str]:
    """Return a sentence, which says what to run, if other accounts can use the files of an SQLite database."""
    if not settings.is_embedded:
        return []
    database = Path(str(settings.url.database))
    exposed = list_exposed([database, *list_companions(database), find_lock(database)])
    told = f"Other accounts of this machine can read or write the database's files: run `{write_chmod(exposed)}`."
    return [told] if exposed else []


class FileChanged(sqlite3.OperationalError):
    """The file of the database is no longer the one that was opened."""

    sqlite_errorcode = sqlite3.SQLITE_READONLY_DBMOVED
    sqlite_errorname = "SQLITE_READONLY_DBMOVED"


class DatabaseFile:
    """The file at a path, and the identity that it had when it was opened first."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._opened: Identity | None = None
        self._known_trouble: str | None = None

    @property
    def uri(self) -> str:
        """The URI that opens the file, and never creates one."""
        return f"{self._path.absolute().as_uri()}?mode=rw"

    def refuse_another(self) -> None:
        """Raise FileChanged if the file is gone or another one than before; log what to do about it, once."""
        trouble = self._find_change()
        if trouble and trouble != self._known_trouble:
            logger.error("%s", WHAT_TO_DO[trouble])
        self._known_trouble = trouble
        if trouble:
            raise FileChanged(trouble)

    def find_trouble(self) -> str | None:
        """Return why the service cannot write to the file, or None: it is gone, replaced or read-only."""
        if change := self._find_change():
            return change
        # SQLite also writes files beside it.
        return None if os.access(self._path, os.W_OK) and os.access(self._path.parent, os.W_OK) else READ_ONLY

    def _find_change(self) -> str | None:
        try:
            name, file = self._path.lstat(), self._path.stat()
        except OSError:  # gone, or its folder is, or cannot be entered
            return GONE
        identity = name.st_dev, name.st_ino, file.st_dev, file.st_ino
        if self._opened is None:
            self._opened = identity
        return None if identity == self._opened else REPLACED
