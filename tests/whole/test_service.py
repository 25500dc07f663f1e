"""The service as it is deployed: real processes, several workers, signals."""

import asyncio
import json
import os
import signal
import socket
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import closing, contextmanager
from typing import Any

import httpx
import pytest
from sqlalchemy import text

import migrations
from tests.support.processes import PASSWORD, sign_up
from tests.support.servers import (
    MAIN,
    NoServer,
    PrivateMariaDB,
    Service,
    make_plain_engine,
    open_or_skip,
    wait_until_closed,
)

Write = Coroutine[Any, Any, httpx.Response]


# --- from nothing -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two_workers() -> Iterator[Service]:
    """Two workers that have started without a database or a secret."""
    with Service({"SECRET_KEY": ""}, workers=2) as service:
        # The first one answers while the other still starts.
        service.process.wait_until(lambda: service.log.count("Application startup complete") == 2)
        yield service


async def test_two_workers_start_from_nothing_and_agree(two_workers: Service) -> None:
    person = await sign_up(two_workers)
    # A connection each, so that both workers are asked.
    answers = [await person.get("/users/me", headers={"Connection": "close"}) for _ in range(30)]
    await person.aclose()
    assert Counter(answer.status_code for answer in answers) == {200: 30}
    assert {file.name for file in two_workers.folder.glob("expense_tracker.*")} >= {
        "expense_tracker.db",
        "expense_tracker.key",
    }


def test_another_schema_is_refused_with_what_to_run(empty_mysql_url: str) -> None:
    with pytest.raises(NoServer, match="make migrate") as refused:
        Service({"DATABASE_URL": empty_mysql_url})
    assert "Traceback" not in str(refused.value)


def test_a_start_that_should_migrate_what_does_not_answer_is_refused_with_a_reason() -> None:
    nowhere = {"DATABASE_URL": "mysql://ada:hunter2@127.0.0.1:1/expenses", "AUTO_MIGRATE": "true"}
    with pytest.raises(NoServer, match="cannot be migrated now") as refused:
        Service(nowhere)
    assert "hunter2" not in str(refused.value)


# --- many at once -----------------------------------------------------------------------------------------------------


async def create(person: httpx.AsyncClient, amount: str) -> dict[str, Any]:
    answer = await person.post("/expenses", json={"amount": amount})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def writes(person: httpx.AsyncClient, each: int) -> list[Write]:
    """So many creations, edits and deletions, ready to be sent at once."""
    made = await asyncio.gather(*(create(person, "1.00") for _ in range(2 * each)))
    to_change, to_delete = made[:each], made[each:]
    return [
        *(person.post("/expenses", json={"amount": "2.00"}) for _ in range(each)),
        *(person.patch(f"/expenses/{it['id']}", json={"amount": "3.00"}) for it in to_change),
        *(person.delete(f"/expenses/{it['id']}") for it in to_delete),
    ]


async def amounts(person: httpx.AsyncClient) -> Counter[str]:
    page = await person.get("/expenses", params={"limit": 200})
    return Counter(it["amount"] for it in page.json()["items"])


async def test_two_workers_lose_none_of_eighty_writes_at_once(two_workers: Service) -> None:
    person, *others = [await sign_up(two_workers) for _ in range(5)]
    mine = await writes(person, each=14)
    theirs = [write for other in others for write in await writes(other, each=4)]
    answers = await asyncio.gather(*(write for pair in zip(theirs, mine, strict=False) for write in pair), *theirs[42:])
    assert Counter(answer.status_code for answer in answers) == {201: 30, 200: 30, 204: 30}
    assert await amounts(person) == {"2.00": 14, "3.00": 14}
    assert [await amounts(other) for other in others] == [{"2.00": 4, "3.00": 4}] * 4
    # The next revision counts every write that was acknowledged.
    assert (await create(person, "4.00"))["revision"] == 28 + 42 + 1
    assert [(await create(other, "4.00"))["revision"] for other in others] == [8 + 12 + 1] * 4
    await asyncio.gather(*(client.aclose() for client in (person, *others)))


# --- the end ----------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["1", "2"], ids=["one worker", "two workers"])
def running(request: pytest.FixtureRequest) -> Iterator[Service]:
    """The service as `make run` starts it."""
    with closing(Service({"WORKERS": request.param}, program=MAIN)) as service:
        yield service


def test_sigterm_lets_a_request_in_flight_finish_and_ends_well(running: Service) -> None:
    body = json.dumps({"username": "late", "email": "late@example.com", "password": PASSWORD}).encode()
    head = (
        "POST /users/register HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", running.port), timeout=10) as client:
        client.sendall(head.encode())
        # The service asks for the body: the request is in flight.
        assert client.recv(1024).startswith(b"HTTP/1.1 100 Continue")
        os.kill(running.process.pid, signal.SIGTERM)
        wait_until_closed(running.port)
        client.sendall(body)
        answer = client.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 201 Created")
    assert b'"username":"late"' in answer
    assert running.process.stop() == 0, running.log


@contextmanager
def asking(
    service: Service, person: httpx.AsyncClient, request: str, body: str = "", missing: int = 0
) -> Iterator[socket.socket]:
    """A connection that has sent a request with a JSON body, of which so many bytes are missing."""
    head = f"{request} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {person.headers['Authorization']}\r\n"
    kind = f"Content-Type: application/json\r\nContent-Length: {len(body) + missing}\r\n"
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as client:
        client.sendall(f"{head}{kind}\r\n{body}".encode())
        yield client


def read_problem(client: socket.socket) -> tuple[bytes, str]:
    """Read an answer to its end; return its status line and the code of its problem."""
    head, _, body = client.makefile("rb").read().partition(b"\r\n\r\n")
    return head.partition(b"\r\n")[0], json.loads(body)["code"]


REFUSED = (b"HTTP/1.1 503 Service Unavailable", "unavailable")


async def until_nothing_moves(service: Service, person: httpx.AsyncClient) -> None:
    """Wait until the service answers others only: what is left waits for its reader."""
    before = None
    while before != (before := service.log.count("/openapi.json")):
        assert {(await person.get("/users/me")).status_code for _ in range(20)} == {200}


async def test_sigterm_ends_beside_half_a_body_and_answers_that_nobody_reads(running: Service) -> None:
    person = await sign_up(running)
    with (
        asking(running, person, "POST /expenses", "{", missing=40) as half,
        asking(running, person, "GET /openapi.json") as unread,
    ):
        unread.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100)
        await until_nothing_moves(running, person)
        await person.aclose()
        assert (running.process.stop(), read_problem(half)) == (0, REFUSED)


@pytest.fixture
def server() -> Iterator[PrivateMariaDB]:
    """A server that may be frozen: nobody else's tests are on it."""
    with open_or_skip(PrivateMariaDB, "MYSQL") as server:
        yield server


async def test_sigterm_ends_beside_a_frozen_database(server: PrivateMariaDB) -> None:
    url = server.create_database("expenses")
    migrations.upgrade(url)
    with closing(Service({"DATABASE_URL": url, "WORKERS": "2"}, program=MAIN)) as service:
        person = await sign_up(service)
        await person.aclose()
        server.freeze()
        with (
            asking(service, person, "DELETE /users/me", json.dumps({"current_password": PASSWORD})) as leaving,
            asking(service, person, "POST /expenses", '{"amount": "1.00"}') as spending,
        ):
            assert service.process.stop() == 0, service.log
            assert [read_problem(leaving), read_problem(spending)] == [REFUSED] * 2
    server.thaw()
    with make_plain_engine(url).connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM users")).scalar_one() == 1
        assert connection.execute(text("SELECT count(*) FROM expenses")).scalar_one() == 0
