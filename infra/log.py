"""The log: lines of JSON that say what happened and to whom, and never what was sent."""

import json
import logging
import os
import re
import sys
import time
import traceback
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar
from functools import lru_cache
from http import HTTPMethod
from pathlib import PurePath
from typing import Any, Final, TypeVar

from starlette.types import Scope

App = TypeVar("App")
Lifespan = Callable[[App], AbstractAsyncContextManager[None]]

LOGGER_NAME: Final = "expense_tracker"
# Asked every few seconds by whoever watches over the service.
POLLED_PATHS: Final = {"/health", "/ready"}
METHODS: Final = set(HTTPMethod)
MAX_FRAMES: Final = 50
MAX_CAUSES: Final = 20

logger = logging.getLogger(LOGGER_NAME)

_context: ContextVar[dict[str, Any] | None] = ContextVar("log_context", default=None)

_STANDARD_FIELDS: Final = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}
_WARNING: Final = re.compile(r"(?P<file>.*?):(?P<line>\d+): (?P<kind>\w+): ")


class JsonFormatter(logging.Formatter):
    """Writes a record as one line of ASCII, a JSON object (ASVS 5.0 16.2.4, 16.4.1).

    An error is written as the chain of its types and frames: a driver's message quotes values, and so may its source
    line. Of a message the first line is written, since libraries append such things; of a warning its kind and place.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record, without its end."""
        line: dict[str, Any] = {
            "time": f"{_format_second(int(record.created))}.{int(record.msecs):03}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": _format_message(record),
        }
        if record.name == LOGGER_NAME:
            # What others add to their records is not known to be free of values.
            line |= {name: value for name, value in vars(record).items() if name not in _STANDARD_FIELDS}
        if record.exc_info and record.exc_info[1]:
            line["error"] = [_format_error(error) for error in _walk_causes(record.exc_info[1])]
        return _encode(line)


_encode = json.JSONEncoder(default=lambda value: type(value).__name__, separators=(",", ":")).encode


@lru_cache(1)
def _format_second(whole: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))


def _format_message(record: logging.LogRecord) -> str:
    try:
        message = record.getMessage()
    except (TypeError, ValueError, KeyError):
        # Its arguments do not fit, which the logging module would tell with all of them.
        message = str(record.msg)
    if record.name == "py.warnings":
        found = _WARNING.match(message)
        return f"{found['kind']} at {_shorten_path(found['file'])}:{found['line']}" if found else "a warning"
    return message.partition("\n")[0]


def _walk_causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it came from, as Python's own traceback has it, the last first."""
    waiting, met = [error], set[int]()
    while waiting and len(met) < MAX_CAUSES:
        error = waiting.pop()
        if id(error) not in met:
            met.add(id(error))
            yield error
            waiting += error.exceptions if isinstance(error, BaseExceptionGroup) else ()
            origin = error.__cause__ if error.__suppress_context__ else error.__context__
            waiting += [origin] if origin else []


def _format_error(error: BaseException) -> dict[str, Any]:
    kind, frames = type(error), deque(traceback.walk_tb(error.__traceback__), MAX_FRAMES)
    return {
        "type": kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}",
        "frames": [f"{_shorten_path(it.f_code.co_filename)}:{line} {it.f_code.co_qualname}" for it, line in frames],
    }


def _shorten_path(file: str) -> str:
    """Return a file's name as seen from where Python found it, which tells nothing about the machine."""
    folders = sorted((entry + os.sep for entry in sys.path if entry), key=len, reverse=True)
    return next((file[len(folder) :] for folder in folders if file.startswith(folder)), PurePath(file).name)


LOGGING: Final = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"lines": {"()": JsonFormatter}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines", "stream": "ext://sys.stderr"}},
    "root": {"level": "WARNING", "handlers": ["stderr"]},
    "loggers": {LOGGER_NAME: {"level": "INFO"}, "uvicorn": {"level": "INFO"}},
}
"""What `python main.py` has uvicorn set up, before its own first line."""


def configure_logging() -> None:
    """See that lines are written, and as these lines, whoever started the service: `uvicorn main:app`, `fastapi dev`.

    The level is the one that uvicorn was given. Its access log ends: it holds paths and queries.
    """
    uvicorn, access = logging.getLogger("uvicorn"), logging.getLogger("uvicorn.access")
    for handler in uvicorn.handlers:
        handler.setFormatter(JsonFormatter())
    access.handlers.clear()
    access.propagate = False
    if not logger.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(JsonFormatter())
        logging.getLogger().addHandler(handler)
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.getLogger("uvicorn.error").level or logging.INFO)
    # A driver's warning quotes values too.
    logging.captureWarnings(capture=True)


def log_lifespan(lifespan: Lifespan[App], *own: type[Exception]) -> Lifespan[App]:
    """Return a lifespan that is logged as it should be, and so is what ends it: of our `own` errors what they say.

    The server's own line about such an end is the trace with all of its values, of which `Lines` leaves nothing.
    """

    @asynccontextmanager
    async def run_lifespan(app: App) -> AsyncIterator[None]:
        configure_logging()
        try:
            async with lifespan(app):
                yield
        except own as error:
            logger.critical("%s", error)
            raise
        except Exception:
            logger.critical("nobody expected this of a start or an end", exc_info=True)
            raise

    return run_lifespan


def start_log_context(scope: Scope, request_id: str) -> dict[str, Any]:
    """Return what is to be known of a request whatever becomes of it, for `scope["log_context"]`."""
    # Any word may be sent as a method.
    method = scope["method"] if scope["method"] in METHODS else None
    context = {"request_id": request_id, "user_id": None, "method": method, "route": None}
    _context.set(context)
    return context


def note_user(user_id: int) -> None:
    """Have the lines of this request say which account it is about: who calls, or whose password was tried."""
    context = _context.get()
    if context is not None:
        context["user_id"] = user_id


def get_log_context(scope: Scope) -> dict[str, Any]:
    """Return what a line says of a request: its id, which account, the method, and the template of its route."""
    known: dict[str, Any] = scope["log_context"]
    known["route"] = _find_route_template(scope)
    return known


def log_request(scope: Scope, status: int | None, seconds: float) -> None:
    """Log that a request is over; a status of None says that it was never answered: cancelled, or broken off."""
    known = get_log_context(scope)
    level = logging.DEBUG if known["route"] in POLLED_PATHS else logging.INFO
    if logger.isEnabledFor(level):
        said = "answered" if status else "not answered"
        # Made here, because the logging module would look through the stack for who asks.
        extra = known | {"status": status, "milliseconds": round(seconds * 1000, 1)}
        logger.handle(logger.makeRecord(LOGGER_NAME, level, __file__, 0, said, (), None, extra=extra))


def _find_route_template(scope: Scope) -> str | None:
    if "route" in scope:
        template: str = scope["route"].path_format
        return template
    # The pages are Starlette's routes and mounts, which tell no more than what they call.
    called = scope.get("endpoint")
    pages = (it for it in scope["app"].routes if called and called in (vars(it).get("endpoint"), vars(it).get("app")))
    return next((page.path_format for page in pages), None)
