"""Turns at something that only a few may use at once: keys are served round-robin, and none has more than its share.

A key is an account or a network. It stands for whoever must not delay the others.

    slots = 2, waiting = 5: two jobs run, up to five wait. A, B and C are keys; numbers are the order of arrival.

    running          A1  A2                    next to run: A3, B5, C7, A4, A6
    waiting          A:  A3  A4  A6            the first key in the dict is served next
                     B:  B5                      and then put at the end
                     C:  C7
    a job ends       A3 runs                   waiting: B (B5), C (C7), A (A4 A6)
    B8, C9 arrive    B8 waits; with C9 six     the newest of the key with the most waiting is refused; in a tie
                     would wait                  that of the arriving key
    share = 1        A2 waits although a       the other slot is for B and C
                     slot is free

A refused job raises OwnQueueFull if its key has others that wait, and QueueFull if it is the only one.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from infra.faults import OwnQueueFull, QueueFull


class FairTurns:
    """Runs `slots` jobs at once, `share` of one key at most, and lets `most_waiting` wait."""

    def __init__(self, slots: int, most_waiting: int, *, share: int | None = None) -> None:
        self._free = slots
        self._most_waiting = most_waiting
        self.share = slots if share is None else share
        """How many turns of one key there are; where it is changed, those that are held stay."""
        self._running: dict[Hashable, int] = {}
        self._waiting: dict[Hashable, deque[asyncio.Future[None]]] = {}

    async def acquire(self, key: Hashable, seconds: float | None = None) -> "Turn":
        """Wait for a turn, for this number of seconds at most; raise QueueFull or OwnQueueFull if there is none."""
        if self._free and self._has_share(key):
            self._start(key)
        else:
            try:
                async with asyncio.timeout(seconds):
                    await self._wait(key)
            except TimeoutError:
                raise (QueueFull if self._has_share(key) else OwnQueueFull) from None
        return Turn(self, key)

    @asynccontextmanager
    async def take(self, key: Hashable) -> AsyncIterator[None]:
        """Wait for a turn and hold it; raise QueueFull or OwnQueueFull if it is refused."""
        turn = await self.acquire(key)
        try:
            yield
        finally:
            turn.release()

    def _has_share(self, key: Hashable) -> bool:
        return self._running.get(key, 0) < self.share

    def _start(self, key: Hashable) -> None:
        self._free -= 1
        self._running[key] = self._running.get(key, 0) + 1

    def _end(self, key: Hashable) -> None:
        self._free += 1
        running = self._running.pop(key) - 1
        if running:
            self._running[key] = running
        if self._waiting:
            self._wake_next()

    async def _wait(self, key: Hashable) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, deque()).append(waiter)
        if sum(map(len, self._waiting.values())) > self._most_waiting:
            self._refuse_newest(max(self._waiting, key=lambda other: (len(self._waiting[other]), other == key)))
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter in self._waiting.get(key, ()):
                self._remove_waiter(key, waiter)
            elif not waiter.cancelled() and not waiter.exception():
                # The turn had already been given to this task, which was then cancelled: pass it on.
                self._end(key)
            raise

    def _refuse_newest(self, key: Hashable) -> None:
        """Refuse the newest waiting job of a key."""
        newest = self._waiting[key][-1]
        self._remove_waiter(key, newest)
        if not newest.done():
            newest.set_exception(OwnQueueFull() if key in self._waiting else QueueFull())

    def _wake_next(self) -> None:
        """Give free slots to the first job of each next key that has less than its share, and put that key last."""
        while self._free and (keys := list(filter(self._has_share, self._waiting))):
            key = keys[0]
            waiting = self._waiting.pop(key)
            first = waiting.popleft()
            if waiting:
                self._waiting[key] = waiting
            if not first.done():
                self._start(key)
                first.set_result(None)

    def _remove_waiter(self, key: Hashable, waiter: "asyncio.Future[None]") -> None:
        self._waiting[key].remove(waiter)
        if not self._waiting[key]:
            del self._waiting[key]

    def _move(self, key: Hashable, to: Hashable) -> bool:
        if not self._has_share(to):
            return False
        self._start(to)
        self._end(key)
        return True


@dataclass(slots=True)
class Turn:
    """A turn that is held until it is released."""

    _turns: FairTurns
    _key: Hashable

    def release(self) -> None:
        """End the turn, once."""
        self._turns._end(self._key)  # noqa: SLF001  # of this module

    def move_to(self, key: Hashable) -> bool:
        """Let the turn count for another key, and return True; False, and no change, if that has its share already."""
        if moved := self._turns._move(self._key, key):  # noqa: SLF001  # of this module
            self._key = key
        return moved
