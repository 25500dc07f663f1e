"""The path below which a proxy shows the service, as an operator writes it.

The messages name ROOT_PATH, and are for the operator.
"""

import re
from typing import Final

_ROOT_PATH: Final = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~-]+)*")
# The service's own paths. If the root path began with one, a path from which the proxy has removed the root path could
# not be told from one that still has it.
_OWN_PATH: Final = re.compile(
    r"/(?:assets|budgets|categories|changes|currencies|docs|expenses|health|imports|openapi\.json|payees|ready|redoc|reports|tags"
    r"|users)(?:/|\Z)"
)


def check_root_path(root_path: str) -> str:
    """Return the path; raise ValueError, whose message is for the operator."""
    if not _ROOT_PATH.fullmatch(root_path):
        raise ValueError(
            "ROOT_PATH takes a path like /money or /apps/money, with no slash at its end, of letters, digits, -, "
            "., _ and ~, or nothing"
        )
    if _OWN_PATH.match(root_path):
        raise ValueError("ROOT_PATH begins like an address of the service itself; use another, such as /money")
    return root_path
