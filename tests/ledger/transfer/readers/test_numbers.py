"""Numbers as files write them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.transfer.readers.numbers import decide_decimal, read_number


def _read(cell: str, decimal: str | None = None) -> Decimal | None:
    number = read_number(cell)
    return number.read(decimal) if number else None  # type: ignore[arg-type]  # one of the two marks


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("12.50", "12.50"),
        ("12,5", "12.5"),
        ("-7", "-7"),
        ("+7.00", "7.00"),
        ("1.234,56", "1234.56"),
        ("1,234.56", "1234.56"),
        ("1'234.56", "1234.56"),
        ("1\u2019234.56", "1234.56"),
        ("1 234,56", "1234.56"),
        ("1\u00a0234,56", "1234.56"),
        ("1\u202f234,56", "1234.56"),
        ("1.234.567", "1234567"),
        ("12,34,567.80", "1234567.80"),
        ("12.50-", "-12.50"),
        ("(12.50)", "-12.50"),
        ("($12.50)", "-12.50"),
        ("- $21.59", "-21.59"),
        ("$-21.59", "-21.59"),
        ("\u221221.59", "-21.59"),
        ("+ £1,100.00", "1100.00"),
        ("-118,72 PLN", "-118.72"),
        ("54,20€", "54.20"),
        ("kr 12,50", "12.50"),
        ("\uff11\uff12.\uff15\uff10", "12.50"),
        ("0012.50", "12.50"),
        ("100.", "100"),
        (",50", "0.50"),
        ("0.125", "0.125"),
        ("1234.567", "1234.567"),
        ("115.8331", "115.8331"),
    ],
)
def test_a_number_is_read_as_it_is_written(cell: str, value: str) -> None:
    assert _read(cell) == Decimal(value)


@pytest.mark.parametrize(
    "cell",
    [
        *("", "-", "12..34", "12-34", "1,23.456", "1.23,4.5", "--5", "5 EUR EUR", "abc", "12.50 and more"),
        *("10.00(refunded 4.00)", "1 23", "12'5", "£", "1.2.3", "+5-", "9" * 50, "5 XYZ", "(5", "."),
    ],
)
def test_what_can_be_no_number_is_none(cell: str) -> None:
    assert read_number(cell) is None


def test_three_digits_behind_the_only_mark_may_be_thousands_or_decimals() -> None:
    assert _read("1.450") is None
    assert _read("1.450", ".") == Decimal("1.450")
    assert _read("1.450", ",") == Decimal(1450)


def test_another_number_proves_what_the_mark_is() -> None:
    numbers = [number for cell in ("-1.450", "1.000,0") if (number := read_number(cell))]

    assert decide_decimal(numbers) == ","


def test_numbers_that_contradict_each_other_prove_nothing() -> None:
    numbers = [number for cell in ("1.5", "1,5") if (number := read_number(cell))]

    assert decide_decimal(numbers) is None


def test_a_number_that_shows_its_mark_is_not_read_with_another() -> None:
    assert _read("12,50", ".") == Decimal("12.50")


@pytest.mark.parametrize(("cell", "side"), [("1,100.00 CR", "in"), ("20.00 DR", "out"), ("20.00", None)])
def test_cr_and_dr_behind_a_number_say_the_direction(cell: str, side: str | None) -> None:
    number = read_number(cell)

    assert number is not None
    assert number.side == side


@pytest.mark.parametrize(("cell", "unit"), [("5 €", "EUR"), ("$5", "$"), ("5 zł", "PLN"), ("CHF 5", "CHF")])
def test_the_currency_beside_a_number_is_known(cell: str, unit: str | None) -> None:
    number = read_number(cell)

    assert number is not None
    assert number.unit == unit


@given(st.text())
def test_any_text_is_a_number_or_none(cell: str) -> None:
    number = read_number(cell)

    assert number is None or number.read(".") is not None


@given(st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**9), max_value=10**9))
def test_each_way_to_write_an_amount_gives_it_back(amount: Decimal) -> None:
    english = f"{amount:,.2f}"
    german = english.translate(str.maketrans(",.", ".,"))

    assert [_read(english), _read(german), _read(f"{abs(amount):.2f}")] == [amount, amount, abs(amount)]
