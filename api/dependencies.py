"""FastAPI dependencies, as types of a signature: the caller, the ledger, preconditions, the client and the services."""

import re
from functools import partial
from typing import Annotated, Final

from fastapi import Header, Response, Security
from fastapi.params import Depends
from pydantic import BeforeValidator, Field
from starlette.convertors import StringConvertor, register_url_convertor

from api.bearer import BearerDependency, authenticate
from api.headers import EarlyResponse
from api.requests import JSON_TYPE, StrictRequest
from auth import Caller
from database import UnitOfWork
from infra.engines import LONG_DEADLINE
from ledger import expiry, idempotency
from ledger.core import Ledger
from ledger.editing import Precondition
from ledger.quotas import Quotas
from ledger.sync import replay
from problems import NotFound
from users.accounts import Accounts
from users.client_address import Client, build_client
from users.sessions import Sessions
from values.etags import ENTITY_TAGS_SCHEMA, IF_MATCH, IF_NONE_MATCH, EntityTags
from values.fields import LARGEST_ID, Omittable

_ROW_ID: Final = re.compile(r"[1-9][0-9]{0,18}")


async def open_ledger(request: StrictRequest, scope: str | None) -> Ledger:
    """Return the caller's ledger, for reading."""
    caller = await authenticate(request, scope)
    return build_ledger(request, caller)


async def _lock_ledger(request: StrictRequest, scope: str | None) -> Ledger:
    caller = await authenticate(request, scope, writes=True)
    ledger = build_ledger(request, caller)
    await ledger.lock()
    # Before the body is validated: a repeated request gets its stored answer, even if it would fail now.
    key = await _read_key_or_replay(ledger, request)
    request.conclusion = partial(_finish_write, ledger, key, request)
    return ledger


async def lock_ledger_to_change(request: StrictRequest, scope: str | None) -> Ledger:
    """Return the caller's ledger, locked unless it is a dry run: that is a read, of which nothing is remembered."""
    return await (open_ledger if request.is_dry_run else _lock_ledger)(request, scope)


def build_ledger(request: StrictRequest, caller: Caller) -> Ledger:
    """Return the caller's ledger in the unit of work of the request."""
    settings = request.services.settings
    quotas = Quotas(settings.text_bytes, settings.trash_rows, settings.remembered_bytes)
    return Ledger(caller, request.unit, settings.trash_days, quotas)


async def _read_key_or_replay(ledger: Ledger, request: StrictRequest) -> str | None:
    """Return the request's Idempotency-Key, if it has one; raise EarlyResponse with the answer stored for it.

    Raises TooManyRequests if there is no room for another answer.
    """
    values = request.headers.getlist(idempotency.KEY_HEADER)
    if not values:
        return None
    key = idempotency.parse_key(values)
    if answer := await idempotency.recall(ledger, key, request.compute_fingerprint()):
        optional = {"Location": answer.location, "ETag": answer.etag, idempotency.REPLAYED_HEADER: "true"}
        headers = {name: value for name, value in optional.items() if value is not None}
        body = await replay.rebuild(ledger, answer.body)
        raise EarlyResponse(Response(body, answer.status, headers, JSON_TYPE if body else None))
    await expiry.make_room(ledger)
    return key


async def _finish_write(ledger: Ledger, key: str | None, request: StrictRequest, response: Response) -> None:
    """Store the answer for the Idempotency-Key, delete expired rows and store the ledger's state, before the commit."""
    if key is not None:
        headers, body = response.headers, request.remembered_body or replay.shorten(bytes(response.body))
        answer = idempotency.StoredAnswer(response.status_code, headers.get("Location"), headers.get("ETag"), body)
        await idempotency.remember(ledger, key, request.compute_fingerprint(), answer)
    if ledger.is_sweep_due:
        await expiry.sweep(ledger)
    await ledger.store_state()


async def build_precondition(
    if_match: Annotated[
        Omittable[EntityTags],
        Header(
            alias=IF_MATCH, description="Change the row only if its current `ETag` is one of these; `*` matches any."
        ),
    ] = None,
    if_none_match: Annotated[Omittable[EntityTags], Header(alias=IF_NONE_MATCH, include_in_schema=False)] = None,
) -> Precondition:
    """Return the If-Match and If-None-Match of a request that changes one row."""
    return Precondition(if_match, if_none_match)


async def build_bulk_precondition(
    if_match: Annotated[Omittable[EntityTags], Header(alias=IF_MATCH, include_in_schema=False)] = None,
    if_none_match: Annotated[Omittable[EntityTags], Header(alias=IF_NONE_MATCH, include_in_schema=False)] = None,
) -> Precondition:
    """Return the If-Match and If-None-Match of a request that changes several rows, which have no ETag."""
    return Precondition(if_match, if_none_match)


async def get_unit_of_work(request: StrictRequest) -> UnitOfWork:
    """Return the unit of work of the request."""
    return request.unit


async def get_accounts(request: StrictRequest) -> Accounts:
    """Return the service for accounts."""
    return request.services.accounts


async def refuse_closed_registration(request: StrictRequest) -> None:
    """Raise RegistrationClosed where nobody may register, before the body is validated."""
    request.services.accounts.refuse_if_closed()


async def get_sessions(request: StrictRequest) -> Sessions:
    """Return the service for sessions."""
    return request.services.sessions


async def get_client(request: StrictRequest) -> Client:
    """Return the client's IP address, network and User-Agent."""
    return build_client(request.client and request.client.host, request.headers.get("user-agent"))


def _parse_row_id(value: object) -> int:
    # A malformed id gets the same answer as the id of a missing row, or of another user's.
    if not isinstance(value, str) or not _ROW_ID.fullmatch(value) or int(value) > LARGEST_ID:
        raise NotFound
    return int(value)


RowId = Annotated[int, Field(ge=1, le=LARGEST_ID), BeforeValidator(_parse_row_id)]
"""The id of a row in a path."""


class ExpenseIdConvertor(StringConvertor):
    """The last part of an expense's path: anything but batch, export, restore and trash."""

    regex = r"(?!(?:batch|export|restore|trash)\Z)[^/]+"


class ImportIdConvertor(StringConvertor):
    """The last part of an import's path: anything but profiles."""

    regex = r"(?!profiles\Z)[^/]+"


EXPENSE_ID: Final = "expense"
"""The name of that convertor in a route's path."""
IMPORT_ID: Final = "import"
"""The same of imports."""
register_url_convertor(EXPENSE_ID, ExpenseIdConvertor())
register_url_convertor(IMPORT_ID, ImportIdConvertor())

Reader = Annotated[Ledger, Security(BearerDependency(open_ledger, "read"))]
"""The caller's ledger, for reading."""
ArchiveReader = Annotated[Ledger, Security(BearerDependency(open_ledger, "read"))]
"""The same, for an operation under `/users`, whose answers have no ETag."""
Writer = Annotated[Ledger, Security(BearerDependency(_lock_ledger, "write"))]
"""The caller's ledger, locked for writing."""
BulkWriter = Annotated[Ledger, Security(BearerDependency(_lock_ledger, "write"))]
"""The same, for operations that may change all rows of the ledger: their deadline is 60 seconds instead of 10."""
BulkEditor = Annotated[Ledger, Security(BearerDependency(lock_ledger_to_change, "write"))]
"""The same, for operations with `dry_run`, which are reads if it is true: not locked, with a deadline of 5 seconds."""
AnyCaller = Annotated[Caller, Security(BearerDependency(authenticate, "read"))]
"""The caller, with an access token of a session or a personal access token."""
SignedInCaller = Annotated[Caller, Security(BearerDependency(authenticate))]
"""The caller, with an access token of a session; a personal access token is refused."""
PreconditionDep = Annotated[Precondition, Depends(build_precondition)]
"""If-Match and If-None-Match of a request that changes one row."""
BulkPreconditionDep = Annotated[Precondition, Depends(build_bulk_precondition)]
"""The same for several rows, which have no ETag: an ETag in If-Match fails, and the document omits the header."""
UnitOfWorkDep = Annotated[UnitOfWork, Depends(get_unit_of_work)]
"""The unit of work of the request, for operations that need no ledger."""
AccountsDep = Annotated[Accounts, Depends(get_accounts)]
"""The service for accounts; because it may hash passwords, a write has a deadline of 20 seconds instead of 10."""
BulkAccountsDep = Annotated[Accounts, Depends(get_accounts), LONG_DEADLINE]
"""The same, for the operation that deletes all rows of an account: its deadline is 60 seconds."""
MayRegister = Annotated[None, Depends(refuse_closed_registration)]
"""Registration is not closed."""
SessionsDep = Annotated[Sessions, Depends(get_sessions)]
"""The service for sessions."""
ClientDep = Annotated[Client, Depends(get_client)]
"""The client's IP address, network and User-Agent."""

REQUEST_HEADERS: Final = (
    (
        (Reader,),
        {
            "name": IF_NONE_MATCH,
            "in": "header",
            "required": False,
            "description": "The `ETag` of the answer that you have: if it has not changed, the answer is an empty 304.",
            "schema": ENTITY_TAGS_SCHEMA,
        },
    ),
    (
        (Writer, BulkWriter, BulkEditor),
        {
            "name": idempotency.KEY_HEADER,
            "in": "header",
            "required": False,
            "description": "A key of your own, such as a UUID: up to 255 visible ASCII characters. If you send the "
            "same request with the same key again within 24 hours, nothing is done: you get the first answer again, "
            "with `Idempotency-Replayed: true`. Where the answers that are remembered for you take as much as they may "
            "(64 MiB by default), a new key is answered with 429 `too_many_requests`.",
            "schema": idempotency.KEY_SCHEMA,
        },
    ),
)
"""Headers that the document adds to each operation with a parameter of one of these types."""
