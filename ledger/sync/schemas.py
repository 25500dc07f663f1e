"""Schemas of batches and of the change feed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError, WrapValidator

from infra.slices import iterate_in_slices
from ledger.budgets.schemas import Budget
from ledger.tags.schemas import Tag
from schemas import Category, Expense, ExpenseCreate, ExpenseUpdate
from values.fields import (
    LARGEST_ID,
    CursorText,
    Omittable,
    RevisionNumber,
    WholeNumber,
    parse_whole_number,
)
from values.shapes import RequestModel, ResponseModel, WithManyItems, with_example

MAX_OPERATIONS: Final = 1_000

# --- Many changes at once ---------------------------------------------------------------------------------------------


ExpenseIdField = Annotated[int, Field(ge=1, le=LARGEST_ID, description="The expense's `id`.")]
ExpectedRevision = Annotated[int, Field(description="If sent, it must equal the expense's, else 412.")]


ExistingPolicy = Annotated[
    Literal["keep", "update"],
    Field(
        description="What becomes of an expense that has the `external_id` of a create: `keep` (the default) leaves it "
        "as it is; `update` gives it the fields that are sent, and leaves the others. One in the trash stays deleted."
    ),
]


class CreateOperation(RequestModel):
    """Record an expense, as `POST /expenses` does."""

    op: Literal["create"]
    existing: Omittable[ExistingPolicy] = None
    data: ExpenseCreate

    model_config = with_example(op="create", data={"amount": "12.50", "category": "Groceries"})


class UpdateOperation(RequestModel):
    """Change the fields that are sent, as `PATCH /expenses/{id}` does."""

    op: Literal["update"]
    id: ExpenseIdField
    revision: Omittable[ExpectedRevision] = None
    data: ExpenseUpdate

    model_config = with_example(op="update", id=7, revision=31, data={"amount": "13.00"})


class DeleteOperation(RequestModel):
    """Move an expense to the trash, as `DELETE /expenses/{id}` does."""

    op: Literal["delete"]
    id: ExpenseIdField
    revision: Omittable[ExpectedRevision] = None

    model_config = with_example(op="delete", id=9, revision=12)


@dataclass(frozen=True, slots=True)
class InvalidOperation:
    """An invalid operation, kept so that its errors are reported together with those of the others."""

    error: ValidationError
    created: object = None
    """The expense that it was to create, as it was sent."""

    def list_errors(self) -> list[Mapping[str, Any]]:
        """Return the errors; building them takes time, so it is done only for those that are reported."""
        return [_correct_location(it) for it in self.error.errors(include_url=False)]


def _defer_errors(value: object, validate: Callable[[object], Any]) -> Any:  # noqa: ANN401
    if isinstance(value, InvalidOperation):
        return value
    try:
        return validate(value)
    except ValidationError as error:
        created = value.get("data") if isinstance(value, dict) and value.get("op") == "create" else None
        # Without the traceback, whose frames refer to all operations and would keep them until garbage is collected.
        return InvalidOperation(error.with_traceback(None), created)


def _correct_location(error: Mapping[str, Any]) -> Mapping[str, Any]:
    # If `op` is unknown, pydantic reports the whole object; otherwise it puts the name of the operation before `loc`.
    if error["type"].startswith("union_tag"):
        return {**error, "loc": ("op",), "input": error["input"].get("op")}
    return {**error, "loc": error["loc"][1:]}


Operation = Annotated[
    CreateOperation | UpdateOperation | DeleteOperation, Field(discriminator="op"), WrapValidator(_defer_errors)
]


_OPERATION: Final = TypeAdapter[Any](Operation)


class Batch(WithManyItems):
    """Operations that are done in order, all or none."""

    operations: Annotated[list[Operation], Field(min_length=1, max_length=MAX_OPERATIONS)] = Field(
        description="Each sees the effects of those before it. An expense may be changed by one of them; only creates "
        "with the same `external_id` may change it several times."
    )
    existing: Omittable[ExistingPolicy] = Field(
        default=None, description="`existing` of all operations that do not have it."
    )

    model_config = with_example(
        operations=[
            {"op": "create", "data": {"amount": "12.50", "category": "Groceries"}},
            {"op": "create", "data": {"amount": "3.20", "category": "Coffee"}},
        ]
    )

    @classmethod
    async def parse_items(cls, body: object) -> object:
        """Return the JSON of a batch with its operations validated; one too many is enough to refuse them."""
        operations = body.get("operations") if isinstance(body, dict) else None
        if not isinstance(body, dict) or not isinstance(operations, list):
            return body
        some = islice(operations, MAX_OPERATIONS + 1)
        return {**body, "operations": [it async for it in iterate_in_slices(map(_OPERATION.validate_python, some))]}


OperationStatus = Literal["created", "existing", "updated", "deleted", "gone"]
ENDED: Final = frozenset[OperationStatus]({"deleted", "gone"})
"""The results of operations after which there is no expense."""


class OperationResult(ResponseModel):
    """The result of an operation.

    `existing`: an expense has this `external_id`, and was not changed; `gone`: it was deleted before.
    """

    status: OperationStatus
    id: int
    expense: Expense | None = Field(
        description="The expense after the operation; null if `deleted` or `gone`. In the replay of an answer of more "
        "than 16 KiB: the expense as it is now, null if it is no longer in the ledger or its trash."
    )


class BatchResult(ResponseModel):
    """The results of a batch, in the order of its operations."""

    revision: int = Field(
        description="The ledger's revision, which all expenses changed by the batch have now. Do not use it as `since` "
        "of `GET /changes`: other changes may have been committed before."
    )
    results: list[OperationResult]

    model_config = with_example(
        revision=32,
        results=[
            {
                "status": "created",
                "id": 10,
                "expense": {
                    "id": 10,
                    "amount": "12.50",
                    "currency": "EUR",
                    "date": "2026-11-22",
                    "category": "Groceries",
                    "payee": None,
                    "description": None,
                    "tags": [],
                    "external_id": None,
                    "import_id": None,
                    "revision": 32,
                    "created_at": "2026-11-22T13:23:00Z",
                    "updated_at": "2026-11-22T13:23:00Z",
                    "deleted_at": None,
                },
            },
            {"status": "deleted", "id": 9, "expense": None},
        ],
    )


# --- The feed ---------------------------------------------------------------------------------------------------------


SinceRevision = Annotated[int, Field(ge=0, le=LARGEST_ID), BeforeValidator(parse_whole_number)]


class ChangesQuery(RequestModel):
    """The position in the feed and the size of a page."""

    since: Omittable[SinceRevision] = Field(
        default=None, description="The `revision` of your copy; 0 (the default) for everything."
    )
    limit: WholeNumber = Field(
        default=500, ge=1, le=1000, description="Number of rows in a page, of all kinds together: 1 to 1,000."
    )
    cursor: Omittable[CursorText] = Field(
        default=None, description="The `next_cursor` of the previous page; send the same `since`."
    )


class Deleted(ResponseModel):
    """A deleted row."""

    kind: Literal["expense", "category", "tag", "budget"]
    id: int
    revision: RevisionNumber


class Changes(ResponseModel):
    """The changes of a ledger: put these rows into your copy, remove the deleted ones, and store `revision`."""

    revision: int = Field(description="Once `next_cursor` is null, the `since` of your next call.")
    next_cursor: str | None
    expenses: list[Expense]
    categories: list[Category]
    tags: list[Tag]
    budgets: list[Budget]
    deleted: list[Deleted]

    model_config = with_example(
        revision=32,
        next_cursor=None,
        expenses=[],
        categories=[],
        tags=[],
        budgets=[],
        deleted=[{"kind": "expense", "id": 9, "revision": 32}],
    )
