"""The edge: one route class that runs a request as one unit of work, and commits before it answers."""

import asyncio
import inspect
import random
from collections.abc import Callable, Coroutine, Iterator
from http import HTTPMethod, HTTPStatus
from typing import Annotated, Any, Final, TypeVar

from fastapi import Query, Request, Response, params
from fastapi.exceptions import RequestValidationError
from fastapi.params import Depends
from fastapi.routing import APIRoute

from api.bearer import READ_ONLY, admit, doors_of, marks_of
from api.dependencies import HEADERS, Answered, Condition, Reader, Writer
from api.openapi import FOR_SCRIPTS
from api.requests import FORM, FORM_WANTED, JSON, MOST_BYTES, Nothing, StrictRequest, deletes_many, too_large
from database import Database
from infra.engines import LONG_SECONDS, READ_SECONDS, WRITE_SECONDS
from infra.faults import CommitLost, Fault, described, fault_of
from infra.log import log_context, logger
from ledger import idempotency
from problems import (
    IdempotencyKeyReused,
    InsufficientScope,
    InternalError,
    InvalidToken,
    MalformedBody,
    NotAuthenticated,
    OutcomeUnknown,
    PreconditionFailed,
    Problem,
    TokenExpired,
    Unavailable,
    UnsupportedMediaType,
    ValidationFailed,
    documented,
)
from values.etags import Precondition
from values.field_errors import at, at_parameter

STATEMENTS_SHARE: Final = 0.9
REPEAT_IT: Final = (
    "The connection to the database was lost during the commit, so it may have happened: repeat it with the same "
    "Idempotency-Key, and it happens once."
)
MOST_BYTES_OF_MANY: Final = 1024 * 1024
TRIES: Final = {Fault.AGAIN: 4, Fault.LOST: 2}

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
Answer = Callable[[Request], Coroutine[Any, Any, Response]]


async def refuse_parameters(_: Annotated[Nothing, Query()]) -> None:
    """Refuse every query parameter: a typo must not be ignored."""


def _takes_query(endpoint: Callable[..., Any]) -> bool:
    return any(isinstance(mark, params.Query) for mark in marks_of(endpoint))


def takes_long(endpoint: Endpoint) -> Endpoint:
    """Give an endpoint the time that hashing a password, or changing every row of a ledger, may take."""
    endpoint.seconds = LONG_SECONDS  # type: ignore[attr-defined]
    return endpoint


def takes_much(endpoint: Endpoint) -> Endpoint:
    """Give an endpoint a body of up to a mebibyte."""
    endpoint.most_bytes = MOST_BYTES_OF_MANY  # type: ignore[attr-defined]
    return endpoint


class LedgerRoute(APIRoute):
    """Runs an endpoint as one unit of work: commits before the answer leaves, and runs it again after a lost race.

    What it answers to an Idempotency-Key is stored in the same transaction.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        """Refuse unknown query parameters too where the endpoint takes none, and document what such a route can say."""
        # Validating a query that is hardly ever there would cost each request a twentieth of its time.
        refusing = {"dependencies": [*(options.get("dependencies") or ()), Depends(refuse_parameters)]}
        self._with_query = None if _takes_query(endpoint) else APIRoute(path, endpoint, **options | refusing)
        super().__init__(path, endpoint, **options)
        self.responses = documented(self._usual(), beside=self.responses)
        if self._is_for(Reader):
            self.responses[HTTPStatus.NOT_MODIFIED.value] = {"description": "You have this answer already."}
        headers = [header for door, header in HEADERS if self._is_for(door)]
        scopes = [door.scope for door in doors_of(self.endpoint) if door.scope]
        # A personal token opens it instead of a sign-in (OpenAPI 3.1 has the scope as a role).
        tokens = [{FOR_SCRIPTS: [scope]} for scope in scopes]
        said = {"parameters": headers, "security": tokens}
        self.openapi_extra = {name: them for name, them in said.items() if them}

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
        most_bytes = getattr(self.endpoint, "most_bytes", MOST_BYTES)
        handle_query = self._with_query.get_route_handler() if self._with_query else handle
        seconds = getattr(self.endpoint, "seconds", READ_SECONDS if self.is_read else WRITE_SECONDS)

        async def answer(request: Request) -> Response:
            strict = StrictRequest(request.scope, request.receive)
            if most_bytes > MOST_BYTES:
                # Nobody's large body is read who has not signed in.
                await _run_within(READ_SECONDS, admit, strict)
            if media_type or deletes_many(self):
                await strict.read(media_type, most_bytes)
            return await _run_within(seconds, handle_query if request.scope["query_string"] else handle, strict)

        return answer

    def _is_for(self, kind: object) -> bool:
        """Whether the endpoint has a parameter of this type."""
        return any(it.annotation is kind for it in inspect.signature(self.endpoint).parameters.values())

    def _usual(self) -> Iterator[Problem]:
        """Yield an example of each problem that every operation of this kind can meet."""
        for door in doors_of(self.endpoint):
            yield from (NotAuthenticated(), InvalidToken(), TokenExpired())
            if door.scope != "read":
                yield InsufficientScope(READ_ONLY if door.scope else "")
        if self._is_for(Writer):
            yield IdempotencyKeyReused()
        if self._is_for(Condition):
            yield PreconditionFailed(errors=Precondition(if_match=frozenset()).unmet(1))
        large = too_large(getattr(self.endpoint, "most_bytes", MOST_BYTES))
        if self.media_type == FORM:
            yield from (MalformedBody(FORM_WANTED), large, UnsupportedMediaType(FORM_WANTED))
            yield ValidationFailed(errors=[at("/password", "required", "This is required.")])
        elif self.media_type == JSON:
            yield from (MalformedBody(), large, UnsupportedMediaType())
            yield ValidationFailed(errors=[at("/tpyo", "unknown", "There is no such field.")])
        else:
            if deletes_many(self):
                yield from (MalformedBody(), large)
            yield ValidationFailed(errors=[at_parameter("tpyo", "unknown", "There is no such parameter here.")])
        yield from (InternalError(), Unavailable())
        if not self.is_read:
            yield OutcomeUnknown(REPEAT_IT if self._is_for(Writer) else "")


async def _run_within(seconds: float, handle: Answer, request: StrictRequest) -> Response:
    # A statement on SQLite is stopped a little earlier, so that it fails in order and its connection lives on.
    until = asyncio.get_running_loop().time() + seconds * STATEMENTS_SHARE
    try:
        async with asyncio.timeout(seconds):
            return await _run(handle, request, request.app.state.database, until)
    except TimeoutError:
        logger.warning("was not done within %s seconds", seconds, extra=log_context(request.scope))
        raise Unavailable from None


async def _run(handle: Answer, request: StrictRequest, database: Database, until: float) -> Response:
    tries = 0
    while True:
        tries += 1
        try:
            async with database.unit(until) as unit:
                request.scope["unit"], request.scope["conclude"] = unit, None
                response = await handle(request)
                if conclude := request.scope["conclude"]:
                    await conclude(response)
                await unit.commit()
                return response
        except Answered as answered:
            return answered.response
        except CommitLost as lost:
            logger.warning("may have happened: %s", lost, extra=log_context(request.scope))
            has_key = request.scope["conclude"] is not None and idempotency.HEADER in request.headers
            raise OutcomeUnknown(REPEAT_IT if has_key else "") from lost
        except (Problem, RequestValidationError):
            raise
        except Exception as error:
            fault = fault_of(error)
            if fault is None:
                raise
            if tries >= TRIES.get(fault, 1):
                logger.warning("gave up: %s", described(error), extra=log_context(request.scope))
                raise Unavailable from error
        await asyncio.sleep(random.uniform(0, 0.02) * 2**tries)  # noqa: S311
