"""A pool of open connections, which the hot statements use without going through SQLAlchemy.

    acquire()    wait for one of `size` places, in the order of arrival, at most `timeout` seconds: then PoolTimeout
                 take the connection that was used last; ping it first if it has rested for 5 seconds
                 or open one, through the engine: its listeners set the session up (infra/engines.py)
    use          `driver`      for prepared statements (infra/prepared.py)
                 `sqlalchemy`  for all others
                 `begin`, `commit`, `roll_back`: by whichever of the two believes in the transaction
    release()    keep it open for the next request, or let it be closed if it is in doubt

A connection is in doubt after an error that may have left an answer unread (`invalidate`). If it was lost, or its
server takes no writes any more, so are all that were opened before: a server that was restarted has ended them all.

SQLAlchemy's own pool does the same, at several times the cost (decision 45). It is left out: each engine has a
NullPool, which opens a connection when it is asked for one.
"""

import asyncio
import sqlite3
import time
from contextlib import suppress
from typing import Any, Final

import aiosqlite
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from infra.database_file import DatabaseFile
from infra.faults import Fault, classify_fault, is_connection_spoilt
from infra.lost_connections import name_loss_while_connecting

PING_AFTER_SECONDS: Final = 5
PING_SECONDS: Final = 1


class PooledConnection:
    """An open connection, as the driver and SQLAlchemy see it."""

    def __init__(self, sqlalchemy: AsyncConnection, generation: int, file: DatabaseFile | None) -> None:
        self.sqlalchemy = sqlalchemy
        self.driver: Any = sqlalchemy.sync_connection.connection.driver_connection  # type: ignore[union-attr]  # it is open
        self.generation = generation
        """How many connections the pool had lost when this one was opened."""
        self.idle_since = time.monotonic()
        self._file = file

    @property
    def is_usable(self) -> bool:
        """Whether no error has put the connection in doubt."""
        return not self.sqlalchemy.closed and not self.sqlalchemy.invalidated

    async def begin(self) -> None:
        """Begin a transaction; MySQL does so by itself with the first statement."""
        if self._file is None:
            return
        # A deferred transaction that becomes a writer fails at once with "database is locked" if another one writes.
        try:
            await self.driver.execute("BEGIN IMMEDIATE")
        except BaseException as error:
            if is_connection_spoilt(error) or not isinstance(error, sqlite3.Error):
                await self.invalidate(error)
            raise

    async def commit(self) -> None:
        """Commit the transaction."""
        if self._file is not None:
            self._file.refuse_another()
        await self._find_holder().commit()

    async def roll_back(self) -> None:
        """Roll back the transaction, if the connection can; it is in doubt if it cannot."""
        if not self.is_usable:
            return
        try:
            await self._find_holder().rollback()
        except BaseException as error:
            await self.invalidate(error)
            if not isinstance(error, Exception):
                raise

    def _find_holder(self) -> Any:  # noqa: ANN401
        # SQLAlchemy believes in a transaction of its own once it has run a statement.
        return self.sqlalchemy if self.sqlalchemy.in_transaction() else self.driver

    async def invalidate(self, error: BaseException | None = None) -> None:
        """Close the connection at once: nobody knows what the server sends on it next."""
        if self.is_usable:
            await self.sqlalchemy.invalidate(error)

    async def ping(self) -> None:
        """Ask the server whether the connection is still open; raise if it is not."""
        if not isinstance(self.driver, aiosqlite.Connection):
            await self.driver.ping(reconnect=False)

    async def close(self) -> None:
        """Close the connection; what the server says to that, if anything, does not matter."""
        with suppress(DBAPIError, OSError, RuntimeError):
            await self.sqlalchemy.close()


class ConnectionPool:
    """At most `size` connections of one engine."""

    def __init__(self, engine: AsyncEngine, size: int, timeout: float, file: DatabaseFile | None) -> None:
        """`file` is that of an SQLite database: no connection is used while another file is in its place."""
        self.engine = engine
        self.in_use = 0
        self._places = asyncio.Semaphore(size)
        self._timeout = timeout
        self._file = file
        self._idle: list[PooledConnection] = []
        self._closing: set[asyncio.Task[None]] = set()
        self._generation = 0
        self._is_closed = False
        event.listen(engine.sync_engine, "invalidate", self._note_loss)

    async def acquire(self) -> PooledConnection:
        """Return a connection that nobody else uses; raise PoolTimeout, or why none can be opened."""
        await self._wait_for_place()
        try:
            if self._file is not None:
                self._file.refuse_another()
            connection = await self._take_idle() or await self._open()
        except BaseException:
            self._places.release()
            raise
        self.in_use += 1
        return connection

    async def release(self, connection: PooledConnection) -> None:
        """Take a connection back, which has no transaction; one that is in doubt is closed, and not waited for."""
        self.in_use -= 1
        try:
            if connection.sqlalchemy.in_transaction():
                # In autocommit this ends what only SQLAlchemy knows of; nothing is sent.
                await connection.roll_back()
        finally:
            is_doubtful = not connection.is_usable or connection.generation < self._generation
            if not is_doubtful and not self._is_closed:
                connection.idle_since = time.monotonic()
                self._idle.append(connection)
                self._places.release()
            else:
                # Nobody waits for it: what was committed must not be answered with 503 at a deadline.
                closing = asyncio.create_task(self._close(connection))
                self._closing.add(closing)
                closing.add_done_callback(self._closing.discard)

    async def _close(self, connection: PooledConnection) -> None:
        try:
            await connection.close()
        finally:
            self._places.release()

    async def close(self) -> None:
        """Close the connections that nobody uses; the others are closed when they are released."""
        self._is_closed = True
        while self._idle:
            await self._idle.pop().close()
        await asyncio.gather(*self._closing, return_exceptions=True)
        await self.engine.dispose()

    async def _wait_for_place(self) -> None:
        if not self._places.locked():
            await self._places.acquire()
            return
        try:
            async with asyncio.timeout(self._timeout):
                await self._places.acquire()
        except TimeoutError:
            raise PoolTimeout(f"no connection became free within {self._timeout} s") from None

    async def _take_idle(self) -> PooledConnection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.generation == self._generation and await self._still_answers(connection):
                return connection
            await connection.close()
        return None

    async def _still_answers(self, connection: PooledConnection) -> bool:
        # The server may have closed a connection that rests. A ping each time would cost 50 us.
        if time.monotonic() - connection.idle_since <= PING_AFTER_SECONDS:
            return True
        try:
            async with asyncio.timeout(PING_SECONDS):
                await connection.ping()
        except BaseException as error:
            # Without the error: the others are pinged too before they are used.
            await connection.invalidate()
            if isinstance(error, TimeoutError):
                # Something between has forgotten the connection without a word, and so the others that rested.
                self._generation += 1
            if not isinstance(error, Exception):
                raise
            return False
        return True

    async def _open(self) -> PooledConnection:
        generation = self._generation
        with name_loss_while_connecting():
            return PooledConnection(await self.engine.connect(), generation, self._file)

    def _note_loss(self, _: object, __: object, error: BaseException | None) -> None:
        # A RuntimeError is nearly always uvloop's, of a closed transport.
        if error is not None and (
            isinstance(error, RuntimeError)
            or classify_fault(error) is Fault.DISCONNECTED
            or is_connection_spoilt(error)
        ):
            self._generation += 1
