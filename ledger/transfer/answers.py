"""The rows and the sums in the answer of an import."""

from collections.abc import Iterator, Sequence
from datetime import date
from itertools import islice
from typing import Final

from infra.slices import iterate_in_slices
from ledger.tags.sets import split_names, write_names
from ledger.transfer.readers.drafts import Draft
from ledger.transfer.rows import FileRow
from ledger.transfer.schemas import ImportRow, RowExpense, RowProblem
from ledger.transfer.sources import cut_source
from schemas import ListTotal
from values import money

MAX_DOUBTFUL: Final = 1_000
"""Refused and open rows that are shown in any case."""


async def build_rows(rows: Sequence[FileRow], shown: int, *, has_accounts: bool) -> list[ImportRow]:
    """Return the first rows as the answer shows them, and those further on that are refused or open, up to 1,000."""
    return [_build_row(row, has_accounts) async for row in iterate_in_slices(_choose(rows, shown))]


def _choose(rows: Sequence[FileRow], shown: int) -> Iterator[FileRow]:
    yield from rows[:shown]
    yield from islice((row for row in rows[shown:] if row.status in {"refused", "open"}), MAX_DOUBTFUL)


async def sum_up(rows: Sequence[FileRow], own: str) -> list[ListTotal]:
    """Return the sums of the new rows by currency, the user's own first."""
    sums: dict[str, tuple[int, int]] = {}
    async for row in iterate_in_slices(rows):
        if row.status == "new":
            currency, amount, _ = row.movement
            total, number = sums.get(currency, (0, 0))
            sums[currency] = total + amount, number + 1
    return [
        ListTotal(currency=it, total=money.write_amount(sums[it][0], it), count=sums[it][1])
        for it in money.sort_own_first(sums, own)
    ]


def _build_row(row: FileRow, has_accounts: bool) -> ImportRow:  # noqa: FBT001
    draft = row.draft
    return ImportRow(
        number=draft.number,
        line=draft.line,
        status=row.status or "new",
        reason=row.reason,
        source=cut_source(draft.account) if has_accounts else None,
        expense=None if row.status == "open" else _build_expense(row),
        expense_id=row.expense_id,
        matches=[*row.matches],
        errors=[RowProblem(it.column, it.code, it.detail) for it in row.errors],
    )


def _build_expense(row: FileRow) -> RowExpense | None:
    body = row.body
    if body is None:
        return _show_draft(row.draft)
    return RowExpense(
        amount=money.write_amount(body.amount, body.currency),
        currency=body.currency,
        date=body.day,
        category=row.category or body.category,
        payee=body.payee,
        description=body.description,
        tags=split_names(row.tags or write_names(body.tags)),
        external_id=body.external_id,
    )


def _show_draft(draft: Draft) -> RowExpense | None:
    """Return the expense of a row that is not imported, if it was read; nothing of it is validated."""
    if draft.amount is None or draft.currency is None or draft.date is None:
        return None
    return RowExpense(
        amount=draft.amount,
        currency=draft.currency,
        date=date.fromisoformat(draft.date),
        category=draft.category,
        payee=draft.payee,
        description=draft.description,
        tags=[*draft.tags],
        external_id=draft.external_id,
    )
