"""A connection to MySQL that was reset is known as lost, whatever the event loop raises for it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from anyio import to_thread
from pymysql.err import OperationalError
from sqlalchemy import make_url

from infra.lost_connections import name_loss_while_connecting
from tests.support.processes import sign_up
from tests.support.proxy import Proxy
from tests.support.servers import Service


@pytest.fixture
async def proxy(mysql_url: str) -> AsyncIterator[Proxy]:
    """A proxy between the service and its database."""
    async with Proxy(make_url(mysql_url)) as proxy:
        yield proxy


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize("lose", [Proxy.reset, Proxy.hang_up], ids=["reset", "closed-by-the-server"])
async def test_lost_connections_cost_nobody_a_request(proxy: Proxy, lose: Callable[[Proxy], None], loop: str) -> None:
    service = await to_thread.run_sync(lambda: Service({"DATABASE_URL": proxy.url}, options=("--loop", loop)))
    try:
        person = await sign_up(service)

        async def work() -> list[httpx.Response]:
            writes = [person.post("/expenses", json={"amount": "1.00"}) for _ in range(10)]
            return await asyncio.gather(*(person.get("/expenses") for _ in range(30)), *writes)

        await work()
        lose(proxy)
        answers = await work()
        await person.aclose()
    finally:
        await to_thread.run_sync(service.close)
    assert Counter(answer.status_code for answer in answers) == {200: 30, 201: 10}, service.log


@pytest.mark.parametrize(
    "text",
    [
        "unable to perform operation on <TCPTransport closed=True reading=False 0x7f>; the handler is closed",
        "Transport does not expose socket instance",
    ],
)
def test_a_connection_that_is_reset_while_it_is_opened_is_lost(text: str) -> None:
    with pytest.raises(OperationalError, match="2013"), name_loss_while_connecting():
        raise RuntimeError(text)


def test_another_error_while_connecting_stays_what_it_is() -> None:
    with pytest.raises(RuntimeError, match="another"), name_loss_while_connecting():
        raise RuntimeError("another mistake")
