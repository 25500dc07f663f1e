"""Long computations give way to others."""

import asyncio
from collections.abc import Iterator

import pytest

from infra import slices
from infra.slices import batched, iterate_in_slices


def count_to(most: int, seen: list[str]) -> Iterator[int]:
    """Count, and note each number when it is computed."""
    for number in range(most):
        seen.append(str(number))
        yield number


@pytest.mark.parametrize(("seconds", "pauses"), [(2, 2), (1, 5), (6, 0)])
async def test_others_are_served_after_each_slice(monkeypatch: pytest.MonkeyPatch, seconds: float, pauses: int) -> None:
    """An item takes a second, on a clock of the test's."""
    monkeypatch.setattr(slices, "SLICE_SECONDS", seconds)
    seen: list[str] = []
    monkeypatch.setattr(slices, "time", Clock(seen))

    async def serve_others() -> None:
        while len(seen) < 5 + pauses:
            await asyncio.sleep(0)
            seen.append("another")

    other = asyncio.create_task(serve_others())
    await asyncio.sleep(0)
    assert [item async for item in iterate_in_slices(count_to(5, seen))] == [0, 1, 2, 3, 4]
    assert seen.count("another") == pauses
    other.cancel()


@pytest.mark.parametrize(("busy", "rounds"), [(0, 1), (1, 2), (99, 3)])
async def test_a_pause_lasts_until_nobody_else_is_ready(
    monkeypatch: pytest.MonkeyPatch, busy: int, rounds: int
) -> None:
    """Others take a second of each round, on a clock of the test's; after three rounds the pause ends in any case."""
    seen: list[str] = []
    monkeypatch.setattr(slices, "time", Clock(seen))
    count = 0

    async def be_served() -> None:
        nonlocal count
        while True:
            count += 1
            if count <= busy:
                seen.append("a step of another request")
            await asyncio.sleep(0)

    other = asyncio.create_task(be_served())
    await slices.pause()
    assert count == rounds
    other.cancel()


async def test_threads_get_the_interpreter_every_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    clock = Clock(seen)
    monkeypatch.setattr(slices, "time", clock)
    monkeypatch.setattr(slices, "THREADS", slices.Threads())
    monkeypatch.setattr(slices, "THREADS_EVERY_SECONDS", 3)

    for step in range(9):
        await slices.pause()
        seen.append(f"step {step}")

    assert clock.slept == [slices.THREADS_SECONDS] * 3


class Clock:
    """A clock by which each item that was seen has taken a second."""

    def __init__(self, seen: list[str]) -> None:
        self._seen = seen
        self.slept: list[float] = []

    def perf_counter(self) -> float:
        """Return how many items were seen."""
        return sum(it != "another" for it in self._seen)

    def sleep(self, seconds: float) -> None:
        """Note how long it would have slept."""
        self.slept.append(seconds)


def test_items_are_batched_with_the_rest_at_the_end() -> None:
    assert list(batched("ABCDE", 2)) == [["A", "B"], ["C", "D"], ["E"]]
    assert list(batched("", 2)) == []
