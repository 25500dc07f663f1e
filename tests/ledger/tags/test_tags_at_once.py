"""Tags that are read and changed at once: readers see no lock, and what they read may be gone the next moment."""

import asyncio
from typing import Any

from fastapi import FastAPI

from tests.support.expenses import change, creating, send_batch, spend
from tests.support.ledgers import state_of, statuses
from tests.support.people import Person
from tests.support.tags import find_damage, listed, names, where


async def record(person: Person) -> list[str]:
    """Record expenses with twenty tags, each alone and with another one, and return the paths of these tags."""
    alone = [f"t{number}" for number in range(10, 30)]
    answer = await send_batch(person, *(creating(tags=tags) for name in alone for tags in ([name], [name, "kept"])))
    assert answer.is_success, answer.text
    return [f"/tags/{tag['id']}" for tag in await listed(person) if tag["name"] in alone]


async def test_use_is_told_while_tags_are_merged(person: Person) -> None:
    paths = await record(person)
    merges = [person.delete(path, params={"move_to": "kept"}) for path in paths]
    reads = [person.get("/tags?with_usage=true") for _ in paths]
    answers = await asyncio.gather(*(it for pair in zip(merges, reads, strict=True) for it in pair))

    assert statuses(answers) == {204: 20, 200: 20}
    assert (await names(person), find_damage(person)) == (["kept"], [])


async def test_a_dry_run_counts_while_tags_are_deleted(person: Person) -> None:
    paths = await record(person)
    deletions = [person.delete(path) for path in paths]
    reads = [person.patch("/expenses?currency=EUR&dry_run=true", json={"add_tags": ["new"]}) for _ in paths]
    answers = await asyncio.gather(*(it for pair in zip(deletions, reads, strict=True) for it in pair))

    assert statuses(answers) == {204: 20, 200: 20}
    assert [it.json()["matched"] for it in answers[1::2]] == [40] * 20


async def test_a_new_tag_that_many_use_at_once_is_made_once(app: FastAPI, person: Person) -> None:
    expense = await spend(person)
    await asyncio.gather(
        *(spend(person, tags=["new", "newer"]) for _ in range(5)),
        change(person, expense, tags=["NEW"]),
        send_batch(person, creating(tags=["New"]), creating(tags=["newest"])),
        person.patch("/expenses?untagged=true", json={"add_tags": ["newest", "new"]}),
    )

    assert sorted(name.casefold() for name in await names(person)) == ["new", "newer", "newest"]
    assert (await state_of(app, person))[1] == 8
    assert find_damage(person) == []


async def test_a_deletion_and_new_expenses_at_once_leave_no_tag_without_a_name(person: Person) -> None:
    await spend(person, tags=["a", "b"])
    path = await where(person, "a")
    await asyncio.gather(
        *(spend(person, tags=["a", "b"]) for _ in range(4)),
        person.delete(path),
        *(spend(person, tags=["b", "c"]) for _ in range(4)),
    )
    items = (await person.get("/expenses")).json()["items"]

    assert {name for it in items for name in it["tags"]} <= set(await names(person))
    assert find_damage(person) == []


async def test_a_walk_by_a_tag_misses_nothing_while_other_tags_come_and_go(person: Person) -> None:
    creates = [creating(tags=["kept"], amount=f"{number}.00") for number in range(1, 31)]
    await send_batch(person, *creates)
    stop = asyncio.Event()
    changing = asyncio.create_task(come_and_go(person, stop))
    walks = [await walk(person, tag="kept", limit=7) for _ in range(12)]
    counts = [(await person.get("/expenses", params=COUNTED)).json() for _ in range(12)]
    stop.set()
    await changing

    assert [len(set(ids)) for ids in walks] == [30] * 12
    assert [(it["count"], len(it["items"])) for it in counts] == [(30, 30)] * 12


COUNTED: dict[str, Any] = {"tag": "kept", "with_count": "true", "limit": 200}


async def come_and_go(person: Person, stop: asyncio.Event, number: int = 0) -> None:
    """Give all expenses another tag again and again."""
    if not stop.is_set():
        change = {"add_tags": [f"x{number % 5}"], "remove_tags": [f"x{(number - 1) % 5}"]}
        (await person.patch("/expenses", params={"currency": "EUR"}, json=change)).raise_for_status()
        await come_and_go(person, stop, number + 1)


async def walk(person: Person, **query: Any) -> list[int]:
    """Return the ids of all pages."""
    page: dict[str, Any] = (await person.get("/expenses", params=query)).raise_for_status().json()
    ids = [it["id"] for it in page["items"]]
    return ids + await walk(person, **query | {"cursor": page["next_cursor"]}) if page["next_cursor"] else ids
