"""Which names of the service are answered, so that no page of another site reaches it by rebinding its own name (DNS).

    ALLOWED_HOSTS    the connection                                              Host may be
    set              any                                                         one of them, or this machine
    not set          comes from a trusted proxy, or to another address
                     than loopback                                               anything
    not set          comes to a loopback address                                 this machine

"This machine" is localhost, a name below it and any loopback address: no other site can have these. A probe asks for
/health and /ready by an address of its own choice, which cannot be rebound either. HTTP/1.0 has no Host.
"""

from functools import lru_cache
from typing import Final

from starlette.types import Scope

from api.peers import PROXIED_KEY
from api.request_log import POLLED_PATHS
from config import Settings
from values.hosts import MAX_HOST_LENGTH, is_address, is_loopback, matches_host, parse_host

_REMEMBERED_HOSTS: Final = 256


class Hosts:
    """Tells whether the header Host is a name of the service."""

    def __init__(self, settings: Settings) -> None:
        self._names = settings.allowed_hosts
        self._is_on_loopback = is_loopback(settings.host)

    def is_allowed(self, scope: Scope) -> bool:
        """Whether the Host of a request is a name of the service."""
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
