"""Requests about expenses and the trash."""

from typing import Any

import httpx

from tests.support.people import Person

Expense = dict[str, Any]


async def spend(person: Person, **fields: object) -> dict[str, Any]:
    """Record an expense and return it; its default amount is 12.50."""
    answer = await person.post("/expenses", json={"amount": "12.50"} | fields)
    assert answer.status_code == httpx.codes.CREATED, answer.text
    expense: dict[str, Any] = answer.json()
    return expense


async def read(person: Person, expense: dict[str, Any]) -> dict[str, Any]:
    """Read an expense again and return it."""
    answer = await person.get(f"/expenses/{expense['id']}")
    assert answer.status_code == httpx.codes.OK, answer.text
    now: dict[str, Any] = answer.json()
    return now


async def fetch(person: Person, query: str = "") -> list[Expense]:
    """Return up to 200 expenses, the first recorded one first."""
    items: list[Expense] = (await person.get(f"/expenses?limit=200{query}")).json()["items"]
    return sorted(items, key=lambda row: int(row["id"]))


async def change(person: Person, expense: dict[str, Any], **fields: object) -> dict[str, Any]:
    """Change these fields of an expense and return it."""
    answer = await person.patch(f"/expenses/{expense['id']}", json=fields)
    assert answer.status_code == httpx.codes.OK, answer.text
    changed: dict[str, Any] = answer.json()
    return changed


def sendable(expense: dict[str, Any], **fields: object) -> dict[str, Any]:
    """Return the fields of an expense that a client may set."""
    settable = ("amount", "currency", "date", "category", "description", "external_id")
    return {name: expense[name] for name in settable} | fields


async def discard(person: Person, *expenses: Expense) -> None:
    """Delete expenses, one request each."""
    for expense in expenses:
        answer = await person.delete(f"/expenses/{expense['id']}")
        assert answer.status_code == httpx.codes.NO_CONTENT, answer.text


async def ids(person: Person, path: str = "/expenses/trash") -> list[int]:
    """Return the ids of a page of the trash, or of another list."""
    return [row["id"] for row in (await person.get(path)).json()["items"]]


async def restore(person: Person, expense: Expense) -> httpx.Response:
    return await person.post(f"/expenses/{expense['id']}/restore")


async def undo(person: Person, revision: object) -> httpx.Response:
    return await person.post("/expenses/restore", json={"revision": revision})


async def several(person: Person, number: int = 3, **fields: object) -> list[Expense]:
    """Record several equal expenses."""
    return [await spend(person, **fields) for _ in range(number)]


def creating(**fields: object) -> dict[str, Any]:
    """Return the operation of a batch that records an expense."""
    return {"op": "create", "data": {"amount": "1.00"} | fields}


async def send_batch(person: Person, *operations: dict[str, Any], key: str | None = None) -> httpx.Response:
    """Send operations as a batch, with a key if there is one."""
    headers = {} if key is None else {"Idempotency-Key": key}
    return await person.post("/expenses/batch", json={"operations": list(operations)}, headers=headers)
