"""The route class: it runs a request as one unit of work, and commits before it sends the answer.

    read the body       strictly, and with limits on its size and time (api/requests.py)
    open a unit         a unit of work: it opens a connection when the first statement needs one
    dependencies        authenticate the caller; for a write, lock the ledger; a repeated Idempotency-Key ends here
                          with the stored answer
    endpoint            gets validated parameters and returns a schema; it never commits
    conclusion          stores the answer for the Idempotency-Key, and deletes expired rows
    commit
    send the answer

After a lost race or a lost connection before the commit, everything but reading the body is run again; infra/faults.py
has the table of errors. If the connection is lost during the commit, the answer is `outcome_unknown`. All tries
together have one deadline.
"""

import asyncio
import inspect
import random
from collections.abc import Awaitable, Callable, Iterator
from http import HTTPMethod, HTTPStatus
from typing import Annotated, Any, Final

from fastapi import Query, Response, params
from fastapi.exceptions import RequestValidationError
from fastapi.params import Depends
from pydantic import BaseModel

from api.bearer import READ_ONLY_DETAIL, check_token, find_bearer_dependencies, list_markers
from api.body_sizes import MAX_BODY_BYTES, body_too_large_problem
from api.deadlines import Deadline
from api.dependencies import (
    REQUEST_HEADERS,
    AccountsDep,
    BulkAccountsDep,
    BulkEditor,
    BulkWriter,
    PreconditionDep,
    Reader,
    Writer,
)
from api.headers import EarlyResponse
from api.openapi import SCRIPT_SCHEME
from api.plain_route import Handler, PlainRoute
from api.problem_json import document_problems
from api.request_log import get_log_context
from api.requests import FORM_EXPECTED, FORM_TYPE, JSON_TYPE, NoFields, StrictRequest
from api.unknown_names import suggest_names
from api.uploads import MALFORMED_UPLOAD, UPLOAD_EXPECTED, UPLOAD_TYPE
from infra.engines import HASH_DEADLINE, LONG_DEADLINE, READ_DEADLINE, WRITE_DEADLINE
from infra.faults import CommitLost, Fault, classify_fault, describe_error
from infra.log import logger
from ledger import idempotency
from ledger.editing import Precondition
from problems import (
    IdempotencyKeyReused,
    InsufficientScope,
    InvalidToken,
    MalformedBody,
    NotAuthenticated,
    OutcomeUnknown,
    PreconditionFailed,
    Problem,
    TokenExpired,
    TooManyRequests,
    Unavailable,
    UnsupportedMediaType,
    ValidationFailed,
)
from values.field_errors import field_error, parameter_error, translate_errors
from values.shapes import WithAmount, WithManyItems

REPEAT_WITH_KEY: Final = (
    "The connection to the database was lost during the commit, so the change may have been made: repeat the request "
    "with the same Idempotency-Key, and it is made only once."
)
MAX_TRIES: Final = {Fault.RETRY: 4, Fault.DISCONNECTED: 2}


async def refuse_parameters(_: Annotated[NoFields, Query()]) -> None:
    """Refuse every query parameter, so that a misspelt one is not ignored."""


def _has_query(endpoint: Callable[..., Any]) -> bool:
    return any(isinstance(mark, params.Query) for mark in list_markers(endpoint))


class LedgerRoute(PlainRoute):
    """Runs an endpoint as one unit of work: commits before it answers, and runs it again after a lost race."""

    def __init__(
        self, path: str, endpoint: Callable[..., Any], *, max_body_size: int | None = None, **options: Any
    ) -> None:
        """Take FastAPI's options of a route, and document its request headers, security and problems.

        `max_body_size` is in bytes; FastAPI's own check is not used, because it answers in plain text.
        """
        # The constructor calls `get_route_handler`, which needs these two.
        self.max_body_bytes = max_body_size or MAX_BODY_BYTES
        # If an endpoint has no query, a second route refuses every parameter. Only requests with a query take it:
        # validating an empty query takes a twentieth of a request's time.
        refusing = {"dependencies": [*(options.get("dependencies") or ()), Depends(refuse_parameters)]}
        self._with_query = None if _has_query(endpoint) else PlainRoute(path, endpoint, **options | refusing)
        super().__init__(path, endpoint, **options)
        self.responses = document_problems(self._list_problems(), beside=self.responses)
        if self._has_parameter(Reader):
            self.responses[HTTPStatus.NOT_MODIFIED.value] = {
                "description": "Not changed: `If-None-Match` has its current `ETag`."
            }
        headers = [header for kinds, header in REQUEST_HEADERS if self._has_parameter(*kinds)]
        scopes = [dependency.scope for dependency in find_bearer_dependencies(self.endpoint) if dependency.scope]
        # A personal access token with this scope is accepted too; OpenAPI 3.1 writes the scope as a role.
        tokens = [{SCRIPT_SCHEME: [scope]} for scope in scopes]
        extra = {"parameters": headers, "security": tokens}
        self.openapi_extra = {name: value for name, value in extra.items() if value}

    @property
    def media_type(self) -> str | None:
        """The media type of the endpoint's body, or None if it has no body."""
        return getattr(self.body_field.field_info, "media_type", JSON_TYPE) if self.body_field else None

    @property
    def is_read(self) -> bool:
        """Whether the route only reads: its one method is GET."""
        return self.methods == {HTTPMethod.GET}

    @property
    def is_bulk_delete(self) -> bool:
        """Whether the route deletes rows without an id in its path; a client could think that its body selects them."""
        return self.methods == {HTTPMethod.DELETE} and "{" not in self.path

    @property
    def deadline(self) -> float:
        """Seconds for dependencies, endpoint and commit, with all tries."""
        if self.is_read:
            return READ_DEADLINE
        if self._has_parameter(BulkWriter, BulkEditor, BulkAccountsDep) or self.media_type == UPLOAD_TYPE:
            return LONG_DEADLINE
        return HASH_DEADLINE if self._has_parameter(AccountsDep) else WRITE_DEADLINE

    def build_responder(self) -> Handler:
        """Build the function that answers a request, as the module describes."""
        handle, read_body, deadline = super().build_responder(), self._build_body_reader(), self.deadline
        # A preview of a file takes as long as its import.
        has_short_dry_run = self._has_parameter(BulkEditor) and self.media_type != UPLOAD_TYPE
        handle_query = self._with_query.respond if self._with_query else handle

        async def handle_request(strict: StrictRequest) -> Response:
            try:
                await read_body(strict)
                seconds = READ_DEADLINE if has_short_dry_run and strict.is_dry_run else deadline
                return await run_with_deadline(
                    seconds, handle_query if strict.scope["query_string"] else handle, strict
                )
            except RequestValidationError as error:
                # The frame of `Arguments.call`, to which the traceback refers, refers to the errors.
                raise self._explain(error.with_traceback(None), strict) from None
            finally:
                strict.end()

        return handle_request

    def _build_body_reader(self) -> Callable[[StrictRequest], Awaitable[None]]:
        """Build the function that reads the body of a request, before its unit of work begins."""
        media_type, schema, most = self.media_type, self._find_body_schema(), self.max_body_bytes
        has_body = media_type is not None or self.is_bulk_delete

        async def read_body(strict: StrictRequest) -> None:
            if most > MAX_BODY_BYTES:
                # A large body is read only for a caller with a valid token.
                await run_with_deadline(READ_DEADLINE, check_token, strict)
            if schema and media_type == UPLOAD_TYPE:
                await strict.read_upload(schema, most)
            elif has_body:
                await strict.read_body(media_type, most)
            if schema and issubclass(schema, WithManyItems):
                await strict.parse_items(schema)

        return read_body

    def _explain(self, error: RequestValidationError, request: StrictRequest) -> ValidationFailed:
        """Return the problem with all field errors, including decimals that the account's currency does not have."""
        body = self._find_body_schema()
        errors = suggest_names(translate_errors(error.errors()), request, body)
        if request.caller and body and issubclass(body, WithAmount):
            errors += body.list_unfit_amounts(error.body, request.caller.currency, errors)
        return ValidationFailed(errors=errors)

    def _find_body_schema(self) -> type[BaseModel] | None:
        annotation = self.body_field.field_info.annotation if self.body_field else None
        return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None

    def _has_parameter(self, *kinds: object) -> bool:
        """Whether the endpoint has a parameter of one of these types."""
        annotations = [parameter.annotation for parameter in inspect.signature(self.endpoint).parameters.values()]
        return any(annotation is kind for annotation in annotations for kind in kinds)

    def _list_problems(self) -> Iterator[Problem]:
        """Yield an example of each problem that follows from the endpoint's parameters and body."""
        for dependency in find_bearer_dependencies(self.endpoint):
            yield from (NotAuthenticated(), InvalidToken(), TokenExpired())
            if dependency.scope != "read":
                yield InsufficientScope(READ_ONLY_DETAIL if dependency.scope else "")
        yield TooManyRequests()
        if self._has_parameter(Writer, BulkWriter, BulkEditor) or self.media_type == UPLOAD_TYPE:
            yield IdempotencyKeyReused()
        if self._has_parameter(PreconditionDep):
            yield PreconditionFailed(errors=Precondition(if_match=frozenset()).list_failures(1))
        large = body_too_large_problem(self.max_body_bytes)
        if self.media_type == FORM_TYPE:
            yield from (MalformedBody(FORM_EXPECTED), large, UnsupportedMediaType(FORM_EXPECTED))
            yield ValidationFailed(errors=[field_error("/password", "required", "This is required.")])
        elif self.media_type == UPLOAD_TYPE:
            yield from (MalformedBody(MALFORMED_UPLOAD), large, UnsupportedMediaType(UPLOAD_EXPECTED))
            yield ValidationFailed(errors=[field_error("/file", "required", "This is required.")])
        elif self.media_type == JSON_TYPE:
            yield from (MalformedBody(), large, UnsupportedMediaType())
            yield ValidationFailed(errors=[field_error("/tpyo", "unknown", "There is no such field.")])
        else:
            if self.is_bulk_delete:
                yield from (MalformedBody(), large)
            yield ValidationFailed(errors=[parameter_error("tpyo", "unknown", "There is no such parameter here.")])


async def run_with_deadline(seconds: float, handle: Handler, request: StrictRequest) -> Response:
    """Run a handler as one unit of work, which is committed, and again after a lost race; raise Unavailable if late."""
    left = max(0, seconds - request.turn.late)
    try:
        async with asyncio.timeout(left) as timeout:
            request.deadline = Deadline(timeout, left)
            return await _run_and_commit(handle, request)
    except TimeoutError:
        logger.warning("exceeded its deadline of %s seconds", seconds, extra=get_log_context(request.scope))
        raise Unavailable from None


async def _run_and_commit(handle: Handler, request: StrictRequest) -> Response:
    tries = 0
    while True:
        tries += 1
        try:
            async with request.services.database.new_unit(
                request.deadline.statements_end, request.turn.give_away
            ) as unit:
                request.start_try(unit)
                if tries > 1:
                    await request.wait_for_turn()
                response = await handle(request)
                if request.conclusion:
                    await request.conclusion(response)
                await unit.commit()
                return response
        except EarlyResponse as early:
            return early.response
        except CommitLost as lost:
            logger.warning("the outcome of the commit is unknown: %s", lost, extra=get_log_context(request.scope))
            has_key = request.conclusion is not None and idempotency.KEY_HEADER in request.headers
            raise OutcomeUnknown(REPEAT_WITH_KEY if has_key else "") from lost
        except (Problem, RequestValidationError):
            raise
        except Exception as error:
            fault = classify_fault(error)
            if fault is None:
                raise
            if tries >= MAX_TRIES.get(fault, 1):
                logger.warning(
                    "failed after %s tries: %s", tries, describe_error(error), extra=get_log_context(request.scope)
                )
                raise (TooManyRequests if fault is Fault.OWN_QUEUE else Unavailable) from error
        await asyncio.sleep(random.uniform(0, 0.02) * 2**tries)  # noqa: S311
