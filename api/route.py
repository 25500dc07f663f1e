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

from api.bearer import READ_ONLY_DETAIL, check_token, find_bearer_dependencies, list_annotations
from api.dependencies import REQUEST_HEADERS, PreconditionDep, Reader, Writer
from api.headers import EarlyResponse
from api.openapi import SCRIPT_SCHEME
from api.problem_json import document_problems
from api.requests import (
    FORM_EXPECTED,
    FORM_TYPE,
    JSON_TYPE,
    MAX_BODY_BYTES,
    NoFields,
    StrictRequest,
    body_too_large_problem,
    is_bulk_delete,
)
from database import Database
from infra.engines import LONG_DEADLINE, READ_DEADLINE, WRITE_DEADLINE
from infra.faults import CommitLost, Fault, classify_fault, describe_error
from infra.log import get_log_context, logger
from ledger import idempotency
from ledger.editing import Precondition
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
)
from values.field_errors import field_error, parameter_error

STATEMENT_SHARE: Final = 0.9
REPEAT_WITH_KEY: Final = (
    "The connection to the database was lost during the commit, so it may have happened: repeat it with the same "
    "Idempotency-Key, and it happens once."
)
MAX_BATCH_BYTES: Final = 1024 * 1024
MAX_TRIES: Final = {Fault.RETRY: 4, Fault.DISCONNECTED: 2}

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


async def refuse_parameters(_: Annotated[NoFields, Query()]) -> None:
    """Refuse every query parameter: a typo must not be ignored."""


def _has_query(endpoint: Callable[..., Any]) -> bool:
    return any(isinstance(mark, params.Query) for mark in list_annotations(endpoint))


def takes_long(endpoint: Endpoint) -> Endpoint:
    """Give an endpoint the time that hashing a password, or changing every row of a ledger, may take."""
    endpoint.seconds = LONG_DEADLINE  # type: ignore[attr-defined]
    return endpoint


def takes_much(endpoint: Endpoint) -> Endpoint:
    """Give an endpoint a body of up to a mebibyte."""
    endpoint.most_bytes = MAX_BATCH_BYTES  # type: ignore[attr-defined]
    return endpoint


class LedgerRoute(APIRoute):
    """Runs an endpoint as one unit of work: commits before the answer leaves, and runs it again after a lost race.

    What it answers to an Idempotency-Key is stored in the same transaction.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        """Refuse unknown query parameters too where the endpoint takes none, and document what such a route can say."""
        # Validating a query that is hardly ever there would cost each request a twentieth of its time.
        refusing = {"dependencies": [*(options.get("dependencies") or ()), Depends(refuse_parameters)]}
        self._with_query = None if _has_query(endpoint) else APIRoute(path, endpoint, **options | refusing)
        super().__init__(path, endpoint, **options)
        self.responses = document_problems(self._list_problems(), beside=self.responses)
        if self._has_parameter(Reader):
            self.responses[HTTPStatus.NOT_MODIFIED.value] = {"description": "You have this answer already."}
        headers = [header for door, header in REQUEST_HEADERS if self._has_parameter(door)]
        scopes = [door.scope for door in find_bearer_dependencies(self.endpoint) if door.scope]
        # A personal token opens it instead of a sign-in (OpenAPI 3.1 has the scope as a role).
        tokens = [{SCRIPT_SCHEME: [scope]} for scope in scopes]
        said = {"parameters": headers, "security": tokens}
        self.openapi_extra = {name: them for name, them in said.items() if them}

    @property
    def media_type(self) -> str | None:
        """The type of the body that the endpoint takes, or None."""
        field = self.body_field
        return None if field is None else FORM_TYPE if isinstance(field.field_info, params.Form) else JSON_TYPE

    @property
    def is_read(self) -> bool:
        """Whether it changes nothing."""
        return self.methods == {HTTPMethod.GET}

    def get_route_handler(self) -> Handler:
        """Wrap FastAPI's own handler."""
        handle, media_type = super().get_route_handler(), self.media_type
        most_bytes = getattr(self.endpoint, "most_bytes", MAX_BODY_BYTES)
        handle_query = self._with_query.get_route_handler() if self._with_query else handle
        seconds = getattr(self.endpoint, "seconds", READ_DEADLINE if self.is_read else WRITE_DEADLINE)

        async def handle_request(request: Request) -> Response:
            strict = StrictRequest(request.scope, request.receive)
            if most_bytes > MAX_BODY_BYTES:
                # Nobody's large body is read who has not signed in.
                await _run_with_deadline(READ_DEADLINE, check_token, strict)
            if media_type or is_bulk_delete(self):
                await strict.read_body(media_type, most_bytes)
            return await _run_with_deadline(seconds, handle_query if request.scope["query_string"] else handle, strict)

        return handle_request

    def _has_parameter(self, kind: object) -> bool:
        """Whether the endpoint has a parameter of this type."""
        return any(it.annotation is kind for it in inspect.signature(self.endpoint).parameters.values())

    def _list_problems(self) -> Iterator[Problem]:
        """Yield an example of each problem that every operation of this kind can meet."""
        for door in find_bearer_dependencies(self.endpoint):
            yield from (NotAuthenticated(), InvalidToken(), TokenExpired())
            if door.scope != "read":
                yield InsufficientScope(READ_ONLY_DETAIL if door.scope else "")
        if self._has_parameter(Writer):
            yield IdempotencyKeyReused()
        if self._has_parameter(PreconditionDep):
            yield PreconditionFailed(errors=Precondition(if_match=frozenset()).list_failures(1))
        large = body_too_large_problem(getattr(self.endpoint, "most_bytes", MAX_BODY_BYTES))
        if self.media_type == FORM_TYPE:
            yield from (MalformedBody(FORM_EXPECTED), large, UnsupportedMediaType(FORM_EXPECTED))
            yield ValidationFailed(errors=[field_error("/password", "required", "This is required.")])
        elif self.media_type == JSON_TYPE:
            yield from (MalformedBody(), large, UnsupportedMediaType())
            yield ValidationFailed(errors=[field_error("/tpyo", "unknown", "There is no such field.")])
        else:
            if is_bulk_delete(self):
                yield from (MalformedBody(), large)
            yield ValidationFailed(errors=[parameter_error("tpyo", "unknown", "There is no such parameter here.")])
        yield from (InternalError(), Unavailable())
        if not self.is_read:
            yield OutcomeUnknown(REPEAT_WITH_KEY if self._has_parameter(Writer) else "")


async def _run_with_deadline(seconds: float, handle: Handler, request: StrictRequest) -> Response:
    # A statement on SQLite is stopped a little earlier, so that it fails in order and its connection lives on.
    until = asyncio.get_running_loop().time() + seconds * STATEMENT_SHARE
    try:
        async with asyncio.timeout(seconds):
            return await _run_and_commit(handle, request, request.app.state.database, until)
    except TimeoutError:
        logger.warning("was not done within %s seconds", seconds, extra=get_log_context(request.scope))
        raise Unavailable from None


async def _run_and_commit(handle: Handler, request: StrictRequest, database: Database, until: float) -> Response:
    tries = 0
    while True:
        tries += 1
        try:
            async with database.new_unit(until) as unit:
                request.scope["unit"], request.scope["conclude"] = unit, None
                response = await handle(request)
                if conclude := request.scope["conclude"]:
                    await conclude(response)
                await unit.commit()
                return response
        except EarlyResponse as answered:
            return answered.response
        except CommitLost as lost:
            logger.warning("may have happened: %s", lost, extra=get_log_context(request.scope))
            has_key = request.scope["conclude"] is not None and idempotency.KEY_HEADER in request.headers
            raise OutcomeUnknown(REPEAT_WITH_KEY if has_key else "") from lost
        except (Problem, RequestValidationError):
            raise
        except Exception as error:
            fault = classify_fault(error)
            if fault is None:
                raise
            if tries >= MAX_TRIES.get(fault, 1):
                logger.warning("gave up: %s", describe_error(error), extra=get_log_context(request.scope))
                raise Unavailable from error
        await asyncio.sleep(random.uniform(0, 0.02) * 2**tries)  # noqa: S311
