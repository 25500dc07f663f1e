"""Imports of files into a ledger, on both databases."""

from tests.support.imports import coffee, draft, list_amounts, load, reading, statuses, undo
from tests.support.people import Person


async def test_the_rows_of_a_file_become_expenses(person: Person) -> None:
    answer = await load(person, reading(draft(category="Bread", parent="Food", tags=("b", "A"), description="x")))

    (expense,) = (await person.get("/expenses")).json()["items"]
    assert statuses(answer) == ["new"]
    assert expense["import_id"] == answer.id
    assert expense["tags"] == ["A", "b"]


async def test_the_same_file_again_adds_nothing(person: Person) -> None:
    first = await load(person, reading(coffee(), coffee(), draft()))
    again = await load(person, reading(coffee(), coffee(), draft()))

    assert again.id is None
    assert statuses(again) == ["existing"] * 3
    assert await list_amounts(person) == ["12.50", "3.50", "3.50"]
    assert await undo(person, first) == {"deleted": 3, "kept": 0, "unlinked": 0, "revision": 2}
    assert await list_amounts(person) == []
    assert statuses(await load(person, reading(coffee(), coffee()))) == ["new", "new"]
