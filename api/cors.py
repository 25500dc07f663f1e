"""CORS: which pages may call the API, with any request header and never with credentials."""

import re
from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from api.problem_json import render_problem
from config import Settings
from problems import ValidationFailed
from values.field_errors import FieldError

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
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
PREFLIGHT_SECONDS: Final = 2 * 60 * 60


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
    others = (name for name in requested if _HEADER_NAME.fullmatch(name) and name.lower() not in known)
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
