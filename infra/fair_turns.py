"""Turns at something that only a few may use at once: keys are served in rounds, and none has more than its share.

A key is an account or a network. It stands for whoever must not delay the others.

    slots = 2, waiting = 5: two jobs run, up to five wait. A, B and C are keys; numbers are the order of arrival.

    running          A1  A2                    A's in rounds 1 and 2: its next one is of round 3
    waiting          A:  A3  A4  A6            B and C have not run yet, so theirs are of the current round, 2
                     B:  B5                    next to run: B5, C7, A3; then A4 and A6, each in a round of its own
                     C:  C7
    a job ends       B5 runs, of round 2       waiting: C (C7), A (A3 A4 A6)
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
        self._round = 0
        # The rounds of the last jobs of keys; before the current one, they make no difference.
        self._rounds: dict[Hashable, int] = {}

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

    def count(self, key: Hashable) -> int:
        """Return how many jobs of a key run or wait."""
        return self._running.get(key, 0) + len(self._waiting.get(key, ()))

    def _has_share(self, key: Hashable) -> bool:
        return self._running.get(key, 0) < self.share

    def _find_round(self, key: Hashable) -> int:
        """Return the round of the next job of a key: each of its jobs is of another one."""
        return max(self._round, self._rounds.get(key, -1) + 1)

    def _start(self, key: Hashable) -> None:
        number = self._find_round(key)
        if number > self._round:
            self._round, self._rounds = number, {}
        self._rounds[key] = number
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
        """Give free slots to the first jobs of the keys of the earliest round that have less than their share."""
        while self._free and (keys := list(filter(self._has_share, self._waiting))):
            key = min(keys, key=self._find_round)
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
        if key != self._key:
            if not self._turns._move(self._key, key):  # noqa: SLF001  # of this module
                return False
            self._key = key
        return True
