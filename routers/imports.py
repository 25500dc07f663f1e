"""Imports: list, read and undo them, and keep options for the next ones."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Form, Query, Request, Response

from api.body_sizes import MAX_FILE_BYTES
from api.dependencies import IMPORT_ID, BulkWriter, PreconditionDep, Reader, RowId, Writer
from api.headers import answer_304_if_current, link_next_page, write_ledger_etag
from api.importer import ImporterDep
from api.problem_json import document_problems
from api.route import LedgerRoute
from api.uploads import UPLOAD_TYPE
from ledger.transfer import importing, imports, profiles, undo
from ledger.transfer.option_schemas import ImportOptions
from ledger.transfer.readers.profiles import PROFILES
from ledger.transfer.schemas import (
    Import,
    ImportAnswer,
    ImportForm,
    ImportList,
    ImportProfile,
    ImportProfileList,
    ImportUndone,
    ProfileName,
    UndoQuery,
)
from problems import ImportRefused, NotFound, TooMany
from values.etags import write_row_etag
from values.shapes import PageQuery

IMPORT_PATH: Final = f"/{{import_id:{IMPORT_ID}}}"
BUILT_IN: Final = [profiles.describe_built_in(name, dict(it.options)) for name, it in PROFILES.items()]

router = APIRouter(prefix="/imports", tags=["imports"], route_class=LedgerRoute)


@router.get("", summary="List imports", response_model_exclude_unset=True)
async def list_imports(
    ledger: Reader, request: Request, response: Response, query: Annotated[PageQuery, Query()]
) -> ImportList:
    """Return a page of your imports, the newest first; `next_cursor` leads to the next page."""
    cursor = imports.parse_import_cursor(query)
    answer_304_if_current(request, response, write_ledger_etag(ledger.owner))
    page = await imports.list_imports(ledger, query, cursor)
    link_next_page(response, "/imports", request.query_params, page.next_cursor)
    return page


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    summary="Import a file",
    responses=document_problems([ImportRefused(), TooMany()])
    | {HTTPStatus.OK.value: {"model": ImportAnswer, "description": "A preview, or nothing was new or linked."}},
    max_body_size=MAX_FILE_BYTES,
)
async def import_file(
    importer: ImporterDep, response: Response, form: Annotated[ImportForm, Form(media_type=UPLOAD_TYPE)]
) -> ImportAnswer:
    """Read a bank's statement or another program's export; with `dry_run=true` only show what would become of it.

    The service never guesses: what the file does not prove is a question, which an option answers. A real import with
    an open question or a refused row is a 422, and nothing of it is written. The same row never comes twice, whether
    you send the file again or one that overlaps with it.

    An archive of this service is imported as a whole, without options, or refused. It makes everything that your
    account does not have: expenses, trash, categories, tags, budgets, profiles, and the imports that they came by.
    """
    file = importer.file
    answer = await importing.import_file(importer.ledger, file.content, form.build_choices(file.options))
    importer.remember(answer)
    if answer.id is None:
        response.status_code = HTTPStatus.OK
    else:
        response.headers["Location"] = f"/imports/{answer.id}"
    return answer


@router.get("/profiles", summary="List profiles of imports")
async def list_import_profiles(ledger: Reader, request: Request, response: Response) -> ImportProfileList:
    """Return your own profiles, and those that the service brings for the exports of banks and other programs."""
    answer_304_if_current(request, response, write_ledger_etag(ledger.owner))
    return await profiles.list_profiles(ledger, BUILT_IN)


@router.put("/profiles/{name}", summary="Keep a profile of imports", responses=document_problems([TooMany()]))
async def keep_import_profile(ledger: Writer, name: ProfileName, options: ImportOptions) -> ImportProfile:
    """Keep options under a name, instead of those that it had; an import with this `profile` begins with them."""
    return await profiles.keep_profile(ledger, name, options)


@router.delete(
    "/profiles/{name}",
    status_code=HTTPStatus.NO_CONTENT,
    summary="Delete a profile of imports",
    responses=document_problems([NotFound()]),
)
async def delete_import_profile(ledger: Writer, name: str) -> None:
    """Delete a profile of your own; imports that were made with it stay as they are."""
    await profiles.delete_profile(ledger, name)


@router.get(IMPORT_PATH, summary="Read an import", responses=document_problems([NotFound()]))
async def read_import(ledger: Reader, request: Request, response: Response, import_id: RowId) -> Import:
    """Return one import, without its rows: `GET /expenses?import_id=…` has the expenses that it brought."""
    found = await imports.read_import(ledger, import_id)
    answer_304_if_current(request, response, write_row_etag(found.revision))
    return found


@router.delete(IMPORT_PATH, summary="Undo an import", responses=document_problems([NotFound()]))
async def undo_import(
    ledger: BulkWriter, import_id: RowId, query: Annotated[UndoQuery, Query()], condition: PreconditionDep
) -> ImportUndone:
    """Delete the expenses that an import brought, for good; afterwards the file can be imported again.

    Linked expenses stay, and so do expenses in the trash, which can be restored. Categories and tags stay too, and the
    budgets and profiles of an archive. With an archive go the imports that it brought. What another import called
    `existing` because of this one is deleted as well, and comes back with that file.
    """
    return await undo.undo_import(ledger, import_id, condition, keep_changed=query.keep_changed)
