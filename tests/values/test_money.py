"""Money: amounts are read exactly or refused, and written with their currency's decimals."""

import json
import re
from contextlib import suppress
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from values.money import (
    DECIMALS,
    MAX_DECIMALS,
    MAX_WHOLE_DIGITS,
    AmountError,
    AmountNotPositive,
    AmountTooLarge,
    AmountWrongType,
    NotDecimal,
    TooManyDecimals,
    UnknownCurrency,
    ZeroAmount,
    compute_percent,
    divide,
    divide_down,
    divide_half_even,
    parse_amount,
    parse_amount_bound,
    parse_budget_amount,
    parse_currency,
    sort_own_first,
    to_thousandths,
    write_amount,
)

EVERY_CURRENCY = sorted(DECIMALS)
LARGEST = 10 ** (MAX_WHOLE_DIGITS + MAX_DECIMALS) - 1

HOSTILE_SPELLINGS = [
    "",
    "-",
    ".",
    "-.",
    "12.",
    ".5",
    "-.5",
    "--1",
    "+1",
    "1-",
    "12.-5",
    "1.2.3",
    "1e5",
    "1E5",
    "1e-2",
    "1_000",
    "1 000",
    "1,50",
    "1,000.00",
    "1'000",
    " 12",
    "12 ",
    "\t12",
    "12.50\n",
    "12\r",
    "\x0012",
    "12\x00",
    "\ufeff12",
    "12\u00a0",
    "\u221212",  # the minus of typographers
    "\uff11\uff12",  # fullwidth 12
    "\u0663",  # Arabic 3
    "\u00b2",  # superscript 2
    "\u00bd",  # one half
    "\ud800",
    "0x10",
    "0b1",
    "NaN",
    "nan",
    "sNaN",
    "inf",
    "Infinity",
    "-Infinity",
    "true",
    "null",
    "$12",
    "12 EUR",
    "twelve",
    pytest.param("9" * 100_000 + "x", id="100,000 nines and an x"),
]


@st.composite
def stored(draw: st.DrawFn) -> tuple[int, str]:
    """Any amount that the service can hold, in thousandths, with its currency."""
    currency = draw(st.sampled_from(EVERY_CURRENCY))
    units = draw(st.integers(1, 10 ** (MAX_WHOLE_DIGITS + DECIMALS[currency]) - 1))
    sign = draw(st.sampled_from([1, -1]))
    return sign * units * 10 ** (MAX_DECIMALS - DECIMALS[currency]), currency


# What is accepted


@pytest.mark.parametrize(
    ("sent", "currency", "held"),
    [
        ("12.50", "EUR", 12_500),
        ("12.5", "EUR", 12_500),
        ("12", "EUR", 12_000),
        ("0.01", "EUR", 10),
        ("-12.50", "EUR", -12_500),
        ("-0.05", "EUR", -50),
        ("0012.50", "EUR", 12_500),
        ("1250", "JPY", 1_250_000),
        ("1.250", "KWD", 1_250),
        ("0.001", "TND", 1),
        ("999999999999.999", "BHD", LARGEST),
        ("-999999999999.999", "BHD", -LARGEST),
    ],
)
def test_a_string_is_held_as_thousandths(sent: str, currency: str, held: int) -> None:
    assert to_thousandths(parse_amount(sent), currency) == held


@pytest.mark.parametrize(
    ("number", "currency", "held"),
    [
        ("12", "EUR", 12_000),
        ("-12", "JPY", -12_000),
        ("12.5", "EUR", 12_500),
        ("12.50", "EUR", 12_500),
        ("12.500", "EUR", 12_500),
        ("12.0", "JPY", 12_000),
        ("100.0", "JPY", 100_000),
        ("1e3", "JPY", 1_000_000),
        ("-0.05", "EUR", -50),
        ("0.001", "KWD", 1),
        ("0.1", "EUR", 100),
        ("8.43", "EUR", 8_430),
        ("8.4299999999999997", "EUR", 8_430),
        ("999999999999", "EUR", 999_999_999_999_000),
        ("999999999999.99", "EUR", 999_999_999_999_990),
    ],
)
def test_a_json_number_counts_by_its_value(number: str, currency: str, held: int) -> None:
    assert to_thousandths(parse_amount(json.loads(number)), currency) == held


@given(stored())
def test_what_is_written_reads_back_as_the_same_amount(amount: tuple[int, str]) -> None:
    held, currency = amount
    assert to_thousandths(parse_amount(write_amount(held, currency)), currency) == held


@pytest.mark.parametrize("currency", EVERY_CURRENCY)
def test_the_smallest_and_the_largest_amount_of_every_currency_survive(currency: str) -> None:
    smallest = 10 ** (MAX_DECIMALS - DECIMALS[currency])
    largest = 10 ** (MAX_WHOLE_DIGITS + MAX_DECIMALS) - smallest
    amounts = [smallest, -smallest, largest, -largest]
    assert [to_thousandths(parse_amount(write_amount(held, currency)), currency) for held in amounts] == amounts


@given(st.integers(1, LARGEST), st.sampled_from([1, -1]))
def test_a_number_of_up_to_three_decimals_is_never_off_by_a_thousandth(held: int, sign: int) -> None:
    assert to_thousandths(parse_amount(sign * held / 1000), "KWD") == sign * held


# What is refused


@pytest.mark.parametrize("sent", HOSTILE_SPELLINGS)
def test_anything_but_plain_digits_is_not_a_decimal(sent: str) -> None:
    with pytest.raises(NotDecimal):
        parse_amount(sent)


@pytest.mark.parametrize("sent", [True, False, None, [], {}, ["12"], {"amount": "12"}, b"12", (1, 2), 1j, Decimal(1)])
def test_only_a_string_or_a_number_is_money(sent: object) -> None:
    with pytest.raises(AmountWrongType):
        parse_amount(sent)


@pytest.mark.parametrize("sent", ["0", "-0", "0.0", "0.00", "-0.00", "000", "0.000", 0, 0.0, -0.0], ids=repr)
def test_zero_is_refused(sent: object) -> None:
    with pytest.raises(ZeroAmount):
        parse_amount(sent)


@pytest.mark.parametrize(
    "sent",
    [
        "1" * 13,
        "-1000000000000",
        "0000000000012",
        "1000000000000.00",
        pytest.param("9" * 100_000, id="100,000 nines"),
        pytest.param("0" * 100_000 + "1", id="100,000 zeros and a one"),
        10**12,
        -(10**12),
        pytest.param(10**400, id="10**400"),
        1e12,
        1e22,
        1e400,
        -1e400,
    ],
    ids=repr,
)
def test_more_than_twelve_digits_before_the_point_are_refused(sent: object) -> None:
    with pytest.raises(AmountTooLarge):
        parse_amount(sent)


@pytest.mark.parametrize(
    "sent",
    [
        "12.5000",
        "0.0001",
        "0.0000",
        pytest.param("0." + "0" * 100_000, id="100,000 decimals"),
        0.0001,
        1.2345,
        1e-7,
        5e-324,
        8.429999999999996,
        0.1 + 0.2,
        999_999_999_999.9999,
    ],
    ids=repr,
)
def test_more_decimals_than_any_currency_has_are_refused(sent: object) -> None:
    with pytest.raises(TooManyDecimals, match=r"^No currency has more than 3 decimals\.$"):
        parse_amount(sent)


def test_not_a_number_is_not_a_decimal() -> None:
    with pytest.raises(NotDecimal):
        parse_amount(float("nan"))


@pytest.mark.parametrize(
    ("sent", "currency", "sentence"),
    [
        ("12.500", "EUR", "EUR has 2 decimals."),
        ("12.505", "EUR", "EUR has 2 decimals."),
        (12.505, "EUR", "EUR has 2 decimals."),
        ("12.50", "JPY", "JPY has no decimals."),
        ("12.0", "JPY", "JPY has no decimals."),
        (12.5, "JPY", "JPY has no decimals."),
    ],
    ids=repr,
)
def test_more_decimals_than_the_currency_has_are_refused(sent: object, currency: str, sentence: str) -> None:
    with pytest.raises(TooManyDecimals) as refusal:
        to_thousandths(parse_amount(sent), currency)
    assert str(refusal.value) == sentence


def test_thousandths_refuse_a_decimal_that_nobody_read() -> None:
    with pytest.raises(TooManyDecimals, match="KWD has 3 decimals"):
        to_thousandths(Decimal("1E-7"), "KWD")


@given(st.text() | st.floats() | st.integers() | st.from_regex(r"-?[0-9.,eE+_]{1,20}"))
def test_whatever_is_sent_the_only_failure_is_an_amount_error(sent: object) -> None:
    with suppress(AmountError):
        parse_amount(sent)


# Bounds of filters


@pytest.mark.parametrize(
    ("text", "held"),
    [("0", 0), ("-0", 0), ("0.00", 0), ("12", 12_000), ("12.5", 12_500), ("-3.25", -3_250), ("1.234", 1_234)],
)
def test_a_bound_is_a_number_as_written_whatever_the_currency(text: str, held: int) -> None:
    assert parse_amount_bound(text) == held


@given(st.from_regex(r"-?[0-9]{1,12}(\.[0-9]{1,3})?", fullmatch=True))
def test_a_bound_is_exact(text: str) -> None:
    assert Decimal(parse_amount_bound(text)) / 1000 == Decimal(text)


@pytest.mark.parametrize("text", HOSTILE_SPELLINGS)
def test_a_bound_is_spelled_like_an_amount(text: str) -> None:
    with pytest.raises(NotDecimal):
        parse_amount_bound(text)


@pytest.mark.parametrize(("text", "refusal"), [("1.2345", TooManyDecimals), ("1" * 13, AmountTooLarge)])
def test_a_bound_has_the_limits_of_an_amount(text: str, refusal: type[AmountError]) -> None:
    with pytest.raises(refusal):
        parse_amount_bound(text)


# Writing


@pytest.mark.parametrize(
    ("held", "currency", "text"),
    [
        (12_500, "EUR", "12.50"),
        (12_000, "EUR", "12.00"),
        (10, "EUR", "0.01"),
        (-50, "EUR", "-0.05"),
        (-12_500, "EUR", "-12.50"),
        (0, "EUR", "0.00"),
        (1_250_000, "JPY", "1250"),
        (-1_000, "JPY", "-1"),
        (0, "JPY", "0"),
        (1_250, "KWD", "1.250"),
        (1, "KWD", "0.001"),
        (-5, "KWD", "-0.005"),
        (LARGEST, "KWD", "999999999999.999"),
        (LARGEST * 1_000_000, "KWD", "999999999999999000.000"),
    ],
)
def test_an_amount_is_written_with_just_its_decimals(held: int, currency: str, text: str) -> None:
    assert write_amount(held, currency) == text


@pytest.mark.parametrize(("held", "currency"), [(12_505, "EUR"), (-1, "EUR"), (12_500, "JPY")])
def test_an_amount_finer_than_its_currency_is_never_written_short(held: int, currency: str) -> None:
    with pytest.raises(KeyError):
        write_amount(held, currency)


# Currencies


@pytest.mark.parametrize("sent", ["EUR", "eur", "Eur", "eUR"])
def test_a_currency_is_read_in_any_case(sent: str) -> None:
    assert parse_currency(sent) == "EUR"


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "EU",
        "EURO",
        "ABC",
        "\u20ac",  # the euro sign
        " EUR",
        "EUR\n",
        "EUR\x00",
        "\u0131nr",  # dotless i, whose capital is I
        "\u017fek",  # long s, whose capital is S
        "u\u00df",  # sharp s, whose capital is SS
        "\uff25\uff35\uff32",  # fullwidth EUR
        "\ud800",
        pytest.param("e" * 100_000, id="100,000 letters"),
        978,
        2.0,
        True,
        None,
        b"EUR",
        [],
        ["EUR"],
        {},
    ],
    ids=repr,
)
def test_anything_but_a_code_is_an_unknown_currency(sent: object) -> None:
    with pytest.raises(UnknownCurrency):
        parse_currency(sent)


@pytest.mark.parametrize(
    ("currency", "decimals"),
    [
        *[("ISK", 0), ("UGX", 0), ("CLP", 0), ("UYI", 0), ("VND", 0), ("XOF", 0)],
        *[("HUF", 2), ("MGA", 2), ("MRU", 2), ("IDR", 2), ("LBP", 2), ("IRR", 2), ("TWD", 2), ("COP", 2)],
        *[("IQD", 3), ("JOD", 3), ("LYD", 3), ("OMR", 3), ("TND", 3)],
    ],
)
def test_decimals_are_those_of_iso_4217_not_of_shops(currency: str, decimals: int) -> None:
    assert DECIMALS[currency] == decimals


@pytest.mark.parametrize("currency", ["SLE", "STN", "VED", "VES", "XAD", "XCG", "ZWG"])
def test_new_currencies_are_offered(currency: str) -> None:
    assert currency in DECIMALS


@pytest.mark.parametrize("currency", ["ANG", "BGN", "CUC", "HRK", "LTL", "MRO", "SLL", "STD", "VEF", "ZWL"])
def test_withdrawn_currencies_are_accepted(currency: str) -> None:
    assert parse_currency(currency) == currency


@pytest.mark.parametrize(
    ("currency", "decimals"),
    [
        *[("BEF", 0), ("BYR", 0), ("ESP", 0), ("GRD", 0), ("ITL", 0), ("LUF", 0), ("PTE", 0), ("TRL", 0)],
        *[("DEM", 2), ("FRF", 2), ("LVL", 2), ("MXP", 2), ("PLZ", 2), ("ROL", 2), ("RUR", 2), ("SIT", 2), ("SKK", 2)],
    ],
)
def test_a_withdrawn_currency_keeps_the_decimals_that_it_had(currency: str, decimals: int) -> None:
    assert DECIMALS[currency] == decimals


@pytest.mark.parametrize("currency", ["ADF", "ESA", "XEU", "XFO", "ZAL"])
def test_withdrawn_codes_without_a_known_minor_unit_are_not_offered(currency: str) -> None:
    with pytest.raises(UnknownCurrency):
        parse_currency(currency)


@pytest.mark.parametrize("currency", ["XAG", "XAU", "XBA", "XDR", "XPD", "XPT", "XSU", "XTS", "XUA", "XXX"])
def test_what_has_no_minor_unit_is_no_money(currency: str) -> None:
    with pytest.raises(UnknownCurrency):
        parse_currency(currency)


@pytest.mark.parametrize("currency", ["CLF", "UYW"])
def test_four_decimals_are_not_offered(currency: str) -> None:
    with pytest.raises(UnknownCurrency):
        parse_currency(currency)


def test_there_are_163_active_currencies_and_57_withdrawn_ones() -> None:
    assert len(DECIMALS) == 163 + 57


def test_currencies_are_listed_in_alphabetical_order() -> None:
    assert list(DECIMALS) == EVERY_CURRENCY


# What is divided


@given(st.integers(-(10**24), 10**24), st.integers(1, 10**22))
def test_a_quotient_is_rounded_half_to_even(numerator: int, denominator: int) -> None:
    assert divide_half_even(numerator, denominator) == round(Fraction(numerator, denominator))


@pytest.mark.parametrize(
    ("thousandths", "divisor", "currency", "expected"),
    [
        (20_010, 2, "EUR", 10_000),
        (20_030, 2, "EUR", 10_020),
        (-20_010, 2, "EUR", -10_000),
        (1_001_000, 2, "JPY", 500_000),
        (1_003_000, 2, "JPY", 502_000),
        (3, 2, "KWD", 2),
        (5, 2, "KWD", 2),
        (1_000, 3, "EUR", 330),
        (0, 7, "EUR", 0),
    ],
)
def test_an_amount_is_divided_to_its_smallest_unit(
    thousandths: int, divisor: int, currency: str, expected: int
) -> None:
    assert divide(thousandths, divisor, currency) == expected


@pytest.mark.parametrize(
    ("thousandths", "divisor", "currency", "expected"),
    [(80_000, 9, "EUR", 8_880), (80_000, 9, "JPY", 8_000), (8, 9, "KWD", 0), (90_000, 9, "EUR", 10_000)],
)
def test_what_is_left_a_day_is_never_more_than_there_is(
    thousandths: int, divisor: int, currency: str, expected: int
) -> None:
    assert divide_down(thousandths, divisor, currency) == expected


@pytest.mark.parametrize(
    ("part", "whole", "expected"),
    [
        (1, 3, 33.3),
        (2, 3, 66.7),
        (625, 10_000, 6.2),
        (635, 10_000, 6.4),
        (1, 2_000, 0.0),
        (3, 2_000, 0.2),
        (-1, 3, -33.3),
        (0, 5, 0.0),
        (10**21, 1, 1e23),
    ],
)
def test_a_percentage_is_half_even_to_one_decimal(part: int, whole: int, expected: float) -> None:
    assert compute_percent(part, whole) == expected


def test_the_own_currency_comes_before_all_others() -> None:
    assert sort_own_first({"USD", "EUR", "JPY"}, "JPY") == ["JPY", "EUR", "USD"]


def test_a_budget_is_read_like_an_amount() -> None:
    assert parse_budget_amount("12.50") == Decimal("12.50")


@pytest.mark.parametrize("value", ["-12.50", "0", 0.0, -1])
def test_what_is_not_more_than_zero_is_no_budget(value: object) -> None:
    with pytest.raises(AmountNotPositive):
        parse_budget_amount(value)


# What the client reads


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (NotDecimal, "malformed"),
        (AmountWrongType, "wrong_type"),
        (ZeroAmount, "out_of_range"),
        (AmountNotPositive, "out_of_range"),
        (AmountTooLarge, "out_of_range"),
        (TooManyDecimals, "out_of_range"),
        (UnknownCurrency, "not_allowed"),
    ],
)
def test_a_refusal_carries_its_entry_code_and_its_own_sentence(refusal: type[AmountError], code: str) -> None:
    assert (refusal.code, str(refusal())) == (code, refusal.__doc__)


def test_a_comma_is_answered_with_what_to_do() -> None:
    with pytest.raises(NotDecimal, match="use a decimal point, not a comma"):
        parse_amount("12,50")


def test_a_refusal_does_not_echo_what_was_sent() -> None:
    with pytest.raises(NotDecimal) as refusal:
        parse_amount("hunter2")
    assert "hunter2" not in str(refusal.value)


def test_the_sentences_name_the_real_limits() -> None:
    sentences = f"{AmountTooLarge()} {TooManyDecimals()}"
    assert re.findall(r"\d+", sentences) == [str(MAX_WHOLE_DIGITS), str(MAX_DECIMALS)]
