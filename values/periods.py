"""Parses the periods that clients write; each is resolved to a Span of days.

    2026   2026-Q4   2026-11   2026-W47   2026-11-22                    NAMED_RULES: the same days for ever
    today   this-week   last-month   year-to-date   …                   RELATIVE_RULES: depend on today
    last-N-days (N up to 36,600)   last-N-months (N up to 1,200)        COUNTED_RULES: depend on today

Pure: today is a parameter. Weeks are those of ISO 8601. A month is the user's own: it begins on a day from 1 to 28 that
the user chose, and is named after the calendar month in which it begins. Quarters and years follow the calendar. Every
resolved period is cut to EARLIEST..LATEST.
"""

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Literal

from values.days import DASH_DAY, DASH_MONTH, DAY, EARLIEST, LATEST, MONTH, YEAR, YEAR_IN_RANGE
from values.parse_errors import ParseError
from values.spans import (
    MONTHS_PER_YEAR,
    ONE_DAY,
    Span,
    find_day,
    find_month,
    find_month_start,
    find_quarter,
    find_span_before,
    find_week,
    find_year,
    make_day,
    make_month,
    make_quarter,
    make_week,
    make_year,
    shift_back_a_year,
    shift_back_by_length,
    shift_back_by_months,
)

MAX_DAYS = 36_600
MAX_MONTHS = 1_200

SpanRule = Callable[[date, int], Span]
"""A function from a day and the day on which the user's months begin (1 to 28) to a span."""


class NotAPeriod(ParseError):
    """Send a period like 2026, 2026-Q4, 2026-11, 2026-W47, 2026-11-22, last-month or last-30-days."""


class PeriodOutOfRange(ParseError):
    """Ask for a period from 1900-01-01 to 2199-12-31, and for at most the last 36600 days or 1200 months."""

    code = "out_of_range"


def make_previous_rule(find_unit: SpanRule) -> SpanRule:
    """Make the rule of `last-week` and its like: the whole unit before the one that contains today."""
    return lambda today, start_day: find_unit(find_unit(today, start_day).first - ONE_DAY, start_day)


def make_to_date_rule(find_unit: SpanRule) -> SpanRule:
    """Make the rule of `month-to-date` and its like: the unit that contains today, from its first day to today."""
    return lambda today, start_day: Span(find_unit(today, start_day).first, today)


def find_last_days(count: int, today: date, _start_day: int = 1) -> Span:
    """Return the last `count` days, today included."""
    return Span(today - timedelta(days=count - 1), today)


def find_last_months(count: int, today: date, start_day: int = 1) -> Span:
    """Return the last `count` months of the user, the whole current one included."""
    current = find_month(today, start_day)
    return Span(find_month_start(current.first.year, current.first.month - count + 1, start_day), current.last)


RELATIVE_RULES: dict[str, SpanRule] = {
    "today": find_day,
    "this-week": find_week,
    "this-month": find_month,
    "this-quarter": find_quarter,
    "this-year": find_year,
    "last-week": make_previous_rule(find_week),
    "last-month": make_previous_rule(find_month),
    "last-quarter": make_previous_rule(find_quarter),
    "last-year": make_previous_rule(find_year),
    "month-to-date": make_to_date_rule(find_month),
    "year-to-date": make_to_date_rule(find_year),
}

COUNTED_PATTERN = re.compile("last-([1-9][0-9]*)-(days|months)")
COUNTED_RULES: dict[str, tuple[int, Callable[[int, date, int], Span]]] = {
    "days": (MAX_DAYS, find_last_days),
    "months": (MAX_MONTHS, find_last_months),
}

# A rule is called with the start day of months and then with the number of each group of its pattern.
NAMED_RULES: tuple[tuple[re.Pattern[str], Callable[..., Span]], ...] = (
    (re.compile(YEAR), lambda _, year: make_year(year)),
    (re.compile(f"{YEAR}-Q([1-4])"), lambda _, year, quarter: make_quarter(year, quarter)),
    (re.compile(MONTH), lambda start_day, year, month: make_month(year, month, start_day)),
    (re.compile(f"{YEAR}-W([0-9]{{2}})"), lambda _, year, week: make_week(year, week)),
    (re.compile(DAY), lambda _, year, month, day: make_day(year, month, day)),
)


PERIOD_PATTERN = "^(?:{})$".format(
    "|".join(
        (
            f"{YEAR_IN_RANGE}(?:-Q[1-4]|-W(?:0[1-9]|[1-4][0-9]|5[0-3])|{DASH_MONTH}(?:{DASH_DAY})?)?",
            *RELATIVE_RULES,
            "last-[1-9][0-9]{0,4}-days",
            "last-[1-9][0-9]{0,3}-months",
        )
    )
)
"""The pattern of a period in the OpenAPI document; it also matches days and weeks that do not exist."""


def is_relative(period: str) -> bool:
    """Whether the days of a period depend on today: those of `last-week` do, those of `2026-W47` do not."""
    return period in RELATIVE_RULES or COUNTED_PATTERN.fullmatch(period) is not None


def resolve_period(period: str, today: date, month_start_day: int = 1) -> Span:
    """Return the days of a period as of today, for a user whose months begin on `month_start_day`, 1 to 28.

    A period that begins or ends outside EARLIEST..LATEST is cut: 2200-W01 contains 2199-12-31, so it can be asked for.
    Raises NotAPeriod, or PeriodOutOfRange if no day is left.
    """
    if rule := RELATIVE_RULES.get(period):
        return clip_span(rule(today, month_start_day))
    if match := COUNTED_PATTERN.fullmatch(period):
        return clip_span(resolve_counted_period(match[1], match[2], today, month_start_day))
    return clip_span(resolve_named_period(period, month_start_day))


def resolve_counted_period(digits: str, unit: str, today: date, start_day: int) -> Span:
    """Return the last N days or months, the current one included; raise PeriodOutOfRange if N is too large."""
    max_count, rule = COUNTED_RULES[unit]
    # Six digits are beyond every limit already, and int() raises on more than 4300.
    count = int(digits[:6])
    if count > max_count:
        raise PeriodOutOfRange
    return rule(count, today, start_day)


def resolve_named_period(period: str, start_day: int) -> Span:
    """Return the days of a period like 2026-W47; raise NotAPeriod or PeriodOutOfRange."""
    for pattern, rule in NAMED_RULES:
        if match := pattern.fullmatch(period):
            year, *rest = map(int, match.groups())
            # One more year on each side, for weeks and users' months across the year's end.
            if not EARLIEST.year - 1 <= year <= LATEST.year + 1:
                raise PeriodOutOfRange
            try:
                return rule(start_day, year, *rest)
            except ValueError:
                raise NotAPeriod from None
    raise NotAPeriod


def clip_span(span: Span) -> Span:
    """Cut a span to EARLIEST..LATEST; raise PeriodOutOfRange if it lies entirely outside."""
    if span.last < EARLIEST or span.first > LATEST:
        raise PeriodOutOfRange
    return Span(max(span.first, EARLIEST), min(span.last, LATEST))


Comparison = Literal["previous", "last-year"]
MONTHS_TO_DATE = {"month-to-date": 1, "year-to-date": MONTHS_PER_YEAR}
"""The periods that end today, and how many months their unit has."""


def find_compared_span(span: Span, comparison: Comparison, period: str | None, start_day: int = 1) -> Span:
    """Return the span with which a report compares `span`, for a user whose months begin on `start_day`.

    `period` is the period that was asked for, if any. `month-to-date` and `year-to-date` are compared with the same
    days of the month or year before. `last-N-days` is always compared by days, even if it happens to be a whole month.
    """
    match = period is not None and COUNTED_PATTERN.fullmatch(period)
    in_days = period in MONTHS_TO_DATE or (match and match[2] == "days")
    if comparison == "last-year":
        return shift_back_by_months(span, MONTHS_PER_YEAR) if in_days else shift_back_a_year(span, start_day)
    if period in MONTHS_TO_DATE:
        return shift_back_by_months(span, MONTHS_TO_DATE[period])
    return shift_back_by_length(span) if in_days else find_span_before(span, start_day)
