"""Worker processes that share the sockets of their parent, which replaces one that dies.

    parent   starts the first worker, and the others when it serves: so one worker migrates the database and generates
               the key, and a reason not to start is logged once
             replaces a worker that has died; after deaths in quick succession only after a pause
             passes SIGTERM and SIGINT on, and waits until all workers have ended
    worker   serves, and ends by itself if the parent has died

Workers are forked, so they share the parent's settings and the memory of what it has imported. Decision 31 says why
this is not uvicorn's own supervisor.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Final

from infra.log import logger

Serve = Callable[[Callable[[], None]], None]
"""Serves in this process until a signal ends it; calls what it is given once it serves."""

START_FAILURE: Final = 3
"""The exit code of uvicorn if the application refuses to start; the reason is in the log."""
END_SECONDS: Final = 9.3
"""How long the workers may take to end after the signal; then they are killed."""
TICK_SECONDS: Final = 0.1
SERVING: Final = b"serving"
"""What a worker sends to its parent once it serves."""
# The pause before a worker is replaced doubles with each death, until one has served for STEADY_SECONDS.
FIRST_PAUSE: Final = 0.5
MAX_PAUSE: Final = 30.0
STEADY_SECONDS: Final = 10.0


class Workers:
    """A number of worker processes, and the one that supervises them."""

    def __init__(self, count: int, serve: Serve, *, when_all_serve: Callable[[], None]) -> None:
        self._places = [_Place() for _ in range(count)]
        self._serve = serve
        self._when_all_serve = when_all_serve
        self._have_all_served = False
        self._is_ending = False
        self._parent = os.getpid()
        # Only the parent holds the writing end, so the reading end is closed when the parent dies, however it dies.
        self._life, self._held = os.pipe()

    def run(self, when_ending: Callable[[], None]) -> int:
        """Serve until SIGTERM or SIGINT, and return the exit code: 0, or 3 if no worker could start.

        `when_ending` is called before the workers are told to end.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note_signal)
        try:
            return self._supervise()
        finally:
            when_ending()
            self._end()

    def _note_signal(self, *_: object) -> None:
        if os.getpid() != self._parent:
            # A worker that was just forked, and does not handle signals itself yet.
            os._exit(0)
        self._is_ending = True

    def _supervise(self) -> int:
        while not self._is_ending:
            for place in self._places:
                place.look()
            if any(place.exit_code == START_FAILURE for place in self._places) and not self._has_any_served():
                logger.critical("the first worker cannot start, so the service ends")
                return START_FAILURE
            self._fill_places()
            self._tell_if_all_serve()
            time.sleep(TICK_SECONDS)
        return 0

    def _has_any_served(self) -> bool:
        return any(place.has_served for place in self._places)

    def _fill_places(self) -> None:
        wanted = self._places if self._has_any_served() else self._places[:1]
        for place in wanted:
            if place.is_due():
                place.start(self._work)

    def _tell_if_all_serve(self) -> None:
        if not self._have_all_served and all(place.is_serving for place in self._places):
            self._have_all_served = True
            self._when_all_serve()

    def _work(self, tell: Callable[[], None]) -> None:
        """Serve: what a worker does."""
        os.close(self._held)
        threading.Thread(target=_end_with_parent, args=(self._life,), daemon=True).start()
        self._serve(tell)

    def _end(self) -> None:
        deadline = time.monotonic() + END_SECONDS
        running = [place.process for place in self._places if place.process]
        for process in running:
            process.terminate()
        for process in running:
            process.join(max(0.0, deadline - time.monotonic()))
            process.kill()
            process.join()


def _end_with_parent(life: int) -> None:
    os.read(life, 1)
    os.kill(os.getpid(), signal.SIGTERM)


class _Place:
    """A place for one worker: the process that holds it, and when the next may start after that has died."""

    def __init__(self) -> None:
        self.process: BaseProcess | None = None
        self.has_served = False
        self.exit_code: int | None = None
        """The exit code of the last process, if it has ended."""
        self._served_from: float | None = None
        self._pause = FIRST_PAUSE
        self._starts_at = 0.0

    @property
    def is_serving(self) -> bool:
        """Whether the process serves, as far as the last look told."""
        return self._served_from is not None

    def is_due(self) -> bool:
        """Whether the place is empty and its pause is over."""
        return self.process is None and time.monotonic() >= self._starts_at

    def start(self, work: Callable[[Callable[[], None]], None]) -> None:
        """Fork a process that runs `work`, which calls what it is given once it serves."""
        context = multiprocessing.get_context("fork")
        self._told, telling = context.Pipe(duplex=False)
        self.process = context.Process(target=work, args=(lambda: telling.send_bytes(SERVING),))
        self.process.start()
        telling.close()

    def look(self) -> None:
        """Note whether the process serves, or has died."""
        if self.process is None:
            return
        if not self.is_serving and _has_told(self._told):
            self._served_from = time.monotonic()
            self.has_served = True
        if not self.process.is_alive():
            self._note_death(self.process)

    def _note_death(self, process: BaseProcess) -> None:
        steady = self._served_from is not None and time.monotonic() - self._served_from >= STEADY_SECONDS
        pause = 0.0 if steady else self._pause
        self._pause = FIRST_PAUSE if steady else min(2 * self._pause, MAX_PAUSE)
        self._starts_at = time.monotonic() + pause
        self.exit_code = process.exitcode
        logger.warning(
            "worker %s ended with %s %s; the next one starts in %s s",
            process.pid,
            _describe_exit(process.exitcode or 0),
            "after it had served" if self.is_serving else "before it served",
            pause,
        )
        self._told.close()
        process.close()
        self.process, self._served_from = None, None


def _has_told(told: Connection) -> bool:
    """Return whether a process has told that it serves; one that refuses to start only closes the pipe."""
    try:
        return told.poll() and told.recv_bytes() == SERVING
    except EOFError:
        return False


def _describe_exit(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
