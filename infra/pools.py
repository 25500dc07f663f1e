"""The connection pools of a database, and the queues in which writers wait before they take a connection.

Writers wait for their owner's lock on MySQL, where each owner has three, and for the file on SQLite, where clients
take turns. Whoever waits holds no connection, so that the requests of one account do not use up a pool.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final, Self
from weakref import WeakValueDictionary

from config import Settings
from infra.connection_pool import ConnectionPool
from infra.database_file import DatabaseFile
from infra.engines import make_engine
from infra.fair_turns import FairTurns, Turn

# The three locks of an owner, each with its own queue: the ledger's row; the user's row, exclusively; the user's row,
# shared, as foreign keys to it do.
LEDGER_LOCK: Final = "ledger"
ACCOUNT_LOCK: Final = "account"
SESSIONS_LOCK: Final = "sessions"


class WriterQueue:
    """Lets writers wait for a lock before they take a connection, at most `limit` for each lock."""

    def __init__(self, limit: int, *, is_single_writer: bool) -> None:
        self._limit = limit
        self._file = FairTurns(1, limit) if is_single_writer else None
        self._locks: WeakValueDictionary[Hashable, FairTurns] = WeakValueDictionary()

    async def acquire(self, owner_id: int | None, lock: str, client: Hashable) -> Turn | None:
        """Wait for the turn at the owner's lock, or at the file; None if there is nothing to wait for.

        Turns at the file go round the clients: `client` is who waits. Raises QueueFull.
        """
        if self._file is not None:
            return await self._file.acquire(client)
        if owner_id is None:
            return None
        turns = self._locks.get((lock, owner_id))
        if turns is None:
            turns = self._locks[lock, owner_id] = FairTurns(1, self._limit)
        return await turns.acquire(owner_id)


@dataclass(frozen=True, slots=True)
class Pools:
    """The connections for transactions, those for reads, and the queues of writers."""

    work: ConnectionPool
    read: ConnectionPool
    writers: WriterQueue
    is_single_writer: bool
    """Whether the database is a file of SQLite, which takes one writer at a time."""

    @classmethod
    def build(cls, settings: Settings, file: DatabaseFile | None) -> Self:
        """Build the pools of the configured database."""
        return cls(
            work=make_pool(settings, file, autocommit=False, size=settings.pool_size),
            read=make_pool(settings, file, autocommit=True, size=settings.pool_size),
            writers=WriterQueue(settings.queue_limit, is_single_writer=settings.is_embedded),
            is_single_writer=settings.is_embedded,
        )


def make_pool(settings: Settings, file: DatabaseFile | None, *, autocommit: bool, size: int) -> ConnectionPool:
    """Return a pool of connections for reads, or for transactions."""
    return ConnectionPool(make_engine(settings, file, autocommit=autocommit), size, settings.pool_timeout, file)
