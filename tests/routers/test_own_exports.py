"""This service's own exports, imported again: nothing is new where they come from, and all is equal elsewhere."""

from typing import Any, Final

import pytest

from tests.support.files import send
from tests.support.people import Person, SignUp

EXPENSES: Final[list[dict[str, Any]]] = [
    {
        "amount": "12.50",
        "date": "2026-03-01",
        "category": "Food",
        "payee": "Café 茶 🍵",
        "tags": ["b", "a, c", 'x "y"'],
        "external_id": "'quoted too",
    },
    {"amount": "-3.50", "date": "2026-03-01", "category": "Food", "description": "=SUM(A1)\nsecond line"},
    {
        "amount": "1250",
        "currency": "JPY",
        "date": "2026-03-02",
        "payee": "'quoted",
        "external_id": "bank-1",
        "tags": ["d;e"],
    },
    {"amount": "1.250", "currency": "KWD", "date": "2026-03-03", "description": '-2.50; "and" more'},
    {"amount": "2.50", "date": "2026-03-04", "description": "two of them"},
    {"amount": "2.50", "date": "2026-03-04", "description": "two of them"},
]
SHOWN: Final = ("amount", "currency", "date", "category", "payee", "description", "tags", "external_id")


async def fill(person: Person) -> None:
    operations = [{"op": "create", "data": expense} for expense in EXPENSES]
    await person.post("/expenses/batch", json={"operations": operations})


async def show(person: Person) -> list[list[Any]]:
    rows = (await person.get("/expenses?sort=date&limit=200")).json()["items"]
    return sorted([[row[name] for name in SHOWN] for row in rows], key=str)


@pytest.mark.parametrize("kind", ["csv", "ndjson", "xlsx"])
async def test_an_export_has_nothing_new_for_its_own_account(person: Person, kind: str) -> None:
    await fill(person)
    exported = (await person.get(f"/expenses/export?format={kind}")).content

    answer = (await send(person, exported)).json()

    assert answer["id"] is None
    assert answer["counts"] == {"rows": 6, "new": 0, "existing": 6, "linked": 0, "skipped": 0, "refused": 0, "open": 0}


@pytest.mark.parametrize("kind", ["csv", "ndjson", "xlsx"])
async def test_an_export_makes_equal_expenses_in_another_account(sign_up: SignUp, kind: str) -> None:
    ada, bob = await sign_up(), await sign_up()
    await fill(ada)
    exported = (await ada.get(f"/expenses/export?format={kind}")).content

    answer = (await send(bob, exported)).json()

    assert answer["counts"]["new"] == 6
    assert await show(bob) == await show(ada)


@pytest.mark.parametrize("first", ["csv", "xlsx", "ndjson"])
@pytest.mark.parametrize("second", ["csv", "xlsx", "ndjson", "archive"])
async def test_an_account_that_moves_twice_has_each_expense_once(sign_up: SignUp, first: str, second: str) -> None:
    ada, bob = await sign_up(), await sign_up()
    await fill(ada)
    path = "/users/me/archive" if second == "archive" else f"/expenses/export?format={second}"
    await send(bob, (await ada.get(f"/expenses/export?format={first}")).content)

    answer = (await send(bob, (await ada.get(path)).content)).json()

    assert (answer["counts"]["existing"], answer["questions"]) == (6, [])
    assert await show(bob) == await show(ada)


async def test_what_comes_again_from_an_export_is_not_restored_beside_it(person: Person) -> None:
    await fill(person)
    exported = (await person.get("/expenses/export?max_amount=0")).content
    (refund,) = (await person.get("/expenses?max_amount=0")).json()["items"]
    await person.delete(f"/expenses/{refund['id']}")

    answer = (await send(person, exported, options={"deleted": "import"})).json()

    assert answer["counts"]["new"] == 1
    assert not (await person.post(f"/expenses/{refund['id']}/restore")).is_success


@pytest.mark.parametrize(
    ("on_match", "counts"),
    [(None, {"open": 1}), ("link", {"linked": 1}), ("skip", {"skipped": 1}), ("report", {"new": 1})],
)
async def test_an_expense_that_was_changed_meanwhile_is_asked_about(
    person: Person, on_match: str | None, counts: dict[str, int]
) -> None:
    await fill(person)
    exported = (await person.get("/expenses/export?max_amount=0")).content
    (refund,) = (await person.get("/expenses?max_amount=0")).json()["items"]
    await person.patch(f"/expenses/{refund['id']}", json={"amount": "-4.00"})

    options = {"on_match": on_match} if on_match else {}
    answer = (await send(person, exported, dry_run=True, options=options)).json()

    assert {name: number for name, number in answer["counts"].items() if number} == {"rows": 1, **counts}
    assert answer["rows"][0]["matches"] == [refund["id"]]


async def test_an_expense_of_another_content_is_not_what_a_row_means_by_its_id(person: Person) -> None:
    await fill(person)
    exported = (await person.get("/expenses/export?max_amount=0")).content
    (refund,) = (await person.get("/expenses?max_amount=0")).json()["items"]
    await person.patch(f"/expenses/{refund['id']}", json={"amount": "9.00", "date": "2026-05-01"})

    assert (await send(person, exported, dry_run=True)).json()["counts"]["new"] == 1
