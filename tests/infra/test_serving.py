"""How `make run` serves: the line on a terminal, a port that is taken, and idle connections."""

import json
import os
import pty
import select
import socket
from contextlib import suppress
from pathlib import Path

import pytest

from config import Settings
from infra.serving import describe_address
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
