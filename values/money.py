"""Money: exact amounts, stored as integer thousandths and answered as decimal strings; no arithmetic uses floats.

    from a client       text or number, like "12.50" or 12.5
        parse_amount        to Decimal: checks the form, at most 12 digits and 3 decimals, not zero
        to_thousandths      to int: checks the currency's decimals; 12.50 EUR is 12500, 500 JPY is 500000
    in the database     integer thousandths, the same scale for each currency, so that amounts compare as numbers
        write_amount        to text with the currency's decimals
    to a client         decimal string, like "12.50" EUR, "500" JPY, "1.500" KWD

An amount from a client is never rounded: one with too many decimals is refused. Divisions are rounded half to even
(`divide`, `compute_percent`) or down (`divide_down`).
"""

import math
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final, Self

from values.parse_errors import ParseError

SCALE: Final = 1000
MAX_WHOLE_DIGITS: Final = 12
MAX_DECIMALS: Final = 3

_LIST_ONE: Final = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: """
        AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY
        COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS
        INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR
        MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP
        STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG
    """,
    3: "BHD IQD JOD KWD LYD OMR TND",
}

_LIST_THREE: Final = {
    0: "ADP BEF BYB BYR ESP GRD ITL LUF MGF PTE TPE TRL",
    2: """
        AFA ANG ATS AYM AZM BGL BGN CSD CSK CUC CYP DEM EEK FIM FRF GHC GWP HRK IEP LTL LVL MRO MTL MXP MZM NLG PLZ ROL
        RUR SDD SIT SKK SLL SRG STD TMM USS VEB VEF YUM ZMK ZWD ZWL ZWN ZWR
    """,
}

DECIMALS: Final[Mapping[str, int]] = dict(
    sorted(
        (code, decimals)
        for codes_by_decimals in (_LIST_ONE, _LIST_THREE)
        for decimals, codes in codes_by_decimals.items()
        for code in codes.split()
    )
)
"""How many decimals each currency has, active or withdrawn, by its code.

Source of the active ones: ISO 4217:2015, List One as published on 2026-01-01 (amendments up to 180), column "minor
unit". These are not the digits that shops display (CLDR): HUF has 2. Left out are codes without a minor unit, which are
not money (XAU, XDR, XXX), and the two fund codes with four decimals (CLF, UYW), which thousandths cannot hold.

The withdrawn ones are those of List Three, for ledgers that reach back before the euro. That list has no column for the
minor unit: theirs is the one that List One gave while they were active, as the currency tables of OpenJDK keep it from
amendment to amendment; CSK, MXP and PLZ, which left before those begin, have that of ISO 4217:1990. A code without a
minor unit that is known for certain is left out.
"""

# Possessive quantifiers: a long invalid text costs one pass. [0-9], because \d matches the digits of every script.
_DECIMAL_PATTERN: Final = re.compile(r"-?([0-9]++)(?:\.([0-9]++))?")

_ENDINGS_BY_DECIMALS: Final = {
    decimals: {
        rest: f".{rest:03}"[: decimals + 1].removesuffix(".")
        for rest in range(0, SCALE, 10 ** (MAX_DECIMALS - decimals))
    }
    for decimals in _LIST_ONE
}
_ENDINGS_BY_CURRENCY: Final = {code: _ENDINGS_BY_DECIMALS[decimals] for code, decimals in DECIMALS.items()}


class AmountError(ParseError):
    """Send an amount of money, like "12.50"."""


class NotDecimal(AmountError):
    """Write plain digits, like 12.50; use a decimal point, not a comma."""


class AmountWrongType(AmountError):
    """Send the amount as a string, like "12.50", or as a number."""

    code = "wrong_type"


class ZeroAmount(AmountError):
    """An amount cannot be zero; a refund is negative."""

    code = "out_of_range"


class AmountNotPositive(AmountError):
    """Send an amount of more than zero."""

    code = "out_of_range"


class AmountTooLarge(AmountError):
    """An amount has at most 12 digits before the decimal point."""

    code = "out_of_range"


class TooManyDecimals(AmountError):
    """No currency has more than 3 decimals."""

    code = "out_of_range"

    @classmethod
    def for_currency(cls, currency: str) -> Self:
        """Return the error with a sentence that names the currency and how many decimals it has."""
        return cls(f"{currency} has {DECIMALS[currency] or 'no'} decimals.")


class UnknownCurrency(AmountError):
    """Send the ISO 4217 code of a currency, like EUR; GET /currencies lists them."""

    code = "not_allowed"


class CurrencyNotText(UnknownCurrency):
    """Send the currency as a string, like "EUR"."""

    code = "wrong_type"


def parse_amount(value: object) -> Decimal:
    """Parse an amount exactly; raise AmountError if it is invalid.

    In a string, trailing zeros count as decimals: "5.00" has two. In a number they do not: 5.00 has none.
    """
    amount = _parse_text(value) if isinstance(value, str) else _parse_number(value)
    if not amount:
        raise ZeroAmount
    return amount


def parse_budget_amount(value: object) -> Decimal:
    """Parse the amount of a budget like parse_amount; raise AmountNotPositive if it is zero or negative."""
    try:
        amount = parse_amount(value)
    except ZeroAmount:
        raise AmountNotPositive from None
    if amount < 0:
        raise AmountNotPositive
    return amount


def parse_amount_bound(text: str) -> int:
    """Parse the bound of a filter to thousandths: text like an amount's, zero allowed, up to 3 decimals."""
    return int(_parse_text(text) * SCALE)


def to_thousandths(amount: Decimal, currency: str) -> int:
    """Convert what parse_amount returned to thousandths; raise TooManyDecimals if the currency has fewer decimals."""
    if _count_decimals(amount) > DECIMALS[currency]:
        raise TooManyDecimals.for_currency(currency)
    return int(amount * SCALE)


def write_amount(thousandths: int, currency: str) -> str:
    """Write thousandths with the currency's decimals: 12500 is "12.50" in EUR.

    Raises KeyError rather than drop a digit that the currency cannot show: 12505 in EUR.
    """
    if thousandths < 0:
        return "-" + write_amount(-thousandths, currency)
    # Decimals are looked up, because this runs for each row of each page and formatting them takes twice as long.
    return f"{thousandths // SCALE}{_ENDINGS_BY_CURRENCY[currency][thousandths % SCALE]}"


def divide(thousandths: int, divisor: int, currency: str) -> int:
    """Divide thousandths by a positive number, rounded half to even to the currency's smallest unit."""
    smallest_unit = _get_smallest_unit(currency)
    return divide_half_even(thousandths, divisor * smallest_unit) * smallest_unit


def divide_down(thousandths: int, divisor: int, currency: str) -> int:
    """Divide thousandths by a positive number, rounded down to the currency's smallest unit."""
    smallest_unit = _get_smallest_unit(currency)
    return thousandths // (divisor * smallest_unit) * smallest_unit


def compute_percent(part: int, whole: int) -> float:
    """Return `part` in percent of a positive `whole`, rounded half to even to one decimal."""
    return divide_half_even(1000 * part, whole) / 10


def divide_half_even(numerator: int, denominator: int) -> int:
    """Divide by a positive number and round half to even (IEEE 754, roundTiesToEven)."""
    quotient, rest = divmod(numerator, denominator)
    return quotient + (2 * rest > denominator or (2 * rest == denominator and quotient % 2))


def sort_own_first(currencies: Iterable[str], own: str) -> list[str]:
    """Sort currencies by code, the user's own first."""
    return sorted(currencies, key=lambda currency: (currency != own, currency))


def _get_smallest_unit(currency: str) -> int:
    return int(10 ** (MAX_DECIMALS - DECIMALS[currency]))


def parse_currency(value: object) -> str:
    """Return a currency code in upper case; raise UnknownCurrency if there is no such currency."""
    if not isinstance(value, str):
        raise CurrencyNotText
    # Some non-ASCII letters have ASCII capitals: the Turkish dotless i becomes "I".
    if not value.isascii() or value.upper() not in DECIMALS:
        raise UnknownCurrency
    return value.upper()


def _parse_text(text: str) -> Decimal:
    match = _DECIMAL_PATTERN.fullmatch(text)
    if match is None:
        raise NotDecimal
    whole, decimals = match.groups(default="")
    if len(whole) > MAX_WHOLE_DIGITS:
        raise AmountTooLarge
    if len(decimals) > MAX_DECIMALS:
        raise TooManyDecimals
    return Decimal(text)


def _parse_number(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise AmountWrongType
    if abs(value) >= 10**MAX_WHOLE_DIGITS:
        raise AmountTooLarge
    if math.isnan(value):
        raise NotDecimal
    # str gives the shortest decimal of the double: 8.4299999999999997, which some phones send, is 8.43.
    amount = Decimal(str(value).removesuffix(".0"))
    if _count_decimals(amount) > MAX_DECIMALS:
        raise TooManyDecimals
    return amount


def _count_decimals(amount: Decimal) -> int:
    return -int(amount.as_tuple().exponent)
