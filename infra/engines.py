"""The SQLAlchemy engines: connection arguments and event listeners for SQLite and MySQL."""

import sqlite3
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date, datetime
from typing import Any, Final

from pymysql.constants import CR, FIELD_TYPE
from pymysql.err import OperationalError
from sqlalchemy import URL, Engine, NullPool, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from config import Settings
from infra.database_file import DatabaseFile
from infra.faults import Fault, classify_fault, is_connection_spoilt, is_database_error
from infra.lost_connections import translate_closed_transport
from infra.mysql_drivers import load_converters
from infra.ownership import UnownedStatement, refuse_unowned_once

# Deadlines of requests in seconds: reads, writes, writes that hash a password, for which they may have to wait ten
# seconds more, and those that change all rows of a ledger.
READ_DEADLINE: Final = 5
WRITE_DEADLINE: Final = 10
HASH_DEADLINE: Final = 20
LONG_DEADLINE: Final = 60
LOCK_WAIT_SECONDS: Final = 5
# A thread that waits for a SQLite file cannot be cancelled, so it waits for less, and the route class tries again.
SQLITE_BUSY_SECONDS: Final = 2
SQLITE_CACHE_KIB: Final = 16 * 1024
CONNECT_SECONDS: Final = 3
# For these statements a node of a Galera cluster waits: 1 reads, 2 UPDATE and DELETE, 4 INSERT.
WAIT_FOR_THE_CLUSTER: Final = 1 + 2 + 4


def make_engine(settings: Settings, file: DatabaseFile | None, *, autocommit: bool) -> AsyncEngine:
    """Return an engine for the configured database, without a pool: for reads, or for transactions.

    `file` is that of an SQLite database, of which no other is opened; None on MySQL.
    """
    options: dict[str, Any] = {}
    if autocommit:
        options |= {"isolation_level": "AUTOCOMMIT", "skip_autocommit_rollback": True}
    elif not settings.is_embedded:
        options |= {"isolation_level": "READ COMMITTED"}
    seconds = READ_DEADLINE if autocommit else LONG_DEADLINE
    arguments = {"isolation_level": None} if settings.is_embedded else _build_mysql_arguments(settings.url, seconds)
    engine = create_async_engine(
        settings.url,
        # infra/connection_pool.py keeps connections open.
        poolclass=NullPool,
        pool_reset_on_return=None,
        hide_parameters=True,
        connect_args=arguments,
        **options,
    )
    event.listen(engine.sync_engine, "before_cursor_execute", refuse_unowned_once)
    event.listen(engine.sync_engine, "handle_error", discard_if_in_doubt)
    if file is not None:
        _listen_on_sqlite(engine, file)
    else:
        event.listen(engine.sync_engine, "handle_error", name_lost_connection)
        event.listen(engine.sync_engine, "connect", wait_for_the_cluster)
        if "ssl_ca" in settings.url.query:
            event.listen(engine.sync_engine, "connect", refuse_plain_text)
    return engine


def discard_if_in_doubt(context: ExceptionContext) -> None:
    """Let SQLAlchemy discard the connection after an error that it would keep it for.

    An error that is not the database's may have left the rest of an answer unread, which the next statement would get.
    """
    error = context.original_exception
    was_sent = not isinstance(error, UnownedStatement)
    is_lost = not is_database_error(error) or classify_fault(error) is Fault.DISCONNECTED
    if is_connection_spoilt(error) or (was_sent and is_lost):
        context.is_disconnect = True


def make_blocking_engine(url: URL) -> Engine:
    """Return an engine for commands: it serves no request, and so its statements may read the rows of all owners."""
    return create_engine(url, poolclass=NullPool, hide_parameters=True, connect_args=build_tls_arguments(url))


def _parse_instant(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+00:00")


def _build_mysql_arguments(url: URL, seconds: int) -> dict[str, Any]:
    settings = [
        f"innodb_lock_wait_timeout = {LOCK_WAIT_SECONDS}",
        "time_zone = '+00:00'",
        "sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,NO_ENGINE_SUBSTITUTION'",
    ]
    # The server stops a statement that runs longer than any request on this engine may take. MariaDB executes the first
    # comment, MySQL the second, which limits only SELECT.
    limits = f" /*M!100100 , max_statement_time = {seconds} */ /*!80000 , max_execution_time = {seconds * 1000} */"
    arguments = {
        "charset": "utf8mb4",
        "connect_timeout": CONNECT_SECONDS,
        "init_command": f"SET SESSION {', '.join(settings)}{limits}",
        # aiomysql's own converters use regular expressions, which are slow: a page of 50 rows has 150 dates.
        "conv": load_converters(url.get_driver_name())
        | {FIELD_TYPE.DATE: date.fromisoformat, FIELD_TYPE.DATETIME: _parse_instant},
    }
    return arguments | build_tls_arguments(url)


class CertificateError(Exception):
    """A certificate that DATABASE_URL names cannot be used; the message says which, and why."""


def build_tls_arguments(url: URL) -> dict[str, ssl.SSLContext]:
    """Return the argument with which a driver speaks TLS, or none; raise CertificateError if a file is not to be used.

    SQLAlchemy would pass a dict, which PyMySQL takes; aiomysql takes a context.
    """
    return {"ssl": _build_tls_context(url)} if "ssl_ca" in url.query else {}


def _build_tls_context(url: URL) -> ssl.SSLContext:
    """Return the TLS context: `ssl_ca` verifies the server, `ssl_cert` and `ssl_key` are the client's certificate."""
    with _explain_certificate(url, "ssl_ca"):
        context = ssl.create_default_context(cafile=str(url.query["ssl_ca"]))
    if "ssl_cert" in url.query:
        with _explain_certificate(url, "ssl_cert", "ssl_key"):
            context.load_cert_chain(str(url.query["ssl_cert"]), url.query.get("ssl_key"))  # type: ignore[arg-type]  # given once
    return context


@contextmanager
def _explain_certificate(url: URL, *names: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:  # of which ssl.SSLError is one
        files = ", ".join(f"{name}={url.query[name]}" for name in names if name in url.query)
        reason = error.strerror or type(error).__name__
        raise CertificateError(f"DATABASE_URL asks for TLS, but {files} cannot be used ({reason}).") from None


def refuse_plain_text(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    """Raise OperationalError if a connection has no TLS.

    aiomysql continues without TLS if the server offers none; PyMySQL, the driver of the commands, refuses by itself.
    """
    cursor = connection.cursor()
    cursor.execute("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
    row = cursor.fetchone()
    cursor.close()
    if row is None or not row[1]:
        raise OperationalError(CR.CR_SSL_CONNECTION_ERROR, "the server offers no TLS")


def wait_for_the_cluster(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    """On a node of a Galera cluster, let each transaction begin with all that the other nodes have committed.

    Otherwise a session that was ended on one node opens for a moment on another, for long after a node stood still. On
    other servers nothing is set: MySQL and some builds of MariaDB do not know the variable. A node that is cut off from
    the cluster then answers 1205 at once instead of 1047: the request is tried again, and its answer is 503.
    """
    cursor = connection.cursor()
    cursor.execute("SHOW VARIABLES LIKE 'wsrep_on'")
    if cursor.fetchone() == ("wsrep_on", "ON"):
        cursor.execute(f"SET SESSION wsrep_sync_wait = {WAIT_FOR_THE_CLUSTER}")
    cursor.close()


def _listen_on_sqlite(engine: AsyncEngine, file: DatabaseFile) -> None:
    # A missing file is not created: whoever has moved it away would find the service going on with an empty one.
    @event.listens_for(engine.sync_engine, "do_connect")
    def name_existing_file(_: object, __: object, arguments: list[Any], options: dict[str, Any]) -> None:
        file.refuse_another()
        arguments[0] = file.uri
        options["uri"] = True

    event.listen(engine.sync_engine, "connect", _configure_sqlite)

    # SQLite keeps a closed connection, with the lock of its transaction, until its last cursor is deleted. The
    # traceback of a cancelled statement refers to its cursor, which so stays until garbage is collected.
    @event.listens_for(engine.sync_engine, "invalidate")
    def roll_back(connection: DBAPIConnection, _: ConnectionPoolEntry, __: BaseException | None) -> None:
        with suppress(sqlite3.Error):
            connection.rollback()


def _configure_sqlite(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    for pragma in (
        "foreign_keys = ON",
        "journal_mode = WAL",
        f"cache_size = -{SQLITE_CACHE_KIB}",
        f"busy_timeout = {SQLITE_BUSY_SECONDS * 1000}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def name_lost_connection(context: ExceptionContext) -> Exception | None:
    """Return the error of a lost connection for uvloop's RuntimeError, and let SQLAlchemy discard the connection."""
    connection = context.connection
    driver = connection.connection.driver_connection if connection and not connection.invalidated else None
    lost = translate_closed_transport(context.original_exception, driver)
    if lost is None:
        return None
    context.is_disconnect = True
    return DBAPIError(context.statement, None, lost, hide_parameters=True, connection_invalidated=True)
