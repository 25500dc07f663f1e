"""The database: declarative base, the two engines, and the unit of work."""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final, Self
from weakref import WeakValueDictionary

from sqlalchemy import CursorResult, MetaData
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.orm import DeclarativeBase

from config import Settings
from infra.engines import make_engine
from infra.faults import CommitLost, QueueFull, describe_error, is_commit_refused

INTERRUPT_INTERVAL: Final = 0.1


class Base(DeclarativeBase):
    """What every table derives from; constraints are named by one convention, so that migrations can address them."""

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
    """Return this second, in UTC."""
    return datetime.now(UTC).replace(microsecond=0)


def get_inserted_id(result: CursorResult[Any]) -> int:
    """Return the id of the one row that was inserted, into a table that numbers its rows."""
    key = result.inserted_primary_key
    if key is None or len(key) != 1:
        raise TypeError("this table does not number its rows")
    return int(key[0])


# The locks of an owner that writers wait for, each with a queue of its own: the ledger's row, and the user's, which
# some want for themselves, while a sign-in shares it with every row that refers to the user.
LEDGER_LOCK: Final = "ledger"
ACCOUNT_LOCK: Final = "account"
SESSIONS_LOCK: Final = "sessions"


class _CountingLock(asyncio.Lock):
    """One place at a lock, and how many wait for it."""

    waiting = 0


class WriterQueue:
    """Where writers wait for a lock before they take a connection, so that one owner cannot eat the pool."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._turns: WeakValueDictionary[Hashable, _CountingLock] = WeakValueDictionary()

    async def acquire(self, key: Hashable) -> asyncio.Lock:
        """Wait for the turn at `key` and return it held; raise QueueFull where too many wait."""
        turn = self._turns.get(key)
        if turn is None:
            turn = self._turns[key] = _CountingLock()
        if turn.waiting >= self._limit:
            raise QueueFull
        turn.waiting += 1
        try:
            await turn.acquire()
        finally:
            turn.waiting -= 1
        return turn


class Database:
    """The two engines on one URL: one for units of work, one in autocommit for reads."""

    def __init__(self, settings: Settings) -> None:
        self.is_embedded = settings.is_embedded
        self._work = make_engine(settings, autocommit=False)
        self._read = make_engine(settings, autocommit=True)
        self._queue = WriterQueue(settings.queue_limit)

    @property
    def engines(self) -> tuple[AsyncEngine, AsyncEngine]:
        """The engine of the units of work and that of the reads."""
        return self._work, self._read

    def new_unit(self, deadline: float | None = None) -> "UnitOfWork":
        """Return a unit of work for `async with`; a statement that still runs at `deadline` (loop time) is stopped."""
        return UnitOfWork(self._work, self._read, self._queue, is_single_writer=self.is_embedded, deadline=deadline)

    async def close(self) -> None:
        """Close every connection."""
        for engine in self.engines:
            await engine.dispose()


class UnitOfWork:
    """What one request asks of the database: reads in autocommit, then at most one transaction, committed once."""

    def __init__(
        self,
        work: AsyncEngine,
        read: AsyncEngine,
        queue: WriterQueue,
        *,
        is_single_writer: bool,
        deadline: float | None,
    ) -> None:
        self._work = work
        self._read = read
        self._queue = queue
        self._is_single_writer = is_single_writer
        self._deadline = deadline
        self._alarm: asyncio.TimerHandle | None = None
        self._interruptions: list[asyncio.Task[None]] = []
        self._reading: AsyncConnection | None = None
        self._writing: AsyncConnection | None = None
        self._turn: asyncio.Lock | None = None

    async def __aenter__(self) -> Self:
        """Open it; nothing is taken before it is needed."""
        # MySQL ends a statement that takes too long by itself. SQLite works in a thread, which no cancellation
        # reaches, and a connection is not closed before its statement has ended.
        if self._deadline is not None and self._is_single_writer:
            self._alarm = asyncio.get_running_loop().call_at(self._deadline, self._interrupt)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Roll back what was not committed and give everything back."""
        if self._alarm is not None:
            self._alarm.cancel()
        try:
            await self.release()
            if self._writing is not None:
                connection, self._writing = self._writing, None
                await _roll_back(connection)
        finally:
            if self._turn is not None:
                self._turn.release()
                self._turn = None

    def _interrupt(self) -> None:
        # Once more in a moment: it may have come between two statements.
        self._alarm = asyncio.get_running_loop().call_later(INTERRUPT_INTERVAL, self._interrupt)
        for connection in (self._reading, self._writing):
            if connection is not None and not connection.closed and not connection.invalidated:
                driver = connection.sync_connection.connection.driver_connection  # type: ignore[union-attr]  # it is open
                self._interruptions.append(asyncio.create_task(driver.interrupt()))  # type: ignore[union-attr]  # aiosqlite's

    async def connection(self) -> AsyncConnection:
        """Return the connection for reads: in autocommit before the transaction begins, the transaction's own after."""
        if self._writing is not None:
            return self._writing
        if self._reading is None:
            self._reading = await self._read.connect()
        return self._reading

    async def begin(self, owner_id: int | None = None, lock: str = LEDGER_LOCK) -> AsyncConnection:
        """Begin the transaction, once it is this writer's turn at a lock of the owner's (at the file on SQLite)."""
        if self._writing is None:
            await self.release()
            if self._is_single_writer or owner_id is not None:
                self._turn = await self._queue.acquire(None if self._is_single_writer else (lock, owner_id))
            self._writing = await self._work.connect()
            await self._writing.begin()
        return self._writing

    @asynccontextmanager
    async def begin_separate(
        self, owner_id: int | None = None, lock: str = LEDGER_LOCK
    ) -> AsyncIterator[AsyncConnection]:
        """Begin a transaction aside, committed at the end: for a trace that outlives the failure of what left it.

        Raises RuntimeError where this unit's own has begun: on SQLite it would wait for itself.
        """
        if self._writing is not None:
            raise RuntimeError("what is to last is written before the transaction begins")
        await self.release()
        aside = UnitOfWork(
            self._work, self._read, self._queue, is_single_writer=self._is_single_writer, deadline=self._deadline
        )
        async with aside as unit:
            yield await unit.begin(owner_id, lock)
            await unit.commit()

    async def release(self) -> None:
        """Give the reading connection back: nobody holds one while hashing or waiting for a turn."""
        if self._reading is not None:
            connection, self._reading = self._reading, None
            await connection.close()

    async def commit(self) -> None:
        """Commit what was begun; raise CommitLost where nobody can tell whether it happened."""
        if self._writing is None:
            return
        try:
            await self._writing.commit()
        except BaseException as error:
            # For SQLAlchemy the transaction has ended, though it may still be open: nobody gets this connection again.
            await self._writing.invalidate()
            if is_commit_refused(error):
                raise
            raise CommitLost(describe_error(error)) from error


async def _roll_back(connection: AsyncConnection) -> None:
    # The pools do not reset what comes back (a ROLLBACK each time costs a round trip), so a failed one is thrown away.
    try:
        if connection.in_transaction():
            await connection.rollback()
    except (DBAPIError, OSError):
        await connection.invalidate()
    finally:
        await connection.close()
