"""The errors that a client is answered with (RFC 9457); `api/problem_json.py` renders them.

The tree of the classes, each with its status:

    Problem
        MalformedBody                   400
        MalformedRequest                400
        NotAuthenticated                401
            InvalidToken                401
                TokenExpired            401
            InvalidCredentials          401
            RefreshTokenReused          401
        InsufficientScope               403
        RegistrationClosed              403
        OriginNotAllowed                403
        NotFound                        404
        MethodNotAllowed                405
        RequestTimeout                  408
        AlreadyExists                   409
        CategoryInUse                   409
        ResyncRequired                  410
        PreconditionFailed              412
        BodyTooLarge                    413
        UriTooLong                      414
        UnsupportedMediaType            415
        HostNotAllowed                  421
        ValidationFailed                422
        WrongPassword                   422
        FilterRequired                  422
        IdempotencyKeyReused            422
        ImportRefused                   422
        TooMany                         422
        TooManyAttempts                 429
        TooManyRequests                 429
        HeadTooLarge                    431
        InternalError                   500
        Unavailable                     503
            OutcomeUnknown              503

The name of the class in snake case is the `code` for programs; its docstring is the `detail` for people, unless the
code that raises it gives another one.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, ClassVar, Final

from values.field_errors import MAX_FIELD_ERRORS, FieldError, header_error

RETRY_SECONDS: Final = 2


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
        """Set the code to the class name in snake case: CategoryInUse has the code category_in_use."""
        cls.code = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cls.__name__).lower()

    def __post_init__(self) -> None:
        """Use the class's docstring as the detail if none is given; keep the first 100 errors, and say so."""
        self.detail = self.detail or get_default_detail(type(self))
        if len(self.errors) > MAX_FIELD_ERRORS:
            self.errors = self.errors[:MAX_FIELD_ERRORS]
            self.detail += f" `errors` has only the first {MAX_FIELD_ERRORS}; there are more."


def get_default_detail(problem: type[Problem]) -> str:
    """Return the docstring of a class of problems on one line."""
    return " ".join((problem.__doc__ or "").split())


class MalformedBody(Problem):
    """The body is not JSON: send one UTF-8 JSON object without duplicate keys."""

    status = HTTPStatus.BAD_REQUEST


class MalformedRequest(Problem):
    """This is no request of HTTP/1.1: its method, a header or its length is broken."""

    status = HTTPStatus.BAD_REQUEST


class NotAuthenticated(Problem):
    """Sign in first: send the header Authorization: Bearer with a token, from POST /users/token or /users/me/tokens."""

    status = HTTPStatus.UNAUTHORIZED

    def __post_init__(self) -> None:
        """Add the header WWW-Authenticate that RFC 6750 section 3 requires."""
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
    """No personal access token is accepted here: sign in with the password."""

    status = HTTPStatus.FORBIDDEN

    def __post_init__(self) -> None:
        """Add the header WWW-Authenticate that RFC 6750 section 3.1 requires."""
        super().__post_init__()
        self.headers = {"WWW-Authenticate": 'Bearer error="insufficient_scope"', **self.headers}


class RegistrationClosed(Problem):
    """This service takes no new accounts: ask whoever runs it to add one for you."""

    status = HTTPStatus.FORBIDDEN


class OriginNotAllowed(Problem):
    """Pages of this origin may change nothing here; the setting CORS_ORIGINS names those that may."""

    status = HTTPStatus.FORBIDDEN

    def __post_init__(self) -> None:
        """Name the header Origin as the field in error."""
        super().__post_init__()
        self.errors = self.errors or [header_error("Origin", "not_allowed", "Pages of this origin may not call.")]


class NotFound(Problem):
    """There is nothing here."""

    status = HTTPStatus.NOT_FOUND


class MethodNotAllowed(Problem):
    """This path does not have that method; the header Allow lists the methods that it has."""

    status = HTTPStatus.METHOD_NOT_ALLOWED


class RequestTimeout(Problem):
    """The method, the address and the headers did not come in time: send them within 10 seconds."""

    status = HTTPStatus.REQUEST_TIMEOUT


class AlreadyExists(Problem):
    """This value must be unique, and another row has it already."""

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


class UriTooLong(Problem):
    """The address is too long: it may have 32 KiB together with the headers."""

    status = HTTPStatus.REQUEST_URI_TOO_LONG


class UnsupportedMediaType(Problem):
    """Send the body as JSON, with the header Content-Type: application/json and no Content-Encoding."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class HostNotAllowed(Problem):
    """This service does not answer to the name in the header Host; the setting ALLOWED_HOSTS names more."""

    status = HTTPStatus.MISDIRECTED_REQUEST

    def __post_init__(self) -> None:
        """Name the header Host as the field in error."""
        super().__post_init__()
        self.errors = self.errors or [header_error("Host", "not_allowed", "This is no name of the service.")]


class ValidationFailed(Problem):
    """Some of what you sent was refused; `errors` says what and why."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


class WrongPassword(Problem):
    """The current password is wrong."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


class ImportRefused(Problem):
    """Nothing was imported: answer each question, and correct or leave out each row, that `errors` names."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


class TooMany(Problem):
    """A limit on what an account may hold is reached."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


class FilterRequired(Problem):
    """Send at least one filter: without one, all expenses match. If you mean all of them, send `from` and `to`."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


class IdempotencyKeyReused(Problem):
    """This Idempotency-Key was sent before, with another request: send a new key with each new request."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY

    def __post_init__(self) -> None:
        """Name the header Idempotency-Key as the field in error."""
        super().__post_init__()
        detail = "It was sent before with another method, path, query or body."
        self.errors = self.errors or [header_error("Idempotency-Key", "not_allowed", detail)]


class ResyncRequired(Problem):
    """Your copy is newer than this server's data, which come from a backup: delete it and start again with since=0."""

    status = HTTPStatus.GONE


class TooManyAttempts(Problem):
    """Too many attempts: wait as many seconds as the header Retry-After says."""

    status = HTTPStatus.TOO_MANY_REQUESTS


class TooManyRequests(Problem):
    """You have too many requests under way: wait, and send it again."""

    status = HTTPStatus.TOO_MANY_REQUESTS

    def __post_init__(self) -> None:
        """Add the header Retry-After."""
        super().__post_init__()
        self.headers = {"Retry-After": str(RETRY_SECONDS), **self.headers}


class HeadTooLarge(Problem):
    """There are too many headers, or they are too long: at most 100, and 32 KiB together with the address."""

    status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE


class InternalError(Problem):
    """Something broke on our side; nothing was changed. Quote the request_id when you report it."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR


class Unavailable(Problem):
    """The service cannot do this now and nothing happened: repeat it in a moment."""

    status = HTTPStatus.SERVICE_UNAVAILABLE

    def __post_init__(self) -> None:
        """Add the header Retry-After."""
        super().__post_init__()
        self.headers = {"Retry-After": str(RETRY_SECONDS), **self.headers}


class OutcomeUnknown(Unavailable):
    """The connection to the database was lost during the commit: check whether the change was made, then repeat it."""
