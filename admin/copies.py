"""Copies of all ledgers: taken in one moment, and judged by the check before anybody relies on them."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from pymysql.constants import ER
from sqlalchemy import URL, Connection, inspect
from sqlalchemy.exc import DBAPIError

import migrations
from admin.check import FILE_DAMAGED, Report, check_file, check_ledgers, count_ledgers, hold_snapshot
from infra import backup_files, dumps
from infra.backup_files import BackupError, Tell
from infra.engines import make_blocking_engine
from infra.faults import describe_error
from migrations import SchemaState

_MAY_NOT: Final = {ER.DBACCESS_DENIED_ERROR, ER.SPECIFIC_ACCESS_DENIED_ERROR}
# A server's names have at most 64 characters.
_SCRATCH: Final = "{:.40}_scratch_{}"


def count_source(source: Connection) -> Report:
    """Count what a database holds of which a copy will be made; raise BackupError if there is nothing to copy."""
    return _judge(source, count_ledgers)


def copy_file(source: Connection, before: Report, aside: Path, tell: Tell) -> Report:
    """Copy an SQLite database, on which `source` holds a snapshot, to a new file; return what the check found there.

    `before` is what was counted in the snapshot. Raises BackupError if the copy is damaged, or holds something else.
    """
    driver: Any = source.connection.driver_connection
    backup_files.copy_sqlite(driver, aside, tell)
    with _open_file(aside) as copy:
        after = _judge_copy(copy, tell)
    if replace(after, problems=[]) != replace(before, problems=[]):
        raise BackupError("The copy holds something else than the database, and was not kept.")
    return after


def restore_file(file: Path, database: Path, key: Path | None, tell: Tell) -> Report:
    """Copy a backup to where no database is, with its key; return what the check found in it.

    Raises BackupError if anything is there already, or if the backup is damaged.
    """
    backup_files.refuse_occupied(database, key)
    with backup_files.write_aside(database) as aside:
        with _open_file(file) as source:
            report = copy_file(source, count_source(source), aside, tell)
        if key:
            backup_files.copy_key(key, aside)
        backup_files.place(aside, database)
    return report


@contextmanager
def _open_file(path: Path) -> Iterator[Connection]:
    """Yield a connection that reads an SQLite file in one snapshot."""
    url = URL.create("sqlite+pysqlite", database=path.absolute().as_uri(), query={"mode": "ro", "uri": "true"})
    with make_blocking_engine(url).connect() as connection, hold_snapshot(connection):
        yield connection


def dump_server(url: URL, aside: Path, tell: Tell) -> Report | None:
    """Dump a MySQL database to a new file, restore the dump into a scratch database, and return what was found there.

    Returns None if the account may not create a database; the dump is complete, but nobody has tried it. Raises
    BackupError if it is not complete.
    """
    dumps.dump(url, aside, tell)
    with _scratch_database(url) as scratch:
        return _load(scratch, aside, tell) if scratch else None


def write_scratch_pattern(url: URL) -> str:
    """Return the pattern of the scratch databases' names, as a GRANT of MySQL takes it."""
    return _SCRATCH.format(url.database or "", "%").replace("_", r"\_")


@contextmanager
def _scratch_database(url: URL) -> Iterator[URL | None]:
    """Yield a new database on the same server, and drop it at the end; yield None if the account may not create one.

    Raises BackupError if it cannot be dropped. Each statement has a connection of its own: one that idles meanwhile is
    closed by a server with a short `wait_timeout`.
    """
    scratch = url.set(database=_SCRATCH.format(url.database or "", secrets.token_hex(6)))
    try:
        _execute(url, f"CREATE DATABASE `{scratch.database}` CHARACTER SET utf8mb4")
    except DBAPIError as error:
        if error.orig is None or error.orig.args[0] not in _MAY_NOT:
            raise
        yield None
        return
    try:
        yield scratch
    finally:
        _drop(url, str(scratch.database))


def _drop(url: URL, database: str) -> None:
    try:
        _execute(url, f"DROP DATABASE `{database}`")
    except DBAPIError as error:
        raise BackupError(
            f"The scratch database {database} was not dropped ({describe_error(error)}): drop it, and try again."
        ) from None


def _execute(url: URL, statement: str) -> None:
    with make_blocking_engine(url).connect() as connection:
        connection.exec_driver_sql(statement)


def load_server(url: URL, file: Path, tell: Tell) -> Report:
    """Restore a dump into an empty database; if it fails, or is not whole, the database is empty again."""
    if _list_tables(url):
        raise BackupError("The database holds tables already: restore into an empty one.")
    try:
        return _load(url, file, tell)
    except BaseException:
        _drop_tables(url)
        raise


def _load(url: URL, file: Path, tell: Tell) -> Report:
    dumps.load(url, file, tell)
    with make_blocking_engine(url).connect() as connection, hold_snapshot(connection):
        return _judge_copy(connection, tell)


def _judge_copy(connection: Connection, tell: Tell) -> Report:
    """Return what the check finds in a copy; raise BackupError if the file is damaged.

    Anything else that is wrong came from the database: a backup of it is better than none.
    """
    report = _judge(connection, partial(check_ledgers, tell=tell))
    damage = next((it for it in report.problems if it.code == FILE_DAMAGED), None)
    if damage:
        raise BackupError(f"The copy was not kept. {damage.detail}")
    return report


def _judge(connection: Connection, work: Callable[[Connection, str], Report]) -> Report:
    """Run the work on a database with the newest schema; of one with an older schema, check only the file."""
    revision = migrations.read_current_revision(connection)
    if revision is None:
        raise BackupError("The database is empty.")
    state = migrations.compare_revision(revision)
    if state is SchemaState.READY:
        return work(connection, revision)
    if state is SchemaState.NEWER_SCHEMA:
        migrations.refuse_state(state)
    return Report(revision, problems=check_file(connection))


def _list_tables(url: URL) -> list[str]:
    return inspect(make_blocking_engine(url)).get_table_names()


def _drop_tables(url: URL) -> None:
    try:
        with make_blocking_engine(url).connect() as connection:
            connection.exec_driver_sql("SET FOREIGN_KEY_CHECKS = 0")
            for name in _list_tables(url):
                connection.exec_driver_sql(f"DROP TABLE `{name}`")
    except DBAPIError as error:
        raise BackupError(
            f"The restore broke off, and its tables could not be dropped ({describe_error(error)}): drop them."
        ) from None
