"""How `make run` serves: it opens the port once, and serves from it in this process or in several workers.

After SIGTERM or SIGINT no connection is accepted. Requests may run for GRACE_SECONDS more; what is left is cancelled,
and answered with 503 where an answer can still be sent. LAST_SECONDS after the signal the process ends whatever it
waits for: a database that does not answer, or a thread that cannot be cancelled.

Each process has the bounds of `infra/http_protocol.py` and `infra/connections.py`.
"""

import asyncio
import errno
import gc
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from ipaddress import ip_network
from types import FrameType
from typing import Any, Final, NoReturn

import uvicorn
from starlette.types import ASGIApp

from config import Settings
from infra import log
from infra.connections import Bounds, Connections, Network, RenderRefusal
from infra.http_protocol import BoundedProtocol
from infra.workers import Workers

GRACE_SECONDS: Final = 7
# A thread that parses a large body keeps the event loop waiting for so long, each time that the loop has waited for
# something; Python's default is ten times as long.
SWITCH_SECONDS: Final = 0.0005
# Python searches for garbage once there are so many objects more than at its last search. A batch of 1,000 has 30,000
# while it lasts; with the default of 700 all of them were searched at every second batch, for 60 ms.
GARBAGE_THRESHOLD: Final = 50_000
LAST_SECONDS: Final = 9
BACKLOG: Final = 2048
# The connections that have been refused, the log, the listening sockets, and files that are open for a moment.
OTHER_FILES: Final = 100
# Of each connection to the database; SQLite opens the database, `-wal` and `-shm`.
FILES_PER_DATABASE_CONNECTION: Final = 3
# A host name may have addresses that this machine lacks; its others are enough.
_NOT_HERE: Final = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
_EVERY_ADDRESS: Final = {"0.0.0.0": "localhost", "::": "[::1]"}  # noqa: S104  # compared, not listened on


def serve(app: ASGIApp, settings: Settings, render_refusal: RenderRefusal) -> int:
    """Serve until SIGTERM or SIGINT, which end the process; return or raise the exit code if that is not possible."""
    connections = Connections(build_bounds(settings), render_refusal, _list_trusted(settings))
    config = _build_config(app, settings, connections)
    try:
        sockets = _open_sockets(settings.host, settings.port)
    except (OSError, UnicodeError) as error:
        _say(_explain_refusal(error, settings), logging.CRITICAL)
        return 1

    def run(when_serving: Callable[[], None]) -> None:
        _Server(config, connections, when_serving).run(sockets)

    def close_sockets() -> None:
        for listening in sockets:
            listening.close()

    def announce() -> None:
        _say(describe_address(settings), logging.INFO)

    if settings.workers > 1:
        _leave(Workers(settings.workers, run, when_all_serve=announce).run(close_sockets))
    run(announce)
    return 0


def build_bounds(settings: Settings) -> Bounds:
    """Return the bounds of each process: its limit of open files must leave room for the database."""
    # Two pools, and the connection of /ready.
    reserved = OTHER_FILES + (2 * settings.pool_size + 1) * FILES_PER_DATABASE_CONNECTION
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = settings.connections if files == resource.RLIM_INFINITY else max(files - reserved, 1)
    return Bounds(min(settings.connections, room), settings.connections_per_address, settings.keep_alive)


def _list_trusted(settings: Settings) -> list[Network]:
    networks = []
    for proxy in settings.trusted_proxies:
        with suppress(ValueError):  # a proxy without an address
            networks.append(ip_network(proxy))
    return networks


def _build_config(app: ASGIApp, settings: Settings, connections: Connections) -> uvicorn.Config:
    # No access log: it contains query strings, so what users search for; infra/log.py logs requests without them.
    # No websockets: uvicorn would answer such a request itself, without the application.
    config = uvicorn.Config(
        app,
        http=_name_protocol(connections),
        server_header=False,
        proxy_headers=False,
        access_log=False,
        log_config=log.LOGGING,
        ws="none",
        timeout_keep_alive=settings.keep_alive,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    if sys.stderr.isatty():
        # One line in plain words says the same.
        logging.getLogger("uvicorn").setLevel(logging.WARNING)
    return config


def _name_protocol(connections: Connections) -> Any:  # noqa: ANN401  # uvicorn only calls it, but asks for a class
    return partial(BoundedProtocol, connections)


class _Server(uvicorn.Server):
    """A server that says when it serves, and that ends in time after a signal."""

    def __init__(self, config: uvicorn.Config, connections: Connections, when_serving: Callable[[], None]) -> None:
        super().__init__(config)
        self._connections = connections
        self._when_serving = when_serving

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve, and end with exit code 0 after a signal."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: sys.exit(0))
        signal.signal(signal.SIGALRM, lambda *_: _leave(0))
        try:
            super().run(sockets)
        except SystemExit:
            if self.should_exit:
                # uvicorn has shut down, and raised the signal again.
                _leave(0)
            raise

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application and accept connections."""
        await super().startup(sockets)
        if not self.should_exit:
            # What lives as long as the process is never searched for garbage again, which stops all requests for 0.3 s.
            gc.collect()
            gc.freeze()
            gc.set_threshold(GARBAGE_THRESHOLD)
            sys.setswitchinterval(SWITCH_SECONDS)
            self._connections.watch(asyncio.get_running_loop())
            self._when_serving()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no connection any more, and wait for the answers that are being made."""
        self._connections.is_ending = True
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Note a signal, and limit the time that is left."""
        if not self.should_exit:
            signal.setitimer(signal.ITIMER_REAL, LAST_SECONDS)
        super().handle_exit(sig, frame)


def _leave(code: int) -> NoReturn:
    """End this process at once: the interpreter would wait for its threads, and takes a second on a slow machine."""
    os._exit(code)


def _open_sockets(host: str, port: int) -> list[socket.socket]:
    """Listen on every address of a host; raise OSError if one of them is taken, or if this machine has none of them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets, missing = [], OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
    for family, address in dict.fromkeys((family, address) for family, _, _, _, address in found):
        try:
            sockets.append(socket.create_server(address, family=family, backlog=BACKLOG))
        except OSError as error:
            if error.errno not in _NOT_HERE:
                raise
            missing = error
    if not sockets:
        raise missing
    return sockets


def _explain_refusal(error: OSError | UnicodeError, settings: Settings) -> str:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        free = settings.port % 65535 + 1
        return (
            f"Port {settings.port} is taken by another program: stop that one, or take another port: "
            f"PORT={free} make run"
        )
    reason = _find_reason(error) if isinstance(error, OSError) else "no name of a host"
    return f"The service cannot listen on HOST={settings.host}, PORT={settings.port} ({reason}): change one of them."


def _find_reason(error: OSError) -> str | None:
    return os.strerror(error.errno) if isinstance(error.errno, int) and error.errno > 0 else error.strerror


def describe_address(settings: Settings) -> str:
    """Return a sentence that says where a browser on this machine finds /docs."""
    host = settings.host if ":" not in settings.host else f"[{settings.host}]"
    host = "localhost" if settings.host == "127.0.0.1" else _EVERY_ADDRESS.get(settings.host, host)
    processes = f" in {settings.workers} processes" if settings.workers > 1 else ""
    others = ", on another machine with the name of this one" if settings.host in _EVERY_ADDRESS else ""
    address = f"http://{host}:{settings.port}{settings.root_path}/docs"
    return f"Expense Tracker is running{processes}: open {address}{others} (Ctrl-C stops it)"


def _say(sentence: str, level: int) -> None:
    """Write a sentence to the terminal, or log it if there is none."""
    if sys.stderr.isatty():
        sys.stderr.write(f"{sentence}\n")
    else:
        log.logger.log(level, "%s", sentence)
