"""Imports an archive whose contents were checked."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from infra.slices import iterate_in_slices
from ledger.core import Ledger
from ledger.transfer.answers import build_answer, describe_import, note_written, show_expense, sum_up
from ledger.transfer.archives.contents import ArchivedExpense, Contents
from ledger.transfer.archives.deciding import settle_existing
from ledger.transfer.archives.planning import Plan, plan
from ledger.transfer.archives.writing import ArchiveWriter
from ledger.transfer.choices import Choices
from ledger.transfer.schemas import (
    ArchivedCount,
    ArchivedCounts,
    ImportAnswer,
    ImportCounts,
    ImportRow,
)
from ledger.transfer.sources import ARCHIVE

_KINDS: Final = ("categories", "tags", "budgets", "profiles", "imports", "trash")


async def import_archive(ledger: Ledger, contents: Contents, choices: Choices) -> ImportAnswer:
    """Import what the ledger does not have of an archive, or preview that; raise TooMany beyond a cap."""
    await contents.begin()
    holdings = await settle_existing(ledger, contents)
    planned = await plan(ledger, contents)
    rows, new = len(contents.expenses), len(planned.expenses)
    answer = build_answer(
        ARCHIVE,
        ImportCounts(rows=rows, new=new, existing=rows - new, linked=0, skipped=0, refused=0, open=0),
        await sum_up((it.body for it in planned.expenses), ledger.owner.currency),
    )
    answer.archive = _count(contents, planned)
    if not (choices.dry_run or planned.is_empty):
        writer = ArchiveWriter(ledger, contents, holdings, planned)
        note_written(answer, await writer.write(describe_import(answer)), ledger)
    answer.rows = [it async for it in iterate_in_slices(_build_rows(contents.expenses, choices.rows))]
    return answer


def _count(contents: Contents, planned: Plan) -> ArchivedCounts:
    counts = {
        kind: ArchivedCount(rows=len(getattr(contents, kind)), new=len(getattr(planned, kind))) for kind in _KINDS
    }
    return ArchivedCounts(**counts)


def _build_rows(expenses: Sequence[ArchivedExpense], shown: int) -> Iterator[ImportRow]:
    for it in islice(expenses, shown):
        yield ImportRow(
            number=it.line,
            line=it.line,
            status=it.status,
            reason=it.reason,
            source=None,
            expense=show_expense(it.body, it.body.category, it.body.tags),
            expense_id=None if it.reason else it.expense_id,
            matches=[],
            errors=[],
        )
