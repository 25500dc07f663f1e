"""Spans of days: units of the calendar, the span that a span is compared with, and its division into buckets.

A BucketedSpan numbers the buckets of a span, so that buckets of equal number in two spans can be compared:

    by month     2026-10-20 to 2026-12-05 (months begin on the 1st)
                 number   0               1               2
                 name     2026-10         2026-11         2026-12
                 days     10-20..10-31    11-01..11-30    12-01..12-05    cut at the ends of the span
    by weekday   number and name are 1 (Monday) to 7; only those that occur in the span
    undivided    one bucket, number 0, without a name

Pure, and without limits to dates. Weeks are those of ISO 8601. A month is the user's own: it begins on a day from 1 to
28 and is named after the calendar month in which it begins. Quarters and years follow the calendar.
"""

from bisect import bisect_right
from calendar import monthrange
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import islice
from typing import Final, NamedTuple

ONE_DAY: Final = timedelta(days=1)
MONTHS_PER_YEAR: Final = 12


@dataclass(frozen=True, slots=True)
class Span:
    """Consecutive days, both ends included."""

    first: date
    last: date

    @property
    def days(self) -> int:
        """The number of days."""
        return (self.last - self.first).days + 1


# --- Units ------------------------------------------------------------------------------------------------------------


def make_day(year: int, month: int, day: int) -> Span:
    """Return one day as a span; raise ValueError if there is no such day."""
    the_day = date(year, month, day)
    return Span(the_day, the_day)


def make_week(year: int, week: int) -> Span:
    """Return a week, Monday to Sunday, of an ISO 8601 week-numbering year; raise ValueError if it has no such week."""
    monday = date.fromisocalendar(year, week, 1)
    return Span(monday, monday + timedelta(days=6))


def find_month_start(year: int, month: int, start_day: int = 1) -> date:
    """Return the first day of a user's month; month 13 is the next January, month 0 the December before."""
    years, index = divmod(month - 1, 12)
    return date(year + years, index + 1, start_day)


def make_month(year: int, month: int, start_day: int = 1) -> Span:
    """Return a user's month by the calendar month in which it begins, counted as in find_month_start."""
    return Span(find_month_start(year, month, start_day), find_month_start(year, month + 1, start_day) - ONE_DAY)


def make_quarter(year: int, quarter: int) -> Span:
    """Return a quarter, 1 to 4, of a calendar year."""
    return Span(find_month_start(year, 3 * quarter - 2), find_month_start(year, 3 * quarter + 1) - ONE_DAY)


def make_year(year: int) -> Span:
    """Return a calendar year."""
    return Span(date(year, 1, 1), date(year, 12, 31))


def find_day(day: date, _start_day: int = 1) -> Span:
    """Return the day itself as a span; the parameters are those of every function in CALENDAR_UNITS."""
    return Span(day, day)


def find_week(day: date, _start_day: int = 1) -> Span:
    """Return the ISO 8601 week that contains a day."""
    iso = day.isocalendar()
    return make_week(iso.year, iso.week)


def find_month(day: date, start_day: int = 1) -> Span:
    """Return the user's month that contains a day."""
    month = day.month if day.day >= start_day else day.month - 1
    return make_month(day.year, month, start_day)


def find_quarter(day: date, _start_day: int = 1) -> Span:
    """Return the calendar quarter that contains a day."""
    return make_quarter(day.year, (day.month + 2) // 3)


def find_year(day: date, _start_day: int = 1) -> Span:
    """Return the calendar year that contains a day."""
    return make_year(day.year)


# --- Earlier spans ----------------------------------------------------------------------------------------------------


def find_span_before(span: Span, start_day: int = 1) -> Span:
    """Return the span before this one: as many whole months if this one is whole months, else as many days."""
    months, day = count_whole_months(span, start_day)
    if months:
        return _shift_whole_months(span, months, day)
    return shift_back_by_length(span)


def shift_back_by_length(span: Span) -> Span:
    """Return the span of as many days that ends the day before this one."""
    return Span(span.first - timedelta(days=span.days), span.first - ONE_DAY)


def shift_back_a_year(span: Span, start_day: int = 1) -> Span:
    """Return the same span one year earlier: whole months, the week of the same number, or the same dates.

    Whole months include 29 February in a leap year. As the end of other spans 29 February becomes 28 February in a year
    without it, and week 53 becomes week 52.
    """
    months, day = count_whole_months(span, start_day)
    if months:
        return _shift_whole_months(span, MONTHS_PER_YEAR, day)
    if span == find_week(span.first):
        year, week, _ = span.first.isocalendar()
        # The year before has no week 53: of two consecutive years at most one has.
        return make_week(year - 1, min(week, 52))
    return shift_back_by_months(span, MONTHS_PER_YEAR)


def shift_back_by_months(span: Span, months: int) -> Span:
    """Return the same dates `months` earlier; a date that its month lacks becomes the month's last day."""
    return Span(*(_shift_day(day, months) for day in (span.first, span.last)))


def count_whole_months(span: Span, start_day: int = 1) -> tuple[int, int]:
    """Return how many whole months a span is, and on which day they begin; (0, 0) if it is not whole months.

    The months are the user's, or the calendar's if the span is whole calendar quarters.
    """
    first, after = span.first, span.last + ONE_DAY
    months = MONTHS_PER_YEAR * (after.year - first.year) + after.month - first.month
    if first.day == after.day == start_day:
        return months, start_day
    if first.day == after.day == 1 and first == find_quarter(first).first and months % 3 == 0:
        return months, 1
    return 0, 0


def _shift_whole_months(span: Span, months: int, start_day: int) -> Span:
    first, after = (
        find_month_start(day.year, day.month - months, start_day) for day in (span.first, span.last + ONE_DAY)
    )
    return Span(first, after - ONE_DAY)


def _shift_day(day: date, months: int) -> date:
    first = find_month_start(day.year, day.month - months)
    return first.replace(day=min(day.day, monthrange(first.year, first.month)[1]))


# --- Buckets ----------------------------------------------------------------------------------------------------------


class CalendarUnit(NamedTuple):
    """A unit of time: `find` returns the one that contains a day, `write_name` names it by its first day."""

    find: Callable[[date, int], Span]
    write_name: Callable[[date], str]


CALENDAR_UNITS: Final = {
    "day": CalendarUnit(find_day, date.isoformat),
    "week": CalendarUnit(find_week, lambda first: "{:04}-W{:02}".format(*first.isocalendar())),
    "month": CalendarUnit(find_month, lambda first: f"{first:%Y-%m}"),
    "quarter": CalendarUnit(find_quarter, lambda first: f"{first.year:04}-Q{first.month // 3 + 1}"),
    "year": CalendarUnit(find_year, lambda first: f"{first.year:04}"),
}
"""By their values of `group_by`. Each name that they write is a period that `periods` parses."""
WEEKDAY: Final = "weekday"


def divide_into_buckets(span: Span, unit: str, start_day: int = 1) -> Iterator[tuple[str, Span]]:
    """Yield the name and the days of each bucket of a span, in order.

    The first and the last are cut at the ends of the span but have the name of their whole unit.
    """
    calendar_unit = CALENDAR_UNITS[unit]
    first = span.first
    while first <= span.last:
        whole_unit = calendar_unit.find(first, start_day)
        yield calendar_unit.write_name(whole_unit.first), Span(first, min(whole_unit.last, span.last))
        first = whole_unit.last + ONE_DAY


class BucketedSpan:
    """A span divided into numbered buckets of one unit, or undivided; equal numbers of two spans are compared.

    A weekday's number is 1 (Monday) to 7; other buckets are counted from 0.
    """

    def __init__(self, span: Span, unit: str | None, start_day: int = 1, *, most: int | None = None) -> None:
        """Divide the span; `most` limits how many buckets are made, from the first on."""
        self.span = span
        self.names: dict[int, str | int | None]
        self._starts: list[date] = []
        self._by_weekday = unit == WEEKDAY
        if unit is None:
            self.names = {0: None}
        elif self._by_weekday:
            week = (span.first + timedelta(days=offset) for offset in range(min(span.days, 7)))
            self.names = {number: number for number in sorted(day.isoweekday() for day in week)}
        else:
            buckets = list(islice(divide_into_buckets(span, unit, start_day), most))
            self.names = {number: name for number, (name, _) in enumerate(buckets)}
            self._starts = [days.first for _, days in buckets]

    def find_bucket(self, day: date | None) -> int:
        """Return the number of the bucket that contains a day; 0 if the span is undivided."""
        if day is None or not (self._starts or self._by_weekday):
            return 0
        return day.isoweekday() if self._by_weekday else bisect_right(self._starts, day) - 1
