"""Periods, tested without a clock."""

from contextlib import suppress
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from values import periods
from values.days import EARLIEST, LATEST
from values.parse_errors import ParseError
from values.periods import Comparison, find_compared_span, resolve_period
from values.spans import ONE_DAY, Span

SUNDAY = date(2026, 11, 22)

days = st.dates(EARLIEST, LATEST)
start_days = st.integers(1, 28)
years = st.integers(EARLIEST.year, LATEST.year)


def from_to(first: str, last: str) -> Span:
    return Span(date.fromisoformat(first), date.fromisoformat(last))


# Periods


@pytest.mark.parametrize(
    ("period", "expected"),
    [
        ("2026", from_to("2026-01-01", "2026-12-31")),
        ("2026-Q1", from_to("2026-01-01", "2026-03-31")),
        ("2026-Q4", from_to("2026-10-01", "2026-12-31")),
        ("2026-11", from_to("2026-11-01", "2026-11-30")),
        ("2026-12", from_to("2026-12-01", "2026-12-31")),
        ("2024-02", from_to("2024-02-01", "2024-02-29")),
        ("2026-W01", from_to("2025-12-29", "2026-01-04")),
        ("2026-W47", from_to("2026-11-16", "2026-11-22")),
        ("2026-W53", from_to("2026-12-28", "2027-01-03")),
        ("2026-11-22", from_to("2026-11-22", "2026-11-22")),
        ("2024-02-29", from_to("2024-02-29", "2024-02-29")),
    ],
)
def test_a_named_period_is_a_piece_of_the_calendar(period: str, expected: Span) -> None:
    assert resolve_period(period, SUNDAY) == expected


@pytest.mark.parametrize(
    ("period", "expected"),
    [
        ("today", from_to("2026-11-22", "2026-11-22")),
        ("this-week", from_to("2026-11-16", "2026-11-22")),
        ("this-month", from_to("2026-11-01", "2026-11-30")),
        ("this-quarter", from_to("2026-10-01", "2026-12-31")),
        ("this-year", from_to("2026-01-01", "2026-12-31")),
        ("last-week", from_to("2026-11-09", "2026-11-15")),
        ("last-month", from_to("2026-10-01", "2026-10-31")),
        ("last-quarter", from_to("2026-07-01", "2026-09-30")),
        ("last-year", from_to("2025-01-01", "2025-12-31")),
        ("month-to-date", from_to("2026-11-01", "2026-11-22")),
        ("year-to-date", from_to("2026-01-01", "2026-11-22")),
        ("last-1-days", from_to("2026-11-22", "2026-11-22")),
        ("last-30-days", from_to("2026-10-24", "2026-11-22")),
        ("last-36600-days", from_to("1926-09-09", "2026-11-22")),
        ("last-1-months", from_to("2026-11-01", "2026-11-30")),
        ("last-12-months", from_to("2025-12-01", "2026-11-30")),
        ("last-1200-months", from_to("1926-12-01", "2026-11-30")),
    ],
)
def test_a_relative_period_is_reckoned_from_today(period: str, expected: Span) -> None:
    assert resolve_period(period, SUNDAY) == expected


@pytest.mark.parametrize(
    ("period", "expected"),
    [
        ("this-week", from_to("2026-12-28", "2027-01-03")),
        ("last-week", from_to("2026-12-21", "2026-12-27")),
        ("last-month", from_to("2026-12-01", "2026-12-31")),
        ("last-quarter", from_to("2026-10-01", "2026-12-31")),
        ("last-year", from_to("2026-01-01", "2026-12-31")),
        ("last-2-months", from_to("2026-12-01", "2027-01-31")),
        ("year-to-date", from_to("2027-01-01", "2027-01-01")),
    ],
)
def test_on_new_years_day_the_last_ones_are_of_the_old_year(period: str, expected: Span) -> None:
    assert resolve_period(period, date(2027, 1, 1)) == expected


@pytest.mark.parametrize(
    ("period", "expected"),
    [
        ("2026-11", from_to("2026-11-25", "2026-12-24")),
        ("2026-12", from_to("2026-12-25", "2027-01-24")),
        ("this-month", from_to("2026-10-25", "2026-11-24")),
        ("last-month", from_to("2026-09-25", "2026-10-24")),
        ("month-to-date", from_to("2026-10-25", "2026-11-22")),
        ("last-3-months", from_to("2026-08-25", "2026-11-24")),
        ("last-12-months", from_to("2025-11-25", "2026-11-24")),
    ],
)
def test_months_begin_on_the_users_salary_day(period: str, expected: Span) -> None:
    assert resolve_period(period, SUNDAY, 25) == expected


@pytest.mark.parametrize(
    ("today", "expected"),
    [
        (date(2026, 11, 24), from_to("2026-10-25", "2026-11-24")),
        (date(2026, 11, 25), from_to("2026-11-25", "2026-12-24")),
        (date(2027, 1, 24), from_to("2026-12-25", "2027-01-24")),
    ],
)
def test_a_new_month_begins_on_its_first_day_and_not_before(today: date, expected: Span) -> None:
    assert resolve_period("this-month", today, 25) == expected


@pytest.mark.parametrize(
    "period", ["2026", "2026-Q4", "2026-W47", "this-week", "this-quarter", "last-year", "year-to-date", "last-30-days"]
)
def test_only_months_are_the_users_own(period: str) -> None:
    assert resolve_period(period, SUNDAY, 25) == resolve_period(period, SUNDAY, 1)


@pytest.mark.parametrize(
    "period",
    [
        "",
        " today",
        "today ",
        "today\n",
        "Today",
        "TODAY",
        "ｔｏｄａｙ",
        "yesterday",
        "tomorrow",
        "this_week",
        "this week",
        "this-day",
        "next-month",
        "week-to-date",
        "last-days",
        "last-0-days",
        "last-01-days",
        "last--1-days",
        "last-+1-days",
        "last-1-day",
        "last-1.5-days",
        "last-1_0-days",
        "last-1e2-days",
        "last-٣-days",
        "last-²-days",
        "last-3-weeks",
        "last-0-months",
        "last-12-months\n",
        "26",
        "02026",
        "-2026",
        "2026-",
        "2026-1",
        "2026-00",
        "2026-13",
        "2026-q4",
        "2026Q4",
        "2026-Q0",
        "2026-Q5",
        "2026-Q04",
        "2026-w47",
        "2026-W7",
        "2026-W00",
        "2026-W54",
        "2025-W53",
        "2026-W47-7",
        "２０２６",
        "2026-١١",
        "26-11-22",
        "2026-1-2",
        "2026-02-30",
        "2025-02-29",
        "2026-11-22T10:00:00Z",
        "2026-11-22 10:00",
        "2026-10..2026-11",
        "2026\x00",
        "\ud800",
    ],
)
def test_what_is_not_in_the_grammar_is_not_a_period(period: str) -> None:
    with pytest.raises(periods.NotAPeriod) as refused:
        resolve_period(period, SUNDAY)
    assert refused.value.code == "malformed"


@pytest.mark.parametrize(
    "period",
    [
        "0000",
        "0000-01-01",
        "1899",
        "1899-Q4",
        "1899-12",
        "1899-12-31",
        "1899-W52",
        "2200",
        "2200-Q1",
        "2200-01",
        "2200-01-01",
        "2200-W02",
        "9999",
        "9999-12",
        "9999-W52",
        "last-36601-days",
        "last-999999999999-days",
        "last-1201-months",
        pytest.param(f"last-{'9' * 5000}-days", id="last-9…9-days"),
    ],
)
def test_a_period_of_another_century_is_out_of_range(period: str) -> None:
    with pytest.raises(periods.PeriodOutOfRange) as refused:
        resolve_period(period, SUNDAY)
    assert refused.value.code == "out_of_range"


@pytest.mark.parametrize("period", ["last-week", "last-month", "last-quarter", "last-year"])
def test_before_the_first_day_there_is_no_last_one(period: str) -> None:
    with pytest.raises(periods.PeriodOutOfRange):
        resolve_period(period, EARLIEST)


@pytest.mark.parametrize(
    ("period", "today", "expected"),
    [
        ("1899-12", SUNDAY, from_to("1900-01-01", "1900-01-24")),
        ("2199-12", SUNDAY, from_to("2199-12-25", "2199-12-31")),
        ("2200-W01", SUNDAY, from_to("2199-12-30", "2199-12-31")),
        ("this-week", LATEST, from_to("2199-12-30", "2199-12-31")),
        ("this-month", EARLIEST, from_to("1900-01-01", "1900-01-24")),
        ("month-to-date", EARLIEST, from_to("1900-01-01", "1900-01-01")),
        ("last-30-days", EARLIEST, from_to("1900-01-01", "1900-01-01")),
        ("last-1200-months", EARLIEST, from_to("1900-01-01", "1900-01-24")),
    ],
)
def test_a_period_that_sticks_out_at_the_edge_is_clipped(period: str, today: date, expected: Span) -> None:
    assert resolve_period(period, today, 25) == expected


@pytest.mark.parametrize(
    "period", ["today", "this-week", "last-year", "month-to-date", "year-to-date", "last-30-days", "last-3-months"]
)
def test_a_relative_period_moves_with_today(period: str) -> None:
    assert resolve_period(period, date(2026, 11, 22)) != resolve_period(period, date(2028, 1, 1))


@pytest.mark.parametrize("period", ["2026", "2026-Q4", "2026-11", "2026-W47", "2026-11-22"])
def test_a_named_period_stays_where_it_is(period: str) -> None:
    assert resolve_period(period, date(2026, 11, 22)) == resolve_period(period, date(2028, 1, 1))


@given(st.text() | st.from_regex(r"(last|this)-\w{0,9}-(days|months)|\d{1,5}-?[QW]?\d{0,2}(-\d\d)?", fullmatch=True))
def test_no_text_at_all_upsets_reading_a_period(text: str) -> None:
    with suppress(ParseError):
        resolve_period(text, SUNDAY)


@pytest.mark.parametrize(
    "period",
    ["today", "this-week", "this-month", "this-quarter", "this-year", "month-to-date", "year-to-date", "last-1-months"],
)
@given(today=days, start_day=start_days)
def test_the_current_ones_hold_today(period: str, today: date, start_day: int) -> None:
    current = resolve_period(period, today, start_day)
    assert current.first <= today <= current.last


@pytest.mark.parametrize("unit", ["week", "month", "quarter", "year"])
@given(today=st.dates(date(1902, 1, 1), LATEST), start_day=start_days)
def test_the_last_one_ends_the_day_before_this_one(unit: str, today: date, start_day: int) -> None:
    last, this = resolve_period(f"last-{unit}", today, start_day), resolve_period(f"this-{unit}", today, start_day)
    assert last.last + ONE_DAY == this.first


@given(today=st.dates(date(2001, 1, 1), LATEST), count=st.integers(1, 36_600))
def test_last_n_days_are_n_days(today: date, count: int) -> None:
    found = resolve_period(f"last-{count}-days", today)
    assert found == Span(today - timedelta(days=count - 1), today)


# What a report is compared with


@pytest.mark.parametrize(
    ("period", "previous", "last_year"),
    [
        ("2026-11-22", ("2026-11-21", "2026-11-21"), ("2025-11-22", "2025-11-22")),
        ("2024-02-29", ("2024-02-28", "2024-02-28"), ("2023-02-28", "2023-02-28")),
        ("2026-W47", ("2026-11-09", "2026-11-15"), ("2025-11-17", "2025-11-23")),
        ("2026-W53", ("2026-12-21", "2026-12-27"), ("2025-12-22", "2025-12-28")),
        ("2026-11", ("2026-10-01", "2026-10-31"), ("2025-11-01", "2025-11-30")),
        ("2024-02", ("2024-01-01", "2024-01-31"), ("2023-02-01", "2023-02-28")),
        ("2025-02", ("2025-01-01", "2025-01-31"), ("2024-02-01", "2024-02-29")),
        ("2026-Q1", ("2025-10-01", "2025-12-31"), ("2025-01-01", "2025-03-31")),
        ("2025", ("2024-01-01", "2024-12-31"), ("2024-01-01", "2024-12-31")),
        ("last-3-months", ("2026-06-01", "2026-08-31"), ("2025-09-01", "2025-11-30")),
        ("last-30-days", ("2026-09-24", "2026-10-23"), ("2025-10-24", "2025-11-22")),
        ("month-to-date", ("2026-10-01", "2026-10-22"), ("2025-11-01", "2025-11-22")),
        ("year-to-date", ("2025-01-01", "2025-11-22"), ("2025-01-01", "2025-11-22")),
    ],
)
def test_a_period_has_one_before_and_one_last_year(
    period: str, previous: tuple[str, str], last_year: tuple[str, str]
) -> None:
    span = resolve_period(period, SUNDAY)
    assert find_compared_span(span, "previous", period) == from_to(*previous)
    assert find_compared_span(span, "last-year", period) == from_to(*last_year)


@pytest.mark.parametrize(
    ("period", "today", "comparison", "expected"),
    [
        ("month-to-date", date(2026, 3, 31), "previous", from_to("2026-02-01", "2026-02-28")),
        ("month-to-date", date(2026, 2, 28), "previous", from_to("2026-01-01", "2026-01-28")),
        ("month-to-date", date(2025, 2, 28), "last-year", from_to("2024-02-01", "2024-02-28")),
        ("year-to-date", date(2024, 2, 29), "previous", from_to("2023-01-01", "2023-02-28")),
        ("year-to-date", date(2025, 3, 1), "previous", from_to("2024-01-01", "2024-03-01")),
        ("last-30-days", date(2026, 11, 30), "previous", from_to("2026-10-02", "2026-10-31")),
        ("last-28-days", date(2025, 2, 28), "last-year", from_to("2024-02-01", "2024-02-28")),
    ],
)
def test_what_ends_today_is_compared_with_the_same_days(
    period: str, today: date, comparison: Comparison, expected: Span
) -> None:
    assert find_compared_span(resolve_period(period, today), comparison, period) == expected


@pytest.mark.parametrize(
    ("days_given", "previous"),
    [
        (from_to("2026-11-10", "2026-11-19"), from_to("2026-10-31", "2026-11-09")),
        (from_to("2026-10-25", "2026-11-24"), from_to("2026-09-25", "2026-10-24")),
        (from_to("2026-07-01", "2026-12-31"), from_to("2026-01-01", "2026-06-30")),
        (from_to("2026-11-01", "2026-11-30"), from_to("2026-10-02", "2026-10-31")),
    ],
    ids=["days", "a salary month", "two quarters", "a month of the calendar, which is not the user's"],
)
def test_days_given_are_compared_as_what_they_are(days_given: Span, previous: Span) -> None:
    assert find_compared_span(days_given, "previous", None, 25) == previous


def test_a_salary_month_to_date_is_compared_with_the_same_dates() -> None:
    span = resolve_period("month-to-date", date(2026, 12, 10), 25)
    assert span == from_to("2026-11-25", "2026-12-10")
    assert find_compared_span(span, "previous", "month-to-date", 25) == from_to("2026-10-25", "2026-11-10")


@given(days, st.sampled_from(["month-to-date", "year-to-date"]), start_days)
def test_the_same_days_before_lie_wholly_before(today: date, period: str, start_day: int) -> None:
    span = resolve_period(period, today, start_day)
    before = find_compared_span(span, "previous", period, start_day)
    assert before.first <= before.last < span.first
    assert abs(before.days - span.days) <= 3


# Errors


@pytest.mark.parametrize("error", [periods.NotAPeriod, periods.PeriodOutOfRange])
def test_an_error_says_its_docstring(error: type[ParseError]) -> None:
    assert str(error()) == error.__doc__


def test_an_error_can_be_told_what_else_to_say() -> None:
    assert str(periods.NotAPeriod("Send from or period, not both.")) == "Send from or period, not both."


def test_no_error_echoes_the_value() -> None:
    with pytest.raises(ParseError) as refused:
        resolve_period("hunter2", SUNDAY)
    assert "hunter2" not in str(refused.value)
    assert refused.value.__cause__ is None
