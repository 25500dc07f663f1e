"""Middleware: request ids, HEAD, trailing slashes, the common headers of answers, and unexpected errors.

    request --> PeerMiddleware                sets the client: the peer, or what a trusted proxy says
            --> RoundMiddleware               waits while another of the client begins in this round of the loop
            --> WebsocketMiddleware           refuses websockets
            --> RequestMiddleware             sets the request id; HEAD becomes GET; /expenses/ becomes /expenses;
                                                the root path is removed
            --> HostMiddleware                refuses a Host that is not the service's
            --> ProblemCorsMiddleware         answers preflights; refuses writes of other pages
            --> WorkMiddleware                waits for the request's turn
            --> routes
    answer  <-- WorkMiddleware                an unexpected exception becomes a 500 problem, a request that is cancelled
                                                because the service ends a 503 one
            <-- ProblemCorsMiddleware         adds the CORS headers, also to that problem
            <-- RequestMiddleware             adds the common headers; puts the root path before Location and Link;
                                                logs the request

main.py puts them in this order. Whenever a request waits for something, it goes through the frames of all coroutines
that await it. So those that have nothing to do after the answer are functions that return the next coroutine.
"""

import asyncio
import re
import secrets
import time
from collections.abc import Awaitable
from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problem_json import EXPECTED, answer_error, render_problem
from api.request_log import get_log_context, log_request
from api.root_path import ROOT_KEY, place_header, split_path
from api.turns import RequestTurns
from config import Settings
from infra.faults import describe_error, is_database_error
from infra.log import logger
from infra.request_context import start_request_context
from problems import NotFound, Unavailable

REQUEST_ID_PATTERN: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")
CONTENT_POLICY: Final = (
    b"content-security-policy",
    b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
)
COMMON_HEADERS: Final = ((b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer"))
NO_STORE: Final = (b"cache-control", b"no-store")
NO_CACHE: Final = (b"cache-control", b"private, no-cache")
VARY: Final = (b"vary", b"Authorization, Origin")


Header = tuple[bytes, bytes]


class RequestMiddleware:
    """Sets the request id, normalizes method and path, adds the common headers, and logs the request at its end.

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
        request_id = _choose_request_id(request_headers.get(b"x-request-id", b""))
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
        normalized = {**scope, "root_path": "", ROOT_KEY: root, "path": _drop_slash(scope["method"], path)}
        if is_head:
            normalized["method"] = "GET"
        started = time.perf_counter()
        try:
            await self._app(normalized, receive, send_response)
        finally:
            log_request(normalized, status, time.perf_counter() - started)


def _choose_request_id(sent: bytes) -> bytes:
    """Return the id that the client sent if it is well formed, and a new one if not."""
    return sent if REQUEST_ID_PATTERN.fullmatch(sent) else secrets.token_hex(8).encode()


def _drop_slash(method: str, path: str) -> str:
    """Return the path without one slash at its end."""
    # `DELETE /expenses/` may be a path whose id a client has lost: it must not delete the collection.
    is_id_missing = method == "DELETE" and not path[-2:-1].isdecimal()
    is_slashed = len(path) > 1 and path.endswith("/") and not path.endswith("//") and not is_id_missing
    return path[:-1] if is_slashed else path


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


class WebsocketMiddleware:
    """Refuses a websocket with a problem, which has the headers of every answer and a line in the log.

    A server that has no such answers (the ASGI extension `websocket.http.response`) is told to close it.
    """

    def __init__(self, app: ASGIApp, root_path: str = "") -> None:
        self._app = app
        self._refuse = RequestMiddleware(_answer_handshake, root_path)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Return what serves one request, or refuses one websocket."""
        if scope["type"] != "websocket":
            return self._app(scope, receive, send)
        if "websocket.http.response" not in (scope.get("extensions") or {}):
            return send({"type": "websocket.close"})

        async def send_denial(message: Message) -> None:
            await send({**message, "type": f"websocket.{message['type']}"})

        return self._refuse({**scope, "type": "http", "method": "GET"}, receive, send_denial)


async def _answer_handshake(scope: Scope, receive: Receive, send: Send) -> None:
    problem = NotFound("There are no websockets here: send a request without the header Upgrade.")
    await render_problem(Request(scope), problem)(scope, receive, send)


class WorkMiddleware:
    """Works on a request when it is its turn (api/turns.py), and makes problems of what goes wrong.

    An unexpected exception becomes a 500, the end of the service a 503. It is inside CORS, so that a page in a browser
    can read them.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._turns = RequestTurns(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        turn = self._turns.assign(scope)
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            if not started:
                started = message["type"] == "http.response.start"
                turn.end()
            await send(message)

        try:
            await turn.take()
            await self._app(scope, receive, watch)
        except asyncio.CancelledError:
            if started:
                raise
            # A service that ends cancels requests that take too long. The route class answers one that is cancelled
            # during its commit; before the commit, nothing has happened.
            await render_problem(Request(scope), Unavailable())(scope, receive, watch)
        except Exception as error:
            if started:
                raise
            if not isinstance(error, EXPECTED):
                # The error's type and number; its message would repeat values.
                cause = f" of the database: {describe_error(error)}" if is_database_error(error) else ""
                logger.exception("unexpected error%s", cause, extra=get_log_context(scope))
            await answer_error(Request(scope), error)(scope, receive, watch)
            # It refers to this frame, which refers to it: both would stay until garbage is collected.
            error.__traceback__ = None
        finally:
            turn.end()
            self._turns.note_answer(turn)
