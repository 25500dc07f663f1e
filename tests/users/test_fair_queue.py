"""The queue of password hashes: networks are served in turn."""

import asyncio

from users.fair_queue import FairQueue


class Room:
    """One place to work at, and who has worked there in which order."""

    def __init__(self, most: int) -> None:
        self.turns = FairQueue(1, most)
        self.done: list[str] = []

    async def work(self, name: str) -> None:
        """Work, as somebody of the network that the name begins with."""
        async with self.turns.wait_for_turn(name[0]):
            await asyncio.sleep(0)
            self.done.append(name)

    async def all(self, *names: str) -> list[bool]:
        """Let all come at once, and tell who was let in."""
        came = await asyncio.gather(*map(self.work, names), return_exceptions=True)
        return [it is None for it in came]


async def test_one_network_keeps_no_other_waiting_behind_all_of_its_own() -> None:
    room = Room(10)
    await room.all("a1", "a2", "a3", "a4", "b1", "c1")
    assert room.done == ["a1", "a2", "b1", "c1", "a3", "a4"]


async def test_networks_take_turns() -> None:
    room = Room(10)
    await room.all("a1", "a2", "a3", "b1", "b2", "b3")
    assert room.done == ["a1", "a2", "b1", "a3", "b2", "b3"]


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
    async with room.turns.wait_for_turn("x"):
        first, refused, other = [asyncio.create_task(room.work(name)) for name in ("a1", "a2", "b1")]
        await asyncio.sleep(0)
        refused.cancel()
        await asyncio.wait([refused])
        await asyncio.sleep(0)
        assert room.done == []
    await asyncio.gather(first, other)


async def test_who_goes_away_just_as_the_turn_comes_passes_it_on() -> None:
    room = Room(10)
    async with room.turns.wait_for_turn("a"):
        gone, next_one = asyncio.create_task(room.work("b1")), asyncio.create_task(room.work("c1"))
        await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait([gone, next_one])
    assert (room.done, gone.cancelled()) == (["c1"], True)
