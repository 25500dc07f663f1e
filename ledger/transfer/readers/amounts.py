"""The amount of each row of a table: its decimal sign, its direction, its currency."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from typing import Final

from ledger.transfer.readers import balances
from ledger.transfer.readers.choices import ReadingChoices
from ledger.transfer.readers.delimited import GridRow
from ledger.transfer.readers.entries import Entry, Question, RowError
from ledger.transfer.readers.kinds import Kinds, is_mark
from ledger.transfer.readers.numbers import DecimalSign, Written, decide_decimal, identify_number, read_number
from ledger.transfer.readers.roles import Roles
from ledger.transfer.readers.signs import Movement, Sign, apply_sign, decide_sign
from ledger.transfer.readers.words import find_currency
from values.money import DECIMALS

MONEY_ROLES: Final = ("amount", "debit", "credit")
_NO_NUMBER: Final = frozenset({"", "-", "--", "—"})
_FEE_DETAIL: Final = "Some rows have a fee: is it in the amount, is it a row of its own, or is it to be added?"


@dataclass
class Amounts:
    """The columns of money of one table, read in the same way in all rows."""

    roles: Roles
    kinds: Kinds
    choices: ReadingChoices
    rows: Sequence[GridRow]
    """The rows that have an amount."""
    stated_currency: str | None
    """The currency of rows that name none themselves, if the file says it."""
    own_currency: str
    has_iban: bool

    @cached_property
    def numbers(self) -> list[Written]:
        """The different numbers of amounts and fees."""
        cells = {self.roles.get(row, role) for row in self.rows for role in (*MONEY_ROLES, "fee")}
        return [number for cell in cells if (number := read_number(cell))]

    @cached_property
    def decimal(self) -> DecimalSign | None:
        """The decimal sign of numbers that do not show theirs; None if nothing proves it."""
        proved = self.choices.decimal or decide_decimal(self.numbers)
        shown = {it.shows for it in self.numbers} - {"plain", "unclear"}
        currency = self.choices.currency or self.stated_currency or self.own_currency
        if proved is None and not shown and DECIMALS.get(currency) == 0:
            # In a currency without decimals the mark is one of thousands, and the decimal sign the other one.
            marks = {mark for it in self.numbers if it.shows == "unclear" for mark in it.core if mark in ".,"}
            return {".": ",", ",": "."}[marks.pop()] if len(marks) == 1 else None  # type: ignore[return-value]
        return proved

    @cached_property
    def sign(self) -> Sign | None:
        """How the direction of an amount is told; None if nothing proves it."""
        if self.choices.sign:
            return self.choices.sign  # type: ignore[return-value]  # validated
        if "amount" not in self.roles.found:
            return "columns" if self.roles.found.keys() & {"debit", "credit"} else None
        return decide_sign(
            self._list_movements(self._booked),
            self.has_iban,
            self._has_running_balance,
            lambda: self._list_movements(row for row in self._booked if self.kinds.is_income(row)),
            self._list_kinds,
        )

    def _list_kinds(self) -> list[Movement]:
        """Return the movements of which the kind says the direction."""
        told = [(self._read_movement(row), kind) for row in self._booked if (kind := self.kinds.find_kind(row))]
        return [replace(movement, meaning=kind) for movement, kind in told if movement and movement.said]

    def _list_movements(self, rows: Iterable[GridRow]) -> list[Movement]:
        return [it for row in rows if (it := self._read_movement(row))]

    @cached_property
    def _booked(self) -> list[GridRow]:
        return [row for row in self.rows if not self.kinds.find_skip(row)]

    @cached_property
    def _has_marks(self) -> bool:
        """Whether some rows are marked with CR or DR in a column of their own, and others with nothing."""
        cells = {self.roles.get(row, "direction") for row in self._booked}
        return "" in cells and len(cells) > 1 and all(is_mark(cell) for cell in cells if cell)

    @cached_property
    def _are_spent_negative(self) -> bool:
        """Whether no amount that a word calls spent is positive."""
        return not any(it.said > 0 for it in self._list_movements(self._booked) if it.meaning == "out")

    @cached_property
    def _negative_sides(self) -> set[str]:
        """Which of the columns of debits and credits have a minus before all numbers, which then says nothing."""
        sides = {it: self.roles.found[it] for it in ("debit", "credit") if it in self.roles.found}
        return {side for side, index in sides.items() if all(it < 0 for it in self.read_column(index) if it)}

    def _has_running_balance(self) -> bool:
        amounts = self.read_column(self.roles.found["amount"])
        others = [it.index for it in self.roles.columns if it.role == "balance"]
        return any(balances.is_running(amounts, self.read_column(it)) for it in others)

    def read_column(self, index: int) -> list[Decimal | None]:
        """Return the numbers of a column, with the decimal sign that this column shows."""
        numbers = [read_number(row.cells[index] if index < len(row.cells) else "") for row in self.rows]
        decimal = self.choices.decimal or decide_decimal(it for it in numbers if it)
        return [it.read(decimal) if it else None for it in numbers]

    def read(self, entry: Entry, row: GridRow) -> None:
        """Set the amount, the fee and the currency of an entry; what cannot be read is an error of it."""
        if self.sign == "columns" or "amount" not in self.roles.found:
            self._read_sides(entry, row)
        else:
            self._read_one(entry, row)
        self._read_currency(entry, row)
        fee = self._read_cell(entry, row, "fee")
        entry.fee = abs(fee) if fee else None

    def _read_sides(self, entry: Entry, row: GridRow) -> None:
        debit, credit = (self._read_side(entry, row, it) for it in ("debit", "credit"))
        entry.said_number = " | ".join(identify_number(self.roles.get(row, it)) for it in ("debit", "credit"))
        if debit is not None or credit is not None:
            entry.said_amount = entry.amount = (credit or Decimal(0)) - (debit or Decimal(0))

    def _read_side(self, entry: Entry, row: GridRow, side: str) -> Decimal | None:
        number = self._read_cell(entry, row, side)
        return abs(number) if number and side in self._negative_sides else number

    def _read_one(self, entry: Entry, row: GridRow) -> None:
        entry.said_amount = self._read_cell(entry, row, "amount")
        entry.said_number = identify_number(self.roles.get(row, "amount"))
        movement = self._read_movement(row)
        if entry.said_amount is None or movement is None or self.sign is None:
            return
        entry.amount = apply_sign(movement, self.sign, are_spent_negative=self._are_spent_negative)
        if entry.amount is None:
            detail = "This word says neither in nor out: say what it means in the option `meanings`."
            entry.errors.append(RowError(self.roles.describe_column("direction"), "unknown", detail))

    def _read_cell(self, entry: Entry, row: GridRow, role: str) -> Decimal | None:
        """Return the number in the column of a role; an unreadable one is an error of the row."""
        cell = self.roles.get(row, role)
        if cell in _NO_NUMBER:
            return None
        number = read_number(cell)
        if number is None:
            detail = "This is no amount: write it like 12.50, in the same way in all rows."
            entry.errors.append(RowError(self.roles.describe_column(role), "malformed", detail))
            return None
        if role != "fee":
            entry.currency = entry.currency or number.unit
        return number.read(self.decimal)

    def _read_currency(self, entry: Entry, row: GridRow) -> None:
        if cell := self.roles.get(row, "currency"):
            entry.currency = find_currency(cell)
            if entry.currency is None:
                detail = "This is no currency: write its ISO 4217 code, like EUR."
                entry.errors.append(RowError(self.roles.describe_column("currency"), "not_allowed", detail))
        entry.stated_currency = self.stated_currency

    def _read_movement(self, row: GridRow) -> Movement | None:
        if row.line not in self._movements:
            self._movements[row.line] = self._find_movement(row)
        return self._movements[row.line]

    @cached_property
    def _movements(self) -> dict[int, Movement | None]:
        """What was found of each row, by its line: several steps of the reading ask for it."""
        return {}

    def _find_movement(self, row: GridRow) -> Movement | None:
        number = read_number(self.roles.get(row, "amount"))
        # Whatever its decimals are, its sign is known.
        said = number.read(self.decimal or ".") if number else None
        if number is None or said is None:
            return None
        side = number.side or (self.kinds.find_side(row) if self._has_marks else None)
        meaning = None if self._has_marks else self.kinds.find_direction(row)
        return Movement(said, meaning, number.sign == "+", side)

    def list_questions(self) -> Iterator[Question]:
        """Yield what the file does not prove of its amounts."""
        unclear = [it.core for it in self.numbers if it.shows == "unclear"]
        if self.decimal is None and unclear:
            detail = f"No number in this file tells whether {min(unclear)} has decimals."
            yield Question("decimal", [".", ","], detail)
        if self.sign is None and self.rows:
            detail = "Nothing in this file tells whether its positive amounts were spent or received."
            yield Question("sign", ["minus_is_spent", "plus_is_spent"], detail)
        if self.choices.fees is None and "fee" in self.roles.found and any(self.read_column(self.roles.found["fee"])):
            yield Question("fees", ["included", "separate", "add"], _FEE_DETAIL)
