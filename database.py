"""The database: declarative base, the engines, and the unit of work of a request.

    connection()        reads in autocommit, on a connection of the pool for reads
    begin_snapshot()    what is read from now on is of one moment
    begin(owner_id)     releases that connection, waits in the queue of the owner's lock (on SQLite: of the file), takes
                          a connection of the pool for transactions, and begins one
    connection()        from now on the transaction's connection
    commit()            once, at the end
    __aexit__           rolls back what was not committed, and returns the connection and the lock

Writers wait in the queue without a connection, so that the writers of one owner do not use up the pool. Turns at the
file of SQLite go round the accounts (infra/fair_turns.py).
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, Self

from sqlalchemy import CursorResult, MetaData
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import DeclarativeBase

from config import Settings
from infra.connection_pool import ConnectionPool, PooledConnection
from infra.database_file import DatabaseFile
from infra.fair_turns import Turn
from infra.faults import CommitLost, describe_error, is_commit_refused, is_connection_spoilt
from infra.pools import LEDGER_LOCK, Pools, make_pool

INTERRUPT_INTERVAL: Final = 0.1
_SNAPSHOT_ON_SQLITE: Final = ("BEGIN",)
# SET applies to the next transaction alone.
_SNAPSHOT_ON_MYSQL: Final = (
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
)
# The event loop keeps no task alive by itself.
_FINISHING: Final = set[asyncio.Task[None]]()


class Base(DeclarativeBase):
    """The base class of all tables; it gives constraints the names by which migrations change them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def now() -> datetime:
    """Return the current time in UTC, without microseconds."""
    return datetime.now(UTC).replace(microsecond=0)


def get_inserted_id(result: CursorResult[Any]) -> int:
    """Return the id that the database has given to one inserted row; raise TypeError if its table gives none."""
    key = result.inserted_primary_key
    if key is None or len(key) != 1:
        raise TypeError("this table does not number its rows")
    return int(key[0])


class Database:
    """The pools of one URL: one for transactions, one in autocommit for reads, and a small one for `/ready`."""

    def __init__(self, settings: Settings) -> None:
        self.is_embedded = settings.is_embedded
        self.file = DatabaseFile(str(settings.url.database)) if settings.is_embedded else None
        self._pools = Pools.build(settings, self.file)
        # `/ready` has a connection of its own: a service whose pools are used up is busy, not broken.
        self._probe = replace(self._pools, read=make_pool(settings, self.file, autocommit=True, size=1))

    @property
    def pools(self) -> tuple[ConnectionPool, ConnectionPool]:
        """The pool of transactions and the pool of reads."""
        return self._pools.work, self._pools.read

    def new_unit(self, deadline: float | None = None, when_waiting: Callable[[], None] = lambda: None) -> "UnitOfWork":
        """Return a unit of work for `async with`; a statement that still runs at `deadline` (loop time) is stopped.

        `when_waiting` is called before the unit waits for a lock, or its user for something else.
        """
        return UnitOfWork(self._pools, deadline, when_waiting)

    def new_probe(self) -> "UnitOfWork":
        """Return a unit of work that reads on a connection which no request uses."""
        return UnitOfWork(self._probe)

    async def is_writable(self) -> bool:
        """Whether the database accepts writes; nothing is written, and no lock is waited for."""
        if self.file is not None:
            return self.file.find_trouble() is None
        async with self.new_probe() as unit:
            connection = await unit.connection()
            try:
                # Refused by a read-only server, unless this account may write nevertheless.
                await connection.exec_driver_sql("START TRANSACTION READ WRITE")
                await connection.exec_driver_sql("ROLLBACK")
                return not (await connection.exec_driver_sql("SELECT @@innodb_read_only")).scalar_one()
            except DBAPIError as error:
                if is_connection_spoilt(error):
                    return False
                raise

    async def close(self) -> None:
        """Close all connections."""
        for pool in (*self.pools, self._probe.read):
            await pool.close()


class UnitOfWork:
    """The database work of one request: reads in autocommit, then at most one transaction, committed once."""

    def __init__(
        self, pools: Pools, deadline: float | None = None, when_waiting: Callable[[], None] = lambda: None
    ) -> None:
        self._pools = pools
        self._deadline = deadline
        self._when_waiting = when_waiting
        self._client: Hashable = None
        self._alarm: asyncio.TimerHandle | None = None
        self._interruptions: list[asyncio.Task[None]] = []
        self._reading: PooledConnection | None = None
        self._writing: PooledConnection | None = None
        self._has_begun = False
        self._has_snapshot = False
        self._writer_turn: Turn | None = None

    async def __aenter__(self) -> Self:
        """Start the timer of the deadline; connections and locks are taken when they are needed."""
        self.stop_statements_at(self._deadline)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Roll back what was not committed; return the connections and the lock."""
        if self._alarm is not None:
            self._alarm.cancel()
        try:
            await self._release_reading()
            if self._writing is not None:
                connection, self._writing = self._writing, None
                await self._end(connection)
        finally:
            if self._writer_turn is not None:
                self._writer_turn.release()
                self._writer_turn = None

    def stop_statements_at(self, deadline: float | None) -> None:
        """Move the deadline (loop time) of the statements; None: there is none."""
        self._deadline = deadline
        if self._alarm is not None:
            self._alarm.cancel()
        # MySQL stops a long statement itself. SQLite runs in a thread, which cannot be cancelled, and a connection
        # cannot be closed before its statement ends; so its statement is interrupted at the deadline.
        if deadline is not None and self._pools.is_single_writer:
            self._alarm = asyncio.get_running_loop().call_at(deadline, self._interrupt)

    def _interrupt(self) -> None:
        # Repeat: the interrupt may have come between two statements.
        self._alarm = asyncio.get_running_loop().call_later(INTERRUPT_INTERVAL, self._interrupt)
        for connection in (self._reading, self._writing):
            if connection is not None and connection.is_usable:
                self._interruptions.append(asyncio.create_task(_interrupt_driver(connection.driver)))

    def act_for(self, client: Hashable) -> None:
        """Let what this unit writes take its turns at the file of SQLite as this client's, whoever owns the rows."""
        self._client = client

    async def connection(self) -> AsyncConnection:
        """Return the connection for reads: in autocommit, or the transaction's once it has begun."""
        if self._writing is not None:
            return self._writing.sqlalchemy
        if self._reading is None:
            self._reading = await self._pools.read.acquire()
        return self._reading.sqlalchemy

    async def begin_snapshot(self) -> None:
        """Let all that this unit reads be of one moment, until it ends; no writer waits for that."""
        connection = await self.connection()
        for statement in _SNAPSHOT_ON_SQLITE if self._pools.is_single_writer else _SNAPSHOT_ON_MYSQL:
            await connection.exec_driver_sql(statement)
        self._has_snapshot = True

    async def begin(self, owner_id: int | None = None, lock: str = LEDGER_LOCK) -> AsyncConnection:
        """Wait in the queue of the owner's `lock` (on SQLite: of the file), then begin the transaction.

        Returns the transaction's connection, at once if it has begun already. Raises QueueFull.
        """
        if self._writing is None:
            await self.release()
            client = owner_id if self._client is None else self._client
            self._writer_turn = await self._pools.writers.acquire(owner_id, lock, client)
            self._writing = await self._pools.work.acquire()
            self._has_begun = True
            await self._writing.begin()
        return self._writing.sqlalchemy

    @asynccontextmanager
    async def begin_separate(
        self, owner_id: int | None = None, lock: str = LEDGER_LOCK
    ) -> AsyncIterator[AsyncConnection]:
        """Run a separate transaction, committed at the end: its changes stay even if the request fails.

        Raises RuntimeError if this unit's transaction has begun: on SQLite it would wait for itself.
        """
        if self._writing is not None:
            raise RuntimeError("call begin_separate before begin")
        await self.release()
        async with UnitOfWork(self._pools, self._deadline, self._when_waiting) as unit:
            unit.act_for(self._client)
            yield await unit.begin(owner_id, lock)
            await unit.commit()

    async def release(self) -> None:
        """Return the reading connection to its pool, before hashing a password or waiting for a lock."""
        self._when_waiting()
        await self._release_reading()

    async def _release_reading(self) -> None:
        if self._reading is not None:
            connection, self._reading = self._reading, None
            if self._has_snapshot:
                await self._end_snapshot(connection)
            await self._pools.read.release(connection)

    async def _end_snapshot(self, connection: PooledConnection) -> None:
        self._has_snapshot = False
        try:
            if connection.is_usable:
                await connection.sqlalchemy.exec_driver_sql("ROLLBACK")
        except BaseException as error:
            # It would go on to read of that moment.
            await connection.invalidate(error)
            raise

    async def commit(self) -> None:
        """Commit the transaction, if any; raise CommitLost if the connection was lost and the outcome is unknown."""
        if self._writing is None:
            return
        if not self._pools.is_single_writer:
            await _commit(self._writing)
        else:
            committing = asyncio.create_task(_commit(self._writing))
            try:
                await asyncio.shield(committing)
            except asyncio.CancelledError as error:
                self._leave_to_itself(committing)
                raise CommitLost("it was still running at the deadline") from error
        self._has_begun = False

    def _leave_to_itself(self, committing: asyncio.Task[None]) -> None:
        # SQLite commits in a thread, which cannot be cancelled; if the disk stalls, nobody waits for it but the writers
        # that come next.
        connection, self._writing = self._writing, None
        turn, self._writer_turn = self._writer_turn, None

        async def finish() -> None:
            with suppress(Exception):
                await committing
            try:
                if connection is not None:
                    await self._end(connection)
            finally:
                if turn is not None:
                    turn.release()

        finishing = asyncio.create_task(finish())
        _FINISHING.add(finishing)
        finishing.add_done_callback(_FINISHING.discard)

    async def _end(self, connection: PooledConnection) -> None:
        """Roll back what was not committed, and return the connection."""
        try:
            if self._has_begun:
                await connection.roll_back()
        finally:
            await self._pools.work.release(connection)


async def _commit(connection: PooledConnection) -> None:
    """Commit; discard the connection and raise CommitLost, or the error of a COMMIT that had no effect."""
    try:
        await connection.commit()
    except BaseException as error:
        # The transaction may still be open: the connection is not used again.
        await connection.invalidate(error)
        if is_commit_refused(error):
            raise
        raise CommitLost(describe_error(error)) from error


async def _interrupt_driver(driver: Any) -> None:  # noqa: ANN401  # aiosqlite's connection
    """End the statement that runs; by the time this runs, the connection may have been closed."""
    with suppress(ValueError, sqlite3.ProgrammingError):
        await driver.interrupt()
