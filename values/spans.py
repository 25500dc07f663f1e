"""Spans of days: the units of the calendar, what came before a span, and its division into buckets.

Pure, and without bounds. Weeks are those of ISO 8601; months are the user's own and may begin on any day from 1 to 28;
quarters and years are the calendar's.
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
    """A run of days; both ends belong to it."""

    first: date
    last: date

    @property
    def days(self) -> int:
        """How many days it is long."""
        return (self.last - self.first).days + 1


# --- Units ------------------------------------------------------------------------------------------------------------


def make_day(year: int, month: int, day: int) -> Span:
    """Give a single day; raises ValueError if the calendar has no such day."""
    the_day = date(year, month, day)
    return Span(the_day, the_day)


def make_week(year: int, week: int) -> Span:
    """Give a week, Monday to Sunday, of an ISO 8601 week-numbering year; raises ValueError if it has no such week."""
    monday = date.fromisocalendar(year, week, 1)
    return Span(monday, monday + timedelta(days=6))


def find_month_start(year: int, month: int, start_day: int = 1) -> date:
    """Give the first day of a user's month; months count on past 12 and back past 1 into the years around."""
    years, index = divmod(month - 1, 12)
    return date(year + years, index + 1, start_day)


def make_month(year: int, month: int, start_day: int = 1) -> Span:
    """Return a user's month, named after the calendar month in which it begins; see find_month_start for `month`."""
    return Span(find_month_start(year, month, start_day), find_month_start(year, month + 1, start_day) - ONE_DAY)


def make_quarter(year: int, quarter: int) -> Span:
    """Give a quarter, 1 to 4, of a calendar year."""
    return Span(find_month_start(year, 3 * quarter - 2), find_month_start(year, 3 * quarter + 1) - ONE_DAY)


def make_year(year: int) -> Span:
    """Give a calendar year."""
    return Span(date(year, 1, 1), date(year, 12, 31))


def find_day(day: date, _start_day: int = 1) -> Span:
    """Give the day itself, for tables of units."""
    return Span(day, day)


def find_week(day: date, _start_day: int = 1) -> Span:
    """Give the ISO 8601 week that holds a day."""
    iso = day.isocalendar()
    return make_week(iso.year, iso.week)


def find_month(day: date, start_day: int = 1) -> Span:
    """Give the user's month that holds a day."""
    month = day.month if day.day >= start_day else day.month - 1
    return make_month(day.year, month, start_day)


def find_quarter(day: date, _start_day: int = 1) -> Span:
    """Give the calendar quarter that holds a day."""
    return make_quarter(day.year, (day.month + 2) // 3)


def find_year(day: date, _start_day: int = 1) -> Span:
    """Give the calendar year that holds a day."""
    return make_year(day.year)


# --- What came before -------------------------------------------------------------------------------------------------


def find_span_before(span: Span, start_day: int = 1) -> Span:
    """Give the span that ends where this one begins: as many whole months if it is whole months, else as many days."""
    months, day = count_whole_months(span, start_day)
    if months:
        return _shift_whole_months(span, months, day)
    return shift_back_by_length(span)


def shift_back_by_length(span: Span) -> Span:
    """Give the span of equal length that ends where this one begins."""
    return Span(span.first - timedelta(days=span.days), span.first - ONE_DAY)


def shift_back_a_year(span: Span, start_day: int = 1) -> Span:
    """Give the same span of the year before: the same months to their end, the week of the same number, or these days.

    February of a leap year thus keeps its 29th; where only an end lies on a day that the other year lacks, the day
    before it stands in, and week 52 for week 53.
    """
    months, day = count_whole_months(span, start_day)
    if months:
        return _shift_whole_months(span, MONTHS_PER_YEAR, day)
    if span == find_week(span.first):
        year, week, _ = span.first.isocalendar()
        # Of two years that follow each other, one at most has a week 53.
        return make_week(year - 1, min(week, 52))
    return shift_back_by_months(span, MONTHS_PER_YEAR)


def shift_back_by_months(span: Span, months: int) -> Span:
    """Give the same days of so many months before; a day that its month lacks is that month's last."""
    return Span(*(_shift_day(day, months) for day in (span.first, span.last)))


def count_whole_months(span: Span, start_day: int = 1) -> tuple[int, int]:
    """Tell how many whole months a span is, and on which day they begin; (0, 0) if it is none.

    Those of the user, or else quarters, which are the calendar's on whatever day the user's months begin.
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
    """A unit of time: the one that holds a day, given the day on which months begin; and its name by its first day."""

    find: Callable[[date, int], Span]
    write_name: Callable[[date], str]


CALENDAR_UNITS: Final = {
    "day": CalendarUnit(find_day, date.isoformat),
    "week": CalendarUnit(find_week, lambda first: "{:04}-W{:02}".format(*first.isocalendar())),
    "month": CalendarUnit(find_month, lambda first: f"{first:%Y-%m}"),
    "quarter": CalendarUnit(find_quarter, lambda first: f"{first.year:04}-Q{first.month // 3 + 1}"),
    "year": CalendarUnit(find_year, lambda first: f"{first.year:04}"),
}
"""By what they are called in `group_by`. The name of each is a period that `periods` reads."""
WEEKDAY: Final = "weekday"


def divide_into_buckets(span: Span, unit: str, start_day: int = 1) -> Iterator[tuple[str, Span]]:
    """Yield the name and the days of each bucket of a span, in order.

    They partition the span: the first and the last are cut off at its ends, and keep the name of their whole unit.
    """
    its = CALENDAR_UNITS[unit]
    first = span.first
    while first <= span.last:
        whole = its.find(first, start_day)
        yield its.write_name(whole.first), Span(first, min(whole.last, span.last))
        first = whole.last + ONE_DAY


class BucketedSpan:
    """A span in buckets of one unit (or undivided), each with its place, by which two spans can be compared.

    The place of a weekday is its number, 1 (Monday) to 7; that of any other bucket is counted from the span's first.
    """

    def __init__(self, span: Span, unit: str | None, start_day: int = 1, *, most: int | None = None) -> None:
        """Divide the span, into its first `most` buckets if that is given."""
        self.span = span
        self.names: dict[int, str | int | None]
        self._starts: list[date] = []
        self._by_weekday = unit == WEEKDAY
        if unit is None:
            self.names = {0: None}
        elif self._by_weekday:
            week = (span.first + timedelta(days=at) for at in range(min(span.days, 7)))
            self.names = {number: number for number in sorted(day.isoweekday() for day in week)}
        else:
            found = list(islice(divide_into_buckets(span, unit, start_day), most))
            self.names = {place: name for place, (name, _) in enumerate(found)}
            self._starts = [days.first for _, days in found]

    def find_bucket(self, day: date | None) -> int:
        """Tell the place of the bucket that holds a day of the span; of an undivided one there is only one, 0."""
        if day is None or not (self._starts or self._by_weekday):
            return 0
        return day.isoweekday() if self._by_weekday else bisect_right(self._starts, day) - 1
