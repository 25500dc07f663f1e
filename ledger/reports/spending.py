"""Reports: what was spent, added up by the database and folded into buckets."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Row, bindparam, select

from ledger.core import Ledger
from ledger.reports.schemas import Days, SpendingQuery, SpendingReport
from ledger.reports.totals import select_spending
from models import Expense
from problems import TooMany
from values import money, periods
from values.field_errors import parameter_error
from values.spans import BucketedSpan, Span
from values.texts import make_name_key

MAX_ROWS: Final = 10_000
# Rows of the aggregate: many more would meet the deadline, and a 503 would only be asked again.
MAX_SUMS: Final = 500_000

_MINE: Final = Expense.owner_id == bindparam("owner")
_LAST_DAY: Final = select(Expense.spent_on).where(_MINE).order_by(Expense.spent_on.desc()).limit(1)
_FIRST_DAY: Final = select(Expense.spent_on).where(_MINE).order_by(Expense.spent_on).limit(1)


@dataclass(slots=True)
class SpendingSum:
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


BucketKey = tuple[int, str | None, str]
"""The place of a bucket of time, a category and a currency."""
ZERO: Final = SpendingSum()


@dataclass(frozen=True, slots=True)
class ReportSpan:
    """One of the spans that a report is about, divided: what was spent in each bucket, and in all."""

    division: BucketedSpan
    sums: dict[BucketKey, SpendingSum] = field(default_factory=dict)
    totals: dict[str, SpendingSum] = field(default_factory=dict)


def too_many_rows_problem() -> TooMany:
    """Return the refusal of an answer with more than MOST_ROWS rows."""
    detail = f"A report has at most {MAX_ROWS:,} rows: ask for a shorter span, or for fewer or larger groups."
    return TooMany(detail, errors=[parameter_error("group_by", "out_of_range", detail)])


def too_many_sums_problem() -> TooMany:
    """Return the refusal of a report that is folded from more than MOST_SUMS rows of the aggregate."""
    detail = (
        f"This adds up over {MAX_SUMS:,} sums of a day, category and currency: ask for a shorter span, or for less."
    )
    return TooMany(detail, errors=[parameter_error("group_by", "out_of_range", detail)])


def resolve_report_span(ledger: Ledger, query: SpendingQuery) -> Span:
    """Return the days asked for, or this month; raise ValidationFailed where there are none of them."""
    asked = query.resolve_span(ledger.today, ledger.owner.month_start_day)
    return asked or periods.resolve_period("this-month", ledger.today, ledger.owner.month_start_day)


async def read_spending(ledger: Ledger, query: SpendingQuery, asked: Span) -> SpendingReport:
    """Report what was spent; raise TooMany where the answer, or what it is added up from, would have too many rows."""
    start_day = ledger.owner.month_start_day
    span = await _narrow_open_end(ledger, query, asked)
    spans = (
        [span, periods.find_compared_span(span, query.compare, query.period, start_day)] if query.compare else [span]
    )
    by_category = "category" in query.group_by
    aggregate = select_spending(
        [query.clauses(it) for it in spans],
        by_day=query.time_unit is not None,
        by_category=by_category,
        with_names=by_category,
    )
    # Of all of time by day no more names are made than it takes to see that they are too many.
    sides = [ReportSpan(BucketedSpan(it, query.time_unit, start_day, most=MAX_ROWS + 1)) for it in spans]
    count = 0
    async for rows in ledger.fetch_chunks(aggregate.limit(MAX_SUMS + 1)):
        count += len(rows)
        if count > MAX_SUMS:
            raise too_many_sums_problem()
        fold(rows, sides)
    return build_report(query.group_by, sides, ledger.owner.currency)


async def _narrow_open_end(ledger: Ledger, query: SpendingQuery, asked: Span) -> Span:
    """Return the days to report: an open end reaches as far as there is anything."""
    if not query.has_open_end:
        return asked
    first = query.from_ is None
    found = await ledger.fetch_one((_FIRST_DAY if first else _LAST_DAY).where(*query.clauses(asked)))
    if first:
        return Span(found[0] if found else asked.last, asked.last)
    return Span(asked.first, max(asked.first, ledger.today, *(found or ())))


def fold(rows: Iterable[Row[Any]], sides: Sequence[ReportSpan]) -> None:
    """Fold rows of the aggregate into the buckets of the sides that they are parts of."""
    for row in rows:
        part, day, _, category, currency, *figures = tuple(row)
        side = sides[part]
        side.sums.setdefault((side.division.find_bucket(day), category, currency), SpendingSum()).add(*figures)
        side.totals.setdefault(currency, SpendingSum()).add(*figures)


def build_report(group_by: Sequence[str], sides: Sequence[ReportSpan], own: str) -> SpendingReport:
    """Write the report of the first side, compared with the second if there is one; raise TooMany past MOST_ROWS."""
    currencies = money.sort_own_first({own, *(currency for side in sides for currency in side.totals)}, own)
    written = {
        "period": _build_days(sides[0]),
        "group_by": group_by,
        "totals": [_build_total(currency, sides) for currency in currencies],
        "groups": list(_build_groups(group_by, sides, currencies)) if group_by else [],
    }
    if len(sides) > 1:
        written["compared_to"] = _build_days(sides[1])
    # In one call, which is faster than to make ten thousand rows one by one.
    return SpendingReport.model_validate(written)


def _build_total(currency: str, sides: Sequence[ReportSpan]) -> dict[str, Any]:
    figures = [it.totals.get(currency, ZERO) for it in sides]
    per_day = money.divide(figures[0].total, sides[0].division.span.days, currency)
    return {"per_day": money.write_amount(per_day, currency), **_build_figures(currency, *figures)}


def _build_groups(
    group_by: Sequence[str], sides: Sequence[ReportSpan], currencies: Sequence[str]
) -> Iterator[dict[str, Any]]:
    names = sides[0].division.names
    series = {(category, currency) for it in sides for _, category, currency in it.sums}
    if len(series) * len(names) > MAX_ROWS:
        raise too_many_rows_problem()
    keys = [(place, category, currency) for place in names for category, currency in series]
    by_category_first = group_by[0] == "category"

    def make_sort_key(key: BucketKey) -> tuple[object, ...]:
        place, category, currency = key
        named = category is None, make_name_key(category or "")
        return (*((named, place) if by_category_first else (place, named)), currencies.index(currency))

    for key in sorted(keys, key=make_sort_key):
        place, category, currency = key
        figures = [it.sums.get(key, ZERO) for it in sides]
        bucket = {name: category if name == "category" else names[place] for name in group_by}
        share = _compute_percent(figures[0].total, sides[0].totals.get(currency, ZERO).total)
        yield {**bucket, "share_percent": share, **_build_figures(currency, *figures)}


def _build_figures(currency: str, now: SpendingSum, before: SpendingSum | None = None) -> dict[str, Any]:
    average = money.divide(now.total, now.count, currency) if now.count else None
    figures: dict[str, Any] = {
        "currency": currency,
        "total": money.write_amount(now.total, currency),
        "count": now.count,
        "average": _write_optional_amount(average, currency),
        "min": _write_optional_amount(now.least, currency),
        "max": _write_optional_amount(now.most, currency),
    }
    if before is not None:
        change = now.total - before.total
        figures["previous_total"] = money.write_amount(before.total, currency)
        figures["change"] = money.write_amount(change, currency)
        figures["change_percent"] = _compute_percent(change, before.total)
    return figures


def _compute_percent(part: int, whole: int) -> float | None:
    return money.compute_percent(part, whole) if whole > 0 else None


def _write_optional_amount(thousandths: int | None, currency: str) -> str | None:
    return None if thousandths is None else money.write_amount(thousandths, currency)


def _build_days(side: ReportSpan) -> Days:
    return Days(from_=side.division.span.first, to=side.division.span.last)
