"""Undoing an import, as if the file had never come; what the user has done since is respected.

    expense                            becomes                     its row of the file
    live                               deleted for good            unknown again, and so are rows that were linked to it
    live and changed, `keep_changed`   an expense of no import     stays known
    linked                             stays as it is              unknown again
    in the trash                       stays, of no import         stays known
    deleted for good                                               stays known

A row that was deleted before this import brought it again is known as deleted afterwards. With an archive, the imports
that it brought are undone too: they have its revision, which no other import has. Each can also be undone alone.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import BindParameter, ColumnElement, Row, bindparam, case, delete, func, select, update

from infra.slices import batched
from ledger.core import CHUNK_SIZE, Ledger
from ledger.editing import Precondition, delete_rows, refuse_changed_row
from ledger.quotas import measure_column, measure_texts
from ledger.transfer.schemas import ImportUndone
from ledger.transfer.sources import ARCHIVE
from models import Expense, Import, ImportedRow, TrashedExpense
from problems import NotFound

_THIS: Final[BindParameter[Any]] = bindparam("undone")
_IMPORTS: Final = select(Import.id, Import.revision, Import.format, measure_column(Import.options).label("size")).where(
    Import.mine()
)
_IMPORT: Final = _IMPORTS.where(Import.id == _THIS)
_BROUGHT: Final = _IMPORTS.where(Import.revision == bindparam("revision"), Import.id != _THIS)
# Answered by the index on (owner_id, import_id, spent_on, id).
_OWN: Final = (Expense.mine(), Expense.import_id == _THIS)
_EXPENSES: Final = select(Expense.id, Expense.edited, measure_texts(Expense).label("size")).where(*_OWN)
_LINKED: Final = (
    select(ImportedRow.expense_id)
    .join(Expense, (Expense.owner_id == ImportedRow.owner_id) & (Expense.id == ImportedRow.expense_id))
    .where(ImportedRow.mine(), ImportedRow.import_id == _THIS, ImportedRow.linked)
)
_COUNT_KNOWN: Final = select(
    func.count().label("rows"), func.count(case((ImportedRow.revived, 1))).label("revived")
).select_from(ImportedRow)
_IDS: Final[BindParameter[Any]] = bindparam("ids", expanding=True)


async def undo_import(ledger: Ledger, import_id: int, condition: Precondition, *, keep_changed: bool) -> ImportUndone:
    """Undo an import; raise NotFound if there is none, or it is undone already."""
    row = await ledger.fetch_one(_IMPORT, undone=import_id)
    if row is None:
        raise NotFound
    refuse_changed_row(row.revision, condition)
    imports = [row]
    if row.format == ARCHIVE:
        imports += await ledger.fetch_in_slices(_BROUGHT, revision=row.revision, undone=import_id)
    done: Counter[str] = Counter(deleted=0, kept=0, unlinked=0)
    for it in imports:
        done.update(await _undo(ledger, it, keep_changed=keep_changed))
    return ImportUndone(**done, revision=ledger.revision)


async def _undo(ledger: Ledger, row: Row[Any], *, keep_changed: bool) -> Counter[str]:
    """Undo one import; return how many of its expenses were deleted, kept and unlinked."""
    expenses = await ledger.fetch_in_slices(_EXPENSES, undone=row.id)
    kept = sum(keep_changed and it.edited for it in expenses)
    gone = [it for it in expenses if not (keep_changed and it.edited)]
    linked = [it.expense_id for it in await ledger.fetch_in_slices(_LINKED, undone=row.id)]
    ledger.take_revision(expenses=-len(gone))
    ledger.count(text_bytes=-row.size - sum(it.size for it in gone))
    await _forget_rows(ledger, [it.id for it in gone], ImportedRow.mine())
    await _forget_rows(ledger, linked, ImportedRow.mine(), ImportedRow.import_id == row.id)
    if kept:
        values = {"import_id": None, **ledger.stamp_change()}
        await ledger.execute_exactly(kept, update(Expense).where(*_OWN, Expense.edited).values(values), undone=row.id)
    if gone:
        await delete_rows(ledger, len(gone), Expense, *_OWN, undone=row.id)
    for table in (TrashedExpense, ImportedRow):
        of_this = update(table).where(table.mine(), table.import_id == row.id)
        await ledger.execute(of_this.values(import_id=None))
    await ledger.execute_exactly(1, delete(Import).where(Import.mine(), Import.id == _THIS), undone=row.id)
    return Counter(deleted=len(gone), kept=kept, unlinked=len(set(linked)))


async def _forget_rows(ledger: Ledger, expense_ids: Sequence[int], *which: ColumnElement[bool]) -> None:
    """Make the rows of these expenses unknown, or deleted as they were before."""
    parameters: dict[str, Any]
    for some in batched(expense_ids, CHUNK_SIZE):
        these, parameters = (*which, ImportedRow.expense_id.in_(_IDS)), {"ids": some}
        counted = (await ledger.execute(_COUNT_KNOWN.where(*these), **parameters)).one()
        rows, revived = counted.rows, counted.revived
        if revived:
            values = {"expense_id": None, "import_id": None, "revived": False, "linked": False}
            again = update(ImportedRow).where(*these, ImportedRow.revived).values(values)
            await ledger.execute_exactly(revived, again, **parameters)
        if rows > revived:
            unknown = delete(ImportedRow).where(*these)
            await ledger.execute_exactly(rows - revived, unknown, **parameters)
            ledger.count(imported=revived - rows)
