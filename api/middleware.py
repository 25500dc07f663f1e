"""Middleware: the plain form of a request, the headers of every answer, CORS, and unexpected errors."""

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
# What may be the name of a header (RFC 9110 section 5.6.2).
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
PREFLIGHT_SECONDS: Final = 2 * 60 * 60

Header = tuple[bytes, bytes]


class RequestMiddleware:
    """Gives a request its id and its plain form, gives every answer the common headers, and logs the request.

    The plain form: HEAD becomes GET, and the answer is sent without its body (RFC 9110 section 9.3.2). `/expenses/`
    becomes `/expenses`, without a redirect, which would repeat any Host header that a client sends. The path is the one
    below the root path, which `Location` and `Link` get back on their way out.
    """

    def __init__(self, app: ASGIApp, root_path: str = "") -> None:
        self._app = app
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"])
        request_id = given.get(b"x-request-id", b"")
        if not REQUEST_ID_PATTERN.fullmatch(request_id):
            request_id = secrets.token_hex(8).encode()
        root, path = split_path(scope, self._root_path)
        added = _build_headers(request_id, is_account=path.startswith("/users"), is_signed_in=b"authorization" in given)
        is_head = scope["method"] == "HEAD"
        status: int | None = None

        async def send_response(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                # FastAPI names the type of a body also where there is none.
                is_empty = message["status"] == HTTPStatus.NO_CONTENT
                present = [header for header in message["headers"] if not (is_empty and header[0] == b"content-type")]
                placed = [place_header(header, root) for header in present] if root else present
                message["headers"] = _merge_headers(placed, added)
            elif is_head:
                message = {**message, "body": b""}
            await send(message)

        start_request_context(request_id.decode(), scope["method"])
        plain = {**scope, "root_path": "", ROOT_KEY: root}
        if is_head:
            plain["method"] = "GET"
        # A slash is also what is left of a row's address when a client has lost the id: that deletes no collection.
        is_cut_off = scope["method"] == "DELETE" and not path[-2:-1].isdecimal()
        is_slashed = len(path) > 1 and path.endswith("/") and not path.endswith("//") and not is_cut_off
        plain["path"] = path[:-1] if is_slashed else path
        started = time.perf_counter()
        try:
            await self._app(plain, receive, send_response)
        finally:
            log_request(plain, status, time.perf_counter() - started)


def _build_headers(request_id: bytes, *, is_account: bool, is_signed_in: bool) -> list[Header]:
    headers = [(b"x-request-id", request_id), *COMMON_HEADERS]
    if is_account or is_signed_in:
        headers.append(NO_STORE if is_account else NO_CACHE)
    if is_signed_in:
        headers.append(VARY)
    return headers


def _merge_headers(present: list[Header], added: list[Header]) -> list[Header]:
    # A page brings a policy of its own; whatever else is there gives way.
    names = {name for name, _ in added}
    kept = [header for header in present if header[0] not in names]
    policy = [] if any(name == CONTENT_POLICY[0] for name, _ in kept) else [CONTENT_POLICY]
    return [*kept, *added, *policy]


class ProblemCorsMiddleware(CORSMiddleware):
    """CORS that allows any request header, and whose refusals are problems, like every other error.

    Tracing tools add headers of their own to every request of a page, and no header gives away anything: a page of
    another origin has no credentials that a browser would send for it.
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
                kept = {name: value for name, value in send_response.headers.items() if not name.startswith(dropped)}
                send_response = render_problem(
                    Request(scope), ValidationFailed(errors=[self._explain_refusal(headers)], headers=kept)
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


def _list_allowed_headers(asked: Headers) -> str:
    """Return the headers that a page may send: those of the contract, and whichever else it asks for.

    A `*` would not do: it leaves out Authorization.
    """
    others = (name.strip() for name in asked.get("access-control-request-headers", "").split(","))
    known = {name.lower() for name in ALLOWED_HEADERS}
    return ", ".join([*ALLOWED_HEADERS, *(it for it in others if _TOKEN.fullmatch(it) and it.lower() not in known)])


def build_cors(settings: Settings) -> Middleware:
    """Return who may call from a browser: an allow-list, with bearer tokens and never with credentials."""
    return Middleware(
        ProblemCorsMiddleware,
        allow_origins=settings.cors_origins,
        allow_origin_regex=None if settings.cors_origins else LOCAL_ORIGINS,
        allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["*"],
        # A service at home, asked by a page from elsewhere: https://wicg.github.io/private-network-access/
        allow_private_network=True,
        expose_headers=EXPOSED_HEADERS,
        max_age=PREFLIGHT_SECONDS,
    )


class UnexpectedErrorMiddleware:
    """Turns what nobody expected into a problem, inside CORS, so that a browser's page can read it."""

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
