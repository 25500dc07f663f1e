"""The trash: deleted expenses, which can be restored under their old ids until they expire.

    expenses  --- move_to_trash --->  trash + tombstone     the rows get the revision of the deletion
              <-- restore ----------  (tombstone deleted)   and a new revision when they are restored
                                      trash
                                        |  TRASH_DAYS later: invisible, deleted by the next sweep;
                                        v  or empty_trash, or a new expense with its external id
                                      tombstone             stays, so that clients with a copy learn of the deletion

A deletion is undone as a whole by its revision, which its rows have in the trash.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from sqlalchemy import ColumnElement, bindparam, case, delete, func, insert, literal, select

from infra.prepared import Prepared
from ledger.core import CHUNK_SIZE, Ledger
from ledger.editing import Precondition, delete_rows, refuse_changed_row
from ledger.expenses.rows import build_expense, get_column, select_expenses
from ledger.expenses.schemas import BulkChange
from ledger.pages import PAGE_SIZE, Cursor, build_before_condition, fingerprint_query, parse_cursor
from ledger.quotas import measure_texts
from models import Expense, Tombstone, TrashedExpense
from problems import NotFound
from schemas import Expense as ExpenseAnswer
from schemas import ExpenseList
from values.field_errors import field_error
from values.shapes import PageQuery

_TRASH_FINGERPRINT: Final = fingerprint_query("trash")
_MY_EXPENSE_TOMBSTONES: Final = (Tombstone.mine(), Tombstone.kind == "expense")
_COPIED_COLUMNS: Final = tuple(column.key for column in Expense.__table__.columns if column.key != "revision")
_SELECT_LIVE_ONE: Final = Prepared(select_expenses(Expense).where(Expense.id == bindparam("row_id")))
_NOT_EXPIRED: Final = TrashedExpense.deleted_at >= bindparam("trash_start")
_IDS: Final = select(TrashedExpense.id).where(TrashedExpense.mine(), _NOT_EXPIRED).order_by(TrashedExpense.id)
_COUNT: Final = select(func.count()).select_from(TrashedExpense).where(TrashedExpense.mine(), _NOT_EXPIRED)
_MEASURE_WITH_EXPIRED: Final = (
    select(
        func.count().label("stored"),
        func.count(case((_NOT_EXPIRED, 1))).label("visible"),
        func.sum(measure_texts(TrashedExpense)).label("bytes"),
    )
    .select_from(TrashedExpense)
    .where(TrashedExpense.mine())
)

_SELECT: Final = select_expenses(TrashedExpense, TrashedExpense.deleted_at).where(_NOT_EXPIRED)
_SELECT_BY_ID: Final = select_expenses(TrashedExpense, TrashedExpense.deleted_at, by_id=True).where(_NOT_EXPIRED)
# The last deleted first: the index on (owner_id, revision, id), read backwards.
_PAGE: Final = _SELECT.order_by(TrashedExpense.revision.desc(), TrashedExpense.id.desc()).limit(PAGE_SIZE)
_NEXT_PAGE: Final = _PAGE.where(build_before_condition(TrashedExpense.revision, TrashedExpense.id))


async def move_to_trash(ledger: Ledger, count: int, *which: ColumnElement[bool], **parameters: Any) -> int:
    """Move the owner's expenses that meet the conditions, `count` of them, to the trash; return the revision."""
    revision = ledger.take_revision(expenses=-count, trashed=count)
    columns = [getattr(Expense, name) for name in _COPIED_COLUMNS]
    copies = select(*columns, literal(revision), literal(ledger.instant)).where(*which)
    into = insert(TrashedExpense).from_select([*_COPIED_COLUMNS, "revision", "deleted_at"], copies)
    await ledger.execute_exactly(count, into, **parameters)
    await delete_rows(ledger, count, Expense, *which, **parameters)
    return revision


async def load_trashed(ledger: Ledger, ids: Collection[int]) -> dict[int, ExpenseAnswer]:
    """Return by id those of these expenses that are in the trash."""
    rows = await ledger.fetch_by_id(_SELECT_BY_ID, ids, trash_start=ledger.trash_start)
    return {get_column(row, "id"): build_expense(tuple(row)) for row in rows}


def parse_trash_cursor(query: PageQuery) -> Cursor | None:
    """Parse the cursor of a page of the trash; raise ValidationFailed if it is another one."""
    return None if query.cursor is None else parse_cursor(query.cursor, _TRASH_FINGERPRINT, int)


async def list_trash(ledger: Ledger, query: PageQuery, cursor: Cursor | None) -> ExpenseList:
    """Return one page of the trash, the last deleted first, with the cursor of the next."""
    parameters: dict[str, Any] = {"limit": query.limit + 1, "trash_start": ledger.trash_start}
    if cursor:
        parameters |= {"value": cursor.value, "row_id": cursor.row_id}
    rows = await ledger.fetch_all(_NEXT_PAGE if cursor else _PAGE, **parameters)
    page = ExpenseList(items=[build_expense(tuple(row)) for row in rows[: query.limit]], next_cursor=None)
    if len(rows) > query.limit:
        last = rows[query.limit - 1]
        page.next_cursor = Cursor(_TRASH_FINGERPRINT, last.revision, last.id, None).encode()
    if query.with_count:
        page.count = (await ledger.execute(_COUNT, trash_start=ledger.trash_start)).scalar_one()
    return page


async def restore_expense(ledger: Ledger, expense_id: int) -> ExpenseAnswer:
    """Restore one expense under its old id; one that is not deleted is returned unchanged."""
    live = await ledger.fetch_all_prepared(_SELECT_LIVE_ONE, row_id=expense_id)
    if not live:
        tombstones = Tombstone.row_id == expense_id
        if not await _restore(ledger, TrashedExpense.id == expense_id, tombstones):
            raise NotFound
        live = await ledger.fetch_all_prepared(_SELECT_LIVE_ONE, row_id=expense_id)
    return build_expense(live[0])


async def restore_deletion(ledger: Ledger, deletion: int) -> BulkChange:
    """Restore the expenses deleted at this revision that are still in the trash; raise NotFound if there are none."""
    tombstones = Tombstone.revision == deletion
    count = await _restore(ledger, TrashedExpense.revision == deletion, tombstones)
    if not count:
        raise NotFound(
            errors=[field_error("/revision", "not_found", "The trash has no expense deleted at this revision.")]
        )
    return BulkChange(matched=count, revision=ledger.revision)


async def _restore(ledger: Ledger, which: ColumnElement[bool], tombstones: ColumnElement[bool]) -> int:
    """Move the rows that meet the condition out of the trash and delete their tombstones; return how many.

    `tombstones` selects their tombstones by an index; it may also match those of rows that are no longer in the trash.
    """
    ids: list[int] = []
    async with ledger.stream(_IDS.where(which), trash_start=ledger.trash_start) as slices:
        async for rows in slices:
            ids += [row.id for row in rows]
    if ids:
        revision = ledger.take_revision(expenses=len(ids), trashed=-len(ids))
        # MySQL locks the table's AUTO_INCREMENT during INSERT … SELECT, so rows are inserted in chunks of 2,000.
        for start in range(0, len(ids), CHUNK_SIZE):
            chunk = ids[start : start + CHUNK_SIZE]
            await _insert_chunk(ledger, len(chunk), revision, which, TrashedExpense.id.between(chunk[0], chunk[-1]))
        restored_ids = select(TrashedExpense.id).where(TrashedExpense.mine(), which)
        await ledger.execute_exactly(
            len(ids), delete(Tombstone).where(*_MY_EXPENSE_TOMBSTONES, tombstones, Tombstone.row_id.in_(restored_ids))
        )
        await ledger.execute_exactly(len(ids), delete(TrashedExpense).where(TrashedExpense.mine(), which))
    return len(ids)


async def _insert_chunk(ledger: Ledger, count: int, revision: int, *which: ColumnElement[bool]) -> None:
    columns = [getattr(TrashedExpense, name) for name in _COPIED_COLUMNS]
    rows = select(*columns, literal(revision)).where(TrashedExpense.mine(), *which)
    await ledger.execute_exactly(count, insert(Expense).from_select([*_COPIED_COLUMNS, "revision"], rows))


async def delete_expired(ledger: Ledger, sizes: Mapping[int, int]) -> None:
    """Delete these rows, which have expired: `sizes` has the bytes of their texts, by id."""
    await ledger.execute_exactly(len(sizes), delete(TrashedExpense).where(TrashedExpense.mine_by_id()), ids=list(sizes))
    ledger.count(text_bytes=-sum(sizes.values()), trashed=-len(sizes))


async def empty_trash(ledger: Ledger, condition: Precondition) -> None:
    """Delete all rows of the trash; their external ids can be used again, their tombstones stay."""
    refuse_changed_row(None, condition)
    counted = (await ledger.execute(_MEASURE_WITH_EXPIRED, trash_start=ledger.trash_start)).one()
    if counted.stored:
        await ledger.execute_exactly(counted.stored, delete(TrashedExpense).where(TrashedExpense.mine()))
        ledger.count(text_bytes=-int(counted.bytes), trashed=-counted.stored)
        # Payees and tags that only these had make room too.
        ledger.request_sweep()
    if counted.visible:
        ledger.take_revision()
