"""Prepared statements return what SQLAlchemy would, and leave the connection usable."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from sqlalchemy import bindparam, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from database import UnitOfWork
from infra.ownership import UnownedStatement
from infra.prepared import Prepared
from models import Expense, Tombstone, User
from tests.support.people import Person
from tests.support.statements import Statements

MINE = select(Expense.id, Expense.spent_on, Expense.created_at, Expense.amount).where(
    Expense.owner_id == bindparam("owner")
)


@pytest.fixture
async def unit(app: FastAPI) -> AsyncIterator[UnitOfWork]:
    async with app.state.services.database.new_unit() as unit:
        yield unit


@pytest.fixture
async def reading(unit: UnitOfWork) -> AsyncConnection:
    return await unit.connection()


async def spend(person: Person, *amounts: str) -> dict[str, int]:
    for amount in amounts:
        assert (await person.post("/expenses", json={"amount": amount})).status_code == 201
    return {"owner": person.user["id"]}


async def test_the_rows_are_those_that_sqlalchemy_reads(reading: AsyncConnection, person: Person) -> None:
    owner = await spend(person, "1.00", "2.00")
    expected = [tuple(row) for row in await reading.execute(MINE, owner)]
    assert await Prepared(MINE).fetch_all(reading, owner) == expected


async def test_one_row_of_many_is_the_first(reading: AsyncConnection, person: Person) -> None:
    owner = await spend(person, "1.00", "2.00")
    found = await Prepared(MINE.order_by(Expense.amount)).fetch_one(reading, owner)
    assert found is not None
    assert found[3] == 1000


async def test_no_row_is_none(reading: AsyncConnection, person: Person) -> None:
    assert await Prepared(MINE).fetch_one(reading, {"owner": person.user["id"]}) is None


async def test_a_limit_is_a_parameter(reading: AsyncConnection, person: Person) -> None:
    owner = await spend(person, "1.00", "2.00", "3.00")
    limited = Prepared(MINE.limit(bindparam("limit")))
    assert len(await limited.fetch_all(reading, owner | {"limit": 2})) == 2


async def test_a_day_is_compared_as_a_day(reading: AsyncConnection, person: Person) -> None:
    owner = await spend(person, "1.00")
    today = (await reading.execute(MINE, owner)).one().spent_on
    on_a_day = Prepared(MINE.where(Expense.spent_on == bindparam("day")))
    assert len(await on_a_day.fetch_all(reading, owner | {"day": today})) == 1


async def test_a_quote_in_a_value_stays_a_value(reading: AsyncConnection) -> None:
    named = Prepared(select(User.id).where(User.username_key == bindparam("key")))
    assert await named.fetch_all(reading, {"key": "x' OR '1'='1"}) == []


async def test_an_insert_returns_its_id(unit: UnitOfWork, person: Person) -> None:
    connection = await unit.begin(person.user["id"])
    columns = ["owner_id", "kind", "row_id", "revision"]
    row = {"owner_id": person.user["id"], "kind": "expense", "row_id": 1, "revision": 1}
    await Prepared(insert(Tombstone).inline(), columns).write(connection, row)
    stones = select(Tombstone.row_id).where(Tombstone.owner_id == bindparam("owner"))
    assert await Prepared(stones).fetch_all(connection, {"owner": person.user["id"]}) == [(1,)]


STONES = Prepared(insert(Tombstone).inline(), ["owner_id", "kind", "row_id", "revision"])


async def test_many_rows_are_inserted_together(unit: UnitOfWork, person: Person, statements: Statements) -> None:
    connection, owner = await unit.begin(person.user["id"]), person.user["id"]
    rows = [{"owner_id": owner, "kind": "a % 'b'", "row_id": number, "revision": 1} for number in (1, 2, 3)]
    with statements() as sent:
        await STONES.insert_many(connection, rows)
    stones = select(Tombstone.row_id, Tombstone.kind).where(Tombstone.owner_id == bindparam("owner"))
    found = await Prepared(stones).fetch_all(connection, {"owner": owner})
    assert (len(sent), found) == (1, [(1, "a % 'b'"), (2, "a % 'b'"), (3, "a % 'b'")])


async def test_of_many_rows_one_that_is_there_already_is_an_error(unit: UnitOfWork, person: Person) -> None:
    connection = await unit.begin(person.user["id"])
    row = {"owner_id": person.user["id"], "kind": "tag", "row_id": 1, "revision": 1}
    with pytest.raises(Exception, match=r"Duplicate entry|UNIQUE constraint"):
        await STONES.insert_many(connection, [row, row])


async def test_a_statement_without_an_owner_is_refused_before_it_is_sent(reading: AsyncConnection) -> None:
    with pytest.raises(UnownedStatement):
        await Prepared(select(Expense.id)).fetch_all(reading, {})
