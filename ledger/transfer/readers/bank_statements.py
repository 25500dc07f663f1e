"""What a bank's file says of an account, and the statement that its entries become."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ledger.transfer.readers.bank_fields import Days, forget_repeated_ids, list_accounts, settle_days
from ledger.transfer.readers.entries import Entry, Question, Statement

EntryWithDays = tuple[Entry, Days]
"""An entry without its day, and the days that the bank gives for it."""


@dataclass(slots=True)
class BankAccount:
    """What a file says about all movements of an account; it may say so after them."""

    name: str | None = None
    currency: str | None = None


def build_statement(
    format_name: str,
    accounts: Iterable[BankAccount],
    read: Sequence[EntryWithDays],
    *,
    day_column: str,
    options: dict[str, str],
    questions: Sequence[Question] = (),
) -> Statement:
    """Return the statement of these entries, which get their days and lose the bank's ids that several have."""
    entries = [entry for entry, _ in read]
    settle_days(entries, [days for _, days in read], day_column)
    forget_repeated_ids(entries)
    return Statement(
        format=format_name,
        entries=entries,
        accounts=list_accounts(it.name for it in accounts),
        options=options,
        questions=[*questions],
    )
