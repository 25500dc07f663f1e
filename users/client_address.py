"""Who is at the door, before anyone knows whose account it is about: an address, and what the client calls itself."""

import ipaddress
from dataclasses import dataclass
from typing import Final

from models import USER_AGENT_LENGTH

# Whoever has one IPv6 address has the other 2^64 of its network too (RFC 6177).
NETWORK_BITS: Final = 64
UNKNOWN_NETWORK: Final = "unknown"

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Client:
    """Where a request comes from, as the server saw it."""

    ip: str | None
    """The address in its shortest spelling (RFC 5952), or None where there is none, as behind a Unix socket."""
    network: str
    """What attempts are counted by: an IPv4 address, or the network of an IPv6 address."""
    user_agent: str | None
    """What the client calls itself, without what cannot be seen."""


def read_client(host: str | None, user_agent: str | None) -> Client:
    """Return who comes from this address, with this User-Agent."""
    address = _parse_address(host or "")
    seen = "".join(filter(str.isprintable, user_agent or "")).strip()[:USER_AGENT_LENGTH]
    return Client(str(address) if address else None, _find_network(address), seen or None)


def _parse_address(host: str) -> Address | None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _find_network(address: Address | None) -> str:
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, NETWORK_BITS), strict=False).network_address)
    return str(address) if address else UNKNOWN_NETWORK
