"""What a failure of the database means: run it again, give up for now, or ask the client to."""

import sqlite3
from enum import Enum, auto
from typing import Final

import pymysql.err
from pymysql.constants import CR, ER
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout


class CommitLost(Exception):
    """The connection was lost while the transaction was being committed: it may have happened."""


class QueueFull(Exception):
    """Too many writers wait for this lock already."""


class Fault(Enum):
    """What a failure of the database asks of the edge; None of these is the client's doing."""

    RETRY = auto()
    """The transaction lost a race and nothing happened: run it again."""

    DISCONNECTED = auto()
    """The connection is gone and nothing happened: run it again on a fresh one."""

    UNAVAILABLE = auto()
    """The database does not take the work now."""


# MySQL and MariaDB error numbers, Galera's included (its failed certification is a 1213, often at COMMIT); 1467 is
# what waiting for the lock on a table's numbering ends with.
_RETRY: Final = {1213, 1205, 1020, 1467}
_DISCONNECTED: Final = {2003, 2006, 2013, 2014, 4031}
_SERVER_UNABLE: Final = {1290, 1792, 1836, 1047}
_MYSQL_NAMES: Final = {
    number: f"{number} {name}"
    for constants in (ER, CR)
    for name, number in vars(constants).items()
    if name.isupper() and isinstance(number, int)
}
_ERROR_DURING_COMMIT: Final = 1180
_UNAVAILABLE: Final = {1040, 1053, 1129, 1180, 1203, 1226, 1969, 3024, 1021, 1028, 1044, 1045, 1049, 1698, 2026, 3100}
# SQLite's primary result codes: busy and locked; then read-only, interrupted, I/O, corrupt, full, cannot open, not a
# database.
_SQLITE_RETRY: Final = {5, 6}
# What a rival may have broken in between: a unique key, a row that others refer to, or one that this refers to.
_LOST_RACES: Final = {1062, 1451, 1452}
_SQLITE_LOST_RACES: Final = {
    sqlite3.SQLITE_CONSTRAINT_UNIQUE,
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY,
    sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY,
}
_SQLITE_UNAVAILABLE: Final = {8, 9, 10, 11, 13, 14, 26}


def classify_fault(error: BaseException) -> Fault | None:
    """Return what kind of trouble `error` is, or None where it is a mistake of ours.

    A constraint that a rival broke in between counts as a lost race: run again, the check before it sees the rival.
    """
    if isinstance(error, PoolTimeout | TimeoutError | QueueFull):
        return Fault.UNAVAILABLE
    if isinstance(error, IntegrityError | pymysql.err.IntegrityError | sqlite3.IntegrityError):
        return Fault.RETRY if _is_lost_race(error) else None
    if isinstance(error, OSError) or getattr(error, "connection_invalidated", False):
        return _classify_number(error) or Fault.DISCONNECTED
    return _classify_number(error) if isinstance(error, DBAPIError | pymysql.err.MySQLError | sqlite3.Error) else None


def is_commit_refused(error: BaseException) -> bool:
    """Tell whether a failed COMMIT surely did not happen: the database said so, over a connection that lives."""
    return classify_fault(error) in {Fault.RETRY, Fault.UNAVAILABLE} and _get_number(error) not in {
        None,
        _ERROR_DURING_COMMIT,
    }


def describe_error(error: BaseException) -> str:
    """Return what a log may say of a failure: its kind and number, without the server's text, which quotes values."""
    original = getattr(error, "orig", None) or error
    number = _get_number(error)
    code = getattr(original, "sqlite_errorname", None) or _MYSQL_NAMES.get(number or 0, number)
    return type(original).__name__ + (f" {code}" if code is not None else "")


def is_server_unable(error: BaseException) -> bool:
    """Tell whether the server behind a connection takes no work, though it answers (read-only, or cut off)."""
    return _get_number(error) in _SERVER_UNABLE


def _is_lost_race(error: BaseException) -> bool:
    code = getattr(getattr(error, "orig", None) or error, "sqlite_errorcode", None)
    return code in _SQLITE_LOST_RACES if code is not None else _get_number(error) in _LOST_RACES


def _classify_number(error: BaseException) -> Fault | None:
    number = _get_number(error)
    on_sqlite = isinstance(getattr(error, "orig", error), sqlite3.Error)
    again, unavailable = (_SQLITE_RETRY, _SQLITE_UNAVAILABLE) if on_sqlite else (_RETRY, _UNAVAILABLE | _SERVER_UNABLE)
    if number in again:
        return Fault.RETRY
    if number in unavailable:
        return Fault.UNAVAILABLE
    return Fault.DISCONNECTED if number in _DISCONNECTED and not on_sqlite else None


def _get_number(error: BaseException) -> int | None:
    # An error of the driver's, as it is or as SQLAlchemy wrapped it.
    original = getattr(error, "orig", None) or error
    if hasattr(original, "sqlite_errorcode"):
        return int(original.sqlite_errorcode) & 0xFF
    return original.args[0] if original.args and isinstance(original.args[0], int) else None
