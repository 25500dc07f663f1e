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


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the items in lists of this size, as `itertools.batched` does from Python 3.12 on."""
    iterator = iter(items)
    while some := list(islice(iterator, size)):
        yield some
