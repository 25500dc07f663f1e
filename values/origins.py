"""Origins of web pages: read as people write them, and spelled as browsers send them."""

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
    """Return an origin as browsers send it (RFC 6454 section 6.2); raise ValueError where none sends this.

    The host is in lower case and ASCII (RFC 5891), a port that the scheme implies is left out.
    """
    parts = _ORIGIN.fullmatch(text.strip().lower())
    if parts is None or int(parts["port"] or 0) > _LARGEST_PORT:
        raise ValueError("no origin")
    port = int(parts["port"]) if parts["port"] else _DEFAULT_PORTS.get(parts["scheme"])
    shown = "" if port == _DEFAULT_PORTS.get(parts["scheme"]) else f":{port}"
    return f"{parts['scheme']}://{_encode_host(parts['host'])}{shown}"


def _encode_host(host: str) -> str:
    if host.startswith("["):
        try:
            return f"[{IPv6Address(host[1:-1]).compressed}]"
        except AddressValueError:
            raise ValueError("no IPv6 address") from None
    # As browsers do, and not by the stricter rules for registering a name, which know neither emoji nor underscores.
    mapped = host if host.isascii() else idna.uts46_remap(host, std3_rules=False, transitional=False)
    if not _HOST.fullmatch(mapped):
        raise ValueError("no host name")
    return ".".join(_encode_label(label) for label in mapped.split("."))


def _encode_label(label: str) -> str:
    return label if label.isascii() else f"xn--{label.encode('punycode').decode()}"
