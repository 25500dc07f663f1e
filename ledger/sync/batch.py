"""Batches: up to 1,000 operations on expenses, in order, all of them or none.

    1. load     the expenses, external ids, categories and tags that the operations name, and which of these expenses
                were deleted before: a few statements for every 250 operations
    2. check    each operation changes the rows of the plan in memory, so that the next one sees what it did;
                a Problem is collected, and the next operation is checked
    3. any problem?  -- yes --> one problem with the errors of the refused operations, the first 100 of them, and the
                                status of the first
    4. write    the plan, at one revision

The ledger is locked before the load, so nothing changes in between.
"""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from sqlalchemy import select

from infra.slices import iterate_in_slices
from ledger.categories.names import too_many_categories_problem
from ledger.core import Ledger
from ledger.editing import REVISION_CHANGED, Precondition, refuse_changed_row
from ledger.expenses.plan import ExpensePlan, load_plan
from ledger.expenses.references import Columns
from ledger.expenses.rows import build_expense_from_columns, external_id_taken_problem
from ledger.sync.schemas import (
    ENDED,
    Batch,
    BatchResult,
    CreateOperation,
    DeleteOperation,
    InvalidOperation,
    Operation,
    OperationResult,
    OperationStatus,
    UpdateOperation,
)
from models import Tombstone
from problems import NotFound, PreconditionFailed, Problem, TooMany, ValidationFailed
from schemas import ExpenseCreate
from values.field_errors import MAX_FIELD_ERRORS, field_error, translate_errors

MAX_ERRORS_PER_OPERATION: Final = 20
_SELECT_DELETED: Final = select(Tombstone.row_id).where(Tombstone.mine(), Tombstone.kind == "expense")
NOTHING_DONE_DETAIL: Final = "Nothing of the batch was done: correct or leave out the operations that `errors` names."


@dataclass(frozen=True, slots=True)
class _Result:
    """What an operation did: its status, and the expense as it left it."""

    status: OperationStatus
    row: Columns
    """The row of the plan, which has its id when it is written, and which later operations may change."""
    after: Columns


@dataclass(slots=True)
class _Run:
    """A batch while it is checked: the plan of what to write, and the result of each operation so far."""

    plan: ExpensePlan
    deleted_before: AbstractSet[int]
    """The ids that operations name and that were deleted before the batch."""
    existing: Literal["keep", "update"]
    """What becomes of an expense whose `external_id` a create has, unless the operation says it itself."""
    seen: set[int] = field(default_factory=set)
    """The ids that operations have changed."""
    seen_by_external_id: set[int] = field(default_factory=set)
    """Those of them that an operation has found by their `external_id`; another one may do so again."""
    results: list[_Result] = field(default_factory=list)

    def check(self, operation: Operation) -> None:
        """Plan one operation and keep its result, or raise a Problem with pointers into the operation."""
        if isinstance(operation, InvalidOperation):
            raise self._explain(operation)
        if isinstance(operation, CreateOperation):
            with _prefix_problem("/data"):
                self._create(operation)
            return
        self._refuse_repeated_id(operation.id)
        if isinstance(operation, UpdateOperation):
            self._update(operation)
        else:
            self._delete(operation)

    def _explain(self, operation: InvalidOperation) -> ValidationFailed:
        errors = translate_errors([{**it, "loc": ("body", *it["loc"])} for it in operation.list_errors()])
        in_data = [replace(it, location={"pointer": it.location["pointer"].removeprefix("/data")}) for it in errors]
        unfit = ExpenseCreate.list_unfit_amounts(operation.created, self.plan.ledger.owner.currency, in_data)
        errors += [replace(it, location={"pointer": f"/data{it.location['pointer']}"}) for it in unfit]
        return ValidationFailed(errors=errors[:MAX_ERRORS_PER_OPERATION])

    def _create(self, operation: CreateOperation) -> None:
        external_id = operation.data.external_id
        existing = None if external_id is None else self.plan.by_external_id.get(external_id)
        if existing is None:
            self._keep_result("created", self.plan.create(operation.data))
        elif (operation.existing or self.existing) == "keep" or existing.get("deleted_at") is not None:
            self._keep_result("existing", existing)
        else:
            self._note_found(existing["id"])
            is_changed = self.plan.change(existing, operation.data.dump_sent())
            self._keep_result("updated" if is_changed else "existing", existing)

    def _note_found(self, expense_id: int | None) -> None:
        """Refuse an expense that was changed by its id; several creates may change it by its `external_id`."""
        if expense_id is not None and expense_id not in self.seen_by_external_id:
            self._refuse_repeated_id(expense_id, "/external_id")
            self.seen_by_external_id.add(expense_id)

    def _update(self, operation: UpdateOperation) -> None:
        row = self._find_row(operation)
        with _prefix_problem("/data"):
            refuse_changed_row(row["revision"], Precondition(), operation.data.revision)
            self.plan.change(row, operation.data.dump_sent())
        self._keep_result("updated", row)

    def _delete(self, operation: DeleteOperation) -> None:
        if operation.id in self.deleted_before:
            self._keep_result("gone", {"id": operation.id})
            return
        row = self._find_row(operation)
        self.plan.delete(row)
        self._keep_result("deleted", row)

    def _keep_result(self, status: OperationStatus, row: Columns) -> None:
        self.results.append(_Result(status, row, dict(row)))

    def _find_row(self, operation: UpdateOperation | DeleteOperation) -> Columns:
        row = self.plan.rows.get(operation.id)
        if row is None:
            raise expense_not_found_problem(is_deleted=operation.id in self.deleted_before)
        refuse_changed_row(row["revision"], Precondition(), operation.revision)
        return row

    def _refuse_repeated_id(self, expense_id: int, pointer: str = "/id") -> None:
        if expense_id in self.seen:
            detail = "An expense may be changed only once in a batch: put all its changes into one operation."
            raise ValidationFailed(errors=[field_error(pointer, "not_allowed", detail)])
        self.seen.add(expense_id)


async def run_batch(ledger: Ledger, batch: Batch) -> BatchResult:
    """Do all operations, or raise one problem with the errors of the refused ones, and the status of the first."""
    run = await _load_run(ledger, batch)
    problems = await _check_all(run, batch.operations)
    if problems:
        raise combine_problems(problems)
    try:
        await run.plan.write()
    except TooMany as problem:
        # The payees and tag sets to create are counted for all operations together, so none of them is to blame.
        errors = [replace(it, location={"pointer": "/operations"}) for it in problem.errors]
        raise replace(problem, errors=errors) from None
    results = [_build_result(result) async for result in iterate_in_slices(run.results)]
    return BatchResult(revision=ledger.revision, results=results)


def combine_problems(problems: Sequence[Problem]) -> Problem:
    """Return one problem that lists the errors of several, with the status of the first."""
    errors = [error for problem in problems for error in problem.errors]
    return replace(problems[0], detail=NOTHING_DONE_DETAIL, errors=errors)


def prefix_pointers(problem: Problem, prefix: str) -> Problem:
    """Return a problem with a prefix before the pointer of each of its errors."""
    errors = problem.errors or [field_error("", "not_allowed", problem.detail)]
    return replace(
        problem,
        errors=[replace(error, location={"pointer": f"{prefix}{error.location['pointer']}"}) for error in errors],
    )


def list_example_problems() -> list[Problem]:
    """Return an example of each problem of a batch, for the OpenAPI document."""
    refused = [
        expense_not_found_problem(),
        prefix_pointers(external_id_taken_problem(7), "/data"),
        PreconditionFailed(errors=[REVISION_CHANGED]),
        prefix_pointers(too_many_categories_problem("/category"), "/data"),
    ]
    return [
        combine_problems([prefix_pointers(problem, f"/operations/{index}")]) for index, problem in enumerate(refused)
    ]


def expense_not_found_problem(*, is_deleted: bool = False) -> NotFound:
    """Return the problem of an operation on an expense that does not exist or is deleted."""
    detail = "This expense is deleted: restore it first." if is_deleted else "You have no such expense."
    return NotFound(errors=[field_error("/id", "not_found", detail)])


async def _check_all(run: _Run, operations: Sequence[Operation]) -> list[Problem]:
    """Check the operations in order and return the problems of those that are refused, until enough are known."""
    problems: list[Problem] = []
    errors = 0
    async for index, operation in iterate_in_slices(enumerate(operations)):
        try:
            run.check(operation)
        except Problem as problem:
            problems.append(prefix_pointers(problem, f"/operations/{index}"))
            errors += len(problems[-1].errors)
        if errors > MAX_FIELD_ERRORS:
            break
    return problems


@contextmanager
def _prefix_problem(prefix: str) -> Iterator[None]:
    try:
        yield
    except Problem as problem:
        raise prefix_pointers(problem, prefix) from None


async def _load_run(ledger: Ledger, batch: Batch) -> _Run:
    operations = batch.operations
    ids = {it.id for it in operations if isinstance(it, UpdateOperation | DeleteOperation)}
    bodies = [it.data.dump_sent() for it in operations if isinstance(it, CreateOperation | UpdateOperation)]
    plan = await load_plan(ledger, ids, bodies)
    return _Run(plan, await _load_deleted(ledger, ids - plan.rows.keys()), batch.existing or "keep")


async def _load_deleted(ledger: Ledger, ids: AbstractSet[int]) -> set[int]:
    """Return which of these ids are those of deleted expenses."""
    rows = await ledger.fetch_in(_SELECT_DELETED, Tombstone.row_id, ids)
    return {row.row_id for row in rows}


def _build_result(result: _Result) -> OperationResult:
    row_id = result.row["id"]
    expense = None if result.status in ENDED else build_expense_from_columns(result.after | {"id": row_id})
    return OperationResult(status=result.status, id=row_id, expense=expense)
