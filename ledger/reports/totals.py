"""The aggregate that reports and budgets are made of: one statement that adds up expenses."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, CompoundSelect, bindparam, func, literal, null, select, union_all

from infra.column_types import exact_sum
from models import Category, Expense

_MINE: Final = Expense.owner_id == bindparam("owner")
# Looked up once a row of the aggregate, by the primary key.
_SELECT_CATEGORY_NAME: Final = (
    select(Category.name)
    .where(Category.owner_id == bindparam("owner"), Category.id == Expense.category_id)
    .correlate(Expense)
    .scalar_subquery()
)

WhereClauses = Iterable[ColumnElement[bool]]


def select_spending(
    parts: Sequence[WhereClauses], *, by_day: bool = False, by_category: bool = False, with_names: bool = False
) -> CompoundSelect[*tuple[Any, ...]]:
    """Add up the expenses that meet each part's conditions, per currency, in one statement and thus of one moment.

    Without filters on more, the index on (owner_id, spent_on, category_id, currency, amount) alone answers it, and has
    the groups in order by day and category. The rows say their part's place; a day or a category is null where nothing
    is grouped by it.
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
    return union_all(
        *(
            select(literal(place).label("part"), *columns).where(_MINE, *conditions).group_by(*groups)
            for place, conditions in enumerate(parts)
        )
    )
