"""Shares: exports of Splitwise, in which each person has a column of what they get back or owe.

Cost    Ada     Bob
90.00   60.00   -30.00    #  Ada has paid and gets 60.00 back: her share is 30.00, and so is Bob's
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from ledger.transfer.readers.delimited import GridRow
from ledger.transfer.readers.entries import Entry, Question, RowError
from ledger.transfer.readers.numbers import read_number

SHARED_PROFILE: Final = "splitwise"
_SEVERAL_PAID: Final = "Several people have paid this, so that the file does not tell what each has to bear."


@dataclass(frozen=True, slots=True)
class Shares:
    """The columns of people in one table, and whose share is imported; None if that was not said."""

    columns: Mapping[str, int]
    person: str | None

    def apply(self, entry: Entry, row: GridRow) -> None:
        """Replace the cost of an entry by the share of the person."""
        cost, entry.amount = entry.said_amount, None
        if cost is None or self.person is None:
            return
        cells = {name: row.cells[at] if at < len(row.cells) else "" for name, at in self.columns.items()}
        balances = {
            name: number.read(".") or Decimal(0) for name, cell in cells.items() if (number := read_number(cell))
        }
        share = compute_share(cost, balances, self.person)
        if share is None:
            entry.errors.append(RowError(self.person, "not_allowed", _SEVERAL_PAID))
        else:
            entry.amount = -share
            entry.skip = entry.skip or (None if share else "zero")


def compute_share(cost: Decimal, balances: Mapping[str, Decimal], person: str) -> Decimal | None:
    """Return what a person has to bear of a cost; None if several have paid, so that the file does not tell it."""
    own = balances.get(person, Decimal(0))
    payers = [name for name, balance in balances.items() if balance > 0]
    if own < 0:
        return -own
    if own > 0:
        return cost - own if len(payers) == 1 else None
    # Neither owed nor got anything back: they had no part in it, or have paid all of their own share.
    return Decimal(0) if payers else cost


def ask_person(people: Sequence[str]) -> Question:
    """Return the question whose share of each cost is imported."""
    return Question("person", list(people), "Each person has a column in this file: whose share is to be imported?")
