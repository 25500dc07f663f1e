"""The measured servers: one uvicorn worker each, on given cores, with the CPU time that it has used."""

import os
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import httpx

from benchmarks import ROOT
from tests.support.servers import Process, free_port

# As `make run` starts the service, the same for all applications; but requests are not logged, as that costs time.
OPTIONS: Final = (
    "--host",
    "127.0.0.1",
    "--log-level",
    "warning",
    "--no-access-log",
    "--no-server-header",
    "--no-proxy-headers",
)

Cores = Collection[int]


class Worker:
    """One worker of an application, in an empty folder, so that no `.env` is read."""

    def __init__(self, application: str, environment: Mapping[str, str], cores: Cores) -> None:
        self._folder = TemporaryDirectory(prefix="expenses-bench-", ignore_cleanup_errors=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        address = ["--app-dir", str(ROOT), "--port", str(self.port)]
        with on(cores):
            # Not forked, as tests do it: that process would begin with more libraries in memory than it needs.
            self._process = Process(
                ["env", sys.executable, "-m", "uvicorn", application, *address, *OPTIONS],
                Path(self._folder.name),
                {"PATH": os.environ["PATH"], **environment},
            )
        self._process.wait_until(self._answers)

    @property
    def cpu_seconds(self) -> float:
        """The CPU time in seconds that all threads of the worker have used so far."""
        tasks = Path(f"/proc/{self._process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    @property
    def process_id(self) -> int:
        """The id of the worker's process."""
        return self._process.pid

    @property
    def resident_bytes(self) -> int:
        """The memory that the worker has now."""
        lines = Path(f"/proc/{self._process.pid}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("Rss:"))

    @property
    def log(self) -> str:
        """The last 4,000 characters that the worker has printed."""
        return self._process.log[-4000:]

    def close(self) -> None:
        """End the worker."""
        self._process.kill()
        self._folder.cleanup()

    def _answers(self) -> bool:
        with suppress(httpx.TransportError):
            httpx.get(f"{self.url}/health", trust_env=False, timeout=2)
            return True
        return False


@contextmanager
def run_worker(application: str, environment: Mapping[str, str], cores: Cores) -> Iterator[Worker]:
    """Run a worker of an application on these cores."""
    worker = Worker(application, environment, cores)
    try:
        yield worker
    finally:
        worker.close()


@contextmanager
def on(cores: Cores) -> Iterator[None]:
    """Within it, this process and those that it starts run on these cores; processes stay there."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def pin(process_id: int, cores: Cores) -> None:
    """Move all threads of a running process to these cores."""
    for task in Path(f"/proc/{process_id}/task").iterdir():
        with suppress(ProcessLookupError):
            os.sched_setaffinity(int(task.name), cores)


def split_cores() -> tuple[Cores, Cores]:
    """Return one core for the measured worker, and the others for the database and the load."""
    first, *others = sorted(os.sched_getaffinity(0))
    return {first}, set(others) or {first}
