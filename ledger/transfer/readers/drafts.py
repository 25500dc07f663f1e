"""Drafts: what each row of a file becomes, before the ledger is asked whether it has the row already."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ledger.transfer.readers.entries import Question, Reason, RowError

DraftStatus = Literal["read", "skipped", "refused", "open"]
"""`read` rows become expenses, unless the ledger has them; an `open` row waits for the answer to a question."""


@dataclass(slots=True)
class Draft:
    """One row of a file, with the expense that it describes."""

    number: int
    """Counted from 1."""
    line: int
    status: DraftStatus
    reason: Reason | None = None
    account: str | None = None
    """In a file of several accounts, the one to which the row belongs."""
    amount: str | None = None
    """As an expense has it, like "12.50": money out is positive. None with `currency` and `date` if it was not read."""
    currency: str | None = None
    date: str | None = None
    """YYYY-MM-DD."""
    category: str | None = None
    parent: str | None = None
    """The category of which `category` is a part, if the file says so."""
    payee: str | None = None
    description: str | None = None
    tags: Sequence[str] = ()
    external_id: str | None = None
    own_id: int | None = None
    """The id of the expense from which this service itself has exported the row."""
    bank_id: str | None = None
    """The bank's own id; None if the file has it twice."""
    fingerprint: str = ""
    """SHA-256 in hexadecimal of days, number, currency and texts as the row says them, whatever the options."""
    head: int | None = None
    """Of a part of an entry, or a fee that is a row of its own: the number of the row that it belongs to."""
    parts: Sequence[str] = ()
    """The fingerprints that its parts have, or would have."""
    fee: str | None = None
    """Likewise that of a fee that is no row of its own."""
    errors: Sequence[RowError] = ()


@dataclass(slots=True, kw_only=True)
class Reading:
    """What was read from one file with the options that were sent."""

    format: str
    profile: str | None
    source: str | None
    """The account that the file is of; None if it does not say, or is of several."""
    accounts: Sequence[str] = ()
    """The accounts of a file that is of several."""
    options: dict[str, Any] = field(default_factory=dict)
    questions: Sequence[Question] = ()
    drafts: Sequence[Draft] = ()

    def find_head(self, draft: Draft) -> Draft | None:
        """Return the row that one of these is a part of, or whose fee it is."""
        return None if draft.head is None else self.drafts[draft.head - 1]
