"""Requests about tags, and what of them is stored."""

from typing import Any

import httpx
from sqlalchemy import bindparam, select

from admin.check import check_ledgers, hold_snapshot
from models import Owned
from tests.support.people import Person
from tests.support.servers import make_plain_engine


async def listed(person: Person, **query: str) -> list[dict[str, Any]]:
    """Return all tags of a user."""
    answer = await person.get("/tags", params=query)
    assert answer.status_code == httpx.codes.OK, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def names(person: Person) -> list[str]:
    """Return the names of all tags of a user."""
    return [tag["name"] for tag in await listed(person)]


async def find(person: Person, name: str) -> dict[str, Any]:
    """Return the tag of this name."""
    [tag] = [tag for tag in await listed(person) if tag["name"] == name]
    return tag


async def where(person: Person, name: str) -> str:
    """Return the path of the tag of this name."""
    return f"/tags/{(await find(person, name))['id']}"


async def rename(person: Person, name: str, new_name: str) -> dict[str, Any]:
    """Rename a tag and return it."""
    answer = await person.patch(await where(person, name), json={"name": new_name})
    assert answer.status_code == httpx.codes.OK, answer.text
    tag: dict[str, Any] = answer.json()
    return tag


async def take_off(person: Person, name: str, **query: str) -> None:
    """Delete a tag; with `move_to` its expenses get that one."""
    answer = await person.delete(await where(person, name), params=query)
    assert answer.status_code == httpx.codes.NO_CONTENT, answer.text


async def count_rows(person: Person, table: type[Owned]) -> int:
    """Return how many rows of a table are really somebody's."""
    mine = select(table.owner_id).where(table.owner_id == bindparam("owner"))
    async with person.app.state.services.database.new_unit() as unit:
        return len((await (await unit.connection()).execute(mine, {"owner": person.user["id"]})).all())


def find_damage(person: Person) -> list[str]:
    """Return what the operator's check finds wrong in somebody's ledger."""
    url = person.app.state.services.settings.database_url
    with make_plain_engine(url).connect() as connection, hold_snapshot(connection):
        problems = check_ledgers(connection, None, lambda _done, _total: None).problems
    return [problem.detail for problem in problems if problem.owner_id == person.user["id"]]
