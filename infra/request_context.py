"""What the log and problems tell about the request that runs: its id, the user, the method, the route."""

import logging
from contextvars import ContextVar
from dataclasses import dataclass
from http import HTTPMethod
from typing import Any, Final

from starlette.types import Scope

from infra.log import LOGGER_NAME, logger

# Requested every few seconds by monitoring, so logged at DEBUG.
POLLED_PATHS: Final = {"/health", "/ready"}
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


def get_request_id() -> str:
    """Return the id of the request that runs."""
    return _context.get().request_id


def note_user(user_id: int) -> None:
    """Add a user id to the log lines of this request: the caller's, or that of the account whose password was tried."""
    if context := _context.get(None):
        context.user_id = user_id


def get_log_context(scope: Scope) -> dict[str, Any]:
    """Return the fields that a log line has about a request: its id, the user id, the method, the route's template."""
    context = _context.get()
    return {
        "request_id": context.request_id,
        "user_id": context.user_id,
        "method": context.method,
        "route": _find_route_template(scope),
    }


def log_request(scope: Scope, status: int | None, seconds: float) -> None:
    """Log that a request is over; `status` None: it was cancelled or the connection was lost before an answer."""
    context = get_log_context(scope)
    level = logging.DEBUG if context["route"] in POLLED_PATHS else logging.INFO
    if logger.isEnabledFor(level):
        message = "answered" if status else "not answered"
        # The record is made here, because the logging module would search the stack for the caller.
        extra = context | {"status": status, "milliseconds": round(seconds * 1000, 1)}
        logger.handle(logger.makeRecord(LOGGER_NAME, level, __file__, 0, message, (), None, extra=extra))


def _find_route_template(scope: Scope) -> str | None:
    if "route" in scope:
        template: str = scope["route"].path_format
        return template
    # The documentation pages are plain routes and mounts of Starlette, which only put their endpoint into the scope.
    app = scope.get("endpoint")
    pages = (page for page in scope["app"].routes if app and app in (vars(page).get("endpoint"), vars(page).get("app")))
    return next((page.path_format for page in pages), None)
