"""Searching expenses by `q`: words anywhere in the description or the payee, whatever their case and accents."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from tests.support.expenses import change, discard, spend
from tests.support.people import Person, signed_up
from tests.support.problems import advice, blamed
from tests.support.rows import filling
from tests.support.settings import NOON

DESCRIPTIONS = [
    "CAFÉ au lait",
    "Łódź tram",
    "100% wool",
    "snake_case",
    "Straße 5",
    "Ёлка",
    "カフェ",
    "ガフェ",
    "zig\nzag",
]
PAYEES = [None, "Café Nero", None, None, "Smørrebrød", None, None, None, "Tram"]


@pytest.fixture(scope="module")
async def reader(app: FastAPI) -> AsyncIterator[Person]:
    """A user with expenses of many descriptions and payees, which no test of this file changes."""
    async with signed_up(app) as reader:
        async with filling(reader) as rows:
            for number, (description, payee) in enumerate(zip(DESCRIPTIONS, PAYEES, strict=True), 1):
                day = NOON.date().replace(day=number)
                await rows.spend(1, description=description, payee=payee, spent_on=day)
        yield reader


async def found(person: Person, q: str, **query: str) -> list[Any]:
    """Return the descriptions of what a query finds, oldest first."""
    answer = await person.get("/expenses", params={"q": q, "sort": "date"} | query)
    assert answer.status_code == httpx.codes.OK, answer.text
    return [it["description"] for it in answer.json()["items"]]


@pytest.mark.parametrize(
    ("q", "descriptions"),
    [
        ("cafe", ["CAFÉ au lait", "Łódź tram"]),
        ("CAFÉ", ["CAFÉ au lait", "Łódź tram"]),
        ("cafe\u0301", ["CAFÉ au lait", "Łódź tram"]),
        ("lodz", ["Łódź tram"]),
        ("odz", ["Łódź tram"]),
        ("cafe lodz", ["Łódź tram"]),
        ("tram", ["Łódź tram", "zig\nzag"]),
        ("strasse", ["Straße 5"]),
        ("smorrebrod", ["Straße 5"]),
        ("елка", ["Ёлка"]),
        ("カフェ", ["カフェ"]),
        ("%", ["100% wool"]),
        ("_", ["snake_case"]),
        ("0%", ["100% wool"]),
        ("e_c", ["snake_case"]),
        ("a%t", []),
        ("zag zig", ["zig\nzag"]),
        ("cafe \u0301", ["CAFÉ au lait", "Łódź tram"]),
        ("\\", []),
        ("'", []),
        ("nothing", []),
    ],
)
async def test_words_are_found_whatever_their_case_and_accents(reader: Person, q: str, descriptions: list[str]) -> None:
    assert await found(reader, q) == descriptions


async def test_a_search_is_counted_and_added_up(reader: Person) -> None:
    answer = (await reader.get("/expenses?q=cafe&limit=1&with_count=true&with_totals=true")).json()

    assert (answer["count"], answer["totals"]) == (2, [{"currency": "EUR", "total": "25.00", "count": 2}])


async def test_a_search_is_reported(reader: Person) -> None:
    report = (await reader.get("/reports/spending?q=cafe&period=2026-11")).json()

    assert [it["count"] for it in report["totals"]] == [2]


async def test_other_filters_narrow_a_search(reader: Person) -> None:
    assert await found(reader, "cafe", payee="café nero") == ["Łódź tram"]


@pytest.mark.parametrize(
    "payee", ["Toys™", "m² Bau", "ＬＩＤＬ", "Peter´s", "Amazon Marketpl…", "7\u2011Eleven", "Ĳssel", "№ 5", "Zoë ﬁsh"]
)
async def test_a_payee_is_found_as_it_is_shown(person: Person, payee: str) -> None:
    """Letters that are other ones in the key by which names are unique: ™ is tm there."""
    await spend(person, payee=payee, description="found")
    await spend(person, payee="another")
    suggested = (await person.get("/payees", params={"q": payee})).json()["items"]

    assert await found(person, payee) == ["found"]
    assert [it["name"] for it in suggested] == [payee]


@pytest.mark.wire
@pytest.mark.parametrize("path", ["/expenses", "/payees", "/reports/spending"])
@pytest.mark.parametrize("q", ["\u0301", "\u0301 \u0308"])
async def test_accents_alone_are_not_looked_for(somebody: Person, path: str, q: str) -> None:
    answer = await somebody.get(path, params={"q": q})

    assert (answer.status_code, blamed(answer)) == (422, {"q": "malformed"})
    assert "letter" in advice(answer, "q")


@pytest.mark.wire
@pytest.mark.parametrize("path", ["/expenses", "/payees", "/reports/spending"])
@pytest.mark.parametrize("q", ["\u00b4".join("abcdefghijk"), "\u00b4".join("abc") + " " + "\u00b4".join("cdefghij")])
async def test_one_word_that_is_many_in_payees_counts_as_many(somebody: Person, path: str, q: str) -> None:
    answer = await somebody.get(path, params={"q": q})

    assert (answer.status_code, blamed(answer)) == (422, {"q": "too_long"})


@pytest.mark.wire
@pytest.mark.parametrize(("method", "body"), [("PATCH", {"description": "changed"}), ("DELETE", None)])
async def test_accents_alone_are_no_filter_of_a_bulk_change(
    somebody: Person, method: str, body: dict[str, str] | None
) -> None:
    answer = await somebody.request(method, "/expenses", params={"q": "\u0301"}, json=body)

    assert (answer.status_code, blamed(answer)) == (422, {"q": "malformed"})


async def test_a_bulk_edit_changes_what_a_search_finds(person: Person) -> None:
    await spend(person, description="CAFÉ au lait", date="2026-11-01")
    await spend(person, payee="cafe", date="2026-11-02")
    await spend(person, description="tea", date="2026-11-03")
    answer = await person.patch("/expenses?q=cafe", json={"description": "Łódź"})

    assert (answer.json()["matched"], await found(person, "cafe"), await found(person, "lodz")) == (
        2,
        ["Łódź"],
        ["Łódź", "Łódź"],
    )


async def test_a_changed_description_is_found_and_the_old_one_is_not(person: Person) -> None:
    await change(person, await spend(person, description="Café"), description="Łódź")

    assert (await found(person, "cafe"), await found(person, "lodz")) == ([], ["Łódź"])


async def test_what_was_deleted_is_not_found(person: Person) -> None:
    await discard(person, await spend(person, description="Café", payee="Café"))

    assert await found(person, "cafe") == []


async def test_tags_are_sorted_with_accents_beside_their_letters(person: Person) -> None:
    expense = await spend(person, tags=["Enfants", "Zoo", "Élève", "eleve", "łódź", "Lotto"])
    listed = [it["name"] for it in (await person.get("/tags")).json()["items"]]

    assert expense["tags"] == listed == ["eleve", "Élève", "Enfants", "łódź", "Lotto", "Zoo"]
