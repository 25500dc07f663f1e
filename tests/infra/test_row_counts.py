"""A statement that touches fewer rows than it must is not believed: the transaction is run again."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import Connection, bindparam, event, insert, select, text, update

from infra.faults import RowsMissed
from infra.prepared import Prepared
from infra.row_counts import execute_exactly
from models import LedgerState, Tombstone, User
from tests.support.people import At, Person

EndEarly = Callable[[str], AbstractContextManager[list[str]]]


@pytest.fixture
def end_early(app: FastAPI) -> EndEarly:
    """Let the next DELETE of a table touch no row, which the database answers with OK: as MariaDB, if it is killed."""

    @contextmanager
    def end_early(table: str) -> Iterator[list[str]]:
        ended: list[str] = []

        def touch_nothing(
            _connection: object, _cursor: object, statement: str, parameters: object, *_: object
        ) -> tuple[str, object]:
            if statement.split()[:3] == ["DELETE", "FROM", table] and not ended:
                ended.append(statement)
                return f"{statement} AND 1 = 0", parameters
            return statement, parameters

        engine = app.state.services.database.pools[0].engine.sync_engine
        event.listen(engine, "before_cursor_execute", touch_nothing, retval=True)
        try:
            yield ended
        finally:
            event.remove(engine, "before_cursor_execute", touch_nothing)

    return end_early


# --- deletions, run again ---------------------------------------------------------------------------------------------

EVERY = "max_amount=1000"
DELETIONS = [
    ("DELETE", "/expenses/{expense_id}", None, "expenses"),
    ("DELETE", f"/expenses?{EVERY}", None, "expenses"),
    ("POST", "/expenses/restore", {"revision": 5}, "tombstones"),
    ("POST", "/expenses/restore", {"revision": 5}, "trash"),
    ("DELETE", "/expenses/trash", None, "trash"),
    ("DELETE", "/categories/{category_id}?uncategorized=true", None, "budgets"),
    ("DELETE", "/categories/{category_id}?uncategorized=true", None, "categories"),
    ("DELETE", "/budgets/{budget_id}", None, "budgets"),
]
TORN = {
    "live and in the trash": "SELECT count(*) FROM expenses JOIN trash USING (owner_id, id) WHERE owner_id = :owner",
    "in the trash, not in the feed": "SELECT count(*) FROM trash WHERE owner_id = :owner AND id NOT IN "
    "(SELECT row_id FROM tombstones WHERE owner_id = :owner AND kind = 'expense')",
    "live, but deleted in the feed": "SELECT count(*) FROM tombstones JOIN expenses ON row_id = id "
    "WHERE kind = 'expense' AND expenses.owner_id = :owner AND tombstones.owner_id = :owner",
    "budgets likewise": "SELECT count(*) FROM tombstones JOIN budgets ON row_id = id WHERE kind = 'budget' "
    "AND budgets.owner_id = :owner AND tombstones.owner_id = :owner",
    "categories likewise": "SELECT count(*) FROM tombstones JOIN categories ON row_id = id WHERE kind = 'category' "
    "AND categories.owner_id = :owner AND tombstones.owner_id = :owner",
    "miscounted": "SELECT count(*) FROM ledgers WHERE owner_id = :owner AND expense_count <> "
    "(SELECT count(*) FROM expenses WHERE owner_id = :owner)",
}


@pytest.mark.parametrize("request_and_table", DELETIONS, ids=lambda it: f"{it[0]} {it[1]} {it[3]}")
async def test_a_deletion_that_was_ended_early_is_run_again_as_a_whole(
    at: At, person: Person, outside: Connection, end_early: EndEarly, request_and_table: tuple[Any, ...]
) -> None:
    method, path, body, table = request_and_table
    with end_early(table) as ended:
        answer = await person.request(method, at(path), json=body)
    assert answer.is_success, answer.text
    assert len(ended) == 1
    owner = {"owner": person.user["id"]}
    assert {what: outside.scalar(text(question), owner) for what, question in TORN.items()} == dict.fromkeys(TORN, 0)


async def test_a_session_whose_end_was_ended_early_does_end(person: Person, end_early: EndEarly) -> None:
    await person.open_session()
    with end_early("sessions") as ended:
        assert (await person.delete("/users/me/sessions")).status_code == 204
    assert len(ended) == 1
    assert [it["current"] for it in (await person.get("/users/me/sessions")).json()["items"]] == [True]


@pytest.mark.parametrize("path", ["/users/me/tokens", "/users/me/tokens/{token_id}"], ids=["all", "one"])
async def test_a_token_whose_deletion_was_ended_early_is_deleted(
    person: Person, end_early: EndEarly, path: str
) -> None:
    made = await person.post("/users/me/tokens", json={"name": "script", "scope": "read"})
    with end_early("personal_tokens") as ended:
        assert (await person.delete(path.format(token_id=made.json()["id"]))).status_code == 204
    assert len(ended) == 1
    assert (await person.get("/users/me/tokens")).json()["items"] == []


@pytest.mark.parametrize("table", ["expenses", "sessions", "users"])
async def test_an_account_whose_deletion_was_ended_early_is_deleted_as_a_whole(
    at: At, person: Person, outside: Connection, end_early: EndEarly, table: str
) -> None:
    assert at("/expenses")
    with end_early(table) as ended:
        answer = await person.request("DELETE", "/users/me", json={"current_password": person.password})
    assert answer.status_code == 204, answer.text
    assert len(ended) == 1
    assert outside.scalar(text("SELECT count(*) FROM users WHERE id = :owner"), {"owner": person.user["id"]}) == 0


# --- the counts -------------------------------------------------------------------------------------------------------


async def test_an_update_to_the_same_values_counts_its_row(app: FastAPI, person: Person) -> None:
    me = User.id == person.user["id"]
    async with app.state.services.database.new_unit() as unit:
        unchanged = update(User).where(me).values(currency=person.user["currency"])
        assert (await execute_exactly(await unit.begin(), 1, unchanged)).rowcount == 1


async def test_a_prepared_update_to_the_same_values_counts_its_row(app: FastAPI, person: Person) -> None:
    mine = LedgerState.owner_id == bindparam("owner")
    unchanged = Prepared(update(LedgerState).where(mine).values(revision=bindparam("same")))
    async with app.state.services.database.new_unit() as unit:
        await unchanged.write(await unit.begin(), {"owner": person.user["id"], "same": 0})


async def test_a_prepared_update_of_no_row_is_a_lost_race(app: FastAPI) -> None:
    mine = LedgerState.owner_id == bindparam("owner")
    advance = Prepared(update(LedgerState).where(mine).values(revision=bindparam("next")))
    async with app.state.services.database.new_unit() as unit:
        with pytest.raises(RowsMissed):
            await advance.write(await unit.begin(), {"owner": 0, "next": 1})


async def test_a_copy_of_fewer_rows_is_a_lost_race(app: FastAPI, person: Person) -> None:
    stones = select(Tombstone.owner_id, Tombstone.kind, Tombstone.row_id, Tombstone.revision)
    nothing = stones.where(Tombstone.owner_id == bindparam("owner"))
    into = insert(Tombstone).from_select(["owner_id", "kind", "row_id", "revision"], nothing)
    async with app.state.services.database.new_unit() as unit:
        with pytest.raises(RowsMissed):
            await execute_exactly(await unit.begin(), 1, into, {"owner": person.user["id"]})
