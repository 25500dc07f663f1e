"""Credentials: the token of a request, whose it is, and what it opens."""

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Final

from fastapi import Request, Response
from fastapi.security import OAuth2PasswordBearer

from api.requests import StrictRequest
from auth import Caller, caller_of
from database import UnitOfWork
from infra.faults import CommitLost, described, fault_of
from infra.log import log_context, logger, note_user
from problems import TOKEN_PATH, InsufficientScope, NotAuthenticated
from users import personal_tokens

READ_ONLY: Final = "This personal access token may only read: make another with the scope write."
WRITE_WANTED: Final = 'Bearer error="insufficient_scope", scope="write"'


class Door(OAuth2PasswordBearer):
    """A dependency that lets in who bears a good token, and a security scheme in the document."""

    def __init__(
        self, opened: Callable[[StrictRequest, str | None], Coroutine[Any, Any, Any]], scope: str | None = None
    ) -> None:
        """Make what lies behind the door with `opened`; a personal token opens it too, if it has the `scope`."""
        description = "Your user name or e-mail, and your password."
        super().__init__(TOKEN_PATH, scheme_name="SignIn", description=description)
        self.scope = scope
        self._opened = opened

    async def __call__(self, request: StrictRequest) -> Any:  # type: ignore[override]  # noqa: ANN401
        """Verify the token, find out whose it is, and open."""
        return await self._opened(request, self.scope)


def _token(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise NotAuthenticated
    return token.strip()


async def admit(request: Request) -> Response:
    """Look at the token alone, before a large body is read; raise NotAuthenticated where there is none that is good."""
    token, unit = _token(request), request.scope["unit"]
    if personal_tokens.is_personal(token):
        await personal_tokens.bearer_of(await unit.connection(), token)
    else:
        request.app.state.tokens.read(token)
    return Response()


async def who_calls(request: StrictRequest, scope: str | None, *, writes: bool = False) -> Caller:
    """Return who is calling; raise InsufficientScope where that is a script whose token does not open this door."""
    unit: UnitOfWork = request.scope["unit"]
    token = _token(request)
    if personal_tokens.is_personal(token):
        return await _scripts_owner(request, unit, token, scope)
    claims = request.app.state.tokens.read(token)
    # The token says whose turn to wait for, so that one connection serves from the first query to the commit.
    connection = await unit.begin(claims.user_id) if writes else await unit.connection()
    caller = await caller_of(connection, claims)
    note_user(caller.id)
    return caller


async def _scripts_owner(request: StrictRequest, unit: UnitOfWork, token: str, scope: str | None) -> Caller:
    bearer = await personal_tokens.bearer_of(await unit.connection(), token)
    note_user(bearer.caller.id)
    if bearer.is_to_be_noted:
        await _note_use(request, unit, bearer)
    if scope is None:
        raise InsufficientScope
    if scope not in bearer.scopes:
        raise InsufficientScope(READ_ONLY, headers={"WWW-Authenticate": WRITE_WANTED})
    return bearer.caller


async def _note_use(request: StrictRequest, unit: UnitOfWork, bearer: personal_tokens.Bearer) -> None:
    try:
        await personal_tokens.note_use(unit, bearer)
    except Exception as error:
        # The request goes on where that cannot be done now.
        if fault_of(error) is None and not isinstance(error, CommitLost):
            raise
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            # It was to end, at the commit of all places.
            raise asyncio.CancelledError from None
        logger.warning(
            "did not note the use of a personal token: %s", described(error), extra=log_context(request.scope)
        )


def doors_of(endpoint: Callable[..., Any]) -> Iterator[Door]:
    """Yield the door that an endpoint is behind, if it is behind one."""
    yield from (it for mark in marks_of(endpoint) if isinstance(it := getattr(mark, "dependency", None), Door))


def marks_of(endpoint: Callable[..., Any]) -> Iterator[Any]:
    """Yield what the types of an endpoint's parameters are annotated with."""
    for parameter in inspect.signature(endpoint).parameters.values():
        yield from getattr(parameter.annotation, "__metadata__", ())
