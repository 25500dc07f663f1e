"""The database schema as dated revisions, and the functions that bring a database to one of them."""

import asyncio
import hashlib
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from enum import Enum, auto
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from filelock import BaseFileLock, FileLock, Timeout
from sqlalchemy import URL, Connection, Engine, column, create_engine, inspect, make_url, select, table, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from config import Settings
from database import Database
from infra.database_file import GONE, REPLACED, find_lock
from infra.engines import build_tls_arguments
from infra.faults import Fault, classify_fault, describe_error
from infra.log import logger
from infra.private_files import PRIVATE, create_private
from migrations.cluster_lock import hold_cluster_lock, is_cluster
from migrations.errors import MigrationLocked, NewerSchema, SchemaError

FOLDER: Final = Path(__file__).parent
LOCK_SECONDS: Final = 60
ANSWER_SECONDS: Final = 5
SYNC_DRIVERS: Final = {"sqlite": "sqlite+pysqlite", "mysql": "mysql+pymysql"}
# Alembic's table, and how its template writes the revision of a file and the one that it is based on.
_VERSIONS: Final = table("alembic_version", column("version_num"))
_REVISION: Final = re.compile(r"^revision: str = [\"'](\w+)", re.MULTILINE)
_BASED_ON: Final = re.compile(r"^down_revision: .* = [\"'](\w+)", re.MULTILINE)


def upgrade(url: str | URL, revision: str = "head") -> None:
    """Upgrade a database to a revision; create an embedded one that does not exist.

    Raises SchemaError, which says what to do, if the database is newer than this code or has several revisions at once,
    or if another process has been migrating it for a minute.
    """
    with _lock_for_migration(make_url(url)) as connection:
        state = compare_revision(read_current_revision(connection))
        if state is SchemaState.NEWER_SCHEMA:
            raise NewerSchema
        connection.rollback()
        if state is not SchemaState.READY:
            _run_alembic("upgrade", connection, revision)


def downgrade(url: str | URL, revision: str) -> None:
    """Downgrade a database to a revision; the data of newer tables and columns is lost."""
    with _lock_for_migration(make_url(url)) as connection:
        _run_alembic("downgrade", connection, revision)


def _run_alembic(action: Literal["upgrade", "downgrade", "check"], connection: Connection, *revision: str) -> None:
    # Imported only where something is migrated: it takes 11 MB, which a service would keep.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    # Its default is the stream that was there when it was imported.
    config = Config(stdout=sys.stdout)
    config.set_main_option("script_location", str(FOLDER))
    config.attributes["connection"] = connection
    getattr(command, action)(config, *revision)


@cache
def read_newest_revision() -> str | None:
    """Return the newest schema revision of the code: no other one is based on it; raise SchemaError if two are."""
    revisions = _read_revisions()
    newest = revisions.keys() - revisions.values()
    if len(newest) > 1:
        raise SchemaError(f"The folder of migrations has {len(newest)} newest revisions: {', '.join(sorted(newest))}.")
    return next(iter(newest), None)


@cache
def _read_revisions() -> Mapping[str, str | None]:
    """Return the schema revisions of the code, and the one that each is based on."""
    texts = [file.read_text(encoding="utf-8") for file in (FOLDER / "versions").glob("*.py")]
    found = [(_REVISION.search(text), _BASED_ON.search(text)) for text in texts]
    return {revision[1]: based_on and based_on[1] for revision, based_on in found if revision}


def read_current_revision(connection: Connection) -> str | None:
    """Return the schema revision of a database, or None for an empty one; raise SchemaError if it has several."""
    has_table = inspect(connection).has_table(_VERSIONS.name)
    revisions = connection.execute(select(_VERSIONS.c.version_num)).scalars().all() if has_table else []
    if len(revisions) > 1:
        raise SchemaError(
            f"The table alembic_version has {len(revisions)} rows instead of one ({', '.join(sorted(revisions))}), as"
            " when several processes migrated at once: delete all but the newest revision, and run `make migrate`."
        )
    return next(iter(revisions), None)


async def migrate_at_start(settings: Settings) -> None:
    """Upgrade an embedded database, or any with AUTO_MIGRATE; raise SchemaError, which says what to do, on failure."""
    if not (settings.is_embedded or settings.auto_migrate):
        return
    try:
        await asyncio.to_thread(upgrade, settings.url)
    except (DBAPIError, OSError) as error:
        if classify_fault(error) is None:
            raise
        folder = f"its folder: {error.strerror}" if isinstance(error, OSError) and error.strerror else None
        raise SchemaError(
            f"The database cannot be migrated now ({folder or describe_error(error)}): mend that, and start again."
        ) from None


async def refuse_another_schema(database: Database) -> None:
    """Raise SchemaError if the database has another schema; do nothing if it does not answer, as it may later."""
    refuse_state(await check_schema(database))


def refuse_state(state: "SchemaState") -> None:
    """Raise SchemaError, which says what to do, if a database has another schema than this code."""
    if state is SchemaState.NEWER_SCHEMA:
        raise NewerSchema
    if state is SchemaState.ANOTHER_SCHEMA:
        raise SchemaError


class SchemaState(Enum):
    """Whether a database answers and has the schema of this code."""

    READY = auto()
    """It answers and has the newest schema revision of the code."""

    ANOTHER_SCHEMA = auto()
    """It answers, but it is empty or has an older schema revision, or several."""

    NEWER_SCHEMA = auto()
    """It answers, but has a schema revision that this code does not know."""

    READ_ONLY = auto()
    """It answers and has that revision, but accepts no writes."""

    FILE_GONE = auto()
    """Its file was deleted or moved away under the service."""

    FILE_REPLACED = auto()
    """Another file is in the place of the one that the service has opened."""

    NO_ANSWER = auto()
    """It does not answer within 5 s."""


_FILE_STATES: Final[Mapping[str | None, SchemaState]] = {
    GONE: SchemaState.FILE_GONE,
    REPLACED: SchemaState.FILE_REPLACED,
}


def compare_revision(revision: str | None) -> SchemaState:
    """Compare the schema revision of a database with that of the code."""
    if revision == read_newest_revision():
        return SchemaState.READY
    is_newer = revision is not None and revision not in _read_revisions()
    return SchemaState.NEWER_SCHEMA if is_newer else SchemaState.ANOTHER_SCHEMA


async def check_schema(database: Database) -> SchemaState:
    """Compare the schema revision of a database with that of the code, and find out whether it accepts writes."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            revision = await _read_revision(database)
            is_writable = await database.is_writable()
    except SchemaError:
        return SchemaState.ANOTHER_SCHEMA
    except Exception as error:
        if classify_fault(error) is None:
            raise
        logger.warning("the database cannot be used: %s", describe_error(error))
        trouble = database.file.find_trouble() if database.file else None
        return _FILE_STATES.get(trouble, SchemaState.NO_ANSWER)
    state = compare_revision(revision)
    return SchemaState.READ_ONLY if state is SchemaState.READY and not is_writable else state


async def _read_revision(database: Database, tries: int = 2) -> str | None:
    try:
        async with database.new_probe() as unit:
            return await (await unit.connection()).run_sync(read_current_revision)
    except Exception as error:
        # An idle connection that was closed does not mean that the database is down, so a second one is tried.
        if classify_fault(error) is not Fault.DISCONNECTED or tries == 1:
            raise
        return await _read_revision(database, tries - 1)


def make_sync_url(url: URL) -> URL:
    """Return the URL of the same database with a blocking driver: migrations run outside the event loop."""
    return url.set(drivername=SYNC_DRIVERS[url.get_backend_name()])


def make_sync_engine(url: URL) -> Engine:
    """Return an engine with a blocking driver; a MySQL server that does not answer is given up after 5 s."""
    is_mysql = url.get_backend_name() == "mysql"
    limits = {"connect_timeout": ANSWER_SECONDS, "read_timeout": ANSWER_SECONDS} if is_mysql else {}
    arguments = limits | build_tls_arguments(url)
    return create_engine(make_sync_url(url), poolclass=NullPool, hide_parameters=True, connect_args=arguments)


def _wait_longer(connection: Connection, seconds: float | None) -> None:
    """Let the statements that follow run for so many seconds, or for any time, before the server is given up."""
    driver: Any = connection.connection.driver_connection
    # PyMySQL has no public way to change it on an open connection.
    driver._read_timeout = seconds  # noqa: SLF001


@contextmanager
def _lock_for_migration(url: URL) -> Iterator[Connection]:
    """Hold the migration lock of a database; yield a connection to it."""
    with (_open_locked_file if url.get_backend_name() == "sqlite" else _open_locked_server)(url) as connection:
        yield connection


@contextmanager
def _open_locked_file(url: URL) -> Iterator[Connection]:
    path = Path(str(url.database))
    # The folder is not made: its name may be misspelt. The lock comes before the file: a restore may be placing one.
    path.parent.stat()
    with _acquire(FileLock(find_lock(path), timeout=LOCK_SECONDS, mode=PRIVATE)):
        # SQLite gives the files beside it the same mode.
        create_private(path)
        with make_sync_engine(url).connect() as connection, _without_foreign_keys(connection):
            yield connection


@contextmanager
def _without_foreign_keys(connection: Connection) -> Iterator[None]:
    # SQLite alters a table by copying it and dropping the old one, which foreign keys would see as a deletion.
    connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
    connection.commit()
    yield
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    if broken:
        raise RuntimeError(f"the migration left {len(broken)} rows without what they refer to")


@contextmanager
def _open_locked_server(url: URL) -> Iterator[Connection]:
    with make_sync_engine(url).connect() as connection:
        hold_lock = _hold_cluster_lock if is_cluster(connection) else _hold_server_lock
        with hold_lock(connection, url):
            yield connection


def _acquire(lock: FileLock) -> AbstractContextManager[BaseFileLock]:
    try:
        return lock.acquire()
    except Timeout:
        raise MigrationLocked from None


@contextmanager
def _hold_server_lock(connection: Connection, url: URL) -> Iterator[None]:
    # The server releases the lock when the connection ends. Lock names are shared by all databases of a server and have
    # at most 64 characters, so the name contains a hash of the database's name.
    name = f"migrate {hashlib.blake2s(str(url.database).encode(), digest_size=16).hexdigest()}"
    _wait_longer(connection, LOCK_SECONDS + ANSWER_SECONDS)
    if not connection.scalar(text("SELECT GET_LOCK(:name, :seconds)"), {"name": name, "seconds": LOCK_SECONDS}):
        raise MigrationLocked
    connection.commit()
    # An ALTER TABLE takes as long as it takes.
    _wait_longer(connection, None)
    yield


@contextmanager
def _hold_cluster_lock(connection: Connection, _: URL) -> Iterator[None]:
    # What was read up to here ends, so that the migration sees what the last one has done.
    connection.commit()
    with connection.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as beating:
        # While the cluster alters a table, both connections wait.
        for waiting in (connection, beating):
            _wait_longer(waiting, None)
        with hold_cluster_lock(connection, beating, LOCK_SECONDS):
            yield
