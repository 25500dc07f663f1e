"""What log lines and problems tell about the request that runs: its id, its method and the user.

It travels in a context variable, because the code that knows the user has no request (decision 24).
"""

from contextvars import ContextVar
from dataclasses import dataclass
from http import HTTPMethod
from typing import Final

METHODS: Final = set(HTTPMethod)


@dataclass(slots=True)
class RequestContext:
    """What log lines and problems tell about the request that runs."""

    request_id: str
    method: str | None
    """None where the client sent a word that is no method of HTTP."""
    user_id: int | None = None


_context: ContextVar[RequestContext] = ContextVar("request_context")


def start_request_context(request_id: str, method: str) -> None:
    """Start the context of the request that runs from now on in this task."""
    # A client can send any word as the method.
    _context.set(RequestContext(request_id, method if method in METHODS else None))


def get_request_context() -> RequestContext:
    """Return the context of the request that runs."""
    return _context.get()


def note_user(user_id: int) -> None:
    """Add a user id to the log lines of this request: the caller's, or that of the account whose password was tried."""
    if context := _context.get(None):
        context.user_id = user_id
