"""What every request and every answer has, whatever lies between: paths, methods, headers, and a last resort."""

import re
import secrets
import time
from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from config import Settings
from infra.log import begin_context, log_context, log_request, logger
from problems import MethodNotAllowed, NotFound, ValidationFailed, problem_of, render
from values.field_errors import Entry

SANE_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")
POLICY: Final = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
ALWAYS: Final = ((b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer"))
NEVER_STORED: Final = (b"cache-control", b"no-store")
TO_REVALIDATE: Final = (b"cache-control", b"private, no-cache")
VARIES: Final = (b"vary", b"Authorization, Origin")

LOCAL_ORIGINS: Final = r"https?://(localhost|127\.0\.0\.1)(:[0-9]{1,5})?"
EXPOSED: Final = [
    "Location",
    "Link",
    "ETag",
    "X-Request-ID",
    "WWW-Authenticate",
    "Retry-After",
    "Idempotency-Replayed",
    "Content-Disposition",
]
ALLOWED: Final = ["Authorization", "Content-Type", "If-Match", "If-None-Match", "Idempotency-Key", "X-Request-ID"]
PREFLIGHT_SECONDS: Final = 2 * 60 * 60

Header = tuple[bytes, bytes]


class Envelope:
    """Gives a request its id and its plain form, and every answer the headers that all answers have.

    HEAD is answered as GET without the body (RFC 9110 section 9.3.2), `/expenses/` is `/expenses`, and neither is ever
    redirected, since a redirect would repeat whatever Host header came. Each request is logged when it is over.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"])
        request_id = given.get(b"x-request-id", b"")
        if not SANE_ID.fullmatch(request_id):
            request_id = secrets.token_hex(8).encode()
        path = scope["path"]
        added = _added(request_id, is_account=path.startswith("/users"), is_signed_in=b"authorization" in given)
        is_head = scope["method"] == "HEAD"
        status: int | None = None

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                # FastAPI names the type of a body also where there is none.
                is_empty = message["status"] == HTTPStatus.NO_CONTENT
                present = [header for header in message["headers"] if not (is_empty and header[0] == b"content-type")]
                message["headers"] = _merged(present, added)
            elif is_head:
                message = {**message, "body": b""}
            await send(message)

        named = request_id.decode()
        plain = {**scope, "request_id": named, "log_context": begin_context(scope, named)}
        if is_head:
            plain["method"] = "GET"
        # A slash is also what is left of a row's address when a client has lost the id: that deletes no collection.
        is_cut_off = scope["method"] == "DELETE" and not path[-2:-1].isdecimal()
        if len(path) > 1 and path.endswith("/") and not path.endswith("//") and not is_cut_off:
            plain |= {"path": path[:-1], "raw_path": scope.get("raw_path", b"").removesuffix(b"/")}
        started = time.perf_counter()
        try:
            await self._app(plain, receive, answer)
        finally:
            log_request(plain, status, time.perf_counter() - started)


def _added(request_id: bytes, *, is_account: bool, is_signed_in: bool) -> list[Header]:
    headers = [(b"x-request-id", request_id), *ALWAYS]
    if is_account or is_signed_in:
        headers.append(NEVER_STORED if is_account else TO_REVALIDATE)
    if is_signed_in:
        headers.append(VARIES)
    return headers


def _merged(present: list[Header], added: list[Header]) -> list[Header]:
    # A page brings a policy of its own; whatever else is there gives way.
    names = {name for name, _ in added}
    kept = [header for header in present if header[0] not in names]
    policy = [] if any(name == POLICY[0] for name, _ in kept) else [POLICY]
    return [*kept, *added, *policy]


class Cors(CORSMiddleware):
    """CORS whose refusals are problems, like every other error."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        headers = Headers(scope=scope) if scope.get("method") == "OPTIONS" else Headers()
        if {"origin", "access-control-request-method"} <= set(headers):
            answer = self.preflight_response(headers)
            if answer.status_code != HTTPStatus.OK:
                kept = {name: value for name, value in answer.headers.items() if not name.startswith("content-")}
                answer = render(Request(scope), ValidationFailed(errors=[self._blamed(headers)], headers=kept))
            await answer(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    def _blamed(self, headers: Headers) -> Entry:
        if not self.is_allowed_origin(headers["origin"]):
            return Entry({"header": "Origin"}, "not_allowed", "Pages of this origin may not call: see CORS_ORIGINS.")
        if headers["access-control-request-method"] not in self.allow_methods:
            return Entry({"header": "Access-Control-Request-Method"}, "not_allowed", "No address takes this method.")
        return Entry({"header": "Access-Control-Request-Headers"}, "not_allowed", "Pages may not send all of these.")


def cors(settings: Settings) -> Middleware:
    """Return who may call from a browser: an allow-list, with bearer tokens and never with credentials."""
    return Middleware(
        Cors,
        allow_origins=settings.cors_origins,
        allow_origin_regex=None if settings.cors_origins else LOCAL_ORIGINS,
        allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=ALLOWED,
        expose_headers=EXPOSED,
        max_age=PREFLIGHT_SECONDS,
    )


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
            logger.exception("met what nobody expected", extra=log_context(scope))
            await render(Request(scope), problem_of(error))(scope, receive, send)


async def answer_problem(request: Request, error: Exception) -> Response:
    """Answer with the problem that an error is."""
    problem = problem_of(error)
    if isinstance(problem, NotFound) and _lacks_the_method(request):
        problem = MethodNotAllowed()
    if isinstance(problem, MethodNotAllowed):
        problem.headers = {**problem.headers, **_allow(request)}
    return render(request, problem)


def _lacks_the_method(request: Request) -> bool:
    """Whether the address is there, but not for this method: `DELETE /budgets/status` is no budget with an odd id."""
    operations = request.app.openapi()["paths"].get(request.scope["path"], {})
    return bool(operations) and request.method.lower() not in operations


def _allow(request: Request) -> dict[str, str]:
    """Return the Allow header of the request's path: the methods of all its routes, not just the first's."""
    path, paths = request.scope["path"], request.app.openapi()["paths"]
    templates = [path] if path in paths else [it for it in paths if re.fullmatch(re.sub(r"{\w+}", "[^/]+", it), path)]
    methods = {method.upper() for template in templates for method in paths[template]}
    if "GET" in methods:
        methods.add("HEAD")
    return {"Allow": ", ".join(sorted(methods))} if methods else {}
