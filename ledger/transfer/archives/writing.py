"""Writes what the ledger does not have of an archive: all with one revision, as one import that can be undone.

by name          categories, tags, profiles; budgets by category, currency and period: what is there stays
imports          those that the archive tells of, unless the ledger has them
trash            recorded, and then deleted, so that it can be restored here too
expenses         in the order of the archive; of the import that they were of there, else of this one
imported rows    those of the archive; an expense that has none is known by its text, so that it comes once
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, count
from typing import Any, Final

from sqlalchemy import bindparam, select

from database import get_inserted_id
from infra.slices import iterate_in_slices
from ledger.core import Ledger
from ledger.editing import convert_amount
from ledger.expenses.references import Columns, References
from ledger.expenses.trash import move_to_trash
from ledger.payees import names as payee_names
from ledger.tags import names as tag_names
from ledger.tags.sets import write_names
from ledger.transfer.archives.contents import ArchivedExpense, Contents
from ledger.transfer.archives.deciding import Holdings, get_identity
from ledger.transfer.archives.planning import SELECT_TAG_KEYS, Plan
from ledger.transfer.archives.schemas import ArchivedCategory, ArchivedImport
from ledger.transfer.categories import SELECT_CATEGORY_KEYS
from ledger.transfer.lookups import free_external_ids
from ledger.transfer.sources import OWN_EXPORT
from ledger.transfer.storing import FILE, INSERT_KNOWN, batch_in_slices, build_expense_columns, insert_expenses
from ledger.unused import refuse_outgrown_quota
from models import Budget, Category, Expense, Import, ImportProfile, Tag
from values.sizes import measure
from values.texts import make_name_key

_NEW_IMPORTS: Final = (
    select(Import.id).where(Import.mine(), Import.revision == bindparam("revision")).order_by(Import.id)
)


class ArchiveWriter:
    """Writes one archive into a locked ledger."""

    def __init__(self, ledger: Ledger, contents: Contents, holdings: Holdings, planned: Plan) -> None:
        self._ledger = ledger
        self._contents = contents
        self._holdings = holdings
        self._plan = planned
        self._revision = 0
        self._import_id = 0

    async def write(self, told: Mapping[str, Any]) -> int:
        """Write what is planned, and the import, which `told` describes; return its id."""
        ledger, planned = self._ledger, self._plan
        self._revision = ledger.take_revision(expenses=len(planned.trash) + len(planned.expenses))
        references = await self._create_names()
        await self._create_budgets(references)
        await self._create_profiles()
        await self._create_imports(told)
        await self._create_references(references)
        trashed = await self._insert_expenses(planned.trash, references)
        if trashed:
            await move_to_trash(
                ledger, len(trashed), Expense.mine(), Expense.revision == bindparam("own"), own=self._revision
            )
        await self._insert_expenses(planned.expenses, references)
        await self._create_imported_rows()
        await refuse_outgrown_quota(ledger)
        return self._import_id

    # --- names --------------------------------------------------------------------------------------------------------

    async def _create_names(self) -> References:
        """Create categories and tags, each with all that the archive says of it."""
        ledger, planned = self._ledger, self._plan
        tops = [it for it in planned.categories if it.parent is None]
        await self._insert_categories(tops, {})
        rows = await ledger.fetch_all(SELECT_CATEGORY_KEYS)
        # A category that is a child here holds no others: there is one level.
        parents = {row.name_key: row.id for row in rows if row.parent_id is None}
        await self._insert_categories([it for it in planned.categories if it.parent is not None], parents)
        stamps = {"revision": self._revision, **ledger.new_row_instants}
        await ledger.insert_all(
            Tag, [{"name": it.name, "name_key": make_name_key(it.name), **stamps} for it in planned.tags]
        )
        categories = {row.name_key: (row.id, row.name) for row in await ledger.fetch_all(SELECT_CATEGORY_KEYS)}
        tags = {row.name_key: tag_names.KnownTag(row.id, row.name) for row in await ledger.fetch_all(SELECT_TAG_KEYS)}
        return References(ledger, categories, 0, tags, 0)

    async def _insert_categories(self, some: Sequence[ArchivedCategory], parents: Mapping[str, int]) -> None:
        stamps = {"revision": self._revision, **self._ledger.new_row_instants}
        rows = [
            {
                "name": it.name,
                "name_key": make_name_key(it.name),
                "parent_id": None if it.parent is None else parents.get(make_name_key(it.parent)),
                "color": it.color,
                "archived": it.archived,
                **stamps,
            }
            for it in some
        ]
        await self._ledger.insert_all(Category, rows)

    async def _create_budgets(self, references: References) -> None:
        stamps = {"revision": self._revision, **self._ledger.new_row_instants}
        rows = [
            {
                "category_id": None if it.category is None else references.categories[make_name_key(it.category)][0],
                "amount": convert_amount(it.amount, it.currency),
                "currency": it.currency,
                "period": it.period,
                **stamps,
            }
            for it in self._plan.budgets
        ]
        await self._ledger.insert_all(Budget, rows)

    async def _create_profiles(self) -> None:
        rows = [
            {"name": it.name, "name_key": make_name_key(it.name), "options": _write(it.options.dump_options())}
            for it in self._plan.profiles
        ]
        self._ledger.add_text(measure(*(row["options"] for row in rows)), FILE)
        await self._ledger.insert_all(ImportProfile, [{**row, **self._ledger.new_row_instants} for row in rows])

    async def _create_imports(self, told: Mapping[str, Any]) -> None:
        """Create the imports of the archive, with the instants that they have there, and that of the archive."""
        ledger, planned = self._ledger, self._plan
        rows = [_describe_import(it) | {"revision": self._revision} for it in planned.imports]
        ledger.add_text(measure(told["options"], *(row["options"] for row in rows)), FILE)
        await ledger.insert_all(Import, rows)
        created = await ledger.fetch_in_slices(_NEW_IMPORTS, revision=self._revision)
        planned.import_ids |= {it.id: row.id for it, row in zip(planned.imports, created, strict=True)}
        inserted = await ledger.insert(Import, **told, revision=self._revision, created_at=ledger.instant)
        self._import_id = get_inserted_id(inserted)

    async def _create_references(self, references: References) -> None:
        """Create payees and sets of tags, free external ids of expired rows of the trash, and count all texts."""
        new = [*self._plan.trash, *self._plan.expenses]
        wanted = {tuple(it.body.tags) async for it in iterate_in_slices(new) if it.body.tags}
        await references.create_missing([{"tags": references.plan_tags(tags, FILE)} for tags in wanted])
        keys = {make_name_key(it.body.payee) async for it in iterate_in_slices(new) if it.body.payee is not None}
        references.payees = await payee_names.find_or_create_payees(self._ledger, keys)
        await free_external_ids(self._ledger, {it.body.external_id for it in new if it.body.external_id is not None})
        texts = iterate_in_slices((it.body.payee, it.body.description, it.body.external_id) for it in new)
        self._ledger.add_text(sum([measure(*them) async for them in texts]), FILE)

    # --- expenses -----------------------------------------------------------------------------------------------------

    async def _insert_expenses(self, some: Sequence[ArchivedExpense], references: References) -> list[int]:
        """Insert expenses in their order, and note their ids."""
        columns = (self._build_columns(it, references) for it in some)
        ids = await insert_expenses(self._ledger, columns, self._revision)
        for expense, expense_id in zip(some, ids, strict=True):
            expense.expense_id = expense_id
        return ids

    def _build_columns(self, it: ArchivedExpense, references: References) -> Columns:
        tags = write_names([references.tags[make_name_key(name)].name for name in it.body.tags])
        columns = build_expense_columns(self._ledger, it.body, it.body.category, tags, edited=it.edited)
        own = {"import_id": self._find_import(it.import_id) or self._import_id, "revision": self._revision}
        return references.resolve(columns) | own

    def _find_import(self, archived: int | None) -> int | None:
        return None if archived is None else self._plan.import_ids[archived]

    # --- rows of files ------------------------------------------------------------------------------------------------

    async def _create_imported_rows(self) -> None:
        expenses = chain(self._contents.expenses, self._contents.trash)
        ids = {it.id: it.expense_id async for it in iterate_in_slices(expenses)}
        named = {it.expense_id async for it in iterate_in_slices(self._contents.imported_rows)}
        nameless = (it for it in chain(self._plan.expenses, self._plan.trash) if it.id not in named)
        rows = [self._list_known(ids), self._list_by_text(nameless)]
        for some in rows:
            async for batch in batch_in_slices(some):
                self._ledger.add_imported(len(batch))
                await self._ledger.insert_prepared(INSERT_KNOWN, batch)

    def _list_known(self, ids: Mapping[int, int | None]) -> Iterable[Columns]:
        for it in self._contents.imported_rows:
            if get_identity(it) not in self._holdings.known:
                yield {
                    "source": it.source,
                    "row_key": it.key,
                    "occurrence": it.occurrence,
                    "expense_id": None if it.expense_id is None else ids.get(it.expense_id),
                    "import_id": self._find_import(it.import_id),
                    "linked": it.linked,
                    "revived": it.revived,
                    "spent_on": it.day,
                    "amount": it.amount,
                    "currency": it.currency,
                }

    def _list_by_text(self, nameless: Iterable[ArchivedExpense]) -> Iterable[Columns]:
        taken = {it for it in self._holdings.known if it[1] == OWN_EXPORT}
        taken |= {get_identity(it) for it in self._contents.imported_rows if it.source == OWN_EXPORT}
        last: dict[str, int] = {}
        for it in nameless:
            occurrence = next(
                number for number in count(last.get(it.key, 0) + 1) if (it.key, OWN_EXPORT, number) not in taken
            )
            last[it.key] = occurrence
            yield {
                "source": OWN_EXPORT,
                "row_key": it.key,
                "occurrence": occurrence,
                "expense_id": it.expense_id,
                "import_id": self._import_id,
                "linked": False,
                "revived": False,
                "spent_on": it.body.day,
                "amount": it.body.amount,
                "currency": it.body.currency,
            }


def _write(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _describe_import(it: ArchivedImport) -> dict[str, Any]:
    texts = {"options": it.options, "counts": it.counts.model_dump(), "totals": [one.model_dump() for one in it.totals]}
    facts = {"format": it.format, "profile": it.profile, "source": it.source, "created_at": it.created_at}
    return facts | {name: _write(value) for name, value in texts.items()}
