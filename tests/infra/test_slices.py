"""Long computations give way to others."""

import asyncio
from collections.abc import Iterator

from infra.slices import iterate_in_slices


def count_to(most: int, seen: list[str]) -> Iterator[int]:
    """Count, and note each number when it is computed."""
    for number in range(most):
        seen.append(str(number))
        yield number


async def test_others_are_served_after_each_slice() -> None:
    seen: list[str] = []

    async def serve_others() -> None:
        while len(seen) < 7:
            seen.append("another")
            await asyncio.sleep(0)

    other = asyncio.create_task(serve_others())
    assert [item async for item in iterate_in_slices(count_to(5, seen), size=2)] == [0, 1, 2, 3, 4]
    await other
    assert seen[:7] == ["0", "1", "another", "2", "3", "another", "4"]
