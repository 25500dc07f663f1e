"""Where `make bench abuse` measures: the service as `make run` starts it, beside a fresh database of either kind."""

import os
import resource
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from sqlalchemy import Engine, make_url

import migrations
from benchmarks.stage import open_stage
from benchmarks.workers import Cores, on, pin, split_cores
from infra.engines import make_blocking_engine
from tests.support.servers import MAIN, Process, free_port, is_served

SQLITE, MARIADB = "sqlite", "mariadb"
TITLES: Final = {SQLITE: "SQLite", MARIADB: "MariaDB"}
# What most systems let a process open.
OPEN_FILES: Final = 1024
# Files of MariaDB whose size says nothing: logs of a fixed size, and temporary tables.
UNCOUNTED: Final = ("ib_logfile", "ibtmp", "aria_log")
TICKS: Final = os.sysconf("SC_CLK_TCK")


class Target:
    """The service, on a core of its own, with all its limits; it can be started again on the same database."""

    def __init__(self, url: str, core: Cores) -> None:
        self._core = core
        self._settings = {"DATABASE_URL": url, "SECRET_KEY": secrets.token_hex(32), "ACCESS_TOKEN_MINUTES": "600"}
        self._folder: TemporaryDirectory[str] | None = None
        self._process: Process | None = None
        self.port = 0

    def start(self) -> None:
        """Start it, again if it runs, and return when it answers."""
        self.close()
        self.port = free_port()
        self._folder = TemporaryDirectory(prefix="expenses-bench-", ignore_cleanup_errors=True)
        environment = {"PATH": os.environ["PATH"], **self._settings, "PORT": str(self.port)}
        with on(self._core):
            self._process = Process([sys.executable, *MAIN], Path(self._folder.name), environment)
        self._process.wait_until(lambda: is_served(self.port, "/health"))
        pin(self._process.pid, self._core)
        _, most = resource.prlimit(self._process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(self._process.pid, resource.RLIMIT_NOFILE, (min(OPEN_FILES, most), most))

    def close(self) -> None:
        """Kill it if it runs."""
        if self._process and self._folder:
            self._process.kill()
            self._folder.cleanup()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def cpu_seconds(self) -> float:
        """The CPU time that it has used so far."""
        return read_cpu_seconds(self._pid)

    def begin_peak(self) -> int:
        """Forget the most memory that it ever had, and return how many bytes it has now."""
        with suppress(OSError):
            Path(f"/proc/{self._pid}/clear_refs").write_text("5")
        return self._read_memory("VmRSS")

    def read_peak(self) -> int:
        """Return the most bytes that it had since `begin_peak`."""
        return self._read_memory("VmHWM")

    @property
    def _pid(self) -> int:
        return self._process.pid if self._process else 0

    def _read_memory(self, name: str) -> int:
        with suppress(OSError):
            for line in Path(f"/proc/{self._pid}/status").read_text().splitlines():
                if line.startswith(f"{name}:"):
                    return int(line.split()[1]) << 10
        return 0


@dataclass(frozen=True)
class Ground:
    """A database, and the service on it."""

    title: str
    target: Target
    engine: Engine
    files: Path
    """The folder with the database's files."""
    others: Cores
    """The cores of the load and, if there is one, of the database."""
    database: int = 0
    """The process of the database; 0: it has none."""

    @property
    def kept_bytes(self) -> int:
        """The bytes of the database's files."""
        kept = 0
        for path in self.files.rglob("*"):
            with suppress(OSError):
                kept += 0 if path.name.startswith(UNCOUNTED) or not path.is_file() else path.stat().st_size
        return kept

    @property
    def database_cpu_seconds(self) -> float:
        """The CPU time that the database's own process has used so far."""
        return read_cpu_seconds(self.database)


def read_cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process, also of its threads that have ended; 0 if there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS


@contextmanager
def open_ground(database: str) -> Iterator[Ground]:
    """Make a database of this kind, and start the service on it."""
    with _open_mariadb() if database == MARIADB else _open_sqlite() as ground:
        try:
            ground.target.start()
            yield ground
        finally:
            ground.target.close()


@contextmanager
def _open_sqlite() -> Iterator[Ground]:
    core, others = split_cores()
    with TemporaryDirectory(prefix="expenses-bench-", ignore_cleanup_errors=True) as folder:
        url = f"sqlite+aiosqlite:///{Path(folder) / 'expenses.db'}"
        migrations.upgrade(url)
        engine = make_blocking_engine(migrations.make_sync_url(make_url(url)))
        yield Ground(TITLES[SQLITE], Target(url, core), engine, Path(folder), others)


@contextmanager
def _open_mariadb() -> Iterator[Ground]:
    with open_stage() as stage:
        target = Target(stage.environment["DATABASE_URL"], stage.core)
        files, process = stage.mariadb.socket.parent, stage.mariadb.process
        title = f"{TITLES[MARIADB]} {stage.version().partition('-')[0]}"
        yield Ground(title, target, stage.engine, files, stage.others, process.pid)
