"""Middleware: request ids, HEAD, trailing slashes, the common headers of answers, CORS, and unexpected errors.

    request --> RequestMiddleware             sets the request id; HEAD becomes GET; /expenses/ becomes /expenses;
                                                the root path is removed
            --> ProblemCorsMiddleware         answers preflights
            --> UnexpectedErrorMiddleware
            --> routes
    answer  <-- UnexpectedErrorMiddleware     an unexpected exception becomes a 500 problem
            <-- ProblemCorsMiddleware         adds the CORS headers, also to that problem
            <-- RequestMiddleware             adds the common headers; puts the root path before Location and Link;
                                                logs the request

main.py puts them in this order, and uvicorn's ProxyHeadersMiddleware before them if there are trusted proxies.
"""

import re
import secrets
import time
from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problem_json import render_problem, to_problem
from api.root_path import ROOT_KEY, place_header, split_path
from config import Settings
from infra.log import logger
from infra.request_context import get_log_context, log_request, start_request_context
from problems import ValidationFailed
from values.field_errors import FieldError

REQUEST_ID_PATTERN: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")
CONTENT_POLICY: Final = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
COMMON_HEADERS: Final = ((b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer"))
NO_STORE: Final = (b"cache-control", b"no-store")
NO_CACHE: Final = (b"cache-control", b"private, no-cache")
VARY: Final = (b"vary", b"Authorization, Origin")

LOCAL_ORIGINS: Final = r"https?://(localhost|127\.0\.0\.1)(:[0-9]{1,5})?"
EXPOSED_HEADERS: Final = [
    "Location",
    "Link",
    "ETag",
    "X-Request-ID",
    "WWW-Authenticate",
    "Retry-After",
    "Idempotency-Replayed",
    "Content-Disposition",
]
ALLOWED_HEADERS: Final = [
    "Authorization",
    "Content-Type",
    "If-Match",
    "If-None-Match",
    "Idempotency-Key",
    "X-Request-ID",
]
# The names that headers may have (RFC 9110 section 5.6.2).
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
PREFLIGHT_SECONDS: Final = 2 * 60 * 60

Header = tuple[bytes, bytes]


class RequestMiddleware:
    """Sets the request id, normalises method and path, adds the common headers, and logs the request at its end.

    HEAD becomes GET, and the answer is sent without its body (RFC 9110 section 9.3.2). `/expenses/` becomes `/expenses`
    without a redirect, which would repeat any Host header that a client sends. The root path is removed from the
    path, and put before the paths in `Location` and `Link`.
    """

    def __init__(self, app: ASGIApp, root_path: str = "") -> None:
        self._app = app
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_headers = dict(scope["headers"])
        request_id = request_headers.get(b"x-request-id", b"")
        if not REQUEST_ID_PATTERN.fullmatch(request_id):
            request_id = secrets.token_hex(8).encode()
        root, path = split_path(scope, self._root_path)
        is_signed_in = b"authorization" in request_headers
        added = _build_headers(request_id, is_account=path.startswith("/users"), is_signed_in=is_signed_in)
        is_head = scope["method"] == "HEAD"
        status: int | None = None

        async def send_response(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                # FastAPI sends a Content-Type even if there is no body.
                is_empty = message["status"] == HTTPStatus.NO_CONTENT
                present = [header for header in message["headers"] if not (is_empty and header[0] == b"content-type")]
                placed = [place_header(header, root) for header in present] if root else present
                message["headers"] = _merge_headers(placed, added)
            elif is_head:
                message = {**message, "body": b""}
            await send(message)

        start_request_context(request_id.decode(), scope["method"])
        normalized = {**scope, "root_path": "", ROOT_KEY: root}
        if is_head:
            normalized["method"] = "GET"
        # `DELETE /expenses/` may be a path whose id a client has lost: it must not delete the collection.
        is_id_missing = scope["method"] == "DELETE" and not path[-2:-1].isdecimal()
        is_slashed = len(path) > 1 and path.endswith("/") and not path.endswith("//") and not is_id_missing
        normalized["path"] = path[:-1] if is_slashed else path
        started = time.perf_counter()
        try:
            await self._app(normalized, receive, send_response)
        finally:
            log_request(normalized, status, time.perf_counter() - started)


def _build_headers(request_id: bytes, *, is_account: bool, is_signed_in: bool) -> list[Header]:
    headers = [(b"x-request-id", request_id), *COMMON_HEADERS]
    if is_account or is_signed_in:
        headers.append(NO_STORE if is_account else NO_CACHE)
    if is_signed_in:
        headers.append(VARY)
    return headers


def _merge_headers(present: list[Header], added: list[Header]) -> list[Header]:
    # The added headers replace those present, but a documentation page keeps its own Content-Security-Policy.
    names = {name for name, _ in added}
    others = [header for header in present if header[0] not in names]
    policy = [] if any(name == CONTENT_POLICY[0] for name, _ in others) else [CONTENT_POLICY]
    return [*others, *added, *policy]


class ProblemCorsMiddleware(CORSMiddleware):
    """CORS that allows any request header, and answers a refused preflight with a problem.

    Tracing tools add their own headers to every request of a page. Allowing any header is safe, because browsers send
    no credentials to this service by themselves: a page must have the token.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        headers = Headers(scope=scope) if scope.get("method") == "OPTIONS" else Headers()
        if {"origin", "access-control-request-method"} <= set(headers):
            send_response = self.preflight_response(headers)
            if send_response.status_code == HTTPStatus.OK:
                send_response.headers["Access-Control-Allow-Headers"] = _list_allowed_headers(headers)
            else:
                dropped = ("content-", "access-control-allow-headers", "access-control-allow-private-network")
                others = {name: value for name, value in send_response.headers.items() if not name.startswith(dropped)}
                send_response = render_problem(
                    Request(scope), ValidationFailed(errors=[self._explain_refusal(headers)], headers=others)
                )
            await send_response(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    def _explain_refusal(self, headers: Headers) -> FieldError:
        if not self.is_allowed_origin(headers["origin"]):
            return FieldError(
                {"header": "Origin"}, "not_allowed", "Pages of this origin may not call: see CORS_ORIGINS."
            )
        return FieldError({"header": "Access-Control-Request-Method"}, "not_allowed", "No address takes this method.")


def _list_allowed_headers(headers: Headers) -> str:
    """Return the headers that a page may send: ALLOWED_HEADERS and all others that the preflight asks for.

    It is a list because `*` does not allow Authorization.
    """
    requested = (name.strip() for name in headers.get("access-control-request-headers", "").split(","))
    known = {name.lower() for name in ALLOWED_HEADERS}
    others = (name for name in requested if _TOKEN.fullmatch(name) and name.lower() not in known)
    return ", ".join([*ALLOWED_HEADERS, *others])


def build_cors(settings: Settings) -> Middleware:
    """Return the CORS middleware for the origins of CORS_ORIGINS, by default those of localhost; without cookies."""
    return Middleware(
        ProblemCorsMiddleware,
        allow_origins=settings.cors_origins,
        allow_origin_regex=None if settings.cors_origins else LOCAL_ORIGINS,
        allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["*"],
        # A public page may call a service in a home network: https://wicg.github.io/private-network-access/
        allow_private_network=True,
        expose_headers=EXPOSED_HEADERS,
        max_age=PREFLIGHT_SECONDS,
    )


class UnexpectedErrorMiddleware:
    """Turns an unexpected exception into a 500 problem; inside CORS, so that a page in a browser can read it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception as error:
            if scope["type"] != "http" or started:
                raise
            logger.exception("met what nobody expected", extra=get_log_context(scope))
            await render_problem(Request(scope), to_problem(error))(scope, receive, send)
