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

from crud import drafted, taken
from ledger import categories
from ledger.core import Ledger
from ledger.expenses import trash
from ledger.expenses.rows import answer_of, expense_columns, reading, refuse_moved_on
from ledger.sync.schemas import (
    Batch,
    BatchResult,
    CreateOperation,
    DeleteOperation,
    Operation,
    OperationResult,
    RefusedOperation,
    UpdateOperation,
)
from models import Expense, Tombstone, TrashedExpense
from problems import NotFound, Problem, ValidationFailed
from schemas import ExpenseCreate, ExpenseUpdate
from values.etags import Precondition
from values.field_errors import at, entries
from values.texts import name_key

Row = dict[str, Any]
Status = Literal["created", "existing", "updated", "deleted", "gone"]

_MINE: Final = Expense.owner_id == bindparam("owner")
_LIVE: Final = reading(Expense, Expense.category_id, Expense.description_key)
_TRASHED: Final = reading(TrashedExpense, TrashedExpense.deleted_at)
_OF_REVISION: Final = select(Expense.id).where(_MINE, Expense.revision == bindparam("revision")).order_by(Expense.id)
MOST_ENTRIES_OF_ONE: Final = 20
NOTHING_DONE: Final = "None of the batch was done: mend or leave out the operations that `errors` names."


@dataclass(slots=True)
class Draft:
    """The ledger on paper, as the operations up to now leave it, and what is to be written in the end."""

    ledger: Ledger
    rows: dict[int, Row]
    """Live expenses by id."""
    holders: dict[str, Row]
    """Expenses by external id: live, new, or in the trash."""
    gone: AbstractSet[int]
    """What was deleted before."""
    names: dict[str, tuple[int, str]]
    """Categories by the key of their name: id and spelling."""
    room: int
    """How many categories more there may be."""
    new_names: dict[str, str] = field(default_factory=dict)
    """Categories to make: their spelling by the key of their name."""
    created: list[Row] = field(default_factory=list)
    changed: dict[int, Row] = field(default_factory=dict)
    deleted: list[int] = field(default_factory=list)
    results: list[tuple[Status, Row]] = field(default_factory=list)

    @property
    def _coming(self) -> int:
        # Under the lock nobody else takes a revision: the one that this transaction will is known already.
        return self.ledger.revision + 1

    def play(self, operation: Operation) -> None:
        """Do one operation on paper, or raise a Problem with pointers into it."""
        if isinstance(operation, CreateOperation):
            with _inside("/data"):
                self._create(operation.data)
        elif isinstance(operation, UpdateOperation):
            row = self._row(operation)
            with _inside("/data"):
                self._update(row, operation.data)
        else:
            self._delete(operation)

    def _create(self, data: ExpenseCreate) -> None:
        if data.external_id is not None and (holder := self.holders.get(data.external_id)):
            # One that is new has its id only once it is written; no other operation can change it.
            self.results.append(("existing", holder if holder["id"] is None else dict(holder)))
            return
        self.ledger.refuse_overfull(len(self.created) + 1 - len(self.deleted))
        row = drafted(self.ledger, data) | {"id": None, "revision": self._coming}
        row["category"] = self._named(data.category)
        self.created.append(row)
        self.results.append(("created", row))
        if data.external_id is not None:
            self.holders[data.external_id] = row

    def _update(self, row: Row, data: ExpenseUpdate) -> None:
        refuse_moved_on(row["revision"], Precondition(), data.revision)
        fields = data.given()
        values = expense_columns(row, fields)
        if "external_id" in fields:
            values["external_id"] = self._free(row, fields["external_id"])
        if "category" in fields:
            values["category"] = self._named(fields["category"])
        changed = {name: value for name, value in values.items() if value != row[name]}
        if changed:
            self._move(row, changed)
            changed |= {"revision": self._coming, "updated_at": self.ledger.instant}
            self.changed[row["id"]] = changed
            row |= changed
        self.results.append(("updated", dict(row)))

    def _move(self, row: Row, changed: Row) -> None:
        if "external_id" in changed:
            self.holders.pop(row["external_id"], None)
            if changed["external_id"] is not None:
                self.holders[changed["external_id"]] = row

    def _delete(self, operation: DeleteOperation) -> None:
        if operation.id in self.gone:
            self.results.append(("gone", {"id": operation.id}))
            return
        row = self._row(operation)
        row |= {"revision": self._coming, "deleted_at": self.ledger.instant}
        self.deleted.append(operation.id)
        self.results.append(("deleted", {"id": operation.id}))

    def _row(self, operation: UpdateOperation | DeleteOperation) -> Row:
        row = self.rows.get(operation.id)
        if row is None:
            raise no_such(is_deleted=operation.id in self.gone)
        refuse_moved_on(row["revision"], Precondition(), operation.revision)
        return row

    def _named(self, name: str | None) -> str | None:
        """Return how the category of this name is spelt; a new one is made in the end."""
        if name is None:
            return None
        key = name_key(name)
        if key in self.names:
            return self.names[key][1]
        if key not in self.new_names and len(self.new_names) >= self.room:
            raise categories.too_many("/category")
        return self.new_names.setdefault(key, name)

    def _free(self, row: Row, wanted: str | None) -> str | None:
        if wanted not in {None, row["external_id"]} and (holder := self.holders.get(str(wanted))):
            raise taken(holder["id"], is_deleted=holder.get("deleted_at") is not None)
        return wanted


async def run(ledger: Ledger, batch: Batch) -> BatchResult:
    """Do all operations, or raise one problem that lists every refused one, with the status of the first."""
    draft = await _read(ledger, batch.operations)
    refused = _play(draft, batch.operations)
    if refused:
        raise refused_together(refused)
    await _write(ledger, draft)
    return BatchResult(revision=ledger.revision, results=[_result(status, row) for status, row in draft.results])


def refused_together(refused: Sequence[Problem]) -> Problem:
    """Return the one problem that many are: it lists all of them, and has the status of the first."""
    return replace(refused[0], detail=NOTHING_DONE, errors=[entry for problem in refused for entry in problem.errors])


def moved(problem: Problem, place: str) -> Problem:
    """Return a problem whose pointers begin a level further up, at `place`."""
    told = problem.errors or [at("", "not_allowed", problem.detail)]
    return replace(problem, errors=[replace(it, place={"pointer": f"{place}{it.place['pointer']}"}) for it in told])


def no_such(*, is_deleted: bool = False) -> NotFound:
    """Return the refusal of an operation on an expense that is not there."""
    detail = "This expense is deleted: restore it first." if is_deleted else "You have no such expense."
    return NotFound(errors=[at("/id", "not_found", detail)])


def _play(draft: Draft, operations: Sequence[Operation]) -> list[Problem]:
    """Play the operations through and return the problems of those that were refused."""
    refused: list[Problem] = []
    seen: set[int] = set()
    for place, operation in enumerate(operations):
        try:
            with _inside(f"/operations/{place}"):
                if isinstance(operation, RefusedOperation):
                    told = operation.errors[:MOST_ENTRIES_OF_ONE]
                    raise ValidationFailed(errors=entries([{**it, "loc": ("body", *it["loc"])} for it in told]))
                _refuse_twice(operation, seen)
                draft.play(operation)
        except Problem as problem:
            refused.append(problem)
    return refused


def _refuse_twice(operation: Operation, seen: set[int]) -> None:
    if isinstance(operation, CreateOperation):
        return
    if operation.id in seen:
        detail = "An id may occur once in a batch: put all that you do to it into one operation."
        raise ValidationFailed(errors=[at("/id", "not_allowed", detail)])
    seen.add(operation.id)


@contextmanager
def _inside(place: str) -> Iterator[None]:
    """Let what is refused point into the body from one level further up."""
    try:
        yield
    except Problem as problem:
        raise moved(problem, place) from None


async def _read(ledger: Ledger, operations: Sequence[Operation]) -> Draft:
    """Read what the operations are about."""
    changing = [it for it in operations if isinstance(it, UpdateOperation | DeleteOperation)]
    telling = [it.data for it in operations if isinstance(it, CreateOperation | UpdateOperation)]
    rows = await _by_id(ledger, {it.id for it in changing})
    missing = {it.id for it in changing} - rows.keys()
    holders = await _by_external_id(ledger, rows, {it.external_id for it in telling if it.external_id is not None})
    keys = {name_key(it.category) for it in telling if it.category is not None}
    names = await categories.named(ledger, keys)
    room = await categories.room(ledger) if keys - names.keys() else 0
    return Draft(ledger, rows, holders, await _buried(ledger, missing), names, room)


async def _by_id(ledger: Ledger, ids: AbstractSet[int]) -> dict[int, Row]:
    found = await ledger.rows(_LIVE.where(Expense.id.in_(ids))) if ids else []
    return {row.id: row._asdict() for row in found}


async def _by_external_id(ledger: Ledger, rows: Mapping[int, Row], external_ids: AbstractSet[str]) -> dict[str, Row]:
    """Return who has these external ids, and those of the rows that may change theirs; a row is one wherever it is."""
    holders = {row["external_id"]: row for row in rows.values() if row["external_id"] is not None}
    for statement, table in ((_LIVE, Expense), (_TRASHED, TrashedExpense)):
        wanted = external_ids - holders.keys()
        found = await ledger.rows(statement.where(table.external_id.in_(wanted))) if wanted else []
        holders |= {row.external_id: row._asdict() for row in found}
    dead = [it for it in holders.values() if it.get("deleted_at", ledger.instant) < ledger.kept_since]
    expired = {it["id"] for it in dead}
    if expired:
        await trash.drop(ledger, expired)
    return {name: it for name, it in holders.items() if it["id"] not in expired}


async def _buried(ledger: Ledger, ids: AbstractSet[int]) -> set[int]:
    if not ids:
        return set()
    mine = Tombstone.owner_id == bindparam("owner"), Tombstone.kind == "expense", Tombstone.row_id.in_(ids)
    return {row[0] for row in await ledger.rows(select(Tombstone.row_id).where(*mine))}


async def _write(ledger: Ledger, draft: Draft) -> None:
    if draft.deleted:
        await trash.discard(ledger, len(draft.deleted), Expense.id.in_(draft.deleted))
    if not (draft.created or draft.changed):
        return
    revision = await ledger.next_revision(expenses=len(draft.created))
    made = await categories.make(ledger, list(draft.new_names.values())) if draft.new_names else {}
    ids = {key: category_id for key, (category_id, _) in (draft.names | made).items()}
    for expense_id, changed in draft.changed.items():
        await ledger.execute(update(Expense).where(_MINE, Expense.id == expense_id).values(_columns(changed, ids)))
    if draft.created:
        await ledger.insert_all(Expense, [_columns(row, ids) for row in draft.created])
        bearing = await ledger.rows(_OF_REVISION, revision=revision)
        new_ids = [row[0] for row in bearing if row[0] not in draft.changed]
        for row, expense_id in zip(draft.created, new_ids, strict=True):
            row["id"] = expense_id


def _columns(values: Row, category_ids: Mapping[str, int]) -> Row:
    columns = {name: value for name, value in values.items() if name not in {"id", "category"}}
    if "category" in values:
        name = values["category"]
        columns["category_id"] = None if name is None else category_ids[name_key(name)]
    return columns


def _result(status: Status, row: Row) -> OperationResult:
    is_over = status in {"deleted", "gone"}
    return OperationResult(status=status, id=row["id"], expense=None if is_over else answer_of(row))
