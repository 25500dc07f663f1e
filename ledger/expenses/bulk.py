"""Bulk changes: change or delete all expenses that match a filter."""

from typing import Any

from sqlalchemy import ColumnElement, case, false, func, null, or_, select, true, update

from ledger.categories import find_category_id, find_or_create_category
from ledger.core import Ledger
from ledger.editing import Precondition, refuse_changed_row
from ledger.expenses import trash
from ledger.expenses.filters import BulkQuery
from ledger.expenses.rows import build_columns
from ledger.expenses.schemas import BulkChange, ExpenseChange
from ledger.quotas import measure_column
from models import Expense
from problems import FilterRequired
from values.sizes import measure


async def change_matching(
    ledger: Ledger, query: BulkQuery, change: ExpenseChange, condition: Precondition
) -> BulkChange:
    """Change all matching expenses in one statement; rows that already have the new values are not touched."""
    matching = _build_conditions(ledger, query)
    refuse_changed_row(None, condition)
    values = await _build_values(ledger, change)
    is_new = "category_id" in values and values["category_id"] is None and change.category is not None
    differs = (
        true() if is_new else or_(false(), *(getattr(Expense, key).is_distinct_from(values[key]) for key in values))
    )
    counts = func.count().label("matched"), func.count(case((differs, 1))).label("differing")
    measured = func.sum(case((differs, measure_column(Expense.description)))) if "description" in values else null()
    counted_rows = select(*counts, measured.label("bytes")).select_from(Expense).where(Expense.mine(), *matching)
    counted = (await ledger.execute(counted_rows)).one()
    if query.dry_run or not counted.differing:
        return BulkChange(matched=counted.matched, revision=None)
    if "description" in values:
        ledger.add_text(counted.differing * measure(values["description"]) - int(counted.bytes), "/description")
    if is_new:
        values["category_id"], _ = await find_or_create_category(ledger, change.category)
    values |= {"revision": ledger.take_revision(), "updated_at": ledger.instant}
    statement = update(Expense).where(Expense.mine(), *matching, differs).values(values)
    await ledger.execute_exactly(counted.differing, statement)
    return BulkChange(matched=counted.matched, revision=ledger.revision)


async def delete_matching(ledger: Ledger, query: BulkQuery, condition: Precondition) -> BulkChange:
    """Move all matching expenses to the trash, with as many statements as for one."""
    matching = _build_conditions(ledger, query)
    refuse_changed_row(None, condition)
    counted = select(func.count()).select_from(Expense).where(Expense.mine(), *matching)
    matched = (await ledger.execute(counted)).scalar_one()
    if query.dry_run or not matched:
        return BulkChange(matched=matched, revision=None)
    return BulkChange(matched=matched, revision=await trash.move_to_trash(ledger, matched, Expense.mine(), *matching))


def _build_conditions(ledger: Ledger, query: BulkQuery) -> list[ColumnElement[bool]]:
    """Return the conditions of the filter; raise FilterRequired if there are none."""
    matching = list(query.clauses(query.resolve_span(ledger.today, ledger.owner.month_start_day)))
    if not matching:
        raise FilterRequired
    return matching


async def _build_values(ledger: Ledger, change: ExpenseChange) -> dict[str, Any]:
    """Return the columns to set; a category that is yet to be made has no id."""
    values = build_columns(change.dump_sent())
    if "category" in change.model_fields_set:
        values["category_id"] = await find_category_id(ledger, change.category)
    return values
