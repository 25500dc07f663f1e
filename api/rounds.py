"""The round of a request: of one client, one request begins in each round of the event loop.

Requests that are answered without waiting for anything would otherwise all be worked on before the next step of anybody
else's. A client is an address (of IPv6: its /48), behind a trusted proxy the one that the proxy names.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from functools import partial

from starlette.types import ASGIApp, Receive, Scope, Send

from api.peers import is_gone
from users.client_address import find_site


class Rounds:
    """Lets one request of each key begin in a round, the others in later rounds, in the order in which they came."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, deque[tuple[asyncio.Future[bool], Callable[[], bool]]]] = {}

    def join(self, key: Hashable, has_gone: Callable[[], bool]) -> asyncio.Future[bool] | None:
        """Return None if a request may begin at once; otherwise a future, which in its round says whether it may.

        It is False if the client has gone by then; such a request takes no round.
        """
        loop = asyncio.get_running_loop()
        waiting = self._waiting.get(key)
        if waiting is None:
            self._waiting[key] = deque()
            loop.call_soon(self._go_on, key)
            return None
        waiter: asyncio.Future[bool] = loop.create_future()
        waiting.append((waiter, has_gone))
        return waiter

    def _go_on(self, key: Hashable) -> None:
        waiting = self._waiting[key]
        while waiting:
            waiter, has_gone = waiting.popleft()
            is_served = not (waiter.done() or has_gone())
            if not waiter.done():
                waiter.set_result(is_served)
            if is_served:
                asyncio.get_running_loop().call_soon(self._go_on, key)
                return
        del self._waiting[key]


class RoundMiddleware:
    """Lets a request wait while another of its client begins in this round, and drops it if its client has gone."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._rounds = Rounds()

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Return what serves one request."""
        if scope["type"] == "lifespan":
            return self._app(scope, receive, send)
        client = scope.get("client")
        waiter = self._rounds.join(find_site(client and client[0]), partial(is_gone, receive))
        return self._app(scope, receive, send) if waiter is None else self._wait(waiter, scope, receive, send)

    async def _wait(self, waiter: asyncio.Future[bool], scope: Scope, receive: Receive, send: Send) -> None:
        if await waiter:
            await self._app(scope, receive, send)
