"""The log: one line of JSON per event, without any value that a client sent."""

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
from functools import lru_cache
from pathlib import PurePath
from typing import Any, Final, TypeVar

App = TypeVar("App")
Lifespan = Callable[[App], AbstractAsyncContextManager[None]]

LOGGER_NAME: Final = "expense_tracker"
MAX_FRAMES: Final = 50
MAX_CAUSES: Final = 20

logger = logging.getLogger(LOGGER_NAME)


_STANDARD_FIELDS: Final = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}
_WARNING: Final = re.compile(r"(?P<file>.*?):(?P<line>\d+): (?P<kind>\w+): ")


class JsonFormatter(logging.Formatter):
    """Writes a record as one line of ASCII, a JSON object (ASVS 5.0 16.2.4, 16.4.1).

    Of an error and its causes only types and frames are written, because messages of drivers and lines of source can
    contain values. Of a message only the first line, because libraries append such texts. Of a warning its class, file
    and line.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record, without a newline at its end."""
        line: dict[str, Any] = {
            "time": f"{_format_second(int(record.created))}.{int(record.msecs):03}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": _format_message(record),
        }
        if record.name == LOGGER_NAME:
            # Extra fields of libraries may contain values.
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
        # The arguments do not match the format; the logging module would print all of them.
        message = str(record.msg)
    if record.name == "py.warnings":
        match = _WARNING.match(message)
        return f"{match['kind']} at {shorten_path(match['file'])}:{match['line']}" if match else "a warning"
    return message.partition("\n")[0]


def _walk_causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, the errors of a group, and what they were raised from, the newest first; at most 20."""
    waiting, seen = [error], set[int]()
    while waiting and len(seen) < MAX_CAUSES:
        error = waiting.pop()
        if id(error) not in seen:
            seen.add(id(error))
            yield error
            waiting += error.exceptions if isinstance(error, BaseExceptionGroup) else ()
            origin = error.__cause__ if error.__suppress_context__ else error.__context__
            waiting += [origin] if origin else []


def _format_error(error: BaseException) -> dict[str, Any]:
    kind, frames = type(error), deque(traceback.walk_tb(error.__traceback__), MAX_FRAMES)
    return {
        "type": kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}",
        "frames": [f"{shorten_path(f.f_code.co_filename)}:{line} {f.f_code.co_qualname}" for f, line in frames],
    }


def shorten_path(file: str) -> str:
    """Return the file's path relative to its entry of sys.path, which reveals nothing about the machine."""
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
"""The logging configuration that `python main.py` gives uvicorn, so that uvicorn's first line is JSON too."""


def configure_logging() -> None:
    """Set up JSON lines however the service was started: `python main.py`, `uvicorn main:app`, `fastapi dev`.

    The level is uvicorn's. Uvicorn's access log is turned off, because it contains paths and queries.
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
    logging.getLogger("uvicorn.error").addFilter(_is_wanted)
    # Warnings of drivers contain values too: written by the formatter, they are cut to class and place.
    logging.captureWarnings(capture=True)


def _is_wanted(record: logging.LogRecord) -> bool:
    """Whether a message of uvicorn neither repeats the error that `log_lifespan` has logged, nor names an address.

    It writes the path and the query of each websocket; the service logs these requests like all others.
    """
    message = str(record.msg)
    return not (message.startswith("Traceback ") or "WebSocket %s" in message)


def log_lifespan(lifespan: Lifespan[App], *own: type[Exception]) -> Lifespan[App]:
    """Wrap a lifespan so that logging is configured first and the error that ends it is logged.

    Of `own` errors the message is logged, of others types and frames. Uvicorn would log the same error once more, as a
    traceback.
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
            logger.critical("unexpected error at start or shutdown", exc_info=True)
            raise

    return run_lifespan
