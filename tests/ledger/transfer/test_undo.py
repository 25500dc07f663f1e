"""Undoing an import, on both databases."""

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import Connection, text

import migrations
from admin.check import check_ledgers
from tests.support.expenses import change, discard, fetch, ids, restore, spend
from tests.support.imports import coffee, draft, list_amounts, load, reading, statuses, undo
from tests.support.ledgers import state_of
from tests.support.people import Person
from tests.support.statements import Statements


async def test_the_expenses_of_an_import_are_deleted_for_good(app: FastAPI, person: Person) -> None:
    answer = await load(person, reading(coffee(), draft()))
    await spend(person, amount="1.00")

    assert await undo(person, answer) == {"deleted": 2, "kept": 0, "unlinked": 0, "revision": 3}
    assert (await list_amounts(person), await ids(person)) == (["1.00"], [])
    assert await state_of(app, person) == (3, 1)
    assert (await person.get(f"/imports/{answer.id}")).status_code == httpx.codes.NOT_FOUND


async def test_the_deletions_are_in_the_feed(person: Person) -> None:
    answer = await load(person, reading(coffee()))
    (expense,) = await fetch(person)
    await undo(person, answer)

    feed = (await person.get("/changes?since=1")).json()

    assert feed["deleted"] == [{"kind": "expense", "id": expense["id"], "revision": 2}]


async def test_the_file_imports_again(person: Person) -> None:
    file = reading(coffee(), coffee(), draft())
    await undo(person, await load(person, file))

    assert statuses(await load(person, file)) == ["new"] * 3


async def test_a_second_undo_finds_nothing(person: Person) -> None:
    answer = await load(person, reading(coffee()))
    await undo(person, answer)

    assert (await person.delete(f"/imports/{answer.id}")).status_code == httpx.codes.NOT_FOUND


async def test_a_repeated_undo_is_answered_as_the_first(person: Person) -> None:
    answer = await load(person, reading(coffee()))

    first, again = [await person.delete(f"/imports/{answer.id}", headers={"Idempotency-Key": "once"}) for _ in range(2)]

    assert (first.json(), again.headers["Idempotency-Replayed"]) == (again.json(), "true")


async def test_what_was_changed_goes_too(person: Person) -> None:
    answer = await load(person, reading(coffee()))
    await change(person, (await fetch(person))[0], description="with Bo")

    assert (await undo(person, answer))["deleted"] == 1


@pytest.mark.parametrize("by", ["patch", "put", "bulk", "batch"])
async def test_what_was_changed_is_kept_if_it_is_asked_for(person: Person, by: str) -> None:
    answer = await load(person, reading(coffee(), draft()))
    expense, _ = await fetch(person)
    whole = {"amount": "3.50", "currency": "EUR", "date": "2026-11-02", "payee": "Bar"}
    requests = {
        "patch": ("PATCH", f"/expenses/{expense['id']}", {"payee": "Bar"}),
        "put": ("PUT", f"/expenses/{expense['id']}", whole),
        "bulk": ("PATCH", "/expenses?max_amount=3.50", {"payee": "Bar"}),
        "batch": (
            "POST",
            "/expenses/batch",
            {"operations": [{"op": "update", "id": expense["id"], "data": {"payee": "Bar"}}]},
        ),
    }
    method, path, body = requests[by]
    assert (await person.request(method, path, json=body)).is_success

    undone = await undo(person, answer, "?keep_changed=true")

    (kept,) = await fetch(person)
    assert (undone["deleted"], undone["kept"]) == (1, 1)
    assert (kept["payee"], kept["import_id"], kept["revision"]) == ("Bar", None, undone["revision"])
    assert statuses(await load(person, reading(coffee(), draft()))) == ["existing", "new"]


async def test_a_renamed_category_or_tag_is_no_change(person: Person) -> None:
    answer = await load(person, reading(coffee(category="Food", tags=("a",))))
    (category,) = (await person.get("/categories")).json()["items"]
    (tag,) = (await person.get("/tags")).json()["items"]
    await person.patch(f"/categories/{category['id']}", json={"name": "Drinks"})
    await person.patch(f"/tags/{tag['id']}", json={"name": "b"})

    assert (await undo(person, answer, "?keep_changed=true"))["deleted"] == 1


async def test_a_linked_expense_stays_as_it_is(person: Person) -> None:
    typed = await spend(person, amount="3.50", date="2026-11-02")
    answer = await load(person, reading(coffee()), on_match="link")

    assert await undo(person, answer) == {"deleted": 0, "kept": 0, "unlinked": 1, "revision": 3}
    assert await fetch(person) == [typed]
    assert statuses(await load(person, reading(coffee()), on_match="link")) == ["linked"]


async def test_a_linked_expense_keeps_its_own_import(person: Person) -> None:
    await load(person, reading(coffee(), source="savings"))
    (before,) = await fetch(person)
    linking = await load(person, reading(coffee()), on_match="link")

    await undo(person, linking)

    assert await fetch(person) == [before]
    assert statuses(await load(person, reading(coffee(), source="savings"))) == ["existing"]


async def test_what_another_import_linked_goes_too_and_comes_back_with_its_file(person: Person) -> None:
    first = await load(person, reading(coffee(), source="savings"))
    await load(person, reading(coffee()), on_match="link")

    await undo(person, first)

    assert await fetch(person) == []
    assert statuses(await load(person, reading(coffee()))) == ["new"]


async def test_what_another_import_called_existing_goes_too_and_comes_back_with_its_file(person: Person) -> None:
    first = await load(person, reading(coffee()))
    second = reading(coffee(), coffee(), draft())
    await load(person, second)

    await undo(person, first)

    assert await list_amounts(person) == ["12.50", "3.50"]
    assert statuses(await load(person, second)) == ["existing", "new", "existing"]


async def test_what_lies_in_the_trash_stays_restorable_and_known(person: Person) -> None:
    answer = await load(person, reading(coffee(), draft()))
    expense = (await fetch(person))[0]
    await discard(person, expense)

    assert (await undo(person, answer))["deleted"] == 1
    assert statuses(await load(person, reading(coffee(), draft()))).count("existing deleted") == 1
    restored = (await restore(person, expense)).json()
    assert (restored["id"], restored["import_id"]) == (expense["id"], None)
    assert statuses(await load(person, reading(coffee(), draft()))) == ["existing", "existing"]


async def test_what_was_deleted_for_good_stays_deleted(person: Person) -> None:
    answer = await load(person, reading(coffee()))
    await person.delete("/expenses?currency=EUR")
    await person.delete("/expenses/trash")

    assert (await undo(person, answer))["deleted"] == 0
    assert statuses(await load(person, reading(coffee()))) == ["existing deleted"]


async def test_an_import_of_another_user_is_not_there(person: Person, stranger: Person) -> None:
    answer = await load(person, reading(coffee()))

    assert (await stranger.delete(f"/imports/{answer.id}")).status_code == httpx.codes.NOT_FOUND
    assert (await stranger.get(f"/expenses?import_id={answer.id}")).json()["items"] == []
    assert await list_amounts(person) == ["3.50"]


async def test_an_undo_takes_few_statements_however_large_the_import(person: Person, statements: Statements) -> None:
    answer = await load(person, reading(*(draft(amount=f"{number}.00") for number in range(1, 601))), rows=0)

    with statements() as sent:
        await undo(person, answer)

    assert len(sent) <= 20


async def test_the_check_of_all_ledgers_finds_nothing_wrong(outside: Connection, person: Person) -> None:
    rows = (coffee(category="Bread", parent="Food", tags=("a",)), draft(), draft("2026-11-09"))
    undone = await load(person, reading(*rows))
    await load(person, reading(coffee("05"), coffee("06")))
    await discard(person, (await fetch(person))[0])
    await load(person, reading(*rows), deleted="import")
    await person.put("/imports/profiles/bank", json={"decimal": ","})
    await undo(person, undone, "?keep_changed=true")

    report = check_ledgers(outside, migrations.read_newest_revision(), lambda _done, _total: None)

    assert [it for it in report.problems if it.owner_id == person.user["id"]] == []


async def test_an_account_with_imports_can_be_deleted(outside: Connection, person: Person) -> None:
    await load(person, reading(coffee(), draft()))
    await person.put("/imports/profiles/bank", json={"decimal": ","})

    answer = await person.request("DELETE", "/users/me", json={"current_password": person.password})

    counted = text("SELECT COUNT(*) FROM imported_rows WHERE owner_id = :owner")
    assert answer.status_code == httpx.codes.NO_CONTENT
    assert outside.execute(counted, {"owner": person.user["id"]}).scalar_one() == 0
