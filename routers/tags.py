"""Tags: words on expenses."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response

from api.dependencies import BulkWriter, PreconditionDep, Reader, RowId
from api.headers import answer_304_if_current, write_ledger_etag
from api.problem_json import document_problems
from api.route import LedgerRoute
from ledger.tags import tags
from ledger.tags.schemas import Tag, TagDeleteQuery, TagList, TagQuery, TagUpdate
from problems import NotFound, TooMany
from values.etags import write_row_etag

NAME_TAKEN: Final = tags.tag_exists_problem(5)

router = APIRouter(prefix="/tags", tags=["tags"], route_class=LedgerRoute)


@router.get("", summary="List tags", response_model_exclude_unset=True)
async def list_tags(
    ledger: Reader, request: Request, response: Response, query: Annotated[TagQuery, Query()]
) -> TagList:
    """Return all your tags, by name; an expense with a new tag creates it."""
    answer_304_if_current(request, response, write_ledger_etag(ledger.owner))
    return TagList(items=await tags.list_tags(ledger, with_usage=query.with_usage), next_cursor=None)


@router.get("/{tag_id}", summary="Read a tag", responses=document_problems([NotFound()]))
async def read_tag(ledger: Reader, request: Request, response: Response, tag_id: RowId) -> Tag:
    """Return one tag."""
    tag = await tags.read_tag(ledger, tag_id)
    answer_304_if_current(request, response, write_row_etag(tag.revision))
    return tag


@router.patch("/{tag_id}", summary="Rename a tag", responses=document_problems([NotFound(), NAME_TAKEN, TooMany()]))
async def change_tag(
    ledger: BulkWriter, response: Response, tag_id: RowId, change: TagUpdate, condition: PreconditionDep
) -> Tag:
    """Rename a tag; its expenses show the new name too. What you read can be sent back."""
    tag = await tags.change_tag(ledger, tag_id, change, condition)
    response.headers["ETag"] = write_row_etag(tag.revision)
    return tag


@router.delete(
    "/{tag_id}",
    status_code=HTTPStatus.NO_CONTENT,
    summary="Delete or merge a tag",
    responses=document_problems([NotFound()]),
)
async def delete_tag(
    ledger: BulkWriter, tag_id: RowId, query: Annotated[TagDeleteQuery, Query()], condition: PreconditionDep
) -> None:
    """Delete a tag and take it off its expenses; with `move_to` they get that tag instead, if they do not have it."""
    await tags.delete_tag(ledger, tag_id, query, condition)
