"""Days as files write them, and the order that they prove."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.transfer.readers.dates import find_last_month, list_orders, read_shape, to_day


def _orders(*cells: str) -> list[str]:
    return [*list_orders({shape for cell in cells if (shape := read_shape(cell))})]


def _day(cell: str, order: str | None = None) -> date | None:
    shape = read_shape(cell)
    return to_day(shape, order) if shape else None  # type: ignore[arg-type]  # one of the orders


@pytest.mark.parametrize(
    ("cell", "day"),
    [
        ("2026-03-01", date(2026, 3, 1)),
        ("2026/3/1", date(2026, 3, 1)),
        ("2026.03.01", date(2026, 3, 1)),
        ("20260301", date(2026, 3, 1)),
        ("20260301120000", date(2026, 3, 1)),
        ("2026-03-01T23:30:00-05:00", date(2026, 3, 1)),
        ("2026-03-01 08:12:44.123", date(2026, 3, 1)),
        ("2026年3月1日", date(2026, 3, 1)),
        ("2026년 3월 1일", date(2026, 3, 1)),
        ("1-Mar-2026", date(2026, 3, 1)),
        ("01 March 2026", date(2026, 3, 1)),
        ("1. März 2026", date(2026, 3, 1)),
        ("1 de marzo de 2026", date(2026, 3, 1)),
        ("1 mars 2026", date(2026, 3, 1)),
        ("Mar 1, 2026", date(2026, 3, 1)),
        ("Sun, 1 Mar 2026", date(2026, 3, 1)),
        ("2026-Mar-01", date(2026, 3, 1)),
    ],
)
def test_a_form_that_proves_its_order_is_read(cell: str, day: date) -> None:
    assert _day(cell) == day


@pytest.mark.parametrize(
    ("cell", "order", "day"),
    [
        ("01/02/2026", "DMY", date(2026, 2, 1)),
        ("01/02/2026", "MDY", date(2026, 1, 2)),
        ("1.2.26", "DMY", date(2026, 2, 1)),
        ("26-02-01", "YMD", date(2026, 2, 1)),
        ("6/ 1/10", "MDY", date(2010, 6, 1)),
        ("2/10'2020", "MDY", date(2020, 2, 10)),
        ("6/1/94", "MDY", date(1994, 6, 1)),
        ("01/02/2026 12:04:08", "DMY", date(2026, 2, 1)),
        ("1/2/2026 3:04 PM", "MDY", date(2026, 1, 2)),
    ],
)
def test_other_forms_are_read_in_the_order_of_the_file(cell: str, order: str, day: date) -> None:
    assert _day(cell, order) == day


@pytest.mark.parametrize(
    "cell",
    ["", "coffee", "12.50", "1.5", "2026-13-01", "31/02/2026", "32/01/2026", "00/01/2026", "1234", "Foo 1, 2026"],
)
def test_what_is_no_day_is_none(cell: str) -> None:
    assert {_day(cell, order) for order in ("DMY", "MDY", "YMD")} == {None}


def test_one_late_day_proves_the_order_of_all() -> None:
    assert _orders("02/12/2026", "29/12/2026") == ["DMY"]
    assert _orders("02/12/2026", "12/29/2026") == ["MDY"]


def test_days_up_to_twelve_leave_two_orders() -> None:
    assert _orders("02/12/2026", "03/04/2026") == ["DMY", "MDY"]


def test_days_that_are_the_same_in_both_orders_leave_nothing_open() -> None:
    assert _orders("05/05/2026", "07/07/2026") == ["DMY"]


def test_nobody_writes_the_month_first_before_dots() -> None:
    assert _orders("02.04.2026") == ["DMY"]
    assert _orders("02.04.") == ["DMY"]


def test_two_digits_in_front_are_no_year_if_they_change_more_than_the_last() -> None:
    assert _orders("01/06/10", "29/12/10") == ["DMY"]


def test_two_digits_in_front_may_be_the_year_if_they_do_not_change() -> None:
    assert _orders("26-01-15", "26-01-16") == ["DMY", "YMD"]


def test_a_year_of_one_digit_beside_a_named_month_may_be_a_day() -> None:
    assert _orders("10-Nov-9", "04-Nov-11") == ["DMY", "YMD"]
    assert _orders("10-Nov-09", "04-Nov-11") == ["DMY"]


def test_days_that_contradict_each_other_leave_no_order() -> None:
    assert _orders("29/12/2026", "12/29/2026") == []


@pytest.mark.parametrize(("months", "last"), [([4], 4), ([12, 1], 1), ([11, 12, 1, 2], 2), ([3, 4, 5], 5), ([], 12)])
def test_the_last_month_is_the_one_before_the_longest_gap(months: list[int], last: int) -> None:
    assert find_last_month(months) == last


def test_days_without_a_year_after_the_last_month_are_of_the_year_before() -> None:
    shapes = [shape for cell in ("12/29", "01/07") if (shape := read_shape(cell))]

    assert [to_day(it, "MDY", year=2024, last_month=1) for it in shapes] == [date(2023, 12, 29), date(2024, 1, 7)]


@given(st.text())
def test_any_text_is_a_day_or_none(cell: str) -> None:
    shape = read_shape(cell)

    assert shape is None or len(shape.numbers) in {1, 2, 3}


@given(st.dates(date(1900, 1, 1), date(2199, 12, 31)))
def test_each_day_is_read_back(day: date) -> None:
    assert [_day(day.isoformat()), _day(f"{day:%d/%m/%Y}", "DMY"), _day(f"{day:%m/%d/%Y}", "MDY")] == [day] * 3
