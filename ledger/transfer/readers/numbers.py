"""Numbers as files write them: 1.234,56  1,234.56  1'234.56  12.50-  (12.50)  - $21.59  1,23,456.78  1 234,56 PLN.

cell        written       what it shows
"-1.450"    core 1.450    nothing: one thousand four hundred and fifty, or one point forty-five
"1.000,0"   core 1.000,0  the decimal sign is a comma, so that -1.450 beside it is -1450
"12..34"    None          it is no number
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Final, Literal

from ledger.transfer.readers.fingerprints import write_number
from ledger.transfer.readers.words import CURRENCY_SIGNS, find_currency

DecimalSign = Literal[".", ","]
MAX_NUMBER_LENGTH: Final = 40
"""Characters of the longest cell that is looked at as a number."""

_MINUS: Final = str.maketrans({"\u2212": "-", "\u2013": "-", "\u2012": "-", "\u2019": "'", "\u00b4": "'", "`": "'"})
_UNIT: Final = "|".join(sorted((re.escape(sign) for sign in CURRENCY_SIGNS), key=len, reverse=True))
# Signs and currencies stand before or after the digits, in either order; no part can match the same text in two ways.
_NUMBER: Final = re.compile(
    rf"""(?P<before>[-+(]?)\s*+(?P<unit>{_UNIT}|[A-Z]{{3}})?\s*+(?P<inner>[-+(]?)\s*+
         (?P<core>[0-9.,][0-9.,'\ ]*+)
         (?P<after>[-+)]?)\s*+(?P<unit_after>{_UNIT}|[A-Z]{{3}})?\s*+(?P<last>[-+)]?)\s*+(?P<side>CR|DR|C|D)?""",
    re.VERBOSE | re.IGNORECASE,
)
_SIDES: Final = {"CR": "in", "C": "in", "DR": "out", "D": "out"}
# In threes, or as in India in twos with three at the end.
_GROUPED: Final = {
    mark: re.compile(f"[0-9]{{1,3}}(?:{escaped}[0-9]{{3}})+|[0-9]{{1,2}}(?:{escaped}[0-9]{{2}})*{escaped}[0-9]{{3}}")
    for mark, escaped in ((mark, re.escape(mark)) for mark in ".,' ")
}


@dataclass(frozen=True, slots=True)
class Written:
    """A number as a cell writes it."""

    core: str
    """Digits and their marks, without sign and currency."""
    sign: Literal["", "-", "+"]
    unit: str | None
    """The currency in the cell: an ISO 4217 code, or a sign that several currencies may have."""
    side: Literal["in", "out"] | None
    """What CR or DR behind the number says: money in, or money out."""
    shows: DecimalSign | Literal["plain", "unclear"]
    """The decimal sign that the number itself proves; `plain` if it needs none, `unclear` if two readings are left."""

    def read(self, decimal: DecimalSign | None) -> Decimal | None:
        """Return the number with its sign; None if it is unclear and no decimal sign is given."""
        own = decimal if self.shows == "unclear" else self.shows
        return None if own is None else _read_exactly(self.core, own, self.sign)


@lru_cache(maxsize=65_536)
def _read_exactly(core: str, mark: str, sign: str) -> Decimal:
    whole, fraction = _split_at(core, mark) if mark in {".", ","} else (core, "")
    digits = "".join(filter(str.isdigit, whole)) or "0"
    return Decimal(
        f"{'-' if sign == '-' else ''}{digits}.{fraction}" if fraction else f"{'-' if sign == '-' else ''}{digits}"
    )


@lru_cache(maxsize=65_536)
def read_number(cell: str) -> Written | None:
    """Return the number that a cell is, or None if it is none."""
    if len(cell) > MAX_NUMBER_LENGTH or not any(character.isdigit() for character in cell):
        return None
    text = cell if cell.isascii() else unicodedata.normalize("NFKC", cell).translate(_MINUS)
    found = _NUMBER.fullmatch(" ".join(text.split()))
    if found is None:
        return None
    # Some banks write a plus before every balance, also before a minus.
    before = "" if (found["before"], found["inner"]) == ("+", "-") else found["before"]
    signs = before + "".join(found[name] for name in ("inner", "after", "last"))
    sign = {"": "", "-": "-", "+": "+", "()": "-"}.get(signs)
    units = [it for it in (found["unit"], found["unit_after"]) if it]
    unit = find_currency(units[0]) if units else None
    core = found["core"].strip()
    shows = show_decimal(core)
    if sign is None or len(units) > 1 or (units and unit is None) or shows is None:
        return None
    side = _SIDES[found["side"].upper()] if found["side"] else None
    return Written(core, sign, unit, side, shows)  # type: ignore[arg-type]  # the literals of the tables above


@lru_cache(maxsize=65_536)
def identify_number(cell: str) -> str:
    """Return the number in a cell as its row is known by it: as it is written if its decimal sign is not clear.

    CR and DR behind it belong to it: they tell a purchase from its refund.
    """
    number = read_number(cell)
    if number is None:
        return cell
    value = number.read(None)
    told = number.sign + number.core if value is None else write_number(value)
    return told if number.side is None else f"{told} {number.side}"


def show_decimal(core: str) -> DecimalSign | Literal["plain", "unclear"] | None:
    """Return what the marks of a number prove; None if they can be those of no number."""
    marks = re.sub(r"[0-9]", "", core)
    if not marks:
        return "plain"
    last = marks[-1]
    if last in "' ":
        return "plain" if len({*marks}) == 1 and _GROUPED[last].fullmatch(core) else None
    whole, fraction = _split_at(core, last)
    if marks.count(last) > 1:
        # Only a thousands mark occurs twice.
        is_grouped = len({*marks}) == 1 and _GROUPED[last].fullmatch(core)
        return ("," if last == "." else ".") if is_grouped else None
    if len(marks) > 1:
        grouping = {*marks[:-1]}
        return last if len(grouping) == 1 and _GROUPED[grouping.pop()].fullmatch(whole) else None  # type: ignore[return-value]
    if not (whole or fraction):
        return None
    is_unclear = len(fraction) == 3 and 1 <= len(whole) <= 3 and not whole.startswith("0")  # noqa: PLR2004
    return "unclear" if is_unclear else last  # type: ignore[return-value]  # one of the two


def decide_decimal(numbers: Iterable[Written]) -> DecimalSign | None:
    """Return the decimal sign that the numbers that show theirs have in common; None if none does, or they differ."""
    shown = {number.shows for number in numbers} - {"plain", "unclear"}
    return shown.pop() if len(shown) == 1 else None  # type: ignore[return-value]  # one of the two


def _split_at(core: str, mark: str) -> tuple[str, str]:
    whole, found, fraction = core.rpartition(mark)
    return (whole, fraction) if found else (core, "")
