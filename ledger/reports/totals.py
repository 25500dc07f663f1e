"""The aggregate of reports and budgets: one statement that sums expenses by currency, day and category."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, CompoundSelect, func, literal, null, select, union_all

from infra.column_types import exact_sum
from models import Category, Expense

# The name is looked up once per row of the aggregate, by primary key.
_SELECT_CATEGORY_NAME: Final = (
    select(Category.name)
    .where(Category.mine(), Category.id == Expense.category_id)
    .correlate(Expense)
    .scalar_subquery()
)

_COVERING_INDEX: Final = "FORCE INDEX (ix_expenses_owner_id_spent_on_category_id_currency_amount)"

WhereClauses = Iterable[ColumnElement[bool]]


def select_spending(
    parts: Sequence[WhereClauses],
    *,
    by_day: bool = False,
    by_category: bool = False,
    with_names: bool = False,
    has_better_index: bool = False,
) -> CompoundSelect[*tuple[Any, ...]]:
    """Return the statement that sums the expenses of each part by currency, and if asked by day and category.

    It is one statement, so that all parts show the same moment. Filters by day, category, currency and amount are
    answered by the index on (owner_id, spent_on, category_id, currency, amount) alone, which has the groups in order.
    MySQL is told so, because its optimizer prefers an index by which it must read every row of the ledger. With
    `has_better_index` it chooses itself.
    The column `part` is the index of the part; `day` and `category` are null unless grouped by.
    """
    day = Expense.spent_on if by_day else null()
    category_id = Expense.category_id if by_category else null()
    columns = (
        day.label("day"),
        category_id.label("category_id"),
        (_SELECT_CATEGORY_NAME if with_names else null()).label("category"),
        Expense.currency,
        exact_sum(Expense.amount).label("total"),
        func.count().label("count"),
        func.min(Expense.amount).label("least"),
        func.max(Expense.amount).label("most"),
    )
    groups = [*[Expense.spent_on] * by_day, *[Expense.category_id] * by_category, Expense.currency]
    sums = [
        select(literal(index).label("part"), *columns).where(Expense.mine(), *conditions).group_by(*groups)
        for index, conditions in enumerate(parts)
    ]
    return union_all(
        *(sums if has_better_index else [one.with_hint(Expense, _COVERING_INDEX, "mysql") for one in sums])
    )
