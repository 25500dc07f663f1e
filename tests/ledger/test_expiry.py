"""Expiry of the trash and of stored answers: what is hidden at once, and when rows are deleted."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from fastapi import FastAPI
from sqlalchemy import bindparam, select

from auth import Caller
from ledger import expiry
from ledger.core import Ledger
from models import LedgerState, Owned, RememberedAnswer, TrashedExpense
from tests.support.budgets import tombstones
from tests.support.databases import on_sqlite, try_cases
from tests.support.expenses import change, discard, ids, read, restore, several, spend, undo
from tests.support.ledgers import state_of
from tests.support.people import Person, SignUp
from tests.support.problems import blamed
from tests.support.rows import filling
from tests.support.settings import NOON
from tests.support.statements import Statements

DAY = timedelta(days=1)
# Deleted at noon, it lies there for thirty whole days.
LAST_SECOND = datetime(2026, 12, 22, 23, 59, 59, tzinfo=UTC)
EXPIRED = datetime(2026, 12, 23, tzinfo=UTC)


async def rows_of(app: FastAPI, person: Person, table: type[Owned]) -> int:
    """How many rows of a table are really somebody's."""
    mine = select(table.owner_id).where(table.owner_id == bindparam("owner"))
    async with app.state.services.database.new_unit() as unit:
        return len((await (await unit.connection()).execute(mine, {"owner": person.user["id"]})).all())


async def swept_on(app: FastAPI, person: Person) -> str:
    """The day on which a ledger was last swept."""
    mine = select(LedgerState.swept_on).where(LedgerState.owner_id == bindparam("owner"))
    async with app.state.services.database.new_unit() as unit:
        return str((await (await unit.connection()).execute(mine, {"owner": person.user["id"]})).scalar_one())


async def go_to(noon: time_machine.Traveller, instant: datetime, *people: Person) -> None:
    """Let it be another time, and everybody have a new session."""
    noon.move_to(instant)
    for person in people:
        person.bear(await person.open_session())


async def touch(person: Person, expense: dict[str, Any]) -> None:
    """Write, but change nothing: it takes no revision."""
    await change(person, expense, amount=expense["amount"])


def sweeping(sent: Sequence[str]) -> list[str]:
    """What of the statements sent belongs to a sweep."""
    of_a_sweep = ("FROM trash", "FROM remembered_answers", "UPDATE ledgers")
    return [it for it in sent if any(part in it for part in of_a_sweep)]


# Emptied


async def test_an_emptied_trash_is_empty_and_its_ids_are_gone_for_good(app: FastAPI, person: Person) -> None:
    first, second = await several(person, 2)
    await discard(person, first, second)
    answer = await person.delete("/expenses/trash")

    assert (answer.status_code, answer.content) == (204, b"")
    assert (await person.get("/expenses/trash?with_count=true")).json()["count"] == 0
    assert [(await restore(person, it)).status_code for it in (first, second)] == [404, 404]
    assert (await undo(person, 4)).status_code == 404
    assert await state_of(app, person) == (5, 0)


async def test_emptying_leaves_what_is_live_and_every_tombstone(app: FastAPI, person: Person) -> None:
    gone, kept = await several(person, 2)
    await discard(person, gone)
    await person.delete("/expenses/trash")

    assert await read(person, kept) == kept
    assert await tombstones(app, person) == [("expense", gone["id"], 3)]
    assert await state_of(app, person) == (4, 1)


async def test_emptying_an_empty_trash_takes_no_revision(app: FastAPI, person: Person) -> None:
    await spend(person)

    assert (await person.delete("/expenses/trash")).status_code == 204
    assert await state_of(app, person) == (1, 1)


async def test_emptying_the_trash_empties_nobody_elses(app: FastAPI, person: Person, stranger: Person) -> None:
    theirs = await spend(stranger)
    await discard(stranger, theirs)
    await discard(person, await spend(person))
    await person.delete("/expenses/trash")

    assert await ids(stranger) == [theirs["id"]]
    assert await state_of(app, stranger) == (2, 0)


@pytest.mark.parametrize("query", ["q=apples", "dry_run=true", "older_than=2026-01-01"])
async def test_the_trash_is_emptied_whole_or_not_at_all(person: Person, query: str) -> None:
    expense = await spend(person)
    await discard(person, expense)
    answer = await person.delete(f"/expenses/trash?{query}")

    assert (answer.status_code, list(blamed(answer).values())) == (422, ["unknown"])
    assert await ids(person) == [expense["id"]]


# External ids


async def test_what_is_sent_again_from_the_trash_changes_nothing(app: FastAPI, person: Person) -> None:
    await discard(person, await spend(person, external_id="bank-1"))
    (lies,) = (await person.get("/expenses/trash")).json()["items"]
    again = await person.post("/expenses", json={"amount": "9.00", "external_id": "bank-1", "category": "New"})

    assert (again.status_code, again.json()) == (200, lies)
    assert (await person.get("/categories")).json()["items"] == []
    assert await state_of(app, person) == (2, 0)


async def test_an_external_id_is_free_once_the_trash_is_emptied(person: Person) -> None:
    gone, other = await spend(person, external_id="bank-1"), await spend(person)
    await discard(person, gone)
    await person.delete("/expenses/trash")

    assert (await spend(person, external_id="bank-1"))["id"] > other["id"]


async def test_another_expense_may_take_an_external_id_once_the_trash_is_emptied(person: Person) -> None:
    gone, other = await spend(person, external_id="bank-1"), await spend(person)
    await discard(person, gone)
    refused = await person.patch(f"/expenses/{other['id']}", json={"external_id": "bank-1"})
    await person.delete("/expenses/trash")

    assert refused.status_code == 409
    assert (await change(person, other, external_id="bank-1"))["external_id"] == "bank-1"


# Kept for whole days


@pytest.mark.parametrize(
    ("instant", "days", "since"),
    [
        ("2026-12-22T00:00:00Z", 30, "2026-11-22T00:00:00Z"),
        ("2026-12-22T23:59:59Z", 30, "2026-11-22T00:00:00Z"),
        ("2026-12-23T00:00:00Z", 30, "2026-11-23T00:00:00Z"),
        ("2024-03-01T12:00:00Z", 1, "2024-02-29T00:00:00Z"),
        ("2026-01-01T00:00:00Z", 3650, "2016-01-04T00:00:00Z"),
    ],
)
def test_the_trash_begins_at_a_midnight(
    noon: time_machine.Traveller, app: FastAPI, instant: str, days: int, since: str
) -> None:
    noon.move_to(datetime.fromisoformat(instant))
    caller = Caller(id=1, sid="", currency="EUR", timezone="Asia/Tokyo", month_start_day=1, revision=0)
    ledger = Ledger(caller, app.state.services.database.new_unit(), days)

    assert ledger.trash_start == datetime.fromisoformat(since)


@pytest.mark.parametrize("deleted_at", ["2026-11-22T00:00:00Z", "2026-11-22T12:00:00Z", "2026-11-22T23:59:59Z"])
async def test_what_was_deleted_lies_there_for_thirty_whole_days(
    noon: time_machine.Traveller, person: Person, deleted_at: str
) -> None:
    await go_to(noon, datetime.fromisoformat(deleted_at), person)
    expense = await spend(person)
    await discard(person, expense)
    await go_to(noon, LAST_SECOND, person)
    page = (await person.get("/expenses/trash?with_count=true")).json()

    assert ([it["id"] for it in page["items"]], page["count"]) == ([expense["id"]], 1)
    assert (await restore(person, expense)).json() == expense | {"revision": 3}


async def test_afterwards_it_is_neither_listed_nor_counted_though_nobody_swept(
    app: FastAPI, noon: time_machine.Traveller, person: Person
) -> None:
    await discard(person, await spend(person))
    await go_to(noon, EXPIRED, person)
    page = (await person.get("/expenses/trash?with_count=true")).json()

    assert (page["items"], page["next_cursor"], page["count"]) == ([], None, 0)
    assert await rows_of(app, person, TrashedExpense) == 1


async def test_a_page_ends_where_the_trash_has_expired(noon: time_machine.Traveller, person: Person) -> None:
    old, young = await several(person, 2)
    await discard(person, old)
    await go_to(noon, NOON + DAY, person)
    await discard(person, young)
    await go_to(noon, EXPIRED, person)
    page = (await person.get("/expenses/trash?limit=1&with_count=true")).json()

    assert ([it["id"] for it in page["items"]], page["next_cursor"], page["count"]) == ([young["id"]], None, 1)


async def test_on_another_day_the_trash_is_another_answer(noon: time_machine.Traveller, person: Person) -> None:
    await discard(person, await spend(person))
    await go_to(noon, LAST_SECOND, person)
    seen = {"If-None-Match": (await person.get("/expenses/trash")).headers["ETag"]}
    same_day = await person.get("/expenses/trash", headers=seen)
    await go_to(noon, EXPIRED, person)
    next_day = await person.get("/expenses/trash", headers=seen)

    assert (same_day.status_code, next_day.status_code) == (304, 200)


async def test_the_days_are_a_setting(
    app: FastAPI, noon: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch, person: Person
) -> None:
    settings = app.state.services.settings.model_copy(update={"trash_days": 1})
    monkeypatch.setitem(app.state._state, "services", replace(app.state.services, settings=settings))
    expense = await spend(person)
    await discard(person, expense)
    await go_to(noon, NOON + DAY, person)
    next_day = await ids(person)
    await go_to(noon, NOON + 2 * DAY, person)

    assert (next_day, await ids(person)) == ([expense["id"]], [])
    await spend(person)
    assert await rows_of(app, person, TrashedExpense) == 0


async def test_a_day_is_one_of_utc_wherever_the_user_is(noon: time_machine.Traveller, sign_up: SignUp) -> None:
    person = await sign_up(timezone="Pacific/Kiritimati")
    expense = await spend(person)
    await discard(person, expense)
    await go_to(noon, LAST_SECOND, person)

    assert await ids(person) == [expense["id"]]


# Expired


async def test_what_has_expired_is_not_restored(noon: time_machine.Traveller, person: Person) -> None:
    expense = await spend(person)
    await discard(person, expense)
    await go_to(noon, EXPIRED, person)

    assert ((await restore(person, expense)).status_code, (await undo(person, 2)).status_code) == (404, 404)
    assert await ids(person, "/expenses") == []


async def test_an_external_id_is_free_once_its_expense_has_expired(
    noon: time_machine.Traveller, person: Person
) -> None:
    expense = await spend(person, external_id="bank-1")
    await discard(person, expense)
    await go_to(noon, EXPIRED, person)

    assert (await spend(person, external_id="bank-1"))["id"] > expense["id"]


async def test_what_has_expired_but_is_not_swept_yet_is_not_restored(
    noon: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch, person: Person
) -> None:
    monkeypatch.setattr(expiry, "MAX_EXPENSES_SWEPT", 1)
    first, second, third = await several(person, currency="USD")
    live = await spend(person)
    await person.delete("/expenses?currency=USD")
    await go_to(noon, EXPIRED, person)
    await touch(person, live)
    alone = [(await restore(person, it)).status_code for it in (first, second, third)]
    together = await undo(person, 5)

    assert (alone, together.status_code) == ([404, 404, 404], 404)
    assert await ids(person, "/expenses") == [live["id"]]


async def test_an_external_id_is_free_although_its_expired_expense_is_not_swept_yet(
    app: FastAPI, noon: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch, person: Person
) -> None:
    monkeypatch.setattr(expiry, "MAX_EXPENSES_SWEPT", 0)
    for name in ("bank-1", "bank-2", "bank-3"):
        await discard(person, await spend(person, external_id=name))
    await go_to(noon, EXPIRED, person)
    first, other = await spend(person, external_id="bank-1"), await spend(person)
    second = await change(person, other, external_id="bank-2")
    create = {"op": "create", "data": {"amount": "1.00", "external_id": "bank-3"}}
    third = (await person.post("/expenses/batch", json={"operations": [create]})).json()["results"][0]

    assert [it["external_id"] for it in (first, second, third["expense"])] == ["bank-1", "bank-2", "bank-3"]
    assert third["status"] == "created"
    assert await rows_of(app, person, TrashedExpense) == 0
    await discard(person, first, second, third)
    assert len(await ids(person, "/expenses/trash")) == 3


# Swept


async def test_the_first_write_of_a_day_sweeps(app: FastAPI, noon: time_machine.Traveller, person: Person) -> None:
    old, young, live = await several(person)
    await discard(person, old)
    await go_to(noon, NOON + DAY, person)
    await discard(person, young)
    await go_to(noon, EXPIRED, person)
    await touch(person, live)

    assert await rows_of(app, person, TrashedExpense) == 1
    assert await ids(person) == [young["id"]]
    assert await swept_on(app, person) == "2026-12-23"


async def test_a_sweep_leaves_tombstones_and_takes_no_revision(
    app: FastAPI, noon: time_machine.Traveller, person: Person
) -> None:
    gone, live = await several(person, 2)
    await discard(person, gone)
    await go_to(noon, EXPIRED, person)
    await touch(person, live)

    assert await rows_of(app, person, TrashedExpense) == 0
    assert await tombstones(app, person) == [("expense", gone["id"], 3)]
    assert await state_of(app, person) == (3, 1)


async def test_emptying_what_has_expired_takes_no_revision(
    app: FastAPI, noon: time_machine.Traveller, person: Person
) -> None:
    await discard(person, await spend(person))
    await go_to(noon, EXPIRED, person)
    await person.delete("/expenses/trash")

    assert await rows_of(app, person, TrashedExpense) == 0
    assert await state_of(app, person) == (2, 0)


async def test_only_the_first_write_of_a_day_sweeps(
    noon: time_machine.Traveller, person: Person, statements: Statements
) -> None:
    expense = await spend(person)
    await go_to(noon, NOON + DAY, person)
    with statements() as first:
        await touch(person, expense)
    await go_to(noon, datetime(2026, 11, 23, 23, 59, 59, tzinfo=UTC), person)
    with statements() as second:
        await touch(person, expense)
    await go_to(noon, datetime(2026, 11, 24, tzinfo=UTC), person)
    with statements() as third:
        await touch(person, expense)

    assert [len(sweeping(it)) for it in (first, second, third)] == [5, 0, 5]


@try_cases(
    "method, path, body, status",
    on_both=[("PATCH", "/expenses/{id}", {"amount": "1.00", "revision": 99}, 412)],
    on_sqlite=[
        ("POST", "/expenses", {"amount": "0"}, 422),
        ("POST", "/expenses", {"amount": "1.00", "category": "a\x00b"}, 422),
        ("DELETE", "/expenses/9223372036854775807", None, 404),
        ("DELETE", "/expenses", None, 422),
        ("POST", "/categories", {"name": "Groceries"}, 409),
    ],
)
async def test_a_write_that_is_refused_sweeps_nothing(
    app: FastAPI,
    noon: time_machine.Traveller,
    person: Person,
    method: str,
    path: str,
    body: dict[str, object] | None,
    status: int,
) -> None:
    async with filling(person) as rows:
        live_id = await rows.spend(1, 12_500, "Groceries")
        await rows.discard(4, await rows.spend(2), await rows.spend(3))
    await go_to(noon, EXPIRED, person)
    answer = await person.request(method, path.format(id=live_id), json=body)

    assert answer.status_code == status
    assert await rows_of(app, person, TrashedExpense) == 2
    assert await swept_on(app, person) == "2026-11-22"
    await person.patch(f"/expenses/{live_id}", json={"amount": "12.50"})
    assert await rows_of(app, person, TrashedExpense) == 0


@pytest.mark.parametrize(("number", "left"), [(1, [0, 0, 0, 0]), (2, [0, 0, 0, 0]), (5, [3, 1, 0, 0])])
async def test_many_are_swept_by_several_writes(
    app: FastAPI,
    noon: time_machine.Traveller,
    monkeypatch: pytest.MonkeyPatch,
    person: Person,
    number: int,
    left: list[int],
) -> None:
    monkeypatch.setattr(expiry, "MAX_EXPENSES_SWEPT", 2)
    async with filling(person) as rows:
        live_id = await rows.spend(1)
        await rows.discard(3, *[await rows.spend(2) for _ in range(number)])
    await go_to(noon, EXPIRED, person)
    live = await read(person, {"id": live_id})

    assert [await left_after_a_write(app, person, live) for _ in left] == left
    assert await swept_on(app, person) == "2026-12-23"


async def left_after_a_write(app: FastAPI, person: Person, expense: dict[str, Any]) -> int:
    await touch(person, expense)
    return await rows_of(app, person, TrashedExpense)


async def test_what_is_left_to_the_next_write_is_swept_the_same_day(
    app: FastAPI, noon: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch, person: Person, statements: Statements
) -> None:
    monkeypatch.setattr(expiry, "MAX_EXPENSES_SWEPT", 2)
    *gone, live = await several(person)
    await discard(person, *gone)
    await go_to(noon, EXPIRED, person)
    await touch(person, live)
    swept_first = await swept_on(app, person)
    with statements() as second:
        await touch(person, live)
    with statements() as third:
        await touch(person, live)

    assert (swept_first, await swept_on(app, person)) == ("2026-11-22", "2026-12-23")
    assert (len(sweeping(second)), sweeping(third)) == (5, [])


async def test_nobody_sweeps_for_another(
    app: FastAPI, noon: time_machine.Traveller, person: Person, stranger: Person
) -> None:
    for somebody in (person, stranger):
        await discard(somebody, await spend(somebody))
    await go_to(noon, EXPIRED, person, stranger)
    await spend(person)

    assert (await rows_of(app, person, TrashedExpense), await rows_of(app, stranger, TrashedExpense)) == (0, 1)
    assert await swept_on(app, stranger) == "2026-11-22"


@on_sqlite
@pytest.mark.parametrize(
    "path",
    [
        "/expenses?with_count=true",
        "/expenses/trash",
        "/expenses/{id}",
        "/categories?with_usage=true",
        "/budgets/status",
        "/reports/spending",
        "/changes",
        "/users/me",
    ],
)
async def test_reading_never_sweeps(
    app: FastAPI, noon: time_machine.Traveller, person: Person, statements: Statements, path: str
) -> None:
    async with filling(person) as rows:
        live_id = await rows.spend(1)
        await rows.discard(3, await rows.spend(2))
    await go_to(noon, EXPIRED, person)
    with statements() as sent:
        answer = await person.get(path.format(id=live_id))

    assert answer.status_code == 200
    assert [it for it in sent if not it.startswith("SELECT")] == []
    assert await rows_of(app, person, TrashedExpense) == 1


async def test_a_ledger_says_whether_it_is_to_be_swept(
    app: FastAPI, noon: time_machine.Traveller, person: Person
) -> None:
    said = [await is_to_be_swept(app, person)]
    expense = await spend(person)
    said.append(await is_to_be_swept(app, person))
    await go_to(noon, NOON + DAY, person)
    said.append(await is_to_be_swept(app, person))
    await touch(person, expense)
    noon.move_to(NOON)
    said.append(await is_to_be_swept(app, person))

    assert said == [False, False, True, False]


async def is_to_be_swept(app: FastAPI, person: Person) -> bool:
    caller = Caller(id=person.user["id"], sid="", currency="EUR", timezone="UTC", month_start_day=1, revision=0)
    async with app.state.services.database.new_unit() as unit:
        ledger = Ledger(caller, unit, trash_days=30)
        assert not ledger.is_sweep_due, "nobody has locked it"
        await ledger.lock()
        return ledger.is_sweep_due


# Remembered answers


async def test_an_answer_is_remembered_for_a_day_and_then_swept(
    app: FastAPI, noon: time_machine.Traveller, person: Person
) -> None:
    key = {"Idempotency-Key": "once"}
    await person.post("/expenses", json={"amount": "1.00"}, headers=key)
    await go_to(noon, NOON + DAY, person)
    live = await spend(person)
    again = await person.post("/expenses", json={"amount": "1.00"}, headers=key)
    await go_to(noon, NOON + 2 * DAY, person)
    await touch(person, live)

    assert again.headers["Idempotency-Replayed"] == "true"
    assert await rows_of(app, person, RememberedAnswer) == 0


async def test_an_answer_that_has_expired_is_forgotten_before_it_is_swept(
    app: FastAPI, noon: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch, person: Person
) -> None:
    monkeypatch.setattr(expiry, "MAX_ANSWERS_SWEPT", 0)
    key = {"Idempotency-Key": "once"}
    await person.post("/expenses", json={"amount": "1.00"}, headers=key)
    await go_to(noon, NOON + DAY + timedelta(seconds=1), person)
    again = await person.post("/expenses", json={"amount": "2.00"}, headers=key)

    assert (again.status_code, "Idempotency-Replayed" in again.headers) == (201, False)
    assert await rows_of(app, person, RememberedAnswer) == 1


async def test_many_answers_are_swept_by_several_writes(
    app: FastAPI, noon: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch, person: Person
) -> None:
    monkeypatch.setattr(expiry, "MAX_ANSWERS_SWEPT", 2)
    for name in "abcde":
        live = (await person.post("/expenses", json={"amount": "1.00"}, headers={"Idempotency-Key": name})).json()
    await go_to(noon, NOON + 2 * DAY, person)
    left = []
    for _ in range(3):
        await touch(person, live)
        left.append(await rows_of(app, person, RememberedAnswer))

    assert left == [3, 1, 0]
