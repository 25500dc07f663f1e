"""Creates of a batch whose `external_id` is known: they keep the expense, or give it the fields that are sent."""

from typing import Any

import httpx
import pytest
import time_machine
from fastapi import FastAPI

from tests.support.databases import on_sqlite, try_cases
from tests.support.expenses import discard, ids, read, send_batch, spend
from tests.support.ledgers import state_of
from tests.support.people import Person, SignUp
from tests.support.problems import blamed

Row = dict[str, Any]
Operation = dict[str, Any]


def recording(external_id: str, *, existing: str | None = None, **fields: object) -> Operation:
    """Record an expense with this `external_id`, of 12.50 unless the fields say otherwise."""
    operation = {"op": "create", "data": {"amount": "12.50", "external_id": external_id} | fields}
    return operation if existing is None else operation | {"existing": existing}


def replacing(external_id: str, **fields: object) -> Operation:
    """Record an expense with this `external_id`, or change the one that has it."""
    return recording(external_id, existing="update", **fields)


def updating(expense: Row, **fields: object) -> Operation:
    """Change these fields of an expense, which is named by its id."""
    return {"op": "update", "id": expense["id"], "data": fields}


def deleting(expense: Row) -> Operation:
    """Delete an expense, which is named by its id."""
    return {"op": "delete", "id": expense["id"]}


async def sent(person: Person, *operations: Operation, existing: str) -> httpx.Response:
    """Send operations as a batch that says for all of them what becomes of what exists."""
    return await person.post("/expenses/batch", json={"operations": operations, "existing": existing})


def results(answer: httpx.Response) -> list[Row]:
    """Return the results of a batch that was done."""
    assert answer.status_code == httpx.codes.OK, answer.text
    found: list[Row] = answer.json()["results"]
    return found


def statuses(answer: httpx.Response) -> list[str]:
    """Return the statuses of the results of a batch that was done."""
    return [it["status"] for it in results(answer)]


# Updated or kept


async def test_a_known_expense_gets_the_fields_that_are_sent(noon: time_machine.Traveller, person: Person) -> None:
    expense = await spend(person, external_id="bank-1", category="Food", payee="Baker", description="Bread")
    noon.shift(60)

    answer = await send_batch(person, replacing("bank-1", amount="3.20", payee="Butcher"))

    changed = {"amount": "3.20", "payee": "Butcher", "revision": 2, "updated_at": "2026-11-22T12:01:00Z"}
    assert results(answer) == [{"status": "updated", "id": expense["id"], "expense": expense | changed}]
    assert (answer.json()["revision"], await read(person, expense)) == (2, expense | changed)


async def test_an_unknown_one_is_created(person: Person) -> None:
    [result] = results(await send_batch(person, replacing("bank-1", amount="3.20")))

    assert (result["status"], result["expense"]) == ("created", await read(person, result))


@pytest.mark.usefixtures("noon")
async def test_the_defaults_of_a_create_change_nothing(person: Person) -> None:
    everything = {"category": "Food", "payee": "Baker", "description": "Bread", "tags": ["shared"]}
    expense = await spend(person, external_id="a", amount="1250", currency="JPY", date="2026-01-02", **everything)

    [result] = results(await send_batch(person, replacing("a", amount="1250")))

    assert (result["status"], result["expense"]) == ("existing", expense)


async def test_what_is_sent_beside_the_operations_is_meant_for_all(person: Person) -> None:
    first, second = [await spend(person, external_id=it) for it in "ab"]

    answer = await sent(person, *(recording(it, amount="1.00") for it in "abc"), existing="update")

    assert statuses(answer) == ["updated", "updated", "created"]
    assert [(await read(person, it))["amount"] for it in (first, second)] == ["1.00", "1.00"]


@pytest.mark.parametrize(
    ("of_one", "of_all", "status"),
    [
        ("keep", "update", "existing"),
        ("update", "keep", "updated"),
        ("update", "update", "updated"),
        ("keep", "keep", "existing"),
        (None, "keep", "existing"),
        (None, "update", "updated"),
    ],
)
async def test_what_an_operation_says_counts_before_what_all_say(
    person: Person, of_one: str | None, of_all: str, status: str
) -> None:
    await spend(person, external_id="bank-1")

    answer = await sent(person, recording("bank-1", existing=of_one, amount="1.00"), existing=of_all)

    assert statuses(answer) == [status]


async def test_a_known_expense_is_kept_unless_something_else_is_said(person: Person) -> None:
    expense = await spend(person, external_id="bank-1")

    answer = await send_batch(person, recording("bank-1", amount="1.00", category="New"))

    assert results(answer) == [{"status": "existing", "id": expense["id"], "expense": expense}]
    assert (await person.get("/categories")).json()["items"] == []


async def test_creates_without_an_external_id_are_always_new(person: Person) -> None:
    create = {"op": "create", "existing": "update", "data": {"amount": "1.00"}}

    assert statuses(await send_batch(person, create, create)) == ["created", "created"]


async def test_a_strangers_expense_is_not_the_one_that_is_known(person: Person, stranger: Person) -> None:
    theirs = await spend(stranger, external_id="bank-1")

    assert statuses(await send_batch(person, replacing("bank-1", amount="1.00"))) == ["created"]
    assert await read(stranger, theirs) == theirs


# Nothing to change


async def test_an_expense_that_has_the_values_already_takes_no_revision(app: FastAPI, person: Person) -> None:
    expense = await spend(person, external_id="bank-1", category="Food", payee="Baker", tags=["b", "a"])

    same = replacing("bank-1", category="FOOD", payee="Baker", tags=["A", "b"], currency="eur")
    answer = await send_batch(person, same)

    assert results(answer) == [{"status": "existing", "id": expense["id"], "expense": expense}]
    assert (answer.json()["revision"], await state_of(app, person)) == (1, (1, 1))


async def test_a_batch_sent_again_changes_nothing(app: FastAPI, person: Person) -> None:
    operations = [replacing("a", amount="1.00"), replacing("b", payee="Baker"), replacing("c", tags=["x"])]
    first = await send_batch(person, *operations)
    again = await send_batch(person, *operations)

    assert (statuses(first), statuses(again)) == (["created"] * 3, ["existing"] * 3)
    assert [it["expense"] for it in results(first)] == [it["expense"] for it in results(again)]
    assert await state_of(app, person) == (1, 3)


# In the trash


async def test_what_is_in_the_trash_stays_deleted_as_it_was(app: FastAPI, person: Person) -> None:
    expense = await spend(person, external_id="bank-1")
    await discard(person, expense)
    [trashed] = (await person.get("/expenses/trash")).json()["items"]

    answer = await send_batch(person, replacing("bank-1", amount="1.00", category="New"))

    assert results(answer) == [{"status": "existing", "id": expense["id"], "expense": trashed}]
    assert (await person.get("/expenses/trash")).json()["items"] == [trashed]
    assert await state_of(app, person) == (2, 0)


async def test_what_the_batch_has_deleted_stays_deleted(person: Person) -> None:
    expense = await spend(person, external_id="bank-1")

    answer = await send_batch(person, deleting(expense), replacing("bank-1", amount="1.00"))

    assert statuses(answer) == ["deleted", "existing"]
    assert (await ids(person, "/expenses"), await ids(person)) == ([], [expense["id"]])
    assert results(answer)[1]["expense"]["amount"] == "12.50"


# The same external id again


async def test_an_external_id_sent_again_acts_on_what_the_first_has_left(person: Person) -> None:
    expense = await spend(person, external_id="bank-1", category="Food")

    answer = await send_batch(person, replacing("bank-1", amount="1.00"), replacing("bank-1", payee="Baker", amount=2))

    assert statuses(answer) == ["updated", "updated"]
    assert [it["expense"]["amount"] for it in results(answer)] == ["1.00", "2.00"]
    left = expense | {"amount": "2.00", "payee": "Baker", "revision": 2}
    assert (
        results(answer)[1]["expense"]
        == await read(person, expense)
        == left | {"updated_at": results(answer)[1]["expense"]["updated_at"]}
    )


async def test_an_external_id_sent_again_acts_on_what_was_created_in_the_same_batch(
    app: FastAPI, person: Person
) -> None:
    again = replacing("a", amount="2.00", category="Gifts", payee="Baker", description="Bread", tags=["x"])
    answer = await send_batch(person, replacing("a", category="Food"), again, replacing("a", amount="2.00"))

    created, updated, same = results(answer)
    assert statuses(answer) == ["created", "updated", "existing"]
    assert (created["expense"]["amount"], created["expense"]["category"]) == ("12.50", "Food")
    assert updated["expense"] == same["expense"] == await read(person, created)
    assert await state_of(app, person) == (1, 1)


async def test_what_a_create_was_changed_to_is_found(person: Person) -> None:
    again = replacing("a", payee="Café", description="Brötchen", tags=["x"], category="Food")
    [created, _] = results(await send_batch(person, replacing("a", payee="Butcher", tags=["y"]), again))

    queries = ["q=cafe", "q=brotchen", "payee=CAFÉ", "tag=x", "category=food"]
    assert [await ids(person, f"/expenses?{query}") for query in queries] == [[created["id"]]] * 5
    assert [await ids(person, f"/expenses?{query}") for query in ("q=butcher", "payee=butcher", "tag=y")] == [[]] * 3


async def test_an_update_that_is_repeated_back_leaves_the_values_as_they_were(person: Person) -> None:
    expense = await spend(person, external_id="bank-1", amount="5.00", category="Food", payee="Baker")

    there = replacing("bank-1", amount="1.00", category="Gifts", payee="Butcher")
    back = replacing("bank-1", amount="5.00", category="Food", payee="Baker")
    answer = await send_batch(person, there, back)

    shown = await read(person, expense)
    assert statuses(answer) == ["updated", "updated"]
    assert {name: shown[name] for name in ("amount", "category", "payee")} == {
        "amount": "5.00",
        "category": "Food",
        "payee": "Baker",
    }


async def test_keep_after_update_shows_what_the_update_has_left(person: Person) -> None:
    await spend(person, external_id="bank-1")

    answer = await send_batch(person, replacing("bank-1", amount="1.00"), recording("bank-1", amount="2.00"))

    assert statuses(answer) == ["updated", "existing"]
    assert [it["expense"]["amount"] for it in results(answer)] == ["1.00", "1.00"]


async def test_results_stand_in_the_order_of_the_operations(person: Person) -> None:
    first, second = [await spend(person, external_id=it) for it in "ab"]

    operations = [replacing("c"), replacing("b", amount=1), updating(first, amount=2), replacing("d")]
    answer = await send_batch(person, *operations)

    assert statuses(answer) == ["created", "updated", "updated", "created"]
    assert [it["id"] for it in results(answer)][1:3] == [second["id"], first["id"]]
    assert [await read(person, it) for it in results(answer)] == [it["expense"] for it in results(answer)]


# One id, named twice


async def refused(person: Person, *operations: Operation) -> tuple[int, dict[str, str]]:
    """Return the status and the blamed fields of a batch that is refused."""
    answer = await send_batch(person, *operations)
    return answer.status_code, blamed(answer)


async def test_an_expense_is_not_changed_by_its_external_id_and_then_by_its_id(person: Person) -> None:
    expense = await spend(person, external_id="bank-1")

    refusal = await refused(person, replacing("bank-1", amount="1.00"), updating(expense, amount="2.00"))

    assert refusal == (422, {"/operations/1/id": "not_allowed"})
    assert await read(person, expense) == expense


async def test_an_expense_is_not_changed_by_its_id_and_then_by_its_external_id(person: Person) -> None:
    expense = await spend(person, external_id="bank-1")

    refusal = await refused(person, updating(expense, amount="2.00"), replacing("bank-1", amount="1.00"))

    assert refusal == (422, {"/operations/1/data/external_id": "not_allowed"})
    assert await read(person, expense) == expense


async def test_an_expense_is_not_found_by_an_external_id_that_the_batch_has_given_it(person: Person) -> None:
    expense = await spend(person)

    refusal = await refused(person, updating(expense, external_id="bank-1"), replacing("bank-1", amount="1.00"))

    assert refusal == (422, {"/operations/1/data/external_id": "not_allowed"})


async def test_an_expense_is_not_changed_by_its_external_id_and_then_deleted(person: Person) -> None:
    expense = await spend(person, external_id="bank-1")

    refusal = await refused(person, replacing("bank-1", amount="1.00"), deleting(expense))

    assert refusal == (422, {"/operations/1/id": "not_allowed"})
    assert await ids(person, "/expenses") == [expense["id"]]


@on_sqlite
async def test_every_further_occurrence_is_told(person: Person) -> None:
    first, second = [await spend(person, external_id=it) for it in "ab"]

    changes = [replacing("a"), updating(second, amount=2), updating(first, amount=3), replacing("b", amount=4)]

    assert await refused(person, *changes) == (
        422,
        {"/operations/2/id": "not_allowed", "/operations/3/data/external_id": "not_allowed"},
    )


@on_sqlite
async def test_a_kept_expense_may_be_changed_by_its_id(person: Person) -> None:
    expense = await spend(person, external_id="bank-1")

    answer = await send_batch(person, recording("bank-1"), updating(expense, amount="2.00"), recording("bank-1"))

    assert statuses(answer) == ["existing", "updated", "existing"]


@on_sqlite
async def test_an_external_id_that_has_moved_on_is_that_of_another_expense(person: Person) -> None:
    first = await spend(person, external_id="bank-1")

    answer = await send_batch(person, updating(first, external_id="bank-2"), replacing("bank-1", amount="1.00"))

    assert statuses(answer) == ["updated", "created"]
    assert [it["expense"]["external_id"] for it in results(answer)] == ["bank-2", "bank-1"]


# The fields


async def test_an_amount_is_one_of_the_rows_currency(person: Person) -> None:
    await spend(person, external_id="bank-1", amount="1250", currency="JPY")

    [result] = results(await send_batch(person, replacing("bank-1", amount="980")))

    assert (result["expense"]["amount"], result["expense"]["currency"]) == ("980", "JPY")


async def test_an_amount_that_does_not_fit_the_rows_currency_is_refused(person: Person) -> None:
    expense = await spend(person, external_id="bank-1", amount="1250", currency="JPY")

    refusal = await refused(person, replacing("bank-1", amount="9.80"))

    assert refusal == (422, {"/operations/0/data/amount": "out_of_range"})
    assert await read(person, expense) == expense


async def test_an_amount_may_fit_the_row_and_not_the_users_currency(sign_up: SignUp) -> None:
    person = await sign_up(currency="JPY")
    await spend(person, external_id="bank-1", amount="12.50", currency="EUR")

    answer = await send_batch(person, replacing("bank-1", amount="9.80"))

    assert [it["expense"]["amount"] for it in results(answer)] == ["9.80"]


async def test_an_amount_must_fit_the_currency_that_was_just_created(person: Person) -> None:
    refusal = await refused(person, replacing("a", amount="1250", currency="JPY"), replacing("a", amount="9.80"))

    assert refusal == (422, {"/operations/1/data/amount": "out_of_range"})


async def test_an_amount_and_a_currency_change_together(person: Person) -> None:
    await spend(person, external_id="bank-1", amount="1250", currency="JPY")

    [result] = results(await send_batch(person, replacing("bank-1", amount="9.80", currency="USD")))

    assert (result["expense"]["amount"], result["expense"]["currency"]) == ("9.80", "USD")


@pytest.mark.parametrize(
    ("fields", "left"),
    [
        ({"category": "New"}, {"category": "New"}),
        ({"category": None}, {"category": None}),
        ({"payee": "BAKER"}, {"payee": "BAKER"}),
        ({"payee": None}, {"payee": None}),
        ({"payee": ""}, {"payee": None}),
        ({"description": "Rolls"}, {"description": "Rolls"}),
        ({"description": None}, {"description": None}),
        ({"tags": ["new", "SHARED"]}, {"tags": ["new", "shared"]}),
        ({"tags": []}, {"tags": []}),
        ({"date": "2026-01-02"}, {"date": "2026-01-02"}),
    ],
)
async def test_each_field_that_is_sent_is_set(person: Person, fields: Row, left: Row) -> None:
    expense = await spend(
        person, external_id="bank-1", category="Food", payee="Baker", description="Bread", tags=["shared"]
    )

    [result] = results(await send_batch(person, replacing("bank-1", **fields)))

    moved = {"revision": 2, "updated_at": result["expense"]["updated_at"]}
    assert result["expense"] == await read(person, expense) == expense | left | moved


async def test_a_changed_payee_and_changed_tags_are_found(person: Person) -> None:
    expense = await spend(person, external_id="bank-1", payee="Baker", tags=["old"])
    await send_batch(person, replacing("bank-1", payee="Café", tags=["new"]))

    queries = ["payee=CAFÉ", "q=cafe", "tag=NEW"]
    assert [await ids(person, f"/expenses?{query}") for query in queries] == [[expense["id"]]] * 3
    assert [await ids(person, f"/expenses?{query}") for query in ("payee=baker", "tag=old")] == [[], []]


@try_cases(
    "fields, blame",
    on_both=[({"amount": "0"}, "/operations/0/data/amount")],
    on_sqlite=[
        ({"category": "C" * 51}, "/operations/0/data/category"),
        ({"payee": "p" * 101}, "/operations/0/data/payee"),
        ({"date": None}, "/operations/0/data/date"),
        ({"tags": None}, "/operations/0/data/tags"),
        ({"revision": 1}, "/operations/0/data/revision"),
    ],
)
async def test_a_bad_field_is_refused_and_nothing_changes(person: Person, fields: Row, blame: str) -> None:
    expense = await spend(person, external_id="bank-1")
    status, errors = await refused(person, replacing("bank-1", **fields), replacing("new"))

    assert (status, list(errors)) == (422, [blame])
    assert (await read(person, expense), await ids(person, "/expenses")) == (expense, [expense["id"]])


# What cannot be said


@pytest.mark.wire
@pytest.mark.parametrize(
    ("existing", "code"), [("replace", "not_allowed"), ("", "not_allowed"), (None, "wrong_type"), (True, "wrong_type")]
)
async def test_another_word_is_refused_where_it_stands(somebody: Person, existing: object, code: str) -> None:
    operation = {"op": "create", "data": {"amount": "1.00"}}
    of_one = await somebody.post("/expenses/batch", json={"operations": [operation | {"existing": existing}]})
    of_all = await somebody.post("/expenses/batch", json={"operations": [operation], "existing": existing})

    assert [it.status_code for it in (of_one, of_all)] == [422, 422]
    assert (blamed(of_one), blamed(of_all)) == ({"/operations/0/existing": code}, {"/existing": code})


@pytest.mark.wire
@pytest.mark.parametrize("operation", [{"op": "update", "id": 1, "data": {}}, {"op": "delete", "id": 1}])
async def test_only_a_create_says_what_becomes_of_what_exists(somebody: Person, operation: Operation) -> None:
    answer = await send_batch(somebody, operation | {"existing": "update"})

    assert (answer.status_code, blamed(answer)) == (422, {"/operations/0/existing": "unknown"})


@pytest.mark.wire
async def test_a_create_alone_has_no_such_word(somebody: Person) -> None:
    answer = await somebody.post("/expenses", json={"amount": "1.00", "existing": "update"})

    assert (answer.status_code, blamed(answer)) == (422, {"/existing": "unknown"})


# Replayed


async def test_a_replay_answers_what_was_answered_and_changes_nothing(app: FastAPI, person: Person) -> None:
    await spend(person, external_id="bank-1")
    first = await send_batch(person, replacing("bank-1", amount="1.00"), key="once")
    again = await send_batch(person, replacing("bank-1", amount="1.00"), key="once")

    assert (first.json(), again.headers["Idempotency-Replayed"]) == (again.json(), "true")
    assert await state_of(app, person) == (2, 1)
