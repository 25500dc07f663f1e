"""Reports: spending by currency, category, payee, tag and time."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api.dependencies import Reader
from api.headers import answer_304_if_current, write_ledger_etag
from api.problem_json import document_problems
from api.route import LedgerRoute
from ledger.reports import spending
from ledger.reports.answer import too_many_rows_problem
from ledger.reports.schemas import SpendingQuery, SpendingReport

router = APIRouter(prefix="/reports", tags=["reports"], route_class=LedgerRoute)


@router.get(
    "/spending",
    summary="See where the money went",
    response_model_exclude_unset=True,
    responses=document_problems([too_many_rows_problem()]),
)
async def report_spending(
    ledger: Reader, request: Request, response: Response, query: Annotated[SpendingQuery, Query()]
) -> SpendingReport:
    """Add up your expenses per currency, in all and by category, payee, tag or time; it has all filters of the list.

    Without dates the report is about your current month. `from` without `to` ends today, or on the date of the last
    matching expense if that is later; `to` without `from` begins on the date of the first one. For a month that is not
    over, `period=month-to-date` with `compare=previous` compares the same days of both months. Refunds lower the
    totals. Averages and percentages are rounded half to even; a percentage of a base that is not positive is null.
    """
    span = spending.resolve_report_span(ledger, query)
    answer_304_if_current(
        request, response, write_ledger_etag(ledger.owner, ledger.today if query.depends_on_today else None)
    )
    return await spending.read_spending(ledger, query, span)
