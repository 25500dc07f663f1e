"""The classes of database errors."""

import sqlite3

import pymysql
import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from infra.faults import Fault, QueueFull, RowsMissed, classify_fault, describe_error, is_commit_refused


def by_mysql(number: int, kind: type[DBAPIError] = OperationalError, *, is_gone: bool = False) -> DBAPIError:
    return kind("SELECT 1", {}, pymysql.err.OperationalError(number, "…"), connection_invalidated=is_gone)


def constraint_of_sqlite(code: int) -> DBAPIError:
    error = sqlite3.IntegrityError("…")
    error.sqlite_errorcode = code
    return IntegrityError("INSERT", {}, error)


def by_sqlite(code: int, *, said: str = "…") -> DBAPIError:
    error = sqlite3.OperationalError(said)
    error.sqlite_errorcode = code
    return OperationalError("SELECT 1", {}, error)


# Class by class.
CLASSES: dict[str, tuple[BaseException, Fault | None]] = {
    "deadlock": (by_mysql(1213), Fault.RETRY),
    "waited for the numbering of a table": (by_mysql(1467), Fault.RETRY),
    "lock wait": (by_mysql(1205), Fault.RETRY),
    "changed since read": (by_mysql(1020), Fault.RETRY),
    "deadlock, by the driver": (pymysql.err.OperationalError(1213, "…"), Fault.RETRY),
    "duplicate": (by_mysql(1062, IntegrityError), Fault.RETRY),
    "still referred to": (by_mysql(1451, IntegrityError), Fault.RETRY),
    "refers to nothing": (by_mysql(1452, IntegrityError), Fault.RETRY),
    "no connection": (by_mysql(2003), Fault.DISCONNECTED),
    "server gone": (by_mysql(2006), Fault.DISCONNECTED),
    "connection lost": (by_mysql(2013, is_gone=True), Fault.DISCONNECTED),
    "connection lost, by the driver": (pymysql.err.OperationalError(2013, "…"), Fault.DISCONNECTED),
    "connection reset": (ConnectionResetError(), Fault.DISCONNECTED),
    "connection refused": (ConnectionRefusedError(), Fault.DISCONNECTED),
    "read-only server": (by_mysql(1290, is_gone=True), Fault.UNAVAILABLE),
    "read-only transaction": (by_mysql(1792, is_gone=True), Fault.UNAVAILABLE),
    "read-only engine": (by_mysql(1836, is_gone=True), Fault.UNAVAILABLE),
    "node without a cluster": (by_mysql(1047, is_gone=True), Fault.UNAVAILABLE),
    "read-only server, by the driver": (pymysql.err.OperationalError(1290, "…"), Fault.UNAVAILABLE),
    "too many connections": (by_mysql(1040), Fault.UNAVAILABLE),
    "too many of the user's": (by_mysql(1203), Fault.UNAVAILABLE),
    "resources used up": (by_mysql(1226), Fault.UNAVAILABLE),
    "statement took too long on MariaDB": (by_mysql(1969), Fault.UNAVAILABLE),
    "statement took too long on MySQL": (by_mysql(3024), Fault.UNAVAILABLE),
    "disk full": (by_mysql(1021), Fault.UNAVAILABLE),
    "pool empty": (PoolTimeout(), Fault.UNAVAILABLE),
    "deadline": (TimeoutError(), Fault.UNAVAILABLE),
    "queue full": (QueueFull(), Fault.UNAVAILABLE),
    "too long a value": (by_mysql(1406), None),
    "out of range": (by_mysql(1264), None),
    "not the column's text": (by_mysql(1366), None),
    "broken SQL": (by_mysql(1064, ProgrammingError), None),
    "no such table": (by_mysql(1146, ProgrammingError), Fault.UNAVAILABLE),
    "no database chosen": (by_mysql(1046), Fault.UNAVAILABLE),
    "no such database": (by_mysql(1049), Fault.UNAVAILABLE),
    "no right to the table": (by_mysql(1142), Fault.UNAVAILABLE),
    "table full": (by_mysql(1114), Fault.UNAVAILABLE),
    "storage engine": (by_mysql(1030), Fault.UNAVAILABLE),
    "file not written": (by_mysql(1026), Fault.UNAVAILABLE),
    "crashed table": (by_mysql(1194), Fault.UNAVAILABLE),
    "out of memory": (by_mysql(1041), Fault.UNAVAILABLE),
    "out of sort memory": (by_mysql(1038), Fault.UNAVAILABLE),
    "no more threads": (by_mysql(1135), Fault.UNAVAILABLE),
    "too many locks": (by_mysql(1206), Fault.UNAVAILABLE),
    "read-only InnoDB": (by_mysql(1874), Fault.UNAVAILABLE),
    "statement killed": (by_mysql(1317), Fault.RETRY),
    "table altered": (by_mysql(1412), Fault.RETRY),
    "rolled back by its group": (by_mysql(3101), Fault.RETRY),
    "too few rows": (RowsMissed(1, 0), Fault.RETRY),
    "connection killed": (by_mysql(1927), Fault.DISCONNECTED),
    "connection killed on MySQL": (by_mysql(3169), Fault.DISCONNECTED),
    "server does not read": (by_mysql(1158), Fault.DISCONNECTED),
    "server does not write": (by_mysql(1161), Fault.DISCONNECTED),
    "lost, and says more": (by_mysql(2055), Fault.DISCONNECTED),
    "no such column": (by_mysql(1054), None),
    "SQLite busy": (by_sqlite(sqlite3.SQLITE_BUSY), Fault.RETRY),
    "SQLite busy with its snapshot": (by_sqlite(sqlite3.SQLITE_BUSY_SNAPSHOT), Fault.RETRY),
    "SQLite locked": (by_sqlite(sqlite3.SQLITE_LOCKED), Fault.RETRY),
    "SQLite duplicate": (constraint_of_sqlite(sqlite3.SQLITE_CONSTRAINT_UNIQUE), Fault.RETRY),
    "SQLite duplicate key": (constraint_of_sqlite(sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY), Fault.RETRY),
    "SQLite refers to nothing": (constraint_of_sqlite(sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY), Fault.RETRY),
    "SQLite, a null of ours": (constraint_of_sqlite(sqlite3.SQLITE_CONSTRAINT_NOTNULL), None),
    "SQLite, a check": (constraint_of_sqlite(sqlite3.SQLITE_CONSTRAINT_CHECK), None),
    "SQLite interrupted": (by_sqlite(sqlite3.SQLITE_INTERRUPT), Fault.UNAVAILABLE),
    "a null of ours": (by_mysql(1048, IntegrityError), None),
    "a check": (by_mysql(4025, IntegrityError), None),
    "no TLS": (by_mysql(2026), Fault.UNAVAILABLE),
    "access denied": (by_mysql(1045), Fault.UNAVAILABLE),
    "access denied to the socket's root": (by_mysql(1698), Fault.UNAVAILABLE),
    "SQLite read-only": (by_sqlite(sqlite3.SQLITE_READONLY_DBMOVED), Fault.UNAVAILABLE),
    "SQLite full": (by_sqlite(sqlite3.SQLITE_FULL), Fault.UNAVAILABLE),
    "SQLite I/O": (by_sqlite(sqlite3.SQLITE_IOERR_WRITE), Fault.UNAVAILABLE),
    "SQLite cannot open": (by_sqlite(sqlite3.SQLITE_CANTOPEN), Fault.UNAVAILABLE),
    "SQLite, no database": (by_sqlite(sqlite3.SQLITE_NOTADB), Fault.UNAVAILABLE),
    "SQLite broken": (by_sqlite(sqlite3.SQLITE_CORRUPT), Fault.UNAVAILABLE),
    "SQLite, no such table": (by_sqlite(sqlite3.SQLITE_ERROR, said="no such table: users"), Fault.UNAVAILABLE),
    "SQLite, broken SQL": (by_sqlite(sqlite3.SQLITE_ERROR), None),
    "a slip of ours": (KeyError("owner"), None),
    "a wrong value of ours": (ValueError(), None),
}


@pytest.mark.parametrize(("error", "fault"), CLASSES.values(), ids=CLASSES)
def test_a_failure_asks_for_what_its_class_says(error: BaseException, fault: Fault | None) -> None:
    assert classify_fault(error) is fault


@pytest.mark.parametrize(
    ("error", "is_refused"),
    [
        (by_mysql(1213), True),
        (by_mysql(1290), True),
        (by_sqlite(sqlite3.SQLITE_BUSY), True),
        (by_sqlite(sqlite3.SQLITE_FULL), True),
        (by_mysql(1317), False),
        (by_mysql(1180), False),
        (by_mysql(1026), False),
        (by_mysql(2013, is_gone=True), False),
        (by_sqlite(sqlite3.SQLITE_IOERR_FSYNC), False),
        (TimeoutError(), False),
    ],
    ids=lambda it: describe_error(it) if isinstance(it, BaseException) else None,
)
def test_a_failed_commit_had_no_effect_only_if_its_error_says_so(error: BaseException, *, is_refused: bool) -> None:
    assert is_commit_refused(error) is is_refused


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (by_mysql(1062, IntegrityError), "OperationalError 1062 DUP_ENTRY"),
        (pymysql.err.OperationalError(2013, "Lost connection to hunter2"), "OperationalError 2013 CR_SERVER_LOST"),
        (PoolTimeout("hunter2"), "TimeoutError"),
        (KeyError("hunter2"), "KeyError"),
    ],
)
def test_a_log_names_the_kind_and_the_number_and_no_value(error: BaseException, said: str) -> None:
    assert describe_error(error) == said
