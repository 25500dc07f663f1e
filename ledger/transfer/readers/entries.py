"""Entries: what a file says, row by row, before the options are applied.

A reader never guesses: what the file does not prove is a `Question`, and what is wrong with one row is a `RowError`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Final, Literal

Reason = Literal[
    "incoming",
    "transfer",
    "pending",
    "failed",
    "balance",
    "zero",
    "neutral",
    "split_parent",
    "repeated_header",
    "matched",
    "chosen",
]
"""Why a row is not imported."""


MAX_ENTRIES: Final = 50_000


class UnreadableFile(ValueError):
    """The file is no statement that can be read; the message says what to send instead."""


class UnsupportedFormat(UnreadableFile):
    """The file is of a format that is not read, unlike one of a known format that is broken (415, not 422)."""


class TooManyEntries(UnreadableFile):
    """A file has at most 50,000 rows; split it into several."""

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail or type(self).__doc__)


class BadOption(ValueError):
    """An option does not fit the file; `option` is its path below `/options`."""

    def __init__(self, option: str, detail: str) -> None:
        super().__init__(detail)
        self.option = option
        self.detail = detail


@dataclass(frozen=True, slots=True)
class RowError:
    """What is wrong with one row: the column as the file names it, a code of field errors, a sentence."""

    column: str | None
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Question:
    """What the file does not prove: the option that answers it, the possible answers, a sentence."""

    option: str
    choices: Sequence[Any]
    detail: str


@dataclass(frozen=True, slots=True)
class Split:
    """One part of an entry that is split among categories; the amount has the sign of `Entry.amount`."""

    amount: Decimal | None
    category: str | None = None
    subcategory: str | None = None
    description: str | None = None


@dataclass(slots=True, kw_only=True)
class Entry:
    """One row of a file: a movement of money, or a line that is none (`skip` says why, `errors` what is wrong)."""

    line: int
    """The line of the file at which it begins, from 1."""
    day: date | None = None
    said_day: str = ""
    """The days of the row as the row alone says them, by which it is known again; without them by `day`."""
    amount: Decimal | None = None
    """As the account sees it: money in is positive, money out negative; with the decimals that the file has."""
    said_amount: Decimal | None = None
    """The number as it stands in the file, if its sign is a matter of the options."""
    said_number: str = ""
    """The number as the row alone says it, by which it is known again; without it by `amount`."""
    currency: str | None = None
    """An ISO 4217 code in capitals, or a sign such as `$`, as the file says it."""
    stated_currency: str | None = None
    """Likewise what the file names once, for all rows that name none."""
    payee: str | None = None
    description: str | None = None
    category: str | None = None
    subcategory: str | None = None
    tags: Sequence[str] = ()
    account: str | None = None
    """The account to which it belongs, as the file names it: an IBAN if there is one."""
    bank_id: str | None = None
    """The bank's own id of the movement; `0`, `NONREF` and the like are none."""
    external_id: str | None = None
    own_id: int | None = None
    """The id of the expense from which this service itself has exported the row."""
    fee: Decimal | None = None
    """A fee beside the amount, positive."""
    whole: Decimal | None = None
    """Of a part, the amount of the entry that is split: a part of the other sign goes the same way."""
    splits: Sequence[Split] = ()
    movements: "Sequence[Entry]" = ()
    """The movements that a bank has booked together as this entry, and that are imported instead of it."""
    skip: Reason | None = None
    may_be_transfer: bool = False
    """Whether it may be between own accounts, as nothing but the user tells."""
    texts: Sequence[str] = ()
    """All texts of the row as the file says them, uncut, by which it is known again beside its days and its number."""
    errors: list[RowError] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Statement:
    """What was read from one file."""

    format: str
    entries: list[Entry]
    accounts: Sequence[str] = ()
    """The accounts that the file is of, in their order, also those without entries."""
    profile: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    """What the reading came to; sent back, it reads the file in the same way."""
    questions: list[Question] = field(default_factory=list)
