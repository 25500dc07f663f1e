"""Origins of web pages: parsed as people write them, returned as browsers send them.

    HTTPS://App.example.com:443/    https://app.example.com
    http://localhost:5173           http://localhost:5173
    https://bücher.example          https://xn--bcher-kva.example
    http://[2001:DB8:0::1]          http://[2001:db8::1]

CORS compares them as text, so they must be equal letter by letter.
"""

import re
from ipaddress import AddressValueError, IPv6Address
from typing import Final

import idna

_ORIGIN: Final = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>\[[0-9a-f:.]+\]|[^\s/?#@:\[\]\\%*]+)(?::(?P<port>[0-9]{0,5}))?/?"
)
_HOST: Final = re.compile(r"[^\s/?#@:\[\]\\%*]+")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_LARGEST_PORT: Final = 65_535


def parse_origin(text: str) -> str:
    """Return an origin as browsers send it (RFC 6454 section 6.2); raise ValueError if the text is not an origin.

    The host becomes lower case and ASCII (RFC 5891); the default port of the scheme is left out.
    """
    parts = _ORIGIN.fullmatch(text.strip().lower())
    if parts is None or int(parts["port"] or 0) > _LARGEST_PORT:
        raise ValueError("no origin")
    port = int(parts["port"]) if parts["port"] else _DEFAULT_PORTS.get(parts["scheme"])
    port_suffix = "" if port == _DEFAULT_PORTS.get(parts["scheme"]) else f":{port}"
    return f"{parts['scheme']}://{encode_host(parts['host'])}{port_suffix}"


def encode_host(host: str) -> str:
    """Return a host in lower case as browsers send it, in ASCII; raise ValueError if it is not a host."""
    if host.startswith("["):
        try:
            return f"[{IPv6Address(host[1:-1]).compressed}]"
        except AddressValueError:
            raise ValueError("no IPv6 address") from None
    # Browsers map names by UTS 46 without its STD3 rules, which refuse underscores.
    mapped = host if host.isascii() else idna.uts46_remap(host, std3_rules=False, transitional=False)
    if not _HOST.fullmatch(mapped):
        raise ValueError("no host name")
    return ".".join(_encode_label(label) for label in mapped.split("."))


def _encode_label(label: str) -> str:
    return label if label.isascii() else f"xn--{label.encode('punycode').decode()}"
