"""Hosts: names and addresses, as a Host header and ALLOWED_HOSTS write them.

    Money.Example.org.:8443     money.example.org
    bücher.example              xn--bcher-kva.example
    [2001:DB8:0::1]:8000        [2001:db8::1]
    127.0.0.1:8000              127.0.0.1

They are compared without their port, in lower case and without the dot that may end a name.
"""

import ipaddress
import re
from functools import lru_cache
from typing import Final

from values.origins import encode_host

MAX_HOST_LENGTH: Final = 260
"""A name of DNS has at most 253 characters, and a port may follow."""
ANY_BELOW: Final = "*."
"""Begins a host of ALLOWED_HOSTS that stands for all names below one: `*.example.org`."""
# Asked for each request, mostly about the same few.
_REMEMBERED: Final = 256
_HOST: Final = re.compile(r"(?P<host>\[[0-9a-f:.]+\]|[^\s/?#@:\[\]\\%*,;]*[^\s/?#@:\[\]\\%*,;.])\.?(?::[0-9]{0,5})?")

# A client with one IPv6 address usually has its whole /64 network, 2^64 addresses (RFC 6177).
NETWORK_BITS: Final = 64

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def parse_host(text: str) -> str:
    """Return a host without its port, as browsers write it; raise ValueError if the text is not a host."""
    parts = _HOST.fullmatch(text.strip().lower())
    if parts is None:
        raise ValueError("no host")
    return encode_host(parts["host"])


def parse_host_pattern(text: str) -> str:
    """Return a host of ALLOWED_HOSTS, which may begin with `*.`; raise ValueError if the text is not one."""
    prefix = ANY_BELOW if text.startswith(ANY_BELOW) else ""
    return prefix + parse_host(text.removeprefix(prefix))


def matches_host(host: str, pattern: str) -> bool:
    """Whether a host is that of a pattern, or below it if the pattern begins with `*.`."""
    return host.endswith(pattern[1:]) if pattern.startswith(ANY_BELOW) else host == pattern


def parse_address(text: str) -> Address | None:
    """Return the IP address that a text is, or None; `::ffff:192.0.2.1` is an IPv4 address."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def is_address(host: str) -> bool:
    """Whether a host is an IP address, which nobody can rebind as they can a name."""
    return parse_address(host.strip("[]")) is not None


@lru_cache(_REMEMBERED)
def is_loopback(host: str) -> bool:
    """Whether a host is always the machine itself: `localhost`, a name below it, or a loopback address."""
    address = parse_address(host.strip("[]"))
    return address.is_loopback if address else host == "localhost" or host.endswith(".localhost")


def find_network(address: Address) -> str:
    """Return the network that counts as one client: an IPv4 address itself, of IPv6 the first address of its /64."""
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, NETWORK_BITS), strict=False).network_address)
    return str(address)
