"""Changes: what has changed since a client last read them, so that it can keep a copy of the ledger."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api.dependencies import Reader
from api.headers import answer_304_if_current, link_next_page, write_ledger_etag
from api.problem_json import document_problems
from api.route import LedgerRoute
from ledger.sync import feed
from ledger.sync.schemas import Changes, ChangesQuery

router = APIRouter(prefix="/changes", tags=["changes"], route_class=LedgerRoute)


@router.get("", summary="See what changed", responses=document_problems([feed.copy_ahead_problem()]))
async def read_changes(
    ledger: Reader, request: Request, response: Response, query: Annotated[ChangesQuery, Query()]
) -> Changes:
    """Return all expenses, categories, tags and budgets that changed after revision `since`, and what was deleted.

    Send each `next_cursor` as `cursor` until it is null, then keep `revision` as the `since` of your next call. If you
    start with `since=0`, your copy becomes equal to the server's data. Changes made while you read the pages come
    with the next call.
    """
    feed_range = feed.build_range(ledger, query)
    answer_304_if_current(request, response, write_ledger_etag(ledger.owner))
    page = await feed.read_changes(ledger, feed_range, query.limit)
    link_next_page(response, "/changes", request.query_params, page.next_cursor)
    return page
