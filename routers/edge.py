"""The edge: one route class that runs a request as one unit of work and commits before it answers; and who may."""

import asyncio
import inspect
import logging
import random
from collections.abc import Callable, Coroutine, Iterator
from http import HTTPMethod
from typing import Annotated, Any, Final, TypeVar

from fastapi import Query, Request, Response, Security, params
from fastapi.exceptions import RequestValidationError
from fastapi.params import Depends
from fastapi.routing import APIRoute
from fastapi.security import OAuth2PasswordBearer
from starlette.requests import HTTPConnection

from accounts import Accounts
from auth import AccessTokens, Caller, Claims, caller_of
from database import Database, UnitOfWork
from engines import LONG_SECONDS, READ_SECONDS, WRITE_SECONDS
from faults import CommitLost, Fault, described, fault_of
from ledger import Ledger
from problems import (
    TOKEN_PATH,
    BodyTooLarge,
    InternalError,
    InvalidToken,
    MalformedBody,
    NotAuthenticated,
    OutcomeUnknown,
    Problem,
    TokenExpired,
    Unavailable,
    UnsupportedMediaType,
    ValidationFailed,
    documented,
)
from refusals import at, at_parameter
from routers.intake import FORM, FORM_WANTED, JSON, StrictRequest
from shapes import Shape, callers_currency

logger = logging.getLogger("expense_tracker")

STATEMENTS_SHARE: Final = 0.9
TRIES: Final = {Fault.AGAIN: 4, Fault.LOST: 2}

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
Answer = Callable[[Request], Coroutine[Any, Any, Response]]


class NoParameters(Shape):
    """The query of an operation that takes none."""


async def refuse_parameters(_: Annotated[NoParameters, Query()]) -> None:
    """Refuse every query parameter: a typo must not be ignored."""


def _takes_query(endpoint: Callable[..., Any]) -> bool:
    annotations = (parameter.annotation for parameter in inspect.signature(endpoint).parameters.values())
    return any(isinstance(mark, params.Query) for it in annotations for mark in getattr(it, "__metadata__", ()))


# --- One unit of work -------------------------------------------------------------------------------------------------


def takes_long(endpoint: Endpoint) -> Endpoint:
    """Give an endpoint the time that hashing a password, or changing every row of a ledger, may take."""
    endpoint.seconds = LONG_SECONDS  # type: ignore[attr-defined]
    return endpoint


class LedgerRoute(APIRoute):
    """Runs an endpoint as one unit of work: commits before the answer leaves, and runs it again after a lost race."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        """Refuse unknown query parameters too where the endpoint takes none, and document what such a route can say."""
        # Validating a query that is hardly ever there would cost each request a twentieth of its time.
        refusing = {"dependencies": [*(options.get("dependencies") or ()), Depends(refuse_parameters)]}
        self._with_query = None if _takes_query(endpoint) else APIRoute(path, endpoint, **options | refusing)
        super().__init__(path, endpoint, **options)
        self.responses = documented(self._usual(), beside=self.responses)

    @property
    def media_type(self) -> str | None:
        """The type of the body that the endpoint takes, or None."""
        field = self.body_field
        return None if field is None else FORM if isinstance(field.field_info, params.Form) else JSON

    @property
    def is_read(self) -> bool:
        """Whether it changes nothing."""
        return self.methods == {HTTPMethod.GET}

    def get_route_handler(self) -> Answer:
        """Wrap FastAPI's own handler."""
        handle, media_type = super().get_route_handler(), self.media_type
        handle_query = self._with_query.get_route_handler() if self._with_query else handle
        seconds = getattr(self.endpoint, "seconds", READ_SECONDS if self.is_read else WRITE_SECONDS)

        async def answer(request: Request) -> Response:
            strict = StrictRequest(request.scope, request.receive)
            if media_type:
                await strict.read(media_type)
            # A statement on SQLite is stopped a little earlier, so that it fails in order and its connection lives on.
            until = asyncio.get_running_loop().time() + seconds * STATEMENTS_SHARE
            try:
                async with asyncio.timeout(seconds):
                    right = handle_query if request.scope["query_string"] else handle
                    return await _run(right, strict, request.app.state.database, until)
            except TimeoutError:
                logger.warning("request %s was not done within %s seconds", request.scope["request_id"], seconds)
                raise Unavailable from None

        return answer

    def _usual(self) -> Iterator[Problem]:
        """Yield an example of each problem that every operation of this kind can meet."""
        annotations = [parameter.annotation for parameter in inspect.signature(self.endpoint).parameters.values()]
        if any(annotation is door for annotation in annotations for door in (Reader, Writer, SignedIn)):
            yield from (NotAuthenticated(), InvalidToken(), TokenExpired())
        if self.media_type == FORM:
            yield from (MalformedBody(FORM_WANTED), BodyTooLarge(), UnsupportedMediaType(FORM_WANTED))
            yield ValidationFailed(errors=[at("/password", "required", "This is required.")])
        elif self.media_type == JSON:
            yield from (MalformedBody(), BodyTooLarge(), UnsupportedMediaType())
            yield ValidationFailed(errors=[at("/tpyo", "unknown", "There is no such field.")])
        else:
            yield ValidationFailed(errors=[at_parameter("tpyo", "unknown", "There is no such parameter here.")])
        yield from (InternalError(), Unavailable())
        if not self.is_read:
            yield OutcomeUnknown()


async def _run(handle: Answer, request: StrictRequest, database: Database, until: float) -> Response:
    tries = 0
    while True:
        tries += 1
        try:
            async with database.unit(until) as unit:
                request.scope["unit"] = unit
                response = await handle(request)
                await unit.commit()
                return response
        except CommitLost as lost:
            logger.warning("request %s may have happened: %s", request.scope["request_id"], lost)
            raise OutcomeUnknown from lost
        except (Problem, RequestValidationError):
            raise
        except Exception as error:
            fault = fault_of(error)
            if fault is None:
                raise
            if tries >= TRIES.get(fault, 1):
                logger.warning("request %s gave up: %s", request.scope["request_id"], described(error))
                raise Unavailable from error
        await asyncio.sleep(random.uniform(0, 0.02) * 2**tries)  # noqa: S311


# --- Who may ----------------------------------------------------------------------------------------------------------


class Door(OAuth2PasswordBearer):
    """A dependency that lets in who bears a good access token, and a security scheme in the document."""

    def __init__(self, opened: Callable[[Claims, UnitOfWork], Coroutine[Any, Any, Any]]) -> None:
        """Make what lies behind the door with `opened`."""
        description = "Your user name or e-mail, and your password."
        super().__init__(TOKEN_PATH, scheme_name="SignIn", description=description)
        self._opened = opened

    async def __call__(self, request: HTTPConnection) -> Any:  # noqa: ANN401
        """Verify the token, find its session, and open."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise NotAuthenticated
        return await self._opened(request.app.state.tokens.read(token.strip()), request.scope["unit"])


async def _to_read(claims: Claims, unit: UnitOfWork) -> Ledger:
    return Ledger(await caller_of(await unit.connection(), claims), unit)


async def _to_write(claims: Claims, unit: UnitOfWork) -> Ledger:
    # The token says whose turn to wait for, so that one connection serves from the first query to the commit.
    connection = await unit.begin(claims.user_id)
    ledger = Ledger(await caller_of(connection, claims), unit)
    await ledger.lock()
    # FastAPI reads the body next; what its amount must fit is then known.
    callers_currency.set(ledger.owner.currency)
    return ledger


async def _to_know(claims: Claims, unit: UnitOfWork) -> Caller:
    return await caller_of(await unit.connection(), claims)


async def unit_of_work(request: Request) -> UnitOfWork:
    """Return the request's unit of work."""
    unit: UnitOfWork = request.scope["unit"]
    return unit


async def the_accounts(request: Request) -> Accounts:
    """Return what the application does with accounts."""
    accounts: Accounts = request.app.state.accounts
    return accounts


async def the_tokens(request: Request) -> AccessTokens:
    """Return what issues the application's access tokens."""
    tokens: AccessTokens = request.app.state.tokens
    return tokens


Reader = Annotated[Ledger, Security(Door(_to_read))]
"""The caller's ledger, to read."""
Writer = Annotated[Ledger, Security(Door(_to_write))]
"""The caller's ledger, locked, to change."""
SignedIn = Annotated[Caller, Security(Door(_to_know))]
"""The caller."""
Unit = Annotated[UnitOfWork, Depends(unit_of_work)]
"""The request's unit of work, for what belongs to no ledger."""
TheAccounts = Annotated[Accounts, Depends(the_accounts)]
"""What the application does with accounts."""
TheTokens = Annotated[AccessTokens, Depends(the_tokens)]
"""What issues the application's access tokens."""
