"""Isolation: nothing without a token, nothing of another user, and nothing that the database's constraints forbid."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import (
    Connection,
    delete,
    insert,
)
from sqlalchemy.exc import IntegrityError

from database import now
from models import Budget, Category, Expense, TrashedExpense, User
from tests.support.matrix import (
    CLOSED,
    OF_ONE_ROW,
    OPERATIONS,
    PUBLIC,
    QUERIES,
    Operation,
    OwnedRows,
    call,
    dump,
    ledger_of,
)
from tests.support.people import Person, signed_up
from tests.support.rows import filling
from tests.support.servers import make_plain_engine
from values.fields import LARGEST_ID

# --- without a token --------------------------------------------------------------------------------------------------


def test_the_matrix_is_not_empty() -> None:
    assert OPERATIONS.keys() >= PUBLIC
    assert len(CLOSED) >= 36
    assert {("GET", "/expenses"), ("DELETE", "/users/me"), ("PATCH", "/categories/{category_id}")} <= set(CLOSED)
    assert {("GET", "/users/me/sessions"), ("POST", "/users/me/tokens")} <= set(CLOSED)
    assert len(OF_ONE_ROW) >= 13
    assert {("DELETE", "/users/me/sessions/{session_id}"), ("DELETE", "/users/me/tokens/{token_id}")} <= set(OF_ONE_ROW)


@pytest.mark.wire
@pytest.mark.parametrize("operation", CLOSED, ids=" ".join)
async def test_without_a_token_an_operation_is_refused(client: httpx.AsyncClient, operation: Operation) -> None:
    method, path = operation
    answer = await client.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.wire
@pytest.mark.parametrize("operation", CLOSED, ids=" ".join)
async def test_without_a_token_no_field_of_the_body_is_validated(
    client: httpx.AsyncClient, operation: Operation
) -> None:
    method, path = operation
    bare = await client.request(method, path, content=b"{}", headers={"Content-Type": "application/json"})
    assert (bare.status_code, bare.json()["code"]) == (401, "not_authenticated")


@pytest.mark.parametrize("operation", CLOSED, ids=" ".join)
async def test_the_document_says_which_need_a_token(operation: Operation) -> None:
    assert OPERATIONS[operation]["security"]
    assert "401" in OPERATIONS[operation]["responses"]


@pytest.mark.wire
@pytest.mark.parametrize("operation", sorted(PUBLIC), ids=" ".join)
async def test_the_document_says_which_are_open(client: httpx.AsyncClient, operation: Operation) -> None:
    assert OPERATIONS[operation]["security"] == []
    method, path = operation
    assert (await client.request(method, path)).json().get("code") != "not_authenticated"


# --- as a stranger ----------------------------------------------------------------------------------------------------


async def make_an_expense(person: Person) -> int:
    answer = await person.post("/expenses", json={"amount": "12.50", "category": "Groceries", "external_id": "mine"})
    return int(answer.json()["id"])


async def find_the_category(person: Person) -> int:
    (category,) = (await person.get("/categories")).json()["items"]
    return int(category["id"])


@pytest.fixture
async def rows(person: Person) -> dict[str, int]:
    """Rows of the person's own, one of each noun."""
    async with filling(person) as rows:
        return {
            "expense_id": await rows.spend(1, category="Groceries", external_id="mine"),
            "category_id": await rows.categorize(1, "Groceries"),
            "budget_id": await rows.budget(2, 200_000, "month", "Groceries"),
        }


async def everything(person: Person) -> list[Any]:
    paths = ("/expenses", "/expenses/trash", "/categories", "/budgets", "/users/me/sessions", "/users/me/tokens")
    return [(await person.get(path)).json() for path in paths]


async def reach(person: Person, operation: Operation, row_id: object, theirs: OwnedRows) -> httpx.Response:
    """Call an operation on a row, with a body that whoever owns it would send."""
    address = theirs.address(operation, row_id) + QUERIES.get(operation, "")
    return await call(person, operation, address, theirs.example(operation))


@pytest.fixture(scope="module")
async def theirs(app: FastAPI) -> AsyncIterator[OwnedRows]:
    """A ledger that no stranger can change."""
    async with signed_up(app) as owner:
        yield await ledger_of(owner)


@pytest.fixture(scope="module")
def stored(database_url: str) -> Iterator[Connection]:
    """A look at the rows past the app, that sees each commit."""
    engine = make_plain_engine(database_url)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        yield connection


@pytest.mark.parametrize("operation", OF_ONE_ROW, ids=" ".join)
async def test_a_strangers_row_is_a_row_that_does_not_exist(
    somebody: Person, theirs: OwnedRows, stored: Connection, operation: Operation
) -> None:
    before = dump(stored, theirs.owner_id)
    answer = await reach(somebody, operation, None, theirs)
    nobodys = await reach(somebody, operation, LARGEST_ID, theirs)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert (answer.content, answer.headers) == (nobodys.content, nobodys.headers)
    assert dump(stored, theirs.owner_id) == before
    assert (await theirs.person.get("/users/me")).json() == theirs.person.user


async def test_a_strangers_session_goes_on(stranger: Person, person: Person) -> None:
    # ASVS 5.0 8.2.2: whoever ends all others' sessions ends none but their own.
    await stranger.delete("/users/me/sessions")
    assert (await person.get("/users/me")).status_code == 200


async def test_a_strangers_script_goes_on(stranger: Person, person: Person) -> None:
    token = (await person.post("/users/me/tokens", json={"name": "nightly", "scope": "read"})).json()["token"]
    await stranger.delete("/users/me/tokens")
    answer = await stranger.get("/users/me", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()) == (200, person.user)


@pytest.mark.parametrize(("path", "name"), [("/users/me/sessions", "session_id"), ("/users/me/tokens", "token_id")])
async def test_a_strangers_account_is_not_listed(somebody: Person, theirs: OwnedRows, path: str, name: str) -> None:
    listed = [{it["id"] for it in (await who.get(path)).json()["items"]} for who in (theirs.person, somebody)]
    assert [theirs.ids[name] in ids for ids in listed] == [True, False]


@pytest.mark.parametrize(
    "path",
    [
        "/expenses",
        "/expenses?category=mine",
        "/expenses?external_id=mine",
        "/expenses?min_amount=12.5",
        "/expenses?uncategorized=true&category=mine",
        "/categories",
        "/categories?with_usage=true",
        "/budgets",
        "/budgets/status",
        "/expenses/trash",
    ],
)
async def test_a_strangers_list_is_empty(somebody: Person, theirs: OwnedRows, path: str) -> None:
    query = path.replace("mine", f"of {theirs.person.user['username']}")
    assert (await theirs.person.get(query)).json()["items"] != []
    assert (await somebody.get(query)).json()["items"] == []


async def test_a_strangers_feed_is_their_own(stranger: Person, rows: dict[str, int]) -> None:
    assert rows
    feed = (await stranger.get("/changes")).json()
    assert [feed[kind] for kind in ("expenses", "categories", "budgets", "deleted")] == [[], [], [], []]


@pytest.mark.parametrize("operation", [{"op": "update", "data": {"amount": "1.00"}}, {"op": "delete"}])
async def test_a_batch_reaches_no_strangers_row(
    person: Person, stranger: Person, rows: dict[str, int], operation: dict[str, object]
) -> None:
    before = await everything(person)
    theirs = operation | {"id": rows["expense_id"]}
    answer = await stranger.post("/expenses/batch", json={"operations": [theirs]})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (404, "/operations/0/id")
    assert await everything(person) == before


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_a_filter_reaches_no_strangers_row(
    person: Person, stranger: Person, rows: dict[str, int], method: str
) -> None:
    before = await everything(person)
    body = {"description": "mine now"} if method == "PATCH" else None
    answer = await stranger.request(method, "/expenses?from=1900-01-01", json=body)
    assert (answer.json()["matched"], bool(rows)) == (0, True)
    assert await everything(person) == before


async def test_a_strangers_report_is_their_own(stranger: Person, rows: dict[str, int]) -> None:
    assert rows
    query = {"from": "1900-01-01", "to": "2199-12-31", "group_by": "category", "category": "Groceries"}
    found = (await stranger.get("/reports/spending", params=query)).json()
    assert (found["totals"][0]["count"], found["groups"]) == (0, [])
    assert (await stranger.get("/budgets/status")).json()["unbudgeted"] == []


async def test_a_strangers_count_is_their_own(stranger: Person, rows: dict[str, int]) -> None:
    assert rows
    assert (await stranger.get("/expenses", params={"with_count": "true"})).json()["count"] == 0


async def test_a_cursor_of_another_user_opens_nothing(person: Person, stranger: Person) -> None:
    await make_an_expense(person)
    await person.post("/expenses", json={"amount": "1.00"})
    cursor = (await person.get("/expenses", params={"limit": 1})).json()["next_cursor"]
    assert (await stranger.get("/expenses", params={"limit": 1, "cursor": cursor})).json()["items"] == []


async def test_names_and_external_ids_of_others_are_free(stranger: Person, rows: dict[str, int]) -> None:
    answer = await stranger.post("/expenses", json={"amount": "1.00", "category": "Groceries", "external_id": "mine"})
    assert answer.status_code == 201
    assert answer.json()["id"] != rows["expense_id"]
    assert await find_the_category(stranger) != rows["category_id"]


async def test_a_category_of_another_user_takes_no_expenses(
    person: Person, stranger: Person, rows: dict[str, int]
) -> None:
    await stranger.post("/expenses", json={"amount": "1.00", "category": "Other"})
    await stranger.delete(f"/categories/{await find_the_category(stranger)}", params={"move_to": "Groceries"})
    answer = await person.get("/categories", params={"with_usage": "true"})
    assert [it["expense_count"] for it in answer.json()["items"]] == [1]
    assert rows


@pytest.mark.wire
@pytest.mark.parametrize("field", ["owner_id", "owner", "user_id"])
@pytest.mark.parametrize("path", ["/expenses", "/categories"])
async def test_the_body_does_not_say_whose_a_row_is(person: Person, stranger: Person, path: str, field: str) -> None:
    body = {"name": "Food"} if path == "/categories" else {"amount": "1.00"}
    answer = await person.post(path, json=body | {field: stranger.user["id"]})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "unknown")


# --- the database says it again ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", [Budget, Expense, TrashedExpense])
async def test_no_row_can_point_to_another_owners_category(
    app: FastAPI, stranger: Person, rows: dict[str, int], table: type[Budget | Expense | TrashedExpense]
) -> None:
    values = {
        "owner_id": stranger.user["id"],
        "category_id": rows["category_id"],
        "amount": 1000,
        "currency": "EUR",
        "revision": 1,
    }
    more: dict[type, dict[str, object]] = {
        Budget: {"period": "month"},
        Expense: {"spent_on": now().date()},
        TrashedExpense: {"spent_on": now().date(), "id": LARGEST_ID, "deleted_at": now()},
    }
    async with app.state.services.database.new_unit() as unit:
        connection = await unit.begin(stranger.user["id"])
        with pytest.raises(IntegrityError):
            await connection.execute(insert(table), values | more[table])


async def test_no_row_can_belong_to_nobody(app: FastAPI) -> None:
    values = {"owner_id": LARGEST_ID, "name": "Food", "name_key": "food", "revision": 1}
    async with app.state.services.database.new_unit() as unit:
        connection = await unit.begin()
        with pytest.raises(IntegrityError):
            await connection.execute(insert(Category), values)


async def test_an_owner_cannot_go_while_there_are_rows(app: FastAPI, person: Person, rows: dict[str, int]) -> None:
    assert rows
    async with app.state.services.database.new_unit() as unit:
        connection = await unit.begin(person.user["id"])
        with pytest.raises(IntegrityError):
            await connection.execute(delete(User).where(User.id == person.user["id"]))
