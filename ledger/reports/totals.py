"""The aggregate of reports and budgets: one statement that sums expenses by currency, day, and what they refer to.

Grouping   the database groups by   and shows of it
CATEGORY   category_id              the name of the category
PARENT     category_id              the name of its parent, or its own
PAYEE      payee_id                 the id, because how it was spelt last is looked up once for each payee
TAGS       tag_set_id               the names of all tags of the set
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, CompoundSelect, func, literal, null, select, union_all
from sqlalchemy.orm import aliased

from infra.column_types import exact_sum
from ledger.expenses.rows import BY_PRIMARY_KEY
from models import Category, Expense, TagSet


class Grouping(NamedTuple):
    """A column of expenses by which their sums are grouped, and what a row shows of it."""

    column: Any
    shown: ColumnElement[Any]


# Names are looked up once for each row of the aggregate.
_PARENT: Final = aliased(Category)
_CATEGORY_OF_EXPENSE: Final = (Category.mine(), Category.id == Expense.category_id)
_CATEGORY_NAME: Final = select(Category.name).where(*_CATEGORY_OF_EXPENSE).correlate(Expense).scalar_subquery()
_PARENT_NAME: Final = (
    select(func.coalesce(_PARENT.name, Category.name))
    .select_from(Category)
    .outerjoin(_PARENT, (_PARENT.owner_id == Category.owner_id) & (_PARENT.id == Category.parent_id))
    .where(*_CATEGORY_OF_EXPENSE)
    .correlate(Expense)
    .scalar_subquery()
)
_PARENT_ID: Final = select(Category.parent_id).where(*_CATEGORY_OF_EXPENSE).correlate(Expense).scalar_subquery()
_TAG_NAMES: Final = (
    select(TagSet.names)
    .with_hint(TagSet, BY_PRIMARY_KEY, "mysql")
    .where(TagSet.mine(), TagSet.id == Expense.tag_set_id)
    .correlate(Expense)
    .scalar_subquery()
)

CATEGORY: Final = Grouping(Expense.category_id, _CATEGORY_NAME)
PARENT: Final = Grouping(Expense.category_id, _PARENT_NAME)
CATEGORY_ID: Final = Grouping(Expense.category_id, Expense.category_id.expression)
PARENT_ID: Final = Grouping(Expense.category_id, _PARENT_ID)
PAYEE: Final = Grouping(Expense.payee_id, Expense.payee_id.expression)
TAGS: Final = Grouping(Expense.tag_set_id, _TAG_NAMES)

_COVERING_INDEX: Final = "FORCE INDEX (ix_expenses_for_reports)"

WhereClauses = Iterable[ColumnElement[bool]]


def select_spending(
    parts: Sequence[WhereClauses],
    by: Mapping[str, Grouping],
    *,
    by_day: bool = False,
    has_better_index: bool = False,
) -> CompoundSelect[*tuple[Any, ...]]:
    """Return the statement that sums the expenses of each part by currency, and if asked by day and by groupings.

    It is one statement, so that all parts show the same moment. Filters by day, category, currency, amount, payee and
    tag are answered by the index of reports alone, which has the groups by category in order. MySQL is told so, because
    its optimizer prefers an index by which it must read every row of the ledger. With `has_better_index` it chooses
    itself.
    The column `part` is the index of the part; `day` is null unless grouped by; each grouping is a column of its name.
    """
    columns = (
        (Expense.spent_on if by_day else null()).label("day"),
        *(grouping.shown.label(name) for name, grouping in by.items()),
        Expense.currency,
        exact_sum(Expense.amount).label("total"),
        func.count().label("count"),
        func.min(Expense.amount).label("least"),
        func.max(Expense.amount).label("most"),
    )
    # Two groupings may have the same column.
    grouped = {grouping.column.key: grouping.column for grouping in by.values()}.values()
    groups = [*[Expense.spent_on] * by_day, *grouped, Expense.currency]
    sums = [
        select(literal(index).label("part"), *columns).where(Expense.mine(), *conditions).group_by(*groups)
        for index, conditions in enumerate(parts)
    ]
    return union_all(
        *(sums if has_better_index else [one.with_hint(Expense, _COVERING_INDEX, "mysql") for one in sums])
    )
