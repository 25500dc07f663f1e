"""The tree of errors a client can meet, and the one renderer of all of them (RFC 9457)."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, ClassVar, Final

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from values.field_errors import FieldError, header_error, translate_errors

MEDIA_TYPE: Final = "application/problem+json"
TOKEN_PATH: Final = "/users/token"  # noqa: S105
RETRY_SECONDS: Final = 2
PROBLEM_REF: Final = {"$ref": "#/components/schemas/Problem"}


@dataclass(eq=False)
class Problem(Exception):
    """Something went wrong."""

    status: ClassVar[HTTPStatus]
    code: ClassVar[str]
    detail: str = ""
    errors: Sequence[FieldError] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    members: Mapping[str, Any] = field(default_factory=dict)

    def __init_subclass__(cls) -> None:
        """Name the problem after its class: CategoryInUse is category_in_use."""
        cls.code = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cls.__name__).lower()

    def __post_init__(self) -> None:
        """Say the class's own sentence unless there is a better one."""
        self.detail = self.detail or get_default_detail(type(self))


def get_title(problem: Problem) -> str:
    """Return the name of a problem's status as RFC 9110 has it; older Pythons know two of them by older names."""
    return {413: "Content Too Large", 422: "Unprocessable Content"}.get(problem.status, problem.status.phrase)


def get_default_detail(problem: type[Problem]) -> str:
    """Return what a problem of this class says: its docstring."""
    return " ".join((problem.__doc__ or "").split())


class MalformedBody(Problem):
    """The body is not JSON: send one UTF-8 JSON object without duplicate keys."""

    status = HTTPStatus.BAD_REQUEST


class NotAuthenticated(Problem):
    """Sign in first: send the header Authorization: Bearer with a token, from POST /users/token or /users/me/tokens."""

    status = HTTPStatus.UNAUTHORIZED

    def __post_init__(self) -> None:
        """Add the challenge that RFC 6750 section 3 asks for."""
        super().__post_init__()
        self.headers = {"WWW-Authenticate": self.challenge, **self.headers}

    challenge: ClassVar[str] = "Bearer"


class InvalidToken(NotAuthenticated):
    """This access token is not valid, or its session has ended: sign in again."""

    challenge = 'Bearer error="invalid_token"'


class TokenExpired(InvalidToken):
    """The access token has expired: POST /users/token/refresh, or sign in again; in /docs, press Authorize again."""

    challenge = 'Bearer error="invalid_token", error_description="The access token expired"'


class InvalidCredentials(NotAuthenticated):
    """The user name or the password is wrong."""


class RefreshTokenReused(NotAuthenticated):
    """This refresh token was used before, so that it may have been stolen: its session has ended. Sign in again."""

    challenge = InvalidToken.challenge


class InsufficientScope(Problem):
    """A personal access token does not open this: sign in with the password."""

    status = HTTPStatus.FORBIDDEN

    def __post_init__(self) -> None:
        """Add the challenge that RFC 6750 section 3.1 asks for."""
        super().__post_init__()
        self.headers = {"WWW-Authenticate": 'Bearer error="insufficient_scope"', **self.headers}


class NotFound(Problem):
    """There is nothing here."""

    status = HTTPStatus.NOT_FOUND


class MethodNotAllowed(Problem):
    """This address does not take that method; the Allow header lists those it takes."""

    status = HTTPStatus.METHOD_NOT_ALLOWED


class AlreadyExists(Problem):
    """Something like this is there already."""

    status = HTTPStatus.CONFLICT


class CategoryInUse(Problem):
    """This category still holds expenses or budgets: say where they go, with move_to=NAME or uncategorized=true."""

    status = HTTPStatus.CONFLICT


class PreconditionFailed(Problem):
    """The row has changed since you read it: read it again, then repeat."""

    status = HTTPStatus.PRECONDITION_FAILED


class BodyTooLarge(Problem):
    """The body is too large."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class UnsupportedMediaType(Problem):
    """Send the body as JSON, with the header Content-Type: application/json and no Content-Encoding."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class ValidationFailed(Problem):
    """Some of what you sent was refused; `errors` says what and why."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


class WrongPassword(Problem):
    """The current password is wrong."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


class TooMany(Problem):
    """An account holds no more of these."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


class FilterRequired(Problem):
    """Say which expenses: without any filter these would be all of them. If that is meant, give a span of days."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


class IdempotencyKeyReused(Problem):
    """This Idempotency-Key was sent with another request before: make a new key for each thing you do."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY

    def __post_init__(self) -> None:
        """Blame the header."""
        super().__post_init__()
        detail = "It belongs to another method, address, query or body."
        self.errors = self.errors or [header_error("Idempotency-Key", "not_allowed", detail)]


class ResyncRequired(Problem):
    """Your copy is ahead of this server, which was set back to a backup: drop the copy and start again with since=0."""

    status = HTTPStatus.GONE


class TooManyAttempts(Problem):
    """Too many attempts: wait as many seconds as the header Retry-After says."""

    status = HTTPStatus.TOO_MANY_REQUESTS


class InternalError(Problem):
    """Something broke on our side; nothing was changed. Quote the request_id when you report it."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR


class Unavailable(Problem):
    """The service cannot do this now and nothing happened: repeat it in a moment."""

    status = HTTPStatus.SERVICE_UNAVAILABLE

    def __post_init__(self) -> None:
        """Say when to come back."""
        super().__post_init__()
        self.headers = {"Retry-After": str(RETRY_SECONDS), **self.headers}


class OutcomeUnknown(Unavailable):
    """The connection to the database was lost during the commit, so it may have happened: look before you repeat it."""


def to_problem(error: Exception) -> Problem:
    """Return the problem that an error is: one of ours, one of the framework's, or what nobody expected."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, RequestValidationError):
        return ValidationFailed(errors=translate_errors(error.errors()))
    if isinstance(error, HTTPException):
        kinds: dict[int, type[Problem]] = {
            HTTPStatus.NOT_FOUND: NotFound,
            HTTPStatus.METHOD_NOT_ALLOWED: MethodNotAllowed,
        }
        return kinds.get(error.status_code, MalformedBody)(headers=dict(error.headers or {}))
    return InternalError()


def render_problem(request: Request, problem: Problem) -> Response:
    """Return the answer that a problem is."""
    body = to_members(problem, request.scope.get("request_id", ""))
    if request.scope["path"] == TOKEN_PATH:
        body |= _build_oauth_members(problem)
    return Response(
        json.dumps(body, ensure_ascii=False, separators=(",", ":")), problem.status, dict(problem.headers), MEDIA_TYPE
    )


def to_members(problem: Problem, request_id: str) -> dict[str, Any]:
    """Return the members of a problem (RFC 9457 section 3.1, and our own)."""
    body = {
        "type": "about:blank",
        "title": get_title(problem),
        "status": problem.status.value,
        "detail": problem.detail,
        "code": problem.code,
        "request_id": request_id,
        **problem.members,
    }
    return body | {"errors": [entry.to_json() for entry in problem.errors]} if problem.errors else body


def _build_oauth_members(problem: Problem) -> dict[str, str]:
    # RFC 6749 sections 5.2 and 4.1.2.1; Swagger's Authorize shows these two and nothing else.
    kinds = {
        401: "invalid_grant",
        429: "temporarily_unavailable",
        500: "server_error",
        503: "temporarily_unavailable",
    }
    described = " ".join([problem.detail, *(f"{_get_field_name(entry)}: {entry.detail}" for entry in problem.errors)])
    return {"error": kinds.get(problem.status, "invalid_request"), "error_description": described}


def _get_field_name(entry: FieldError) -> str:
    return next(iter(entry.location.values())).lstrip("/")


Responses = dict[int | str, dict[str, Any]]


def document_problems(problems: Iterable[Problem], beside: Responses | None = None) -> Responses:
    """Return the problems as responses of an OpenAPI operation, an example each, beside those that it has already."""
    responses: Responses = {}
    for problem in problems:
        example = {"summary": problem.detail, "value": to_members(problem, "0b8ff8cd7e6e4a1f")}
        response = responses.setdefault(problem.status.value, {"description": get_title(problem), "content": {}})
        content = response["content"].setdefault(MEDIA_TYPE, {"schema": PROBLEM_REF, "examples": {}})
        content["examples"][problem.code] = example
    for status, response in (beside or {}).items():
        usual = responses.setdefault(status, response)
        if usual is not response and MEDIA_TYPE in response.get("content", {}):
            usual["content"][MEDIA_TYPE]["examples"] |= response["content"][MEDIA_TYPE]["examples"]
    return responses
