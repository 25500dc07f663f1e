"""Categories: the names that expenses are sorted under."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response

from api.dependencies import Condition, Reader, Writer, unless_seen
from api.route import LedgerRoute, takes_long
from ledger import categories
from problems import AlreadyExists, CategoryInUse, NotFound, TooMany, documented
from schemas import Category, CategoryCreate, CategoryList, CategoryQuery, CategoryUpdate, Heir
from values.etags import ledger_tag, row_tag
from values.field_errors import at
from values.fields import RowId

TAKEN: Final = AlreadyExists(
    errors=[at("/name", "already_exists", "You have a category of this name.")], members={"existing_id": 3}
)

router = APIRouter(prefix="/categories", tags=["categories"], route_class=LedgerRoute)


@router.get("", summary="List categories", response_model_exclude_unset=True)
async def list_categories(
    ledger: Reader, request: Request, response: Response, query: Annotated[CategoryQuery, Query()]
) -> CategoryList:
    """Return all your categories, by name."""
    unless_seen(request, response, ledger_tag(ledger.owner))
    return CategoryList(items=await categories.list_categories(ledger, with_usage=query.with_usage), next_cursor=None)


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    summary="Make a category",
    responses=documented([TAKEN, TooMany()]),
)
async def create_category(ledger: Writer, response: Response, data: CategoryCreate) -> Category:
    """Make a category ahead of its first expense; an expense with a new category's name makes it too."""
    category = await categories.create_category(ledger, data)
    response.headers.update({"Location": f"/categories/{category.id}", "ETag": row_tag(category.revision)})
    return category


@router.get("/{category_id}", summary="Read a category", responses=documented([NotFound()]))
async def read_category(ledger: Reader, request: Request, response: Response, category_id: RowId) -> Category:
    """Return one category."""
    category = await categories.read_category(ledger, category_id)
    unless_seen(request, response, row_tag(category.revision))
    return category


@router.patch("/{category_id}", summary="Change a category", responses=documented([NotFound(), TAKEN]))
@takes_long
async def change_category(
    ledger: Writer, response: Response, category_id: RowId, change: CategoryUpdate, condition: Condition
) -> Category:
    """Change the fields you send; a new name is read on all expenses and budgets. What you read can be sent back."""
    category = await categories.change_category(ledger, category_id, change, condition)
    response.headers["ETag"] = row_tag(category.revision)
    return category


@router.delete(
    "/{category_id}",
    status_code=HTTPStatus.NO_CONTENT,
    summary="Delete or merge a category",
    responses=documented([NotFound(), CategoryInUse()]),
)
@takes_long
async def delete_category(
    ledger: Writer, category_id: RowId, heir: Annotated[Heir, Query()], condition: Condition
) -> None:
    """Delete a category; if it is in use, say with `move_to` or `uncategorized` where its expenses go.

    Its budgets go along with `move_to`, save where one of the same currency and period stands already: that one stays
    as it is, and the other ends. Without a category to go to all of them end.
    """
    await categories.delete_category(ledger, category_id, heir, condition)
