"""Reports: spending by currency, category and time."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api.dependencies import Reader
from api.headers import answer_304_if_current, write_ledger_etag
from api.problem_json import document_problems
from api.route import LedgerRoute
from ledger.reports import spending
from ledger.reports.schemas import SpendingQuery, SpendingReport

router = APIRouter(prefix="/reports", tags=["reports"], route_class=LedgerRoute)


@router.get(
    "/spending",
    summary="See where the money went",
    response_model_exclude_unset=True,
    responses=document_problems([spending.too_many_rows_problem()]),
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
    span = spending.resolve_report_span(ledger, query)
    answer_304_if_current(
        request, response, write_ledger_etag(ledger.owner, ledger.today if query.depends_on_today else None)
    )
    return await spending.read_spending(ledger, query, span)
