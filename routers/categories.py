"""Categories: the names that expenses are sorted under."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Query, Response

import categories
from fields import RowId
from problems import AlreadyExists, CategoryInUse, NotFound, TooMany, documented
from refusals import at
from routers.edge import LedgerRoute, Reader, Writer, takes_long
from schemas import Category, CategoryCreate, CategoryList, CategoryQuery, CategoryUpdate, Heir

TAKEN: Final = AlreadyExists(
    errors=[at("/name", "already_exists", "You have a category of this name.")], members={"existing_id": 3}
)

router = APIRouter(prefix="/categories", tags=["categories"], route_class=LedgerRoute)


@router.get("", summary="List categories", response_model_exclude_unset=True)
async def list_categories(ledger: Reader, query: Annotated[CategoryQuery, Query()]) -> CategoryList:
    """Return all your categories, by name."""
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
    response.headers["Location"] = f"/categories/{category.id}"
    return category


@router.get("/{category_id}", summary="Read a category", responses=documented([NotFound()]))
async def read_category(ledger: Reader, category_id: RowId) -> Category:
    """Return one category."""
    return await categories.read_category(ledger, category_id)


@router.patch("/{category_id}", summary="Change a category", responses=documented([NotFound(), TAKEN]))
@takes_long
async def change_category(ledger: Writer, category_id: RowId, change: CategoryUpdate) -> Category:
    """Change the fields you send; a new name is read on all its expenses and budgets."""
    return await categories.change_category(ledger, category_id, change)


@router.delete(
    "/{category_id}",
    status_code=HTTPStatus.NO_CONTENT,
    summary="Delete or merge a category",
    responses=documented([NotFound(), CategoryInUse()]),
)
@takes_long
async def delete_category(ledger: Writer, category_id: RowId, heir: Annotated[Heir, Query()]) -> None:
    """Delete a category; if it is in use, say with `move_to` or `uncategorized` where its expenses go.

    Its budgets go along with `move_to`, save where one of the same currency and period stands already: that one stays
    as it is, and the other ends. Without a category to go to all of them end.
    """
    await categories.delete_category(ledger, category_id, move_to=heir.move_to, uncategorized=heir.uncategorized)
