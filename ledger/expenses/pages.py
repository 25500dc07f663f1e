"""Which page of a list of expenses is asked for, and the statements that read it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Select, func, select, union_all

from infra.column_types import exact_sum
from infra.prepared import Prepared, TupleRow
from ledger.core import Ledger
from ledger.expenses.filter_ids import FilterIds, match_ids
from ledger.expenses.filters import ExpenseQuery
from ledger.expenses.rows import get_column, leave_out_instants, select_expenses
from ledger.pages import (
    PAGE_SIZE,
    Cursor,
    build_after_condition,
    build_before_condition,
    fingerprint_query,
    parse_cursor,
)
from models import Expense
from schemas import ExpenseList, ListTotal
from values import money
from values.spans import Span

MAX_MERGED_IDS: Final = 50
"""A page is merged from the first expenses of at most so many ids."""
MAX_IDS_IN_MERGE: Final = 2_500
"""Ids in such a statement, of which each part repeats those of the other filters."""
_EXPENSES: Final = select_expenses(Expense)

# MySQL is told the index of the sort order, because deep in a ledger its optimizer prefers to read and sort all rows.
# With a filter that another index may answer, it chooses itself.
_FIRST_PAGES: Final = {
    "-date": _EXPENSES.order_by(Expense.spent_on.desc(), Expense.id.desc()).limit(PAGE_SIZE),
    "date": _EXPENSES.order_by(Expense.spent_on, Expense.id).limit(PAGE_SIZE),
    "-amount": _EXPENSES.order_by(Expense.amount.desc(), Expense.id.desc()).limit(PAGE_SIZE),
    "amount": _EXPENSES.order_by(Expense.amount, Expense.id).limit(PAGE_SIZE),
}
_AFTER_CURSOR: Final = {
    "-date": build_before_condition(Expense.spent_on, Expense.id),
    "date": build_after_condition(Expense.spent_on, Expense.id),
    "-amount": build_before_condition(Expense.amount, Expense.id),
    "amount": build_after_condition(Expense.amount, Expense.id),
}
_PAGES: Final = {(sort, False): statement for sort, statement in _FIRST_PAGES.items()} | {
    (sort, True): statement.where(_AFTER_CURSOR[sort]) for sort, statement in _FIRST_PAGES.items()
}
_SORT_COLUMNS: Final = {"date": "spent_on", "amount": "amount"}
_INDEX_HINTS: Final = {
    "date": "FORCE INDEX (ix_expenses_owner_id_spent_on_id)",
    "amount": "FORCE INDEX (ix_expenses_owner_id_amount_id)",
}
_HINTED_PAGES: Final = {
    (sort, is_next): statement.with_hint(Expense, _INDEX_HINTS[sort.removeprefix("-")], "mysql")
    for (sort, is_next), statement in _PAGES.items()
}
# Answered by the index of reports alone, unless a filter needs another column, or an index finds fewer rows.
_SUMS: Final = (
    select(Expense.currency, exact_sum(Expense.amount).label("total"), func.count().label("number"))
    .where(Expense.mine())
    .group_by(Expense.currency)
)
_COUNT: Final = select(func.count()).select_from(Expense).where(Expense.mine())
_UNFILTERED_PAGES: Final = {kind: Prepared(statement) for kind, statement in _HINTED_PAGES.items()}
_BRIEF_PAGES: Final = {kind: Prepared(leave_out_instants(statement)) for kind, statement in _HINTED_PAGES.items()}


class _Sum(NamedTuple):
    """What expenses in one currency add up to, in thousandths, and how many they are."""

    total: int
    number: int


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page of a list of expenses is asked for: after which row, and of which days."""

    query: ExpenseQuery
    cursor: Cursor | None
    span: Span | None
    is_brief: bool = False
    """Whether the rows are without `created_at` and what is selected after it."""

    @property
    def sort_column(self) -> str:
        """The column that the list is sorted by."""
        return _SORT_COLUMNS[self.query.sort.removeprefix("-")]

    def write_cursor(self, value: date | int, row_id: int) -> str:
        """Return the cursor of the page after the row with this value in the sort column, and this id."""
        return Cursor(fingerprint_query(self.query.dump_filters()), value, row_id, self.span).encode()


def build_page_request(ledger: Ledger, query: ExpenseQuery) -> PageRequest:
    """Return the page that is asked for; raise ValidationFailed if the cursor or the period is invalid."""
    if query.cursor is None:
        return PageRequest(query, None, query.resolve_span(ledger.today, ledger.owner.month_start_day))
    value_type = date if query.sort in {"date", "-date"} else int
    cursor = parse_cursor(query.cursor, fingerprint_query(query.dump_filters()), value_type)
    return PageRequest(query, cursor, cursor.span)


async def load_page(
    ledger: Ledger, asked: PageRequest, ids: FilterIds, clauses: Sequence[ColumnElement[bool]]
) -> Sequence[TupleRow]:
    """Return the rows of a page, and one more if there is another page."""
    query, cursor = asked.query, asked.cursor
    parameters: dict[str, Any] = {"limit": query.limit + 1}
    if cursor:
        parameters |= {"value": cursor.value, "row_id": cursor.row_id}
    kind = query.sort, cursor is not None
    if not clauses:
        unfiltered = _BRIEF_PAGES if asked.is_brief else _UNFILTERED_PAGES
        return await ledger.fetch_all_prepared(unfiltered[kind], **parameters)
    statement = _merge_alternatives(asked, ids)
    if statement is None:
        pages = _PAGES if query.has_better_index(deep=cursor is not None) else _HINTED_PAGES
        statement = pages[kind].where(*clauses)
    if asked.is_brief:
        statement = leave_out_instants(statement)
    return [tuple(row) for row in await ledger.fetch_all(statement, **parameters)]


def _merge_alternatives(asked: PageRequest, ids: FilterIds) -> Select[*tuple[Any, ...]] | None:
    """Return the SELECT of a page by day that merges the first rows of each id of one column.

    For each id the index of the column has its expenses in the order of days, whether the id is frequent or rare. None
    if the list is sorted by amount, if no column has 2 to 50 ids, if another filter is answered by one id, or if the
    statement would have more than 2,500 ids: then the database finds its way itself.
    """
    alternatives = ids.list_alternatives()
    merged = [(column, values) for column, values in alternatives if 1 < len(values) <= MAX_MERGED_IDS]
    has_one_id = asked.query.external_id is not None or any(len(values) == 1 for _, values in alternatives)
    if asked.sort_column != "spent_on" or has_one_id or not merged:
        return None
    column, values = merged[0]
    # Each part repeats the other ids. A statement of 100,000 takes megabytes, which SQLite's driver keeps for later.
    if len(values) * sum(len(others) for _, others in alternatives) > MAX_IDS_IN_MERGE:
        return None
    is_descending = asked.query.sort.startswith("-")
    order = [it.desc() if is_descending else it.asc() for it in (Expense.spent_on, Expense.id)]
    others = list(asked.query.clauses(asked.span, ids.without(column)))
    after = [_AFTER_CURSOR[asked.query.sort]] if asked.cursor else []
    hint = f"FORCE INDEX (ix_expenses_owner_id_{column.key}_spent_on_id)"
    firsts = [
        select(Expense.id, Expense.spent_on)
        .with_hint(Expense, hint, "mysql")
        .where(Expense.mine(), match_ids(column, (value,)), *others, *after)
        .order_by(*order)
        .limit(PAGE_SIZE)
        .subquery()
        for value in values
    ]
    found = union_all(*(select(first) for first in firsts)).subquery()
    return _EXPENSES.join(found, found.c.id == Expense.id).order_by(*order).limit(PAGE_SIZE)


async def sum_up(
    ledger: Ledger,
    asked: PageRequest,
    page: ExpenseList,
    rows: Sequence[TupleRow],
    clauses: Sequence[ColumnElement[bool]],
) -> None:
    """Set `totals` and `count` of a page with these rows, as they are asked for."""
    if asked.cursor is None and page.next_cursor is None:
        # All that match are here; by the time of another statement there may be more.
        sums = _add_up(rows)
    elif asked.query.with_totals:
        found = await ledger.fetch_all(_SUMS.where(*clauses))
        sums = {row.currency: _Sum(row.total, row.number) for row in found}
    else:
        page.count = (await ledger.execute(_COUNT.where(*clauses))).scalar_one()
        return
    if asked.query.with_totals:
        page.totals = _build_totals(sums, ledger.owner.currency)
    if asked.query.with_count:
        page.count = sum(it.number for it in sums.values())


def _add_up(rows: Iterable[TupleRow]) -> dict[str, _Sum]:
    sums: dict[str, _Sum] = {}
    for row in rows:
        currency = get_column(row, "currency")
        total, number = sums.get(currency, (0, 0))
        sums[currency] = _Sum(total + get_column(row, "amount"), number + 1)
    return sums


def _build_totals(sums: Mapping[str, _Sum], own: str) -> list[ListTotal]:
    return [
        ListTotal(currency=it, total=money.write_amount(sums[it].total, it), count=sums[it].number)
        for it in money.sort_own_first(sums, own)
    ]
