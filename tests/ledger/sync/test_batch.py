"""Batches: operations in order, all or none, at one revision."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import time_machine
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import bindparam, insert, update

from database import now
from ledger.core import MAX_EXPENSES
from ledger.expenses.rows import select_expenses
from ledger.sync.batch import NOTHING_DONE_DETAIL
from ledger.sync.schemas import InvalidOperation
from models import MAX_CATEGORIES, Category, Expense, LedgerState, TrashedExpense
from tests.support.databases import on_sqlite
from tests.support.expenses import read, sendable, spend
from tests.support.generated import hunts, in_pieces, padded
from tests.support.ledgers import state_of
from tests.support.people import Person, SignUp
from tests.support.problems import JSON, blamed
from tests.support.servers import make_plain_engine
from tests.support.statements import Statements

MEBIBYTE = 1024 * 1024
NOBODYS = {"id": 2**63 - 1, "revision": 1}
UNKNOWN = {"op": "delete", "id": NOBODYS["id"]}
NASTY = "'; DROP TABLE expenses; -- %s %(owner)s :owner VALUES (1) \\"

Operation = dict[str, Any]


def creating(**fields: object) -> Operation:
    """Record an expense, of 12.50 unless the fields say otherwise."""
    return {"op": "create", "data": {"amount": "12.50"} | fields}


def updating(expense: dict[str, Any], **fields: object) -> Operation:
    """Change these fields of an expense."""
    return {"op": "update", "id": expense["id"], "data": fields}


def deleting(expense: dict[str, Any], **more: object) -> Operation:
    """Delete an expense."""
    return {"op": "delete", "id": expense["id"]} | more


async def sent(person: Person, *operations: object, **headers: str) -> httpx.Response:
    """Send operations as one batch."""
    return await person.post("/expenses/batch", json={"operations": operations}, headers=headers)


async def done(person: Person, *operations: object) -> list[dict[str, Any]]:
    """Have operations done as one batch and return their results."""
    answer = await sent(person, *operations)
    assert answer.status_code == httpx.codes.OK, answer.text
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


def statuses(results: list[dict[str, Any]]) -> list[str]:
    return [it["status"] for it in results]


def errors(answer: httpx.Response) -> list[tuple[str, str]]:
    """Return each field to blame and what for, in the order in which the problem lists them."""
    return [(it["pointer"], it["code"]) for it in answer.json()["errors"]]


def pointers(answer: httpx.Response) -> list[str]:
    return [pointer for pointer, _ in errors(answer)]


async def deleted(person: Person, **fields: object) -> dict[str, Any]:
    """Record an expense and delete it; return it as it was."""
    expense = await spend(person, **fields)
    await person.delete(f"/expenses/{expense['id']}")
    return expense


async def whole(person: Person) -> list[list[dict[str, Any]]]:
    """Return all that a batch can change, each by its age: what is live, what is in the trash, and the categories."""
    paths = "/expenses?limit=200", "/expenses/trash?limit=200", "/categories"
    lists = [(await person.get(path)).json()["items"] for path in paths]
    return [sorted(items, key=lambda it: int(it["id"])) for items in lists]


async def fill_categories(app: FastAPI, person: Person, number: int) -> None:
    """Make categories past the API, which would take a request each."""
    owner, instants = person.user["id"], {"created_at": now(), "updated_at": now(), "revision": 1}
    rows = [{"owner_id": owner, "name": f"c{it}", "name_key": f"c{it}", **instants} for it in range(number)]
    async with app.state.services.database.new_unit() as unit:
        await (await unit.begin(owner)).execute(insert(Category), rows)
        await unit.commit()


async def count_expenses(app: FastAPI, person: Person, number: int) -> None:
    """Let the ledger think that it holds so many expenses."""
    counted = update(LedgerState).where(LedgerState.owner_id == bindparam("owner")).values(expense_count=number)
    async with app.state.services.database.new_unit() as unit:
        await (await unit.begin(person.user["id"])).execute(counted, {"owner": person.user["id"]})
        await unit.commit()


# --- one operation of each kind ---------------------------------------------------------------------------------------


async def test_a_create_records_an_expense(person: Person) -> None:
    fields = {"amount": "4.20", "currency": "GBP", "date": "2026-11-20", "category": "Food", "external_id": "bank-1"}

    [result] = await done(person, creating(**fields, description="Apples"))

    assert sendable(result["expense"]) == fields | {"description": "Apples"}
    assert result == {"status": "created", "id": result["id"], "expense": await read(person, result)}


@pytest.mark.usefixtures("noon")
async def test_a_create_is_in_the_users_currency_and_of_their_day(sign_up: SignUp) -> None:
    person = await sign_up(currency="JPY", timezone="Pacific/Kiritimati")

    [result] = await done(person, creating(amount=1250))

    assert (result["expense"]["currency"], result["expense"]["date"]) == ("JPY", "2026-11-23")


@on_sqlite
async def test_a_new_amount_must_fit_the_users_currency(sign_up: SignUp) -> None:
    person = await sign_up(currency="JPY")

    answer = await sent(person, creating(), creating(external_id="bank-1"))

    assert pointers(answer) == ["/operations/0/data/amount", "/operations/1/data/amount"]


async def test_a_create_of_what_is_known_answers_it_as_it_stands(person: Person) -> None:
    await deleted(person, external_id="a", category="Food")
    await spend(person, external_id="b", currency="JPY", amount="1250")
    before = await whole(person)
    [live], [trashed], _ = before

    results = await done(person, *(creating(external_id=it, amount="1.00", category="New") for it in "ab"))

    shown = [{"status": "existing", "id": it["id"], "expense": it} for it in (trashed, live)]
    assert (results, await whole(person)) == (shown, before)


async def test_an_update_changes_what_it_sends_and_may_send_what_was_read(
    noon: time_machine.Traveller, person: Person
) -> None:
    expense = await spend(person, category="Food", description="Apples", external_id="bank-1")
    noon.shift(60)

    [result] = await done(person, updating(expense, **expense | {"category": None, "amount": 3}))

    changed = {"category": None, "amount": "3.00", "revision": 2, "updated_at": "2026-11-22T12:01:00Z"}
    assert result == {"status": "updated", "id": expense["id"], "expense": expense | changed}
    assert await read(person, expense) == expense | changed


async def test_a_delete_moves_an_expense_to_the_trash(noon: time_machine.Traveller, person: Person) -> None:
    expense = await spend(person, category="Food", external_id="bank-1")
    noon.shift(60)

    results = await done(person, deleting(expense))

    trashed = expense | {"revision": 2, "deleted_at": "2026-11-22T12:01:00Z"}
    assert results == [{"status": "deleted", "id": expense["id"], "expense": None}]
    assert (await whole(person))[:2] == [[], [trashed]]


async def test_what_was_deleted_before_is_gone_in_the_trash_and_out_of_it(person: Person) -> None:
    first, second = await deleted(person), await deleted(person)

    results = await done(person, deleting(first, revision=99))
    await person.delete("/expenses/trash")
    results += await done(person, deleting(second))

    assert results == [{"status": "gone", "id": it["id"], "expense": None} for it in (first, second)]


async def test_what_is_no_expense_of_ones_own_is_not_found(person: Person, stranger: Person) -> None:
    live, gone = await spend(stranger), await deleted(stranger)
    category = (await person.post("/categories", json={"name": "Food"})).json()
    await person.delete(f"/categories/{category['id']}")

    none = UNKNOWN, deleting(live, revision=1), deleting(gone), deleting(category)
    answer = await sent(person, *none, updating(await spend(stranger), amount="1.00"), updating(await deleted(person)))

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert errors(answer) == [(f"/operations/{place}/id", "not_found") for place in range(6)]


# --- many operations --------------------------------------------------------------------------------------------------


@on_sqlite
async def test_results_come_in_the_order_of_the_operations(person: Person) -> None:
    changed, known, to_delete = [await spend(person, external_id=it) for it in "abc"]
    gone = await deleted(person)

    middle = updating(changed, amount="1.00"), creating(external_id="b"), deleting(to_delete)
    results = await done(person, deleting(gone), creating(amount=2), *middle, creating(amount=3))

    assert statuses(results) == ["gone", "created", "updated", "existing", "deleted", "created"]
    assert [results[it]["id"] for it in (0, 2, 3, 4)] == [it["id"] for it in (gone, changed, known, to_delete)]
    shown = [results[it]["expense"] for it in (2, 3, 1, 5)]
    assert ((await whole(person))[0], [it["amount"] for it in shown]) == (shown, ["1.00", "12.50", "2.00", "3.00"])


async def test_all_that_a_batch_touches_bears_its_one_revision(app: FastAPI, person: Person) -> None:
    changed, to_delete, _ = [await spend(person, category="Food") for _ in range(3)]

    operations = creating(category="New"), updating(changed, category="Gifts"), deleting(to_delete), creating()
    answer = await sent(person, *operations)

    live, trashed, made = await whole(person)
    assert answer.json()["revision"] == 4
    assert ([it["revision"] for it in live], [it["revision"] for it in trashed]) == ([4, 3, 4, 4], [4])
    assert {it["name"]: it["revision"] for it in made} == {"Food": 1, "Gifts": 4, "New": 4}
    assert await state_of(app, person) == (4, 4)


async def test_a_batch_that_changes_nothing_takes_no_revision(app: FastAPI, person: Person) -> None:
    expense, gone = await spend(person, external_id="bank-1", category="Food"), await deleted(person)
    before = await whole(person)

    same = updating(expense, **expense), creating(external_id="bank-1", category="New")
    answer = await sent(person, *same, deleting(gone))

    assert statuses(answer.json()["results"]) == ["updated", "existing", "gone"]
    assert (answer.json()["revision"], await state_of(app, person), await whole(person)) == (3, (3, 1), before)


async def test_hostile_texts_come_back_as_they_went_in(person: Person) -> None:
    expense = await spend(person)

    hostile = {"description": NASTY, "category": "🏳️‍🌈 %(x)s :name", "external_id": NASTY}
    results = await done(person, updating(expense, description="%s 🍎"), creating(**hostile), creating())

    assert (await whole(person))[0] == [it["expense"] for it in results]
    assert sendable(results[1]["expense"]) == sendable(results[1]["expense"], **hostile)


async def test_equal_batches_at_once_record_everything_once(app: FastAPI, person: Person) -> None:
    operations = [creating(external_id=f"bank-{it}", category="Food") for it in range(5)]

    answers = await asyncio.gather(*(sent(person, *operations) for _ in range(4)))

    assert sorted(statuses(it.json()["results"]) for it in answers) == [["created"] * 5, *[["existing"] * 5] * 3]
    assert await state_of(app, person) == (1, 5)


# --- each sees what those before it did -------------------------------------------------------------------------------


async def test_external_ids_move_on_from_row_to_row(person: Person) -> None:
    older, newer = [await spend(person, external_id=it) for it in "ab"]

    moves = updating(newer, external_id="c"), updating(older, external_id="b"), creating(external_id="a")
    results = await done(person, *moves, creating(external_id="b"))

    assert (statuses(results)[2:], results[3]["expense"]) == (["created", "existing"], results[1]["expense"])
    assert [it["external_id"] for it in (await whole(person))[0]] == ["b", "c", "a"]


async def test_an_external_id_sent_twice_is_one_expense(person: Person) -> None:
    first, second = await done(person, creating(external_id="a", category="Food"), creating(external_id="a", amount=1))

    assert (second, (await whole(person))[0]) == (first | {"status": "existing"}, [first["expense"]])


@on_sqlite
async def test_the_external_id_of_a_new_expense_is_taken(person: Person) -> None:
    expense = await spend(person)

    answer = await sent(person, creating(external_id="bank-1"), updating(expense, external_id="bank-1"))

    assert (answer.status_code, errors(answer)) == (409, [("/operations/1/data/external_id", "already_exists")])
    assert "existing_id" not in answer.json()


async def test_what_a_batch_deletes_it_does_not_create_anew(noon: time_machine.Traveller, person: Person) -> None:
    expense = await spend(person, external_id="bank-1", category="Food")
    noon.shift(60)

    results = await done(person, deleting(expense), creating(external_id="bank-1"))

    assert statuses(results) == ["deleted", "existing"]
    assert (await whole(person))[:2] == [[], [results[1]["expense"]]]


@on_sqlite
async def test_each_result_shows_the_expense_as_that_operation_left_it(person: Person) -> None:
    expense = await spend(person, external_id="bank-1")

    again = creating(external_id="bank-1")
    results = await done(person, again, updating(expense, amount="1.00", category="New"), again)

    assert [it["expense"] for it in results] == [expense, *[await read(person, expense)] * 2]


@on_sqlite
async def test_two_rows_cannot_swap_their_external_ids(person: Person) -> None:
    first, second = [await spend(person, external_id=it) for it in "ab"]

    answer = await sent(person, updating(first, external_id="b"), updating(second, external_id="a"))

    assert (answer.status_code, answer.json()["existing_id"]) == (409, second["id"])
    assert pointers(answer) == ["/operations/0/data/external_id", "/operations/1/data/external_id"]


async def test_a_new_category_is_made_once_as_it_was_spelt_first(person: Person) -> None:
    expense = await spend(person)

    operations = updating(expense, category="ｆｏｏｄ"), creating(category="Food"), creating(category=" FOOD ")
    results = await done(person, *operations, creating(category="Fööd"))

    live, _, made = await whole(person)
    assert (live, [it["name"] for it in made]) == ([it["expense"] for it in results], ["ｆｏｏｄ", "Fööd"])
    assert [it["category"] for it in live] == ["ｆｏｏｄ", "ｆｏｏｄ", "ｆｏｏｄ", "Fööd"]


# --- all or nothing, and all that is wrong is told --------------------------------------------------------------------


async def test_where_one_is_refused_nothing_of_the_others_happens(app: FastAPI, person: Person) -> None:
    changed, to_delete = await spend(person), await spend(person)
    before = await whole(person)

    wanted = creating(category="New", external_id="a"), updating(changed, category="Gifts"), deleting(to_delete)
    answer = await sent(person, *wanted, UNKNOWN)

    assert (answer.is_client_error, await whole(person), await state_of(app, person)) == (True, before, (2, 2))


@on_sqlite
async def test_every_refused_operation_is_told_in_the_order_of_the_operations(person: Person) -> None:
    euros, yen = await spend(person, external_id="bank-1"), await spend(person, currency="JPY", amount=5)
    third, fourth, fifth = [await spend(person) for _ in range(3)]

    answer = await sent(
        person,
        creating(),
        updating(euros, amount="1.00") | {"revision": 99},
        creating(amount="12.505", currency="EUR", tpyo=1),
        UNKNOWN,
        {"op": "remove", "id": 1},
        updating(yen, amount="1.5"),
        None,
        deleting(third),
        deleting(third),
        updating(fourth, external_id="bank-1"),
        creating(amount="1.5", currency="JPY", external_id="bank-2"),
        {"op": "update", "data": {}},
        deleting(fifth, revision=None),
        updating(fifth, currency="JPY"),
    )

    assert (answer.status_code, answer.json()["code"]) == (412, "precondition_failed")
    assert errors(answer) == [
        ("/operations/1/revision", "precondition_failed"),
        ("/operations/2/data/amount", "out_of_range"),
        ("/operations/2/data/tpyo", "unknown"),
        ("/operations/3/id", "not_found"),
        ("/operations/4/op", "not_allowed"),
        ("/operations/5/data/amount", "out_of_range"),
        ("/operations/6", "wrong_type"),
        ("/operations/8/id", "not_allowed"),
        ("/operations/9/data/external_id", "already_exists"),
        ("/operations/10/data/amount", "out_of_range"),
        ("/operations/11/id", "required"),
        ("/operations/12/revision", "wrong_type"),
        ("/operations/13/data/currency", "out_of_range"),
    ]


@on_sqlite
async def test_no_value_of_a_refused_operation_is_repeated(person: Person) -> None:
    other, _ = await spend(person), await spend(person, external_id="hunter2")

    answer = await sent(
        person,
        "hunter2",
        {"op": "hunter2"},
        {"op": "delete", "id": "hunter2", "revision": "hunter2"},
        creating(amount="hunter2", currency="hunter2", date="hunter2", category=["hunter2"]),
        creating(description="hunter2\x00", external_id="hunter2" * 10),
        updating(other, external_id="hunter2"),
    )

    assert (len(errors(answer)), "hunter2" in answer.text) == (11, False)


@on_sqlite
async def test_an_id_may_occur_once(person: Person) -> None:
    expense, gone = await spend(person), await deleted(person)

    others = deleting(gone), deleting(gone), UNKNOWN, UNKNOWN
    answer = await sent(person, updating(expense), deleting(expense), updating(expense), *others)

    codes = {1: "not_allowed", 2: "not_allowed", 4: "not_allowed", 5: "not_found", 6: "not_allowed"}
    assert (answer.status_code, errors(answer)) == (422, [(f"/operations/{it}/id", codes[it]) for it in codes])


@on_sqlite
@pytest.mark.parametrize("stale", [0, -1, 10**30])
async def test_a_revision_must_be_the_rows_wherever_it_is_said(person: Person, stale: int) -> None:
    rows = [await spend(person) for _ in range(5)]

    plain = (
        updating(rows[0]) | {"revision": stale},
        deleting(rows[1], revision=stale),
        updating(rows[2], revision=stale),
    )
    both = updating(rows[3], revision=stale) | {"revision": 4}, updating(rows[4], revision=5) | {"revision": 5}
    answer = await sent(person, *plain, *both)

    places = ["0/revision", "1/revision", "2/data/revision", "3/data/revision"]
    assert (answer.status_code, pointers(answer)) == (412, [f"/operations/{it}" for it in places])


async def test_one_operation_of_nothing_but_mistakes_hides_no_other(somebody: Person) -> None:
    answer = await sent(somebody, creating(**{f"k{it}": 1 for it in range(99)}), UNKNOWN)

    assert errors(answer)[-1] == ("/operations/1/id", "not_found")


async def test_a_hundred_refused_operations_are_all_told(somebody: Person) -> None:
    answer = await sent(somebody, *[UNKNOWN] * 100)

    assert pointers(answer) == [f"/operations/{place}/id" for place in range(100)]
    assert answer.json()["detail"] == NOTHING_DONE_DETAIL


@pytest.mark.parametrize("refused", [UNKNOWN, creating(amount="x"), {"op": "nope"}], ids=["unknown", "wrong", "none"])
async def test_of_a_thousand_refused_operations_the_first_hundred_are_told(
    somebody: Person, refused: Operation
) -> None:
    answer = await sent(somebody, *[refused] * 1_000)

    places = [pointer.split("/")[2] for pointer in pointers(answer)]
    assert places == [str(place) for place in range(100)]
    assert answer.json()["detail"] == f"{NOTHING_DONE_DETAIL} `errors` has only the first 100; there are more."


async def test_of_a_thousand_operations_of_unknown_fields_only_those_that_are_told_are_described(
    somebody: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    described: list[InvalidOperation] = []
    list_errors = InvalidOperation.list_errors

    def note(operation: InvalidOperation) -> list[Mapping[str, Any]]:
        described.append(operation)
        return list_errors(operation)

    monkeypatch.setattr(InvalidOperation, "list_errors", note)
    answer = await sent(somebody, *[creating(**{f"k{it}": 1 for it in range(30)})] * 1_000)

    # Of each operation 20 errors are told at most.
    assert (len(answer.json()["errors"]), len(described)) == (100, 6)


async def test_what_follows_the_first_hundred_errors_changes_nothing_of_the_status(somebody: Person) -> None:
    answer = await sent(somebody, creating(amount="x"), *[UNKNOWN] * 200)

    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")


# --- how much at once -------------------------------------------------------------------------------------------------


async def test_a_thousand_operations_are_done_and_remembered(app: FastAPI, person: Person) -> None:
    # Nearly a mebibyte of text, which the driver sends to MySQL in more than one INSERT.
    operations = [creating(amount=it, description="🍎" * 235) for it in range(1, 1_001)]

    answer = await sent(person, *operations, **{"Idempotency-Key": "nightly"})
    again = await sent(person, *operations, **{"Idempotency-Key": "nightly"})

    made = [it["expense"] for it in answer.json()["results"]]
    listed = [
        (await person.get(f"/expenses?limit=200&sort=amount&min_amount={it}")).json() for it in range(1, 1_001, 200)
    ]
    assert [it["amount"] for it in made] == [f"{it}.00" for it in range(1, 1_001)]
    assert [it for page in listed for it in page["items"]] == made
    assert (again.text, again.headers["Idempotency-Replayed"]) == (answer.text, "true")
    assert await state_of(app, person) == (1, 1_000)


@pytest.mark.parametrize(("number", "code"), [(0, "too_short"), (1_001, "too_long")])
async def test_more_or_no_operations_are_refused(somebody: Person, number: int, code: str) -> None:
    answer = await sent(somebody, *[UNKNOWN] * number)

    assert (answer.status_code, blamed(answer)) == (422, {"/operations": code})


async def test_a_body_of_a_mebibyte_is_read_and_no_more(somebody: Person) -> None:
    body = json.dumps({"operations": [creating()]}).encode()

    bodies = padded(body, MEBIBYTE), padded(body, MEBIBYTE + 1), in_pieces(padded(body, MEBIBYTE + 1))
    answers = [await somebody.post("/expenses/batch", content=it, headers=JSON) for it in bodies]

    assert [it.status_code for it in answers] == [200, 413, 413]


@pytest.mark.parametrize(
    ("method", "path"), [("PATCH", "/expenses?period=2026"), ("POST", "/expenses/restore"), ("PUT", "/expenses/1")]
)
async def test_other_bodies_stay_within_64_kib(somebody: Person, method: str, path: str) -> None:
    answer = await somebody.request(method, path, content=padded(b"{}", 64 * 1024 + 1), headers=JSON)

    assert answer.status_code == 413


async def test_the_last_category_that_there_is_room_for_is_made(app: FastAPI, person: Person) -> None:
    await fill_categories(app, person, MAX_CATEGORIES - 1)

    results = await done(person, *(creating(category=it) for it in ("New", "NEW", "c0")))

    assert [it["expense"]["category"] for it in results] == ["New", "New", "c0"]


@on_sqlite
async def test_each_operation_that_names_a_category_too_many_is_told_in_its_place(app: FastAPI, person: Person) -> None:
    expense = await spend(person)
    await fill_categories(app, person, MAX_CATEGORIES - 1)

    names = [creating(category=it) for it in ("New", "Beyond", "c0", "BEYOND", "new")]
    answer = await sent(person, *names, UNKNOWN, updating(expense, category="Further"))

    assert (answer.status_code, answer.json()["code"], await state_of(app, person)) == (422, "too_many", (1, 1))
    assert pointers(answer) == [
        f"/operations/{it}" for it in ("1/data/category", "3/data/category", "5/id", "6/data/category")
    ]


async def test_what_a_batch_deletes_makes_room_for_what_it_creates(app: FastAPI, person: Person) -> None:
    expense = await spend(person)
    await count_expenses(app, person, MAX_EXPENSES)
    await done(person, deleting(expense), creating())

    assert await state_of(app, person) == (2, MAX_EXPENSES)


@on_sqlite
async def test_what_a_batch_deletes_later_makes_no_room_before(app: FastAPI, person: Person) -> None:
    expense = await spend(person)
    await count_expenses(app, person, MAX_EXPENSES)

    answer = await sent(person, creating(), deleting(expense))

    assert (answer.status_code, answer.json()["code"]) == (422, "too_many")
    assert [pointer.split("/")[2] for pointer in pointers(answer)] == ["0"]


async def test_an_expense_too_many_keeps_the_others_from_happening(app: FastAPI, person: Person) -> None:
    changed, to_delete = await spend(person), await spend(person)
    await count_expenses(app, person, MAX_EXPENSES)
    before = await whole(person)

    answer = await sent(person, updating(changed, category="New"), deleting(to_delete), creating(), creating())

    assert (answer.status_code, answer.json()["code"]) == (422, "too_many")
    assert (await whole(person), await state_of(app, person)) == (before, (2, MAX_EXPENSES))


@on_sqlite
async def test_an_expense_too_many_is_told_with_all_else_that_is_refused(app: FastAPI, person: Person) -> None:
    await count_expenses(app, person, MAX_EXPENSES - 1)

    answer = await sent(person, creating(), creating(), UNKNOWN)

    assert (answer.status_code, answer.json()["code"]) == (422, "too_many")
    assert [pointer.split("/")[2] for pointer in pointers(answer)] == ["1", "2"]


# --- what it costs ----------------------------------------------------------------------------------------------------


@pytest.fixture
def without_returning(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have no INSERT … RETURNING, which MariaDB and SQLite know and MySQL does not."""
    engines = [pool.engine.sync_engine for pool in app.state.services.database.pools]
    for engine in engines:
        monkeypatch.setattr(engine.dialect, "insert_returning", False)
        engine.clear_compiled_cache()
    yield
    for engine in engines:
        engine.clear_compiled_cache()


cost = pytest.mark.usefixtures("noon", "without_returning")
NAMED = ["plain", "named"]


@cost
@pytest.mark.parametrize(("number", "slices"), [(1, 1), (250, 1), (1_000, 4)])
@pytest.mark.parametrize(("fields", "cost", "each"), [((), 5, 1), (("category", "external_id"), 8, 4)], ids=NAMED)
async def test_creates_cost_the_same_save_for_each_slice_of_250(
    person: Person, statements: Statements, number: int, slices: int, fields: tuple[str, ...], cost: int, each: int
) -> None:
    # A slice inserts rows; with names it also looks for ids in the ledger and in the trash, and inserts categories.
    with statements() as asked:
        await done(person, *(creating(**{name: f"{name} {it}" for name in fields}) for it in range(number)))

    assert len(asked) == cost + slices * each, "\n".join(asked)


@cost
@pytest.mark.parametrize("number", [0, 1, 20])
async def test_each_changed_expense_costs_one_more(person: Person, statements: Statements, number: int) -> None:
    same, *expenses = await done(person, *[creating()] * (1 + number))

    with statements() as asked:
        await done(person, creating(), updating(same, amount=12.5), *(updating(it, amount=1) for it in expenses))

    assert len(asked) == 7 + number, "\n".join(asked)


@cost
@pytest.mark.parametrize(("number", "slices"), [(1, 1), (250, 1), (1_000, 4)])
async def test_deletes_cost_the_same_save_for_each_slice_of_250(
    person: Person, statements: Statements, number: int, slices: int
) -> None:
    expenses = await done(person, *[creating()] * number)

    with statements() as asked:
        await done(person, *map(deleting, expenses))

    assert len(asked) == 7 + slices, "\n".join(asked)


@pytest.mark.parametrize("table", [Expense, TrashedExpense])
def test_on_sqlite_expenses_are_looked_up_by_their_ids(sqlite_url: str, table: type[Expense | TrashedExpense]) -> None:
    """OWASP API4 (2023): reading a ledger of a million to compare the ids would hold the file for seconds."""
    asked = select_expenses(table, by_id=True).params(owner=1, ids=[1, 2, 3])
    with make_plain_engine(sqlite_url).connect() as connection:
        sql = asked.compile(connection, compile_kwargs={"render_postcompile": True})
        steps = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", (1, 1, 2, 3))]

    assert steps[0] == f"SEARCH {table.__tablename__} USING INTEGER PRIMARY KEY (rowid=?)"


# --- one by one -------------------------------------------------------------------------------------------------------

BEGINNING: list[dict[str, Any]] = [
    {"external_id": "a", "category": "Food"},
    {"external_id": "b", "amount": "1250", "currency": "JPY"},
    {"amount": "1.255", "currency": "KWD", "description": "tea"},
    {"external_id": "c"},
]
DELETED, NEVER = 3, 4


@dataclass(frozen=True)
class Step:
    """An operation, on one of the rows that a ledger begins with, and how far off the revision is that it says."""

    op: str
    row: int
    data: dict[str, Any]
    off: int | None

    def batched(self, rows: list[dict[str, Any]]) -> Operation:
        row = rows[self.row]
        on = {"id": row["id"]} | ({} if self.off is None else {"revision": row["revision"] + self.off})
        return (
            {"op": self.op} | (on if self.op != "create" else {}) | ({"data": self.data} if self.op != "delete" else {})
        )

    async def alone(self, person: Person, rows: list[dict[str, Any]]) -> httpx.Response:
        row = rows[self.row]
        path, condition = f"/expenses/{row['id']}", {"If-Match": f'"{row["revision"] + (self.off or 0)}"'}
        method, path, body = {
            "create": ("POST", "/expenses", self.data),
            "update": ("PATCH", path, self.data),
            "delete": ("DELETE", path, None),
        }[self.op]
        return await person.request(method, path, json=body, headers={} if self.off is None else condition)

    def blames(self, place: int, alone: httpx.Response) -> list[tuple[str, str]]:
        """Return what a batch must blame in this operation, after what was blamed where it was sent alone."""
        if alone.is_success or (self.op, self.row, alone.status_code) == ("delete", DELETED, 404):
            return []
        told = alone.json().get("errors", [{"header": "", "code": "not_found"}])
        own = {"": "id", "If-Match": "revision"}
        names = [f"data{it['pointer']}" if "pointer" in it else own[it["header"]] for it in told]
        return [(f"/operations/{place}/{name}", it["code"]) for name, it in zip(names, told, strict=True)]

    def result(self, alone: httpx.Response) -> tuple[str, dict[str, Any]]:
        names = {200: "existing" if self.op == "create" else "updated", 201: "created", 204: "deleted", 404: "gone"}
        return names[alone.status_code], {} if self.op == "delete" else alone.json()


amounts = st.sampled_from(["1", "2", "3", "-1250", "12.50", "1.255"])
fields = {
    "currency": st.sampled_from(["EUR", "USD", "KWD", "JPY"]),
    "category": st.sampled_from(["Food", "FOOD", "Gifts", "gifts", None]),
    "description": st.sampled_from(["tea", None]),
    "external_id": st.sampled_from(["a", "c", "x", "X", "y", "z", None, None]),
}
every = st.fixed_dictionaries({"amount": amounts}, optional=fields)
some = st.fixed_dictionaries({}, optional=fields | {"amount": amounts, "date": st.just("2026-11-20")})
rows, offs = st.integers(0, NEVER), st.sampled_from([None, None, 0, 0, 1])
steps = st.lists(
    st.builds(Step, st.just("create"), st.just(0), every, st.none())
    | st.builds(Step, st.just("update"), rows, some, offs)
    | st.builds(Step, st.just("delete"), rows, st.just({}), offs),
    min_size=1,
    max_size=8,
    unique_by=lambda it: id(it) if it.op == "create" else it.row,
)


async def begun(person: Person) -> list[dict[str, Any]]:
    """Let a ledger begin, and return its rows, the last of which never was."""
    expenses = [await spend(person, **it) for it in BEGINNING]
    await person.delete(f"/expenses/{expenses[DELETED]['id']}")
    return [*expenses, NOBODYS]


def lasting(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out what is not the same in two ledgers that hold the same."""
    return [{name: it[name] for name in it.keys() - {"id", "revision"}} for it in rows]


@hunts(5)
@given(steps=steps)
async def test_a_batch_does_and_refuses_what_its_operations_would_one_by_one(
    app: FastAPI, noon: time_machine.Traveller, sign_up: SignUp, steps: list[Step]
) -> None:
    person, twin = await sign_up(), await sign_up()
    mine, theirs = await begun(person), await begun(twin)
    before = await whole(person)
    noon.shift(60)
    alone = [(step, await step.alone(twin, theirs)) for step in steps]
    await spend(twin)
    blames = [step.blames(place, answer) for place, (step, answer) in enumerate(alone)]
    good = [it for it, blamed in zip(alone, blames, strict=True) if not blamed]

    # Once with one more that is always refused, and once without any that is.
    refused = await sent(person, *(step.batched(mine) for step in steps), {"op": "remove"})
    told = [it for blamed in blames for it in blamed] + [(f"/operations/{len(steps)}/op", "not_allowed")]
    kinds = [(it.status_code, it.json()["code"]) for (_, it), blamed in zip(alone, blames, strict=True) if blamed]
    assert errors(refused) == told
    assert (refused.status_code, refused.json()["code"]) == [*kinds, (422, "validation_failed")][0]
    assert await whole(person) == before

    results = await done(person, *(step.batched(mine) for step, _ in good), creating())
    shown = [(it["status"], lasting([it["expense"] or {}])) for it in results[:-1]]
    assert shown == [(status, lasting([expense])) for status, expense in (it.result(answer) for it, answer in good)]
    assert [*map(lasting, await whole(person))] == [*map(lasting, await whole(twin))]
    assert (await state_of(app, person))[1] == (await state_of(app, twin))[1]
