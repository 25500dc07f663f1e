"""The path below which a proxy shows the service: taken off what comes, put in front of the addresses that are sent.

| the client asks      | the proxy sends   | uvicorn's scope["path"]               | the service sees |
|----------------------|-------------------|---------------------------------------|------------------|
| /expenses, no proxy  |                   | /expenses                             | /expenses        |
| /money/expenses      | /expenses         | /expenses                             | /expenses        |
| /money/expenses      | /money/expenses   | /money/expenses                       | /expenses        |
| /money/expenses      | /expenses         | /money/expenses, from --root-path     | /expenses        |

Routes, problems, fingerprints and the log compare the path that the service sees, and nothing else knows the rest.
"""

from functools import lru_cache
from typing import Final
from urllib.parse import quote

from starlette.types import Scope

ROOT_KEY: Final = "app_root_path"
"""Where Starlette too looks for the path of the whole application."""
_LINKING_HEADERS: Final = {b"location", b"link"}


def split_path(scope: Scope, root_path: str) -> tuple[str, str]:
    """Return the root, as it is written in a URL, and the path below it.

    The root is `root_path`, or else what the server was told (`--root-path`); both are taken off. No header of the
    request has a say in it, since anybody may send `X-Forwarded-Prefix`.
    """
    told, path = scope.get("root_path", ""), scope["path"]
    if not (root_path or told):
        return "", path
    return _write_root(root_path or told), _take_off(root_path, _take_off(told, path)) or "/"


def get_root(scope: Scope) -> str:
    """Return what stands in front of the service's own paths: `/money`, or nothing."""
    root: str = scope[ROOT_KEY]
    return root


def place_header(header: tuple[bytes, bytes], root: str) -> tuple[bytes, bytes]:
    """Return a header with its address below the root, where it is one that bears an address."""
    name, value = header
    if name not in _LINKING_HEADERS:
        return header
    opening, slash, rest = value.partition(b"/")
    return name, b"".join((opening, root.encode(), slash, rest))


def _take_off(root_path: str, path: str) -> str:
    rest = path.removeprefix(root_path)
    return rest if rest[:1] in {"", "/"} else path


@lru_cache
def _write_root(root_path: str) -> str:
    bare = root_path.strip("/")
    return f"/{quote(bare)}" if bare else ""
