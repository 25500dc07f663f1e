"""Turns at something that only a few may use at once: keys are served in turn, and each has its share."""

import asyncio

import pytest

from infra.fair_turns import FairTurns
from infra.faults import OwnQueueFull, QueueFull


class Room:
    """One place to work at, and who has worked there in which order."""

    def __init__(self, most: int) -> None:
        self.turns = FairTurns(1, most - 1)
        self.done: list[str] = []

    async def work(self, name: str) -> None:
        """Work, as somebody of the network that the name begins with."""
        async with self.turns.take(name[0]):
            await asyncio.sleep(0)
            self.done.append(name)

    async def all(self, *names: str) -> list[bool]:
        """Let all come at once, and tell who was let in."""
        came = await asyncio.gather(*map(self.work, names), return_exceptions=True)
        return [it is None for it in came]


async def test_one_network_keeps_no_other_waiting_behind_all_of_its_own() -> None:
    room = Room(10)
    await room.all("a1", "a2", "a3", "a4", "b1", "c1")
    assert room.done == ["a1", "b1", "c1", "a2", "a3", "a4"]


async def test_networks_take_turns() -> None:
    room = Room(10)
    await room.all("a1", "a2", "a3", "b1", "b2", "b3")
    assert room.done == ["a1", "b1", "a2", "b2", "a3", "b3"]


async def test_who_comes_while_another_works_is_next_however_many_of_that_one_wait() -> None:
    room = Room(10)
    many = [asyncio.create_task(room.work(name)) for name in ("a1", "a2", "a3")]
    await many[0]
    await room.work("b1")
    await asyncio.gather(*many)
    assert room.done == ["a1", "a2", "b1", "a3"]


async def test_those_who_ask_one_by_one_keep_nobody_out() -> None:
    room = Room(10)

    async def ask_again_and_again(name: str) -> None:
        for number in range(5):
            await room.work(f"{name}{number}")

    await asyncio.gather(*map(ask_again_and_again, "abc"), room.work("d1"), room.work("d2"))
    assert (room.done.index("d1"), room.done.index("d2")) == (3, 6)


async def test_where_there_is_no_room_one_of_the_network_with_the_most_has_to_go() -> None:
    room = Room(4)
    assert await room.all("a1", "a2", "a3", "a4", "b1", "c1") == [True, True, False, False, True, True]


async def test_a_network_alone_sends_nobody_away_but_its_last() -> None:
    room = Room(3)
    assert await room.all("a1", "a2", "a3", "a4", "a5") == [True, True, True, False, False]


async def test_between_networks_of_as_many_the_one_that_comes_has_to_go() -> None:
    room = Room(3)
    assert await room.all("a1", "a2", "b1", "c1") == [True, True, True, False]


async def test_who_goes_away_while_waiting_is_not_waited_for() -> None:
    room = Room(10)
    waiting = [asyncio.create_task(room.work(name)) for name in ("a1", "a2", "b1")]
    await asyncio.sleep(0)
    waiting[1].cancel()
    await asyncio.wait(waiting)
    assert await room.all("c1", "c2") == [True, True]
    assert room.done == ["a1", "b1", "c1", "c2"]


async def test_who_is_refused_and_goes_away_at_the_same_time_frees_no_slot() -> None:
    room = Room(3)
    async with room.turns.take("x"):
        first, refused, other = [asyncio.create_task(room.work(name)) for name in ("a1", "a2", "b1")]
        await asyncio.sleep(0)
        refused.cancel()
        await asyncio.wait([refused])
        await asyncio.sleep(0)
        assert room.done == []
    await asyncio.gather(first, other)


async def test_who_goes_away_just_as_the_turn_comes_passes_it_on() -> None:
    room = Room(10)
    async with room.turns.take("a"):
        gone, next_one = asyncio.create_task(room.work("b1")), asyncio.create_task(room.work("c1"))
        await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait([gone, next_one])
    assert (room.done, gone.cancelled()) == (["c1"], True)


# --- shares -----------------------------------------------------------------------------------------------------------


async def test_a_key_uses_no_more_than_its_share_and_leaves_the_rest_free() -> None:
    turns = FairTurns(4, 10, share=2)
    held = [await turns.acquire("a"), await turns.acquire("a")]
    third = asyncio.create_task(turns.acquire("a"))
    others = [await turns.acquire("b"), await turns.acquire("c")]
    assert not third.done()
    held[0].release()
    await third
    assert len(others) == 2


async def test_a_turn_counts_for_the_key_that_it_is_moved_to() -> None:
    turns = FairTurns(4, 10, share=1)
    unknown = await turns.acquire(None)
    assert unknown.move_to("a")
    await turns.acquire(None)
    with pytest.raises(OwnQueueFull):
        await turns.acquire("a", seconds=0.01)


async def test_a_turn_is_not_moved_to_a_key_that_has_its_share() -> None:
    turns = FairTurns(4, 10, share=1)
    unknown, _ = await turns.acquire(None), await turns.acquire("a")
    assert not unknown.move_to("a")
    unknown.release()
    await turns.acquire(None)


async def test_who_waits_for_others_for_too_long_is_not_told_that_it_is_to_blame() -> None:
    turns = FairTurns(1, 10)
    await turns.acquire("a")
    with pytest.raises(QueueFull) as refused:
        await turns.acquire("b", seconds=0.01)
    assert not isinstance(refused.value, OwnQueueFull)


async def test_who_sends_too_many_is_told_so() -> None:
    turns = FairTurns(1, 2)
    await turns.acquire("a")
    waiting = [asyncio.create_task(turns.acquire(key)) for key in ("a", "a", "b")]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    assert [type(task.exception()) if task.done() else None for task in waiting] == [None, OwnQueueFull, None]
    for task in waiting:
        task.cancel()


async def test_anonymous_jobs_wait_and_are_served_like_others() -> None:
    turns = FairTurns(1, 10)
    first = await turns.acquire(None)
    second = asyncio.create_task(turns.acquire(None))
    await asyncio.sleep(0)
    first.release()
    await second
