"""Decides which expenses of an archive the ledger has already; what is there stays as it is.

An expense is there if the ledger has, in this order,

    a row of a file      that the archive says the expense is: the same bank's row
    its id               with the same instant of its creation: the archive is of this very ledger
    its `external_id`
    its text             as a row that an archive or an export of this service has brought
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import bindparam, select

from infra.slices import iterate_in_slices
from ledger.core import Ledger
from ledger.transfer.archives.contents import ArchivedExpense, ArchivedRow, Contents
from ledger.transfer.identities import OwnExpense
from ledger.transfer.lookups import load_by_external_id, load_known
from ledger.transfer.rows import KnownRow
from ledger.transfer.sources import OWN_EXPORT
from models import Expense, LedgerState, TrashedExpense

RowIdentity = tuple[str, str, int]
"""Key, source and occurrence of a row of a file: no other row has the three."""

_HOLDINGS: Final = select(LedgerState.expense_count, LedgerState.trash_count, LedgerState.imported_count).where(
    LedgerState.mine()
)
_LIVE: Final = select(Expense.id, Expense.created_at).where(Expense.mine_by_id())
_TRASHED: Final = select(TrashedExpense.id, TrashedExpense.created_at).where(
    TrashedExpense.mine_by_id(), TrashedExpense.deleted_at >= bindparam("trash_start")
)


class _Own(NamedTuple):
    """An expense of the ledger with the id of one of the archive."""

    created_at: datetime
    is_live: bool


@dataclass(slots=True)
class Holdings:
    """What the ledger has of an archive."""

    known: dict[RowIdentity, KnownRow] = field(default_factory=dict)
    """The rows of files that it knows."""
    by_id: dict[int, _Own] = field(default_factory=dict)
    by_external_id: dict[str, OwnExpense] = field(default_factory=dict)
    by_text: dict[str, list[KnownRow]] = field(default_factory=dict)
    """By their key the rows that archives and exports have brought; each is found once, live ones first."""


async def settle_existing(ledger: Ledger, contents: Contents) -> Holdings:
    """Give each expense of the archive its status; return what the ledger has of it."""
    expenses = [*contents.expenses, *contents.trash]
    holdings = await _load_holdings(ledger, contents, expenses)
    rows: dict[int, list[RowIdentity]] = {}
    async for it in iterate_in_slices(contents.imported_rows):
        if it.expense_id is not None:
            rows.setdefault(it.expense_id, []).append(get_identity(it))
    # Those that are told for certain first, so that no other expense of the same text takes their row.
    async for expense in iterate_in_slices(expenses):
        _settle(expense, rows.get(expense.id, ()), holdings)
    async for expense in iterate_in_slices(expenses):
        if expense.status == "new":
            _settle_by_text(expense, holdings)
    return holdings


def get_identity(row: ArchivedRow) -> RowIdentity:
    """Return by what a row of a file is known."""
    return row.key, row.source, row.occurrence


async def _load_holdings(ledger: Ledger, contents: Contents, expenses: Collection[ArchivedExpense]) -> Holdings:
    counts = await ledger.fetch_one(_HOLDINGS)
    holdings = Holdings()
    if counts is None or not any(counts):
        return holdings
    if counts.imported_count:
        await _load_known(ledger, holdings, [it.key for it in contents.imported_rows], [it.key for it in expenses])
    ids = sorted(it.id for it in expenses)
    live = await ledger.fetch_by_id(_LIVE, ids)
    trashed = await ledger.fetch_by_id(_TRASHED, ids, trash_start=ledger.trash_start)
    holdings.by_id = {row.id: _Own(row.created_at, is_live=False) for row in trashed}
    holdings.by_id |= {row.id: _Own(row.created_at, is_live=True) for row in live}
    external_ids = {it.body.external_id for it in expenses if it.body.external_id is not None}
    holdings.by_external_id = await load_by_external_id(ledger, external_ids)
    return holdings


async def _load_known(ledger: Ledger, holdings: Holdings, keys: Iterable[str], texts: Iterable[str]) -> None:
    own: list[KnownRow] = []
    async for row in iterate_in_slices(await load_known(ledger, {*keys, *texts})):
        holdings.known[row.key, row.source, row.occurrence] = row
        if row.source == OWN_EXPORT:
            own.append(row)
    # The last of each list is found first.
    for row in sorted(own, key=lambda row: (row.is_live, -row.occurrence)):
        holdings.by_text.setdefault(row.key, []).append(row)


def _settle(expense: ArchivedExpense, identities: Iterable[RowIdentity], holdings: Holdings) -> None:
    """Settle an expense that the ledger has for certain."""
    known = [holdings.known[it] for it in identities if it in holdings.known]
    if known:
        row = max(known, key=lambda row: row.is_live)
        expense.settle_existing(row.expense_id, is_live=row.is_live)
        return
    own, named = holdings.by_id.get(expense.id), holdings.by_external_id.get(expense.body.external_id or "")
    if own is not None and own.created_at == expense.created_at:
        expense.settle_existing(expense.id, is_live=own.is_live)
    elif named is not None:
        expense.settle_existing(named.id, is_live=named.is_live)


def _settle_by_text(expense: ArchivedExpense, holdings: Holdings) -> None:
    found = holdings.by_text.get(expense.key)
    if found:
        row = found.pop()
        expense.settle_existing(row.expense_id, is_live=row.is_live)
