"""The answer of an import, its sums and its rows."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import islice
from typing import Any, Final

from infra.slices import iterate_in_slices
from ledger.core import Ledger
from ledger.tags.sets import split_names, write_names
from ledger.transfer.checking import ImportedExpense
from ledger.transfer.readers.drafts import Draft
from ledger.transfer.readers.entries import Question
from ledger.transfer.rows import FileRow
from ledger.transfer.schemas import ImportAnswer, ImportCounts, ImportRow, RowExpense, RowProblem
from ledger.transfer.schemas import Question as QuestionShown
from ledger.transfer.sources import cut_source
from schemas import ListTotal
from values import money

MAX_DOUBTFUL: Final = 1_000
"""Refused and open rows that are shown in any case."""


def build_answer(
    format_name: str,
    counts: ImportCounts,
    totals: list[ListTotal],
    *,
    profile: str | None = None,
    source: str | None = None,
    options: Mapping[str, Any] | None = None,
    questions: Sequence[Question] = (),
) -> ImportAnswer:
    """Return the answer of an import before anything is written; its rows are not shown yet."""
    return ImportAnswer(
        id=None,
        revision=None,
        format=format_name,
        profile=profile,
        source=source,
        options=dict(options or {}),
        counts=counts,
        totals=totals,
        created_at=None,
        rows=[],
        questions=[QuestionShown(option=it.option, choices=[*it.choices], detail=it.detail) for it in questions],
        archive=None,
    )


def describe_import(answer: ImportAnswer) -> dict[str, Any]:
    """Return the columns of the import's row."""
    shown = answer.model_dump(mode="json", include={"options", "counts", "totals"})
    texts = {name: json.dumps(value, ensure_ascii=False) for name, value in shown.items()}
    return {"format": answer.format, "profile": answer.profile, "source": answer.source, **texts}


def note_written(answer: ImportAnswer, import_id: int, ledger: Ledger) -> None:
    """Put into the answer what the import has become."""
    answer.id, answer.revision, answer.created_at = import_id, ledger.revision, ledger.instant


async def build_rows(rows: Sequence[FileRow], shown: int, *, has_accounts: bool) -> list[ImportRow]:
    """Return the first rows as the answer shows them, and those further on that are refused or open, up to 1,000."""
    return [_build_row(row, has_accounts) async for row in iterate_in_slices(_choose(rows, shown))]


def _choose(rows: Sequence[FileRow], shown: int) -> Iterator[FileRow]:
    yield from rows[:shown]
    yield from islice((row for row in rows[shown:] if row.status in {"refused", "open"}), MAX_DOUBTFUL)


async def sum_up(new: Iterable[ImportedExpense], own: str) -> list[ListTotal]:
    """Return the sums of new expenses by currency, the user's own first."""
    sums: dict[str, tuple[int, int]] = {}
    async for it in iterate_in_slices(new):
        total, number = sums.get(it.currency, (0, 0))
        sums[it.currency] = total + it.amount, number + 1
    return [
        ListTotal(currency=it, total=money.write_amount(sums[it][0], it), count=sums[it][1])
        for it in money.sort_own_first(sums, own)
    ]


def _build_row(row: FileRow, has_accounts: bool) -> ImportRow:  # noqa: FBT001
    draft, status = row.draft, row.status
    if status is None:
        raise RuntimeError("nothing has decided what becomes of this row")
    return ImportRow(
        number=draft.number,
        line=draft.line,
        status=status,
        reason=row.reason,
        source=cut_source(draft.account) if has_accounts else None,
        expense=None if status == "open" else _build_expense(row),
        expense_id=row.expense_id,
        matches=[*row.matches],
        errors=[RowProblem(it.column, it.code, it.detail) for it in row.errors],
    )


def _build_expense(row: FileRow) -> RowExpense | None:
    body = row.body
    if body is None:
        return _show_draft(row.draft)
    return show_expense(body, row.category or body.category, split_names(row.tags or write_names(body.tags)))


def show_expense(body: ImportedExpense, category: str | None, tags: list[str]) -> RowExpense:
    """Return the expense of a row, with the names that its category and its tags have here."""
    return RowExpense(
        amount=money.write_amount(body.amount, body.currency),
        currency=body.currency,
        date=body.day,
        category=category,
        payee=body.payee,
        description=body.description,
        tags=tags,
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
