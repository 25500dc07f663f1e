"""A bounded queue that serves networks round-robin, so that the requests of one network do not delay the others'.

    slots = 2, capacity = 7: two jobs run, up to five wait. A, B and C are networks; numbers are the order of arrival.

    running          A1  A2                    next to run: A3, B5, C7, A4, A6
    waiting          A:  A3  A4  A6            the first network in the dict is served next
                     B:  B5                      and then put at the end
                     C:  C7
    a job ends       A3 runs                   waiting: B (B5), C (C7), A (A4 A6)
    B8, C9 arrive    B8 waits; with C9 six     the newest of the network with the most waiting is
                     would wait                  refused; in a tie that of the arriving network

A refused job raises Unavailable (503).
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from problems import Unavailable


class FairQueue:
    """Runs `slots` jobs at once and admits `capacity` in all; waiting networks are served in turn.

    When it is full, the newest job of the network with the most waiting jobs is refused.
    """

    def __init__(self, slots: int, capacity: int) -> None:
        self._free = slots
        self._max_waiting = capacity - slots
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def wait_for_turn(self, network: str) -> AsyncIterator[None]:
        """Wait for a slot and hold it; raise Unavailable if this job is refused."""
        if self._free:
            self._free -= 1
        else:
            await self._wait(network)
        try:
            yield
        finally:
            self._wake_next()

    async def _wait(self, network: str) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(network, deque()).append(waiter)
        if sum(map(len, self._waiting.values())) > self._max_waiting:
            self._refuse_newest(max(self._waiting, key=lambda name: (len(self._waiting[name]), name == network)))
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter in self._waiting.get(network, ()):
                self._remove_waiter(network, waiter)
            elif not waiter.cancelled() and not waiter.exception():
                # The slot had already been given to this task, which was then cancelled: pass it on.
                self._wake_next()
            raise

    def _refuse_newest(self, network: str) -> None:
        """Refuse the newest waiting job of a network."""
        newest = self._waiting[network][-1]
        self._remove_waiter(network, newest)
        if not newest.done():
            newest.set_exception(Unavailable())

    def _wake_next(self) -> None:
        """Give the slot to the first job of the next network, and put that network last; if none waits, free it."""
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

    def _remove_waiter(self, network: str, waiter: "asyncio.Future[None]") -> None:
        self._waiting[network].remove(waiter)
        if not self._waiting[network]:
            del self._waiting[network]
