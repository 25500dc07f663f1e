"""The path below which a proxy shows the service: removed from request paths, put before the paths in answers.

| the client asks      | the proxy sends   | uvicorn's scope["path"]               | the service sees |
|----------------------|-------------------|---------------------------------------|------------------|
| /expenses, no proxy  |                   | /expenses                             | /expenses        |
| /money/expenses      | /expenses         | /expenses                             | /expenses        |
| /money/expenses      | /money/expenses   | /money/expenses                       | /expenses        |
| /money/expenses      | /expenses         | /money/expenses, from --root-path     | /expenses        |

Routes, problems, fingerprints and the log use the path in the last column.
"""

from functools import lru_cache
from typing import Final
from urllib.parse import quote

from starlette.types import Scope

ROOT_KEY: Final = "app_root_path"
"""The key of the root path in the scope; Starlette uses the same."""
_LINKING_HEADERS: Final = {b"location", b"link"}


def split_path(scope: Scope, root_path: str) -> tuple[str, str]:
    """Return the root path, as it is written in a URL, and the path below it.

    The root path is the setting `root_path`, or else uvicorn's `--root-path`; both are removed from the path. Headers
    are not read, since any client can send `X-Forwarded-Prefix`.
    """
    server_root, path = scope.get("root_path", ""), scope["path"]
    if not (root_path or server_root):
        return "", path
    return _write_root(root_path or server_root), _take_off(root_path, _take_off(server_root, path)) or "/"


def get_root(scope: Scope) -> str:
    """Return the root path of a request, such as `/money`, or the empty string."""
    root: str = scope[ROOT_KEY]
    return root


def place_header(header: tuple[bytes, bytes], root: str) -> tuple[bytes, bytes]:
    """Return a response header; in Location and Link, with the root before the path."""
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
