"""By what a row of a table is known again, beside its number: all days and texts of this one row, as they stand there.

Which column of days counts, and in which order day and month stand, is decided by the whole file and by options, and so
may be another in the next statement. A day is told by `identify_day`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from ledger.transfer.readers.amounts import MONEY_ROLES
from ledger.transfer.readers.dates import identify_day, read_shape
from ledger.transfer.readers.delimited import GridRow
from ledger.transfer.readers.entries import Entry
from ledger.transfer.readers.fingerprints import EXPENSE_TEXTS, list_expense_texts, write_number
from ledger.transfer.readers.kinds import is_status
from ledger.transfer.readers.numbers import read_number
from ledger.transfer.readers.roles import Roles
from ledger.transfer.readers.words import find_column

MAX_LETTERS: Final = 14
_DIRECTIONS: Final = frozenset("+-\u2212\u2013")
"""Cells of a column that tells money in from money out by a sign alone."""


@dataclass
class RowIdentity:
    """What tells the days and texts of the rows of one table."""

    roles: Roles
    headers: Sequence[str]

    def tell(self, entry: Entry, row: GridRow) -> None:
        """Give an entry the days and texts of its row; its numbers may be balances, and its state changes."""
        texts: list[str] = []
        days: list[str] = []
        year = entry.day.year if entry.day else None
        changing, of_days, of_money = self._changing, self._day_columns, self._money_columns
        for index, cell in enumerate(row.cells):
            if not cell or index in changing:
                continue
            if index not in of_days and _is_text(cell):
                if not is_status(cell):
                    texts.append(cell)
            elif index not in of_money and read_shape(cell):
                days.append(identify_day(cell, year))
        entry.texts, entry.said_day = texts, " ".join(days)

    @cached_property
    def _changing(self) -> frozenset[int]:
        """The columns whose words change while the row stays the same, whatever the options."""
        headers = enumerate(self.headers)
        return frozenset(index for index, header in headers if header and find_column(header)[0] == "status")

    @cached_property
    def _day_columns(self) -> frozenset[int]:
        """The columns of days; in others a day that is written with a long name of the month is a text."""
        return frozenset((*self.roles.dates, self.roles.found.get("date", -1)))

    @cached_property
    def _money_columns(self) -> frozenset[int]:
        """Columns in which no day is looked for, which would take long: nearly all of their cells are different."""
        found = (self.roles.found.get(role, -1) for role in (*MONEY_ROLES, "fee"))
        return frozenset((*found, *(it.index for it in self.roles.columns if it.role == "balance")))


def tell_expense(entry: Entry) -> None:
    """Let an expense of our own be known as every export and archive of it is."""
    names = {name: getattr(entry, name) for name in EXPENSE_TEXTS}
    entry.texts = list_expense_texts(names, entry.tags)
    entry.said_number = write_number(None if entry.said_amount is None else -entry.said_amount)


def _is_text(cell: str) -> bool:
    # A day has at most the letters of a month, and a number those of a currency.
    if len(cell) > MAX_LETTERS and cell.isalpha():
        return True
    letters = sum(map(str.isalpha, cell))
    if letters == 0:
        return cell in _DIRECTIONS
    return letters > MAX_LETTERS or not (read_shape(cell) or read_number(cell))
