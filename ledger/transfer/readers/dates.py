"""Days as files write them, and the order of day, month and year, which all dates of a file prove together.

cell                    shape
2026-03-01T08:12:44Z    YMD: the day is as it is written, whatever the zone
29/12/10                three numbers: day first, because there is no 29th month
02/12/2009              three numbers: day first or month first, unless another date of the file proves one
10-Nov-9                a month by name, which proves its place alone
12/29, 02.04.           no year
"""

import re
import unicodedata
from collections.abc import Collection, Iterable
from datetime import date
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from ledger.transfer.readers.words import MONTHS
from values.texts import make_text_key

DateOrder = Literal["YMD", "DMY", "MDY"]
ORDERS: Final[tuple[DateOrder, ...]] = ("DMY", "MDY", "YMD")
FIRST_YEAR: Final = 1900
LAST_YEAR: Final = 2199
CENTURY_TURN: Final = 70
"""Two digits from this one on are a year of the last century."""
MAX_DATE_LENGTH: Final = 60
LONG_YEAR: Final = 4

_TIME: Final = (
    r"(?:[T\s,]+[0-9]{1,2}[:.h][0-9]{2}(?:[:.][0-9]{2})?(?:[.,][0-9]{1,9})?\s*(?:[AaPp]\.?[Mm]\.?)?"
    r"\s*(?:Z|[A-Z]{2,5}|(?:UTC|GMT)?\s?[+-][0-9]{1,2}:?(?:[0-9]{2})?)?)?"
)
_YEAR_FIRST: Final = re.compile(rf"([0-9]{{4}})([-/. ])([0-9]{{1,2}})\2([0-9]{{1,2}}){_TIME}")
_EAST_ASIAN: Final = re.compile(rf"([0-9]{{4}})\s?[年년]\s?([0-9]{{1,2}})\s?[月월]\s?([0-9]{{1,2}})\s?[日일]{_TIME}")
_COMPACT: Final = re.compile(rf"([0-9]{{4}})([0-9]{{2}})([0-9]{{2}})(?:[0-9]{{4,6}})?{_TIME}")
_NUMERIC: Final = re.compile(rf"([0-9]{{1,2}})[-/. ]\s?([0-9]{{1,2}})[-/.' ]\s?([0-9]{{4}}|[0-9]{{1,2}}){_TIME}")
# With a dot behind each, or it would be a number.
_NO_YEAR: Final = re.compile(r"([0-9]{1,2})([-/])([0-9]{1,2})|([0-9]{1,2})\.\s?([0-9]{1,2})\.")
_DAY_FIRST_NAMED: Final = re.compile(
    rf"([0-9]{{1,2}})\.?[-/. ]?\s?(?:de )?([^\W\d_]{{3,12}})\.?[-/., ]*(?:de )?([0-9]{{4}}|[0-9]{{1,2}})?{_TIME}"
)
_MONTH_FIRST_NAMED: Final = re.compile(rf"([^\W\d_]{{3,12}})\.?[- ]?([0-9]{{1,2}}),?[- ]?\s?([0-9]{{4}}){_TIME}")
_YEAR_FIRST_NAMED: Final = re.compile(rf"([0-9]{{4}})[-/. ]([^\W\d_]{{3,12}})\.?[-/. ]([0-9]{{1,2}}){_TIME}")
_WEEKDAY: Final = re.compile(r"[^\W\d_]{2,12}\.?,?\s+(?=[0-9])")


class Shape(NamedTuple):
    """A day as a cell writes it: its numbers from left to right, with the month by name where it is named."""

    numbers: tuple[int, ...]
    """The numbers, without a month that is named; two of three if there is no year."""
    widths: tuple[int, ...]
    """How many digits each has."""
    month: int | None
    """The month that is named."""
    fixed: DateOrder | None
    """The order, if the form itself proves it."""
    separator: str = ""

    @property
    def has_year(self) -> bool:
        """Whether the year is written."""
        return len(self.numbers) + (self.month is not None) == len("YMD")


@lru_cache(maxsize=65_536)
def read_shape(cell: str) -> Shape | None:
    """Return the shape of the day that a cell is, or None if it is no day."""
    if not 3 <= len(cell) <= MAX_DATE_LENGTH or not any(it.isdigit() for it in cell):  # noqa: PLR2004
        return None
    text = cell if cell.isascii() else unicodedata.normalize("NFKC", cell)
    text = " ".join(text.split())
    return _read_numeric(text) or _read_named(text) or _read_after_weekday(text)


def _read_numeric(text: str) -> Shape | None:
    for pattern in (_YEAR_FIRST, _EAST_ASIAN, _COMPACT):
        if found := pattern.fullmatch(text):
            numbers = [int(it) for it in found.groups() if it is not None and it.isdigit()]
            if FIRST_YEAR <= numbers[0] <= LAST_YEAR:
                return Shape(tuple(numbers), (4, 2, 2), None, "YMD")
    if found := _NUMERIC.fullmatch(text):
        parts = found.groups()
        return Shape(tuple(map(int, parts)), tuple(map(len, parts)), None, None, text[len(parts[0])])
    if found := _NO_YEAR.fullmatch(text):
        parts = tuple(it for it in found.groups() if it and it.isdigit())
        return Shape(tuple(map(int, parts)), tuple(map(len, parts)), None, None, found[2] or ".")
    return None


def _read_named(text: str) -> Shape | None:
    if (found := _DAY_FIRST_NAMED.fullmatch(text)) and (month := _find_month(found[2])):
        numbers = [it for it in (found[1], found[3]) if it is not None]
        fixed: DateOrder | None = "DMY" if found[3] is None or len(found[3]) == LONG_YEAR else None
        return Shape(tuple(map(int, numbers)), tuple(map(len, numbers)), month, fixed)
    if (found := _MONTH_FIRST_NAMED.fullmatch(text)) and (month := _find_month(found[1])):
        return Shape((int(found[2]), int(found[3])), (2, 4), month, "DMY")
    if (found := _YEAR_FIRST_NAMED.fullmatch(text)) and (month := _find_month(found[2])):
        return Shape((int(found[1]), int(found[3])), (4, 2), month, "YMD")
    return None


def _find_month(name: str) -> int | None:
    return MONTHS.get(name.casefold()) or MONTHS.get(make_text_key(name))


def _read_after_weekday(text: str) -> Shape | None:
    rest = _WEEKDAY.sub("", text, count=1)
    return (_read_numeric(rest) or _read_named(rest)) if rest != text else None


def to_day(shape: Shape, order: DateOrder | None, year: int | None = None, last_month: int = 12) -> date | None:
    """Return the day; None if it does not exist, or is outside of 1900 to 2199.

    `year` is that of the statement's end, in the month `last_month`, for days without one: later months are of the
    year before.
    """
    parts = _name_parts(shape, shape.fixed or order)
    if parts is None:
        return None
    own_year, month, day = parts
    if own_year is None:
        if year is None:
            return None
        own_year = year if month <= last_month else year - 1
    return _build_day(own_year, month, day)


def _name_parts(shape: Shape, order: DateOrder | None) -> tuple[int | None, int, int] | None:
    """Return year, month and day; the year is None if it is not written."""
    if shape.month is not None:
        if not shape.has_year:
            return None, shape.month, shape.numbers[0]
        if order is None:
            return None
        first, last = shape.numbers
        year, day = (first, last) if order == "YMD" else (last, first)
        return _complete_year(year, shape.widths[0 if order == "YMD" else 1]), shape.month, day
    if order is None:
        return None
    if not shape.has_year:
        first, last = shape.numbers
        return (None, last, first) if order == "DMY" else (None, first, last)
    found = dict(zip(order, zip(shape.numbers, shape.widths, strict=True), strict=True))
    return _complete_year(*found["Y"]), found["M"][0], found["D"][0]


def _complete_year(number: int, width: int) -> int:
    if width == LONG_YEAR:
        return number
    return number + (FIRST_YEAR if number >= CENTURY_TURN else FIRST_YEAR + 100)


def _build_day(year: int, month: int, day: int) -> date | None:
    if not FIRST_YEAR <= year <= LAST_YEAR:
        return None
    try:
        return date(year, month, day)
    except ValueError:
        return None


def list_orders(shapes: Collection[Shape]) -> list[DateOrder]:
    """Return the orders in which all of these days exist, without those that the form itself proves.

    Empty if no order fits all of them: some of the cells are no days then. Where the first order gives the same days as
    the others it is the only one.
    """
    open_shapes = [shape for shape in shapes if shape.fixed is None and (shape.has_year or shape.month is None)]
    fitting: list[DateOrder] = [order for order in ORDERS if all(_fits(it, order) for it in open_shapes)]
    if "YMD" in fitting and len(fitting) > 1 and not _may_begin_with_year(open_shapes):
        fitting.remove("YMD")
    days = {tuple(to_day(it, order, year=2000) for it in open_shapes) for order in fitting}
    return fitting[:1] if len(days) == 1 else fitting


def _fits(shape: Shape, order: DateOrder) -> bool:
    if order == "MDY" and shape.separator == ".":
        # Nobody writes the month first before dots.
        return False
    year_at = order.index("Y")
    if shape.month is not None:
        if order == "MDY":
            return False
        year_at = min(year_at, 1)
    elif shape.has_year and any(width == LONG_YEAR for width in shape.widths):
        if shape.widths[year_at] != LONG_YEAR:
            return False
    elif not shape.has_year:
        # Without a year, year first means month first.
        return to_day(shape, order, year=2000) is not None and order != "YMD"
    return to_day(shape, order) is not None


def _may_begin_with_year(shapes: Collection[Shape]) -> bool:
    """Whether two digits in front may be the year.

    Beside a month by name that is so unusual that only a year of one digit raises the question. Otherwise the year
    changes less often within a file than the day does.
    """
    if any(shape.month is not None for shape in shapes):
        return any(shape.widths[-1] == 1 for shape in shapes)
    first, last = ({shape.numbers[at] for shape in shapes} for at in (0, -1))
    return len(first) <= len(last)


@lru_cache(maxsize=65_536)
def identify_day(cell: str, year: int | None) -> str:
    """Return the day in a cell as its row is known by it: as ISO 8601 if the cell alone proves it, else its numbers.

    `year` is the one that was read; only a cell without a year of its own has it.
    """
    shape = read_shape(cell)
    if shape is None:
        return cell
    own_year = None if shape.has_year else year
    orders = [shape.fixed] if shape.fixed else list_orders({shape})
    day = to_day(shape, orders[0], own_year) if len(orders) == 1 else None
    if day is not None:
        return day.isoformat()
    return "/".join(map(str, (*shape.numbers, shape.month or "", own_year or ""))).rstrip("/")


def find_last_month(months: Iterable[int]) -> int:
    """Return the month in which a statement ends, of days without a year: the last before the longest gap."""
    present = sorted({*months})
    if not present:
        return 12
    following = [*present[1:], present[0] + 12]
    gaps = [(after - month, month) for month, after in zip(present, following, strict=True)]
    return max(gaps)[1]
