"""Reports: where the money went."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

import reports
from analysis import SpendingReport
from conditions import ledger_tag
from filters import SpendingQuery
from problems import documented
from routers.doors import Reader, unless_seen
from routers.edge import LedgerRoute

router = APIRouter(prefix="/reports", tags=["reports"], route_class=LedgerRoute)


@router.get(
    "/spending",
    summary="See where the money went",
    response_model_exclude_unset=True,
    responses=documented([reports.too_many_rows()]),
)
async def report_spending(
    ledger: Reader, request: Request, response: Response, query: Annotated[SpendingQuery, Query()]
) -> SpendingReport:
    """Add up what was spent, per currency: in all, and by category, time or both; with all filters of the list.

    Without any dates it is your current month. `from` alone reaches to today, or to the last expense that matches if
    that is later; `to` alone reaches back to the first one. For a month that is not over, `period=month-to-date` with
    `compare=previous` sets like days beside each other. Refunds lower the totals. Averages and percentages are rounded
    half to even; a percentage is null where its base is not positive.
    """
    asked = reports.span_of(ledger, query)
    unless_seen(request, response, ledger_tag(ledger.owner, ledger.today if query.depends_on_today else None))
    return await reports.read_spending(ledger, query, asked)
