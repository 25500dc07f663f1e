"""Long computations on the event loop, done in slices: other requests are served in between.

Whoever is answered meanwhile makes about ten steps on the event loop. So a slice is short, and between two slices
others take up to three steps.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import islice
from typing import Final, TypeVar

T = TypeVar("T")

SLICE_SECONDS: Final = 0.0005
# A round of the event loop that takes longer has served somebody.
IDLE_SECONDS: Final = 0.0001
# After so many rounds the computation goes on in any case.
MAX_ROUNDS: Final = 3
# So often threads get the interpreter, and so long this one sleeps for that: the least that the kernel can measure.
THREADS_EVERY_SECONDS: Final = 0.0025
THREADS_SECONDS: Final = 0.00005


async def iterate_in_slices(items: Iterable[T]) -> AsyncIterator[T]:
    """Yield the items of an iterable that is computed while it is read; pause after each half of a millisecond."""
    end = time.perf_counter() + SLICE_SECONDS
    for item in items:
        yield item
        if time.perf_counter() >= end:
            await pause()
            end = time.perf_counter() + SLICE_SECONDS


async def pause() -> None:
    """Let others be served, until nobody is ready or they had MAX_ROUNDS rounds of the event loop."""
    for _ in range(MAX_ROUNDS):
        began = time.perf_counter()
        await asyncio.sleep(0)
        if time.perf_counter() - began < IDLE_SECONDS:
            break
    THREADS.let_run()


class Threads:
    """The threads of this process, such as those in which SQLite reads.

    The event loop gives the interpreter's lock back for a moment in each round, and has it again before a thread that
    waits for it has woken up. As that begins to wait anew each time, it would never be let in by force, either.
    """

    def __init__(self) -> None:
        self._due = 0.0

    def let_run(self) -> None:
        """Sleep, if it is time to, until a waiting thread has taken the lock."""
        if time.perf_counter() >= self._due:
            time.sleep(THREADS_SECONDS)
            self._due = time.perf_counter() + THREADS_EVERY_SECONDS


THREADS: Final = Threads()


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the items in lists of this size, as `itertools.batched` does from Python 3.12 on."""
    iterator = iter(items)
    while some := list(islice(iterator, size)):
        yield some
