"""Spans of days, tested against the calendar."""

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from values import periods
from values.days import EARLIEST, LATEST
from values.spans import (
    CALENDAR_UNITS,
    ONE_DAY,
    BucketedSpan,
    Span,
    count_whole_months,
    divide_into_buckets,
    find_month,
    find_quarter,
    find_span_before,
    find_week,
    make_month,
    make_quarter,
    make_year,
    shift_back_a_year,
    shift_back_by_months,
)

days = st.dates(EARLIEST, LATEST)
start_days = st.integers(1, 28)
years = st.integers(EARLIEST.year, LATEST.year)
units = st.sampled_from(sorted(CALENDAR_UNITS))
spans = st.builds(
    lambda first, length: Span(first, min(LATEST, first + timedelta(days=length))), days, st.integers(0, 800)
)


def from_to(first: str, last: str) -> Span:
    return Span(date.fromisoformat(first), date.fromisoformat(last))


# --- Units ---


@given(years, st.integers(1, 12), start_days)
def test_a_users_month_begins_on_their_day_and_ends_the_day_before(year: int, month: int, start_day: int) -> None:
    found = make_month(year, month, start_day)
    assert found.first == date(year, month, start_day)
    assert (found.last + ONE_DAY).day == start_day
    assert found.days in {28, 29, 30, 31}


@given(days, start_days)
def test_every_day_is_in_the_month_that_holds_it_and_in_neither_neighbour(day: date, start_day: int) -> None:
    month = find_month(day, start_day)
    before = make_month(month.first.year, month.first.month - 1, start_day)
    after = make_month(month.first.year, month.first.month + 1, start_day)
    assert before.last < month.first <= day <= month.last < after.first


@given(days, start_days)
def test_a_users_month_bears_the_name_of_the_month_in_which_it_begins(day: date, start_day: int) -> None:
    month = find_month(day, start_day)
    assert periods.resolve_period(f"{month.first:%Y-%m}", day, start_day) == periods.clip_span(month)


@given(days)
def test_every_day_is_in_the_iso_week_of_its_name(day: date) -> None:
    week = find_week(day)
    assert periods.resolve_period(f"{day:%G-W%V}", day) == periods.clip_span(week)
    assert (week.first.isoweekday(), week.last.isoweekday()) == (1, 7)


@given(days)
def test_the_quarter_that_holds_a_day_is_three_months_of_its_year(day: date) -> None:
    quarter = find_quarter(day)
    assert quarter.first <= day <= quarter.last
    assert quarter.last == make_month(day.year, quarter.first.month + 2).last


@given(years)
def test_four_quarters_are_a_year(year: int) -> None:
    first, last = make_quarter(year, 1), make_quarter(year, 4)
    assert Span(first.first, last.last) == make_year(year)


# --- What came before ---


@given(spans, start_days)
def test_the_span_before_ends_where_this_one_begins(span: Span, start_day: int) -> None:
    assert find_span_before(span, start_day).last + ONE_DAY == span.first


@pytest.mark.parametrize(
    ("span", "start_day", "expected"),
    [
        (from_to("2026-07-01", "2026-09-30"), 10, (3, 1)),
        (from_to("2026-10-01", "2027-03-31"), 10, (6, 1)),
        (from_to("2026-02-01", "2026-04-30"), 10, (0, 0)),
        (from_to("2026-07-01", "2026-10-31"), 10, (0, 0)),
        (from_to("2026-02-01", "2026-04-30"), 1, (3, 1)),
        (from_to("2026-02-10", "2026-05-09"), 10, (3, 10)),
        (from_to("2026-02-10", "2026-05-10"), 10, (0, 0)),
    ],
    ids=["a quarter", "quarters", "no quarter", "a quarter and a month", "months", "the user's", "a day more"],
)
def test_whole_months_are_the_users_or_quarters(span: Span, start_day: int, expected: tuple[int, int]) -> None:
    assert count_whole_months(span, start_day) == expected


@given(years, st.integers(1, 4), st.integers(1, 8), start_days)
def test_as_many_whole_quarters_come_before(year: int, quarter: int, count: int, start_day: int) -> None:
    first = 3 * quarter - 2
    span = Span(make_month(year, first).first, make_month(year, first + 3 * count - 1).last)
    before = find_span_before(span, start_day)
    assert before == Span(make_month(year, first - 3 * count).first, make_month(year, first - 1).last)


@given(spans, start_days)
def test_before_what_is_no_whole_months_as_many_days_come(span: Span, start_day: int) -> None:
    assume(count_whole_months(span, start_day) == (0, 0))
    assert find_span_before(span, start_day).days == span.days


@given(years, st.integers(1, 12), st.integers(1, 30), start_days)
def test_as_many_whole_months_come_before(year: int, month: int, count: int, start_day: int) -> None:
    span = Span(make_month(year, month, start_day).first, make_month(year, month + count - 1, start_day).last)
    before = find_span_before(span, start_day)
    assert before.first == make_month(year, month - count, start_day).first
    assert before.last == make_month(year, month - 1, start_day).last


@given(years, st.integers(1, 12), start_days)
def test_a_month_of_last_year_is_the_whole_month(year: int, month: int, start_day: int) -> None:
    assert shift_back_a_year(make_month(year, month, start_day), start_day) == make_month(year - 1, month, start_day)


@given(days)
def test_the_week_of_last_year_is_a_whole_week_a_year_ago(day: date) -> None:
    before = shift_back_a_year(find_week(day))
    assert (before.first.isoweekday(), before.days) == (1, 7)
    assert (find_week(day).first - before.first).days in {364, 371}


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        (from_to("2024-02-29", "2024-03-05"), from_to("2023-02-28", "2023-03-05")),
        (from_to("2024-02-10", "2024-02-29"), from_to("2023-02-10", "2023-02-28")),
        (from_to("2025-02-10", "2025-03-10"), from_to("2024-02-10", "2024-03-10")),
        (from_to("2025-02-01", "2025-02-28"), from_to("2024-02-01", "2024-02-29")),
    ],
    ids=["it begins on it", "it ends on it", "it goes over it", "it is the month's end"],
)
def test_29_february_has_its_place_in_last_year(span: Span, expected: Span) -> None:
    assert shift_back_a_year(span) == expected


@given(spans, st.integers(1, 24))
def test_the_same_days_keep_their_date_where_the_month_has_it(span: Span, months: int) -> None:
    first = shift_back_by_months(span, months).first
    assert first.day == span.first.day or (first + ONE_DAY).day == 1
    assert (span.first.year - first.year) * 12 + span.first.month - first.month == months


# --- Buckets ---


@given(spans, units, start_days)
def test_buckets_partition_the_span(span: Span, unit: str, start_day: int) -> None:
    found = [days for _, days in divide_into_buckets(span, unit, start_day)]
    assert (found[0].first, found[-1].last) == (span.first, span.last)
    assert all(one.last + ONE_DAY == other.first for one, other in pairwise(found))
    assert all(it.first <= it.last for it in found)


@given(spans, units, start_days)
def test_the_name_of_a_bucket_is_the_period_of_its_whole_unit(span: Span, unit: str, start_day: int) -> None:
    found = list(divide_into_buckets(span, unit, start_day))
    whole = [periods.resolve_period(name, span.first, start_day) for name, _ in found]
    assert [days for _, days in found] == [Span(max(it.first, span.first), min(it.last, span.last)) for it in whole]


@given(spans, units, start_days)
def test_no_two_buckets_have_one_name(span: Span, unit: str, start_day: int) -> None:
    names = [name for name, _ in divide_into_buckets(span, unit, start_day)]
    assert len(set(names)) == len(names)
    assert sorted(names) == names


@given(spans, units, start_days, st.data())
def test_a_day_is_in_the_bucket_at_its_place(span: Span, unit: str, start_day: int, data: st.DataObject) -> None:
    day = data.draw(st.dates(span.first, span.last))
    name, found = list(divide_into_buckets(span, unit, start_day))[BucketedSpan(span, unit, start_day).find_bucket(day)]
    assert found.first <= day <= found.last
    assert BucketedSpan(span, unit, start_day).names[BucketedSpan(span, unit, start_day).find_bucket(day)] == name


@given(spans, st.data())
def test_the_place_of_a_weekday_is_its_number(span: Span, data: st.DataObject) -> None:
    day = data.draw(st.dates(span.first, span.last))
    division = BucketedSpan(span, "weekday")
    assert division.find_bucket(day) == day.isoweekday() == division.names[day.isoweekday()]


def test_a_short_span_has_only_its_own_weekdays() -> None:
    assert list(BucketedSpan(from_to("2026-11-21", "2026-11-23"), "weekday").names) == [1, 6, 7]


def test_a_span_that_is_not_divided_is_one_bucket_without_a_name() -> None:
    division = BucketedSpan(from_to("2026-11-01", "2026-11-30"), None)
    assert (division.names, division.find_bucket(date(2026, 11, 22)), division.find_bucket(None)) == ({0: None}, 0, 0)


def test_a_division_goes_no_further_than_it_must() -> None:
    assert len(BucketedSpan(Span(EARLIEST, LATEST), "day", most=100).names) == 100


def test_a_month_of_31_days_ends_with_its_31st() -> None:
    (name, span), *_ = divide_into_buckets(from_to("2026-12-25", "2027-02-24"), "month", 25)
    assert (name, span, span.days) == ("2026-12", from_to("2026-12-25", "2027-01-24"), 31)


def test_a_span_across_a_year_has_the_week_that_both_years_share_once() -> None:
    found = list(divide_into_buckets(from_to("2026-12-28", "2027-01-10"), "week"))
    assert found == [
        ("2026-W53", from_to("2026-12-28", "2027-01-03")),
        ("2027-W01", from_to("2027-01-04", "2027-01-10")),
    ]
