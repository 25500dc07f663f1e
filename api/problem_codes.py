"""The codes of problems and what a client does about each; the document has them as an enum and as a table."""

from collections.abc import Mapping
from typing import Final

from problems import (
    AlreadyExists,
    BodyTooLarge,
    CategoryInUse,
    FilterRequired,
    HeadTooLarge,
    HostNotAllowed,
    IdempotencyKeyReused,
    ImportRefused,
    InsufficientScope,
    InternalError,
    InvalidCredentials,
    InvalidToken,
    MalformedBody,
    MalformedRequest,
    MethodNotAllowed,
    NotAuthenticated,
    NotFound,
    OriginNotAllowed,
    OutcomeUnknown,
    PreconditionFailed,
    Problem,
    RefreshTokenReused,
    RegistrationClosed,
    RequestTimeout,
    ResyncRequired,
    TokenExpired,
    TooMany,
    TooManyAttempts,
    TooManyRequests,
    Unavailable,
    UnsupportedMediaType,
    UriTooLong,
    ValidationFailed,
    WrongPassword,
)

ADVICE: Final[Mapping[type[Problem], str]] = {
    MalformedBody: "send one JSON object in UTF-8, without duplicate keys, and with at most 100 members in any object; "
    "to `POST /users/token` a form",
    MalformedRequest: "correct the program that sends it: this is no HTTP/1.1",
    NotAuthenticated: "send `Authorization: Bearer …`",
    TokenExpired: "`POST /users/token/refresh`, then repeat; of a personal access token: make another",
    InvalidToken: "the session, or the personal access token, has ended: sign in again, or make another",
    InvalidCredentials: "ask for the user name and the password again",
    RefreshTokenReused: "the session has ended just now, perhaps because somebody else has its token: sign in again",
    InsufficientScope: "make a personal access token with the scope that `WWW-Authenticate` names, or sign in",
    RegistrationClosed: "nobody can register at this service: its operator adds accounts",
    OriginNotAllowed: "a web page may only read: its operator names the page's origin in `CORS_ORIGINS`",
    NotFound: "the path is wrong, or the row is deleted or another user's: do not show it any more",
    MethodNotAllowed: "use one of the methods that `Allow` lists",
    RequestTimeout: "repeat it, and send the whole head within 10 seconds",
    AlreadyExists: "send another value for the field in `errors`, or use the row of yours that `existing_id` names",
    CategoryInUse: "repeat with `move_to=NAME` or with `uncategorized=true`",
    ResyncRequired: "delete your copy and read everything again: `GET /changes?since=0`",
    PreconditionFailed: "read the row again, and repeat the change with its current `revision`",
    BodyTooLarge: "send less at once",
    UriTooLong: "send a shorter query",
    UnsupportedMediaType: "send `Content-Type: application/json` (to `POST /users/token` "
    "`application/x-www-form-urlencoded`) and no `Content-Encoding`",
    HostNotAllowed: "use an address of the service: its operator can name this one in `ALLOWED_HOSTS`",
    ValidationFailed: "correct each field that `errors` names",
    WrongPassword: "ask for the current password again; you are still signed in",
    FilterRequired: "add a filter; if all expenses are meant, `from` and `to`",
    IdempotencyKeyReused: "send a new key with each new request",
    ImportRefused: "answer each question by its option, correct each row, or send `skip_refused`; a preview with "
    "`dry_run=true` shows all of them",
    TooMany: "`detail` names the limit: delete rows of that kind, shorten texts or empty the trash, or ask a report "
    "for a shorter span or fewer groups",
    TooManyAttempts: "wait as many seconds as `Retry-After` says",
    TooManyRequests: "wait as many seconds as `Retry-After` says, then repeat, or do what else `detail` proposes",
    HeadTooLarge: "send fewer and shorter headers",
    InternalError: "nothing was changed; quote the `request_id` when you report it",
    Unavailable: "nothing was changed; repeat after as many seconds as `Retry-After` says",
    OutcomeUnknown: "repeat with the same `Idempotency-Key`; without one, check first whether the change was made",
}
"""What a client does about each problem, in the order of their statuses."""


def list_codes() -> list[str]:
    """Return the codes of all problems."""
    return [kind.code for kind in ADVICE]


def write_table() -> str:
    """Return the table of codes in Markdown."""
    rows = (f"| {kind.status.value} | `{kind.code}` | {advice} |\n" for kind, advice in ADVICE.items())
    return "| status | `code` | what to do |\n|---|---|---|\n" + "".join(rows)
