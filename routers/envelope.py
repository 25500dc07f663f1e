"""What every request and every answer has, whatever lies between: paths, methods, headers, and a last resort."""

import logging
import re
import secrets
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from problems import problem_of, render

logger = logging.getLogger("expense_tracker")

SANE_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
JSON_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"


class Envelope:
    """Gives a request its id and its plain form, and every answer the headers that all answers have.

    HEAD is answered as GET without the body (RFC 9110 section 9.3.2), `/expenses/` is `/expenses`, and neither is ever
    redirected, since a redirect would repeat whatever Host header came.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if SANE_ID.fullmatch(given) else secrets.token_hex(8)
        is_head = scope["method"] == "HEAD"
        path = scope["path"]
        signed_in = "authorization" in headers

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                _complete(MutableHeaders(scope=message), request_id, path, signed_in=signed_in)
            elif is_head:
                message = {**message, "body": b""}
            await send(message)

        plain = {**scope, "request_id": request_id, "method": "GET" if is_head else scope["method"]}
        if len(path) > 1 and path.endswith("/"):
            plain |= {"path": path[:-1], "raw_path": scope.get("raw_path", b"").removesuffix(b"/")}
        await self._app(plain, receive, answer)


def _complete(headers: MutableHeaders, request_id: str, path: str, *, signed_in: bool) -> None:
    headers["X-Request-ID"] = request_id
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "no-referrer"
    headers.setdefault("Content-Security-Policy", JSON_POLICY)
    if path.startswith("/users"):
        headers["Cache-Control"] = "no-store"
    elif signed_in:
        headers["Cache-Control"] = "private, no-cache"
    if signed_in:
        headers["Vary"] = "Authorization, Origin"


class LastResort:
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
            logger.exception("unexpected error", extra={"request_id": scope.get("request_id")})
            await render(Request(scope), problem_of(error))(scope, receive, send)
