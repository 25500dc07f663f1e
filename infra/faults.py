"""Classifies errors of the database by what the route class does after them.

    error                                            class          what follows
    deadlock, lock timeout, broken unique or         RETRY          the transaction is run again,
      foreign key, SQLite busy or locked, a                           up to 3 times, then 503
      statement that was killed, or that touched
      another number of rows than it must
    connection lost, reset or refused                DISCONNECTED   it is run again once on another
                                                                      connection, then 503
    the account has its share of the turns, and      OWN_QUEUE      429 at once
      as many of its requests wait as may
    pool or queue full, timeout, access denied,      UNAVAILABLE    503 at once
      server or file read-only, full, broken or
      shutting down, out of memory, tables missing
    every other error, such as wrong SQL             None           it is our mistake: 500
    error during COMMIT, unless it is one that       CommitLost     503 outcome_unknown: the client repeats
      says that nothing was committed

Another writer can insert the same unique key, or delete the row that a foreign key needs, after we have checked for it.
So a broken constraint counts as a lost race: in the next run the check sees the other writer's rows.
"""

import sqlite3
from enum import Enum, auto
from typing import Final

from pymysql.constants import CR, ER
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from infra.mysql_drivers import is_driver_error


class CommitLost(Exception):
    """The connection was lost during COMMIT, so that nobody knows whether the transaction was committed."""


class RowsMissed(Exception):
    """A statement touched another number of rows than it must: it was ended early, or the rows have changed."""


class QueueFull(Exception):
    """The greatest number of requests already waits, or this one has waited for too long."""


class OwnQueueFull(QueueFull):
    """The same, because of other requests of the same client: an account, or an address."""


class Fault(Enum):
    """The classes of errors that are neither the client's mistake nor ours."""

    RETRY = auto()
    """The transaction lost a race to another one and changed nothing: run it again."""

    DISCONNECTED = auto()
    """The connection is lost and nothing was changed: run it again on another one."""

    OWN_QUEUE = auto()
    """The account has too many requests under way: answer 429."""

    UNAVAILABLE = auto()
    """The database cannot do the work now: answer 503."""


# Error numbers of MySQL and MariaDB, by the driver's names where it has right ones.
_REFUSED: Final = {
    ER.LOCK_DEADLOCK,  # also a failed certification of Galera, often at COMMIT
    ER.LOCK_WAIT_TIMEOUT,
    ER.CHECKREAD,  # the row has changed since it was read
    1467,  # a timeout while waiting for the lock on a table's AUTO_INCREMENT
    1689,  # the wait for a lock was ended for another one
    3101,  # Group Replication has rolled the transaction back
}
_RETRY: Final = _REFUSED | {
    ER.QUERY_INTERRUPTED,  # KILL QUERY; the transaction is still open
    ER.TABLE_DEF_CHANGED,
}
_DISCONNECTED: Final = {
    0,  # the driver itself has closed the connection
    CR.CR_CONNECTION_ERROR,
    CR.CR_CONN_HOST_ERROR,
    CR.CR_UNKNOWN_HOST,
    CR.CR_SERVER_GONE_ERROR,
    CR.CR_SERVER_HANDSHAKE_ERR,
    CR.CR_SERVER_LOST,
    CR.CR_COMMANDS_OUT_OF_SYNC,
    CR.CR_SERVER_LOST_EXTENDED,
    ER.FORCING_CLOSE,
    ER.ABORTING_CONNECTION,
    ER.NEW_ABORTING_CONNECTION,
    ER.NET_READ_ERROR,
    ER.NET_READ_INTERRUPTED,
    ER.NET_ERROR_ON_WRITE,
    ER.NET_WRITE_INTERRUPTED,
    1927,  # the connection was killed, on MariaDB
    3169,  # the same on MySQL
    4031,  # the server has closed an idle connection
}
_SERVER_UNABLE: Final = {
    ER.OPTION_PREVENTS_STATEMENT,  # read-only
    1792,  # the transaction is read-only
    1836,  # read-only
    1874,  # InnoDB is read-only
    3032,  # offline
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
    ER.HOST_NOT_PRIVILEGED,
    ER.BAD_HOST_ERROR,
    ER.HANDSHAKE_ERROR,
    ER.SERVER_SHUTDOWN,
    ER.NORMAL_SHUTDOWN,
    ER.SHUTDOWN_COMPLETE,
    3168,  # the server is not available
    ER.ERROR_DURING_COMMIT,
    ER.ERROR_DURING_ROLLBACK,
    3100,  # Group Replication refused the commit
    ER.STATEMENT_TIMEOUT,  # of MariaDB
    ER.QUERY_TIMEOUT,  # of MySQL
    ER.DISK_FULL,
    ER.RECORD_FILE_FULL,  # "the table is full": the disk is
    ER.TRANS_CACHE_FULL,
    1598,  # the binary log cannot be written
    ER.FILSORT_ABORT,  # a sort was ended, by a full disk or by KILL
    ER.OUTOFMEMORY,
    ER.OUT_OF_SORTMEMORY,
    ER.OUT_OF_RESOURCES,
    ER.CANT_CREATE_THREAD,
    ER.LOCK_TABLE_FULL,
    1637,  # too many transactions at once
    # The disk fails, or a table on it is damaged.
    ER.CANT_LOCK,
    ER.CANT_OPEN_FILE,
    ER.ERROR_ON_CLOSE,
    ER.ERROR_ON_READ,
    ER.ERROR_ON_WRITE,
    ER.GET_ERRNO,  # an error of the storage engine, such as a full disk
    ER.NOT_KEYFILE,
    ER.OLD_KEYFILE,
    ER.OPEN_AS_READONLY,
    ER.CRASHED_ON_USAGE,
    ER.CRASHED_ON_REPAIR,
    1812,  # the table's file is missing
    1814,  # the table's file was discarded
    1877,  # the table is damaged
    1932,  # the table's definition is there, and the table is not
    # What an operator does to a running service: rights taken away, a database dropped, or restored at this moment.
    ER.DBACCESS_DENIED_ERROR,
    ER.ACCESS_DENIED_ERROR,
    ER.TABLEACCESS_DENIED_ERROR,
    ER.COLUMNACCESS_DENIED_ERROR,
    ER.SPECIFIC_ACCESS_DENIED_ERROR,
    1698,  # access denied, because the account has no password
    ER.NO_DB_ERROR,
    ER.BAD_DB_ERROR,  # there is no such database
    ER.NO_SUCH_TABLE,
    CR.CR_SSL_CONNECTION_ERROR,
}
# SQLite's primary result codes.
_SQLITE_RETRY: Final = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
# The connection is of no more use: it stays read-only when the file is writable again, or what it has read is broken.
_SQLITE_SPOILT: Final = {
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_NOTADB,
}
_SQLITE_UNAVAILABLE: Final = _SQLITE_SPOILT | {
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PROTOCOL,
}
_SQLITE_REFUSED: Final = _SQLITE_RETRY | {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_INTERRUPT}
# Constraints that another writer may have broken meanwhile: a unique key, a foreign key to this row, or one from it.
_LOST_RACES: Final = {ER.DUP_ENTRY, ER.ROW_IS_REFERENCED_2, ER.NO_REFERENCED_ROW_2}
_SQLITE_LOST_RACES: Final = {
    sqlite3.SQLITE_CONSTRAINT_UNIQUE,
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY,
    sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY,
}


def classify_fault(error: BaseException) -> Fault | None:
    """Return the class of an error, or None if it is our mistake.

    A failed unique or foreign key counts as a lost race, other constraints as our mistake.
    """
    if isinstance(error, OwnQueueFull):
        return Fault.OWN_QUEUE
    if isinstance(error, PoolTimeout | TimeoutError | QueueFull):
        return Fault.UNAVAILABLE
    if isinstance(error, RowsMissed):
        return Fault.RETRY
    if isinstance(error, IntegrityError | sqlite3.IntegrityError) or is_driver_error(error, "IntegrityError"):
        return Fault.RETRY if _is_lost_race(error) else None
    if isinstance(error, OSError) or getattr(error, "connection_invalidated", False):
        return _classify_number(error) or Fault.DISCONNECTED
    return _classify_number(error) if is_database_error(error) else None


def is_commit_refused(error: BaseException) -> bool:
    """Whether a failed COMMIT certainly had no effect.

    A disk that fails, or a COMMIT that was killed, leaves it open: a log that was written in part may be found whole
    at the next start.
    """
    certain = _SQLITE_REFUSED if _is_of_sqlite(error) else _REFUSED | _SERVER_UNABLE
    return is_database_error(error) and _get_number(error) in certain


def describe_error(error: BaseException) -> str:
    """Return an error's type and number for the log, without the server's message, which contains values."""
    original = _unwrap(error)
    number = _get_number(error)
    code = getattr(original, "sqlite_errorname", None) or _MYSQL_NAMES.get(number or 0, number)
    return type(original).__name__ + (f" {code}" if code is not None else "")


def is_database_error(error: BaseException) -> bool:
    """Whether an error is the driver's, as it raised it or as SQLAlchemy wraps it: `describe_error` has its number."""
    return isinstance(error, DBAPIError | sqlite3.Error) or is_driver_error(error)


def is_connection_spoilt(error: BaseException) -> bool:
    """Whether the database answers, but does no work on this connection, and will do none when it is well again."""
    return _get_number(error) in (_SQLITE_SPOILT if _is_of_sqlite(error) else _SERVER_UNABLE)


def _is_lost_race(error: BaseException) -> bool:
    code = getattr(_unwrap(error), "sqlite_errorcode", None)
    return code in _SQLITE_LOST_RACES if code is not None else _get_number(error) in _LOST_RACES


def _classify_number(error: BaseException) -> Fault | None:
    number = _get_number(error)
    if _is_of_sqlite(error):
        if number == sqlite3.SQLITE_ERROR and "no such table" in str(error):
            return Fault.UNAVAILABLE
        retry, unavailable = _SQLITE_RETRY, _SQLITE_UNAVAILABLE
    else:
        retry, unavailable = _RETRY, _UNAVAILABLE | _SERVER_UNABLE
    if number is None and is_driver_error(_unwrap(error), "InternalError"):
        # The driver cannot read what the server sends: "Packet sequence number wrong".
        return Fault.DISCONNECTED
    if number in retry:
        return Fault.RETRY
    if number in unavailable:
        return Fault.UNAVAILABLE
    return Fault.DISCONNECTED if number in _DISCONNECTED else None


def _is_of_sqlite(error: BaseException) -> bool:
    return isinstance(_unwrap(error), sqlite3.Error)


def _unwrap(error: BaseException) -> BaseException:
    """Return the driver's error that SQLAlchemy has wrapped, or the error itself."""
    return getattr(error, "orig", None) or error


def _get_number(error: BaseException) -> int | None:
    original = _unwrap(error)
    if hasattr(original, "sqlite_errorcode"):
        return int(original.sqlite_errorcode) & 0xFF
    return original.args[0] if original.args and isinstance(original.args[0], int) else None
