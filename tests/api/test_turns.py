"""The turns of requests: no client is worked on for more than a third of them at once."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from api.middleware import WorkMiddleware
from api.turns import TURN_KEY
from config import Settings
from infra.request_context import start_request_context

pytestmark = pytest.mark.wire

Work = Callable[[Scope], Awaitable[None]]


class Service:
    """A service with turns for three requests, one of each client, which work until they are told to answer."""

    def __init__(self, settings: Settings, **overrides: object) -> None:
        self.at_work: list[str] = []
        self.may_answer = asyncio.Event()
        self.before_work: Work | None = None
        sizes = {"pool_size": 3, "pool_timeout": 0.05, "queue_limit": 10} | overrides
        self._serve = WorkMiddleware(self._work, settings.model_copy(update=sizes))

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


async def test_who_waits_for_its_own_requests_for_too_long_is_told_so(service: Service) -> None:
    """ASVS 5.0 15.1.3: the answer is a 429 with Retry-After, and no 503 to anybody."""
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


async def test_who_waits_for_something_else_gives_its_turn_away(service: Service) -> None:
    async def wait_for_a_hash(scope: Scope) -> None:
        scope[TURN_KEY].give_away()

    service.before_work = wait_for_a_hash
    tasks = await service.start(*(service.request("10.0.0.1") for _ in range(4)))
    assert len(service.at_work) == 4
    service.may_answer.set()
    assert await asyncio.gather(*tasks) == [200] * 4


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
    service = Service(settings, pool_timeout=5)
    tasks = await service.start(*(service.request(ip) for ip in ["10.0.0.1"] * 3 + ["10.0.0.2"] * 2 + ["10.0.0.3"] * 2))
    service.may_answer.set()
    assert await asyncio.gather(*tasks) == [200] * 7
    assert service.at_work[3:] == ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.1"]
