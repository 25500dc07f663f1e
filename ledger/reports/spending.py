"""Reports: what was spent, added up by the database and folded into buckets."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import ColumnElement, CompoundSelect, Row, bindparam, func, literal, null, select, union_all

from database import exact_sum
from ledger.budgets.schemas import Days, SpendingReport
from ledger.core import Ledger
from ledger.expenses.filters import SpendingQuery
from models import Category, Expense
from problems import TooMany
from values import money, periods
from values.field_errors import at_parameter
from values.spans import Division, Span
from values.texts import name_key

MOST_ROWS: Final = 10_000
# Rows of the aggregate: many more would meet the deadline, and a 503 would only be asked again.
MOST_SUMS: Final = 500_000

# Looked up once a row of the aggregate, by the primary key.
_NAME: Final = (
    select(Category.name)
    .where(Category.owner_id == bindparam("owner"), Category.id == Expense.category_id)
    .correlate(Expense)
    .scalar_subquery()
)
_MINE: Final = Expense.owner_id == bindparam("owner")
_LAST_DAY: Final = select(Expense.spent_on).where(_MINE).order_by(Expense.spent_on.desc()).limit(1)
_FIRST_DAY: Final = select(Expense.spent_on).where(_MINE).order_by(Expense.spent_on).limit(1)

Conditions = Iterable[ColumnElement[bool]]


def spending(
    parts: Sequence[Conditions], *, by_day: bool = False, by_category: bool = False, with_names: bool = False
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
        (_NAME if with_names else null()).label("category"),
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


@dataclass(slots=True)
class Sum:
    """What expenses of one currency add up to, in thousandths."""

    total: int = 0
    count: int = 0
    least: int | None = None
    most: int | None = None

    def add(self, total: int, count: int, least: int, most: int) -> None:
        """Add what others add up to."""
        self.total += total
        self.count += count
        self.least = least if self.least is None else min(self.least, least)
        self.most = most if self.most is None else max(self.most, most)


Key = tuple[int, str | None, str]
"""The place of a bucket of time, a category and a currency."""
NOTHING: Final = Sum()


@dataclass(frozen=True, slots=True)
class Side:
    """One of the spans that a report is about, divided: what was spent in each bucket, and in all."""

    division: Division
    sums: dict[Key, Sum] = field(default_factory=dict)
    totals: dict[str, Sum] = field(default_factory=dict)


def too_many_rows() -> TooMany:
    """Return the refusal of an answer with more than MOST_ROWS rows."""
    detail = f"A report has at most {MOST_ROWS:,} rows: ask for a shorter span, or for fewer or larger groups."
    return TooMany(detail, errors=[at_parameter("group_by", "out_of_range", detail)])


def too_many_sums() -> TooMany:
    """Return the refusal of a report that is folded from more than MOST_SUMS rows of the aggregate."""
    detail = (
        f"This adds up over {MOST_SUMS:,} sums of a day, category and currency: ask for a shorter span, or for less."
    )
    return TooMany(detail, errors=[at_parameter("group_by", "out_of_range", detail)])


def span_of(ledger: Ledger, query: SpendingQuery) -> Span:
    """Return the days asked for, or this month; raise ValidationFailed where there are none of them."""
    asked = query.span(ledger.today, ledger.owner.month_start_day)
    return asked or periods.span("this-month", ledger.today, ledger.owner.month_start_day)


async def read_spending(ledger: Ledger, query: SpendingQuery, asked: Span) -> SpendingReport:
    """Report what was spent; raise TooMany where the answer, or what it is added up from, would have too many rows."""
    start_day = ledger.owner.month_start_day
    span = await _reaching(ledger, query, asked)
    spans = [span, periods.compared(span, query.compare, query.period, start_day)] if query.compare else [span]
    by_category = "category" in query.group_by
    aggregate = spending(
        [query.clauses(it) for it in spans],
        by_day=query.time is not None,
        by_category=by_category,
        with_names=by_category,
    )
    # Of all of time by day no more names are made than it takes to see that they are too many.
    sides = [Side(Division(it, query.time, start_day, most=MOST_ROWS + 1)) for it in spans]
    count = 0
    async for rows in ledger.slices(aggregate.limit(MOST_SUMS + 1)):
        count += len(rows)
        if count > MOST_SUMS:
            raise too_many_sums()
        fold(rows, sides)
    return report(query.group_by, sides, ledger.owner.currency)


async def _reaching(ledger: Ledger, query: SpendingQuery, asked: Span) -> Span:
    """Return the days to report: an open end reaches as far as there is anything."""
    if not query.has_open_end:
        return asked
    first = query.from_ is None
    found = await ledger.row((_FIRST_DAY if first else _LAST_DAY).where(*query.clauses(asked)))
    if first:
        return Span(found[0] if found else asked.last, asked.last)
    return Span(asked.first, max(asked.first, ledger.today, *(found or ())))


def fold(rows: Iterable[Row[Any]], sides: Sequence[Side]) -> None:
    """Fold rows of the aggregate into the buckets of the sides that they are parts of."""
    for row in rows:
        part, day, _, category, currency, *figures = tuple(row)
        side = sides[part]
        side.sums.setdefault((side.division.place(day), category, currency), Sum()).add(*figures)
        side.totals.setdefault(currency, Sum()).add(*figures)


def report(group_by: Sequence[str], sides: Sequence[Side], own: str) -> SpendingReport:
    """Write the report of the first side, compared with the second if there is one; raise TooMany past MOST_ROWS."""
    currencies = money.own_first({own, *(currency for side in sides for currency in side.totals)}, own)
    written = {
        "period": _days(sides[0]),
        "group_by": group_by,
        "totals": [_total(currency, sides) for currency in currencies],
        "groups": list(_groups(group_by, sides, currencies)) if group_by else [],
    }
    if len(sides) > 1:
        written["compared_to"] = _days(sides[1])
    # In one call, which is faster than to make ten thousand rows one by one.
    return SpendingReport.model_validate(written)


def _total(currency: str, sides: Sequence[Side]) -> dict[str, Any]:
    figures = [it.totals.get(currency, NOTHING) for it in sides]
    per_day = money.divided(figures[0].total, sides[0].division.span.days, currency)
    return {"per_day": money.written(per_day, currency), **_figures(currency, *figures)}


def _groups(group_by: Sequence[str], sides: Sequence[Side], currencies: Sequence[str]) -> Iterator[dict[str, Any]]:
    names = sides[0].division.names
    series = {(category, currency) for it in sides for _, category, currency in it.sums}
    if len(series) * len(names) > MOST_ROWS:
        raise too_many_rows()
    keys = [(place, category, currency) for place in names for category, currency in series]
    by_category_first = group_by[0] == "category"

    def order(key: Key) -> tuple[object, ...]:
        place, category, currency = key
        named = category is None, name_key(category or "")
        return (*((named, place) if by_category_first else (place, named)), currencies.index(currency))

    for key in sorted(keys, key=order):
        place, category, currency = key
        figures = [it.sums.get(key, NOTHING) for it in sides]
        bucket = {name: category if name == "category" else names[place] for name in group_by}
        share = _percent(figures[0].total, sides[0].totals.get(currency, NOTHING).total)
        yield {**bucket, "share_percent": share, **_figures(currency, *figures)}


def _figures(currency: str, now: Sum, before: Sum | None = None) -> dict[str, Any]:
    average = money.divided(now.total, now.count, currency) if now.count else None
    figures: dict[str, Any] = {
        "currency": currency,
        "total": money.written(now.total, currency),
        "count": now.count,
        "average": _written(average, currency),
        "min": _written(now.least, currency),
        "max": _written(now.most, currency),
    }
    if before is not None:
        change = now.total - before.total
        figures["previous_total"] = money.written(before.total, currency)
        figures["change"] = money.written(change, currency)
        figures["change_percent"] = _percent(change, before.total)
    return figures


def _percent(part: int, whole: int) -> float | None:
    return money.percent(part, whole) if whole > 0 else None


def _written(thousandths: int | None, currency: str) -> str | None:
    return None if thousandths is None else money.written(thousandths, currency)


def _days(side: Side) -> Days:
    return Days(from_=side.division.span.first, to=side.division.span.last)
