"""Money is exact: whole thousandths inside, a decimal string with the currency's own decimals outside, never a float.

What is sent is never rounded: what does not fit is refused. What is divided is, half to even.
"""

import math
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import ClassVar, Final, Self

SCALE: Final = 1000
MAX_WHOLE_DIGITS: Final = 12
MAX_DECIMALS: Final = 3

_ISO_4217: Final = {
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

DECIMALS: Final[Mapping[str, int]] = dict(
    sorted((code, decimals) for decimals, codes in _ISO_4217.items() for code in codes.split())
)
"""How many decimals each active currency has, by its code.

Source: ISO 4217:2015, List One as published on 2026-01-01 (amendments up to 180), column "minor unit"; not the digits
that shops display (CLDR), so HUF has 2. Left out: codes without a minor unit, which are no money (XAU, XDR, XXX), and
the two fund codes with four decimals (CLF, UYW), which thousandths cannot hold.
"""

# Possessive, so that a long text that is no number costs one pass; [0-9], because \d takes the digits of every script.
_DECIMAL_PATTERN: Final = re.compile(r"-?([0-9]++)(?:\.([0-9]++))?")

_ENDINGS_BY_DECIMALS: Final = {
    decimals: {
        rest: f".{rest:03}"[: decimals + 1].removesuffix(".")
        for rest in range(0, SCALE, 10 ** (MAX_DECIMALS - decimals))
    }
    for decimals in _ISO_4217
}
_ENDINGS_BY_CURRENCY: Final = {code: _ENDINGS_BY_DECIMALS[decimals] for code, decimals in DECIMALS.items()}


class AmountError(ValueError):
    """Send an amount of money, like "12.50"."""

    code: ClassVar[str] = "malformed"

    def __init__(self, detail: str | None = None) -> None:
        """Say the detail, or else what the class says of itself."""
        super().__init__(detail or self.__doc__)


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
        """Name the currency and its decimals."""
        return cls(f"{currency} has {DECIMALS[currency] or 'no'} decimals.")


class UnknownCurrency(AmountError):
    """Send the ISO 4217 code of a currency in use, like EUR; GET /currencies lists them."""

    code = "not_allowed"


class CurrencyNotText(UnknownCurrency):
    """Send the currency as a string, like "EUR"."""

    code = "wrong_type"


def parse_amount(value: object) -> Decimal:
    """Read an amount as a client sent it, exactly or not at all.

    A string keeps the decimals it was written with; a number counts by its value. Whatever is wrong is an AmountError.
    """
    amount = _parse_text(value) if isinstance(value, str) else _parse_number(value)
    if not amount:
        raise ZeroAmount
    return amount


def parse_budget_amount(value: object) -> Decimal:
    """Read the amount of a budget: as parse_amount does, and AmountNotPositive if it is not more than zero."""
    try:
        amount = parse_amount(value)
    except ZeroAmount:
        raise AmountNotPositive from None
    if amount < 0:
        raise AmountNotPositive
    return amount


def parse_amount_bound(text: str) -> int:
    """Read a filter's bound into thousandths: written like an amount, zero allowed, whatever the currency."""
    return int(_parse_text(text) * SCALE)


def to_thousandths(amount: Decimal, currency: str) -> int:
    """Convert what parse_amount returned to thousandths; raise TooManyDecimals if the currency has fewer decimals."""
    if _count_decimals(amount) > DECIMALS[currency]:
        raise TooManyDecimals.for_currency(currency)
    return int(amount * SCALE)


def write_amount(thousandths: int, currency: str) -> str:
    """Write thousandths with just the currency's decimals: 12500 is "12.50" in EUR.

    KeyError if the currency cannot write them, rather than a digit lost in silence.
    """
    if thousandths < 0:
        return "-" + write_amount(-thousandths, currency)
    # Endings are looked up because this runs for each row of each page, and formatting them takes twice as long.
    return f"{thousandths // SCALE}{_ENDINGS_BY_CURRENCY[currency][thousandths % SCALE]}"


def divide(thousandths: int, divisor: int, currency: str) -> int:
    """Divide an amount by a positive number, half to even in the currency's smallest unit; in thousandths."""
    unit = _get_smallest_unit(currency)
    return divide_half_even(thousandths, divisor * unit) * unit


def divide_down(thousandths: int, divisor: int, currency: str) -> int:
    """Divide an amount by a positive number, down to the currency's smallest unit; in thousandths."""
    unit = _get_smallest_unit(currency)
    return thousandths // (divisor * unit) * unit


def compute_percent(part: int, whole: int) -> float:
    """Tell how many percent of a positive whole a part is, half to even to one decimal."""
    return divide_half_even(1000 * part, whole) / 10


def divide_half_even(numerator: int, denominator: int) -> int:
    """Divide by a positive number and round half to even (IEEE 754, roundTiesToEven)."""
    quotient, rest = divmod(numerator, denominator)
    return quotient + (2 * rest > denominator or (2 * rest == denominator and quotient % 2))


def sort_own_first(currencies: Iterable[str], own: str) -> list[str]:
    """Return currencies by code, the user's own before all others."""
    return sorted(currencies, key=lambda currency: (currency != own, currency))


def _get_smallest_unit(currency: str) -> int:
    return int(10 ** (MAX_DECIMALS - DECIMALS[currency]))


def parse_currency(value: object) -> str:
    """Read a currency code in any case into upper case, or raise UnknownCurrency."""
    if not isinstance(value, str):
        raise CurrencyNotText
    # Letters beyond ASCII can have ASCII capitals: the dotless i of Turkish becomes "I".
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
    # str is the shortest decimal of the double, so that 8.4299999999999997 is 8.43, as phones send it.
    amount = Decimal(str(value).removesuffix(".0"))
    if _count_decimals(amount) > MAX_DECIMALS:
        raise TooManyDecimals
    return amount


def _count_decimals(amount: Decimal) -> int:
    return -int(amount.as_tuple().exponent)
