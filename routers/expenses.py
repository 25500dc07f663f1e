"""Expenses: the entries of a ledger."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response
from starlette.convertors import StringConvertor, register_url_convertor

import crud
from api.dependencies import Condition, ConditionOfMany, Reader, Writer, unless_seen
from api.route import LedgerRoute, takes_long, takes_much
from ledger import categories
from ledger.expenses import bulk
from ledger.expenses.filters import BulkQuery, ExpenseQuery
from ledger.expenses.rows import ANOTHER_REVISION
from ledger.pages import next_link
from ledger.sync import batch
from ledger.sync.schemas import Batch, BatchResult, BulkChange, ExpenseChange
from problems import FilterRequired, NotFound, PreconditionFailed, TooMany, documented
from schemas import Expense, ExpenseCreate, ExpenseList, ExpenseReplace, ExpenseUpdate
from values.etags import ledger_tag, row_tag
from values.fields import RowId

TAKEN: Final = crud.taken(7)
REFUSED_TOGETHER: Final = [
    batch.refused_together([batch.moved(problem, f"/operations/{place}")])
    for place, problem in enumerate(
        [
            batch.no_such(),
            batch.moved(crud.taken(7), "/data"),
            PreconditionFailed(errors=[ANOTHER_REVISION]),
            batch.moved(categories.too_many("/category"), "/data"),
        ]
    )
]


class ExpenseId(StringConvertor):
    """What an expense's address may end in: whatever is no address of its own."""

    regex = "(?!(?:batch|restore|trash)$)[^/]+"


register_url_convertor("expense", ExpenseId())
EXPENSE: Final = "/{expense_id:expense}"

# The busiest first: routes are tried in order, and each try costs a fiftieth of reading an expense.
router = APIRouter(prefix="/expenses", tags=["expenses"], route_class=LedgerRoute)


@router.get(EXPENSE, summary="Read an expense", responses=documented([NotFound()]))
async def read_expense(ledger: Reader, request: Request, response: Response, expense_id: RowId) -> Expense:
    """Return one expense."""
    expense = await crud.read_expense(ledger, expense_id)
    unless_seen(request, response, row_tag(expense.revision))
    return expense


@router.get("", summary="List expenses", response_model_exclude_unset=True)
async def list_expenses(
    ledger: Reader, request: Request, response: Response, query: Annotated[ExpenseQuery, Query()]
) -> ExpenseList:
    """Return a page of your expenses, the newest first; `next_cursor` leads to the next page.

    All filters given must hold; a `category` that you do not have matches nothing.
    """
    asked = crud.page_of(ledger, query)
    is_of_today = query.depends_on_today and query.cursor is None
    unless_seen(request, response, ledger_tag(ledger.owner, ledger.today if is_of_today else None))
    page = await crud.list_expenses(ledger, asked)
    if page.next_cursor:
        response.headers["Link"] = next_link("/expenses", request.query_params, page.next_cursor)
    return page


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    summary="Record an expense",
    responses=documented([TooMany()])
    | {HTTPStatus.OK.value: {"model": Expense, "description": "An expense with this `external_id` is there already."}},
)
async def create_expense(ledger: Writer, response: Response, data: ExpenseCreate) -> Expense:
    """Record an expense; a negative amount is a refund, and a new category's name makes the category.

    With an `external_id` that is already there nothing changes and the answer is 200 with the expense as it stands,
    deleted or not: a script may send everything every night.
    """
    expense, is_new = await crud.create_expense(ledger, data)
    if expense.deleted_at is None:
        response.headers["Location"] = f"/expenses/{expense.id}"
    response.headers["ETag"] = row_tag(expense.revision)
    response.status_code = HTTPStatus.CREATED if is_new else HTTPStatus.OK
    return expense


@router.put(EXPENSE, summary="Replace an expense", responses=documented([NotFound(), TAKEN, TooMany()]))
async def replace_expense(
    ledger: Writer, response: Response, expense_id: RowId, whole: ExpenseReplace, condition: Condition
) -> Expense:
    """Replace the whole expense: what you leave out becomes null. What you read can be sent back."""
    expense = await crud.replace_expense(ledger, expense_id, whole, condition)
    response.headers["ETag"] = row_tag(expense.revision)
    return expense


@router.patch(EXPENSE, summary="Change an expense", responses=documented([NotFound(), TAKEN, TooMany()]))
async def change_expense(
    ledger: Writer, response: Response, expense_id: RowId, change: ExpenseUpdate, condition: Condition
) -> Expense:
    """Change the fields you send; leave the rest alone. What you read can be sent back."""
    expense = await crud.change_expense(ledger, expense_id, change, condition)
    response.headers["ETag"] = row_tag(expense.revision)
    return expense


@router.delete(
    EXPENSE,
    status_code=HTTPStatus.NO_CONTENT,
    summary="Delete an expense",
    responses=documented([NotFound()]),
)
async def delete_expense(ledger: Writer, expense_id: RowId, condition: Condition) -> None:
    """Move the expense to the trash, from where it can be restored for a while.

    Its `external_id` stays taken, so that a script that sends it again brings nothing back.
    """
    await crud.delete_expense(ledger, expense_id, condition)


@router.post(
    "/batch",
    summary="Change many expenses together",
    responses=documented(REFUSED_TOGETHER),
)
@takes_much
@takes_long
async def change_expenses_together(ledger: Writer, operations: Batch) -> BatchResult:
    """Do up to 1,000 operations one after the other: all of them, or none.

    Each sees what those before it did. A create whose `external_id` is there changes nothing and answers the expense
    as it stands (`existing`), which may be another than you sent, or deleted: see its `deleted_at`. Deleting what was
    deleted before is no error (`gone`). If any is refused, nothing happens, and the problem lists every refused one by
    pointers like `/operations/3/data/amount`; its status is the first one's. After a 412 ask `GET /changes`, look
    again at what you meant to do, and send it under another Idempotency-Key.
    """
    return await batch.run(ledger, operations)


@router.patch("", summary="Change all expenses that match", responses=documented([FilterRequired(), TooMany()]))
@takes_long
async def change_matching_expenses(
    ledger: Writer, query: Annotated[BulkQuery, Query()], change: ExpenseChange, condition: ConditionOfMany
) -> BulkChange:
    """Give all expenses that match another category or description; `dry_run=true` only counts them.

    At least one filter is needed. Expenses that have these values already stay as they are.
    """
    return await bulk.change_matching(ledger, query, change, condition)


@router.delete("", summary="Delete all expenses that match", responses=documented([FilterRequired()]))
@takes_long
async def delete_matching_expenses(
    ledger: Writer, query: Annotated[BulkQuery, Query()], condition: ConditionOfMany
) -> BulkChange:
    """Move all expenses that match to the trash; `dry_run=true` only counts them.

    At least one filter is needed. `POST /expenses/restore` with the `revision` answered here undoes it.
    """
    return await bulk.delete_matching(ledger, query, condition)
