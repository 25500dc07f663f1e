"""Writes an import: the new expenses with what they refer to, the rows that become known, and the import itself.

    checked first      the caps of expenses, of known rows and of texts, in memory
    then written       the import, categories, tags, payees, tag sets, expenses, known rows: 250 in a statement

All of it has one revision. Long loops pause, so that others are served meanwhile.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import delete

from database import get_inserted_id
from infra.slices import batched, iterate_in_slices
from ledger.core import ROWS_PER_STATEMENT, Ledger
from ledger.expenses.references import Columns, References
from ledger.payees import names as payee_names
from ledger.transfer.categories import CategoryPlan
from ledger.transfer.identities import KnownRows
from ledger.transfer.lookups import empty_trash_of, free_external_ids
from ledger.transfer.rows import FileRow
from ledger.transfer.storing import FILE, INSERT_KNOWN, build_expense_columns, insert_expenses
from ledger.unused import refuse_outgrown_quota
from models import Import, ImportedRow
from problems import TooMany
from values.field_errors import field_error
from values.sizes import measure
from values.texts import make_name_key


@dataclass(slots=True)
class _Named:
    """What new expenses refer to by name, and the bytes of their texts."""

    size: int = 0
    payees: set[str] = field(default_factory=set)
    """The keys of their names."""
    tag_sets: set[str] = field(default_factory=set)
    external_ids: set[str] = field(default_factory=set)


@dataclass(slots=True)
class StatementWriter:
    """What an import writes, checked and not written yet."""

    ledger: Ledger
    categories: CategoryPlan
    references: References
    """The tags, those to make included; its categories are those of `categories` once they are made."""
    known: KnownRows

    async def write(self, rows: Sequence[FileRow], told: dict[str, Any]) -> int:
        """Write the rows that are new or linked, and the import, which `told` describes; return its id.

        Raises TooMany, which names a row or else the file.
        """
        try:
            return await self._write(rows, told)
        except TooMany as problem:
            raise _blame_file(problem) from None

    async def _write(self, rows: Sequence[FileRow], told: dict[str, Any]) -> int:
        ledger = self.ledger
        new = [row for row in rows if row.status == "new"]
        named = await self._plan_names(new)
        booked = [row for row in rows if row.status in {"new", "linked"}]
        revision = ledger.take_revision(expenses=len(new))
        ledger.add_text(named.size + measure(told["options"]), FILE)
        ledger.add_imported(sum(row.known is None for row in booked))
        import_id = get_inserted_id(await ledger.insert(Import, **told, revision=revision, created_at=ledger.instant))
        if named.external_ids:
            await free_external_ids(ledger, named.external_ids)
        if replaced := {expense_id for row in booked for expense_id in row.replaced}:
            await empty_trash_of(ledger, replaced)
        await self._create_references(named)
        await self._insert_expenses(new, {"import_id": import_id, "revision": revision})
        await self._make_known(booked, import_id)
        await refuse_outgrown_quota(ledger)
        return import_id

    async def _plan_names(self, new: Sequence[FileRow]) -> _Named:
        named = _Named()
        async for row in iterate_in_slices(new):
            body = row.expense
            row.tags = self.references.plan_tags(body.tags, f"/rows/{row.draft.number}/tags")
            named.size += measure(body.payee, body.description, body.external_id)
            if body.payee is not None:
                named.payees.add(make_name_key(body.payee))
            if row.tags is not None:
                named.tag_sets.add(row.tags)
            if body.external_id is not None:
                named.external_ids.add(body.external_id)
        return named

    async def _create_references(self, named: _Named) -> None:
        self.references.categories = await self.categories.create()
        await self.references.create_missing([{"tags": names} for names in named.tag_sets])
        self.references.payees = await payee_names.find_or_create_payees(self.ledger, named.payees)

    async def _insert_expenses(self, new: Sequence[FileRow], own: Columns) -> None:
        """Insert the expenses of the new rows, which get their ids."""
        columns = (self.references.resolve(self._build_columns(row)) | own for row in new)
        ids = await insert_expenses(self.ledger, columns, own["revision"])
        for row, expense_id in zip(new, ids, strict=True):
            row.expense_id = expense_id

    def _build_columns(self, row: FileRow) -> Columns:
        return build_expense_columns(self.ledger, row.expense, row.category, row.tags, edited=False)

    async def _make_known(self, rows: Sequence[FileRow], import_id: int) -> None:
        """Note the rows by which the file is known again; of those that were known before, instead of them."""
        replaced = [row.known.id for row in rows if row.known is not None]
        for some in batched(replaced, ROWS_PER_STATEMENT):
            which = ImportedRow.mine(), ImportedRow.id.in_(some)
            await self.ledger.execute_exactly(len(some), delete(ImportedRow).where(*which))
        for some_rows in batched(rows, ROWS_PER_STATEMENT):
            known = [self._build_known(row, import_id) for row in some_rows]
            await self.ledger.insert_prepared(INSERT_KNOWN, known)

    def _build_known(self, row: FileRow, import_id: int) -> dict[str, Any]:
        currency, amount, day = row.movement
        return {
            "source": row.source,
            "row_key": row.key,
            "occurrence": self.known.number(row),
            "expense_id": row.expense_id,
            "import_id": import_id,
            "linked": row.status == "linked",
            "revived": row.known is not None,
            "spent_on": day,
            "amount": amount,
            "currency": currency,
        }


def _blame_file(problem: TooMany) -> TooMany:
    """Return a problem that names the file instead of a field that the form does not have."""
    errors = problem.errors or [field_error(FILE, "not_allowed", problem.detail)]
    return replace(
        problem,
        errors=[
            it if it.location["pointer"].startswith("/rows/") else field_error(FILE, it.code, it.detail)
            for it in errors
        ],
    )
