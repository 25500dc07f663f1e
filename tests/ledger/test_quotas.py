"""How much an account can make the service keep: texts, the trash, and remembered answers (ASVS 5.0 2.4.1)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from random import Random

import httpx
import pytest
import time_machine
from fastapi import FastAPI
from sqlalchemy import Connection, bindparam, func, select, text

from admin.invariants import INVARIANTS
from ledger import expiry
from models import LedgerState, TrashedExpense
from tests.support.databases import on_sqlite, try_cases
from tests.support.expenses import change, creating, discard, ids, read, restore, send_batch, several, spend
from tests.support.ledgers import state_of
from tests.support.people import Person
from tests.support.settings import NOON

SetQuotas = Callable[..., None]

KEY = "Idempotency-Key"
APPLES = "🍎" * 500
COUNTERS = {"expense_count", "trash_count", "text_bytes", "answer_bytes"}


@pytest.fixture
def set_quotas(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> SetQuotas:
    """A function that sets other quotas: `set_quotas(text_bytes=100)`."""

    def set_quotas(**quotas: int) -> None:
        settings = app.state.services.settings.model_copy(update=quotas)
        monkeypatch.setitem(app.state._state, "services", replace(app.state.services, settings=settings))

    return set_quotas


def counters_of(outside: Connection, person: Person) -> dict[str, int]:
    """Return what the ledger of somebody counts."""
    outside.rollback()
    columns = [getattr(LedgerState, name) for name in sorted(COUNTERS)]
    found = select(*columns).where(LedgerState.owner_id == bindparam("owner"))
    return dict(outside.execute(found, {"owner": person.user["id"]}).one()._mapping)


def miscounted(outside: Connection, person: Person) -> list[str]:
    """Return the counters of a ledger that differ from its rows."""
    outside.rollback()
    counted = [invariant for invariant in INVARIANTS if invariant.code in COUNTERS]
    return [it.code for it in counted if person.user["id"] in outside.execute(it.violations).scalars().all()]


def too_many(answer: httpx.Response) -> list[str]:
    """Return the fields that are to blame, after a check that the limit of an account is the reason."""
    assert (answer.status_code, answer.json()["code"]) == (422, "too_many"), answer.text
    return [error["pointer"] for error in answer.json().get("errors", ())]


async def spend_with_key(person: Person, key: str) -> httpx.Response:
    return await person.post("/expenses", json={"amount": "1.00"}, headers={KEY: key})


# --- remembered answers -----------------------------------------------------------------------------------------------


async def test_there_is_room_for_so_many_remembered_answers(
    set_quotas: SetQuotas, app: FastAPI, noon: time_machine.Traveller, person: Person, stranger: Person
) -> None:
    set_quotas(remembered_bytes=600)
    first = await spend_with_key(person, "1")
    noon.move_to(NOON + timedelta(seconds=10))
    await spend_with_key(person, "2")
    refused = await spend_with_key(person, "3")

    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_requests")
    assert refused.headers["Retry-After"] == str(24 * 60 * 60 - 10 + 1)
    assert "take 600 bytes" in refused.json()["detail"]
    assert "without the key, or again after 2026-11-23T12:00:00Z" in refused.json()["detail"]
    assert [error["header"] for error in refused.json()["errors"]] == [KEY]
    assert await state_of(app, person) == (2, 2)
    assert (await spend_with_key(person, "1")).content == first.content
    assert (await person.post("/expenses", json={"amount": "1.00"})).status_code == 201
    assert (await spend_with_key(stranger, "3")).status_code == 201


async def test_expired_answers_make_room_for_new_ones(
    set_quotas: SetQuotas,
    noon: time_machine.Traveller,
    monkeypatch: pytest.MonkeyPatch,
    person: Person,
    outside: Connection,
) -> None:
    monkeypatch.setattr(expiry, "MAX_ANSWERS_SWEPT", 1)
    set_quotas(remembered_bytes=600)
    for key in ("1", "2"):
        await spend_with_key(person, key)
    noon.move_to(NOON + timedelta(hours=24, seconds=1))
    person.bear(await person.open_session())
    answer = await spend_with_key(person, "3")

    assert answer.status_code == 201
    assert miscounted(outside, person) == []


async def test_an_expired_key_that_is_sent_again_is_counted_once(
    noon: time_machine.Traveller, person: Person, outside: Connection
) -> None:
    await spend_with_key(person, "1")
    noon.move_to(NOON + timedelta(hours=24, seconds=1))
    person.bear(await person.open_session())
    await spend_with_key(person, "1")

    assert miscounted(outside, person) == []


async def test_an_answer_of_a_write_that_changes_nothing_is_counted(person: Person, outside: Connection) -> None:
    expense = await spend(person)
    answer = await person.patch(f"/expenses/{expense['id']}", json={"amount": "12.50"}, headers={KEY: "1"})

    assert counters_of(outside, person)["answer_bytes"] == 200 + 1 + len(answer.content)
    assert (await read(person, expense))["revision"] == 1


# --- the trash --------------------------------------------------------------------------------------------------------


async def test_the_trash_holds_so_many_expenses(set_quotas: SetQuotas, app: FastAPI, person: Person) -> None:
    set_quotas(trash_rows=2)
    gone, left, other = await several(person)
    await discard(person, gone)
    together = await person.delete("/expenses?currency=EUR")
    deletes = [{"op": "delete", "id": it["id"]} for it in (left, other)]
    batch = await send_batch(person, *deletes)
    await discard(person, left)
    one = await person.delete(f"/expenses/{other['id']}")

    assert (too_many(together), too_many(batch), too_many(one)) == ([], ["/operations/1"], [])
    assert "empty it first" in one.json()["detail"]
    assert await state_of(app, person) == (5, 1)
    assert await ids(person) == [left["id"], gone["id"]]


async def test_what_leaves_the_trash_makes_room(set_quotas: SetQuotas, person: Person, outside: Connection) -> None:
    set_quotas(trash_rows=2)
    first, second, third = await several(person)
    await discard(person, first, second)
    await restore(person, first)
    await discard(person, third)
    emptied = await person.delete("/expenses/trash")
    await discard(person, first)

    assert emptied.status_code == 204
    assert await ids(person) == [first["id"]]
    assert miscounted(outside, person) == []


async def test_a_trash_full_of_what_has_expired_can_be_emptied(
    set_quotas: SetQuotas,
    noon: time_machine.Traveller,
    monkeypatch: pytest.MonkeyPatch,
    person: Person,
    outside: Connection,
) -> None:
    monkeypatch.setattr(expiry, "MAX_EXPENSES_SWEPT", 0)
    set_quotas(trash_rows=1)
    gone, live = await several(person, 2, description="Apples")
    await discard(person, gone)
    noon.move_to(NOON + timedelta(days=40))
    person.bear(await person.open_session())
    refused = await person.delete(f"/expenses/{live['id']}")
    await person.delete("/expenses/trash")

    assert too_many(refused) == []
    await discard(person, live)
    assert counters_of(outside, person)["text_bytes"] == len("Apples")
    assert miscounted(outside, person) == []


# --- texts ------------------------------------------------------------------------------------------------------------


async def test_a_bulk_change_cannot_fill_the_disk(
    set_quotas: SetQuotas, app: FastAPI, person: Person, outside: Connection
) -> None:
    set_quotas(text_bytes=10_000)
    await send_batch(person, *[creating(description="Apples")] * 10)
    refused = await person.patch("/expenses?currency=EUR", json={"description": APPLES, "category": "New"})

    assert too_many(refused) == ["/description"]
    assert "take at most 9.8 KiB" in refused.json()["detail"]
    assert "empty the trash" in refused.json()["detail"]
    assert await state_of(app, person) == (1, 10)
    assert (await person.get("/categories")).json()["items"] == []
    assert counters_of(outside, person)["text_bytes"] == 60


async def test_a_bulk_change_counts_what_it_adds_to_those_that_it_changes(person: Person, outside: Connection) -> None:
    await several(person, description="Äpfel", currency="USD")
    await spend(person, description="Pears", currency="USD")
    await spend(person, currency="USD", external_id="bank-1")
    added = await person.patch("/expenses?currency=USD", json={"description": "Pears"})

    assert (added.json()["matched"], counters_of(outside, person)["text_bytes"]) == (5, 5 * len("Pears") + 6)
    await person.patch("/expenses?currency=USD", json={"description": None})
    assert counters_of(outside, person)["text_bytes"] == 6


TOO_LONG: dict[str, object] = {"description": "Äpfel und Birnen"}


@try_cases(
    "method, path, body, pointer",
    on_both=[
        ("POST", "/expenses", {"amount": "1.00"} | TOO_LONG, "/description"),
        ("PATCH", "/expenses?currency=EUR", TOO_LONG, "/description"),
    ],
    on_sqlite=[
        ("POST", "/expenses", {"amount": "1.00", "external_id": "a rather long one"}, "/external_id"),
        ("PATCH", "/expenses/{id}", TOO_LONG | {"external_id": "x"}, "/description"),
        ("PATCH", "/expenses/{id}", {"external_id": "a rather long one"}, "/external_id"),
        (
            "PUT",
            "/expenses/{id}",
            {"amount": "1.00", "currency": "EUR", "date": "2026-11-22"} | TOO_LONG,
            "/description",
        ),
        (
            "POST",
            "/expenses/batch",
            {"operations": [creating(), creating(**TOO_LONG)]},
            "/operations/1/data/description",
        ),
    ],
)
async def test_texts_take_so_many_bytes_and_what_adds_to_them_is_refused(
    set_quotas: SetQuotas, app: FastAPI, person: Person, method: str, path: str, body: object, pointer: str
) -> None:
    set_quotas(text_bytes=16)
    expense = await spend(person, description="Apples")
    answer = await person.request(method, path.format(id=expense["id"]), json=body)

    assert too_many(answer) == [pointer]
    assert await state_of(app, person) == (1, 1)
    assert await read(person, expense) == expense


async def test_a_batch_is_measured_as_a_whole(set_quotas: SetQuotas, person: Person, outside: Connection) -> None:
    set_quotas(text_bytes=12)
    expense = await spend(person, description="Apples")
    shorter = {"op": "update", "id": expense["id"], "data": {"description": None}}
    longer = [creating(description="Pears"), creating(description="Plums")]
    refused = await send_batch(person, *longer, shorter)
    done = await send_batch(person, shorter, *longer)

    assert too_many(refused) == ["/operations/1/data/description"]
    assert (done.status_code, counters_of(outside, person)["text_bytes"]) == (200, 10)


async def test_where_there_are_too_many_texts_everything_else_goes_on(
    set_quotas: SetQuotas, person: Person, outside: Connection
) -> None:
    expense, other = await several(person, 2, description="Äpfel", external_id=None)
    set_quotas(text_bytes=5)
    await spend(person, category="Food")
    await change(person, expense, amount="1.00", category="Rent", description="Äpfel")
    await change(person, expense, description="Pears")
    await person.patch("/expenses?currency=EUR", json={"description": "Pl"})
    await discard(person, other)
    await restore(person, other)
    await discard(person, other)
    emptied = await person.delete("/expenses/trash")

    assert (emptied.status_code, counters_of(outside, person)["text_bytes"]) == (204, 2 * len("Pl"))
    assert miscounted(outside, person) == []


async def test_the_texts_in_the_trash_count_until_it_is_emptied(set_quotas: SetQuotas, person: Person) -> None:
    set_quotas(text_bytes=8)
    await discard(person, await spend(person, description="Apples"))
    refused = await person.post("/expenses", json={"amount": "1.00", "description": "Pears"})
    await person.delete("/expenses/trash")

    assert too_many(refused) == ["/description"]
    assert (await spend(person, description="Pears"))["description"] == "Pears"


async def test_the_texts_of_one_account_are_not_those_of_another(
    set_quotas: SetQuotas, person: Person, stranger: Person
) -> None:
    set_quotas(text_bytes=8)
    await spend(person, description="Apples")

    assert (await spend(stranger, description="Apples"))["description"] == "Apples"


async def test_a_quota_of_zero_is_none(set_quotas: SetQuotas, person: Person) -> None:
    set_quotas(text_bytes=0, trash_rows=0, remembered_bytes=0)
    expense = await spend(person, description="Apples")
    await person.patch(f"/expenses/{expense['id']}", json={"description": APPLES}, headers={KEY: "1"})
    await discard(person, expense)

    assert await ids(person) == [expense["id"]]


# --- what is counted --------------------------------------------------------------------------------------------------


async def test_what_is_in_the_way_of_an_external_id_is_counted_out(
    noon: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch, person: Person, outside: Connection
) -> None:
    monkeypatch.setattr(expiry, "MAX_EXPENSES_SWEPT", 0)
    for name in ("bank-1", "bank-2"):
        await discard(person, await spend(person, external_id=name, description="Äpfel"))
    noon.move_to(NOON + timedelta(days=40))
    person.bear(await person.open_session())
    await spend(person, external_id="bank-1")
    await send_batch(person, creating(external_id="bank-2"))

    assert counters_of(outside, person) == {"answer_bytes": 0, "expense_count": 2, "text_bytes": 12, "trash_count": 0}
    assert miscounted(outside, person) == []


async def test_a_sweep_counts_out_what_it_deletes(
    noon: time_machine.Traveller, person: Person, outside: Connection
) -> None:
    gone = await spend(person, description="Äpfel", external_id="bank-1")
    await person.delete(f"/expenses/{gone['id']}", headers={KEY: "1"})
    noon.move_to(NOON + timedelta(days=40))
    person.bear(await person.open_session())
    await spend(person)

    assert counters_of(outside, person) == {"answer_bytes": 0, "expense_count": 1, "text_bytes": 0, "trash_count": 0}


def choose_write(random: Random, live: list[int], trashed: list[int]) -> tuple[str, str, object]:
    """Return the method, path and body of a write, which may also be refused, or find nothing to do."""
    live_id, trashed_id = random.choice(live or [1]), random.choice(trashed or [1])
    texts = {"description": random.choice(["Äpfel", "🍎🍎", "", "a longer one\nof two lines"])}
    texts |= {"external_id": random.choice([None, *"ÄBCDE"])}
    create, update = creating(**texts), {"op": "update", "id": live_id, "data": texts}
    writes: list[tuple[str, str, object]] = [
        ("POST", "/expenses", create["data"]),
        ("POST", "/expenses/batch", {"operations": [create, update, {"op": "delete", "id": trashed_id}]}),
        ("POST", "/expenses/batch", {"operations": [create] * 3}),
        ("PATCH", f"/expenses/{live_id}", texts),
        ("PATCH", "/expenses?from=2026-01-01", {"description": texts["description"]}),
        ("DELETE", f"/expenses/{live_id}", None),
        ("DELETE", "/expenses?q=pf", None),
        ("DELETE", "/expenses/trash", None),
        ("POST", f"/expenses/{trashed_id}/restore", None),
        ("POST", "/expenses/restore", {"revision": random.randrange(1, 30)}),
    ]
    return random.choice(writes)


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_is_done_the_counters_are_those_of_the_rows(
    app: FastAPI,
    noon: time_machine.Traveller,
    monkeypatch: pytest.MonkeyPatch,
    person: Person,
    outside: Connection,
    seed: int,
) -> None:
    monkeypatch.setattr(expiry, "MAX_EXPENSES_SWEPT", 1)
    random = Random(seed)
    for _ in range(60):
        noon.shift(timedelta(days=random.choice([0, 0, 0, 1, 35])))
        person.bear(await person.open_session())
        live, trashed = await ids(person, "/expenses?limit=200"), await ids(person)
        method, path, body = choose_write(random, live, trashed)
        headers = random.choice([{}, {KEY: f"{random.randrange(20)}"}])
        await person.request(method, path, json=body, headers=headers)

    assert miscounted(outside, person) == []
    assert (await state_of(app, person))[0] > 20


@on_sqlite
async def test_a_counter_that_is_wrong_is_noticed_here(person: Person, outside: Connection) -> None:
    await discard(person, await spend(person, description="Apples"))
    owner = {"owner": person.user["id"]}
    outside.execute(text("UPDATE trash SET description = 'Äpples' WHERE owner_id = :owner"), owner)
    outside.commit()

    assert miscounted(outside, person) == ["text_bytes"]
    assert outside.execute(select(func.count()).where(TrashedExpense.owner_id == owner["owner"])).scalar_one() == 1


async def test_at_the_quota_a_tag_can_be_taken_off_and_none_put_on(person: Person, set_quotas: SetQuotas) -> None:
    expense = await spend(person, tags=["ab", "cd"])
    other = await spend(person, tags=["ab", "ef"])
    set_quotas(text_bytes=10)
    taken_off = await person.patch(f"/expenses/{expense['id']}", json={"tags": ["ab"]})
    in_bulk = await person.patch("/expenses", params={"tag": "ef"}, json={"remove_tags": ["ab"]})
    put_on = await person.patch(f"/expenses/{other['id']}", json={"tags": ["ef", "cd"]})

    assert (taken_off.json()["tags"], in_bulk.status_code) == (["ab"], 200)
    assert too_many(put_on) == ["/tags"]


# --- payees at the quota ----------------------------------------------------------------------------------------------


@pytest.fixture
def payee_at_the_quota(set_quotas: SetQuotas) -> str:
    """The name of a payee that fills the quota: its bytes count in the expense and among the payees."""
    payee = "a payee of just thirty letters"
    set_quotas(text_bytes=2 * len(payee))
    return payee


@pytest.mark.parametrize("path", ["/expenses/{id}", "/expenses?currency=EUR"])
async def test_at_the_quota_a_payee_can_become_shorter(
    payee_at_the_quota: str, person: Person, outside: Connection, path: str
) -> None:
    expense = await spend(person, payee=payee_at_the_quota)
    shorter = payee_at_the_quota[2:]
    changed = await person.patch(path.format(id=expense["id"]), json={"payee": shorter})

    assert changed.status_code == 200
    assert (await read(person, expense))["payee"] == shorter
    assert (counters_of(outside, person)["text_bytes"], miscounted(outside, person)) == (2 * len(shorter), [])


async def test_at_the_quota_a_batch_can_exchange_a_payee(payee_at_the_quota: str, person: Person) -> None:
    expense = await spend(person, payee=payee_at_the_quota)
    update = {"op": "update", "id": expense["id"], "data": {"payee": payee_at_the_quota[::-1]}}

    assert (await send_batch(person, update)).status_code == 200


@pytest.mark.parametrize("is_batch", [False, True])
async def test_a_payee_without_room_is_refused_and_nothing_is_written(
    payee_at_the_quota: str, app: FastAPI, person: Person, is_batch: bool
) -> None:
    refused = {"payee": payee_at_the_quota + "."}
    answer = (
        await send_batch(person, creating(**refused))
        if is_batch
        else await person.post("/expenses", json=refused | {"amount": "1"})
    )

    assert too_many(answer) == ["/operations" if is_batch else "/payee"]
    assert await state_of(app, person) == (0, 0)


async def test_a_bulk_change_to_a_payee_without_room_is_refused(payee_at_the_quota: str, person: Person) -> None:
    expense = await spend(person)
    answer = await person.patch("/expenses?currency=EUR", json={"payee": payee_at_the_quota + "."})

    assert too_many(answer) == ["/payee"]
    assert await read(person, expense) == expense


async def test_the_emptied_trash_makes_the_room_of_its_payees_too(
    payee_at_the_quota: str, person: Person, outside: Connection
) -> None:
    await discard(person, await spend(person, payee=payee_at_the_quota))
    await person.delete("/expenses/trash")

    assert counters_of(outside, person)["text_bytes"] == 0
    assert (await spend(person, description=2 * payee_at_the_quota))["payee"] is None
    assert miscounted(outside, person) == []
