"""Creates budgets, and reads the tombstones of deleted rows."""

from typing import Any

import httpx
from fastapi import FastAPI
from sqlalchemy import bindparam, select

from models import Tombstone
from tests.support.people import Person


async def budget(person: Person, **fields: object) -> dict[str, Any]:
    """Create a budget and return it; by default 200.00 per month on Groceries."""
    sent = {"amount": "200.00", "category": "Groceries", "period": "month"} | fields
    answer = await person.post("/budgets", json=sent)
    assert answer.status_code == httpx.codes.CREATED, answer.text
    created: dict[str, Any] = answer.json()
    return created


async def tombstones(app: FastAPI, person: Person) -> list[tuple[str, int, int]]:
    mine = (
        select(Tombstone.kind, Tombstone.row_id, Tombstone.revision)
        .where(Tombstone.owner_id == bindparam("owner"))
        .order_by(Tombstone.kind, Tombstone.row_id)
    )
    async with app.state.services.database.new_unit() as unit:
        rows = await (await unit.connection()).execute(mine, {"owner": person.user["id"]})
        return [tuple(row) for row in rows]
