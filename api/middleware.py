"""The one layer around the routes: what happens to every request, whatever it asks for.

    request    PeerMiddleware     sets the client: the peer, or what a trusted proxy says
               RoundMiddleware    waits while another of the client begins in this round of the loop
               EdgeMiddleware     refuses a websocket
                                  chooses the request id; HEAD becomes GET; /expenses/ becomes /expenses; the root path
                                    is removed
                                  refuses a Host that is not the service's
                                  answers preflights; refuses writes of other pages
                                  waits for the request's turn
                                  calls the route
    answer     EdgeMiddleware     an exception becomes a problem; if nobody expected it, a 500; a request that is
                                    cancelled because the service ends, a 503
                                  adds the common headers and those of CORS; puts the root path before Location and Link
                                  logs the request

Whenever a request waits for something, it goes through the frames of all coroutines that await it, so there are few.
"""

import asyncio
import re
import secrets
import time
from collections.abc import Awaitable, Iterable
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.answer_headers import HEAD_KEY, Header, choose_headers
from api.cors import Cors
from api.hosts import Hosts
from api.problem_json import EXPECTED, answer_error, render_problem
from api.request_log import get_log_context, log_request
from api.root_path import ROOT_KEY, place_header, split_path
from api.turns import RequestTurn, RequestTurns
from config import Settings
from infra.faults import describe_error, is_database_error
from infra.log import logger
from infra.request_context import start_request_context
from problems import HostNotAllowed, NotFound, Unavailable

REQUEST_ID_PATTERN: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")
NO_WEBSOCKETS: Final = "There are no websockets here: send a request without the header Upgrade."


class _Exchange:
    """A request, and what is sent as its answer."""

    def __init__(self, scope: Scope, send: Send, root_path: str) -> None:
        headers = dict(scope["headers"])
        root, path = split_path(scope, root_path)
        self.request_id = _choose_request_id(headers.get(b"x-request-id", b""))
        self.status: int | None = None
        """The status of the answer, once that has begun."""
        self.cors_headers: Iterable[Header] = ()
        self.turn: RequestTurn | None = None
        self._root = root
        self._is_head = scope["method"] == "HEAD"
        self._added = choose_headers(path, is_signed_in=b"authorization" in headers)
        self._send = send
        self.scope: Scope = {
            **scope,
            "root_path": "",
            ROOT_KEY: root,
            "path": _drop_slash(scope["method"], path),
            # RFC 9110 section 9.3.2: the answer to HEAD is that to GET, without its body.
            "method": "GET" if self._is_head else scope["method"],
            HEAD_KEY: self._is_head,
        }
        start_request_context(self.request_id.decode(), scope["method"])

    async def send(self, message: Message) -> None:
        """Send a part of the answer; before the first, give the turn away, however slowly the client reads."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self.turn:
                self.turn.end()
            headers = message["headers"]
            if self._root:
                headers = [place_header(header, self._root) for header in headers]
            message["headers"] = [*self._added.add_to(headers, self.request_id), *self.cors_headers]
        elif self._is_head:
            message = {**message, "body": b""}
        await self._send(message)


class EdgeMiddleware:
    """Refuses what no route may see, lets the route answer when it is its turn, and completes every answer."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._root_path = settings.root_path
        self._hosts = Hosts(settings)
        self._cors = Cors(settings)
        self._turns = RequestTurns(settings)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Return what serves one request, or the life of the application."""
        serve = {"http": self._serve, "websocket": self._refuse_websocket}.get(scope["type"], self._app)
        return serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = _Exchange(scope, send, self._root_path)
        started = time.perf_counter()
        try:
            headers = Headers(raw=scope["headers"])
            refusal = self._refuse(exchange, headers)
            if refusal is None:
                await self._work(exchange, receive)
            else:
                await refusal(exchange.scope, receive, exchange.send)
        finally:
            log_request(exchange.scope, exchange.status, time.perf_counter() - started)

    def _refuse(self, exchange: _Exchange, headers: Headers) -> ASGIApp | None:
        """Return the answer to a request that no route may see, or to a preflight; None for all others."""
        scope, origin = exchange.scope, headers.get("origin")
        if not self._hosts.is_allowed(scope):
            exchange.cors_headers = self._cors.list_headers(origin)
            return render_problem(Request(scope), HostNotAllowed())
        answer = self._cors.answer(scope, headers)
        if answer is None:
            exchange.cors_headers = self._cors.list_headers(origin)
        return answer

    async def _work(self, exchange: _Exchange, receive: Receive) -> None:
        """Let the route answer when it is the request's turn (api/turns.py)."""
        scope = exchange.scope
        turn = exchange.turn = self._turns.assign(scope)
        try:
            await turn.take()
            await self._app(scope, receive, exchange.send)
        except asyncio.CancelledError:
            if exchange.status is not None:
                raise
            # A service that ends cancels requests that take too long. The route class answers one that is cancelled
            # during its commit; before the commit, nothing has happened.
            await render_problem(Request(scope), Unavailable())(scope, receive, exchange.send)
        except Exception as error:
            if exchange.status is not None:
                raise
            if not isinstance(error, EXPECTED):
                # The error's type and number; its message would repeat values.
                cause = f" of the database: {describe_error(error)}" if is_database_error(error) else ""
                logger.exception("unexpected error%s", cause, extra=get_log_context(scope))
            await answer_error(Request(scope), error)(scope, receive, exchange.send)
            # It refers to this frame, which refers to it: both would stay until garbage is collected.
            error.__traceback__ = None
        finally:
            turn.end()
            self._turns.note_answer(turn)

    async def _refuse_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a websocket with a problem, which has the headers of every answer and a line in the log.

        A server that has no such answers (the ASGI extension `websocket.http.response`) is told to close it.
        """
        if "websocket.http.response" not in (scope.get("extensions") or {}):
            await send({"type": "websocket.close"})
            return

        async def send_denial(message: Message) -> None:
            await send({**message, "type": f"websocket.{message['type']}"})

        exchange = _Exchange({**scope, "type": "http", "method": "GET"}, send_denial, self._root_path)
        refusal = render_problem(Request(exchange.scope), NotFound(NO_WEBSOCKETS))
        try:
            await refusal(exchange.scope, receive, exchange.send)
        finally:
            log_request(exchange.scope, exchange.status, 0)


def _choose_request_id(sent: bytes) -> bytes:
    """Return the id that the client sent if it is well formed, and a new one if not."""
    return sent if REQUEST_ID_PATTERN.fullmatch(sent) else secrets.token_hex(8).encode()


def _drop_slash(method: str, path: str) -> str:
    """Return the path without one slash at its end: no redirect, which would repeat any Host that a client sends."""
    # `DELETE /expenses/` may be a path whose id a client has lost: it must not delete the collection.
    is_id_missing = method == "DELETE" and not path[-2:-1].isdecimal()
    is_slashed = len(path) > 1 and path.endswith("/") and not path.endswith("//") and not is_id_missing
    return path[:-1] if is_slashed else path
