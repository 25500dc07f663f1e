"""Classifies errors of the database by what the route class does after them.

    error                                            class          what follows
    deadlock, lock timeout, broken unique or         RETRY          the transaction is run again,
      foreign key, SQLite busy or locked                              up to 3 times, then 503
    connection lost or refused                       DISCONNECTED   it is run again once on another
                                                                      connection, then 503
    pool or queue full, timeout, access denied,      UNAVAILABLE    503 at once
      server read-only, full or shutting down
    every other error, such as wrong SQL             None           it is our mistake: 500
    connection lost during COMMIT                    CommitLost     503 outcome_unknown: the client repeats

Another writer can insert the same unique key, or delete the row that a foreign key needs, after we have checked for it.
So a broken constraint counts as a lost race: in the next run the check sees the other writer's rows.
"""

import sqlite3
from enum import Enum, auto
from typing import Final

import pymysql.err
from pymysql.constants import CR, ER
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout


class CommitLost(Exception):
    """The connection was lost during COMMIT, so that nobody knows whether the transaction was committed."""


class QueueFull(Exception):
    """The greatest number of writers already waits for this lock."""


class Fault(Enum):
    """The classes of errors that are neither the client's mistake nor ours."""

    RETRY = auto()
    """The transaction lost a race to another one and changed nothing: run it again."""

    DISCONNECTED = auto()
    """The connection is lost and nothing was changed: run it again on another one."""

    UNAVAILABLE = auto()
    """The database cannot do the work now: answer 503."""


# Error numbers of MySQL and MariaDB, by the driver's names where it has right ones.
_RETRY: Final = {
    ER.LOCK_DEADLOCK,  # also a failed certification of Galera, often at COMMIT
    ER.LOCK_WAIT_TIMEOUT,
    ER.CHECKREAD,  # the row has changed since it was read
    1467,  # a timeout while waiting for the lock on a table's AUTO_INCREMENT
}
_DISCONNECTED: Final = {
    CR.CR_CONN_HOST_ERROR,
    CR.CR_SERVER_GONE_ERROR,
    CR.CR_SERVER_LOST,
    CR.CR_COMMANDS_OUT_OF_SYNC,
    4031,  # the server has closed an idle connection
}
_SERVER_UNABLE: Final = {
    ER.OPTION_PREVENTS_STATEMENT,  # read-only
    1792,  # the transaction is read-only
    1836,  # read-only
    ER.UNKNOWN_COM_ERROR,  # a node of Galera that is cut off from its cluster
}
_MYSQL_NAMES: Final = {
    number: f"{number} {name}"
    for constants in (ER, CR)
    for name, number in vars(constants).items()
    if name.isupper() and isinstance(number, int)
}
_UNAVAILABLE: Final = {
    ER.CON_COUNT_ERROR,  # too many connections
    ER.TOO_MANY_USER_CONNECTIONS,
    ER.USER_LIMIT_REACHED,
    ER.HOST_IS_BLOCKED,
    ER.SERVER_SHUTDOWN,
    ER.ERROR_DURING_COMMIT,
    3100,  # Group Replication refused the commit
    ER.STATEMENT_TIMEOUT,  # of MariaDB
    ER.QUERY_TIMEOUT,  # of MySQL
    ER.DISK_FULL,
    ER.FILSORT_ABORT,  # a sort was ended, by a full disk or by KILL
    ER.DBACCESS_DENIED_ERROR,
    ER.ACCESS_DENIED_ERROR,
    1698,  # access denied, because the account has no password
    ER.BAD_DB_ERROR,  # there is no such database
    CR.CR_SSL_CONNECTION_ERROR,
}
# SQLite's primary result codes: busy and locked. Below, unavailable: read-only, interrupted, I/O error, corrupt, full,
# cannot open, not a database.
_SQLITE_RETRY: Final = {5, 6}
# Constraints that another writer may have broken meanwhile: a unique key, a foreign key to this row, or one from it.
_LOST_RACES: Final = {ER.DUP_ENTRY, ER.ROW_IS_REFERENCED_2, ER.NO_REFERENCED_ROW_2}
_SQLITE_LOST_RACES: Final = {
    sqlite3.SQLITE_CONSTRAINT_UNIQUE,
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY,
    sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY,
}
_SQLITE_UNAVAILABLE: Final = {8, 9, 10, 11, 13, 14, 26}


def classify_fault(error: BaseException) -> Fault | None:
    """Return the class of an error, or None if it is our mistake.

    A failed unique or foreign key counts as a lost race, other constraints as our mistake.
    """
    if isinstance(error, PoolTimeout | TimeoutError | QueueFull):
        return Fault.UNAVAILABLE
    if isinstance(error, IntegrityError | pymysql.err.IntegrityError | sqlite3.IntegrityError):
        return Fault.RETRY if _is_lost_race(error) else None
    if isinstance(error, OSError) or getattr(error, "connection_invalidated", False):
        return _classify_number(error) or Fault.DISCONNECTED
    return _classify_number(error) if isinstance(error, DBAPIError | pymysql.err.MySQLError | sqlite3.Error) else None


def is_commit_refused(error: BaseException) -> bool:
    """Whether a failed COMMIT certainly had no effect: the database refused it over a working connection."""
    return classify_fault(error) in {Fault.RETRY, Fault.UNAVAILABLE} and _get_number(error) not in {
        None,
        ER.ERROR_DURING_COMMIT,
    }


def describe_error(error: BaseException) -> str:
    """Return an error's type and number for the log, without the server's message, which contains values."""
    original = getattr(error, "orig", None) or error
    number = _get_number(error)
    code = getattr(original, "sqlite_errorname", None) or _MYSQL_NAMES.get(number or 0, number)
    return type(original).__name__ + (f" {code}" if code is not None else "")


def is_server_unable(error: BaseException) -> bool:
    """Whether the server answers but does no work: it is read-only, or cut off from its cluster."""
    return _get_number(error) in _SERVER_UNABLE


def _is_lost_race(error: BaseException) -> bool:
    code = getattr(getattr(error, "orig", None) or error, "sqlite_errorcode", None)
    return code in _SQLITE_LOST_RACES if code is not None else _get_number(error) in _LOST_RACES


def _classify_number(error: BaseException) -> Fault | None:
    number = _get_number(error)
    on_sqlite = isinstance(getattr(error, "orig", error), sqlite3.Error)
    retry, unavailable = (_SQLITE_RETRY, _SQLITE_UNAVAILABLE) if on_sqlite else (_RETRY, _UNAVAILABLE | _SERVER_UNABLE)
    if number in retry:
        return Fault.RETRY
    if number in unavailable:
        return Fault.UNAVAILABLE
    return Fault.DISCONNECTED if number in _DISCONNECTED and not on_sqlite else None


def _get_number(error: BaseException) -> int | None:
    # The driver's error, which SQLAlchemy wraps as `orig`.
    original = getattr(error, "orig", None) or error
    if hasattr(original, "sqlite_errorcode"):
        return int(original.sqlite_errorcode) & 0xFF
    return original.args[0] if original.args and isinstance(original.args[0], int) else None
