"""The client of a request: its IP address, its network and its User-Agent."""

import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from models import USER_AGENT_LENGTH

# A client with one IPv6 address usually has its whole /64 network, 2^64 addresses (RFC 6177).
NETWORK_BITS: Final = 64
UNKNOWN_NETWORK: Final = "unknown"
MAX_CACHED: Final = 4_096

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Client:
    """The client of a request, as the server sees it."""

    ip: str | None
    """The address in its shortest form (RFC 5952); None if there is none, for example behind a Unix socket."""
    network: str
    """The IPv4 address, or the /64 network of the IPv6 address; the throttle counts by it."""
    user_agent: str | None
    """The User-Agent header without unprintable characters, cut to 255."""


def build_client(host: str | None, user_agent: str | None) -> Client:
    """Build the client from the address and the User-Agent of a request."""
    address = _parse_address(host)
    printable = "".join(filter(str.isprintable, user_agent or "")).strip()[:USER_AGENT_LENGTH]
    return Client(str(address) if address else None, find_network(host), printable or None)


def _parse_address(host: str | None) -> Address | None:
    try:
        address = ipaddress.ip_address((host or "").partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


@lru_cache(MAX_CACHED)
def find_network(host: str | None) -> str:
    """Return the network of an address: itself for IPv4, its /64 for IPv6."""
    address = _parse_address(host)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, NETWORK_BITS), strict=False).network_address)
    return str(address) if address else UNKNOWN_NETWORK
