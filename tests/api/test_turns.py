"""The turns of requests: one client has half of them, and beside others a single one."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send

import crud
from api import requests, turns
from api.middleware import EdgeMiddleware
from api.strict_json import parse_strict_json
from api.turns import TURN_KEY, RequestTurn, RequestTurns
from config import Settings
from database import UnitOfWork
from infra.engines import READ_DEADLINE
from infra.request_context import start_request_context
from ledger.core import Ledger
from ledger.sync.schemas import Batch
from main import create_app
from schemas import ExpenseList
from tests.support.people import Person, make_transport, signed_up

pytestmark = pytest.mark.wire

Work = Callable[[Scope], Awaitable[None]]


class Service:
    """A service with turns for three requests, one of each client, which work until they are told to answer."""

    def __init__(self, settings: Settings, **overrides: object) -> None:
        self.at_work: list[str] = []
        self.may_answer = asyncio.Event()
        self.before_work: Work | None = None
        sizes = {"pool_size": 3, "queue_limit": 10} | overrides
        self._serve = EdgeMiddleware(self._work, settings.model_copy(update=sizes))

    async def _work(self, scope: Scope, _: Receive, send: Send) -> None:
        if self.before_work:
            await self.before_work(scope)
        self.at_work.append(scope["client"][0])
        await self.may_answer.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    async def request(self, ip: str, path: str = "/expenses", *, reads: asyncio.Event | None = None) -> int:
        """Send a request from an address, and return the status of its answer."""
        start_request_context("a-request", "GET")
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)
            if reads:
                await reads.wait()

        scope: dict[str, Any] = {"type": "http", "path": path, "method": "GET", "client": (ip, 1), "headers": []}
        await self._serve(scope, asyncio.Queue[Message]().get, send)
        return int(sent[0]["status"])

    async def start(self, *requests: Awaitable[int]) -> list[asyncio.Task[int]]:
        """Send requests at once, and let those begin that may."""
        tasks = [asyncio.ensure_future(it) for it in requests]
        await asyncio.sleep(0)
        return tasks


@pytest.fixture
def service(settings: Settings) -> Service:
    return Service(settings)


async def test_an_address_that_sends_many_leaves_the_other_turns_to_others(service: Service) -> None:
    """ASVS 5.0 15.2.2: however much one client asks for, others are answered meanwhile."""
    tasks = await service.start(*(service.request(ip) for ip in ["10.0.0.1"] * 4 + ["10.0.0.2", "10.0.0.3"]))
    assert service.at_work == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    service.may_answer.set()
    assert await asyncio.gather(*tasks) == [200] * 6


async def test_who_waits_for_its_own_requests_for_too_long_is_told_so(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ASVS 5.0 15.1.3: the answer is a 429 with Retry-After, and no 503 to anybody."""
    monkeypatch.setattr(turns, "MAX_WAIT_SECONDS", 0.05)
    tasks = await service.start(service.request("10.0.0.1"))
    assert await service.request("10.0.0.1") == 429
    service.may_answer.set()
    assert await asyncio.gather(*tasks) == [200]


async def test_an_account_has_one_share_from_however_many_addresses(service: Service) -> None:
    async def authenticate(scope: Scope) -> None:
        turn = scope[TURN_KEY]
        if not turn.count_for(7):
            turn.give_away()
            await turn.take()

    service.before_work = authenticate
    tasks = await service.start(*(service.request(f"10.0.0.{number}") for number in range(1, 4)))
    assert service.at_work == ["10.0.0.1"]
    service.may_answer.set()
    assert await asyncio.gather(*tasks) == [200, 200, 200]


@pytest.fixture
def large(settings: Settings) -> Service:
    """A service with turns for eight requests, which answers each at once until it is told to wait."""
    service = Service(settings, pool_size=8)
    service.may_answer.set()
    return service


async def test_a_client_that_is_alone_has_half_of_all_turns(large: Service) -> None:
    assert await large.request("10.0.0.1") == 200
    await asyncio.sleep(0)
    large.at_work.clear()
    large.may_answer.clear()
    tasks = await large.start(*(large.request("10.0.0.1") for _ in range(6)))
    assert len(large.at_work) == 4
    large.may_answer.set()
    assert await asyncio.gather(*tasks) == [200] * 6


@pytest.mark.parametrize(
    ("path", "seconds_ago", "share"),
    [("/expenses", 0, 1), ("/expenses", turns.SECONDS_ALONE + 1, 4), ("/health", 0, 4)],
    ids=["a moment ago", "some time ago", "whoever watches the service"],
)
async def test_beside_others_a_client_has_one_turn(
    large: Service, monkeypatch: pytest.MonkeyPatch, path: str, seconds_ago: float, share: int
) -> None:
    """ASVS 5.0 15.2.2: what is computed for one client delays each step of the others'."""
    clock = Clock()
    monkeypatch.setattr(turns, "time", clock)
    await large.request("10.0.0.1")
    clock.now += turns.SECONDS_ALONE + 1
    await large.request("10.0.0.2", path)
    clock.now += seconds_ago
    await large.request("10.0.0.1")
    large.at_work.clear()
    large.may_answer.clear()
    tasks = await large.start(*(large.request("10.0.0.1") for _ in range(6)))
    assert len(large.at_work) == share
    large.may_answer.set()
    assert await asyncio.gather(*tasks) == [200] * 6


class Clock:
    """A clock that stands still."""

    now = 1000.0

    def monotonic(self) -> float:
        """Return the time that it shows."""
        return self.now


async def test_who_waits_for_something_else_gives_its_turn_away(service: Service) -> None:
    async def wait_for_a_hash(scope: Scope) -> None:
        scope[TURN_KEY].give_away()

    service.before_work = wait_for_a_hash
    tasks = await service.start(*(service.request("10.0.0.1") for _ in range(4)))
    assert len(service.at_work) == 4
    service.may_answer.set()
    assert await asyncio.gather(*tasks) == [200] * 4


async def test_a_client_has_one_batch_at_a_time_and_its_turn_is_free_meanwhile(service: Service) -> None:
    batches: list[str] = []

    async def begin_a_batch(scope: Scope) -> None:
        await scope[TURN_KEY].take_batch()
        batches.append(scope["client"][0])
        scope[TURN_KEY].give_away()  # as it waits for the lock

    service.before_work = begin_a_batch
    tasks = await service.start(*(service.request(ip) for ip in ["10.0.0.1"] * 3 + ["10.0.0.2"]))
    await asyncio.sleep(0)
    assert batches == ["10.0.0.1", "10.0.0.2"]
    service.may_answer.set()
    assert await asyncio.gather(*tasks) == [200] * 4
    assert batches[2:] == ["10.0.0.1"] * 2


async def test_who_reads_its_answer_slowly_keeps_no_turn(service: Service) -> None:
    service.may_answer.set()
    reads = asyncio.Event()
    slow = await service.start(service.request("10.0.0.1", reads=reads))
    assert await service.request("10.0.0.1") == 200
    reads.set()
    assert await asyncio.gather(*slow) == [200]


@pytest.mark.parametrize("path", ["/health", "/ready"])
async def test_who_watches_the_service_waits_for_nobody(service: Service, path: str) -> None:
    tasks = await service.start(service.request("10.0.0.1"), service.request("10.0.0.1", path))
    assert len(service.at_work) == 2
    service.may_answer.set()
    assert await asyncio.gather(*tasks) == [200, 200]


async def test_many_clients_at_once_are_served_in_turn(settings: Settings) -> None:
    service = Service(settings)
    tasks = await service.start(*(service.request(ip) for ip in ["10.0.0.1"] * 3 + ["10.0.0.2"] * 2 + ["10.0.0.3"] * 2))
    service.may_answer.set()
    assert await asyncio.gather(*tasks) == [200] * 7
    assert service.at_work[3:] == ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.1"]


# --- through the application ------------------------------------------------------------------------------------------


class Desk:
    """Where lists of expenses are read: notes who comes, and lets nobody go before `may_go`."""

    def __init__(self) -> None:
        self.came: list[int] = []
        self.may_go = asyncio.Event()

    async def list_expenses(self, ledger: Ledger, _: object) -> ExpenseList:
        """Take the place of the function that reads them."""
        self.came.append(ledger.owner.id)
        await self.may_go.wait()
        return ExpenseList(items=[], next_cursor=None)


@pytest.fixture
async def narrow(settings: Settings) -> AsyncIterator[FastAPI]:
    """An app on the database of the other tests, with turns for two requests, one of each client."""
    app = create_app(settings.model_copy(update={"pool_size": 2}))
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    desk = Desk()
    monkeypatch.setattr(crud, "list_expenses", desk.list_expenses)
    return desk


async def until(is_true: Callable[[], bool]) -> None:
    """Wait until something is true."""
    async with asyncio.timeout(5):
        while not is_true():  # noqa: ASYNC110  # of whatever kind
            await asyncio.sleep(0.01)


def elsewhere(app: FastAPI, person: Person) -> httpx.AsyncClient:
    """The same person at another address."""
    return httpx.AsyncClient(transport=make_transport(app), base_url=person.base_url, headers=person.headers)


async def test_of_one_account_one_request_is_worked_on_and_others_come_in_between(narrow: FastAPI, desk: Desk) -> None:
    async with signed_up(narrow) as person, signed_up(narrow) as stranger, elsewhere(narrow, person) as again:
        mine, theirs = person.user["id"], stranger.user["id"]
        first = asyncio.create_task(person.get("/expenses"))
        await until(lambda: desk.came == [mine])
        second, other = asyncio.create_task(again.get("/expenses")), asyncio.create_task(stranger.get("/expenses"))
        await until(lambda: len(desk.came) == 2)
        assert desk.came == [mine, theirs]
        desk.may_go.set()
        assert [it.status_code for it in await asyncio.gather(first, second, other)] == [200] * 3
        assert desk.came == [mine, theirs, mine]


@asynccontextmanager
async def at_the_desk(
    app: FastAPI, desk: Desk, token: str
) -> AsyncIterator[tuple[asyncio.Task[httpx.Response], httpx.AsyncClient]]:
    """A request that is worked on, and a client of the same account elsewhere with this kind of token."""
    async with signed_up(app) as person, elsewhere(app, person) as again:
        if token == "personal token":  # a kind of token
            made = await person.post("/users/me/tokens", json={"name": "script", "scope": "read"})
            again.headers["Authorization"] = f"Bearer {made.json()['token']}"
            await again.get("/categories")  # the first use is recorded
        first = asyncio.create_task(person.get("/expenses"))
        await until(lambda: len(desk.came) == 1)
        yield first, again


@pytest.mark.parametrize("token", ["access token", "personal token"])
async def test_who_waits_too_long_for_its_own_is_told_so_and_not_that_the_service_fails(
    narrow: FastAPI, desk: Desk, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    async with at_the_desk(narrow, desk, token) as (first, again):
        monkeypatch.setattr(turns, "MAX_WAIT_SECONDS", 0.05)
        answer = await again.get("/expenses")
        assert (answer.status_code, answer.json()["code"]) == (429, "too_many_requests")
        assert int(answer.headers["Retry-After"]) > 0
        desk.may_go.set()
        assert (await first).status_code == 200


def let_a_read_take(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the deadline of reads, from which the moments have been taken that they have waited."""
    as_usual = asyncio.timeout

    def shorten(it: float | None) -> asyncio.Timeout:
        return as_usual(seconds if it is not None and READ_DEADLINE - 0.1 < it <= READ_DEADLINE else it)

    monkeypatch.setattr(asyncio, "timeout", shorten)


@pytest.mark.parametrize("token", ["access token", "personal token"])
async def test_the_deadline_is_extended_while_a_request_waits_for_its_turn(
    narrow: FastAPI, desk: Desk, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    async with at_the_desk(narrow, desk, token) as (first, again):
        monkeypatch.setattr(turns, "SECONDS_PER_TURN", 1)
        let_a_read_take(0.5, monkeypatch)
        second = asyncio.create_task(again.get("/expenses"))
        await asyncio.sleep(0.7)  # longer than its deadline of half a second
        desk.may_go.set()
        assert [(await it).status_code for it in (first, second)] == [200, 200]


@pytest.mark.parametrize("token", ["access token", "personal token"])
async def test_who_waits_for_one_that_takes_long_is_answered_at_its_deadline(
    narrow: FastAPI, desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, token: str
) -> None:
    """A read takes five seconds at most: on a database that does not answer, the next one must not begin anew."""
    async with at_the_desk(narrow, desk, token) as (first, again):
        let_a_read_take(0.5, monkeypatch)
        answer = await again.get("/expenses")
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert "exceeded its deadline of 5" in caplog.text
        desk.may_go.set()
        assert (await first).status_code == 200


async def test_what_was_waited_for_the_turn_of_an_address_counts_for_the_deadline(service: Service) -> None:
    """Save a moment for each request before it."""
    late: list[float] = []

    async def note(scope: Scope) -> None:
        late.append(scope[TURN_KEY].late)

    service.before_work = note
    tasks = await service.start(service.request("10.0.0.1"), service.request("10.0.0.1"), service.request("10.0.0.2"))
    await asyncio.sleep(0.3)
    service.may_answer.set()
    await asyncio.gather(*tasks)
    assert late == pytest.approx([0, 0, 0.25], abs=0.15)


async def test_of_the_batches_of_an_account_one_is_parsed(narrow: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    """ASVS 5.0 15.2.2: two hundred batches that wait, of a megabyte each, took another one of memory when parsed."""
    parsed: list[bytes] = []
    may_go = asyncio.Event()

    async def parse(body: object) -> object:
        await may_go.wait()
        return await parse_as_usual(body)

    def note(body: bytes) -> object:
        parsed.append(body)
        return parse_strict_json(body)

    parse_as_usual = Batch.parse_items
    monkeypatch.setattr(Batch, "parse_items", staticmethod(parse))
    monkeypatch.setattr(requests, "parse_strict_json", note)
    async with signed_up(narrow) as person, elsewhere(narrow, person) as again:
        batch = {"operations": [{"op": "create", "data": {"amount": "1"}}]}
        first, second = (asyncio.create_task(it.post("/expenses/batch", json=batch)) for it in (person, again))
        await until(lambda: bool(parsed))
        await asyncio.sleep(0.1)
        assert len(parsed) == 1
        may_go.set()
        assert [(await it).status_code for it in (first, second)] == [200, 200]


async def test_a_second_try_waits_for_its_turn_again(
    narrow: FastAPI, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[bool] = []

    async def lose_a_race_first(ledger: Ledger, request: object) -> ExpenseList:
        held.append(assigned[-1]._held is not None)
        if len(held) == 1:
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = sqlite3.SQLITE_BUSY
            raise error
        return await desk.list_expenses(ledger, request)

    def assign(self: RequestTurns, scope: Scope) -> RequestTurn:
        assigned.append(assign_as_usual(self, scope))
        return assigned[-1]

    assigned: list[RequestTurn] = []
    assign_as_usual = RequestTurns.assign
    monkeypatch.setattr(RequestTurns, "assign", assign)
    monkeypatch.setattr(crud, "list_expenses", lose_a_race_first)
    desk.may_go.set()
    async with signed_up(narrow) as person:
        assert (await person.get("/expenses")).status_code == 200
    assert held == [True, True]


async def test_what_is_committed_apart_takes_turns_as_the_same_client(narrow: FastAPI) -> None:
    pools = narrow.state.services.database._pools
    clients: list[object] = []

    class Noting:
        """Notes who waits."""

        async def acquire(self, _owner: int | None, _lock: str, client: object) -> None:
            clients.append(client)

    async with UnitOfWork(replace(pools, writers=Noting())) as unit:
        unit.act_for("10.0.0.1")
        async with unit.begin_separate():
            pass
        await unit.begin(7)
    assert clients == ["10.0.0.1", "10.0.0.1"]
