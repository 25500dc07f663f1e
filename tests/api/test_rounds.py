"""The rounds of requests: of one client, one begins in each round of the event loop."""

import asyncio
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from api.peers import PeerMiddleware
from api.rounds import RoundMiddleware
from config import Settings

pytestmark = pytest.mark.wire


class Connection:
    """What uvicorn has of a request: its `receive` belongs to an object that knows whether the client is gone."""

    def __init__(self, peer: str) -> None:
        self.transport = self
        self.disconnected = False
        self._peer = peer

    def get_extra_info(self, _: str) -> tuple[str, int]:
        """Return the address of the client."""
        return self._peer, 1

    async def receive(self) -> Any:  # noqa: ANN401  # a message, which nobody reads
        """Return nothing."""


class Service:
    """A service that notes which requests have begun; each is answered without waiting for anything."""

    def __init__(self, settings: Settings, **overrides: object) -> None:
        self.begun: list[str] = []
        self._serve = PeerMiddleware(RoundMiddleware(self._work), settings.model_copy(update=overrides))

    async def _work(self, scope: Scope, _: Receive, __: Send) -> None:
        self.begun.append(scope["path"])

    def ask(self, name: str, peer: str = "192.0.2.1", forwarded: str = "", *, is_gone: bool = False) -> None:
        """Send a request of this name."""
        connection = Connection(peer)
        connection.disconnected = is_gone
        headers = [(b"x-forwarded-for", forwarded.encode())] if forwarded else []
        scope = {"type": "http", "path": name, "client": (peer, 1), "headers": headers, "scheme": "http"}

        async def serve() -> None:
            await self._serve(scope, connection.receive, _send)

        self.task = asyncio.create_task(serve())


async def _send(_: Any) -> None:  # noqa: ANN401  # a message, which nobody sends
    """Send nothing."""


async def begin(service: Service, rounds: int) -> list[str]:
    """Return what has begun after each of so many rounds."""
    seen = []
    for _ in range(rounds):
        await asyncio.sleep(0)
        seen.append("".join(service.begun))
    return seen


async def test_of_one_address_one_request_begins_in_each_round(settings: Settings) -> None:
    """ASVS 5.0 15.2.2: many cheap requests of one client delay each step of another's by one of them, not by all."""
    service = Service(settings)
    for name in ("a", "b", "c"):
        service.ask(name)
    service.ask("d", "192.0.2.2")
    seen = await begin(service, 6)
    assert seen[0] == "ad"
    assert [it for it in dict.fromkeys(seen) if it != "ad"] == ["adb", "adbc"]


@pytest.mark.parametrize(
    ("addresses", "first"),
    [
        (["198.51.100.7"] * 3, "a"),
        (["2001:db8:1:1::1", "2001:db8:1:2::1", "2001:db8:1:3::1"], "a"),
        (["198.51.100.7", "198.51.100.8", "2001:db8::1"], "abc"),
    ],
    ids=["of one address", "of one /48", "of three sites"],
)
async def test_behind_a_trusted_proxy_a_client_is_who_the_proxy_names(
    settings: Settings, addresses: list[str], first: str
) -> None:
    """ASVS 5.0 15.2.2, 4.1.3: a hundred connections of one client through a proxy made everybody wait for 0.1 s."""
    service = Service(settings, trusted_proxies=["10.0.0.1"])
    for name, address in zip("abc", addresses, strict=True):
        service.ask(name, "10.0.0.1", address)
    seen = await begin(service, 6)
    assert (seen[0], seen[-1]) == (first, "abc")


async def test_a_client_that_is_gone_by_its_round_is_dropped_and_takes_none(settings: Settings) -> None:
    service = Service(settings)
    for name, is_gone in (("a", False), ("b", True), ("c", True), ("d", False)):
        service.ask(name, is_gone=is_gone)
    seen = await begin(service, 6)
    assert list(dict.fromkeys(seen)) == ["a", "ad"]


async def test_a_request_that_is_cancelled_while_it_waits_takes_no_round(settings: Settings) -> None:
    service = Service(settings)
    service.ask("a")
    service.ask("b")
    await asyncio.sleep(0)
    service.task.cancel()
    service.ask("c")
    assert (await begin(service, 4))[-1] == "ac"
