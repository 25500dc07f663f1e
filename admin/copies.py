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

from admin.check import FILE_DAMAGED, Report, Tell, check_ledgers, count_ledgers, hold_snapshot
from infra import backups, dumps
from infra.backups import BackupError
from infra.engines import make_blocking_engine

Work = Callable[[Connection, str], Report]
Judge = Callable[[Connection, Work], Report]
"""Runs the work on a database with the newest schema, checks less on an older one, and raises on any other."""

_MAY_NOT: Final = {ER.DBACCESS_DENIED_ERROR, ER.SPECIFIC_ACCESS_DENIED_ERROR}
# A server's names have at most 64 characters.
_SCRATCH: Final = "{:.40}_scratch_{}"


def copy_file(source: Connection, aside: Path, judge: Judge, tell: Tell) -> Report:
    """Copy an SQLite database, on which `source` holds a snapshot, to a new file; return what the check found there.

    Raises BackupError if the copy is damaged, or if it does not hold what the snapshot holds.
    """
    before = judge(source, count_ledgers)
    driver: Any = source.connection.driver_connection
    backups.copy_sqlite(driver, aside, tell)
    with _open_file(aside) as copy:
        after = _judge_copy(copy, judge, tell)
    if replace(after, problems=[]) != replace(before, problems=[]):
        raise BackupError("The copy holds something else than the database, and was not kept.")
    return after


def restore_file(file: Path, database: Path, key: Path | None, judge: Judge, tell: Tell) -> Report:
    """Copy a backup to where no database is, with its key; return what the check found in it.

    Raises BackupError if anything is there already, or if the backup is damaged.
    """
    backups.refuse_occupied(database, key)
    with backups.write_aside(database) as aside:
        with _open_file(file) as source:
            report = copy_file(source, aside, judge, tell)
        if key:
            backups.copy_key(key, aside)
        backups.place(aside, database)
    return report


@contextmanager
def _open_file(path: Path) -> Iterator[Connection]:
    """Yield a connection that reads an SQLite file in one snapshot."""
    url = URL.create("sqlite+pysqlite", database=path.absolute().as_uri(), query={"mode": "ro", "uri": "true"})
    with make_blocking_engine(url).connect() as connection, hold_snapshot(connection):
        yield connection


def dump_server(source: Connection, aside: Path, judge: Judge, tell: Tell) -> Report | None:
    """Dump a MySQL database to a new file, restore the dump into a scratch database, and return what was found there.

    Returns None if the account may not create a database; the dump is complete, but nobody has tried it. Raises
    BackupError if it is not complete.
    """
    url = source.engine.url
    judge(source, count_ledgers)
    source.rollback()
    dumps.dump(url, aside, tell)
    scratch = url.set(database=_SCRATCH.format(url.database or "", secrets.token_hex(6)))
    try:
        source.exec_driver_sql(f"CREATE DATABASE `{scratch.database}` CHARACTER SET utf8mb4")
    except DBAPIError as error:
        if error.orig is None or error.orig.args[0] not in _MAY_NOT:
            raise
        return None
    try:
        return _load(scratch, aside, judge, tell)
    finally:
        source.exec_driver_sql(f"DROP DATABASE `{scratch.database}`")


def load_server(url: URL, file: Path, judge: Judge, tell: Tell) -> Report:
    """Restore a dump into an empty database; if it fails, or is not whole, the database is empty again."""
    if _list_tables(url):
        raise BackupError("The database holds tables already: restore into an empty one.")
    try:
        return _load(url, file, judge, tell)
    except BaseException:
        _drop_tables(url)
        raise


def _load(url: URL, file: Path, judge: Judge, tell: Tell) -> Report:
    dumps.load(url, file, tell)
    with make_blocking_engine(url).connect() as connection, hold_snapshot(connection):
        return _judge_copy(connection, judge, tell)


def _judge_copy(connection: Connection, judge: Judge, tell: Tell) -> Report:
    """Return what the check finds in a copy; raise BackupError if the file is damaged.

    Anything else that is wrong came from the database: a backup of it is better than none.
    """
    report = judge(connection, partial(check_ledgers, tell=tell))
    damage = next((it for it in report.problems if it.code == FILE_DAMAGED), None)
    if damage:
        raise BackupError(f"The copy was not kept. {damage.detail}")
    return report


def _list_tables(url: URL) -> list[str]:
    return inspect(make_blocking_engine(url)).get_table_names()


def _drop_tables(url: URL) -> None:
    with make_blocking_engine(url).connect() as connection:
        connection.exec_driver_sql("SET FOREIGN_KEY_CHECKS = 0")
        for name in _list_tables(url):
            connection.exec_driver_sql(f"DROP TABLE `{name}`")
