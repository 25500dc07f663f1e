"""The log lines of a request: their fields, and the line that says how it was answered."""

import logging
from typing import Any, Final

from starlette.types import Scope

from infra.log import LOGGER_NAME, logger
from infra.request_context import get_request_context

# Requested every few seconds by monitoring, so logged at DEBUG.
POLLED_PATHS: Final = {"/health", "/ready"}


def get_log_context(scope: Scope) -> dict[str, Any]:
    """Return the fields that a log line has about a request: its id, the user id, the method, the route's template."""
    context = get_request_context()
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
    if app is None:
        return None
    pages = (page for page in scope["app"].routes if app in (vars(page).get("endpoint"), vars(page).get("app")))
    return next((page.path_format for page in pages), None)
