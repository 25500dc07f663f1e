"""Requests about categories."""

from typing import Any

import httpx

from tests.support.people import Person


async def create(person: Person, name: str, **fields: object) -> dict[str, Any]:
    """Create a category and return it."""
    answer = await person.post("/categories", json={"name": name} | fields)
    assert answer.status_code == httpx.codes.CREATED, answer.text
    category: dict[str, Any] = answer.json()
    return category


async def names(person: Person) -> list[str]:
    """Return the names of all categories of a user."""
    return [category["name"] for category in await listed(person)]


async def where(person: Person, name: str) -> str:
    """Return the path of the category of this name."""
    [category] = [category for category in await listed(person) if category["name"] == name]
    return f"/categories/{category['id']}"


async def listed(person: Person, **query: str) -> list[dict[str, Any]]:
    """Return all categories of a user."""
    answer = await person.get("/categories", params=query)
    assert answer.status_code == httpx.codes.OK, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items
