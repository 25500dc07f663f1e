"""What the ledger knows of the rows of a file, a statement for every 250 of them."""

from collections.abc import Collection, Iterable
from datetime import date
from typing import Any, Final

from sqlalchemy import Row, bindparam, func, select

from infra.slices import batched, iterate_in_slices
from ledger.core import ROWS_PER_STATEMENT, Ledger
from ledger.expenses import trash
from ledger.expenses.rows import BY_PRIMARY_KEY, measure_row
from ledger.transfer.identities import OwnExpense
from ledger.transfer.rows import KnownRow
from models import Expense, Import, ImportedRow, TrashedExpense

_BY_ROW_KEY: Final = "FORCE INDEX (uq_imported_rows_owner_id_row_key_source_occurrence)"
_SELECT_KNOWN: Final = (
    select(
        ImportedRow.id,
        ImportedRow.source,
        ImportedRow.row_key,
        ImportedRow.occurrence,
        ImportedRow.expense_id,
        Expense.id.is_not(None).label("is_live"),
        ImportedRow.spent_on,
        ImportedRow.amount,
        ImportedRow.currency,
    )
    .outerjoin(Expense, (Expense.owner_id == ImportedRow.owner_id) & (Expense.id == ImportedRow.expense_id))
    .with_hint(ImportedRow, _BY_ROW_KEY, "mysql")
    .with_hint(Expense, BY_PRIMARY_KEY, "mysql")
    .where(ImportedRow.mine())
)
# Answered by the index on (owner_id, source, spent_on, row_key).
_SELECT_KEYS: Final = (
    select(ImportedRow.row_key, ImportedRow.expense_id)
    .where(
        ImportedRow.mine(),
        ImportedRow.source == bindparam("source"),
        ImportedRow.spent_on.between(bindparam("first"), bindparam("last")),
    )
    .limit(bindparam("most"))
)


def _select_own(table: type[Expense | TrashedExpense]) -> Any:  # noqa: ANN401
    columns = ("id", "spent_on", "amount", "currency", "payee", "description", "external_id")
    return select(*(getattr(table, name) for name in columns))


_LIVE_BY_ID: Final = _select_own(Expense).where(Expense.mine_by_id())
_LIVE: Final = _select_own(Expense).where(Expense.mine())
_TRASHED_BY_ID: Final = _select_own(TrashedExpense).where(
    TrashedExpense.mine_by_id(), TrashedExpense.deleted_at >= bindparam("trash_start")
)
_TRASHED: Final = _select_own(TrashedExpense).add_columns(TrashedExpense.deleted_at).where(TrashedExpense.mine())
_SOURCES: Final = (
    select(Import.source)
    .where(Import.mine(), Import.source.is_not(None))
    .group_by(Import.source)
    .order_by(func.max(Import.id).desc())
    .limit(bindparam("most"))
)


async def load_known(ledger: Ledger, keys: Collection[str]) -> list[KnownRow]:
    """Return the known rows, of any source, that have one of these keys."""
    rows = await ledger.fetch_in(_SELECT_KNOWN, ImportedRow.row_key, keys)
    return [KnownRow._make(row) async for row in iterate_in_slices(map(tuple, rows))]


async def load_between(ledger: Ledger, source: str, first: date, last: date, most: int) -> list[tuple[str, int | None]]:
    """Return the rows that a source knows within these days, as the files had them; at most so many."""
    rows = await ledger.fetch_in_slices(_SELECT_KEYS, source=source, most=most, first=first, last=last)
    return [(row.row_key, row.expense_id) for row in rows]


async def load_sources(ledger: Ledger, most: int) -> list[str]:
    """Return the names of the sources of imports, the last used first."""
    return [str(row.source) for row in await ledger.fetch_all(_SOURCES, most=most)]


async def load_live_ids(ledger: Ledger, ids: Iterable[int]) -> set[int]:
    """Return which of these expenses are live."""
    return {row.id for row in await ledger.fetch_by_id(_LIVE_BY_ID, sorted(ids))}


async def load_own(ledger: Ledger, ids: Collection[int]) -> dict[int, OwnExpense]:
    """Return the expenses with these ids, live or in the trash."""
    live = await ledger.fetch_by_id(_LIVE_BY_ID, sorted(ids))
    found = {row.id: _build_own(row, is_live=True) async for row in iterate_in_slices(live)}
    trashed = await ledger.fetch_by_id(_TRASHED_BY_ID, sorted(set(ids) - found.keys()), trash_start=ledger.trash_start)
    return found | {row.id: _build_own(row, is_live=False) for row in trashed}


async def load_by_external_id(ledger: Ledger, external_ids: Collection[str]) -> dict[str, OwnExpense]:
    """Return the expenses with these external ids, live or in the trash; a live one if there are both."""
    live = await ledger.fetch_in(_LIVE, Expense.external_id, sorted(external_ids))
    found = {row.external_id: _build_own(row, is_live=True) async for row in iterate_in_slices(live)}
    trashed = await ledger.fetch_in(_TRASHED, TrashedExpense.external_id, sorted(set(external_ids) - found.keys()))
    visible = (row for row in trashed if row.deleted_at >= ledger.trash_start)
    return found | {row.external_id: _build_own(row, is_live=False) for row in visible}


async def empty_trash_of(ledger: Ledger, ids: Collection[int]) -> None:
    """Delete these expenses for good if they are in the trash, because others come instead of them."""
    trashed = await ledger.fetch_by_id(_TRASHED_BY_ID, sorted(ids), trash_start=ledger.trash_start)
    for some in batched(trashed, ROWS_PER_STATEMENT):
        await trash.delete_expired(ledger, {row.id: measure_row(row._asdict()) for row in some})


async def free_external_ids(ledger: Ledger, external_ids: Collection[str]) -> None:
    """Delete for good what has these external ids in the trash, because new expenses get them."""
    trashed = await ledger.fetch_in(_TRASHED, TrashedExpense.external_id, sorted(external_ids))
    for some in batched(trashed, ROWS_PER_STATEMENT):
        await trash.delete_expired(ledger, {row.id: measure_row(row._asdict()) for row in some})


def _build_own(row: Row[Any], *, is_live: bool) -> OwnExpense:
    return OwnExpense(row.id, is_live, row.spent_on, row.amount, row.currency, row.payee, row.description)
