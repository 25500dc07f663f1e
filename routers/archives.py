"""Archives: all that an account holds, as one file."""

from http import HTTPStatus

from fastapi import APIRouter

from api.dependencies import ArchiveReader
from api.later_reads import LaterReads
from api.requests import StrictRequest
from api.route import LedgerRoute
from api.streamed import BINARY, StreamedAnswer, document_file
from ledger.transfer.archives.making import FILE_NAME, MEDIA_TYPE, stream_archive

router = APIRouter(prefix="/users/me", tags=["exports"], route_class=LedgerRoute)


@router.get(
    "/archive",
    status_code=HTTPStatus.OK,
    summary="Download everything",
    response_class=StreamedAnswer,
    responses=document_file("The archive.", {MEDIA_TYPE: {"schema": BINARY}}),
)
async def download_archive(ledger: ArchiveReader, request: StrictRequest) -> StreamedAnswer:
    """Return all that your account holds as a zip, which `POST /imports` of this account or another one takes.

    `manifest.json` has the version of the archive, the number of rows of each kind, and the sums of the expenses by
    currency. Each kind has a file with a JSON object on each line: `categories`, `tags`, `budgets`, `profiles` (of
    imports), `imports`, `expenses`, `trash`, and `imported_rows`, by which files of your bank are known again. Your
    name, e-mail, settings, sessions and tokens are not in it.

    All rows are of one moment, whatever is changed meanwhile. The zip is complete before its first byte comes: a few
    seconds for 100,000 expenses. A personal access token with the scope `read` is enough. An account makes one archive
    or workbook at a time; another one waits for a moment, and gets a 429.
    """
    later = LaterReads(request, ledger)
    pieces = stream_archive(later.read, later.read_at_one_moment)
    return StreamedAnswer(later, pieces, MEDIA_TYPE, FILE_NAME, is_whole=True)
