"""The ledger: one writer at a time, one revision for each transaction that changes it; nobody else waits."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import Connection, bindparam, delete, select, text

from auth import Caller
from config import Settings
from database import Base
from ledger import core
from ledger.categories import names as category_names
from ledger.core import Ledger
from main import create_app
from models import Category, Tombstone
from problems import InvalidToken
from tests.support.accounts import delete_account
from tests.support.databases import on_mysql, try_cases
from tests.support.ledgers import state_of, statuses
from tests.support.people import Person, SignUp, hold, signed_up
from tests.support.rows import filling
from tests.support.statements import Statements

Write = Coroutine[Any, Any, httpx.Response]


async def create(person: Person, **fields: object) -> dict[str, Any]:
    answer = await person.post("/expenses", json={"amount": "1.00"} | fields)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def create_category(person: Person, name: str) -> int:
    answer = await person.post("/categories", json={"name": name})
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


# --- what tests insert ------------------------------------------------------------------------------------------------

OF_THE_LEDGER = {"ledgers", "categories", "expenses", "trash", "budgets", "tombstones"}
LEDGER_TABLES = [table for table in Base.metadata.sorted_tables if table.name in OF_THE_LEDGER]
IDS = {"id", "owner_id", "category_id", "row_id"}


def rows_of(connection: Connection, person: Person) -> dict[str, list[dict[str, object]]]:
    """Return the rows of a ledger by table, without ids."""
    queries = {table.name: select(table).where(table.c.owner_id == person.user["id"]) for table in LEDGER_TABLES}
    return {
        name: [{key: it for key, it in row._mapping.items() if key not in IDS} for row in connection.execute(query)]
        for name, query in queries.items()
    }


@pytest.mark.usefixtures("noon")
async def test_the_rows_that_other_tests_insert_are_those_that_requests_leave(
    person: Person, stranger: Person, outside: Connection
) -> None:
    await create(person, category="Groceries", description="Äpfel", external_id="bank-1")
    deleted = await create(person, amount="2.00", description="Tram")
    await person.delete(f"/expenses/{deleted['id']}")
    await person.post("/budgets", json={"amount": "200.00", "period": "month", "category": "Rent"})
    async with filling(stranger) as rows:
        await rows.spend(1, 1_000, "Groceries", description="Äpfel", external_id="bank-1")
        await rows.discard(3, await rows.spend(2, 2_000, description="Tram"))
        await rows.budget(4, 200_000, "month", "Rent")

    assert rows_of(outside, person) == rows_of(outside, stranger)


# --- revisions --------------------------------------------------------------------------------------------------------


async def test_a_new_ledger_is_at_revision_zero(app: FastAPI, person: Person) -> None:
    assert await state_of(app, person) == (0, 0)


async def test_every_change_takes_the_next_revision(app: FastAPI, person: Person) -> None:
    expense = await create(person)
    category = await create_category(person, "Groceries")
    changed = await person.patch(f"/expenses/{expense['id']}", json={"category": "Groceries"})
    renamed = await person.patch(f"/categories/{category}", json={"name": "Food"})
    await person.delete(f"/expenses/{expense['id']}")
    assert (expense["revision"], changed.json()["revision"], renamed.json()["revision"]) == (1, 3, 4)
    assert await state_of(app, person) == (5, 0)


async def test_an_expense_and_the_category_it_makes_bear_one_revision(app: FastAPI, person: Person) -> None:
    expense = await create(person, category="Groceries")
    (category,) = (await person.get("/categories")).json()["items"]
    assert expense["revision"] == category["revision"] == 1
    assert await state_of(app, person) == (1, 1)


async def test_a_renamed_category_and_its_expenses_bear_one_revision(app: FastAPI, person: Person) -> None:
    first = await create(person, category="Groceries")
    second = await create(person, category="Groceries")
    other = await create(person, category="Travel")
    (category,) = [it for it in (await person.get("/categories")).json()["items"] if it["name"] == "Groceries"]
    renamed = await person.patch(f"/categories/{category['id']}", json={"name": "Food"})
    items = (await person.get("/expenses")).json()["items"]
    assert renamed.json()["revision"] == 4
    assert {it["id"]: it["revision"] for it in items} == {first["id"]: 4, second["id"]: 4, other["id"]: 3}
    assert await state_of(app, person) == (4, 3)


async def test_a_merged_category_and_its_expenses_bear_one_revision(app: FastAPI, person: Person) -> None:
    await create(person, category="Groceries")
    await create(person, category="Groceries")
    await create_category(person, "Food")
    (category,) = [it for it in (await person.get("/categories")).json()["items"] if it["name"] == "Groceries"]
    await person.delete(f"/categories/{category['id']}", params={"move_to": "Food"})
    items = (await person.get("/expenses")).json()["items"]
    assert {(it["category"], it["revision"]) for it in items} == {("Food", 4)}
    assert await state_of(app, person) == (4, 2)


async def test_a_deleted_row_leaves_a_tombstone_of_the_deletions_revision(app: FastAPI, person: Person) -> None:
    expense = await create(person)
    await person.delete(f"/expenses/{expense['id']}")
    mine = Tombstone.owner_id == bindparam("owner")
    async with app.state.services.database.new_unit() as unit:
        found = select(Tombstone.kind, Tombstone.row_id, Tombstone.revision).where(mine)
        rows = (await (await unit.connection()).execute(found, {"owner": person.user["id"]})).all()
    assert [tuple(row) for row in rows] == [("expense", expense["id"], 2)]


@try_cases(
    "method, path, body, status",
    on_both=[
        ("PATCH", "/expenses/{expense}", {"amount": "1.00"}, 200),
        ("PATCH", "/categories/{category}", {"name": "Travel"}, 409),
        ("POST", "/expenses", {"amount": "5.00", "external_id": "known"}, 200),
        ("POST", "/expenses", {"amount": "1.999", "category": "New"}, 422),
    ],
    on_sqlite=[
        ("PATCH", "/expenses/{expense}", {}, 200),
        ("PATCH", "/expenses/{expense}", {"amount": "0"}, 422),
        ("PATCH", "/expenses/{expense}", {"amount": "2.00", "revision": 9}, 412),
        ("PATCH", "/categories/{category}", {"name": "Groceries"}, 200),
        ("POST", "/categories", {"name": "GROCERIES"}, 409),
        ("DELETE", "/expenses/9223372036854775807", None, 404),
        ("DELETE", "/categories/9223372036854775807", None, 404),
        ("DELETE", "/categories/{category}", None, 409),
    ],
)
async def test_what_changes_nothing_takes_no_revision(
    app: FastAPI, person: Person, method: str, path: str, body: dict[str, object] | None, status: int
) -> None:
    async with filling(person) as rows:
        category = await rows.categorize(1, "Groceries")
        await rows.categorize(2, "Travel")
        expense = await rows.spend(3, 1_000, "Groceries", external_id="known")
    answer = await person.request(method, path.format(expense=expense, category=category), json=body)
    assert answer.status_code == status
    assert await state_of(app, person) == (3, 1)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/expenses", {"amount": "1.00"}),
        ("/categories", {"name": "Food"}),
        ("/budgets", {"amount": "1.00", "period": "month"}),
    ],
)
async def test_a_new_row_bears_the_instant_at_which_its_request_began(
    person: Person, monkeypatch: pytest.MonkeyPatch, path: str, body: dict[str, str]
) -> None:
    monkeypatch.setattr(core, "now", lambda: datetime(2026, 11, 22, 12, tzinfo=UTC))

    made = (await person.post(path, json=body)).json()

    assert (made["created_at"], made["updated_at"]) == ("2026-11-22T12:00:00Z",) * 2


async def test_reading_takes_no_revision(app: FastAPI, person: Person) -> None:
    expense = await create(person)
    await person.get("/expenses", params={"with_count": "true"})
    await person.get(f"/expenses/{expense['id']}")
    await person.get("/categories", params={"with_usage": "true"})
    assert await state_of(app, person) == (1, 1)


async def test_signing_in_and_a_new_password_take_no_revision(app: FastAPI, person: Person) -> None:
    await person.sign_in()
    await person.patch("/users/me", json={"currency": "JPY"})
    words = {"current_password": person.password, "new_password": "another walk along the sea"}
    await person.put("/users/me/password", json=words)
    assert await state_of(app, person) == (0, 0)


# --- unlocked ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def caller(person: Person) -> Caller:
    return Caller(id=person.user["id"], sid="", currency="EUR", timezone="UTC", month_start_day=1, revision=0)


async def test_an_unlocked_ledger_has_no_next_revision(app: FastAPI, caller: Caller) -> None:
    async with app.state.services.database.new_unit() as unit:
        with pytest.raises(RuntimeError, match="locked"):
            Ledger(caller, unit, trash_days=30).take_revision()


async def test_an_unlocked_ledger_refuses_to_be_changed(app: FastAPI, caller: Caller, person: Person) -> None:
    async with app.state.services.database.new_unit() as unit:
        with pytest.raises(RuntimeError, match="locked"):
            await Ledger(caller, unit, trash_days=30).insert(Category, name="Food", name_key="food", revision=1)
        with pytest.raises(RuntimeError, match="locked"):
            await Ledger(caller, unit, trash_days=30).store_state()
        with pytest.raises(RuntimeError, match="locked"):
            await Ledger(caller, unit, trash_days=30).write_prepared(core._STORE)
    assert (await person.get("/categories")).json()["items"] == []


async def test_the_ledger_of_an_account_that_was_deleted_meanwhile_is_not_locked(
    app: FastAPI, caller: Caller, person: Person
) -> None:
    await delete_account(person)

    async with app.state.services.database.new_unit() as unit:
        with pytest.raises(InvalidToken):
            await Ledger(caller, unit, trash_days=30).lock()


async def test_a_long_answer_comes_in_slices_and_others_get_their_turn_in_between(
    app: FastAPI, caller: Caller, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core, "SLICE_SIZE", 2)
    await asyncio.gather(*(create_category(person, name) for name in "ABCDE"))
    names = select(Category.name).where(Category.owner_id == bindparam("owner")).order_by(Category.name)
    turns: list[str] = []

    async with (
        app.state.services.database.new_unit() as unit,
        Ledger(caller, unit, trash_days=30).stream(names) as slices,
    ):
        async for rows in slices:
            turns.append("".join(row.name for row in rows))
            asyncio.get_running_loop().call_soon(turns.append, "another's")

    assert turns == ["AB", "another's", "CD", "another's", "E", "another's"]


async def test_a_long_answer_that_is_not_read_to_its_end_is_sent_to_nobody_else(
    app: FastAPI, caller: Caller, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core, "SLICE_SIZE", 2)
    await asyncio.gather(*(create_category(person, name) for name in "ABCDE"))
    names = select(Category.name).where(Category.owner_id == bindparam("owner")).order_by(Category.name)

    async def give_up_after_a_slice(ledger: Ledger) -> None:
        async with ledger.stream(names) as slices:
            async for _ in slices:
                raise TimeoutError

    async with app.state.services.database.new_unit() as unit:
        connection = await unit.connection()
        with pytest.raises(TimeoutError):
            await give_up_after_a_slice(Ledger(caller, unit, trash_days=30))

        assert connection.invalidated


# --- caps -------------------------------------------------------------------------------------------------------------


async def test_a_full_ledger_takes_no_more_expenses(
    app: FastAPI, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core, "MAX_EXPENSES", 2)
    await create(person)
    await create(person)
    answer = await person.post("/expenses", json={"amount": "1.00", "category": "Groceries"})
    assert (answer.status_code, answer.json()["code"]) == (422, "too_many")
    assert (await person.get("/categories")).json()["items"] == []
    assert await state_of(app, person) == (2, 2)


async def test_a_deleted_expense_makes_room(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "MAX_EXPENSES", 1)
    expense = await create(person)
    await person.delete(f"/expenses/{expense['id']}")
    await create(person)


async def test_a_full_ledger_still_knows_what_it_holds(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "MAX_EXPENSES", 1)
    expense = await create(person, external_id="known")
    answer = await person.post("/expenses", json={"amount": "1.00", "external_id": "known"})
    assert (answer.status_code, answer.json()["id"]) == (200, expense["id"])


async def test_another_users_ledger_is_not_full(
    person: Person, stranger: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core, "MAX_EXPENSES", 1)
    await create(person)
    await create(stranger)


@pytest.mark.parametrize(
    ("path", "body"),
    [("/categories", {"name": "Travel"}), ("/expenses", {"amount": "1.00", "category": "Travel"})],
)
async def test_too_many_categories_are_refused(
    app: FastAPI, person: Person, monkeypatch: pytest.MonkeyPatch, path: str, body: dict[str, str]
) -> None:
    monkeypatch.setattr(category_names, "MAX_CATEGORIES", 2)
    await create_category(person, "Groceries")
    await create_category(person, "Rent")
    answer = await person.post(path, json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "too_many")
    assert await state_of(app, person) == (2, 0)


async def test_the_cap_on_expenses_holds_under_concurrency(
    app: FastAPI, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core, "MAX_EXPENSES", 5)
    answers = await asyncio.gather(*(person.post("/expenses", json={"amount": "1.00"}) for _ in range(12)))
    assert statuses(answers) == {201: 5, 422: 7}
    assert await state_of(app, person) == (5, 5)


# --- many at once -----------------------------------------------------------------------------------------------------


async def writes(person: Person, each: int) -> list[Write]:
    """So many creations, edits and deletions, ready to be sent at once, in a new ledger."""
    async with filling(person) as rows:
        made = [await rows.spend(revision, 1_000) for revision in range(1, 2 * each + 1)]
    to_change, to_delete = made[:each], made[each:]
    return [
        *(person.post("/expenses", json={"amount": "2.00"}) for _ in range(each)),
        *(person.patch(f"/expenses/{it}", json={"amount": "3.00"}) for it in to_change),
        *(person.delete(f"/expenses/{it}") for it in to_delete),
    ]


async def test_forty_writes_of_one_user_and_forty_of_others_lose_nothing(
    app: FastAPI, person: Person, sign_up: SignUp
) -> None:
    others = [await sign_up() for _ in range(4)]
    mine = await writes(person, each=14)
    theirs = [write for other in others for write in await writes(other, each=4)]
    answers = await asyncio.gather(*(write for pair in zip(mine, theirs, strict=False) for write in pair), *theirs[42:])
    assert statuses(answers) == {201: 14 + 4 * 4, 200: 14 + 4 * 4, 204: 14 + 4 * 4}
    assert await state_of(app, person) == (28 + 42, 28)
    assert [await state_of(app, other) for other in others] == [(8 + 12, 8)] * 4
    amounts = Counter(it["amount"] for it in (await person.get("/expenses", params={"limit": 200})).json()["items"])
    assert amounts == {"2.00": 14, "3.00": 14}


async def test_changes_of_different_fields_of_one_expense_all_hold(app: FastAPI, person: Person) -> None:
    expense = await create(person)
    changes = {"amount": "9.00", "description": "apples", "category": "Food", "date": "2026-01-01", "external_id": "x"}
    await asyncio.gather(
        *(person.patch(f"/expenses/{expense['id']}", json={field: value}) for field, value in changes.items())
    )
    stands = (await person.get(f"/expenses/{expense['id']}")).json()
    assert {field: stands[field] for field in changes} == changes
    assert await state_of(app, person) == (6, 1)


async def test_a_category_named_by_many_at_once_is_made_once(app: FastAPI, person: Person) -> None:
    await asyncio.gather(*(create(person, category=name) for name in ["Food", "food", "FOOD", "ｆｏｏｄ"] * 3))
    (category,) = (await person.get("/categories")).json()["items"]
    items = (await person.get("/expenses")).json()["items"]
    assert [it["category"] for it in items] == [category["name"]] * 12
    assert await state_of(app, person) == (12, 12)


async def test_an_external_id_sent_many_times_at_once_is_one_expense(app: FastAPI, person: Person) -> None:
    sent = {"amount": "1.00", "external_id": "once"}
    answers = await asyncio.gather(*(person.post("/expenses", json=sent) for _ in range(8)))
    assert statuses(answers) == {201: 1, 200: 7}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert await state_of(app, person) == (1, 1)


async def test_an_expense_deleted_many_times_at_once_is_gone_once(app: FastAPI, person: Person) -> None:
    expense = await create(person)
    answers = await asyncio.gather(*(person.delete(f"/expenses/{expense['id']}") for _ in range(6)))
    assert statuses(answers) == {204: 1, 404: 5}
    assert await state_of(app, person) == (2, 0)


async def test_a_page_never_sees_half_of_a_rename(person: Person) -> None:
    await asyncio.gather(*(create(person, category="Food") for _ in range(5)))
    (category,) = (await person.get("/categories")).json()["items"]
    await person.patch(f"/categories/{category['id']}", json={"name": "Foods"})
    renaming = [person.patch(f"/categories/{category['id']}", json={"name": f"Food {it}"}) for it in range(6)]
    pages = [person.get("/expenses") for _ in range(12)]
    answers = await asyncio.gather(*renaming, *pages)
    seen = [{(it["category"], it["revision"]) for it in answer.json()["items"]} for answer in answers[6:]]
    assert [len(names) for names in seen] == [1] * 12


# --- the queue --------------------------------------------------------------------------------------------------------


@pytest.fixture
async def narrow(settings: Settings) -> AsyncIterator[FastAPI]:
    """An app at whose ledgers three writers may wait."""
    app = create_app(settings.model_copy(update={"queue_limit": 3}))
    async with app.router.lifespan_context(app):
        yield app


async def test_writers_beyond_the_queue_are_told_to_come_back(narrow: FastAPI, outside: Connection) -> None:
    async with signed_up(narrow) as person:
        hold(outside, person)
        sent = [asyncio.create_task(person.post("/expenses", json={"amount": "1.00"})) for _ in range(10)]
        done = asyncio.as_completed(sent, timeout=4)
        refused = [await next(done) for _ in range(6)]
        outside.rollback()
        answers = await asyncio.gather(*sent)
        assert statuses(answers) == {201: 4, 429: 6}
        assert statuses(refused) == {429: 6}
        assert refused[0].json()["code"] == "too_many_requests"
        assert int(refused[0].headers["Retry-After"]) > 0
        assert await state_of(narrow, person) == (4, 4)


async def test_a_blocked_ledger_does_not_keep_anybody_from_reading(
    person: Person, sign_up: SignUp, outside: Connection
) -> None:
    others = [await sign_up() for _ in range(3)]
    hold(outside, person)
    waiting = [asyncio.create_task(person.post("/expenses", json={"amount": "1.00"})) for _ in range(20)]
    async with asyncio.timeout(4):
        read = await asyncio.gather(*(who.get("/expenses") for who in [person, *others] * 5))
    assert statuses(read) == {200: 20}
    assert not any(task.done() for task in waiting)
    outside.rollback()
    assert statuses(await asyncio.gather(*waiting)) == {201: 20}


@on_mysql
async def test_a_blocked_ledger_does_not_keep_others_from_writing(
    person: Person, sign_up: SignUp, outside: Connection
) -> None:
    others = [await sign_up() for _ in range(3)]
    hold(outside, person)
    waiting = [asyncio.create_task(person.post("/expenses", json={"amount": "1.00"})) for _ in range(20)]
    async with asyncio.timeout(4):
        wrote = await asyncio.gather(*(who.post("/expenses", json={"amount": "1.00"}) for who in others * 5))
    assert statuses(wrote) == {201: 15}
    assert not any(task.done() for task in waiting)
    outside.rollback()
    assert statuses(await asyncio.gather(*waiting)) == {201: 20}


@on_mysql
async def test_a_blocked_account_does_not_keep_others_from_writing(
    person: Person, stranger: Person, outside: Connection
) -> None:
    """OWASP API4 (2023): whoever waits for a lock of one account holds one connection, not the pool."""
    form = {"username": person.user["username"], "password": person.password}
    shown = {"refresh_token": (await person.post("/users/token", data=form)).json()["refresh_token"]}
    outside.execute(text("UPDATE users SET currency = currency WHERE id = :id"), {"id": person.user["id"]})
    waiting = [
        asyncio.create_task(it)
        for _ in range(10)
        for it in (
            person.post("/users/me/tokens", json={"name": "nightly", "scope": "read"}),
            person.patch("/users/me", json={"currency": "USD"}),
            person.post("/users/token", data=form),
            person.post("/users/token/refresh", json=shown),
        )
    ]
    await asyncio.wait(waiting, timeout=0.5)
    async with asyncio.timeout(2):
        written = await asyncio.gather(*(create(stranger) for _ in range(5)))
    assert not any(task.done() for task in waiting)
    outside.rollback()
    assert len(written) == 5
    assert statuses(await asyncio.gather(*waiting)) == {200: 30, 201: 10}


@on_mysql
async def test_access_can_be_ended_while_requests_wait_for_the_account(person: Person, outside: Connection) -> None:
    """ASVS 5.0 7.4.1: a stolen session cannot defend itself by asking for what has to wait for an import."""
    form = {"username": person.user["username"], "password": person.password}
    other = (await person.post("/users/token", data=form)).json()
    # As an import does, by each of its rows.
    outside.execute(text("SELECT id FROM users WHERE id = :id LOCK IN SHARE MODE"), {"id": person.user["id"]})
    waiting = [asyncio.create_task(person.patch("/users/me", json={"currency": "USD"})) for _ in range(3)]
    await asyncio.wait(waiting, timeout=0.5)
    async with asyncio.timeout(2):
        answers = [
            await person.post("/users/logout", json={"refresh_token": other["refresh_token"]}),
            await person.delete("/users/me/tokens"),
            await person.delete("/users/me/sessions"),
        ]
    assert statuses(answers) == {204: 3}
    assert not any(task.done() for task in waiting)
    outside.rollback()
    assert statuses(await asyncio.gather(*waiting)) == {200: 3}


@on_mysql
async def test_a_blocked_ledger_does_not_keep_its_owner_from_signing_in(person: Person, outside: Connection) -> None:
    hold(outside, person)
    outside.execute(text("UPDATE expenses SET revision = revision WHERE owner_id = :id"), {"id": person.user["id"]})
    async with asyncio.timeout(4):
        await person.sign_in()
        assert (await person.get("/users/me")).status_code == 200


# --- what a request costs ---------------------------------------------------------------------------------------------

AN_EXPENSE: dict[str, object] = {"amount": "12.50", "date": "2026-11-22"}
A_BUDGET: dict[str, object] = {"amount": "200.00", "period": "month"}
Cost = tuple[str, str, dict[str, object] | None, int, int]
# No code of the ledger asks which database it has: MySQL is tried with every kind of write and the longest reads.
COSTS_ON_BOTH: list[Cost] = [
    ("GET", "/expenses?category=Groceries&q=apples", None, 200, 3),
    ("GET", "/expenses?payee=market hall&category=rent", None, 200, 3),
    ("GET", "/expenses?payee=market hall&tag=shared&category=rent", None, 200, 4),
    ("POST", "/expenses", AN_EXPENSE | {"category": "Travel"}, 201, 8),
    ("POST", "/expenses", AN_EXPENSE | {"external_id": "new"}, 201, 7),
    ("POST", "/expenses", AN_EXPENSE | {"category": "groceries", "payee": "MARKET HALL"}, 201, 6),
    ("POST", "/expenses", AN_EXPENSE | {"category": "groceries", "payee": "Market hall", "tags": ["shared"]}, 201, 8),
    ("PATCH", "/tags/{tag}", {"name": "with others"}, 200, 12),
    ("PATCH", "/expenses/{expense}", {"amount": "13.00"}, 200, 6),
    ("DELETE", "/expenses/{expense}", None, 204, 8),
    ("PATCH", "/categories/{category}", {"name": "Food"}, 200, 11),
    ("DELETE", "/categories/{category}?move_to=Rent", None, 204, 12),
    ("POST", "/budgets", A_BUDGET | {"category": "groceries"}, 201, 9),
    ("GET", "/changes", None, 200, 6),
    ("POST", "/expenses/{trashed}/restore", None, 200, 10),
    ("POST", "/expenses/restore", {"revision": 4}, 200, 8),
    ("DELETE", "/expenses/trash", None, 204, 10),
    ("PATCH", "/expenses?q=apples", {"description": None}, 200, 6),
    ("DELETE", "/expenses?q=apples", None, 200, 8),
    ("POST", "/expenses/batch", {"operations": [{"op": "create", "data": AN_EXPENSE}] * 100}, 200, 6),
]
COSTS_ON_SQLITE: list[Cost] = [
    ("GET", "/users/me", None, 200, 2),
    ("GET", "/expenses", None, 200, 2),
    ("GET", "/expenses?with_count=true", None, 200, 2),
    ("GET", "/expenses?with_count=true&with_totals=true", None, 200, 2),
    ("POST", "/expenses", AN_EXPENSE | {"payee": "Another"}, 201, 7),
    ("GET", "/tags", None, 200, 2),
    ("GET", "/tags?with_usage=true", None, 200, 3),
    ("GET", "/payees?q=hall", None, 200, 5),
    ("GET", "/payees?limit=1", None, 200, 3),
    ("GET", "/expenses/{expense}", None, 200, 2),
    ("GET", "/expenses/9223372036854775807", None, 404, 2),
    ("GET", "/categories", None, 200, 2),
    ("GET", "/categories?with_usage=true", None, 200, 3),
    ("GET", "/categories/{category}", None, 200, 2),
    ("POST", "/expenses", AN_EXPENSE, 201, 5),
    ("POST", "/expenses", AN_EXPENSE | {"category": "groceries"}, 201, 6),
    ("POST", "/expenses", AN_EXPENSE | {"external_id": "known"}, 200, 4),
    ("PUT", "/expenses/{expense}", AN_EXPENSE | {"currency": "EUR"}, 200, 6),
    ("PATCH", "/expenses/{expense}", {"amount": "1.00"}, 200, 4),
    ("POST", "/categories", {"name": "Travel"}, 201, 8),
    ("PATCH", "/categories/{category}", {"color": "#2a9d8f"}, 200, 7),
    ("DELETE", "/categories/{category}?uncategorized=true", None, 204, 11),
    ("GET", "/budgets", None, 200, 2),
    ("GET", "/budgets/status", None, 200, 3),
    ("POST", "/budgets", A_BUDGET, 201, 8),
    ("PATCH", "/budgets/{budget}", {"amount": "250"}, 200, 7),
    ("DELETE", "/budgets/{budget}", None, 204, 7),
    ("PATCH", "/users/me", {"currency": "JPY"}, 200, 5),
    ("GET", "/expenses/trash", None, 200, 2),
    ("POST", "/expenses/{expense}/restore", None, 200, 4),
    ("PATCH", "/expenses?q=apples&dry_run=true", {"description": None}, 200, 2),
]


@try_cases("method, path, body, status, number", on_both=COSTS_ON_BOTH, on_sqlite=COSTS_ON_SQLITE)
async def test_a_request_asks_the_database_no_more_than_it_must(
    person: Person,
    statements: Statements,
    method: str,
    path: str,
    body: dict[str, object] | None,
    status: int,
    number: int,
) -> None:
    async with filling(person) as rows:
        ids = {
            "expense": await rows.spend(
                1, 1_000, "Groceries", "Market hall", ["shared"], external_id="known", description="Apples"
            ),
            "category": await rows.categorize(1, "Groceries"),
            "trashed": await rows.spend(3, 1_000),
            "budget": await rows.budget(5, 200_000, "month", currency="JPY"),
            "tag": rows.tags["shared"],
        }
        await rows.categorize(2, "Rent")
        await rows.discard(4, ids["trashed"])
    address = path.format_map(ids)
    with statements() as sent:
        answer = await person.request(method, address, json=body)
    assert answer.status_code == status
    assert len(sent) == number, "\n".join(sent)
    assert sent.count("COMMIT") == (method != "GET" and "dry_run" not in path)


async def test_every_page_costs_two_statements_however_many_its_categories(
    person: Person, statements: Statements
) -> None:
    creates = [{"op": "create", "data": {"amount": "1.00", "category": f"c{it}"}} for it in range(60)]
    await person.post("/expenses/batch", json={"operations": creates})
    with statements() as sent:
        page = (await person.get("/expenses", params={"limit": 50})).json()
    assert (len(page["items"]), len(sent)) == (50, 2)
    with statements() as sent:
        rest = await person.get("/expenses", params={"limit": 50, "cursor": page["next_cursor"]})
    assert (len(rest.json()["items"]), len(sent)) == (10, 2)


async def test_a_ledger_runs_no_delete_that_does_not_say_how_many_rows_it_must_touch(
    app: FastAPI, caller: Caller
) -> None:
    async with app.state.services.database.new_unit() as unit:
        with pytest.raises(RuntimeError, match="how many rows"):
            await Ledger(caller, unit, trash_days=30).execute(delete(Category).where(Category.mine()))
