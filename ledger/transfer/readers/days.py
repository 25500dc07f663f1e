"""The day of each row: which column of days counts, in which order its numbers stand, and of which year they are."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from ledger.transfer.readers.choices import ReadingChoices
from ledger.transfer.readers.dates import (
    ORDERS,
    DateOrder,
    Shape,
    find_last_month,
    list_orders,
    read_shape,
    to_day,
)
from ledger.transfer.readers.entries import Question

_DATE_IN_TEXT: Final = re.compile(r"(?<![0-9])[0-9]{1,4}([-/.])[0-9]{1,2}\1[0-9]{2,4}(?![0-9])")
_YEAR_IN_TEXT: Final = re.compile(r"(?<![0-9])(?:19|20)[0-9]{2}(?![0-9])")
MAX_YEARS: Final = 10


@dataclass(slots=True)
class DayReader:
    """Reads the days of one file, all in the same way."""

    order: DateOrder | None
    year: int | None = None
    last_month: int = 12
    questions: list[Question] = field(default_factory=list)

    def read(self, cell: str) -> date | None:
        """Return the day that a cell is; None if it is none, or waits for the answer to a question."""
        shape = read_shape(cell)
        return to_day(shape, self.order, self.year, self.last_month) if shape else None

    @property
    def is_open(self) -> bool:
        """Whether days wait for the answer to a question."""
        return bool(self.questions)


def build_day_reader(cells: Iterable[str], around: Sequence[str], choices: ReadingChoices) -> DayReader:
    """Decide how days are read from all of them, and from the texts around the table, such as its title."""
    shapes = {shape for cell in cells if (shape := read_shape(cell))}
    separators = {shape.separator for shape in shapes}
    stated = {
        shape
        for text in around
        for found in _DATE_IN_TEXT.finditer(text)
        if found[1] in separators and (shape := read_shape(found[0]))
    }
    reader = DayReader(choices.date_order or _find_order(shapes, stated), choices.year)
    if reader.order is None and any(shape.fixed is None for shape in shapes):
        orders = list_orders(shapes | stated) or _list_best_orders(shapes)
        reader.questions.append(_ask_order(orders, shapes))
    _find_year(reader, shapes, around)
    return reader


def _find_order(shapes: set[Shape], stated: set[Shape]) -> DateOrder | None:
    if all(shape.fixed for shape in shapes):
        return (shapes and {shape.fixed for shape in shapes} == {"YMD"} and "YMD") or None
    found = list_orders(shapes | stated) or list_orders(shapes) or _list_best_orders(shapes)
    return found[0] if len(found) == 1 else None


def _list_best_orders(shapes: set[Shape]) -> list[DateOrder]:
    """Return the orders in which most of the days exist, where no order fits all."""
    counts = {order: sum(to_day(it, order, year=2000) is not None for it in shapes) for order in ORDERS}
    return [order for order in ORDERS if counts[order] == max(counts.values())]


def _ask_order(orders: Sequence[DateOrder], shapes: set[Shape]) -> Question:
    example = next(shape for shape in sorted(shapes, key=str) if shape.fixed is None)
    written = f"{example.separator or ' '}".join(
        f"{it:0{width}}" for it, width in zip(example.numbers, example.widths, strict=True)
    )
    detail = f"No date in this file tells in which order day, month and year stand in a date such as {written}."
    return Question("date_order", list(orders), detail)


def _find_year(reader: DayReader, shapes: set[Shape], around: Sequence[str]) -> None:
    yearless = [shape for shape in shapes if not shape.has_year]
    if not yearless:
        return
    if reader.order is not None:
        days = [day for shape in yearless if (day := to_day(shape, reader.order, year=2000))]
        reader.last_month = find_last_month(day.month for day in days)
    if reader.year is None:
        years = sorted({int(found) for text in around for found in _YEAR_IN_TEXT.findall(text)})[:MAX_YEARS]
        detail = "The dates of this file have no year: say in which one the statement ends."
        reader.questions.append(Question("year", years, detail))
