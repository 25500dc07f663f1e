"""The spending report: which days it is about, and the statement whose sums `answer` turns into its rows.

query    resolve_report_span -> one span, or two with `compare`
SQL      select_spending: a row per span, day, names and currency           (at most 500,000)
names: what is grouped by beside the time, such as a category and a tag set
answer   fold and build_report: buckets of time, and their rows
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from sqlalchemy import select

from ledger.core import Ledger
from ledger.expenses.filter_ids import FilterIds
from ledger.expenses.filters import read_filtered
from ledger.payees.names import load_latest
from ledger.reports.answer import (
    MAX_ROWS,
    Names,
    ReportSpan,
    build_report,
    fold,
    list_occurring,
    too_many_rows_problem,
)
from ledger.reports.schemas import SpendingQuery, SpendingReport
from ledger.reports.totals import CATEGORY, PARENT, PAYEE, TAGS, select_spending
from models import Expense
from problems import TooMany
from values import periods
from values.field_errors import parameter_error
from values.spans import BucketedSpan, Span

GROUPINGS: Final = {"category": CATEGORY, "parent": PARENT, "payee": PAYEE, "tag": TAGS}
# Rows of the aggregate: many more would reach the deadline, and a 503 would be repeated in vain.
MAX_SUMS: Final = 500_000

_LAST_DAY: Final = select(Expense.spent_on).where(Expense.mine()).order_by(Expense.spent_on.desc()).limit(1)
_FIRST_DAY: Final = select(Expense.spent_on).where(Expense.mine()).order_by(Expense.spent_on).limit(1)


def too_many_sums_problem() -> TooMany:
    """Return the problem of a report that needs more than MAX_SUMS rows of the aggregate."""
    detail = (
        f"This needs more than {MAX_SUMS:,} sums by day, group and currency: ask for a shorter span or filter more."
    )
    return TooMany(detail, errors=[parameter_error("group_by", "out_of_range", detail)])


def resolve_report_span(ledger: Ledger, query: SpendingQuery) -> Span:
    """Return the days that the query asks for, by default this month; raise ValidationFailed if there are none."""
    span = query.resolve_span(ledger.today, ledger.owner.month_start_day)
    return span or periods.resolve_period("this-month", ledger.today, ledger.owner.month_start_day)


async def read_spending(ledger: Ledger, query: SpendingQuery, requested: Span) -> SpendingReport:
    """Report what was spent; raise TooMany if the answer or the aggregate would have too many rows."""
    return await read_filtered(ledger, query, partial(_read_spending, ledger, query, requested))


async def _read_spending(ledger: Ledger, query: SpendingQuery, requested: Span, ids: FilterIds) -> SpendingReport:
    start_day = ledger.owner.month_start_day
    span = await _narrow_open_end(ledger, query, requested, ids)
    spans = (
        [span, periods.find_compared_span(span, query.compare, query.period, start_day)] if query.compare else [span]
    )
    aggregate = select_spending(
        [query.clauses(each, ids) for each in spans],
        {name: GROUPINGS[name] for name in query.names},
        by_day=query.time_unit is not None,
        has_better_index=query.has_selective_filter,
    )
    # Stop naming buckets one past the limit: that is enough to refuse the report.
    sides = [ReportSpan(BucketedSpan(each, query.time_unit, start_day, most=MAX_ROWS + 1)) for each in spans]
    count = 0
    async with ledger.stream(aggregate.limit(MAX_SUMS + 1)) as slices:
        async for rows in slices:
            count += len(rows)
            if count > MAX_SUMS:
                raise too_many_sums_problem()
            fold(rows, sides, query.names)
            # An expense of many tags has as many keys. With so many the answer would have too many rows.
            if any(len(side.sums) > 2 * MAX_ROWS for side in sides):
                raise too_many_rows_problem()
    if "payee" in query.names:
        sides = await _spell_payees(ledger, query.names.index("payee"), sides)
    return await build_report(query.group_by, sides, ledger.owner.currency)


async def _narrow_open_end(ledger: Ledger, query: SpendingQuery, span: Span, ids: FilterIds) -> Span:
    """Return the days of the report: it begins at the first expense, or ends at the last or today, where left open."""
    if not query.has_open_end:
        return span
    is_start_open = query.from_ is None
    row = await ledger.fetch_one((_FIRST_DAY if is_start_open else _LAST_DAY).where(*query.clauses(span, ids)))
    if is_start_open:
        return Span(row[0] if row else span.last, span.last)
    return Span(span.first, max(span.first, ledger.today, *(row or ())))


async def _spell_payees(ledger: Ledger, place: int, sides: Sequence[ReportSpan]) -> list[ReportSpan]:
    """Return the sides with the names of payees, as they were written last, instead of their ids at this place."""
    if len(list_occurring(sides)) > MAX_ROWS:
        raise too_many_rows_problem()
    payee_ids = {names[place] for side in sides for _, names, _ in side.sums}
    latest = await load_latest(ledger, payee_ids - {None})

    def spell(names: Names) -> Names:
        payee = names[place]
        return (*names[:place], payee and latest[payee].name, *names[place + 1 :])

    return [
        replace(
            side,
            sums={
                (number, spell(names), currency): held
                for (number, names, currency), held in side.sums.items()
                # Without those of which every expense was deleted since the sums were read.
                if names[place] is None or names[place] in latest
            },
        )
        for side in sides
    ]
