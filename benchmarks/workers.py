"""The measured servers, on given cores, with the CPU time that they have used."""

import os
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import httpx

from benchmarks import ROOT
from tests.support.servers import MAIN, Process, free_port

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
    """A server in an empty folder, so that no `.env` is read: one worker of an application, or the whole service."""

    def __init__(self, program: Sequence[str], port: int, environment: Mapping[str, str], cores: Cores) -> None:
        self._folder = TemporaryDirectory(prefix="expenses-bench-", ignore_cleanup_errors=True)
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        with on(cores):
            # Not forked, as tests do it: that process would begin with more libraries in memory than it needs.
            self._process = Process(
                ["env", sys.executable, *program],
                Path(self._folder.name),
                {"PATH": os.environ["PATH"], **environment},
            )
        self._process.wait_until(self._answers)

    @property
    def cpu_seconds(self) -> float:
        """The CPU time in seconds that all threads of the server, and of the processes that it forked, have used."""
        forked = Path(f"/proc/{self.process_id}/task/{self.process_id}/children").read_text().split()
        return sum(read_cpu_seconds(process_id) for process_id in (self.process_id, *map(int, forked)))

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


def run_worker(application: str, environment: Mapping[str, str], cores: Cores) -> AbstractContextManager[Worker]:
    """Run a worker of an application on these cores."""
    port = free_port()
    program = ["-m", "uvicorn", application, "--app-dir", str(ROOT), "--port", str(port), *OPTIONS]
    return closing(Worker(program, port, environment, cores))


def run_service(environment: Mapping[str, str], cores: Cores, workers: int) -> AbstractContextManager[Worker]:
    """Run the service as `make run` does, with so many workers, on these cores."""
    port = free_port()
    return closing(Worker(MAIN, port, {**environment, "PORT": str(port), "WORKERS": str(workers)}, cores))


def read_cpu_seconds(process_id: int) -> float:
    """Return the CPU time in seconds that the threads of a process have used so far."""
    spent = 0
    for task in Path(f"/proc/{process_id}/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):
            spent += int((task / "schedstat").read_text().split()[0])
    return spent / 1e9


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
