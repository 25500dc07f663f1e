"""Expenses: the entries of a ledger."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response

import crud
from fields import RowId
from filters import ExpenseQuery
from pagination import next_link
from problems import AlreadyExists, NotFound, TooMany, documented
from refusals import at
from routers.edge import LedgerRoute, Reader, Writer
from rows import moved_on
from schemas import Expense, ExpenseCreate, ExpenseList, ExpenseReplace, ExpenseUpdate

TAKEN: Final = AlreadyExists(
    errors=[at("/external_id", "already_exists", "Another expense of yours has this id.")], members={"existing_id": 7}
)

router = APIRouter(prefix="/expenses", tags=["expenses"], route_class=LedgerRoute)


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
    response.status_code = HTTPStatus.CREATED if is_new else HTTPStatus.OK
    return expense


@router.get("", summary="List expenses", response_model_exclude_unset=True)
async def list_expenses(
    ledger: Reader, request: Request, response: Response, query: Annotated[ExpenseQuery, Query()]
) -> ExpenseList:
    """Return a page of your expenses, the newest first; `next_cursor` leads to the next page.

    All filters given must hold; a `category` that you do not have matches nothing.
    """
    page = await crud.list_expenses(ledger, query)
    if page.next_cursor:
        response.headers["Link"] = next_link("/expenses", request.query_params, page.next_cursor)
    return page


@router.get("/{expense_id}", summary="Read an expense", responses=documented([NotFound()]))
async def read_expense(ledger: Reader, expense_id: RowId) -> Expense:
    """Return one expense."""
    return await crud.read_expense(ledger, expense_id)


@router.put(
    "/{expense_id}",
    summary="Replace an expense",
    responses=documented([NotFound(), TAKEN, moved_on(), TooMany()]),
)
async def replace_expense(ledger: Writer, expense_id: RowId, whole: ExpenseReplace) -> Expense:
    """Replace the whole expense: what you leave out becomes null. What you read can be sent back."""
    return await crud.replace_expense(ledger, expense_id, whole)


@router.patch(
    "/{expense_id}",
    summary="Change an expense",
    responses=documented([NotFound(), TAKEN, moved_on(), TooMany()]),
)
async def change_expense(ledger: Writer, expense_id: RowId, change: ExpenseUpdate) -> Expense:
    """Change the fields you send; leave the rest alone. What you read can be sent back."""
    return await crud.change_expense(ledger, expense_id, change)


@router.delete(
    "/{expense_id}",
    status_code=HTTPStatus.NO_CONTENT,
    summary="Delete an expense",
    responses=documented([NotFound()]),
)
async def delete_expense(ledger: Writer, expense_id: RowId) -> None:
    """Delete the expense; its `external_id` stays taken, so that a script that sends it again brings nothing back."""
    await crud.delete_expense(ledger, expense_id)
