"""Reads the state of a ledger from the database, and counts the statuses of answers."""

from collections import Counter

import httpx
from fastapi import FastAPI
from sqlalchemy import bindparam, select

from models import LedgerState
from tests.support.people import Person


async def state_of(app: FastAPI, person: Person) -> tuple[int, int]:
    """Return the ledger's revision and its stored number of expenses."""
    statement = select(LedgerState.revision, LedgerState.expense_count)
    async with app.state.services.database.new_unit() as unit:
        mine = statement.where(LedgerState.owner_id == bindparam("owner"))
        row = (await (await unit.connection()).execute(mine, {"owner": person.user["id"]})).one()
        return row.revision, row.expense_count


def statuses(answers: list[httpx.Response]) -> Counter[int]:
    return Counter(int(answer.status_code) for answer in answers)
