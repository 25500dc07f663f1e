"""Long computations on the event loop, done in slices: other requests are served in between.

Whoever is answered meanwhile waits for one slice at each of its steps, about ten in all. So a slice is short.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import islice
from typing import Final, TypeVar

T = TypeVar("T")

SLICE_SECONDS: Final = 0.001


async def iterate_in_slices(items: Iterable[T]) -> AsyncIterator[T]:
    """Yield the items of an iterable that is computed while it is read; pause after each millisecond."""
    end = time.perf_counter() + SLICE_SECONDS
    for item in items:
        yield item
        if time.perf_counter() >= end:
            await asyncio.sleep(0)
            end = time.perf_counter() + SLICE_SECONDS


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the items in lists of this size, as `itertools.batched` does from Python 3.12 on."""
    iterator = iter(items)
    while some := list(islice(iterator, size)):
        yield some
