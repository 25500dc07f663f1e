"""The layout of a table: what stands before its header, the header, and the rows below.

Kontoauszug Nr. 4/2025;;;            preamble
Buch.Tag;Wert;Text;Umsatz EUR        header: a row with a word for a day and one for an amount
02.04.;02.04.;Miete;1.234,56-        body
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from ledger.transfer.readers.dates import read_shape
from ledger.transfer.readers.delimited import GridRow
from ledger.transfer.readers.numbers import read_number
from ledger.transfer.readers.words import find_column, make_word

MAX_PREAMBLE_ROWS: Final = 100
DATE_ROLES: Final = ("transaction_date", "date", "booking_date", "value_date")
AMOUNT_ROLES: Final = frozenset({"amount", "debit", "credit", "booked_debit", "booked_credit"})


@dataclass(frozen=True)
class Layout:
    """A table in its parts."""

    preamble: Sequence[GridRow]
    headers: Sequence[str]
    """Empty texts where there is no header."""
    header_line: int
    """The line of the header; 0 if there is none."""
    body: Sequence[GridRow]

    def is_header(self, row: GridRow) -> bool:
        """Whether a row of the body is the header once more."""
        if not self.header_line:
            return False
        headers, cells = self._filled_headers, list(filter(None, row.cells))
        # Most rows are told apart by their first cell.
        if len(cells) != len(headers) or make_word(cells[0]) != headers[0]:
            return False
        return len(cells) > 1 and list(map(make_word, cells)) == headers

    @cached_property
    def _filled_headers(self) -> list[str]:
        return [make_word(header) for header in self.headers if header]


def find_layout(rows: Sequence[GridRow], header_line: int | None = None) -> Layout:
    """Divide the rows of a table; `header_line` is the line of the header, or 0 for none, if it is known."""
    at = _find_header(rows) if header_line is None else _find_line(rows, header_line)
    if at is None:
        start = next((it for it, row in enumerate(rows) if _has_movement(row)), 0)
        width = max((len(row.cells) for row in rows[start:]), default=0)
        return Layout(rows[:start], [""] * width, 0, rows[start:])
    body = rows[at + 1 :]
    headers = _trim(rows[at].cells)
    width = max([len(headers), *(len(_trim(row.cells)) for row in body)])
    return Layout(rows[:at], [*headers, *[""] * (width - len(headers))], rows[at].line, body)


def _find_line(rows: Sequence[GridRow], line: int) -> int | None:
    return next((at for at, row in enumerate(rows) if row.line == line), None) if line else None


def _find_header(rows: Sequence[GridRow]) -> int | None:
    """Return the place of the header: the first row with words for a day and an amount, or of words alone."""
    start = rows[:MAX_PREAMBLE_ROWS]
    for at, row in enumerate(start):
        roles = {find_column(cell)[0] for cell in row.cells if cell}
        if roles & {*DATE_ROLES} and roles & AMOUNT_ROLES and not _has_movement(row):
            return at
    for at, (row, following) in enumerate(zip(start, rows[1 : MAX_PREAMBLE_ROWS + 1], strict=False)):
        if _is_of_words(row) and len(row.cells) >= len(_trim(following.cells)) and _has_movement(following):
            return at
    return None


def _has_movement(row: GridRow) -> bool:
    """Whether a row has a day and a number beside it."""
    days = [cell for cell in row.cells if cell and read_shape(cell)]
    return bool(days) and any(cell and cell not in days and read_number(cell) for cell in row.cells)


def _is_of_words(row: GridRow) -> bool:
    cells = [cell for cell in row.cells if cell]
    return len(cells) > 2 and not any(read_shape(cell) or read_number(cell) for cell in cells)  # noqa: PLR2004


def _trim(cells: Sequence[str]) -> list[str]:
    end = len(cells)
    while end and not cells[end - 1]:
        end -= 1
    return list(cells[:end])
