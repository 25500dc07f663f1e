"""The spending report: the database sums expenses by day, and these sums are folded into buckets.

    query    resolve_report_span -> one span, or two with `compare`
    SQL      select_spending: a row per span, day, category and currency        (at most 500,000)
    fold     add each row to its bucket: day -> number of the bucket            (values.spans.BucketedSpan)
    answer   build_report: a row per bucket, category and currency, with zeros  (at most 10,000)
             compared with the bucket of the same number in the other span

Amounts of different currencies are never added up.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Row, select

from infra.slices import iterate_in_slices
from ledger.core import Ledger
from ledger.reports.schemas import Days, Figures, SpendingGroup, SpendingQuery, SpendingReport, SpendingTotal
from ledger.reports.totals import select_spending
from models import Expense
from problems import TooMany
from values import money, periods
from values.field_errors import parameter_error
from values.spans import BucketedSpan, Span
from values.texts import make_name_key

MAX_ROWS: Final = 10_000
# Rows of the aggregate: many more would reach the deadline, and a 503 would be repeated in vain.
MAX_SUMS: Final = 500_000

_LAST_DAY: Final = select(Expense.spent_on).where(Expense.mine()).order_by(Expense.spent_on.desc()).limit(1)
_FIRST_DAY: Final = select(Expense.spent_on).where(Expense.mine()).order_by(Expense.spent_on).limit(1)


@dataclass(slots=True)
class SpendingSum:
    """The sum of expenses in one currency, in thousandths, with their number, least and greatest amount."""

    total: int = 0
    count: int = 0
    least: int | None = None
    most: int | None = None

    def add(self, total: int, count: int, least: int, most: int) -> None:
        """Add the sum of other expenses."""
        self.total += total
        self.count += count
        self.least = least if self.least is None else min(self.least, least)
        self.most = most if self.most is None else max(self.most, most)


BucketKey = tuple[int, str | None, str]
"""The number of a bucket of time, a category's name or None, and a currency."""
ZERO: Final = SpendingSum()


@dataclass(frozen=True, slots=True)
class ReportSpan:
    """The span of the report, or the one that it is compared with: its buckets, and the sums by bucket and in all."""

    division: BucketedSpan
    sums: dict[BucketKey, SpendingSum] = field(default_factory=dict)
    totals: dict[str, SpendingSum] = field(default_factory=dict)


def too_many_rows_problem() -> TooMany:
    """Return the problem of an answer with more than MAX_ROWS rows."""
    detail = f"A report has at most {MAX_ROWS:,} rows: ask for a shorter span, or for fewer or larger groups."
    return TooMany(detail, errors=[parameter_error("group_by", "out_of_range", detail)])


def too_many_sums_problem() -> TooMany:
    """Return the problem of a report that needs more than MAX_SUMS rows of the aggregate."""
    detail = (
        f"This needs more than {MAX_SUMS:,} sums by day, category and currency: ask for a shorter span or filter more."
    )
    return TooMany(detail, errors=[parameter_error("group_by", "out_of_range", detail)])


def resolve_report_span(ledger: Ledger, query: SpendingQuery) -> Span:
    """Return the days that the query asks for, by default this month; raise ValidationFailed if there are none."""
    span = query.resolve_span(ledger.today, ledger.owner.month_start_day)
    return span or periods.resolve_period("this-month", ledger.today, ledger.owner.month_start_day)


async def read_spending(ledger: Ledger, query: SpendingQuery, requested: Span) -> SpendingReport:
    """Report what was spent; raise TooMany if the answer or the aggregate would have too many rows."""
    start_day = ledger.owner.month_start_day
    span = await _narrow_open_end(ledger, query, requested)
    spans = (
        [span, periods.find_compared_span(span, query.compare, query.period, start_day)] if query.compare else [span]
    )
    by_category = "category" in query.group_by
    aggregate = select_spending(
        [query.clauses(each) for each in spans],
        by_day=query.time_unit is not None,
        by_category=by_category,
        with_names=by_category,
        has_better_index=query.has_better_index,
    )
    # Stop naming buckets one past the limit: that is enough to refuse the report.
    sides = [ReportSpan(BucketedSpan(each, query.time_unit, start_day, most=MAX_ROWS + 1)) for each in spans]
    count = 0
    async with ledger.stream(aggregate.limit(MAX_SUMS + 1)) as slices:
        async for rows in slices:
            count += len(rows)
            if count > MAX_SUMS:
                raise too_many_sums_problem()
            fold(rows, sides)
    return await build_report(query.group_by, sides, ledger.owner.currency)


async def _narrow_open_end(ledger: Ledger, query: SpendingQuery, span: Span) -> Span:
    """Return the days of the report: it begins at the first expense, or ends at the last or today, where left open."""
    if not query.has_open_end:
        return span
    is_start_open = query.from_ is None
    row = await ledger.fetch_one((_FIRST_DAY if is_start_open else _LAST_DAY).where(*query.clauses(span)))
    if is_start_open:
        return Span(row[0] if row else span.last, span.last)
    return Span(span.first, max(span.first, ledger.today, *(row or ())))


def fold(rows: Iterable[Row[Any]], sides: Sequence[ReportSpan]) -> None:
    """Add rows of the aggregate to the buckets and totals of their side."""
    for row in rows:
        part, day, _, category, currency, *values = tuple(row)
        side = sides[part]
        side.sums.setdefault((side.division.find_bucket(day), category, currency), SpendingSum()).add(*values)
        side.totals.setdefault(currency, SpendingSum()).add(*values)


async def build_report(group_by: Sequence[str], sides: Sequence[ReportSpan], own: str) -> SpendingReport:
    """Build the report of the first side, compared with the second if any; raise TooMany past MAX_ROWS rows."""
    currencies = money.sort_own_first({own, *(currency for side in sides for currency in side.totals)}, own)
    report: dict[str, Any] = {
        "period": _build_days(sides[0]),
        "group_by": group_by,
        "totals": [_build_total(currency, sides) for currency in currencies],
        "groups": [group async for group in iterate_in_slices(_build_groups(group_by, sides, currencies))],
    }
    if len(sides) > 1:
        report["compared_to"] = _build_days(sides[1])
    # Not validated, which would take a third of the time of a large report.
    return SpendingReport.model_construct(**report)


def _build_total(currency: str, sides: Sequence[ReportSpan]) -> SpendingTotal:
    sums = [side.totals.get(currency, ZERO) for side in sides]
    per_day = money.divide(sums[0].total, sides[0].division.span.days, currency)
    return {**_build_figures(currency, *sums), "per_day": money.write_amount(per_day, currency)}


def _build_groups(
    group_by: Sequence[str], sides: Sequence[ReportSpan], currencies: Sequence[str]
) -> Iterator[SpendingGroup]:
    if not group_by:
        return
    names = sides[0].division.names
    series = {(category, currency) for side in sides for _, category, currency in side.sums}
    if len(series) * len(names) > MAX_ROWS:
        raise too_many_rows_problem()
    for key in _list_keys(names, series, currencies, by_category_first=group_by[0] == "category"):
        number, category, currency = key
        sums = [side.sums.get(key, ZERO) for side in sides]
        bucket = {name: category if name == "category" else names[number] for name in group_by}
        share = _compute_percent(sums[0].total, sides[0].totals.get(currency, ZERO).total)
        group: Any = {**bucket, **_build_figures(currency, *sums), "share_percent": share}
        yield group


def _list_keys(
    numbers: Iterable[int],
    series: Collection[tuple[str | None, str]],
    currencies: Sequence[str],
    *,
    by_category_first: bool,
) -> Iterator[BucketKey]:
    """Yield the keys of all rows in their order: no category last, and the currencies of a bucket as in the totals."""
    categories = sorted(
        {category for category, _ in series}, key=lambda name: (name is None, make_name_key(name or ""))
    )
    used = {
        category: [currency for currency in currencies if (category, currency) in series] for category in categories
    }
    pairs = (
        ((number, category) for category in categories for number in numbers)
        if by_category_first
        else ((number, category) for number in numbers for category in categories)
    )
    return ((number, category, currency) for number, category in pairs for currency in used[category])


def _build_figures(currency: str, current: SpendingSum, previous: SpendingSum | None = None) -> Figures:
    average = money.divide(current.total, current.count, currency) if current.count else None
    figures: Figures = {
        "currency": currency,
        "total": money.write_amount(current.total, currency),
        "count": current.count,
        "average": _write_optional_amount(average, currency),
        "min": _write_optional_amount(current.least, currency),
        "max": _write_optional_amount(current.most, currency),
    }
    if previous is not None:
        change = current.total - previous.total
        figures["previous_total"] = money.write_amount(previous.total, currency)
        figures["change"] = money.write_amount(change, currency)
        figures["change_percent"] = _compute_percent(change, previous.total)
    return figures


def _compute_percent(part: int, whole: int) -> float | None:
    return money.compute_percent(part, whole) if whole > 0 else None


def _write_optional_amount(thousandths: int | None, currency: str) -> str | None:
    return None if thousandths is None else money.write_amount(thousandths, currency)


def _build_days(side: ReportSpan) -> Days:
    return Days(from_=side.division.span.first, to=side.division.span.last)
