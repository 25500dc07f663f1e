"""Who sends a request: the peer of its connection, or the client that a trusted proxy names in X-Forwarded-For.

uvicorn's own command, `fastapi run` and gunicorn believe the X-Forwarded-For of 127.0.0.1 before they call the
application, whatever TRUSTED_PROXIES says, and put what it says into the scope. So the peer is taken from the transport
of the connection. A server that has none of uvicorn's kind is believed: it has no such habit.
"""

import inspect
from collections.abc import Awaitable
from ipaddress import ip_network
from types import FunctionType
from typing import Any, Final

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from config import UNIX_PEER, Settings

Peer = tuple[str, int]

PROXIED_KEY: Final = "is_from_trusted_proxy"
"""The key in the scope that tells whether the peer is one of TRUSTED_PROXIES."""


class PeerMiddleware:
    """Sets the client of a request, whoever has set it before: it must be the outermost middleware."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        # Only of trusted proxies: another client could send a new X-Forwarded-For with each attempt at a password.
        trusted = [peer for proxy in settings.trusted_proxies for peer in (proxy, *_map_to_ipv6(proxy))]
        self._has_proxies = bool(trusted)
        self._forwarded = ProxyHeadersMiddleware(app, trusted_hosts=trusted)  # type: ignore[arg-type]  # the same types, named by uvicorn

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Return what serves one request."""
        if scope["type"] == "lifespan":
            return self._app(scope, receive, send)
        peer = find_peer(scope, receive)
        is_proxied = self._has_proxies and peer is not None and peer[0] in self._forwarded.trusted_hosts
        app: ASGIApp = self._forwarded if is_proxied else self._app  # type: ignore[assignment]  # as above
        return app({**scope, "client": peer, PROXIED_KEY: is_proxied}, receive, send)


def find_peer(scope: Scope, receive: Receive) -> Peer | None:
    """Return the address and the port that a request comes from, `unix:` for a Unix socket, None if it is not known."""
    transport = getattr(_find_cycle(receive), "transport", None)
    if transport is None:
        client: Peer | None = scope.get("client")
        return client or (UNIX_PEER, 0)
    address = transport.get_extra_info("peername")
    if isinstance(address, tuple):
        return str(address[0]), int(address[1])
    # A Unix socket is a path without a port; a TCP connection that was reset may have no peer any more.
    server = scope.get("server")
    return (UNIX_PEER, 0) if server and server[1] is None else None


def is_gone(receive: Receive) -> bool:
    """Whether the client of a request has closed its connection; False if the server does not tell."""
    return bool(getattr(_find_cycle(receive), "disconnected", False))


def _find_cycle(receive: Any) -> Any:  # noqa: ANN401  # of any server
    # `receive` is a method of uvicorn's cycle of request and answer; its log level `trace` wraps it in a function.
    while isinstance(receive, FunctionType):
        receive = inspect.getclosurevars(receive).nonlocals.get("receive")
    return getattr(receive, "__self__", None)


def _map_to_ipv6(proxy: str) -> list[str]:
    # A server that listens on IPv6 sees IPv4 addresses as ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2).
    network = ip_network(proxy) if proxy != UNIX_PEER else None
    is_ipv4 = network is not None and network.version == 4  # noqa: PLR2004
    return [f"::ffff:{network.network_address}/{network.prefixlen + 96}"] if network and is_ipv4 else []
