"""Pages of expenses with one of several ids: the first of each are merged, none is left out and none comes twice."""

from datetime import timedelta
from typing import Any, Final

import pytest

from ledger.expenses import filters, pages
from tests.support.people import Person
from tests.support.rows import filling
from tests.support.settings import NOON
from tests.support.statements import Statements

# The filters whose expenses have several ids in one column, and how many there are among 60.
FILTERS: Final[list[tuple[dict[str, Any], int]]] = [
    ({"category": "Food"}, 40),
    ({"category": ["Bread", "Rent"], "uncategorized": "true"}, 40),
    ({"tag": "shared"}, 30),
    ({"tag": "shared", "category": "Food"}, 20),
    ({"payee": ["lidl", "Market"], "without_payee": "true"}, 60),
    ({"payee": "Market", "tag": "shared", "q": "of 1"}, 10),
    ({"tag": "shared", "category": ["Food", "Rent"], "payee": ["Lidl", "Market"]}, 20),
]


async def fill(person: Person) -> list[dict[str, Any]]:
    """Insert sixty expenses of nine days; return what the list of all of them has."""
    async with filling(person) as rows:
        food = await rows.categorize(1, "Food")
        await rows.categorize(1, "Bread", food)
        for number in range(60):
            await rows.spend(
                1,
                category=("Food", "Bread", None)[number % 3],
                payee=("Lidl", "Market", None, "Market")[number % 4],
                tags=((), ("shared",), (), ("shared", "trip"))[number % 4],
                spent_on=NOON.date() - timedelta(days=number % 9),
                description=f"of {number % 3}",
            )
    return await walk(person, limit=200)


async def walk(person: Person, **query: Any) -> list[dict[str, Any]]:
    """Return the expenses of all pages."""
    page: dict[str, Any] = (await person.get("/expenses", params=query)).raise_for_status().json()
    if page["next_cursor"] is None:
        return list(page["items"])
    return list(page["items"]) + await walk(person, **query | {"cursor": page["next_cursor"]})


@pytest.mark.parametrize("sort", ["-date", "date"])
@pytest.mark.parametrize(("query", "number"), FILTERS, ids=str)
async def test_pages_are_in_order_and_whole(person: Person, query: dict[str, Any], number: int, sort: str) -> None:
    everything = await fill(person)
    whole = await walk(person, limit=200, sort=sort, **query)
    paged = await walk(person, limit=7, sort=sort, **query)
    counted = (await person.get("/expenses", params=query | {"with_count": "true", "limit": 1})).json()["count"]

    assert paged == whole == [it for it in ordered(everything, sort) if it in whole]
    assert (len(whole), counted) == (number, number)


@pytest.mark.parametrize(("query", "number"), FILTERS[:3], ids=str)
async def test_of_many_ids_the_pages_are_the_same(
    person: Person, monkeypatch: pytest.MonkeyPatch, query: dict[str, Any], number: int
) -> None:
    await fill(person)
    merged = await walk(person, limit=7, **query)
    monkeypatch.setattr(pages, "MAX_MERGED_IDS", 1)

    assert await walk(person, limit=7, **query) == merged
    assert len(merged) == number


@pytest.mark.parametrize(
    ("constant", "value"),
    [("MAX_SET_IDS", 1), ("READS", 0)],
    ids=["of many tag sets", "where tags change all the time"],
)
async def test_the_tag_sets_are_found_by_a_subquery(
    person: Person, monkeypatch: pytest.MonkeyPatch, statements: Statements, constant: str, value: int
) -> None:
    await fill(person)
    known = await walk(person, limit=200, tag="shared")
    monkeypatch.setattr(filters, constant, value)
    with statements() as sent:
        found = await walk(person, limit=200, tag="shared")

    assert found == known
    assert len(known) == 30
    assert sum("tag_set_id IN (SELECT" in it for it in sent) == 1


async def test_where_a_merge_would_be_too_long_the_page_is_the_same(
    person: Person, monkeypatch: pytest.MonkeyPatch, statements: Statements
) -> None:
    query, number = FILTERS[-1]
    await fill(person)
    merged = await walk(person, limit=200, **query)
    monkeypatch.setattr(pages, "MAX_IDS_IN_MERGE", 3)
    with statements() as sent:
        found = await walk(person, limit=200, **query)

    assert found == merged
    assert len(found) == number
    assert not any("UNION ALL" in it and "spent_on" in it for it in sent)


def ordered(expenses: list[dict[str, Any]], sort: str) -> list[dict[str, Any]]:
    return sorted(expenses, key=lambda it: (it["date"], it["id"]), reverse=sort.startswith("-"))
