"""The rows of a file on their way into a ledger: validated, and then each with a status.

    draft                     row           decided by
    read                 -->  undecided
                              existing      identities: it was imported before
                              linked        a match, or the option `lines`
                              skipped       a match (`matched`), or the option `lines` (`chosen`)
                              open          a question
                              new           nothing of these
    skipped, refused, open    the same, unless the option `lines` says otherwise

The expense of a row has passed the same checks as one that is sent by itself.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal, NamedTuple

from infra.slices import iterate_in_slices
from ledger.transfer.checking import Checker, ImportedExpense, RowRefused
from ledger.transfer.choices import Choices, LineChoice
from ledger.transfer.readers.drafts import Draft, Reading
from ledger.transfer.readers.entries import Reason, RowError
from ledger.transfer.sources import choose_keys
from problems import ValidationFailed
from values.field_errors import FieldError, field_error

RowStatus = Literal["new", "existing", "linked", "skipped", "refused", "open"]
RowReason = Reason | Literal["changed", "deleted"]
BANK: Final = "b"
TEXT: Final = "f"
"""The first letter of a row's key: it is known by the bank's own id, or by all that the file says of it.

The parts and the fee of an entry have the entry's, because an account is known in one of the two ways.
"""


class KnownRow(NamedTuple):
    """A row that an import has brought before."""

    id: int
    source: str
    key: str
    occurrence: int
    expense_id: int | None
    is_live: bool
    """Whether its expense is neither deleted nor in the trash."""
    day: date
    amount: int
    currency: str

    def is_same(self, row: "FileRow") -> bool:
        """Whether a row has the same day, amount and currency."""
        return row.movement == (self.currency, self.amount, self.day)


@dataclass(slots=True)
class FileRow:
    """A row of the file that is imported; it is undecided while it has no status."""

    draft: Draft
    source: str
    """The key of its source."""
    head: Draft | None = None
    """The row that it is a part of, or whose fee it is."""
    choice: LineChoice | None = None
    status: RowStatus | None = None
    reason: RowReason | None = None
    errors: Sequence[RowError] = ()
    body: ImportedExpense | None = None
    """None if the row is no expense."""
    key: str = ""
    expense_id: int | None = None
    """The expense that the row is; None of a linked row if that was deleted."""
    known: KnownRow | None = None
    """The row of an earlier file that this one is.

    If its expense was deleted, and this row is imported all the same, it replaces that one among the known rows.
    """
    replaced: Sequence[int] = ()
    """Deleted expenses that it is imported instead of; they leave the trash, or could be restored beside it."""
    before: int | None = None
    """The expense that an export of our own has as it was before it was changed, as it seems."""
    matches: Sequence[int] = ()
    category: str | None = None
    """The stored name of its category, which `body` has as the file says it."""
    tags: str | None = None
    """Likewise the stored names of its tags, as the text of their set."""

    @property
    def is_undecided(self) -> bool:
        """Whether nothing has decided yet what becomes of it."""
        return self.status is None

    @property
    def is_fee(self) -> bool:
        """Whether it is the fee of another row, and not a part of one."""
        return self.head is not None and self.head.reason != "split_parent"

    @property
    def expense(self) -> ImportedExpense:
        """Return the expense of a row that is one."""
        if self.body is None:
            raise RuntimeError("this row is no expense")
        return self.body

    @property
    def movement(self) -> tuple[str, int, date]:
        """Currency, amount and day of its expense, by which it is compared with others."""
        return self.expense.currency, self.expense.amount, self.expense.day

    @property
    def is_changed(self) -> bool:
        """Whether the bank's id is known with another day, amount or currency."""
        is_bank = self.key.startswith(BANK) and self.known is not None and self.known.key == self.key
        return is_bank and self.known is not None and not self.known.is_same(self)

    def settle(self, status: RowStatus, reason: RowReason | None = None, expense_id: int | None = None) -> None:
        """Decide what becomes of the row."""
        self.status, self.reason, self.expense_id = status, reason, expense_id

    def refuse(self, errors: Sequence[RowError]) -> None:
        """Refuse the row."""
        self.status, self.reason, self.errors = "refused", None, errors


def make_bank_key(bank_id: str) -> str:
    """Return the key of a row that has the bank's own id."""
    return BANK + hashlib.sha256(bank_id.encode("utf-8", "surrogatepass")).hexdigest()


def make_text_key(fingerprint: str, head: Draft | None = None) -> str:
    """Return the key of a row that is known by all that the file says of it; `head` is the entry that it belongs to."""
    return (TEXT if head is None or head.bank_id is None else BANK) + fingerprint


def make_key(draft: Draft, head: Draft | None = None) -> str:
    """Return the key by which a row is known; `head` is the entry that it belongs to."""
    return make_text_key(draft.fingerprint, head) if draft.bank_id is None else make_bank_key(draft.bank_id)


async def read_rows(reading: Reading, choices: Choices) -> list[FileRow]:
    """Return the rows of a file; raise ValidationFailed if the option `lines` names one that is none, or no expense."""
    sources, checker = choose_keys(reading, choices.source), Checker()
    rows = [
        _read_row(draft, source, reading.find_head(draft), choices.lines.get(draft.number), checker)
        async for draft, source in iterate_in_slices(zip(reading.drafts, sources, strict=True))
    ]
    errors = _list_choice_errors(rows, choices)
    if errors:
        raise ValidationFailed(errors=errors)
    return rows


def choice_error(number: int, code: str, detail: str) -> FieldError:
    """Return the error of what the option `lines` says of a row."""
    return field_error(f"/options/lines/{number}", code, detail)


def _read_row(draft: Draft, source: str, head: Draft | None, choice: LineChoice | None, checker: Checker) -> FileRow:
    row = FileRow(draft, source, head, choice)
    is_read = None not in {draft.amount, draft.currency, draft.date}
    if choice == "skip":
        row.settle("skipped", "chosen")
    elif draft.status == "read" or (draft.status == "skipped" and is_read and choice is not None):
        _check(row, checker)
    else:
        row.settle(draft.status, draft.reason)
        row.errors = draft.errors
    return row


def _check(row: FileRow, checker: Checker) -> None:
    try:
        row.body, row.key = checker.check(row.draft), make_key(row.draft, row.head)
    except RowRefused as refused:
        row.refuse(refused.errors)


def _list_choice_errors(rows: Sequence[FileRow], choices: Choices) -> list[FieldError]:
    by_number = {row.draft.number: row for row in rows if row.choice is not None}
    errors = []
    for number, choice in choices.lines.items():
        row = by_number.get(number)
        if row is None:
            errors.append(choice_error(number, "not_found", "The file has no row of this number."))
        elif choice != "skip" and row.status in {"skipped", "refused"}:
            errors.append(choice_error(number, "not_allowed", "This row is no expense: it can only be skipped."))
    return errors
