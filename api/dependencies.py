"""The doors: who may, as types of a signature, and what the headers of a request say of what is behind them."""

from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import Header, Request, Response, Security
from fastapi.params import Depends
from pydantic_core import PydanticCustomError

from api.bearer import Door, who_calls
from api.requests import JSON, StrictRequest
from auth import Caller
from database import UnitOfWork
from ledger import expiry, idempotency
from ledger.core import Ledger
from problems import ValidationFailed
from users.accounts import Accounts
from users.client_address import Visitor, visitor
from users.sessions import Sessions
from values.etags import IF_MATCH, IF_NONE_MATCH, TAGS_SCHEMA, Precondition, Tags, is_among, read_tags
from values.field_errors import at_header
from values.fields import Given
from values.shapes import callers_currency


class Answered(Exception):
    """There is no need to go on: this is the answer."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


async def _to_read(request: StrictRequest, scope: str | None) -> Ledger:
    unit: UnitOfWork = request.scope["unit"]
    return Ledger(await who_calls(request, scope), unit, request.app.state.settings.trash_days)


async def _to_write(request: StrictRequest, scope: str | None) -> Ledger:
    unit: UnitOfWork = request.scope["unit"]
    caller = await who_calls(request, scope, writes=True)
    ledger = Ledger(caller, unit, request.app.state.settings.trash_days)
    await ledger.lock()
    # Before anything is validated: what was answered once is answered so again, whatever has become of it.
    key = await _key_of(ledger, request)
    request.scope["conclude"] = partial(_conclude, ledger, key, request.fingerprint)
    # FastAPI reads the body next; what its amount must fit is then known.
    callers_currency.set(ledger.owner.currency)
    return ledger


async def _key_of(ledger: Ledger, request: StrictRequest) -> str | None:
    """Return the request's Idempotency-Key, if it has one; what was answered to it before is the answer."""
    lines = request.headers.getlist(idempotency.HEADER)
    if not lines:
        return None
    key = idempotency.read_key(lines)
    if known := await idempotency.recall(ledger, key, request.fingerprint()):
        named = {"Location": known.location, "ETag": known.etag, idempotency.REPLAYED: "true"}
        headers = {name: value for name, value in named.items() if value is not None}
        raise Answered(Response(known.body, known.status, headers, JSON if known.body else None))
    return key


async def _conclude(ledger: Ledger, key: str | None, fingerprint: Callable[[], str], response: Response) -> None:
    """Do what is to be committed together with the effect of a request: remember its answer, sweep in passing."""
    if key is not None:
        headers, body = response.headers, bytes(response.body).decode()
        answer = idempotency.Remembered(response.status_code, headers.get("Location"), headers.get("ETag"), body)
        await idempotency.remember(ledger, key, fingerprint(), answer)
    if ledger.is_to_be_swept:
        await expiry.sweep(ledger)


async def precondition(
    if_match: Annotated[
        Given[Tags],
        Header(alias=IF_MATCH, description="Change it only if its `ETag` is still this, or one of these; or `*`."),
    ] = None,
    if_none_match: Annotated[Given[Tags], Header(alias=IF_NONE_MATCH, include_in_schema=False)] = None,
) -> Precondition:
    """Return what must be so of the row that a change is for."""
    return Precondition(if_match, if_none_match)


async def precondition_of_many(
    if_match: Annotated[Given[Tags], Header(alias=IF_MATCH, include_in_schema=False)] = None,
    if_none_match: Annotated[Given[Tags], Header(alias=IF_NONE_MATCH, include_in_schema=False)] = None,
) -> Precondition:
    """Return what must be so of many rows, which have no tag that it could name."""
    return Precondition(if_match, if_none_match)


def unless_seen(request: Request, response: Response, tag: str) -> None:
    """Tag the answer, and end here with a 304 where the client has it already (RFC 9110 section 13.1.2)."""
    response.headers["ETag"] = tag
    lines = request.headers.getlist(IF_NONE_MATCH)
    if not lines:
        return
    try:
        seen = read_tags(lines)
    except PydanticCustomError as refused:
        raise ValidationFailed(errors=[at_header(IF_NONE_MATCH, refused.type, refused.message())]) from None
    if is_among(tag, seen):
        raise Answered(Response(status_code=HTTPStatus.NOT_MODIFIED, headers={"ETag": tag}))


async def unit_of_work(request: Request) -> UnitOfWork:
    """Return the request's unit of work."""
    unit: UnitOfWork = request.scope["unit"]
    return unit


async def the_accounts(request: Request) -> Accounts:
    """Return what the application does with accounts."""
    accounts: Accounts = request.app.state.accounts
    return accounts


async def the_sessions(request: Request) -> Sessions:
    """Return what opens the application's sessions and keeps them going."""
    sessions: Sessions = request.app.state.sessions
    return sessions


async def the_visitor(request: Request) -> Visitor:
    """Return where the request comes from."""
    return visitor(request.client and request.client.host, request.headers.get("user-agent"))


Reader = Annotated[Ledger, Security(Door(_to_read, "read"))]
"""The caller's ledger, to read."""
Writer = Annotated[Ledger, Security(Door(_to_write, "write"))]
"""The caller's ledger, locked, to change."""
Known = Annotated[Caller, Security(Door(who_calls, "read"))]
"""The caller, who may be a script."""
SignedIn = Annotated[Caller, Security(Door(who_calls))]
"""The caller, who has signed in with the password."""
Condition = Annotated[Precondition, Depends(precondition)]
"""What the client wants to be so of what it changes."""
ConditionOfMany = Annotated[Precondition, Depends(precondition_of_many)]
"""The same where many rows are changed, which have no tag: a client that sends one is refused, and none is offered."""
Unit = Annotated[UnitOfWork, Depends(unit_of_work)]
"""The request's unit of work, for what belongs to no ledger."""
TheAccounts = Annotated[Accounts, Depends(the_accounts)]
"""What the application does with accounts."""
TheSessions = Annotated[Sessions, Depends(the_sessions)]
"""What opens the application's sessions and keeps them going."""
TheVisitor = Annotated[Visitor, Depends(the_visitor)]
"""Where the request comes from."""

HEADERS: Final = (
    (
        Reader,
        {
            "name": IF_NONE_MATCH,
            "in": "header",
            "required": False,
            "description": "The `ETag` of the answer that you have: if it still holds, the answer is an empty 304.",
            "schema": TAGS_SCHEMA,
        },
    ),
    (
        Writer,
        {
            "name": idempotency.HEADER,
            "in": "header",
            "required": False,
            "description": "A key of your own, such as a UUID. The same request with the same key is done once: sent "
            "again within 24 hours, it is answered as the first time, with `Idempotency-Replayed: true`.",
            "schema": idempotency.KEY_SCHEMA,
        },
    ),
)
"""What those who come through a door may send along."""
