"""How `make run` serves: the line on a terminal, a port that is taken, idle connections, and what it refuses."""

import json
import os
import pty
import resource
import select
import socket
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPResponse
from pathlib import Path

import pytest

from config import Settings
from infra.serving import build_bounds, describe_address
from tests.support import forks
from tests.support.servers import MAIN, Service, free_port, inherited, is_served

SECONDS = 60


def settings(**given: object) -> Settings:
    return Settings(_env_file=None, **given)  # type: ignore[arg-type]  # as the environment gives them: as text


# --- on a terminal ----------------------------------------------------------------------------------------------------


class Terminal:
    """A terminal on which the service runs, and the first line that it shows."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        self.process = forks.start(MAIN, folder, [os.ttyname(theirs)] * 3, inherited() | environment)
        self._shown = os.fdopen(self._ours, "r", errors="replace")
        assert select.select([self._ours], [], [], SECONDS)[0], "it shows nothing"
        self.first_line = self._shown.readline().strip()
        # The process has opened the terminal by now.
        os.close(theirs)

    def press_ctrl_c(self) -> None:
        """Interrupt the processes of the terminal."""
        os.write(self._ours, b"\x03")

    def read_rest(self) -> str:
        """Return what it shows until the service has ended."""
        shown = ""
        with suppress(OSError), self._shown:  # nobody is at the other end any more
            while letter := self._shown.read(1):
                shown += letter
        return shown


@pytest.mark.parametrize(("workers", "processes"), [("1", ""), ("2", " in 2 processes")])
def test_a_terminal_shows_where_the_pages_are_and_nothing_else(tmp_path: Path, workers: str, processes: str) -> None:
    port = free_port()
    terminal = Terminal(tmp_path, {"PORT": str(port), "WORKERS": workers})
    address = f"http://localhost:{port}/docs"
    assert terminal.first_line == f"Expense Tracker is running{processes}: open {address} (Ctrl-C stops it)"
    assert is_served(port, "/docs")
    terminal.press_ctrl_c()
    assert terminal.process.wait(SECONDS) == 0
    assert [line for line in terminal.read_rest().splitlines() if line.strip("^C") and "/docs" not in line] == []


def test_a_terminal_shows_in_one_sentence_that_the_port_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        terminal = Terminal(tmp_path, {"PORT": str(taken.getsockname()[1])})
        assert (terminal.first_line, terminal.read_rest()) == (refusal_of(taken), "")
        assert terminal.process.wait(SECONDS) == 1


def refusal_of(taken: socket.socket) -> str:
    port = taken.getsockname()[1]
    return f"Port {port} is taken by another program: stop that one, or take another port: PORT={port + 1} make run"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "open http://localhost:8000/docs (Ctrl-C"),
        ({"host": "192.168.1.7"}, "open http://192.168.1.7:8000/docs (Ctrl-C"),
        ({"host": "::1"}, "open http://[::1]:8000/docs (Ctrl-C"),
        (
            {"host": "0.0.0.0"},  # noqa: S104  # nobody listens there
            "open http://localhost:8000/docs, on another machine with the name of this one (Ctrl-C",
        ),
        ({"host": "::"}, "open http://[::1]:8000/docs, on another machine with the name of this one (Ctrl-C"),
        ({"port": 80}, "open http://localhost:80/docs (Ctrl-C"),
        ({"root_path": "/money"}, "open http://localhost:8000/money/docs (Ctrl-C"),
        ({"workers": 4}, "is running in 4 processes: open http://localhost:8000/docs (Ctrl-C"),
    ],
)
def test_where_the_pages_are_follows_the_settings(given: dict[str, object], told: str) -> None:
    assert told in describe_address(settings(**given))


# --- without a terminal -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_that_is_taken_is_one_line_of_the_log(tmp_path: Path, workers: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        environment = inherited() | {"PORT": str(taken.getsockname()[1]), "WORKERS": workers}
        ended = forks.run(MAIN, tmp_path, environment)
        assert (ended.returncode, ended.stdout) == (1, "")
        assert [json.loads(line)["message"] for line in ended.stderr.splitlines()] == [refusal_of(taken)]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("host", ["192.0.2.1", "a..b"], ids=["another machine's", "no name"])
def test_a_host_that_is_not_here_is_one_line_of_the_log(tmp_path: Path, host: str) -> None:
    ended = forks.run(MAIN, tmp_path, inherited() | {"HOST": host, "PORT": str(free_port())})
    (line,) = ended.stderr.splitlines()
    assert ended.returncode == 1
    assert f"cannot listen on HOST={host}" in json.loads(line)["message"]


# --- idle connections -------------------------------------------------------------------------------------------------


def test_an_idle_connection_is_closed_after_keep_alive(tmp_path: Path) -> None:
    with (
        Service({"KEEP_ALIVE": "1", "DATABASE_URL": f"sqlite:///{tmp_path}/expenses.db"}, program=MAIN) as service,
        # uvicorn's own limit is 5 seconds.
        socket.create_connection(("127.0.0.1", service.port), timeout=4) as client,
    ):
        client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.makefile("rb").read().endswith(b'{"status":"ok"}')


# --- requests that are refused before they are complete ---------------------------------------------------------------


@pytest.fixture(scope="module", params=["1", "2"])
def service(request: pytest.FixtureRequest) -> Iterator[Service]:
    """The service as `make run` starts it, in one process and in two."""
    with Service({"WORKERS": request.param}, program=MAIN) as service:
        yield service


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"NONSENSE / HTTP/1.1\r\n\r\n", 400, "malformed_request"),
        (b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400, "malformed_request"),
        (b"GET /" + b"a" * 100_000, 414, "uri_too_long"),
        (b"GET / HTTP/1.1\r\n" + b"a:\r\n" * 100_000, 431, "head_too_large"),
    ],
)
def test_a_request_that_is_refused_early_is_answered_and_logged_as_a_problem(
    service: Service, sent: bytes, status: int, code: str
) -> None:
    """OWASP API4 (2023), RFC 9457."""
    with socket.create_connection(("127.0.0.1", service.port), SECONDS) as client:
        client.sendall(sent)
        answer = HTTPResponse(client)
        answer.begin()
        problem = json.loads(answer.read())
    assert (answer.status, problem["status"], problem["code"]) == (status, status, code)
    assert answer.headers["Content-Type"] == "application/problem+json"
    lines = [json.loads(line) for line in service.log.splitlines()]
    assert [(it["message"], it["code"]) for it in lines if it.get("request_id") == answer.headers["X-Request-ID"]] == [
        ("refused", code)
    ]


def test_a_client_that_reads_no_answer_does_not_hold_up_the_end() -> None:
    with (
        Service({}, program=MAIN) as service,
        socket.create_connection(("127.0.0.1", service.port), timeout=SECONDS) as client,
    ):
        client.sendall(b"GET /assets/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n" * 40)
        service.process.wait_until(lambda: is_served(service.port, "/health"))
        service.stop()
        # What still runs after GRACE_SECONDS is cancelled.
        assert "Cancel" not in service.log


def test_the_limit_of_open_files_leaves_room_for_the_database() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    try:
        assert [build_bounds(settings(connections=most)).in_all for most in (20, 400)] == [
            20,
            512 - 100 - 3 * (2 * 10 + 1),
        ]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
