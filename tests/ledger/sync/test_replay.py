"""Replays of large batches: stored by ids and statuses, and built again from the expenses (ASVS 5.0 2.4.1)."""

from sqlalchemy import Connection, bindparam, func, select

from ledger.sync.replay import LARGE_BODY
from models import RememberedAnswer
from tests.support.expenses import change, creating, discard, ids, restore, send_batch, several, spend
from tests.support.people import Person

APPLES = "🍎" * 500


async def test_a_batch_of_54_kb_is_remembered_in_64_kb_and_replayed_to_the_last_letter(
    person: Person, outside: Connection
) -> None:
    await spend(person, external_id="x", description=APPLES)
    operations = [creating(external_id="x")] * 1_000
    first = await send_batch(person, *operations, key="once")
    again = await send_batch(person, *operations, key="once")

    size = func.length(RememberedAnswer.body)
    stored = outside.execute(
        select(size).where(RememberedAnswer.owner_id == bindparam("owner")), {"owner": person.user["id"]}
    ).scalar_one()
    assert len(first.content) > 2_000_000
    assert stored < 64 * 1024
    assert again.content == first.content
    without = ("x-request-id", "idempotency-replayed")
    assert {name: it for name, it in again.headers.items() if name not in without} == {
        name: it for name, it in first.headers.items() if name not in without
    }
    assert again.headers["Idempotency-Replayed"] == "true"


async def test_a_large_batch_of_every_operation_is_replayed_to_the_last_letter(person: Person) -> None:
    kept, gone, trashed = await several(person)
    await discard(person, trashed)
    operations = [
        creating(description=APPLES, category="New", external_id="bank-1"),
        *[creating(description=APPLES, amount="-3.20")] * 10,
        {"op": "update", "id": kept["id"], "data": {"description": 'Äpfel\n"quoted"'}},
        {"op": "delete", "id": gone["id"]},
        {"op": "delete", "id": trashed["id"]},
        creating(external_id="bank-1"),
    ]
    first = await send_batch(person, *operations, key="once")
    again = await send_batch(person, *operations, key="once")

    statuses = [it["status"] for it in first.json()["results"]]
    assert [*statuses[:1], *statuses[-4:]] == ["created", "updated", "deleted", "gone", "existing"]
    assert len(first.content) > LARGE_BODY
    assert (again.content, again.headers["Idempotency-Replayed"]) == (first.content, "true")


async def test_the_replay_of_a_large_answer_has_its_expenses_as_they_are_by_then(person: Person) -> None:
    operations = [creating(description=APPLES)] * 20
    first = (await send_batch(person, *operations, key="once")).json()
    changed, trashed, removed, same, *_ = [it["expense"] for it in first["results"]]
    changed = await change(person, changed, amount="2.00")
    await discard(person, removed)
    await person.delete("/expenses/trash")
    await discard(person, trashed)
    again = (await send_batch(person, *operations, key="once")).json()

    now = [it["expense"] for it in again["results"]]
    assert (again["revision"], len(await ids(person, "/expenses"))) == (first["revision"], 18)
    assert [(it["status"], it["id"]) for it in again["results"]] == [
        (it["status"], it["id"]) for it in first["results"]
    ]
    assert (now[0], now[2], now[3]) == (changed, None, same)
    assert now[1]["deleted_at"] is not None


async def test_what_a_large_batch_deleted_is_null_in_its_replay_though_it_was_restored(person: Person) -> None:
    gone = await spend(person)
    operations = [{"op": "delete", "id": gone["id"]}, *[creating(description=APPLES)] * 20]
    await send_batch(person, *operations, key="once")
    await restore(person, gone)
    again = await send_batch(person, *operations, key="once")

    assert again.json()["results"][0] == {"status": "deleted", "id": gone["id"], "expense": None}


async def test_the_answer_of_a_small_batch_is_replayed_as_it_was(person: Person) -> None:
    first = await send_batch(person, creating(), key="once")
    await change(person, first.json()["results"][0]["expense"], amount="2.00")

    assert (await send_batch(person, creating(), key="once")).content == first.content


async def test_the_largest_answer_about_one_row_is_stored_whole(person: Person) -> None:
    longest = {"description": "\\" * 250 + "\n" * 249 + "a", "category": "🍎" * 50, "external_id": "🍎" * 64}
    answers = [
        await person.post("/expenses", json={"amount": "1.00"} | longest),
        await person.post("/expenses", json={"amount": "1.00", "description": APPLES}),
    ]

    assert max(len(answer.content) for answer in answers) < LARGE_BODY / 5
