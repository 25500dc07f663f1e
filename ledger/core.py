"""The Ledger: the only access to one user's expenses, categories, tags and budgets.

Its lock is one row of `ledgers`, which has the ledger's revision and counts what the ledger holds:

    request A                                        request B, another writer of the same ledger
    lock()           wait in the queue, BEGIN,       lock()    waits: in the process in the queue,
                     SELECT … FOR UPDATE: 31                   between processes for A's row lock
    take_revision()  32
    insert, update   the rows get revision 32
    take_revision()  still 32: one per transaction
    store_state()    UPDATE ledgers: 32 and counts
    COMMIT           releases the lock               SELECT … FOR UPDATE: 32
                                                     take_revision() is 33

So a ledger has one writer at a time, revisions are taken without gaps and commit in order, and a transaction that
changes nothing takes none. ETags, the trash, undo and the change feed rely on this. Readers do not lock; they know the
revision that was read together with the caller, before any other row.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import CursorResult, Executable, Row, Select, bindparam, insert, select, update
from sqlalchemy.orm import InstrumentedAttribute

from auth import Caller
from database import UnitOfWork, now
from infra.prepared import Prepared, TupleRow
from infra.row_counts import execute_exactly
from infra.slices import batched
from ledger.quotas import NO_QUOTAS, Quotas, too_many_texts_problem
from models import MAX_IMPORTED_ROWS, LedgerState, Owned
from problems import InvalidToken, TooMany
from values import days

MAX_EXPENSES: Final = 1_000_000
CHUNK_SIZE: Final = 2_000
"""Rows that one statement copies or deletes."""
ROWS_PER_STATEMENT: Final = 250
"""Rows that one statement of a batch inserts or looks for, which keeps the event loop for some milliseconds."""
SLICE_SIZE: Final = 100
"""Rows of a long answer of the database that are read without a pause."""


class _LockRow(NamedTuple):
    """The row of `ledgers`."""

    revision: int
    expense_count: int
    text_bytes: int
    trash_count: int
    answer_bytes: int
    imported_count: int
    swept_on: date


# A writer locks only this row, by primary key: a locking join deadlocks, and foreign keys lock rows of `users`.
_LOCK: Final = Prepared(
    select(*(getattr(LedgerState, name) for name in _LockRow._fields)).where(LedgerState.mine()).with_for_update()
)
_STORE: Final = Prepared(
    update(LedgerState).where(LedgerState.mine()).values({name: bindparam(f"new_{name}") for name in _LockRow._fields})
)


_REVISION: Final = Prepared(select(LedgerState.revision).where(LedgerState.mine()))


class Ledger:
    """Runs statements on one user's expenses, categories, tags and budgets.

    Each statement gets the parameter `owner`; the engine refuses one that does not name it (infra.ownership). Writes
    need `lock` first, and raise RuntimeError without it.
    """

    def __init__(self, owner: Caller, unit: UnitOfWork, trash_days: int, quotas: Quotas = NO_QUOTAS) -> None:
        self.owner = owner
        # One instant for the whole request, so that an answer for one day does not get the ETag of the next.
        self.instant = now()
        self.quotas = quotas
        self._trash_days = trash_days
        self._unit = unit
        self._locked: _LockRow | None = None
        # The same row as this transaction leaves it.
        self._lock_row: _LockRow | None = None
        self._next_revision = 0

    @property
    def new_row_instants(self) -> dict[str, datetime]:
        """`created_at` and `updated_at` of a new row: when the request began."""
        return {"created_at": self.instant, "updated_at": self.instant}

    def stamp_change(self) -> dict[str, Any]:
        """Take the transaction's revision; return the columns of a changed row that say so."""
        return {"revision": self.take_revision(), "updated_at": self.instant}

    @property
    def today(self) -> date:
        """The calendar day in the owner's time zone at the start of the request."""
        return days.compute_today(self.instant, self.owner.timezone)

    @property
    def trash_start(self) -> datetime:
        """The midnight (UTC) before which deleted expenses have expired."""
        midnight = self.instant.replace(hour=0, minute=0, second=0)
        return midnight - timedelta(days=self._trash_days)

    @property
    def revision(self) -> int:
        """The ledger's revision, including the one that this transaction has taken."""
        return self._lock_row.revision if self._lock_row else self.owner.revision

    @property
    def is_sweep_due(self) -> bool:
        """Whether expired rows were not yet deleted today (UTC); False before `lock`."""
        return self._lock_row is not None and self._lock_row.swept_on < self.instant.date()

    @property
    def has_outgrown_quota(self) -> bool:
        """Whether the texts take more than they may, and more than before this transaction; False before `lock`."""
        most = self.quotas.text_bytes
        if not most or self._locked is None:
            return False
        return self._get_lock_row().text_bytes > max(most, self._locked.text_bytes)

    @property
    def is_answer_quota_reached(self) -> bool:
        """Whether the answers that are stored for an Idempotency-Key take as much as they may."""
        most = self.quotas.remembered_bytes
        return most > 0 and self._get_lock_row().answer_bytes >= most

    async def lock(self) -> None:
        """Wait in the queue, begin the transaction, lock the ledger; raise InvalidToken if the account is deleted."""
        connection = await self._unit.begin(self.owner.id)
        row = await _LOCK.fetch_one(connection, {"owner": self.owner.id})
        if row is None:
            raise InvalidToken
        self._locked = self._lock_row = _LockRow(*row)
        self._next_revision = self._locked.revision + 1

    @property
    def is_locked(self) -> bool:
        """Whether `lock` was called, so that nobody else changes the ledger."""
        return self._lock_row is not None

    async def read_revision(self) -> int:
        """Return the revision that a ledger has now that is not locked."""
        row = await self.fetch_one_prepared(_REVISION)
        return int(row[0]) if row else 0

    async def fetch_all_prepared(self, prepared: Prepared, **parameters: object) -> list[TupleRow]:
        """Return the rows of a prepared SELECT."""
        return await prepared.fetch_all(await self._unit.connection(), {"owner": self.owner.id, **parameters})

    async def fetch_one_prepared(self, prepared: Prepared, **parameters: object) -> TupleRow | None:
        """Return the first row of a prepared SELECT, or None."""
        return await prepared.fetch_one(await self._unit.connection(), {"owner": self.owner.id, **parameters})

    async def write_prepared(self, prepared: Prepared, **parameters: object) -> int:
        """Run a prepared INSERT or UPDATE of one row; return the id of the inserted row, or 0."""
        self._get_lock_row()
        connection = await self._unit.connection()
        return await prepared.write(connection, {"owner": self.owner.id, "owner_id": self.owner.id, **parameters})

    async def execute(self, statement: Executable, **parameters: object) -> CursorResult[Any]:
        """Run a statement, which names the owner by the bind parameter `owner`.

        Raises RuntimeError for a DELETE, which `execute_exactly` runs: a database may end one early and say OK.
        """
        if statement.is_delete:
            raise RuntimeError("a DELETE says how many rows it must touch")
        if statement.is_dml:
            self._get_lock_row()
        connection = await self._unit.connection()
        return await connection.execute(statement, {"owner": self.owner.id, **parameters})

    async def execute_exactly(self, rows: int, statement: Executable, **parameters: object) -> None:
        """Run a DELETE, UPDATE or INSERT that must touch this number of rows; raise RowsMissed if it does not."""
        self._get_lock_row()
        connection = await self._unit.connection()
        await execute_exactly(connection, rows, statement, {"owner": self.owner.id, **parameters})

    async def fetch_all(self, statement: Executable, **parameters: object) -> Sequence[Row[Any]]:
        """Return all rows of a statement."""
        return (await self.execute(statement, **parameters)).all()

    @asynccontextmanager
    async def stream(
        self, statement: Executable, **parameters: object
    ) -> AsyncIterator[AsyncIterator[Sequence[Row[Any]]]]:
        """Give the rows of a long SELECT in slices; other requests are served in between.

        The ledger can run no other statement until the end.
        """
        connection = await self._unit.connection()
        try:
            async with connection.stream(statement, {"owner": self.owner.id, **parameters}) as result:
                yield _pause_between(result.partitions(SLICE_SIZE))
        except BaseException:
            # The rows that nobody has read would be sent to whoever has the connection next.
            await connection.invalidate()
            raise

    async def fetch_in_slices(self, statement: Executable, **parameters: object) -> list[Row[Any]]:
        """Return all rows of a long SELECT; other requests are served while they are read."""
        async with self.stream(statement, **parameters) as slices:
            return [row async for rows in slices for row in rows]

    async def fetch_one(self, statement: Executable, **parameters: object) -> Row[Any] | None:
        """Return the only row of a statement, or None."""
        return (await self.execute(statement, **parameters)).one_or_none()

    async def insert(self, table: type[Owned], **values: object) -> CursorResult[Any]:
        """Insert one row of the owner; `get_inserted_id` reads the new id from the result."""
        self._get_lock_row()
        connection = await self._unit.connection()
        return await connection.execute(insert(table), {"owner_id": self.owner.id, **values})

    async def fetch_in(
        self, statement: Select[*tuple[Any, ...]], column: InstrumentedAttribute[Any], values: Iterable[object]
    ) -> list[Row[Any]]:
        """Return the rows in which the column has one of these values: a statement for every 250.

        Not for ids of expenses: `fetch_by_id` keeps SQLite from reading the whole ledger.
        """
        rows: list[Row[Any]] = []
        for some in batched(values, ROWS_PER_STATEMENT):
            rows += await self.fetch_all(statement.where(column.in_(some)))
        return rows

    async def fetch_by_id(self, statement: Executable, ids: Iterable[int], **parameters: object) -> list[Row[Any]]:
        """Return the rows of a statement with `mine_by_id` and these ids: a statement for every 250 of them."""
        rows: list[Row[Any]] = []
        for some in batched(ids, ROWS_PER_STATEMENT):
            rows += await self.fetch_all(statement, ids=some, **parameters)
        return rows

    async def insert_all(self, table: type[Owned], rows: Sequence[Mapping[str, object]]) -> None:
        """Insert many rows of the owner in their order, a statement for every 250; all have the same columns."""
        self._get_lock_row()
        connection = await self._unit.connection()
        for some in batched(rows, ROWS_PER_STATEMENT):
            await connection.execute(insert(table), [{"owner_id": self.owner.id, **row} for row in some])

    async def insert_prepared(self, prepared: Prepared, rows: Sequence[Mapping[str, object]]) -> None:
        """Insert many rows of the owner in their order by a prepared INSERT, a statement for every 250."""
        self._get_lock_row()
        connection = await self._unit.connection()
        for some in batched(rows, ROWS_PER_STATEMENT):
            await prepared.insert_many(connection, [{"owner_id": self.owner.id, **row} for row in some])

    def take_revision(self, *, expenses: int = 0, trashed: int = 0) -> int:
        """Return the transaction's revision, taking it at the first call; count expenses that become live or trashed.

        Raises TooMany if the ledger would have more than 1,000,000, or its trash more than it holds.
        """
        row = self._get_lock_row()
        self.refuse_too_many(expenses)
        self.refuse_full_trash(trashed)
        self._lock_row = row._replace(revision=self._next_revision)
        self.count(expenses=expenses, trashed=trashed)
        return self._next_revision

    def count(
        self, *, expenses: int = 0, text_bytes: int = 0, trashed: int = 0, answer_bytes: int = 0, imported: int = 0
    ) -> None:
        """Add to what the ledger holds; `store_state` writes it."""
        row = self._get_lock_row()
        self._lock_row = row._replace(
            expense_count=row.expense_count + expenses,
            text_bytes=row.text_bytes + text_bytes,
            trash_count=row.trash_count + trashed,
            answer_bytes=row.answer_bytes + answer_bytes,
            imported_count=row.imported_count + imported,
        )

    def refuse_too_many(self, more: int) -> None:
        """Raise TooMany if the ledger cannot hold `more` more expenses."""
        row = self._get_lock_row()
        if more > 0 and row.expense_count + more > MAX_EXPENSES:
            raise TooMany(f"A ledger holds at most {MAX_EXPENSES:,} expenses.")

    def refuse_full_trash(self, more: int) -> None:
        """Raise TooMany if the trash cannot hold `more` more expenses."""
        most = self.quotas.trash_rows
        if more > 0 and most and self._get_lock_row().trash_count + more > most:
            raise TooMany(f"The trash holds at most {most:,} expenses: empty it first, by DELETE /expenses/trash.")

    def add_imported(self, more: int) -> None:
        """Count rows of files that become known; raise TooMany if the ledger would know more than 2,000,000."""
        if self._get_lock_row().imported_count + more > MAX_IMPORTED_ROWS:
            raise TooMany(f"A ledger knows at most {MAX_IMPORTED_ROWS:,} rows of files: undo an import first.")
        self.count(imported=more)

    def add_text(self, more: int, pointer: str) -> None:
        """Count bytes of texts that are added, or removed; raise TooMany, with the field's `pointer`, beyond the quota.

        Texts may always become shorter, also where the quota was lowered meanwhile.
        """
        most = self.quotas.text_bytes
        if more > 0 and most and self._get_lock_row().text_bytes + more > most:
            raise too_many_texts_problem(most, pointer)
        self.count(text_bytes=more)

    def request_sweep(self) -> None:
        """Have this write delete what nothing needs any more, even if that was done today."""
        self._lock_row = self._get_lock_row()._replace(swept_on=days.EARLIEST)

    def record_sweep(self) -> None:
        """Note that expired rows were deleted today (UTC)."""
        self._lock_row = self._get_lock_row()._replace(swept_on=self.instant.date())

    async def store_state(self) -> None:
        """Write the lock row, if this transaction has changed it: once, after everything else."""
        row = self._get_lock_row()
        if row != self._locked:
            await self.write_prepared(_STORE, **{f"new_{name}": value for name, value in row._asdict().items()})

    def _get_lock_row(self) -> _LockRow:
        if self._lock_row is None:
            raise RuntimeError("a ledger is locked before it is changed")
        return self._lock_row


async def _pause_between(slices: AsyncIterator[Sequence[Row[Any]]]) -> AsyncIterator[Sequence[Row[Any]]]:
    async for rows in slices:
        yield rows
        await asyncio.sleep(0)
