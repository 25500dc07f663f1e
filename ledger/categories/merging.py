"""Deletion of a category: what becomes of its expenses, budgets and children.

query                expenses                budgets                      expenses in the trash   children
move_to=NAME         move to NAME            move, unless NAME has such   move to NAME            go along (1)
uncategorized=true   lose their category     are deleted                  lose their category     stand on their own
neither              refused if it has any   refused if it has any        lose their category     stand on their own

(1) if NAME has no parent; else they stand on their own.
"""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import InstrumentedAttribute

from ledger.categories import names
from ledger.categories.names import KnownCategory
from ledger.core import Ledger
from ledger.editing import Precondition, delete_rows, refuse_changed_row
from models import Budget, Category, Expense, TrashedExpense
from problems import CategoryInUse, NotFound, ValidationFailed
from schemas import CategoryDeleteQuery
from values.field_errors import parameter_error

_REVISION: Final = select(Category.revision).where(Category.mine(), Category.id == bindparam("row_id"))
_SELECT_USES: Final = [
    select(table.id).where(table.mine(), table.category_id == bindparam("row_id")).limit(1)
    for table in (Expense, Budget)
]
_SELECT_BUDGETS_OF_BOTH: Final = select(Budget.id, Budget.category_id, Budget.currency, Budget.period).where(
    Budget.mine(), Budget.category_id.in_((bindparam("row_id"), bindparam("target")))
)


async def delete_category(
    ledger: Ledger, category_id: int, query: CategoryDeleteQuery, condition: Precondition
) -> None:
    """Delete a category; with neither `move_to` nor `uncategorized`, raise CategoryInUse if it is in use."""
    row = await ledger.fetch_one(_REVISION, row_id=category_id)
    if row is None:
        raise NotFound
    refuse_changed_row(row.revision, condition)
    target = await _find_target(ledger, category_id, query.move_to) if query.move_to is not None else None
    if target is None and not query.uncategorized:
        await _refuse_in_use(ledger, category_id)
    target_id, is_target_a_child = (target.id, target.parent_id is not None) if target else (None, False)
    await stamp_rows(ledger, Expense.category_id, category_id, {"category_id": target_id})
    await _move_or_delete_budgets(ledger, category_id, target_id)
    trashed = TrashedExpense.mine(), TrashedExpense.category_id == category_id
    await ledger.execute(update(TrashedExpense).where(*trashed).values(category_id=target_id))
    # Where the target is one of the children, it stands on its own as well: its parent is deleted.
    parent_id = None if is_target_a_child else target_id
    await stamp_rows(ledger, Category.parent_id, category_id, {"parent_id": parent_id})
    await delete_rows(ledger, 1, Category, Category.mine(), Category.id == category_id)


async def stamp_rows(
    ledger: Ledger,
    column: InstrumentedAttribute[int | None],
    category_id: int,
    changed: Mapping[str, int | None] | None = None,
) -> None:
    """Give the rows that refer to a category by this column the transaction's revision, because their answers change.

    They get the `changed` values too.
    """
    table: Any = column.class_
    stamp = ledger.stamp_change()
    statement = update(table).where(table.mine(), column == category_id)
    await ledger.execute(statement.values({**(changed or {}), **stamp}))


async def _find_target(ledger: Ledger, category_id: int, move_to: str) -> KnownCategory:
    target = await names.find_by_name(ledger, move_to)
    if target is None:
        raise ValidationFailed(errors=[parameter_error("move_to", "not_found", "You have no category of this name.")])
    if target.id == category_id:
        raise ValidationFailed(errors=[parameter_error("move_to", "not_allowed", "This is the category to delete.")])
    return target


async def _refuse_in_use(ledger: Ledger, category_id: int) -> None:
    for uses in _SELECT_USES:
        if await ledger.fetch_one(uses, row_id=category_id):
            raise CategoryInUse


async def _move_or_delete_budgets(ledger: Ledger, category_id: int, target: int | None) -> None:
    """Move a category's budgets to the target category; delete those for which the target has one already.

    Without a target all are deleted, because a budget without a category is for all spending.
    """
    budgets = await ledger.fetch_all(_SELECT_BUDGETS_OF_BOTH, row_id=category_id, target=target)
    target_kinds = {(row.currency, row.period) for row in budgets if row.category_id == target}
    kinds = {row.id: (row.currency, row.period) for row in budgets if row.category_id == category_id}
    ended = [row_id for row_id, kind in kinds.items() if target is None or kind in target_kinds]
    if moved := kinds.keys() - set(ended):
        values = {"category_id": target, **ledger.stamp_change()}
        statement = update(Budget).where(Budget.mine(), Budget.id.in_(moved)).values(values)
        await ledger.execute_exactly(len(moved), statement)
    if ended:
        await delete_rows(ledger, len(ended), Budget, Budget.mine(), Budget.id.in_(ended))
