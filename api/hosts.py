"""Which names of the service are answered, so that no page of another site reaches it by rebinding its own name (DNS).

    ALLOWED_HOSTS    the connection                                              Host may be
    set              any                                                         one of them, or this machine
    not set          comes from a trusted proxy, or to another address
                     than loopback                                               anything
    not set          comes to a loopback address                                 this machine

"This machine" is localhost, a name below it and any loopback address: no other site can have these. A probe asks for
/health and /ready by an address of its own choice, which cannot be rebound either. HTTP/1.0 has no Host.
"""

from collections.abc import Awaitable
from functools import lru_cache
from typing import Final

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from api.cors import build_cors
from api.peers import PROXIED_KEY
from api.problem_json import render_problem
from api.request_log import POLLED_PATHS
from config import Settings
from problems import HostNotAllowed
from values.hosts import MAX_HOST_LENGTH, is_address, is_loopback, matches_host, parse_host

_REMEMBERED_HOSTS: Final = 256


class HostMiddleware:
    """Answers 421 where the header Host is no name of the service; pages that may call can read that answer."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._names = settings.allowed_hosts
        self._is_on_loopback = is_loopback(settings.host)
        cors = build_cors(settings)
        self._refuse = cors.cls(_answer_refusal, *cors.args, **cors.kwargs)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Return what serves one request, or refuses it."""
        if scope["type"] != "http" or self._is_allowed(scope):
            return self._app(scope, receive, send)
        # As no preflight, because a preflight would be answered before the refusal.
        headers = [header for header in scope["headers"] if header[0] != b"access-control-request-method"]
        return self._refuse({**scope, "headers": headers}, receive, send)

    def _is_allowed(self, scope: Scope) -> bool:
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1 or not hosts[0]:
            # Of two, a proxy and we could each take another one (RFC 9112 section 3.2).
            return len(hosts) <= 1
        if not self._names and (scope.get(PROXIED_KEY) or not self._arrives_on_loopback(scope)):
            return True
        is_probe = scope["path"] in POLLED_PATHS
        return len(hosts[0]) <= MAX_HOST_LENGTH and _is_own(hosts[0], self._names, is_probe=is_probe)

    def _arrives_on_loopback(self, scope: Scope) -> bool:
        # HOST is not what uvicorn's own command listens on: `uvicorn main:app --host 0.0.0.0`.
        server = scope.get("server")
        return self._is_on_loopback and (server is None or is_loopback(server[0]))


@lru_cache(_REMEMBERED_HOSTS)
def _is_own(sent: bytes, names: tuple[str, ...], *, is_probe: bool) -> bool:
    try:
        host = parse_host(sent.decode("ascii"))
    except ValueError:
        return False
    is_named = any(matches_host(host, name) for name in names)
    return is_named or is_loopback(host) or (is_probe and is_address(host))


async def _answer_refusal(scope: Scope, receive: Receive, send: Send) -> None:
    await render_problem(Request(scope), HostNotAllowed())(scope, receive, send)
