"""Credentials: the token of a request, whose it is, and what it opens."""

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Final

from fastapi import Request, Response
from fastapi.security import OAuth2PasswordBearer

from api.problem_json import TOKEN_PATH
from api.requests import StrictRequest
from auth import Caller, load_caller
from database import UnitOfWork
from infra.faults import CommitLost, classify_fault, describe_error
from infra.log import get_log_context, logger, note_user
from problems import InsufficientScope, NotAuthenticated
from users import personal_tokens

READ_ONLY_DETAIL: Final = "This personal access token may only read: make another with the scope write."
WRITE_SCOPE_CHALLENGE: Final = 'Bearer error="insufficient_scope", scope="write"'


class BearerDependency(OAuth2PasswordBearer):
    """A dependency that lets in who bears a good token, and a security scheme in the document."""

    def __init__(
        self, build: Callable[[StrictRequest, str | None], Coroutine[Any, Any, Any]], scope: str | None = None
    ) -> None:
        """`build` makes the value of the parameter; a personal token is good for it only with the `scope`."""
        description = "Your user name or e-mail, and your password."
        super().__init__(TOKEN_PATH, scheme_name="SignIn", description=description)
        self.scope = scope
        self._build = build

    async def __call__(self, request: StrictRequest) -> Any:  # type: ignore[override]  # noqa: ANN401
        """Verify the token, find out whose it is, and open."""
        return await self._build(request, self.scope)


def _read_token(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise NotAuthenticated
    return token.strip()


async def check_token(request: Request) -> Response:
    """Look at the token alone, before a large body is read; raise NotAuthenticated where there is none that is good."""
    token, unit = _read_token(request), request.scope["unit"]
    if personal_tokens.is_personal_token(token):
        await personal_tokens.load_token_holder(await unit.connection(), token)
    else:
        request.app.state.tokens.read(token)
    return Response()


async def authenticate(request: StrictRequest, scope: str | None, *, writes: bool = False) -> Caller:
    """Return who is calling; raise InsufficientScope where that is a script whose token does not open this door."""
    unit: UnitOfWork = request.scope["unit"]
    token = _read_token(request)
    if personal_tokens.is_personal_token(token):
        return await _authenticate_script(request, unit, token, scope)
    claims = request.app.state.tokens.read(token)
    # The token says whose turn to wait for, so that one connection serves from the first query to the commit.
    connection = await unit.begin(claims.user_id) if writes else await unit.connection()
    caller = await load_caller(connection, claims)
    note_user(caller.id)
    return caller


async def _authenticate_script(request: StrictRequest, unit: UnitOfWork, token: str, scope: str | None) -> Caller:
    bearer = await personal_tokens.load_token_holder(await unit.connection(), token)
    note_user(bearer.caller.id)
    if bearer.is_use_record_due:
        await _record_use(request, unit, bearer)
    if scope is None:
        raise InsufficientScope
    if scope not in bearer.scopes:
        raise InsufficientScope(READ_ONLY_DETAIL, headers={"WWW-Authenticate": WRITE_SCOPE_CHALLENGE})
    return bearer.caller


async def _record_use(request: StrictRequest, unit: UnitOfWork, bearer: personal_tokens.TokenHolder) -> None:
    try:
        await personal_tokens.record_use(unit, bearer)
    except Exception as error:
        # The request goes on where that cannot be done now.
        if classify_fault(error) is None and not isinstance(error, CommitLost):
            raise
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            # It was to end, at the commit of all places.
            raise asyncio.CancelledError from None
        logger.warning(
            "did not note the use of a personal token: %s", describe_error(error), extra=get_log_context(request.scope)
        )


def find_bearer_dependencies(endpoint: Callable[..., Any]) -> Iterator[BearerDependency]:
    """Yield the door that an endpoint is behind, if it is behind one."""
    yield from (
        it
        for mark in list_annotations(endpoint)
        if isinstance(it := getattr(mark, "dependency", None), BearerDependency)
    )


def list_annotations(endpoint: Callable[..., Any]) -> Iterator[Any]:
    """Yield what the types of an endpoint's parameters are annotated with."""
    for parameter in inspect.signature(endpoint).parameters.values():
        yield from getattr(parameter.annotation, "__metadata__", ())
