"""Files that are sent in pieces, by the service as a process: slow clients, clients that go, and what fails midway.

OWASP API4 (2023): a client that reads slowly holds nothing that others need.
"""

import asyncio
import socket
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from pathlib import Path
from shutil import move
from typing import Final

import httpx
import pytest
from sqlalchemy import text

from models import Expense
from tests.support.databases import on_sqlite
from tests.support.expenses import creating
from tests.support.processes import sign_up
from tests.support.servers import MAIN, MySQL, Service, make_plain_engine

TEXT: Final = "🍵" * 500
# With 16 MB twice as much as sockets and buffers hold on the way to a client that reads nothing.
EACH, DOUBLED = 500, 4
COUNT: Final = EACH * 2**DOUBLED
COLUMNS: Final = ", ".join(column.key for column in Expense.__table__.columns if column.key != "id")
DOUBLE: Final = f"INSERT INTO expenses ({COLUMNS}) SELECT {COLUMNS} FROM expenses"  # noqa: S608  # of our own names


@pytest.fixture(scope="module", params=["sqlite", "mysql"])
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An empty database of this module's own."""
    if request.param == "sqlite":  # a kind of database
        yield f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('streamed') / 'expenses.db'}"
        return
    server: MySQL = request.getfixturevalue("mysql_server")
    with server.fresh_database() as url:
        yield url


@pytest.fixture(scope="module")
def spool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder for temporary files of the service."""
    return tmp_path_factory.mktemp("spool")


@pytest.fixture(scope="module")
def service(database_url: str, spool: Path) -> Iterator[Service]:
    """The service with one connection for reads, and one for transactions."""
    settings = {"DATABASE_URL": database_url, "AUTO_MIGRATE": "true", "POOL_SIZE": "1", "TMPDIR": str(spool)}
    with Service(settings, program=MAIN) as service:
        yield service


@pytest.fixture(scope="module")
async def rich(service: Service, database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A user with so many expenses that their file does not fit into buffers."""
    client = await sign_up(service)
    batch = {"operations": [creating(description=TEXT)] * EACH}
    assert (await client.post("/expenses/batch", json=batch)).status_code == 200
    with make_plain_engine(database_url).begin() as connection:
        for _ in range(DOUBLED):
            connection.execute(text(DOUBLE))
    yield client
    await client.aclose()


@pytest.fixture
async def other(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    """Another user."""
    client = await sign_up(service)
    yield client
    await client.aclose()


class Slow:
    """A client with a small buffer, which has asked for a file and reads what it is told to."""

    def __init__(self, service: Service, client: httpx.AsyncClient, name: str = "csv") -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket.settimeout(20)
        self._socket.connect(("127.0.0.1", service.port))
        self._file = self._socket.makefile("rb")
        authorization = client.headers["Authorization"]
        self._socket.sendall(
            f"GET /expenses/export?format={name} HTTP/1.1\r\nHost: localhost\r\n"
            f"Connection: close\r\nAuthorization: {authorization}\r\n\r\n".encode()
        )

    def read(self, most: int) -> bytes:
        """Read so many bytes, or less at the end."""
        return self._file.read(most)

    async def read_rest(self) -> bytes:
        """Read to the end."""
        return await asyncio.to_thread(self.read, 1 << 30)

    def close(self) -> None:
        """Close the connection."""
        self._file.close()
        self._socket.close()


def is_whole(rest: bytes) -> bool:
    """Whether the last chunk has come (RFC 9112 section 7.1)."""
    return rest.endswith(b"\r\n0\r\n\r\n")


def count_files(folder: Path) -> int:
    return len([*folder.iterdir()])


async def until(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not is_true():  # noqa: ASYNC110  # of a process
            await asyncio.sleep(0.02)


# --- slow clients -----------------------------------------------------------------------------------------------------


async def test_a_client_that_reads_nothing_holds_no_connection(
    service: Service, rich: httpx.AsyncClient, other: httpx.AsyncClient
) -> None:
    with closing(Slow(service, rich)) as slow:
        head = slow.read(15)
        answers = [
            await other.get("/expenses"),
            await rich.get("/expenses"),
            await other.post("/expenses", json={"amount": "1"}),
            await rich.get("/expenses/export?currency=JPY"),
        ]
        rest = await slow.read_rest()

    assert (head, [it.status_code for it in answers]) == (b"HTTP/1.1 200 OK", [200, 200, 201, 200])
    assert (rest.count(TEXT.encode()), is_whole(rest)) == (COUNT, True)


async def test_a_third_file_of_a_user_waits_and_is_refused_and_that_of_another_is_not(
    service: Service, rich: httpx.AsyncClient, other: httpx.AsyncClient
) -> None:
    with closing(Slow(service, rich)) as first, closing(Slow(service, rich)) as second:
        heads = first.read(15), second.read(15)
        third, others = await asyncio.gather(rich.get("/expenses/export"), other.get("/expenses/export"))

    assert heads == (b"HTTP/1.1 200 OK",) * 2
    assert (third.status_code, third.json()["code"]) == (429, "too_many_requests")
    assert int(third.headers["Retry-After"]) > 0
    assert others.status_code == 200


async def test_a_client_that_goes_leaves_nothing(service: Service, rich: httpx.AsyncClient) -> None:
    for _ in range(5):
        with closing(Slow(service, rich)) as slow:
            slow.read(1000)
    whole = await rich.get("/expenses/export")

    assert (whole.status_code, whole.text.count(TEXT)) == (200, COUNT)


async def test_a_client_that_goes_while_its_workbook_is_made_leaves_no_file(
    service: Service, rich: httpx.AsyncClient, spool: Path
) -> None:
    with closing(Slow(service, rich, "xlsx")):
        await until(lambda: count_files(spool) > 0)
    await until(lambda: count_files(spool) == 0)

    assert (await rich.get("/expenses/export?format=xlsx&currency=JPY")).status_code == 200


async def test_a_workbook_that_was_sent_leaves_no_file(service: Service, rich: httpx.AsyncClient, spool: Path) -> None:
    answer = await rich.get("/expenses/export?format=xlsx")

    assert (answer.content[:2], count_files(spool)) == (b"PK", 0)
    assert service.log.count("Traceback") == 0


@pytest.mark.parametrize("path", ["/expenses/export?format=xlsx", "/users/me/archive"])
async def test_without_room_for_a_whole_file_nothing_is_sent(
    service: Service, rich: httpx.AsyncClient, spool: Path, path: str
) -> None:
    # With its first file the service settles on this folder: one that is away by then would only make it take another.
    await rich.get(path)
    move(spool, f"{spool}.away")
    refused = await rich.get(path)
    move(f"{spool}.away", spool)

    assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
    assert "did not make a file: FileNotFoundError" in service.log
    assert (await rich.get(path)).status_code == 200


# --- what fails midway ------------------------------------------------------------------------------------------------


@on_sqlite
async def test_a_database_that_is_away_for_a_moment_delays_the_file(
    service: Service, rich: httpx.AsyncClient, database_url: str
) -> None:
    file = database_url.partition(":///")[2]
    away = f"{file}.away"
    tried = service.log.count("failed after")
    with closing(Slow(service, rich)) as slow:
        slow.read(15)
        move(file, away)
        reading = asyncio.create_task(slow.read_rest())
        await until(lambda: service.log.count("failed after") > tried)
        move(away, file)
        rest = await reading

    assert (rest.count(TEXT.encode()), is_whole(rest)) == (COUNT, True)


@on_sqlite
async def test_an_error_breaks_the_file_off(service: Service, rich: httpx.AsyncClient, database_url: str) -> None:
    database = sqlite3.connect(database_url.partition(":///")[2], isolation_level=None)
    with closing(Slow(service, rich)) as slow, closing(database):
        slow.read(1000)
        database.execute("ALTER TABLE expenses RENAME COLUMN payee TO lost")
        rest = await slow.read_rest()
        refused = await rich.get("/expenses/export")
        database.execute("ALTER TABLE expenses RENAME COLUMN lost TO payee")

    assert (is_whole(rest), len(rest) > 1000) == (False, True)
    assert (refused.status_code, refused.json()["code"]) == (500, "internal_error")
    assert "broke off an answer: OperationalError" in service.log
    assert TEXT[:10] not in service.log
    assert (await rich.get("/expenses/export")).text.count(TEXT) == COUNT
