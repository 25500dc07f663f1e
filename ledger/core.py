"""The Ledger: one user's expenses, categories and budgets, and the way to them."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import CursorResult, Executable, Row, bindparam, insert, select, update

from auth import Caller
from database import UnitOfWork, now
from infra.prepared import Prepared, TupleRow
from models import LedgerState, Owned
from problems import InvalidToken, TooMany
from values import periods

MAX_EXPENSES: Final = 1_000_000
CHUNK_SIZE: Final = 2_000

# A writer locks this one row by its primary key: a locking join deadlocks, and `users` is what foreign keys lock.
_LOCK: Final = Prepared(
    select(LedgerState.revision, LedgerState.expense_count, LedgerState.swept_on)
    .where(LedgerState.owner_id == bindparam("owner"))
    .with_for_update()
)
_ADVANCE: Final = Prepared(
    update(LedgerState)
    .where(LedgerState.owner_id == bindparam("owner"))
    .values(revision=bindparam("next_revision"), expense_count=bindparam("next_count"))
)


class Ledger:
    """One user's expenses, categories and budgets.

    Every statement gets the owner; one without a place for it is refused.

    Reads need nothing more. Before the first write comes `lock`: from then on this is the ledger's only writer, and the
    first change takes the next revision.
    """

    def __init__(self, owner: Caller, unit: UnitOfWork, trash_days: int) -> None:
        self.owner = owner
        # One for all that is asked and written: what is read on one day must not be tagged with the next.
        self.instant = now()
        self._trash_days = trash_days
        self._unit = unit
        self._locked: tuple[int, int] | None = None
        self._revision: int | None = None
        self._swept_on: date | None = None

    @property
    def today(self) -> date:
        """The day it is for the owner."""
        return periods.compute_today(self.instant, self.owner.timezone)

    @property
    def trash_start(self) -> datetime:
        """The start of the trash, a midnight (UTC): what was deleted before has expired."""
        midnight = self.instant.replace(hour=0, minute=0, second=0)
        return midnight - timedelta(days=self._trash_days)

    @property
    def revision(self) -> int:
        """The revision that the ledger is at, with what this transaction did to it."""
        locked_at = self._locked[0] if self._locked else self.owner.revision
        return locked_at if self._revision is None else self._revision

    @property
    def is_sweep_due(self) -> bool:
        """Whether it is a day (UTC) on which nothing that has expired was cleared out of it yet."""
        return self._swept_on is not None and self._swept_on < self.instant.date()

    async def lock(self) -> None:
        """Wait for the turn, begin the transaction and lock the ledger; raise InvalidToken if the account is gone."""
        connection = await self._unit.begin(self.owner.id)
        row = await _LOCK.fetch_one(connection, {"owner": self.owner.id})
        if row is None:
            raise InvalidToken
        *locked, self._swept_on = row
        self._locked = (locked[0], locked[1])

    async def fetch_all_prepared(self, read: Prepared, **parameters: object) -> list[TupleRow]:
        """Return the rows of a prepared read."""
        return await read.fetch_all(await self._unit.connection(), {"owner": self.owner.id, **parameters})

    async def fetch_one_prepared(self, read: Prepared, **parameters: object) -> TupleRow | None:
        """Return the one row of a prepared read, or None."""
        return await read.fetch_one(await self._unit.connection(), {"owner": self.owner.id, **parameters})

    async def write_prepared(self, prepared: Prepared, **parameters: object) -> int:
        """Run a prepared INSERT or UPDATE and return the id of the row inserted, if one was."""
        self._refuse_unlocked()
        connection = await self._unit.connection()
        return await prepared.write(connection, {"owner": self.owner.id, "owner_id": self.owner.id, **parameters})

    async def execute(self, statement: Executable, **parameters: object) -> CursorResult[Any]:
        """Run a statement on the owner's rows; it says where the owner goes with `:owner`."""
        if statement.is_dml:
            self._refuse_unlocked()
        connection = await self._unit.connection()
        return await connection.execute(statement, {"owner": self.owner.id, **parameters})

    async def fetch_all(self, statement: Executable, **parameters: object) -> Sequence[Row[Any]]:
        """Return all the rows that a statement finds."""
        return (await self.execute(statement, **parameters)).all()

    async def fetch_chunks(self, statement: Executable, **parameters: object) -> AsyncIterator[Sequence[Row[Any]]]:
        """Yield the rows that a statement finds, some thousand at a time; others get their turn in between."""
        for rows in (await self.execute(statement, **parameters)).partitions(CHUNK_SIZE):
            yield rows
            await asyncio.sleep(0)

    async def fetch_one(self, statement: Executable, **parameters: object) -> Row[Any] | None:
        """Return the one row that a statement finds, or None."""
        return (await self.execute(statement, **parameters)).one_or_none()

    async def insert(self, table: type[Owned], **values: object) -> CursorResult[Any]:
        """Insert one row of the owner's; `get_inserted_id` knows the number that it was given, if it was."""
        self._refuse_unlocked()
        connection = await self._unit.connection()
        return await connection.execute(insert(table), {"owner_id": self.owner.id, **values})

    async def insert_all(self, table: type[Owned], rows: Sequence[Mapping[str, object]]) -> None:
        """Insert many rows of the owner's in one statement, all of the same columns, in their order."""
        self._refuse_unlocked()
        connection = await self._unit.connection()
        await connection.execute(insert(table), [{"owner_id": self.owner.id, **row} for row in rows])

    async def take_revision(self, *, expenses: int = 0) -> int:
        """Take the transaction's revision, once, and count `expenses` live ones more (or fewer).

        Raises TooMany where the ledger is full.
        """
        revision, count = self._refuse_unlocked()
        self.refuse_too_many(expenses)
        if self._revision is None or expenses:
            self._revision = revision + 1
            self._locked = (revision, count + expenses)
            await self.write_prepared(_ADVANCE, next_revision=self._revision, next_count=count + expenses)
        return self._revision

    def refuse_too_many(self, more: int) -> None:
        """Raise TooMany where the ledger cannot hold so many expenses more."""
        _, count = self._refuse_unlocked()
        if more > 0 and count + more > MAX_EXPENSES:
            raise TooMany(f"A ledger holds at most {MAX_EXPENSES:,} expenses.")

    def _refuse_unlocked(self) -> tuple[int, int]:
        if self._locked is None:
            raise RuntimeError("a ledger is locked before it is changed")
        return self._locked
