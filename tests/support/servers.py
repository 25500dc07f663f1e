"""The servers that tests start for themselves: a private MariaDB (or MySQL), and the service as a real process."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Self, TypeVar

import pytest
from sqlalchemy import URL, Engine, NullPool, create_engine, make_url
from sqlalchemy.exc import OperationalError

import migrations
from tests.support.forks import CAN_FORK, Fork

ROOT: Final = Path(__file__).resolve().parents[2]
# The driver through which the tests reach MySQL.
DRIVER: Final = os.environ.get("MYSQL_DRIVER", "aiomysql")
# The program that `make run` starts.
MAIN: Final = (str(ROOT / "main.py"),)
START_SECONDS: Final = 60
STOP_SECONDS: Final = 20
# On Debian, mariadbd is in /usr/sbin, which is not in a normal user's PATH.
PROGRAM_FOLDERS: Final = ("/usr/sbin", "/usr/local/sbin", "/usr/libexec", "/usr/local/libexec")
# The variables that other processes inherit. Coverage is not measured in them, because that would double the time.
INHERITED: Final = ("PATH", "HOME", "LANG", "LC_", "TMPDIR", "PYTHON")
# The limits of the throttle, switched off: 0 means no limit.
UNLIMITED: Final = dict.fromkeys(
    ("signin_per_name", "signin_per_address", "signin_per_name_daily", "registrations_per_address"), 0
)
# Kills the child and deletes its folder when our end of the pipe is closed, which also happens if we are killed.
GUARD: Final = 'read -r _; kill -s KILL -- "-$1"; rm -rf -- "$2"'


class NoServer(Exception):
    """The server is not installed on this machine, or does not start."""


Server = TypeVar("Server")


def open_or_skip(open_server: Callable[[], Server], variable: str) -> Server:
    """Open a server; if the machine has none, skip the test, or fail if `variable` is `required`, as on CI."""
    try:
        return open_server()
    except NoServer as error:
        if os.environ.get(variable) == "required":
            raise
        pytest.skip(f"NOTHING WAS TESTED WITH {variable}: {error}")


def inherited() -> dict[str, str]:
    """Return the environment of another process; it leaves out the developer's settings, such as DATABASE_URL."""
    return {name: value for name, value in os.environ.items() if name.startswith(INHERITED)}


def free_port() -> int:
    """Return a free TCP port of the loopback interface."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_served(port: int, path: str) -> bool:
    """Return whether a server of the loopback interface answers a GET with 200."""
    # Not with httpx, which loads all certificates of the machine for each call.
    with suppress(OSError, HTTPException), closing(HTTPConnection("127.0.0.1", port, timeout=2)) as probe:
        probe.request("GET", path)
        return probe.getresponse().status == HTTPStatus.OK
    return False


def wait_until_closed(port: int) -> None:
    """Wait until nobody listens on a port of the loopback interface; raise AssertionError after 20 s."""
    deadline = time.monotonic() + STOP_SECONDS
    while _is_open(port):
        assert time.monotonic() < deadline, "it still listens"
        time.sleep(0.01)


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Process:
    """A child process in its own process group, with its output in a file; it is killed when this process ends."""

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self._log = folder / "log"
        self._log.touch()
        self._child = self._start(command, folder, environment)
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", GUARD, "guard", str(self._child.pid), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _start(
        self, command: Sequence[str], folder: Path, environment: Mapping[str, str] | None
    ) -> subprocess.Popen[bytes] | Fork:
        if CAN_FORK and command[0] == sys.executable and environment is not None:
            return Fork(command[1:], folder, (os.devnull, self._log, self._log), environment)
        with self._log.open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The child's process id, also its group's."""
        return self._child.pid

    @property
    def exit_code(self) -> int | None:
        """What the child has ended with, negative for a signal; None while it runs."""
        return self._child.poll()

    @property
    def alive(self) -> bool:
        """Whether the child still runs."""
        return self.exit_code is None

    @property
    def log(self) -> str:
        """The output of the child up to now."""
        return self._log.read_text(errors="replace")

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Wait until `ready` returns True; raise NoServer if the child ends before, or takes longer than 60 s."""
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            if not self.alive or time.monotonic() > deadline:
                raise NoServer(f"{self._child.args!r} did not start:\n{self.log[-4000:]}")
            time.sleep(0.02)

    def stop(self) -> int:
        """Send SIGTERM to the child and return its exit code; raise AssertionError if it does not end in 20 s."""
        try:
            with suppress(ProcessLookupError):
                self._child.terminate()
                self.thaw()
            return self._child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"no end within {STOP_SECONDS} s of SIGTERM:\n{self.log[-4000:]}") from None
        finally:
            self.kill()

    def kill(self) -> None:
        """Kill the child and its children (SIGKILL)."""
        self._signal(signal.SIGKILL)
        self._child.wait()
        with self._guard:
            self._guard.kill()

    def freeze(self) -> None:
        """Suspend the child: it holds its connections and answers none of them."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Continue a suspended child."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)


def make_plain_engine(url: str | URL, **options: Any) -> Engine:
    """Return a blocking engine without TLS, for what tests do past the app; every use opens a connection of its own."""
    url = migrations.make_sync_url(make_url(url))
    # PyMySQL would try TLS, and load all certificates of the machine for each connection, which takes 20 ms.
    arguments = {} if url.get_backend_name() == "sqlite" else {"ssl_disabled": True}
    return create_engine(url, poolclass=NullPool, connect_args=arguments, **options)


class MySQL:
    """A MySQL or MariaDB server whose user may create databases."""

    def __init__(self, url: str | URL) -> None:
        self.server_url = make_url(url).set(drivername=f"mysql+{DRIVER}")
        # Otherwise DROP DATABASE would wait for up to a day if a test has left a transaction open.
        impatient = self.server_url.update_query_pairs([("init_command", "SET SESSION lock_wait_timeout = 10")])
        self._engine = make_plain_engine(impatient, isolation_level="AUTOCOMMIT")

    def execute(self, statement: str) -> None:
        """Run one statement as the server's user, outside of any test's connection."""
        with self._engine.connect() as connection:
            connection.exec_driver_sql(statement)

    def create_database(self, name: str) -> str:
        """Create an empty utf8mb4 database and return its URL."""
        self.execute(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
        return self.server_url.set(database=name).render_as_string(hide_password=False)

    def drop_database(self, name: str) -> None:
        """Drop a database."""
        self.execute(f"DROP DATABASE `{name}`")

    @contextmanager
    def fresh_database(self) -> Iterator[str]:
        """Create an empty database with an unused name, and drop it at the end."""
        name = f"expenses_test_{secrets.token_hex(6)}"
        yield self.create_database(name)
        self.drop_database(name)

    def close(self) -> None:
        """Do nothing: the tests did not start this server."""

    def __enter__(self) -> Self:
        """Return the server itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()


class PrivateMariaDB(MySQL):
    """A server with its data in a temporary folder, on a loopback port and a socket; it does not wait for the disk.

    The test that has started it can stop, kill and freeze it, and start it again with the same port and data.
    """

    def __init__(self, *options: str, within: Path | None = None, password: str = "") -> None:
        """Start a server with these options of its own, in a temporary folder, which can lie `within` another."""
        self._own_options = options
        self._folder = TemporaryDirectory(prefix="expenses-mariadb-", dir=within, ignore_cleanup_errors=True)
        self._path = Path(self._folder.name)
        self._process: Process | None = None
        self._password = password or secrets.token_hex(16)
        self.port = free_port()
        self.socket = self._path / "data" / "mariadb.sock"
        super().__init__(URL.create("mysql", "expenses", self._password, "127.0.0.1", self.port))
        try:
            self._install()
            self.start()
        except BaseException:
            self.close()
            raise

    @property
    def process(self) -> Process:
        """The server's process."""
        assert self._process, "the server was never started"
        return self._process

    def start(self) -> None:
        """Start the server, and return when it answers."""
        self._process = Process([find_program("mariadbd", "mysqld"), *self._options()], self._path)
        self._process.wait_until(self._answers)

    def stop(self) -> None:
        """Shut the server down cleanly; `start` starts it again."""
        self.process.stop()

    def kill(self) -> None:
        """Kill the server, as a power cut would; `start` recovers its data."""
        self.process.kill()

    def freeze(self) -> None:
        """Suspend the server: its connections stay open, and get no answers."""
        self.process.freeze()

    def thaw(self) -> None:
        """Continue a suspended server."""
        self.process.thaw()

    def close(self) -> None:
        """Kill the server and delete its data."""
        if self._process:
            self._process.kill()
        self._folder.cleanup()

    def _install(self) -> None:
        # The server runs this file at each start; MySQL's root user cannot create the user over TCP.
        (self._path / "init.sql").write_text(
            f"CREATE USER IF NOT EXISTS expenses@'127.0.0.1' IDENTIFIED BY '{self._password}';\n"
            "GRANT ALL ON *.* TO expenses@'127.0.0.1' WITH GRANT OPTION;\n"
        )
        completed = subprocess.run(self._installer(), capture_output=True, text=True, cwd=self._path, check=False)
        if completed.returncode:
            raise NoServer(f"{completed.args!r} failed:\n{completed.stdout[-2000:]}{completed.stderr[-2000:]}")

    def _installer(self) -> list[str]:
        options = ["--no-defaults", f"--datadir={self._path / 'data'}", f"--tmpdir={self._path}", *_as_root()]
        server = find_program("mariadbd", "mysqld")
        if server.endswith("mysqld"):
            return [server, *options, "--initialize-insecure"]
        return [find_program("mariadb-install-db"), *options, "--skip-test-db", "--skip-name-resolve"]

    def _options(self) -> list[str]:
        return [
            "--no-defaults",  # must be the first
            *_as_root(),
            f"--datadir={self._path / 'data'}",
            f"--init-file={self._path / 'init.sql'}",
            f"--tmpdir={self._path}",
            f"--socket={self.socket.name}",  # in the data folder: the path as a whole may be too long for a socket
            "--pid-file=mariadb.pid",
            "--bind-address=127.0.0.1",
            f"--port={self.port}",
            "--skip-name-resolve",
            "--max-connections=500",
            "--character-set-server=utf8mb4",
            "--skip-log-bin",
            "--sync-binlog=0",
            "--performance-schema=OFF",
            "--innodb-buffer-pool-size=128M",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-doublewrite=0",
            "--innodb-fast-shutdown=2",
            "--loose-mysqlx=OFF",
            *self._own_options,
        ]

    def _answers(self) -> bool:
        with suppress(OperationalError):
            self.execute("SELECT 1")
            return True
        return False


def open_mysql() -> MySQL:
    """Return the server of TEST_MYSQL_URL, or else start a private one; raise NoServer if there is neither."""
    url = os.environ.get("TEST_MYSQL_URL")
    if url:
        return MySQL(url)
    try:
        return PrivateMariaDB()
    except NoServer as error:
        raise NoServer(f"{error}. Install mariadb-server, or set TEST_MYSQL_URL.") from None


def find_program(*names: str) -> str:
    """Return the path of the first of these programs that is installed; raise NoServer if none is."""
    folders = os.pathsep.join([os.environ.get("PATH", os.defpath), *PROGRAM_FOLDERS])
    program = next(filter(None, (shutil.which(name, path=folders) for name in names)), None)
    if not program:
        raise NoServer(f"{' or '.join(names)} is not installed")
    return program


def _as_root() -> list[str]:
    return ["--user=root"] if os.geteuid() == 0 else []


class Service:
    """The service as a real process on a loopback port, configured by `environment`.

    It is started by uvicorn's command with this number of `workers`, or by another `program` for Python. It runs in a
    new folder, so that it reads neither the developer's `.env` nor files of an earlier run.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        workers: int = 1,
        options: Sequence[str] = (),
        program: Sequence[str] = (),
    ) -> None:
        self._folder = TemporaryDirectory(prefix="expenses-service-", ignore_cleanup_errors=True)
        self._killed = False
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder = Path(self._folder.name)
        arguments = ["--app-dir", str(ROOT), "--port", str(self.port), "--workers", str(workers), *options]
        uvicorn = ["-m", "uvicorn", "main:app", "--host", "127.0.0.1", *arguments]
        self.process = Process(
            [sys.executable, *(program or uvicorn)],
            self.folder,
            _environment({"PORT": str(self.port)} | dict(environment)),
        )
        try:
            self.process.wait_until(self._is_healthy)
        except BaseException:
            self.close()
            raise

    @property
    def log(self) -> str:
        """The log of the service up to now."""
        return self.process.log

    def stop(self) -> None:
        """Stop the service with SIGTERM; raise AssertionError if it has crashed before, or fails while it stops."""
        assert self.process.alive, f"the service ended by itself:\n{self.log[-4000:]}"
        code = self.process.stop()
        self._killed = True
        assert code in (0, -signal.SIGTERM), f"the service ended with {code}:\n{self.log[-4000:]}"

    def kill(self) -> None:
        """Kill the service with all its workers, as a power cut would."""
        self._killed = True
        self.process.kill()

    def close(self) -> None:
        """Kill the service if it still runs, and delete its folder with the log."""
        self.process.kill()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        """Return the service, which has started."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the service if the test has not, and check that it ended without an error."""
        try:
            if not self._killed:
                self.stop()
        finally:
            self.close()

    def _is_healthy(self) -> bool:
        return is_served(self.port, "/health")


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    # Registrations are not limited, because all users of a test have the same address.
    defaults = {"BCRYPT_ROUNDS": "4", "SECRET_KEY": secrets.token_hex(32)}
    unlimited = {"REGISTRATIONS_PER_ADDRESS": "0", "REGISTRATION": "open"}
    return inherited() | defaults | unlimited | dict(settings)
