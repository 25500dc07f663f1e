"""Changes of expenses, checked in memory before any of them is written.

    load_plan                reads the expenses, categories and tags that changes name: a few statements for every 250
    create, change, delete   check one change against the rows as the earlier changes leave them, and plan its writes
    write                    writes all planned changes: a few statements for every 250, and one for each changed one

PUT, PATCH and every operation of a batch use this code, so that they have the same rules.
"""

from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import bindparam, select, update

from infra.slices import iterate_in_slices
from ledger.core import Ledger
from ledger.editing import build_money_columns
from ledger.expenses import trash
from ledger.expenses.references import Columns, References, load_references
from ledger.expenses.rows import (
    SEARCHED_TEXTS,
    build_columns,
    build_new_columns,
    count_texts,
    external_id_taken_problem,
    measure_row,
    select_expenses,
)
from ledger.unused import refuse_outgrown_quota
from models import Expense, TrashedExpense
from schemas import ExpenseCreate

_SELECT_BY_ID: Final = select_expenses(Expense, by_id=True)
_SELECT_LIVE: Final = select_expenses(Expense)
_SELECT_TRASHED: Final = select_expenses(TrashedExpense, TrashedExpense.deleted_at)
_SELECT_BY_REVISION: Final = (
    select(Expense.id).where(Expense.mine(), Expense.revision == bindparam("revision")).order_by(Expense.id)
)


@dataclass(slots=True)
class ExpensePlan:
    """The expenses as the planned changes leave them, and the rows to write."""

    references: References
    """The categories and tags that the changes name."""
    rows: dict[int, Columns]
    """Live expenses by id."""
    by_external_id: dict[str, Columns]
    """Expenses by external id: live, new, or in the trash."""
    created: list[Columns] = field(default_factory=list)
    changed: dict[int, Columns] = field(default_factory=dict)
    deleted: list[int] = field(default_factory=list)

    @property
    def ledger(self) -> Ledger:
        """The ledger that is changed."""
        return self.references.ledger

    @property
    def _planned_revision(self) -> int:
        # The ledger is locked, so no other transaction can take this revision.
        return self.ledger.revision + 1

    def create(self, data: ExpenseCreate) -> Columns:
        """Plan a new expense, whose `external_id` no other has; return its row, which gets its id when written."""
        self.ledger.refuse_too_many(len(self.created) + 1 - len(self.deleted))
        row = build_new_columns(self.ledger, data) | {"id": None, "revision": self._planned_revision}
        row |= {
            "category": self.references.plan_category(data.category),
            "tags": self.references.plan_tags(data.tags or ()),
        }
        count_texts(self.ledger, row)
        self.created.append(row)
        if data.external_id is not None:
            self.by_external_id[data.external_id] = row
        return row

    def change(self, row: Columns, sent: Mapping[str, Any]) -> bool:
        """Plan to change the fields that were sent, in the row too; return False if no value differs."""
        values = build_columns(sent) | build_money_columns(row, sent)
        if "external_id" in sent:
            values["external_id"] = self._check_external_id(row, sent["external_id"])
        if "category" in sent:
            values["category"] = self.references.plan_category(sent["category"])
        if "tags" in sent:
            values["tags"] = self.references.plan_tags(sent["tags"] or (), before=row["tags"])
        changed = {name: value for name, value in values.items() if name in row and value != row[name]}
        if not changed:
            return False
        changed |= {f"{name}_key": values[f"{name}_key"] for name in SEARCHED_TEXTS if name in changed}
        count_texts(self.ledger, row | changed, row)
        self._move_external_id(row, changed)
        changed |= {"revision": self._planned_revision, "updated_at": self.ledger.instant, "edited": True}
        if row["id"] is not None:
            self.changed.setdefault(row["id"], {}).update(changed)
        row |= changed
        return True

    def delete(self, row: Columns) -> None:
        """Plan to move a row to the trash."""
        self.ledger.refuse_full_trash(len(self.deleted) + 1)
        row |= {"revision": self._planned_revision, "deleted_at": self.ledger.instant}
        self.deleted.append(row["id"])

    async def write(self) -> None:
        """Write the planned changes, and set the ids of new expenses."""
        if self.deleted:
            await trash.move_to_trash(self.ledger, len(self.deleted), Expense.mine_by_id(), ids=self.deleted)
        if not (self.created or self.changed):
            return
        revision = self.ledger.take_revision(expenses=len(self.created))
        await self.references.create_missing([*self.created, *self.changed.values()])
        for expense_id, changed in self.changed.items():
            values = self.references.resolve(changed)
            statement = update(Expense).where(Expense.mine(), Expense.id == expense_id).values(values)
            await self.ledger.execute_exactly(1, statement)
        if self.created:
            await self.ledger.insert_all(Expense, [self.references.resolve(row) for row in self.created])
            rows = await self.ledger.fetch_all(_SELECT_BY_REVISION, revision=revision)
            new_ids = [row.id for row in rows if row.id not in self.changed]
            for row, expense_id in zip(self.created, new_ids, strict=True):
                row["id"] = expense_id
        await refuse_outgrown_quota(self.ledger)

    def _move_external_id(self, row: Columns, changed: Columns) -> None:
        if "external_id" in changed:
            self.by_external_id.pop(row["external_id"], None)
            if changed["external_id"] is not None:
                self.by_external_id[changed["external_id"]] = row

    def _check_external_id(self, row: Columns, external_id: str | None) -> str | None:
        if external_id not in {None, row["external_id"]} and (existing := self.by_external_id.get(str(external_id))):
            raise external_id_taken_problem(existing["id"], is_deleted=existing.get("deleted_at") is not None)
        return external_id


async def load_plan(ledger: Ledger, ids: AbstractSet[int], bodies: Collection[Mapping[str, Any]]) -> ExpensePlan:
    """Load the live expenses with these ids, and the expenses, categories and tags that the bodies name."""
    rows = await _load_by_id(ledger, ids)
    external_ids = {body["external_id"] for body in bodies if body.get("external_id") is not None}
    by_external_id = await _load_by_external_id(ledger, rows, external_ids)
    return ExpensePlan(await load_references(ledger, bodies), rows, by_external_id)


async def _load_by_id(ledger: Ledger, ids: AbstractSet[int]) -> dict[int, Columns]:
    rows = await ledger.fetch_by_id(_SELECT_BY_ID, ids)
    return {row.id: row._asdict() async for row in iterate_in_slices(rows)}


async def _load_by_external_id(
    ledger: Ledger, loaded: Mapping[int, Columns], external_ids: AbstractSet[str]
) -> dict[str, Columns]:
    """Return by external id the loaded rows, and the expenses with these external ids, live or in the trash.

    A loaded row is the same object here, so that a planned change is seen in both. Expired expenses are deleted.
    """
    by_external_id = {row["external_id"]: row for row in loaded.values() if row["external_id"] is not None}
    for statement, table in ((_SELECT_LIVE, Expense), (_SELECT_TRASHED, TrashedExpense)):
        rows = await ledger.fetch_in(statement, table.external_id, external_ids - by_external_id.keys())
        by_external_id |= {row.external_id: row._asdict() async for row in iterate_in_slices(rows)}
    found, start = by_external_id.values(), ledger.trash_start
    expired = {row["id"]: measure_row(row) for row in found if row.get("deleted_at", ledger.instant) < start}
    if expired:
        await trash.delete_expired(ledger, expired)
    return {external_id: row for external_id, row in by_external_id.items() if row["id"] not in expired}
