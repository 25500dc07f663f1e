"""Categories: the names by which expenses are grouped."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response

from api.dependencies import BulkWriter, PreconditionDep, Reader, RowId, Writer
from api.headers import answer_304_if_current, write_ledger_etag
from api.problem_json import document_problems
from api.route import LedgerRoute
from ledger.categories import categories
from ledger.categories.merging import delete_category as delete_or_merge
from problems import CategoryInUse, NotFound, TooMany
from schemas import Category, CategoryCreate, CategoryDeleteQuery, CategoryList, CategoryQuery, CategoryUpdate
from values.etags import write_row_etag

NAME_TAKEN: Final = categories.category_exists_problem(3)

router = APIRouter(prefix="/categories", tags=["categories"], route_class=LedgerRoute)


@router.get("", summary="List categories", response_model_exclude_unset=True)
async def list_categories(
    ledger: Reader, request: Request, response: Response, query: Annotated[CategoryQuery, Query()]
) -> CategoryList:
    """Return all your categories, by name."""
    answer_304_if_current(request, response, write_ledger_etag(ledger.owner))
    return CategoryList(items=await categories.list_categories(ledger, with_usage=query.with_usage), next_cursor=None)


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    summary="Create a category",
    responses=document_problems([NAME_TAKEN, TooMany()]),
)
async def create_category(ledger: Writer, response: Response, data: CategoryCreate) -> Category:
    """Create a category before its first expense; recording an expense with a new name creates the category too."""
    category = await categories.create_category(ledger, data)
    response.headers.update({"Location": f"/categories/{category.id}", "ETag": write_row_etag(category.revision)})
    return category


@router.get("/{category_id}", summary="Read a category", responses=document_problems([NotFound()]))
async def read_category(ledger: Reader, request: Request, response: Response, category_id: RowId) -> Category:
    """Return one category."""
    category = await categories.read_category(ledger, category_id)
    answer_304_if_current(request, response, write_row_etag(category.revision))
    return category


@router.patch(
    "/{category_id}", summary="Change a category", responses=document_problems([NotFound(), NAME_TAKEN, TooMany()])
)
async def change_category(
    ledger: BulkWriter, response: Response, category_id: RowId, change: CategoryUpdate, condition: PreconditionDep
) -> Category:
    """Change the fields you send; what refers to the category shows a new name too. What you read can be sent back."""
    category = await categories.change_category(ledger, category_id, change, condition)
    response.headers["ETag"] = write_row_etag(category.revision)
    return category


@router.delete(
    "/{category_id}",
    status_code=HTTPStatus.NO_CONTENT,
    summary="Delete or merge a category",
    responses=document_problems([NotFound(), CategoryInUse()]),
)
async def delete_category(
    ledger: BulkWriter, category_id: RowId, query: Annotated[CategoryDeleteQuery, Query()], condition: PreconditionDep
) -> None:
    """Delete a category; if it has expenses or budgets, send `move_to` or `uncategorized` to say what becomes of them.

    With `move_to` expenses and budgets move to that category; if it has a budget of the same currency and period
    already, this one stays as it is, and the other is deleted. With `uncategorized` all its budgets are deleted. The
    category's children go along to `move_to` if that has no parent; otherwise, also if it is one of them, they have no
    parent any more.
    """
    await delete_or_merge(ledger, category_id, query, condition)
