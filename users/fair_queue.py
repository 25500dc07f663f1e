"""Turns: who waits for a place to work, and in which order, so that one with much to ask keeps nobody else waiting."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from problems import Unavailable


class FairQueue:
    """Lets so many work at once, and so many wait or work; networks that wait take turns.

    So one that has much to ask keeps nobody waiting but itself, and where the room is full, it is one of the network
    with the most that has to go.
    """

    def __init__(self, slots: int, capacity: int) -> None:
        self._free = slots
        self._max_waiting = capacity - slots
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def wait_for_turn(self, network: str) -> AsyncIterator[None]:
        """Wait for the turn of one of a network, and have it; raise Unavailable where there is no room."""
        if self._free:
            self._free -= 1
        else:
            await self._wait(network)
        try:
            yield
        finally:
            self._wake_next()

    async def _wait(self, network: str) -> None:
        mine = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(network, deque()).append(mine)
        if sum(map(len, self._waiting.values())) > self._max_waiting:
            self._refuse_newest(max(self._waiting, key=lambda it: (len(self._waiting[it]), it == network)))
        try:
            await mine
        except asyncio.CancelledError:
            if mine in self._waiting.get(network, ()):
                self._remove_waiter(network, mine)
            elif not mine.cancelled() and not mine.exception():
                # The turn had come already, to one who has gone.
                self._wake_next()
            raise

    def _refuse_newest(self, network: str) -> None:
        """Refuse the last of a network."""
        last = self._waiting[network][-1]
        self._remove_waiter(network, last)
        if not last.done():
            last.set_exception(Unavailable())

    def _wake_next(self) -> None:
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

    def _remove_waiter(self, network: str, one: "asyncio.Future[None]") -> None:
        self._waiting[network].remove(one)
        if not self._waiting[network]:
            del self._waiting[network]
