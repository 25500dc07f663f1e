"""The service as a process that is killed, stopped and started again on the same port, in the same folder."""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from faults import ROOT
from tests.support import forks
from tests.support.servers import MAIN, Process, free_port, inherited, is_served

# High, but not off (0): what the throttle writes is also written during the fault.
LIMITS: Final = dict.fromkeys(
    ("SIGNIN_PER_NAME", "SIGNIN_PER_ADDRESS", "SIGNIN_PER_NAME_DAILY", "REGISTRATIONS_PER_ADDRESS"), "1000"
)
COMMANDS: Final = ("-m", "commands")


class Vanished(Exception):
    """The service has ended, and nobody had told it to."""


class Service:
    """One service, configured by its environment; `make run` with two workers where that is asked for."""

    def __init__(self, database_url: str, secret_key: str = "", *, workers: int = 1) -> None:
        self._folder = TemporaryDirectory(prefix="expenses-faults-", ignore_cleanup_errors=True)
        self.folder = Path(self._folder.name)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.secret_key = secret_key or secrets.token_hex(32)
        self.environment = {
            **inherited(),
            **LIMITS,
            "BCRYPT_ROUNDS": "4",
            # All clients have one address here, and some faults are hundreds of them.
            "CONNECTIONS_PER_ADDRESS": "2000",
            "CONNECTIONS": "2000",
            "PORT": str(self.port),
            "WORKERS": str(workers),
            "PYTHONPATH": str(ROOT),
            "SECRET_KEY": self.secret_key,
            "DATABASE_URL": database_url,
        }
        self._process: Process | None = None

    @property
    def log(self) -> str:
        """All that it has logged, over all its lives."""
        return self.process.log

    @property
    def process(self) -> Process:
        """Its main process."""
        if self._process is None:
            raise RuntimeError("the service was never started")
        return self._process

    def start(self, program: Sequence[str] = (), **changes: str) -> None:
        """Start it with these changes of its environment, and return when it answers; raise NoServer if not."""
        self.environment |= changes
        self._process = Process([sys.executable, *(program or MAIN)], self.folder, self.environment)
        self._process.wait_until(lambda: is_served(self.port, "/health"))

    def stop(self) -> tuple[int | None, float]:
        """Stop it with SIGTERM; return its exit code, None if it had to be killed, and the seconds that it took."""
        began = time.monotonic()
        code: int | None = None
        with suppress(AssertionError):
            code = self.process.stop()
        return code, time.monotonic() - began

    def refuse_vanished(self) -> None:
        """Raise Vanished with the end of its log if it no longer runs."""
        if not self.process.alive:
            raise Vanished(f"the service has ended with {self.process.exit_code}; its log ends with\n{self.log[-500:]}")

    def kill(self) -> None:
        """Kill it with all its workers (SIGKILL)."""
        self.process.kill()

    def kill_worker(self) -> None:
        """Kill the worker that was started last (SIGKILL)."""
        os.kill(max(_list_workers(self.process.pid)), signal.SIGKILL)

    def run_command(self, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        """Run one of the operator's commands with the service's configuration and these changes."""
        return forks.run([*COMMANDS, *arguments], self.folder, self.environment | changes)

    def close(self) -> None:
        """Kill it if it still runs, and delete its folder."""
        if self._process:
            self._process.kill()
        self._folder.cleanup()


def _list_workers(pid: int) -> list[int]:
    """Return the processes that a service has started to serve requests."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(it) for it in children]
