"""The trash: list deleted expenses, restore them, or delete them for good."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api.dependencies import BulkPreconditionDep, BulkWriter, Reader, RowId, Writer
from api.headers import answer_304_if_current, link_next_page, write_ledger_etag
from api.problem_json import document_problems
from api.route import LedgerRoute
from ledger.expenses import trash
from ledger.expenses.schemas import BulkChange, Deletion
from problems import NotFound, TooMany
from schemas import Expense, ExpenseList
from values.etags import write_row_etag
from values.shapes import PageQuery

router = APIRouter(prefix="/expenses", tags=["trash"], route_class=LedgerRoute)


@router.get("/trash", summary="List deleted expenses", response_model_exclude_unset=True)
async def list_trash(
    ledger: Reader, request: Request, response: Response, query: Annotated[PageQuery, Query()]
) -> ExpenseList:
    """Return a page of deleted expenses, the last deleted first.

    They are kept for 30 days, unless the service is set to another number. `revision` is that of the
    deletion: send it to `POST /expenses/restore` to undo the deletion.
    """
    cursor = trash.parse_trash_cursor(query)
    answer_304_if_current(request, response, write_ledger_etag(ledger.owner, ledger.trash_start.date()))
    page = await trash.list_trash(ledger, query, cursor)
    link_next_page(response, "/expenses/trash", request.query_params, page.next_cursor)
    return page


@router.delete("/trash", status_code=HTTPStatus.NO_CONTENT, summary="Empty the trash")
async def empty_trash(ledger: BulkWriter, condition: BulkPreconditionDep) -> None:
    """Delete everything in the trash for good; new expenses can use the `external_id` of each again."""
    await trash.empty_trash(ledger, condition)


@router.post("/restore", summary="Undo a deletion", responses=document_problems([NotFound(), TooMany()]))
async def restore_expenses(ledger: BulkWriter, deletion: Deletion) -> BulkChange:
    """Restore all expenses that were deleted at this revision and are still in the trash."""
    return await trash.restore_deletion(ledger, deletion.revision)


@router.post(
    "/{expense_id}/restore", summary="Restore an expense", responses=document_problems([NotFound(), TooMany()])
)
async def restore_expense(ledger: Writer, response: Response, expense_id: RowId) -> Expense:
    """Restore an expense from the trash under its old id; one that is not deleted is not changed.

    Its category and tags are what has become of them meanwhile, if they were renamed, merged or deleted.
    """
    expense = await trash.restore_expense(ledger, expense_id)
    response.headers["ETag"] = write_row_etag(expense.revision)
    return expense
