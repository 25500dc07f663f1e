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

MEDIA_TYPE: Final = "application/problem+json"
TOKEN_PATH: Final = "/users/token"  # noqa: S105
RETRY_SECONDS: Final = 2


@dataclass(frozen=True, slots=True)
class Entry:
    """One field that is to blame: where it is, a code for programs, a sentence for people."""

    place: Mapping[str, str]
    code: str
    detail: str

    def as_json(self) -> dict[str, str]:
        """Return the entry as a member of `errors`."""
        return {**self.place, "code": self.code, "detail": self.detail}


def at(pointer: str, code: str, detail: str) -> Entry:
    """Blame a field of the body, by JSON Pointer (RFC 6901)."""
    return Entry({"pointer": pointer}, code, detail)


def at_parameter(name: str, code: str, detail: str) -> Entry:
    """Blame a parameter of the query."""
    return Entry({"parameter": name}, code, detail)


@dataclass(eq=False)
class Problem(Exception):
    """Something went wrong."""

    status: ClassVar[HTTPStatus]
    code: ClassVar[str]
    detail: str = ""
    errors: Sequence[Entry] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    members: Mapping[str, Any] = field(default_factory=dict)

    def __init_subclass__(cls) -> None:
        """Name the problem after its class: CategoryInUse is category_in_use."""
        cls.code = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cls.__name__).lower()

    def __post_init__(self) -> None:
        """Say the class's own sentence unless there is a better one."""
        self.detail = self.detail or sentence(type(self))


def title(problem: "Problem | type[Problem]") -> str:
    """Return the name of a problem's status as RFC 9110 has it; older Pythons know two of them by older names."""
    return {413: "Content Too Large", 422: "Unprocessable Content"}.get(problem.status, problem.status.phrase)


def sentence(problem: type[Problem]) -> str:
    """Return what a problem of this class says: its docstring."""
    return " ".join((problem.__doc__ or "").split())


class MalformedBody(Problem):
    """The body is not JSON: send one UTF-8 JSON object without duplicate keys."""

    status = HTTPStatus.BAD_REQUEST


class NotAuthenticated(Problem):
    """Sign in first: send the header Authorization: Bearer with an access token from POST /users/token."""

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
    """The access token has expired: sign in again; in /docs, press Authorize again."""

    challenge = 'Bearer error="invalid_token", error_description="The access token expired"'


class InvalidCredentials(NotAuthenticated):
    """The user name or the password is wrong."""


class NotFound(Problem):
    """There is nothing here."""

    status = HTTPStatus.NOT_FOUND


class MethodNotAllowed(Problem):
    """This address does not take that method; the Allow header lists those it takes."""

    status = HTTPStatus.METHOD_NOT_ALLOWED


class AlreadyExists(Problem):
    """Something of this name is there already."""

    status = HTTPStatus.CONFLICT


class CategoryInUse(Problem):
    """This category still holds expenses: say where they go, with move_to=NAME or uncategorized=true."""

    status = HTTPStatus.CONFLICT


class PreconditionFailed(Problem):
    """The row has changed since you read it: read it again, then repeat."""

    status = HTTPStatus.PRECONDITION_FAILED


class BodyTooLarge(Problem):
    """The body is too large for this address."""

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


# What pydantic and FastAPI call a refusal, in the words of ours; what is not here keeps its own.
_ENTRY_CODES: Final = {
    "missing": "required",
    "extra_forbidden": "unknown",
    "string_too_short": "too_short",
    "string_too_long": "too_long",
    "greater_than": "out_of_range",
    "greater_than_equal": "out_of_range",
    "less_than": "out_of_range",
    "less_than_equal": "out_of_range",
    "literal_error": "not_allowed",
    "enum": "not_allowed",
    "string_pattern_mismatch": "malformed",
    "string_unicode": "malformed",
    "value_error": "malformed",
    "json_invalid": "malformed",
}
OWN_CODES: Final = frozenset(
    {
        "required",
        "unknown",
        "wrong_type",
        "malformed",
        "too_short",
        "too_long",
        "out_of_range",
        "not_allowed",
        "already_exists",
        "not_found",
        "precondition_failed",
    }
)
_DETAILS: Final = {
    "required": "This is required.",
    "unknown": "There is no such field.",
    "string_unicode": "This is no valid Unicode text.",
    "model_attributes_type": "Send a JSON object.",
    "model_type": "Send a JSON object.",
}
NAME_SHOWN: Final = 64
# A body can hold six thousand made-up keys; not all of them need be told.
MOST_ENTRIES: Final = 1_000


def entries(error: RequestValidationError) -> list[Entry]:
    """Return what FastAPI refused as entries, without echoing any value."""
    return [_entry(refusal) for refusal in error.errors()[:MOST_ENTRIES]]


def _entry(refusal: Mapping[str, Any]) -> Entry:
    where, *path = refusal["loc"]
    kind = refusal["type"]
    if where == "query" and len(path) == 1 and isinstance(refusal.get("input"), list) and kind != "extra_forbidden":
        return Entry(_place(where, path), "not_allowed", "Give this once.")
    code = kind if kind in OWN_CODES else _ENTRY_CODES.get(kind, "wrong_type")
    return Entry(_place(where, path), code, _detail(kind, code, where, refusal["msg"]))


def _detail(kind: str, code: str, where: str, message: str) -> str:
    if code == "unknown" and where == "query":
        return "There is no such parameter here."
    return _DETAILS.get(kind) or _DETAILS.get(code) or message


def _place(where: str, path: Sequence[str | int]) -> Mapping[str, str]:
    # A name that the client made up may be anything: shown short and printable, as JSON cannot carry lone surrogates.
    names = [str(part)[:NAME_SHOWN].encode("utf-8", "replace").decode() for part in path]
    if where == "body":
        return {"pointer": "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in names)}
    return {"header" if where == "header" else "parameter": names[0] if names else ""}


def problem_of(error: Exception) -> Problem:
    """Return the problem that an error is: one of ours, one of the framework's, or what nobody expected."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, RequestValidationError):
        return ValidationFailed(errors=entries(error))
    if isinstance(error, HTTPException):
        kinds: dict[int, type[Problem]] = {
            HTTPStatus.NOT_FOUND: NotFound,
            HTTPStatus.METHOD_NOT_ALLOWED: MethodNotAllowed,
        }
        return kinds.get(error.status_code, MalformedBody)(headers=dict(error.headers or {}))
    return InternalError()


def render(request: Request, problem: Problem) -> Response:
    """Return the answer that a problem is."""
    body = {
        "type": "about:blank",
        "title": title(problem),
        "status": problem.status.value,
        "detail": problem.detail,
        "code": problem.code,
        "request_id": request.scope.get("request_id", ""),
        **problem.members,
    }
    if problem.errors:
        body["errors"] = [entry.as_json() for entry in problem.errors]
    if request.scope["path"] == TOKEN_PATH:
        body |= _oauth_members(problem)
    return Response(
        json.dumps(body, ensure_ascii=False, separators=(",", ":")), problem.status, dict(problem.headers), MEDIA_TYPE
    )


def _oauth_members(problem: Problem) -> dict[str, str]:
    # RFC 6749 sections 5.2 and 4.1.2.1; Swagger's Authorize shows these two and nothing else.
    kinds = {401: "invalid_grant", 500: "server_error", 503: "temporarily_unavailable"}
    described = " ".join([problem.detail, *(f"{_named(entry)}: {entry.detail}" for entry in problem.errors)])
    return {"error": kinds.get(problem.status, "invalid_request"), "error_description": described}


def _named(entry: Entry) -> str:
    return next(iter(entry.place.values())).lstrip("/")


def documented(problems: Iterable[type[Problem]]) -> dict[int | str, dict[str, Any]]:
    """Return the problems as responses of an OpenAPI operation, one example each."""
    responses: dict[int | str, dict[str, Any]] = {}
    for problem in problems:
        response = responses.setdefault(problem.status.value, {"description": title(problem), "content": {}})
        content = response["content"].setdefault(
            MEDIA_TYPE, {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}
        )
        content["examples"][problem.code] = {"summary": sentence(problem), "value": _example(problem)}
    return responses


def _example(problem: type[Problem]) -> dict[str, Any]:
    return {
        "type": "about:blank",
        "title": title(problem),
        "status": problem.status.value,
        "detail": sentence(problem),
        "code": problem.code,
        "request_id": "0b8ff8cd7e6e4a1f",
    }
