"""Changes of expenses, checked in memory before any of them is written.

    load_plan                reads the expenses and categories that the changes name: a few statements for every 250
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
from ledger import categories
from ledger.core import Ledger
from ledger.editing import build_money_columns
from ledger.expenses import trash
from ledger.expenses.rows import (
    build_columns,
    build_new_columns,
    count_texts,
    external_id_taken_problem,
    measure_row,
    select_expenses,
)
from models import Expense, TrashedExpense
from schemas import ExpenseCreate
from values.texts import make_name_key

Columns = dict[str, Any]
"""The columns of one expense by name, and `category`: the name of its category."""

_SELECT_BY_ID: Final = select_expenses(Expense, by_id=True)
_SELECT_LIVE: Final = select_expenses(Expense)
_SELECT_TRASHED: Final = select_expenses(TrashedExpense, TrashedExpense.deleted_at)
_SELECT_BY_REVISION: Final = (
    select(Expense.id).where(Expense.mine(), Expense.revision == bindparam("revision")).order_by(Expense.id)
)


@dataclass(slots=True)
class ExpensePlan:
    """The expenses as the planned changes leave them, and the rows to write."""

    ledger: Ledger
    rows: dict[int, Columns]
    """Live expenses by id."""
    by_external_id: dict[str, Columns]
    """Expenses by external id: live, new, or in the trash."""
    categories: dict[str, tuple[int, str]]
    """Id and stored name of each category, by the key of its name."""
    remaining_categories: int
    """How many more categories the account may have."""
    new_categories: dict[str, str] = field(default_factory=dict)
    """Name of each category to create, by the key of the name."""
    created: list[Columns] = field(default_factory=list)
    changed: dict[int, Columns] = field(default_factory=dict)
    deleted: list[int] = field(default_factory=list)

    @property
    def _planned_revision(self) -> int:
        # The ledger is locked, so no other transaction can take this revision.
        return self.ledger.revision + 1

    def create(self, data: ExpenseCreate) -> tuple[Columns, bool]:
        """Plan a new expense; return it and True, or the existing one with its `external_id` and False."""
        if data.external_id is not None and (existing := self.by_external_id.get(data.external_id)):
            # A new expense gets its id when it is written, so its row is returned itself instead of a copy.
            return (existing if existing["id"] is None else dict(existing)), False
        self.ledger.refuse_too_many(len(self.created) + 1 - len(self.deleted))
        row = build_new_columns(self.ledger, data) | {"id": None, "revision": self._planned_revision}
        row["category"] = self._find_category(data.category)
        count_texts(self.ledger, row)
        self.created.append(row)
        if data.external_id is not None:
            self.by_external_id[data.external_id] = row
        return row, True

    def change(self, row: Columns, sent: Mapping[str, Any]) -> Columns:
        """Plan to change the fields that were sent; return the changed row. If no value differs, nothing is planned."""
        values = build_columns(sent) | build_money_columns(row, sent)
        if "external_id" in sent:
            values["external_id"] = self._check_external_id(row, sent["external_id"])
        if "category" in sent:
            values["category"] = self._find_category(sent["category"])
        changed = {name: value for name, value in values.items() if name in row and value != row[name]}
        if changed:
            if "description" in changed:
                changed["description_key"] = values["description_key"]
            count_texts(self.ledger, row | changed, row)
            self._move_external_id(row, changed)
            changed |= {"revision": self._planned_revision, "updated_at": self.ledger.instant}
            self.changed[row["id"]] = changed
            row |= changed
        return dict(row)

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
        category_ids = await self._create_categories()
        for expense_id, changed in self.changed.items():
            values = _resolve_category(changed, category_ids)
            statement = update(Expense).where(Expense.mine(), Expense.id == expense_id).values(values)
            await self.ledger.execute_exactly(1, statement)
        if self.created:
            await self.ledger.insert_all(Expense, [_resolve_category(row, category_ids) for row in self.created])
            rows = await self.ledger.fetch_all(_SELECT_BY_REVISION, revision=revision)
            new_ids = [row.id for row in rows if row.id not in self.changed]
            for row, expense_id in zip(self.created, new_ids, strict=True):
                row["id"] = expense_id

    async def _create_categories(self) -> dict[str, int]:
        """Create the new categories; return the ids of these and of the loaded ones, by the key of their name."""
        new: dict[str, tuple[int, str]] = {}
        if self.new_categories:
            new = await categories.create_categories(self.ledger, list(self.new_categories.values()))
        return {key: category_id for key, (category_id, _) in (self.categories | new).items()}

    def _move_external_id(self, row: Columns, changed: Columns) -> None:
        if "external_id" in changed:
            self.by_external_id.pop(row["external_id"], None)
            if changed["external_id"] is not None:
                self.by_external_id[changed["external_id"]] = row

    def _find_category(self, name: str | None) -> str | None:
        """Return the stored name of the category; plan to create it if there is none."""
        if name is None:
            return None
        key = make_name_key(name)
        if key in self.categories:
            return self.categories[key][1]
        if key not in self.new_categories and len(self.new_categories) >= self.remaining_categories:
            raise categories.too_many_categories_problem("/category")
        return self.new_categories.setdefault(key, name)

    def _check_external_id(self, row: Columns, external_id: str | None) -> str | None:
        if external_id not in {None, row["external_id"]} and (existing := self.by_external_id.get(str(external_id))):
            raise external_id_taken_problem(existing["id"], is_deleted=existing.get("deleted_at") is not None)
        return external_id


async def load_plan(ledger: Ledger, ids: AbstractSet[int], bodies: Collection[Mapping[str, Any]]) -> ExpensePlan:
    """Load the live expenses with these ids, and the expenses and categories that the bodies name."""
    rows = await _load_by_id(ledger, ids)
    external_ids = {body["external_id"] for body in bodies if body.get("external_id") is not None}
    by_external_id = await _load_by_external_id(ledger, rows, external_ids)
    keys = {make_name_key(body["category"]) for body in bodies if body.get("category") is not None}
    existing = await categories.find_categories(ledger, keys)
    remaining = await categories.count_remaining(ledger) if keys - existing.keys() else 0
    return ExpensePlan(ledger, rows, by_external_id, existing, remaining)


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


def _resolve_category(columns: Columns, category_ids: Mapping[str, int]) -> Columns:
    """Return the columns to write: without the id, and with the id of the category instead of its name."""
    resolved = {name: value for name, value in columns.items() if name not in {"id", "category"}}
    if "category" in columns:
        name = columns["category"]
        resolved["category_id"] = None if name is None else category_ids[make_name_key(name)]
    return resolved
