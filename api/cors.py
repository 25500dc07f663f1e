"""CORS: which pages may call the API, with any request header and never with credentials.

A browser sends some requests of any page without asking first, and only keeps the answer from the page. So what is not
a read (GET, HEAD, OPTIONS) is refused here if it comes from another page, before it is read or counted:

    Sec-Fetch-Site             Origin                                         answer
    same-origin                                                               served: the service's own page
                               none                                           served: no browser
    same-site, cross-site      none                                           403
                               allowed by CORS_ORIGINS                        served
    neither of these two       the host and port of the header Host           served: the service's own page
                               any other, `null`, or several                  403

No page can send Sec-Fetch-Site itself. Browsers send it to https and to localhost; where they do not, Host must be the
one that the browser has sent. Behind a proxy that changes Host, only Sec-Fetch-Site tells.
"""

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from api.answer_headers import Header
from api.problem_json import render_problem
from config import Settings
from problems import OriginNotAllowed, ValidationFailed
from values.field_errors import FieldError
from values.hosts import MAX_HOST_LENGTH
from values.origins import parse_origin

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
READING_METHODS: Final = {"GET", "HEAD", "OPTIONS"}
OWN_PAGE: Final = "same-origin"
_OTHER_PAGES: Final = {"same-site", "cross-site"}
_WEB_SCHEMES: Final = {"http", "https"}


class Cors:
    """The rules of CORS: any request header, and no credentials.

    Tracing tools add their own headers to every request of a page. Allowing any header is safe, because browsers send
    no credentials to this service by themselves: a page must have the token.
    """

    def __init__(self, settings: Settings) -> None:
        """Take the origins of CORS_ORIGINS, by default those of localhost."""
        # Starlette's middleware is asked for its rules only: what it would serve is never called.
        self._rules = CORSMiddleware(
            Response(),
            allow_origins=settings.cors_origins,
            allow_origin_regex=None if settings.cors_origins else LOCAL_ORIGINS,
            allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["*"],
            # A public page may call a service in a home network: https://wicg.github.io/private-network-access/
            allow_private_network=True,
            expose_headers=EXPOSED_HEADERS,
            max_age=PREFLIGHT_SECONDS,
        )
        self._exposed = (b"access-control-expose-headers", ", ".join(EXPOSED_HEADERS).encode())
        self._allows_all = "*" in settings.cors_origins

    def list_headers(self, origin: str | None) -> Sequence[Header]:
        """Return the headers of an answer to a page of this origin; `Vary: Origin` is in all answers."""
        if origin is None:
            return ()
        if not self._rules.is_allowed_origin(origin):
            return (self._exposed,)
        allowed = b"*" if self._allows_all else origin.encode("latin-1")
        return self._exposed, (b"access-control-allow-origin", allowed)

    def answer(self, scope: Scope, headers: Headers) -> Response | None:
        """Return the answer to a preflight, or to a write of another page; None for all other requests."""
        method = scope["method"]
        if method not in READING_METHODS:
            return render_problem(Request(scope), OriginNotAllowed()) if self._is_from_another_page(headers) else None
        if method == "OPTIONS" and {"origin", "access-control-request-method"} <= set(headers):
            return self._answer_preflight(scope, headers)
        return None

    def _answer_preflight(self, scope: Scope, headers: Headers) -> Response:
        answer = self._rules.preflight_response(headers)
        if answer.status_code == HTTPStatus.OK:
            answer.headers["Access-Control-Allow-Headers"] = _list_allowed_headers(headers)
            return answer
        dropped = ("content-", "access-control-allow-headers", "access-control-allow-private-network")
        others = {name: value for name, value in answer.headers.items() if not name.startswith(dropped)}
        return render_problem(Request(scope), ValidationFailed(errors=[self._explain_refusal(headers)], headers=others))

    def _is_from_another_page(self, headers: Headers) -> bool:
        origins, sites = headers.getlist("origin"), headers.getlist("sec-fetch-site")
        if sites == [OWN_PAGE]:
            return False
        is_other = not _OTHER_PAGES.isdisjoint(sites)
        if not origins:
            return is_other
        if len(origins) > 1:
            return True
        return not self._rules.is_allowed_origin(origins[0]) and (is_other or not _is_own_origin(origins[0], headers))

    def _explain_refusal(self, headers: Headers) -> FieldError:
        if not self._rules.is_allowed_origin(headers["origin"]):
            return FieldError(
                {"header": "Origin"}, "not_allowed", "Pages of this origin may not call: see CORS_ORIGINS."
            )
        return FieldError({"header": "Access-Control-Request-Method"}, "not_allowed", "No address takes this method.")


def _is_short_ascii(host: str) -> bool:
    return host.isascii() and len(host) <= MAX_HOST_LENGTH


def _is_own_origin(origin: str, headers: Headers) -> bool:
    """Whether an origin is the host and the port that the request was sent to."""
    scheme, _, host = origin.partition("://")
    sent_to = headers.getlist("host")
    if scheme not in _WEB_SCHEMES or len(sent_to) != 1 or not all(map(_is_short_ascii, (host, sent_to[0]))):
        return False
    try:
        return parse_origin(f"{scheme}://{host}") == parse_origin(f"{scheme}://{sent_to[0]}")
    except ValueError:
        return False


def _list_allowed_headers(headers: Headers) -> str:
    """Return the headers that a page may send: ALLOWED_HEADERS and all others that the preflight asks for.

    It is a list because `*` does not allow Authorization.
    """
    requested = (name.strip() for name in headers.get("access-control-request-headers", "").split(","))
    known = {name.lower() for name in ALLOWED_HEADERS}
    others = (name for name in requested if _HEADER_NAME.fullmatch(name) and name.lower() not in known)
    return ", ".join([*ALLOWED_HEADERS, *others])
