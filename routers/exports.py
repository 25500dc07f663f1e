"""Exports: all expenses that match the filters, as a file."""

import json
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Query, Response

from api.dependencies import Reader
from api.headers import answer_304_if_current, write_ledger_etag
from api.later_reads import LaterReads
from api.openapi import EXAMPLES
from api.requests import StrictRequest
from api.route import LedgerRoute
from api.streamed import BINARY, StreamedAnswer, document_file
from ledger.transfer.expense_files import FORMATS
from ledger.transfer.exports import Export, ExportQuery

_CSV: Final = """\
date,amount,currency,category,payee,description,tags,external_id,id\r
2026-11-21,-3.50,EUR,Groceries,Market hall,Deposit of the bottles,,,6\r
2026-11-22,12.50,EUR,Groceries,Market hall,Apples and bread,"party, shared",receipt-1,7\r
"""
_NDJSON: Final = json.dumps(EXAMPLES["Expense"], separators=(",", ":")) + "\n"
_TEXT: Final = {"type": "string"}
_CONTENT: Final = {
    FORMATS["csv"].media_type: {"schema": _TEXT, "example": _CSV},
    FORMATS["ndjson"].media_type: {"schema": _TEXT, "example": _NDJSON},
    FORMATS["xlsx"].media_type: {"schema": BINARY},
}

router = APIRouter(prefix="/expenses", tags=["exports"], route_class=LedgerRoute)


@router.get(
    "/export",
    status_code=HTTPStatus.OK,
    summary="Export expenses",
    response_class=StreamedAnswer,
    responses=document_file("The file.", _CONTENT),
)
async def export_expenses(
    ledger: Reader, request: StrictRequest, response: Response, query: Annotated[ExportQuery, Query()]
) -> StreamedAnswer:
    """Return all expenses that match as a file, the oldest first.

    **csv**: UTF-8 without a byte order mark, comma, CRLF (RFC 4180); tags are joined by `, `, and one that has a comma
    or a quote is quoted as a CSV cell is. A text that a spreadsheet would run as a formula begins with an apostrophe,
    and one that begins with an apostrophe with another; within a text the same is done behind `;`, `|`, tab and line
    end. Take one off at each of these places to have the text. Amounts are plain numbers.
    **ndjson**: an `Expense` on each line, as `GET /expenses` answers it. **xlsx**: a sheet with real dates and numbers,
    which Excel opens with every letter intact; it is made before the first byte comes, which takes a second for 10,000
    expenses.

    The file is sent while it is read. An expense that is there from the beginning to the end comes once, as it is when
    it is reached; one whose date is changed meanwhile may come at the end. If the transfer breaks off, the file is not
    complete: your client says so (curl by exit code 18). Two exports of an account run at once; others wait for a
    moment, and get a 429.
    """
    day = ledger.today if query.depends_on_today else None
    answer_304_if_current(request, response, write_ledger_etag(ledger.owner, day))
    later, file_format = LaterReads(request, ledger), FORMATS[query.format]
    export = Export.begin(ledger, query, is_brief=not file_format.needs_instants)
    return StreamedAnswer(
        later,
        file_format.write(export.list_pages(later.read)),
        file_format.media_type,
        f"expenses.{query.format}",
        is_whole=file_format.is_made_whole,
    )
