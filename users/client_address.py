"""The client of a request: its IP address, its network and its User-Agent."""

import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from models import USER_AGENT_LENGTH
from values.hosts import find_network, parse_address

# A provider gives a site a network of this length, or a part of it.
SITE_BITS: Final = 48
UNKNOWN_NETWORK: Final = "unknown"
MAX_CACHED: Final = 4_096


@dataclass(frozen=True, slots=True)
class Client:
    """The client of a request, as the server sees it."""

    ip: str | None
    """The address in its shortest form (RFC 5952); None if there is none, for example behind a Unix socket."""
    network: str
    """The IPv4 address, or the /64 network of the IPv6 address; the throttle counts by it."""
    user_agent: str | None
    """The User-Agent header without unprintable characters, cut to 255."""

    @property
    def site(self) -> str:
        """The IPv4 address, or the /48 network of the IPv6 address; password hashes take turns by it."""
        return _find_site(self.network)


def build_client(host: str | None, user_agent: str | None) -> Client:
    """Build the client from the address and the User-Agent of a request."""
    address = parse_address(host or "")
    printable = "".join(filter(str.isprintable, user_agent or "")).strip()[:USER_AGENT_LENGTH]
    return Client(str(address) if address else None, _find_network(host), printable or None)


def widen_network(network: str, bits: int) -> str | None:
    """Return the IPv6 network of this length around a client's network, such as `2001:db8::/48`; None for IPv4."""
    address = parse_address(network)
    if not isinstance(address, ipaddress.IPv6Address):
        return None
    return str(ipaddress.ip_network((address, bits), strict=False))


@lru_cache(MAX_CACHED)
def find_site(host: str | None) -> str:
    """Return the site of an address: itself for IPv4, its /48 for IPv6."""
    return _find_site(_find_network(host))


def _find_site(network: str) -> str:
    return widen_network(network, SITE_BITS) or network


def _find_network(host: str | None) -> str:
    address = parse_address(host or "")
    return find_network(address) if address else UNKNOWN_NETWORK
