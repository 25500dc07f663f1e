"""Budgets: limits for spending, and how much of each is used."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response

from api.dependencies import PreconditionDep, Reader, RowId, Writer
from api.headers import answer_304_if_current, write_ledger_etag
from api.problem_json import document_problems
from api.route import LedgerRoute
from ledger.budgets import budgets, status
from ledger.budgets.schemas import Budget, BudgetCreate, BudgetList, BudgetStatus, BudgetUpdate, StatusQuery
from problems import NotFound, TooMany
from values.etags import write_row_etag

BUDGET_EXISTS: Final = budgets.budget_exists_problem(["category"], 3)

router = APIRouter(prefix="/budgets", tags=["budgets"], route_class=LedgerRoute)


@router.get("", summary="List budgets")
async def list_budgets(ledger: Reader, request: Request, response: Response) -> BudgetList:
    """Return all your budgets: first those for all spending, then by category and currency, the oldest first."""
    answer_304_if_current(request, response, write_ledger_etag(ledger.owner))
    return BudgetList(items=await budgets.list_budgets(ledger), next_cursor=None)


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    summary="Set a budget",
    responses=document_problems([BUDGET_EXISTS, TooMany()]),
)
async def create_budget(ledger: Writer, response: Response, data: BudgetCreate) -> Budget:
    """Set how much you want to spend per week, month, quarter or year, on one category or on all together.

    There can be one budget per category, currency and period. A category that does not exist is created.
    """
    budget = await budgets.create_budget(ledger, data)
    response.headers.update({"Location": f"/budgets/{budget.id}", "ETag": write_row_etag(budget.revision)})
    return budget


@router.get("/status", summary="See how budgets stand")
async def read_budget_status(
    ledger: Reader, request: Request, response: Response, query: Annotated[StatusQuery, Query()]
) -> BudgetStatus:
    """Return what is spent and left of each budget, in the window that contains the day `on` (default: today).

    A window is a whole week, month, quarter or year; expenses with a later date in it count as spent. The day may be
    before the budget was set. `unbudgeted` is the spending of that day's month that no category's budget covers.
    """
    answer_304_if_current(request, response, write_ledger_etag(ledger.owner, None if query.on else ledger.today))
    return await status.read_status(ledger, query.on or ledger.today)


@router.get("/{budget_id}", summary="Read a budget", responses=document_problems([NotFound()]))
async def read_budget(ledger: Reader, request: Request, response: Response, budget_id: RowId) -> Budget:
    """Return one budget."""
    budget = await budgets.read_budget(ledger, budget_id)
    answer_304_if_current(request, response, write_row_etag(budget.revision))
    return budget


@router.patch(
    "/{budget_id}",
    summary="Change a budget",
    responses=document_problems([NotFound(), BUDGET_EXISTS, TooMany()]),
)
async def change_budget(
    ledger: Writer, response: Response, budget_id: RowId, change: BudgetUpdate, condition: PreconditionDep
) -> Budget:
    """Change the fields you send; leave the rest alone. What you read can be sent back."""
    budget = await budgets.change_budget(ledger, budget_id, change, condition)
    response.headers["ETag"] = write_row_etag(budget.revision)
    return budget


@router.delete(
    "/{budget_id}",
    status_code=HTTPStatus.NO_CONTENT,
    summary="Delete a budget",
    responses=document_problems([NotFound()]),
)
async def delete_budget(ledger: Writer, budget_id: RowId, condition: PreconditionDep) -> None:
    """Delete the budget; expenses and categories stay."""
    await budgets.delete_budget(ledger, budget_id, condition)
