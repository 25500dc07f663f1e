"""Tables: the rows of a CSV file or of a sheet as entries.

rows        layout      preamble, header, body
            profiles    known by its header?
            columns     which column is what
            days        which day, in which order, of which year
            amounts     which decimal sign, and what is money out
            kinds       which rows are no booked money
statement   table_rows  entries, and a question wherever two readings are left
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Final

from ledger.transfer.readers import balances
from ledger.transfer.readers.amounts import MONEY_ROLES, Amounts
from ledger.transfer.readers.bank_fields import find_iban, forget_repeated_ids
from ledger.transfer.readers.choices import ReadingChoices
from ledger.transfer.readers.columns import find_roles
from ledger.transfer.readers.dates import read_shape
from ledger.transfer.readers.days import DayReader, build_day_reader
from ledger.transfer.readers.delimited import GridRow
from ledger.transfer.readers.entries import (
    MAX_ENTRIES,
    BadOption,
    Question,
    Statement,
    TooManyEntries,
)
from ledger.transfer.readers.kinds import Kinds
from ledger.transfer.readers.layout import Layout
from ledger.transfer.readers.profiles import OWN, Profile
from ledger.transfer.readers.roles import Roles
from ledger.transfer.readers.shares import SHARED_PROFILE, Shares, ask_person
from ledger.transfer.readers.table_rows import RowReader
from ledger.transfer.readers.words import find_column, find_currencies, make_word
from values.money import DECIMALS

_ALSO_WORDS: Final = frozenset({"ALL", "ANG", "COP", "CUP", "GEL", "LAK", "MAD", "MOP", "PEN", "SOS", "TOP", "TRY"})
"""Codes of currencies that may be words: above a table they are one only beside a word for currency."""


def read_table(
    layout: Layout, profile: Profile | None, choices: ReadingChoices, currency: str, said: Mapping[str, Any]
) -> Statement:
    """Read a table; `currency` is the user's, `said` are the options by which its rows were found."""
    table = _Table(layout, profile, choices, find_roles(layout, choices.columns, choices.meanings), currency)
    table.settle_amount()
    # Before each is read, which takes most of the time.
    if len(table.movements) > MAX_ENTRIES:
        raise TooManyEntries
    table.settle_date()
    reader = table.build_reader()
    entries = list(reader.iterate_entries())
    forget_repeated_ids(entries)
    return Statement(
        format="csv",
        entries=entries,
        accounts=[*reader.accounts] or table.find_stated_accounts(),
        profile=profile.name if profile else None,
        options={**said, **table.describe_options()},
        questions=list(table.list_questions()),
    )


@dataclass
class _Table:
    """A table while it is read."""

    layout: Layout
    profile: Profile | None
    choices: ReadingChoices
    roles: Roles
    own_currency: str

    # --- what all rows tell together ----------------------------------------------------------------------------------

    @cached_property
    def kinds(self) -> Kinds:
        """What the words of rows say."""
        meanings = {make_word(word): meaning for word, meaning in self.choices.meanings.items()}
        return Kinds(self.roles, meanings, self.profile.transfer_payees if self.profile else ())

    @cached_property
    def movements(self) -> list[GridRow]:
        """The rows that have an amount, without repeated headers."""
        return [
            row
            for row in self.layout.body
            if any(self.roles.get(row, role) for role in MONEY_ROLES) and not self.layout.is_header(row)
        ]

    @cached_property
    def days(self) -> DayReader:
        """What reads the days."""
        cells = (row.cells[it] for row in self.layout.body for it in self.roles.dates if it < len(row.cells))
        around = [cell for row in self.layout.preamble for cell in row.cells if cell]
        return build_day_reader(cells, [*around, *filter(None, self.layout.headers)], self.choices)

    @cached_property
    def amounts(self) -> Amounts:
        """What reads the amounts."""
        currency = self._find_stated_currency()
        return Amounts(
            self.roles, self.kinds, self.choices, self.movements, currency, self.own_currency, self._has_iban()
        )

    @cached_property
    def shares(self) -> Shares | None:
        """What takes one person's share of each amount, where people have columns."""
        if self.profile is None or self.profile.name != SHARED_PROFILE:
            return None
        known = self.profile.words
        people = {it: at for at, it in enumerate(self.layout.headers) if it and make_word(it) not in known}
        if self.choices.person is not None and self.choices.person not in people:
            raise BadOption("person", "No column of the file has this name.")
        return Shares(people, self.choices.person)

    def _find_stated_currency(self) -> str | None:
        """Return the currency that the header of the amount or the preamble names."""
        headers = [self.roles.columns[self.roles.found[it]].currency for it in MONEY_ROLES if it in self.roles.found]
        cells = [cell for row in self.layout.preamble for cell in row.cells]
        stated = {
            cell
            for label, cell in pairwise(["", *filter(None, cells)])
            if cell in DECIMALS and (cell not in _ALSO_WORDS or find_column(label)[0] == "currency")
        } or {it for cell in cells for it in find_currencies(cell)}
        return next(filter(None, headers), None) or (stated.pop() if len(stated) == 1 else None)

    def find_stated_accounts(self) -> list[str]:
        """Return the account that the preamble names, if it names one: an IBAN, or what stands beside such a word."""
        cells = [cell for row in self.layout.preamble for cell in row.cells if cell]
        ibans = {iban for cell in cells if (iban := find_iban(cell))}
        named = {value for label, value in pairwise(cells) if find_column(label)[0] == "account"}
        return [*(ibans or named)] if len(ibans or named) == 1 else []

    def _has_iban(self) -> bool:
        texts = [cell for row in self.layout.preamble for cell in row.cells]
        texts += [self.roles.get(row, "account") for row in self.movements[:1]]
        return any(find_iban(text) for text in texts)

    def settle_amount(self) -> None:
        """Take the amount among several columns of numbers, if a running balance proves it."""
        asked = next((it for it in self.roles.questions if it.option == "columns.amount"), None)
        if asked is None:
            return
        indexes = [it.index for it in self.roles.columns if self.roles.name(it.index) in asked.choices]
        proved = balances.find_amount([self.amounts.read_column(it) for it in indexes])
        if proved is not None:
            self.roles.found["amount"] = indexes[proved]
            self.roles.settle_beside()
            self.roles.questions.remove(asked)
        del self.movements, self.amounts

    def settle_date(self) -> None:
        """Take the first column of days that has one in every row that is booked."""
        if len(self.roles.dates) > 1:
            booked = [row for row in self.movements if not self.kinds.find_skip(row)]
            shapes = {
                it: sum(it < len(row.cells) and read_shape(row.cells[it]) is not None for row in booked)
                for it in self.roles.dates
            }
            self.roles.found["date"] = max(shapes, key=lambda it: shapes[it])

    def build_reader(self) -> RowReader:
        """Return what reads the rows."""
        is_own = self.profile is OWN
        waits = [question.option for question in (*self.roles.questions, *self._ask_statuses())]
        return RowReader(self.layout, self.roles, self.kinds, self.days, self.amounts, self.shares, is_own, waits)

    # --- what is told -------------------------------------------------------------------------------------------------

    def list_questions(self) -> Iterator[Question]:
        """Yield what the file does not prove."""
        yield from self.roles.questions
        yield from self.days.questions
        yield from self._ask_statuses()
        all_columns = [self.roles.name(it.index) for it in self.roles.columns]
        if "date" not in self.roles.found:
            yield Question("columns.date", all_columns, "No column of this file holds days.")
        if self.roles.found.keys() & {*MONEY_ROLES}:
            yield from self.amounts.list_questions()
        else:
            yield Question("columns.amount", all_columns, "No column of this file holds amounts.")
        if self.shares and self.shares.person is None:
            yield ask_person(list(self.shares.columns))

    def _ask_statuses(self) -> list[Question]:
        """Ask which word says that a row is not booked yet, if none of several different ones is known."""
        words = self.kinds.list_unknown_statuses(self.movements)
        choices: list[dict[str, str]] = [{it: "pending" if it == word else "booked" for it in words} for word in words]
        detail = "Which of these words says that a row is not booked yet? None of them is known."
        return [Question("meanings", [*choices, dict.fromkeys(words, "booked")], detail)] if words else []

    def describe_options(self) -> dict[str, Any]:
        """Return the options that the reading came to."""
        told = {
            "header_line": self.layout.header_line,
            "decimal": self.amounts.decimal,
            "date_order": self.days.order,
            "year": self.days.year,
            "sign": self.amounts.sign,
            "currency": self.amounts.stated_currency,
            "fees": self.choices.fees,
            "meanings": self._describe_meanings(),
        }
        known = {name: value for name, value in told.items() if value is not None}
        return known | {"columns": self.roles.describe()}

    def _describe_meanings(self) -> dict[str, str] | None:
        if self.amounts.sign != "flag":
            return dict(self.choices.meanings) or None
        words = Counter(cell for row in self.movements if (cell := self.roles.get(row, "direction")))
        return {**self.kinds.list_known([word for word, _ in words.most_common(20)]), **self.choices.meanings}
