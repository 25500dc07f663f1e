"""The doors: who may, as types of a signature, and what the headers of a request say of what is behind them."""

import re
from collections.abc import Callable
from functools import partial
from typing import Annotated, Final

from fastapi import Header, Request, Response, Security
from fastapi.params import Depends
from pydantic import BeforeValidator, Field

from api.bearer import BearerDependency, authenticate
from api.headers import EarlyResponse
from api.requests import JSON_TYPE, StrictRequest
from auth import Caller
from database import UnitOfWork
from ledger import expiry, idempotency
from ledger.core import Ledger
from ledger.editing import Precondition
from problems import NotFound
from users.accounts import Accounts
from users.client_address import Client, read_client
from users.sessions import Sessions
from values.etags import ENTITY_TAGS_SCHEMA, IF_MATCH, IF_NONE_MATCH, EntityTags
from values.fields import LARGEST_ID, Omittable
from values.shapes import callers_currency

_ROW_ID: Final = re.compile(r"[1-9][0-9]{0,18}")


async def _open_ledger(request: StrictRequest, scope: str | None) -> Ledger:
    unit: UnitOfWork = request.scope["unit"]
    return Ledger(await authenticate(request, scope), unit, request.app.state.settings.trash_days)


async def _lock_ledger(request: StrictRequest, scope: str | None) -> Ledger:
    unit: UnitOfWork = request.scope["unit"]
    caller = await authenticate(request, scope, writes=True)
    ledger = Ledger(caller, unit, request.app.state.settings.trash_days)
    await ledger.lock()
    # Before anything is validated: what was answered once is answered so again, whatever has become of it.
    key = await _read_key_or_replay(ledger, request)
    request.scope["conclude"] = partial(_finish_write, ledger, key, request.compute_fingerprint)
    # FastAPI reads the body next; what its amount must fit is then known.
    callers_currency.set(ledger.owner.currency)
    return ledger


async def _read_key_or_replay(ledger: Ledger, request: StrictRequest) -> str | None:
    """Return the request's Idempotency-Key, if it has one; what was answered to it before is the answer."""
    lines = request.headers.getlist(idempotency.KEY_HEADER)
    if not lines:
        return None
    key = idempotency.parse_key(lines)
    if known := await idempotency.recall(ledger, key, request.compute_fingerprint()):
        named = {"Location": known.location, "ETag": known.etag, idempotency.REPLAYED_HEADER: "true"}
        headers = {name: value for name, value in named.items() if value is not None}
        raise EarlyResponse(Response(known.body, known.status, headers, JSON_TYPE if known.body else None))
    return key


async def _finish_write(ledger: Ledger, key: str | None, fingerprint: Callable[[], str], response: Response) -> None:
    """Do what is to be committed together with the effect of a request: remember its answer, sweep in passing."""
    if key is not None:
        headers, body = response.headers, bytes(response.body).decode()
        answer = idempotency.StoredAnswer(response.status_code, headers.get("Location"), headers.get("ETag"), body)
        await idempotency.remember(ledger, key, fingerprint(), answer)
    if ledger.is_sweep_due:
        await expiry.sweep(ledger)


async def read_precondition(
    if_match: Annotated[
        Omittable[EntityTags],
        Header(alias=IF_MATCH, description="Change it only if its `ETag` is still this, or one of these; or `*`."),
    ] = None,
    if_none_match: Annotated[Omittable[EntityTags], Header(alias=IF_NONE_MATCH, include_in_schema=False)] = None,
) -> Precondition:
    """Return what must be so of the row that a change is for."""
    return Precondition(if_match, if_none_match)


async def read_bulk_precondition(
    if_match: Annotated[Omittable[EntityTags], Header(alias=IF_MATCH, include_in_schema=False)] = None,
    if_none_match: Annotated[Omittable[EntityTags], Header(alias=IF_NONE_MATCH, include_in_schema=False)] = None,
) -> Precondition:
    """Return what must be so of many rows, which have no tag that it could name."""
    return Precondition(if_match, if_none_match)


async def get_unit_of_work(request: Request) -> UnitOfWork:
    """Return the request's unit of work."""
    unit: UnitOfWork = request.scope["unit"]
    return unit


async def get_accounts(request: Request) -> Accounts:
    """Return what the application does with accounts."""
    accounts: Accounts = request.app.state.accounts
    return accounts


async def get_sessions(request: Request) -> Sessions:
    """Return what opens the application's sessions and keeps them going."""
    sessions: Sessions = request.app.state.sessions
    return sessions


async def get_client(request: Request) -> Client:
    """Return where the request comes from."""
    return read_client(request.client and request.client.host, request.headers.get("user-agent"))


def _parse_row_id(value: object) -> int:
    # What is no id is no row: the same answer as for a stranger's.
    if not isinstance(value, str) or not _ROW_ID.fullmatch(value) or int(value) > LARGEST_ID:
        raise NotFound
    return int(value)


RowId = Annotated[int, Field(ge=1, le=LARGEST_ID), BeforeValidator(_parse_row_id)]
"""The id in a path."""
Reader = Annotated[Ledger, Security(BearerDependency(_open_ledger, "read"))]
"""The caller's ledger, to read."""
Writer = Annotated[Ledger, Security(BearerDependency(_lock_ledger, "write"))]
"""The caller's ledger, locked, to change."""
AnyCaller = Annotated[Caller, Security(BearerDependency(authenticate, "read"))]
"""The caller, who may be a script."""
SignedInCaller = Annotated[Caller, Security(BearerDependency(authenticate))]
"""The caller, who has signed in with the password."""
PreconditionDep = Annotated[Precondition, Depends(read_precondition)]
"""What the client wants to be so of what it changes."""
BulkPreconditionDep = Annotated[Precondition, Depends(read_bulk_precondition)]
"""The same where many rows are changed, which have no tag: a client that sends one is refused, and none is offered."""
UnitOfWorkDep = Annotated[UnitOfWork, Depends(get_unit_of_work)]
"""The request's unit of work, for what belongs to no ledger."""
AccountsDep = Annotated[Accounts, Depends(get_accounts)]
"""What the application does with accounts."""
SessionsDep = Annotated[Sessions, Depends(get_sessions)]
"""What opens the application's sessions and keeps them going."""
ClientDep = Annotated[Client, Depends(get_client)]
"""Where the request comes from."""

REQUEST_HEADERS: Final = (
    (
        Reader,
        {
            "name": IF_NONE_MATCH,
            "in": "header",
            "required": False,
            "description": "The `ETag` of the answer that you have: if it still holds, the answer is an empty 304.",
            "schema": ENTITY_TAGS_SCHEMA,
        },
    ),
    (
        Writer,
        {
            "name": idempotency.KEY_HEADER,
            "in": "header",
            "required": False,
            "description": "A key of your own, such as a UUID. The same request with the same key is done once: sent "
            "again within 24 hours, it is answered as the first time, with `Idempotency-Replayed: true`.",
            "schema": idempotency.KEY_SCHEMA,
        },
    ),
)
"""What those who come through a door may send along."""
