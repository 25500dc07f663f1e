"""Turns: who waits for a place to work, and in which order, so that one with much to ask keeps nobody else waiting."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from problems import Unavailable


class FairTurns:
    """Lets so many work at once, and so many wait or work; networks that wait take turns.

    So one that has much to ask keeps nobody waiting but itself, and where the room is full, it is one of the network
    with the most that has to go.
    """

    def __init__(self, places: int, most: int) -> None:
        self._free = places
        self._room = most - places
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def turn(self, network: str) -> AsyncIterator[None]:
        """Wait for the turn of one of a network, and have it; raise Unavailable where there is no room."""
        if self._free:
            self._free -= 1
        else:
            await self._wait(network)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, network: str) -> None:
        mine = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(network, deque()).append(mine)
        if sum(map(len, self._waiting.values())) > self._room:
            self._send_away(max(self._waiting, key=lambda it: (len(self._waiting[it]), it == network)))
        try:
            await mine
        except asyncio.CancelledError:
            if mine in self._waiting.get(network, ()):
                self._forget(network, mine)
            elif not mine.cancelled() and not mine.exception():
                # The turn had come already, to one who has gone.
                self._pass_on()
            raise

    def _send_away(self, network: str) -> None:
        """Refuse the last of a network."""
        last = self._waiting[network][-1]
        self._forget(network, last)
        if not last.done():
            last.set_exception(Unavailable())

    def _pass_on(self) -> None:
        """Give the place to the first of the network whose turn it is, which then waits behind the others."""
        while self._waiting:
            network = next(iter(self._waiting))
            waiting = self._waiting.pop(network)
            first = waiting.popleft()
            if waiting:
                self._waiting[network] = waiting
            if not first.done():
                first.set_result(None)
                return
        self._free += 1

    def _forget(self, network: str, one: "asyncio.Future[None]") -> None:
        self._waiting[network].remove(one)
        if not self._waiting[network]:
            del self._waiting[network]
