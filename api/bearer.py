"""Bearer tokens (RFC 6750): authenticates the caller, and checks the scope of a personal access token."""

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Final

from fastapi import Request, Response
from fastapi.security import OAuth2PasswordBearer

from api.openapi import SIGN_IN_SCHEME
from api.problem_json import TOKEN_PATH
from api.request_log import get_log_context
from api.requests import StrictRequest
from auth import Caller, load_caller
from infra.faults import CommitLost, classify_fault, describe_error
from infra.log import logger
from infra.request_context import note_user
from problems import InsufficientScope, NotAuthenticated
from users import personal_tokens

READ_ONLY_DETAIL: Final = "This personal access token may only read: make another with the scope write."
WRITE_SCOPE_CHALLENGE: Final = 'Bearer error="insufficient_scope", scope="write"'


class BearerDependency(OAuth2PasswordBearer):
    """A FastAPI dependency that authenticates the caller, and a security scheme of the document."""

    def __init__(
        self, build: Callable[[StrictRequest, str | None], Coroutine[Any, Any, Any]], scope: str | None = None
    ) -> None:
        """`build` makes the value of the parameter; a personal token must have `scope` (None: none is accepted)."""
        description = "Your user name or e-mail, and your password."
        super().__init__(TOKEN_PATH, scheme_name=SIGN_IN_SCHEME, description=description)
        self.scope = scope
        self._build = build

    async def __call__(self, request: StrictRequest) -> Any:  # type: ignore[override]  # noqa: ANN401
        """Authenticate the caller and build the value of the parameter."""
        return await self._build(request, self.scope)


def _read_token(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise NotAuthenticated
    return token.strip()


async def check_token(request: StrictRequest) -> Response:
    """Check the token before a large body is read; raise NotAuthenticated, InvalidToken or TokenExpired.

    From now on the request counts for its account, so that of one account's large bodies one is parsed after the other.
    The empty response is not sent: the function is run as a handler, so that it has a deadline and is tried again.
    """
    token = _read_token(request)
    if personal_tokens.is_personal_token(token):
        holder = await personal_tokens.load_token_holder(await request.unit.connection(), token)
        await _count_for(request, holder.caller.id)
    else:
        await _count_for(request, request.services.access_tokens.read(token).user_id)
    return Response()


async def authenticate(request: StrictRequest, scope: str | None, *, writes: bool = False) -> Caller:
    """Return the caller; raise InsufficientScope if a personal access token does not have the `scope`.

    If the scope is None, no personal access token is accepted.
    """
    token = _read_token(request)
    if personal_tokens.is_personal_token(token):
        request.caller = await _authenticate_script(request, token, scope)
    else:
        request.caller = await _authenticate_session(request, token, writes=writes)
    return request.caller


async def _count_for(request: StrictRequest, account: int) -> None:
    """Let the request count for an account; if that has its share of the turns already, wait for the next."""
    request.unit.act_for(account)
    if not request.turn.count_for(account):
        await request.unit.release()
        await request.wait_for_turn()


async def _authenticate_session(request: StrictRequest, token: str, *, writes: bool) -> Caller:
    claims = request.services.access_tokens.read(token)
    # The token names the user, so a write can wait in the user's queue before it takes its one connection.
    await _count_for(request, claims.user_id)
    connection = await request.unit.begin(claims.user_id) if writes else await request.unit.connection()
    caller = await load_caller(connection, claims)
    note_user(caller.id)
    return caller


async def _authenticate_script(request: StrictRequest, token: str, scope: str | None) -> Caller:
    holder = await personal_tokens.load_token_holder(await request.unit.connection(), token)
    note_user(holder.caller.id)
    await _count_for(request, holder.caller.id)
    if holder.is_use_record_due:
        await _record_use(request, holder)
        await request.wait_for_turn()
    if scope is None:
        raise InsufficientScope
    if scope not in holder.scopes:
        raise InsufficientScope(READ_ONLY_DETAIL, headers={"WWW-Authenticate": WRITE_SCOPE_CHALLENGE})
    return holder.caller


async def _record_use(request: StrictRequest, holder: personal_tokens.TokenHolder) -> None:
    try:
        await personal_tokens.record_use(request.unit, holder)
    except Exception as error:
        # If the use cannot be recorded now, the request goes on.
        if classify_fault(error) is None and not isinstance(error, CommitLost):
            raise
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            # The request was cancelled during this commit.
            raise asyncio.CancelledError from None
        logger.warning(
            "did not record the use of a personal token: %s",
            describe_error(error),
            extra=get_log_context(request.scope),
        )


def find_bearer_dependencies(endpoint: Callable[..., Any]) -> Iterator[BearerDependency]:
    """Yield the dependency that authenticates the caller of an endpoint, if it has one."""
    yield from (
        dependency
        for mark in list_markers(endpoint)
        if isinstance(dependency := getattr(mark, "dependency", None), BearerDependency)
    )


def list_markers(endpoint: Callable[..., Any]) -> Iterator[Any]:
    """Yield the metadata of the `Annotated` parameters of an endpoint."""
    for parameter in inspect.signature(endpoint).parameters.values():
        yield from getattr(parameter.annotation, "__metadata__", ())
