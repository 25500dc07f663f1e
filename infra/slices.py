"""Long computations on the event loop, done in slices: other requests are served in between."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import islice
from typing import Final, TypeVar

T = TypeVar("T")

SLICE_SIZE: Final = 50
"""Items of a slice, which take a few milliseconds."""


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the items in lists of this size, as `itertools.batched` does from Python 3.12 on."""
    iterator = iter(items)
    while some := list(islice(iterator, size)):
        yield some


async def iterate_in_slices(items: Iterable[T], size: int = SLICE_SIZE) -> AsyncIterator[T]:
    """Yield the items of an iterable that is computed while it is read; pause after each `size`."""
    for number, item in enumerate(items, start=1):
        yield item
        if number % size == 0:
            await asyncio.sleep(0)
