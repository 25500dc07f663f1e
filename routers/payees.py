"""Payees: who was paid, for autocompletion."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api.dependencies import Reader
from api.headers import answer_304_if_current, write_ledger_etag
from api.route import LedgerRoute
from ledger.payees import suggestions
from ledger.payees.schemas import PayeeList, PayeeQuery

router = APIRouter(prefix="/payees", tags=["payees"], route_class=LedgerRoute)


@router.get("", summary="Suggest payees")
async def list_payees(
    ledger: Reader, request: Request, response: Response, query: Annotated[PayeeQuery, Query()]
) -> PayeeList:
    """Return the payees of your expenses for autocompletion: those of the last year first, the most used before others.

    They are counted in the newest 10,000 expenses; others follow by name. There are no further pages: `q` finds the
    rest. Payees that differ only in case are one. To rename one, send `PATCH /expenses?payee=old` with the new name.
    """
    answer_304_if_current(request, response, write_ledger_etag(ledger.owner, ledger.today))
    return PayeeList(items=await suggestions.list_payees(ledger, query), next_cursor=None)
