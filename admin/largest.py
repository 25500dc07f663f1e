"""The largest accounts, for the operator: what each of them keeps, by the counters of its ledger."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select

from models import LedgerState, User
from values.sizes import write_size
from values.terminal import compute_width, make_visible, pad

MOST_LISTED: Final = 5
# Roughly what the other columns of an expense take, and its places in the indexes.
_EXPENSE_BYTES: Final = 250
_ROWS: Final = LedgerState.expense_count + LedgerState.trash_count
_LARGEST: Final = (
    select(
        User.username,
        LedgerState.expense_count,
        LedgerState.trash_count,
        LedgerState.text_bytes,
        LedgerState.answer_bytes,
    )
    .join(LedgerState, LedgerState.owner_id == User.id)
    .order_by((_ROWS * _EXPENSE_BYTES + LedgerState.text_bytes + LedgerState.answer_bytes).desc(), User.id)
    .limit(MOST_LISTED)
)


@dataclass(frozen=True)
class LargeAccount:
    """What an account keeps; the bytes are those of texts, and of remembered answers."""

    username: str
    expenses: int
    trashed: int
    text_bytes: int
    answer_bytes: int


def list_largest(connection: Connection) -> list[LargeAccount]:
    """Return the accounts that keep the most, at most five."""
    return [LargeAccount(*row) for row in connection.execute(_LARGEST)]


def write_lines(accounts: Sequence[LargeAccount]) -> Iterator[str]:
    """Yield the lines of a table of accounts, in which no name can do anything to a terminal."""
    names = [make_visible(account.username) for account in accounts]
    width = max(map(compute_width, names), default=0)
    for name, account in zip(names, accounts, strict=True):
        texts, answers = write_size(account.text_bytes), write_size(account.answer_bytes)
        counts = f"{account.expenses:,} expenses, {account.trashed:,} in the trash"
        yield f"  {pad(name, width)}  {counts}, {texts} of texts, {answers} of remembered answers"
