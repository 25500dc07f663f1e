"""Batches: up to a thousand operations on expenses, one after the other, all of them or none.

What they are about is read first, in a few statements however many they are; then they are played through on paper;
only if none is refused it is written, again in a few statements, and one for each expense that is changed.
"""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from sqlalchemy import bindparam, select, update

from ledger import categories
from ledger.core import Ledger
from ledger.editing import Precondition, refuse_changed_row
from ledger.expenses import trash
from ledger.expenses.rows import (
    build_expense_columns,
    build_expense_from_columns,
    build_new_columns,
    external_id_taken_problem,
    select_expenses,
)
from ledger.sync.schemas import (
    Batch,
    BatchResult,
    CreateOperation,
    DeleteOperation,
    InvalidOperation,
    Operation,
    OperationResult,
    UpdateOperation,
)
from models import Expense, Tombstone, TrashedExpense
from problems import NotFound, Problem, ValidationFailed
from schemas import ExpenseCreate, ExpenseUpdate
from values.field_errors import field_error, translate_errors
from values.texts import make_name_key

ExpenseColumnsDict = dict[str, Any]
OperationStatus = Literal["created", "existing", "updated", "deleted", "gone"]

_MINE: Final = Expense.owner_id == bindparam("owner")
_SELECT_LIVE: Final = select_expenses(Expense, Expense.category_id, Expense.description_key)
_SELECT_TRASHED: Final = select_expenses(TrashedExpense, TrashedExpense.deleted_at)
_SELECT_BY_REVISION: Final = (
    select(Expense.id).where(_MINE, Expense.revision == bindparam("revision")).order_by(Expense.id)
)
MAX_ERRORS_PER_OPERATION: Final = 20
NOTHING_DONE_DETAIL: Final = "None of the batch was done: mend or leave out the operations that `errors` names."


@dataclass(slots=True)
class BatchPlan:
    """The ledger on paper, as the operations up to now leave it, and what is to be written in the end."""

    ledger: Ledger
    rows: dict[int, ExpenseColumnsDict]
    """Live expenses by id."""
    by_external_id: dict[str, ExpenseColumnsDict]
    """Expenses by external id: live, new, or in the trash."""
    deleted_before: AbstractSet[int]
    """What was deleted before."""
    categories: dict[str, tuple[int, str]]
    """Categories by the key of their name: id and spelling."""
    remaining_categories: int
    """How many categories more there may be."""
    new_names: dict[str, str] = field(default_factory=dict)
    """Categories to make: their spelling by the key of their name."""
    created: list[ExpenseColumnsDict] = field(default_factory=list)
    changed: dict[int, ExpenseColumnsDict] = field(default_factory=dict)
    deleted: list[int] = field(default_factory=list)
    results: list[tuple[OperationStatus, ExpenseColumnsDict]] = field(default_factory=list)

    @property
    def _planned_revision(self) -> int:
        # Under the lock nobody else takes a revision: the one that this transaction will is known already.
        return self.ledger.revision + 1

    def apply(self, operation: Operation) -> None:
        """Do one operation on paper, or raise a Problem with pointers into it."""
        if isinstance(operation, CreateOperation):
            with _prefix_problem("/data"):
                self._create(operation.data)
        elif isinstance(operation, UpdateOperation):
            row = self._find_row(operation)
            with _prefix_problem("/data"):
                self._update(row, operation.data)
        else:
            self._delete(operation)

    def _create(self, data: ExpenseCreate) -> None:
        if data.external_id is not None and (holder := self.by_external_id.get(data.external_id)):
            # One that is new has its id only once it is written; no other operation can change it.
            self.results.append(("existing", holder if holder["id"] is None else dict(holder)))
            return
        self.ledger.refuse_too_many(len(self.created) + 1 - len(self.deleted))
        row = build_new_columns(self.ledger, data) | {"id": None, "revision": self._planned_revision}
        row["category"] = self._find_category(data.category)
        self.created.append(row)
        self.results.append(("created", row))
        if data.external_id is not None:
            self.by_external_id[data.external_id] = row

    def _update(self, row: ExpenseColumnsDict, data: ExpenseUpdate) -> None:
        refuse_changed_row(row["revision"], Precondition(), data.revision)
        fields = data.dump_sent()
        values = build_expense_columns(row, fields)
        if "external_id" in fields:
            values["external_id"] = self._check_external_id(row, fields["external_id"])
        if "category" in fields:
            values["category"] = self._find_category(fields["category"])
        changed = {name: value for name, value in values.items() if value != row[name]}
        if changed:
            self._move_external_id(row, changed)
            changed |= {"revision": self._planned_revision, "updated_at": self.ledger.instant}
            self.changed[row["id"]] = changed
            row |= changed
        self.results.append(("updated", dict(row)))

    def _move_external_id(self, row: ExpenseColumnsDict, changed: ExpenseColumnsDict) -> None:
        if "external_id" in changed:
            self.by_external_id.pop(row["external_id"], None)
            if changed["external_id"] is not None:
                self.by_external_id[changed["external_id"]] = row

    def _delete(self, operation: DeleteOperation) -> None:
        if operation.id in self.deleted_before:
            self.results.append(("gone", {"id": operation.id}))
            return
        row = self._find_row(operation)
        row |= {"revision": self._planned_revision, "deleted_at": self.ledger.instant}
        self.deleted.append(operation.id)
        self.results.append(("deleted", {"id": operation.id}))

    def _find_row(self, operation: UpdateOperation | DeleteOperation) -> ExpenseColumnsDict:
        row = self.rows.get(operation.id)
        if row is None:
            raise expense_not_found_problem(is_deleted=operation.id in self.deleted_before)
        refuse_changed_row(row["revision"], Precondition(), operation.revision)
        return row

    def _find_category(self, name: str | None) -> str | None:
        """Return how the category of this name is spelt; a new one is made in the end."""
        if name is None:
            return None
        key = make_name_key(name)
        if key in self.categories:
            return self.categories[key][1]
        if key not in self.new_names and len(self.new_names) >= self.remaining_categories:
            raise categories.too_many_categories_problem("/category")
        return self.new_names.setdefault(key, name)

    def _check_external_id(self, row: ExpenseColumnsDict, wanted: str | None) -> str | None:
        if wanted not in {None, row["external_id"]} and (holder := self.by_external_id.get(str(wanted))):
            raise external_id_taken_problem(holder["id"], is_deleted=holder.get("deleted_at") is not None)
        return wanted


async def run_batch(ledger: Ledger, batch: Batch) -> BatchResult:
    """Do all operations, or raise one problem that lists every refused one, with the status of the first."""
    draft = await _load_plan(ledger, batch.operations)
    refused = _apply_all(draft, batch.operations)
    if refused:
        raise combine_problems(refused)
    await _write(ledger, draft)
    return BatchResult(revision=ledger.revision, results=[_build_result(status, row) for status, row in draft.results])


def combine_problems(refused: Sequence[Problem]) -> Problem:
    """Return the one problem that many are: it lists all of them, and has the status of the first."""
    return replace(
        refused[0], detail=NOTHING_DONE_DETAIL, errors=[entry for problem in refused for entry in problem.errors]
    )


def prefix_pointers(problem: Problem, place: str) -> Problem:
    """Return a problem whose pointers begin a level further up, at `place`."""
    told = problem.errors or [field_error("", "not_allowed", problem.detail)]
    return replace(
        problem, errors=[replace(it, location={"pointer": f"{place}{it.location['pointer']}"}) for it in told]
    )


def expense_not_found_problem(*, is_deleted: bool = False) -> NotFound:
    """Return the refusal of an operation on an expense that is not there."""
    detail = "This expense is deleted: restore it first." if is_deleted else "You have no such expense."
    return NotFound(errors=[field_error("/id", "not_found", detail)])


def _apply_all(draft: BatchPlan, operations: Sequence[Operation]) -> list[Problem]:
    """Play the operations through and return the problems of those that were refused."""
    refused: list[Problem] = []
    seen: set[int] = set()
    for place, operation in enumerate(operations):
        try:
            with _prefix_problem(f"/operations/{place}"):
                if isinstance(operation, InvalidOperation):
                    told = operation.errors[:MAX_ERRORS_PER_OPERATION]
                    raise ValidationFailed(
                        errors=translate_errors([{**it, "loc": ("body", *it["loc"])} for it in told])
                    )
                _refuse_twice(operation, seen)
                draft.apply(operation)
        except Problem as problem:
            refused.append(problem)
    return refused


def _refuse_twice(operation: Operation, seen: set[int]) -> None:
    if isinstance(operation, CreateOperation):
        return
    if operation.id in seen:
        detail = "An id may occur once in a batch: put all that you do to it into one operation."
        raise ValidationFailed(errors=[field_error("/id", "not_allowed", detail)])
    seen.add(operation.id)


@contextmanager
def _prefix_problem(place: str) -> Iterator[None]:
    """Let what is refused point into the body from one level further up."""
    try:
        yield
    except Problem as problem:
        raise prefix_pointers(problem, place) from None


async def _load_plan(ledger: Ledger, operations: Sequence[Operation]) -> BatchPlan:
    """Read what the operations are about."""
    changing = [it for it in operations if isinstance(it, UpdateOperation | DeleteOperation)]
    telling = [it.data for it in operations if isinstance(it, CreateOperation | UpdateOperation)]
    rows = await _load_by_id(ledger, {it.id for it in changing})
    missing = {it.id for it in changing} - rows.keys()
    holders = await _load_by_external_id(ledger, rows, {it.external_id for it in telling if it.external_id is not None})
    keys = {make_name_key(it.category) for it in telling if it.category is not None}
    names = await categories.find_categories(ledger, keys)
    room = await categories.count_remaining(ledger) if keys - names.keys() else 0
    return BatchPlan(ledger, rows, holders, await _load_tombstones(ledger, missing), names, room)


async def _load_by_id(ledger: Ledger, ids: AbstractSet[int]) -> dict[int, ExpenseColumnsDict]:
    found = await ledger.fetch_all(_SELECT_LIVE.where(Expense.id.in_(ids))) if ids else []
    return {row.id: row._asdict() for row in found}


async def _load_by_external_id(
    ledger: Ledger, rows: Mapping[int, ExpenseColumnsDict], external_ids: AbstractSet[str]
) -> dict[str, ExpenseColumnsDict]:
    """Return who has these external ids, and those of the rows that may change theirs; a row is one wherever it is."""
    holders = {row["external_id"]: row for row in rows.values() if row["external_id"] is not None}
    for statement, table in ((_SELECT_LIVE, Expense), (_SELECT_TRASHED, TrashedExpense)):
        wanted = external_ids - holders.keys()
        found = await ledger.fetch_all(statement.where(table.external_id.in_(wanted))) if wanted else []
        holders |= {row.external_id: row._asdict() for row in found}
    dead = [it for it in holders.values() if it.get("deleted_at", ledger.instant) < ledger.trash_start]
    expired = {it["id"] for it in dead}
    if expired:
        await trash.delete_expired(ledger, expired)
    return {name: it for name, it in holders.items() if it["id"] not in expired}


async def _load_tombstones(ledger: Ledger, ids: AbstractSet[int]) -> set[int]:
    if not ids:
        return set()
    mine = Tombstone.owner_id == bindparam("owner"), Tombstone.kind == "expense", Tombstone.row_id.in_(ids)
    return {row[0] for row in await ledger.fetch_all(select(Tombstone.row_id).where(*mine))}


async def _write(ledger: Ledger, draft: BatchPlan) -> None:
    if draft.deleted:
        await trash.move_to_trash(ledger, len(draft.deleted), Expense.id.in_(draft.deleted))
    if not (draft.created or draft.changed):
        return
    revision = await ledger.take_revision(expenses=len(draft.created))
    made = await categories.create_categories(ledger, list(draft.new_names.values())) if draft.new_names else {}
    ids = {key: category_id for key, (category_id, _) in (draft.categories | made).items()}
    for expense_id, changed in draft.changed.items():
        await ledger.execute(
            update(Expense).where(_MINE, Expense.id == expense_id).values(_build_columns(changed, ids))
        )
    if draft.created:
        await ledger.insert_all(Expense, [_build_columns(row, ids) for row in draft.created])
        bearing = await ledger.fetch_all(_SELECT_BY_REVISION, revision=revision)
        new_ids = [row[0] for row in bearing if row[0] not in draft.changed]
        for row, expense_id in zip(draft.created, new_ids, strict=True):
            row["id"] = expense_id


def _build_columns(values: ExpenseColumnsDict, category_ids: Mapping[str, int]) -> ExpenseColumnsDict:
    columns = {name: value for name, value in values.items() if name not in {"id", "category"}}
    if "category" in values:
        name = values["category"]
        columns["category_id"] = None if name is None else category_ids[make_name_key(name)]
    return columns


def _build_result(status: OperationStatus, row: ExpenseColumnsDict) -> OperationResult:
    is_over = status in {"deleted", "gone"}
    return OperationResult(status=status, id=row["id"], expense=None if is_over else build_expense_from_columns(row))
