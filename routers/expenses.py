"""Expenses: one at a time, in a batch, and all that match a filter."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response

import crud
from api.body_sizes import MAX_BATCH_BYTES
from api.dependencies import (
    EXPENSE_ID,
    BulkEditor,
    BulkPreconditionDep,
    BulkWriter,
    PreconditionDep,
    Reader,
    RowId,
    Writer,
)
from api.headers import answer_304_if_current, link_next_page, write_ledger_etag
from api.problem_json import document_problems
from api.route import LedgerRoute
from ledger.expenses import bulk, pages, rows
from ledger.expenses.filters import BulkQuery, ExpenseQuery
from ledger.expenses.schemas import BulkChange, ExpenseChange
from ledger.sync import batch
from ledger.sync.schemas import Batch, BatchResult
from problems import FilterRequired, NotFound, TooMany
from schemas import Expense, ExpenseCreate, ExpenseList, ExpenseReplace, ExpenseUpdate
from values.etags import write_row_etag

EXTERNAL_ID_TAKEN: Final = rows.external_id_taken_problem(7)
EXPENSE_PATH: Final = f"/{{expense_id:{EXPENSE_ID}}}"

# The most frequently used route first: routes are tried in order, and each try costs a fiftieth of reading an expense.
router = APIRouter(prefix="/expenses", tags=["expenses"], route_class=LedgerRoute)
bulk_router = APIRouter(prefix="/expenses", tags=["bulk"], route_class=LedgerRoute)


@router.get(EXPENSE_PATH, summary="Read an expense", responses=document_problems([NotFound()]))
async def read_expense(ledger: Reader, request: Request, response: Response, expense_id: RowId) -> Expense:
    """Return one expense."""
    expense = await crud.read_expense(ledger, expense_id)
    answer_304_if_current(request, response, write_row_etag(expense.revision))
    return expense


@router.get("", summary="List expenses", response_model_exclude_unset=True)
async def list_expenses(
    ledger: Reader, request: Request, response: Response, query: Annotated[ExpenseQuery, Query()]
) -> ExpenseList:
    """Return a page of your expenses, the newest first; `next_cursor` leads to the next page.

    An expense must match all filters; a `category`, `payee` or `tag` that you do not have matches nothing.
    """
    page_request = pages.build_page_request(ledger, query)
    is_of_today = query.depends_on_today and query.cursor is None
    answer_304_if_current(request, response, write_ledger_etag(ledger.owner, ledger.today if is_of_today else None))
    page = await crud.list_expenses(ledger, page_request)
    link_next_page(response, "/expenses", request.query_params, page.next_cursor)
    return page


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    summary="Record an expense",
    responses=document_problems([TooMany()])
    | {HTTPStatus.OK.value: {"model": Expense, "description": "An expense with this `external_id` exists already."}},
)
async def create_expense(ledger: Writer, response: Response, data: ExpenseCreate) -> Expense:
    """Record an expense; a negative amount is a refund, and a category or tag that does not exist is created.

    If an expense with this `external_id` exists, in the trash too, nothing changes and the answer is 200 with that
    expense: so a script may send all its expenses every night.
    """
    expense, is_new = await crud.create_expense(ledger, data)
    if expense.deleted_at is None:
        response.headers["Location"] = f"/expenses/{expense.id}"
    response.headers["ETag"] = write_row_etag(expense.revision)
    response.status_code = HTTPStatus.CREATED if is_new else HTTPStatus.OK
    return expense


@router.put(
    EXPENSE_PATH, summary="Replace an expense", responses=document_problems([NotFound(), EXTERNAL_ID_TAKEN, TooMany()])
)
async def replace_expense(
    ledger: Writer, response: Response, expense_id: RowId, whole: ExpenseReplace, condition: PreconditionDep
) -> Expense:
    """Replace the whole expense: what you leave out becomes null. What you read can be sent back."""
    expense = await crud.replace_expense(ledger, expense_id, whole, condition)
    response.headers["ETag"] = write_row_etag(expense.revision)
    return expense


@router.patch(
    EXPENSE_PATH, summary="Change an expense", responses=document_problems([NotFound(), EXTERNAL_ID_TAKEN, TooMany()])
)
async def change_expense(
    ledger: Writer, response: Response, expense_id: RowId, change: ExpenseUpdate, condition: PreconditionDep
) -> Expense:
    """Change the fields you send; leave the rest alone. What you read can be sent back."""
    expense = await crud.change_expense(ledger, expense_id, change, condition)
    response.headers["ETag"] = write_row_etag(expense.revision)
    return expense


@router.delete(
    EXPENSE_PATH,
    status_code=HTTPStatus.NO_CONTENT,
    summary="Delete an expense",
    responses=document_problems([NotFound(), TooMany()]),
)
async def delete_expense(ledger: Writer, expense_id: RowId, condition: PreconditionDep) -> None:
    """Move the expense to the trash, from which it can be restored until it expires.

    Its `external_id` stays in use as long, so that a script that sends it again does not record the expense again.
    The trash holds as many expenses as a ledger, 1,000,000 by default: beyond that the answer is 422 `too_many`.
    """
    await crud.delete_expense(ledger, expense_id, condition)


@bulk_router.post(
    "/batch",
    summary="Change many expenses together",
    responses=document_problems(batch.list_example_problems()),
    max_body_size=MAX_BATCH_BYTES,
)
async def change_expenses_together(ledger: BulkWriter, operations: Batch) -> BatchResult:
    """Do up to 1,000 operations one after the other: all of them, or none.

    Each operation sees the changes of those before it. A create whose `external_id` exists changes nothing and returns
    that expense (`existing`); its fields may differ from yours, and it may be deleted: see its `deleted_at`. With
    `"existing": "update"` it gives that expense the fields that are sent (`updated`), unless it is deleted. Deleting an
    expense that is deleted already is no error (`gone`). If any operation fails, none is done; the problem has the
    errors of those that fail, the first 100 of them, with pointers like `/operations/3/data/amount`, and the status of
    the first. After a 412 read `GET /changes`, adapt your operations, and send them with another Idempotency-Key. Sent
    again with its key, a batch whose answer is longer than 16 KiB gets the same results again, with the expenses as
    they are by then.
    """
    return await batch.run_batch(ledger, operations)


@bulk_router.patch(
    "", summary="Change all expenses that match", responses=document_problems([FilterRequired(), TooMany()])
)
async def change_matching_expenses(
    ledger: BulkEditor, query: Annotated[BulkQuery, Query()], change: ExpenseChange, condition: BulkPreconditionDep
) -> BulkChange:
    """Change category, payee, description or tags of all expenses that match; `dry_run=true` only counts them.

    At least one filter is required. Expenses that have these values already are not changed.
    """
    return await bulk.change_matching(ledger, query, change, condition)


@bulk_router.delete(
    "", summary="Delete all expenses that match", responses=document_problems([FilterRequired(), TooMany()])
)
async def delete_matching_expenses(
    ledger: BulkEditor, query: Annotated[BulkQuery, Query()], condition: BulkPreconditionDep
) -> BulkChange:
    """Move all expenses that match to the trash; `dry_run=true` only counts them.

    At least one filter is required. To undo it, send the `revision` of the answer to `POST /expenses/restore`.
    """
    return await bulk.delete_matching(ledger, query, condition)
