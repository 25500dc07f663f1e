"""Tags: created by use, listed, renamed, merged and deleted."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import time_machine
from fastapi import FastAPI
from sqlalchemy import insert

from models import Expense, Tag, TagSet, TrashedExpense
from tests.support import categories
from tests.support.budgets import budget, tombstones
from tests.support.conditions import blame
from tests.support.databases import on_sqlite, try_cases
from tests.support.expenses import change, creating, discard, read, restore, send_batch, spend, undo
from tests.support.ledgers import state_of
from tests.support.people import Person
from tests.support.problems import blamed
from tests.support.tags import count_rows, find, find_damage, listed, names, rename, take_off, where

BY_NAME = ["Äpfel", "apple", "Banana", "cafe", "CAFÉ", "cafés", "straße", "Zoo", "日本語", "🍎"]


async def changes(person: Person, since: int) -> dict[str, Any]:
    """Return what the feed says of the changes after a revision."""
    return dict((await person.get("/changes", params={"since": since})).json())


async def trashed(person: Person) -> list[dict[str, Any]]:
    """Return the expenses in the trash."""
    return list((await person.get("/expenses/trash")).json()["items"])


# Made


@pytest.mark.usefixtures("noon")
async def test_an_expense_makes_its_tag(person: Person) -> None:
    expense = await spend(person, tags=[" holiday "])
    [tag] = await listed(person)

    assert expense["tags"] == ["holiday"]
    assert tag == {
        "id": tag["id"],
        "name": "holiday",
        "revision": expense["revision"],
        "created_at": "2026-11-22T12:00:00Z",
        "updated_at": "2026-11-22T12:00:00Z",
    }


async def test_a_tag_is_read_as_it_is_listed(person: Person) -> None:
    await spend(person, tags=["holiday"])

    answer = await person.get(await where(person, "holiday"))

    assert (answer.json(), answer.headers["ETag"]) == (await find(person, "holiday"), '"1"')


async def test_a_tag_that_has_not_changed_is_not_sent_again(person: Person) -> None:
    await spend(person, tags=["holiday"])

    answer = await person.get(await where(person, "holiday"), headers={"If-None-Match": '"1"'})

    assert (answer.status_code, answer.content) == (304, b"")


async def test_a_second_expense_makes_no_second_tag(person: Person) -> None:
    await spend(person, tags=["holiday"])
    await spend(person, tags=["HOLIDAY"])

    assert await names(person) == ["holiday"]


async def test_a_tag_stays_when_its_last_expense_loses_it(person: Person) -> None:
    expense = await spend(person, tags=["holiday"])
    await change(person, expense, tags=[])

    assert await names(person) == ["holiday"]


@pytest.mark.wire
async def test_tags_are_made_by_expenses_alone(somebody: Person) -> None:
    assert (await somebody.post("/tags", json={"name": "holiday"})).status_code == 405


# Listed


async def test_tags_are_sorted_as_people_do(person: Person) -> None:
    await spend(person, tags=sorted(BY_NAME))

    assert await names(person) == BY_NAME


async def test_tags_come_whole_and_in_the_form_of_lists(person: Person) -> None:
    await spend(person, tags=["holiday"])

    assert (await person.get("/tags")).json() == {"items": [await find(person, "holiday")], "next_cursor": None}


async def test_a_new_ledger_has_no_tags(person: Person) -> None:
    assert (await person.get("/tags?with_usage=true")).json() == {"items": [], "next_cursor": None}


async def test_tags_that_have_not_changed_are_not_sent_again(person: Person) -> None:
    await spend(person, tags=["holiday"])
    seen = {"If-None-Match": (await person.get("/tags")).headers["ETag"]}

    same = await person.get("/tags", headers=seen)
    await spend(person)
    moved = await person.get("/tags", headers=seen)

    assert (same.status_code, moved.status_code) == (304, 200)


async def test_a_tag_says_how_it_is_used(person: Person) -> None:
    await spend(person, tags=["holiday", "shared"], date="2026-11-01")
    await spend(person, tags=["Holiday"], date="2026-11-22")
    await spend(person, tags=["holiday", "work"], date="2026-10-01")
    await spend(person, date="2026-12-01")

    used = [(it["name"], it["expense_count"], it["last_used"]) for it in await listed(person, with_usage="true")]

    assert used == [("holiday", 3, "2026-11-22"), ("shared", 1, "2026-11-01"), ("work", 1, "2026-10-01")]


async def test_what_was_deleted_does_not_count_as_use(person: Person) -> None:
    await discard(person, await spend(person, tags=["holiday"]))

    [tag] = await listed(person, with_usage="true")

    assert (tag["expense_count"], tag["last_used"]) == (0, None)


@pytest.mark.parametrize("query", [{}, {"with_usage": "false"}])
async def test_use_is_told_only_if_asked(person: Person, query: dict[str, str]) -> None:
    await spend(person, tags=["holiday"])

    [tag] = await listed(person, **query)

    assert {"expense_count", "last_used"} & tag.keys() == set()


@pytest.mark.wire
@pytest.mark.parametrize(
    ("query", "blame"), [("with_usage=1", {"with_usage": "wrong_type"}), ("usage=true", {"usage": "unknown"})]
)
async def test_a_list_that_is_asked_for_otherwise_is_refused(
    somebody: Person, query: str, blame: dict[str, str]
) -> None:
    assert blamed(await somebody.get(f"/tags?{query}")) == blame


# Renamed


async def test_a_new_name_is_read_on_every_expense_in_its_place(person: Person) -> None:
    first, second = await spend(person, tags=["b", "c"]), await spend(person, tags=["b"])
    await rename(person, "b", "d")

    assert [(await read(person, it))["tags"] for it in (first, second)] == [["c", "d"], ["d"]]


async def test_a_new_name_takes_one_revision_and_says_when(noon: time_machine.Traveller, person: Person) -> None:
    expense = await spend(person, tags=["holiday"])
    before = await find(person, "holiday")
    noon.shift(60)
    tag = await rename(person, "holiday", " holiday 2026 ")
    now = {"revision": 2, "updated_at": "2026-11-22T12:01:00Z"}

    assert tag == before | now | {"name": "holiday 2026"}
    assert await read(person, expense) == expense | now | {"tags": ["holiday 2026"]}
    assert await find(person, "holiday 2026") == tag


async def test_the_answer_bears_the_new_etag(person: Person) -> None:
    await spend(person, tags=["holiday"])

    answer = await person.patch(await where(person, "holiday"), json={"name": "trip"})

    assert answer.headers["ETag"] == '"2"'


async def test_a_new_name_touches_nothing_else(person: Person, stranger: Person) -> None:
    limit = await budget(person)
    await spend(person, tags=["holiday"], category="Groceries")
    others, theirs = await spend(person, tags=["shared"]), await spend(stranger, tags=["holiday"])
    kept = await categories.listed(person), await find(person, "shared")
    await rename(person, "holiday", "trip")

    assert (await read(person, others), await read(stranger, theirs)) == (others, theirs)
    assert (await categories.listed(person), await find(person, "shared")) == kept
    assert (await person.get(f"/budgets/{limit['id']}")).json() == limit


async def test_the_feed_has_a_renamed_tag_and_its_expenses_anew(person: Person) -> None:
    await spend(person, tags=["shared"], category="Food")
    expense = await spend(person, tags=["holiday", "shared"], category="Food")
    tag = await rename(person, "holiday", "trip")
    found = await changes(person, since=expense["revision"])

    assert (found["tags"], found["expenses"]) == ([tag], [await read(person, expense)])
    assert (found["categories"], found["budgets"], found["deleted"]) == ([], [], [])


async def test_an_expense_read_before_the_new_name_is_stale(person: Person) -> None:
    expense = await spend(person, tags=["holiday"])
    await rename(person, "holiday", "trip")

    assert (await person.patch(f"/expenses/{expense['id']}", json=expense)).status_code == 412


async def test_the_old_name_is_free_again(person: Person) -> None:
    expense = await spend(person, tags=["holiday"])
    await rename(person, "holiday", "trip")
    another = await spend(person, tags=["holiday", "trip"])

    assert (another["tags"], (await read(person, expense))["tags"]) == (["holiday", "trip"], ["trip"])


@pytest.mark.parametrize(("name", "renamed"), [("holiday", "Holiday"), ("strasse", "Straße"), ("ﬁsh", "fish")])
async def test_a_name_can_be_spelt_anew(person: Person, name: str, renamed: str) -> None:
    expense = await spend(person, tags=[name, "work"])
    tag = await rename(person, name, renamed)

    assert (tag["name"], tag["revision"]) == (renamed, 2)
    assert sorted((await read(person, expense))["tags"]) == sorted([renamed, "work"])


async def test_a_name_that_is_taken_is_a_conflict_that_names_who_has_it(person: Person) -> None:
    expense = await spend(person, tags=["holiday", "shared"])
    taken = await find(person, "shared")

    answer = await person.patch(await where(person, "holiday"), json={"name": " SHARED "})

    assert (answer.status_code, answer.json()["code"], answer.json()["existing_id"], blamed(answer)) == (
        409,
        "already_exists",
        taken["id"],
        {"/name": "already_exists"},
    )
    assert await read(person, expense) == expense


async def test_a_name_that_a_stranger_has_is_free(person: Person, stranger: Person) -> None:
    await spend(stranger, tags=["shared"])
    await spend(person, tags=["holiday"])

    assert (await rename(person, "holiday", "shared"))["name"] == "shared"


@on_sqlite
@pytest.mark.parametrize("same", [{}, {"name": "holiday"}, {"name": " holiday "}])
async def test_the_same_name_takes_no_revision(app: FastAPI, person: Person, same: dict[str, str]) -> None:
    await spend(person, tags=["holiday"])
    before = await find(person, "holiday")

    answer = await person.patch(await where(person, "holiday"), json=same)

    assert (answer.status_code, answer.json(), answer.headers["ETag"]) == (200, before, '"1"')
    assert await state_of(app, person) == (1, 1)


@pytest.mark.parametrize("query", [{}, {"with_usage": "true"}])
async def test_a_tag_as_it_was_read_can_be_sent_back(app: FastAPI, person: Person, query: dict[str, str]) -> None:
    await spend(person, tags=["holiday"])
    [tag] = await listed(person, **query)

    answer = await person.patch(await where(person, "holiday"), json=tag)

    assert (answer.status_code, await listed(person, **query)) == (200, [tag])
    assert await state_of(app, person) == (1, 1)


async def test_a_tag_as_it_was_read_can_be_sent_back_under_a_new_name(person: Person) -> None:
    await spend(person, tags=["holiday"])
    [tag] = await listed(person, with_usage="true")

    answer = await person.patch(await where(person, "holiday"), json=tag | {"name": "trip"})

    assert (answer.status_code, answer.json()["name"]) == (200, "trip")


@pytest.mark.wire
@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("name", None, "wrong_type"),
        ("name", "", "too_short"),
        ("name", " ", "too_short"),
        ("name", "t" * 51, "too_long"),
        ("name", "a\nb", "malformed"),
        ("name", "a\u2028b", "malformed"),
        ("name", 7, "wrong_type"),
        ("color", "#2a9d8f", "unknown"),
        ("revision", "1", "wrong_type"),
    ],
)
async def test_a_change_that_cannot_be_is_refused(person: Person, field: str, value: object, code: str) -> None:
    await spend(person, tags=["holiday"])

    assert blamed(await person.patch(await where(person, "holiday"), json={field: value})) == {f"/{field}": code}


# Conditions


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_a_change_under_a_stale_etag_is_refused(app: FastAPI, person: Person, method: str) -> None:
    expense = await spend(person, tags=["holiday"])
    await rename(person, "holiday", "trip")

    answer = await person.request(
        method, await where(person, "trip"), json={"name": "tour"}, headers={"If-Match": '"1"'}
    )

    assert (answer.status_code, blame(answer)) == (412, [{"header": "If-Match", "code": "precondition_failed"}])
    assert (await read(person, expense))["tags"] == ["trip"]
    assert await state_of(app, person) == (2, 1)


@pytest.mark.parametrize(("method", "status"), [("PATCH", 200), ("DELETE", 204)])
@pytest.mark.parametrize("condition", ['"1"', "*", '"7", "1"', 'W/"1"'])
async def test_a_change_under_the_rows_etag_is_done(person: Person, method: str, status: int, condition: str) -> None:
    await spend(person, tags=["holiday"])

    answer = await person.request(
        method, await where(person, "holiday"), json={"name": "tour"}, headers={"If-Match": condition}
    )

    assert answer.status_code == status


@pytest.mark.parametrize(("revision", "status"), [(1, 200), (2, 412)])
async def test_a_revision_in_the_body_must_be_the_rows(person: Person, revision: int, status: int) -> None:
    await spend(person, tags=["holiday"])

    answer = await person.patch(await where(person, "holiday"), json={"name": "trip", "revision": revision})

    assert answer.status_code == status


# Deleted


async def test_a_deletion_takes_the_tag_off(person: Person) -> None:
    first, second = await spend(person, tags=["holiday", "shared"]), await spend(person, tags=["holiday"])

    answer = await person.delete(await where(person, "holiday"))

    assert (answer.status_code, answer.content, await names(person)) == (204, b"", ["shared"])
    assert [(await read(person, it))["tags"] for it in (first, second)] == [["shared"], []]


async def test_a_deletion_takes_one_revision_for_all(app: FastAPI, person: Person) -> None:
    expenses = [await spend(person, tags=tags) for tags in (["a"], ["a", "b"], ["a", "b", "c"])]
    gone = await find(person, "a")
    await take_off(person, "a")

    assert [(await read(person, it))["revision"] for it in expenses] == [4, 4, 4]
    assert await tombstones(app, person) == [("tag", gone["id"], 4)]
    assert await state_of(app, person) == (4, 3)


async def test_a_deletion_touches_nothing_else(person: Person, stranger: Person) -> None:
    limit = await budget(person)
    await spend(person, tags=["holiday", "shared"], category="Groceries")
    others, theirs = await spend(person, tags=["shared"]), await spend(stranger, tags=["holiday"])
    kept = await categories.listed(person), await find(person, "shared")
    await take_off(person, "holiday")

    assert (await read(person, others), await read(stranger, theirs)) == (others, theirs)
    assert (await categories.listed(person), await find(person, "shared")) == kept
    assert (await person.get(f"/budgets/{limit['id']}")).json() == limit


@pytest.mark.usefixtures("noon")
async def test_the_feed_says_that_a_tag_is_deleted(person: Person) -> None:
    expense = await spend(person, tags=["holiday", "shared"])
    gone = await find(person, "holiday")
    await take_off(person, "holiday")
    found = await changes(person, since=1)

    assert found["deleted"] == [{"kind": "tag", "id": gone["id"], "revision": 2}]
    assert (found["tags"], found["expenses"]) == ([], [expense | {"tags": ["shared"], "revision": 2}])


async def test_a_tag_that_nothing_has_is_deleted(person: Person) -> None:
    expense = await spend(person, tags=["holiday"])
    await change(person, expense, tags=["shared"])
    await take_off(person, "holiday")

    assert await names(person) == ["shared"]


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_a_deleted_tag_can_no_longer_be_touched(person: Person, method: str) -> None:
    await spend(person, tags=["holiday"])
    path = await where(person, "holiday")
    await person.delete(path)

    assert (await person.request(method, path, json={"name": "trip"})).status_code == 404


async def test_the_id_of_a_deleted_tag_is_never_given_again(person: Person) -> None:
    await spend(person, tags=["holiday"])
    gone = await find(person, "holiday")
    await take_off(person, "holiday")
    await spend(person, tags=["holiday"])

    assert (await find(person, "holiday"))["id"] > gone["id"]


# Merged


async def test_a_merge_gives_expenses_the_other_tag(person: Person) -> None:
    moved = await spend(person, tags=["holiday", "work"])
    both = await spend(person, tags=["holiday", "trip"])
    there = await spend(person, tags=["trip"])
    alone = await spend(person, tags=["holiday"])
    target = await find(person, "trip")
    await take_off(person, "holiday", move_to=" TRIP ")

    after = [await read(person, it) for it in (moved, both, there, alone)]
    assert [it["tags"] for it in after] == [["trip", "work"], ["trip"], ["trip"], ["trip"]]
    assert [it["revision"] for it in after] == [5, 5, 3, 5]
    assert (await find(person, "trip"), await names(person)) == (target, ["trip", "work"])


async def test_a_merge_takes_one_of_two_sets_that_become_one(person: Person) -> None:
    both, alone = await spend(person, tags=["a", "b"]), await spend(person, tags=["a"])
    await take_off(person, "a", move_to="b")

    assert [(await read(person, it))["tags"] for it in (both, alone)] == [["b"], ["b"]]
    assert await count_rows(person, TagSet) == 1
    assert find_damage(person) == []


async def test_a_merge_adds_up_the_use(person: Person) -> None:
    await spend(person, tags=["a", "b"], date="2026-11-03")
    await spend(person, tags=["a"], date="2026-11-05")
    await spend(person, tags=["b"], date="2026-11-01")
    await take_off(person, "a", move_to="b")

    [tag] = await listed(person, with_usage="true")

    assert (tag["name"], tag["expense_count"], tag["last_used"]) == ("b", 3, "2026-11-05")


@try_cases(
    "query, blame",
    on_both=[
        ({"move_to": "theirs"}, {"move_to": "not_found"}),
        ({"move_to": "HOLIDAY"}, {"move_to": "not_allowed"}),
    ],
    on_sqlite=[
        ({"move_to": "nothing of the sort"}, {"move_to": "not_found"}),
        ({"move_to": "holiday"}, {"move_to": "not_allowed"}),
        ({"move_to": ""}, {"move_to": "too_short"}),
        ({"move_to": "t" * 51}, {"move_to": "too_long"}),
        ({"move_to": ["shared", "work"]}, {"move_to": "not_allowed"}),
        ({"uncategorized": "true"}, {"uncategorized": "unknown"}),
    ],
)
async def test_a_deletion_that_cannot_be_is_refused_by_name(
    app: FastAPI, person: Person, stranger: Person, query: dict[str, Any], blame: dict[str, str]
) -> None:
    await spend(stranger, tags=["theirs"])
    expense = await spend(person, tags=["holiday", "shared", "work"])

    answer = await person.delete(await where(person, "holiday"), params=query)

    assert (answer.status_code, blamed(answer)) == (422, blame)
    assert await read(person, expense) == expense
    assert await state_of(app, person) == (1, 1)


# In the trash


@pytest.mark.usefixtures("noon")
async def test_a_new_name_is_read_in_the_trash_and_the_deletion_keeps_its_revision(person: Person) -> None:
    await discard(person, await spend(person, tags=["holiday", "shared"]))
    [before] = await trashed(person)
    await rename(person, "holiday", "trip")

    assert await trashed(person) == [before | {"tags": ["shared", "trip"]}]


@pytest.mark.parametrize(("query", "tags"), [({}, ["shared"]), ({"move_to": "work"}, ["shared", "work"])])
@pytest.mark.usefixtures("noon")
async def test_a_deletion_follows_into_the_trash(person: Person, query: dict[str, str], tags: list[str]) -> None:
    await spend(person, tags=["work"])
    await discard(person, await spend(person, tags=["holiday", "shared"]))
    [before] = await trashed(person)
    await take_off(person, "holiday", **query)

    assert await trashed(person) == [before | {"tags": tags}]
    assert find_damage(person) == []


async def test_a_merge_into_a_set_that_exists_follows_into_the_trash(person: Person) -> None:
    await discard(person, await spend(person, tags=["holiday"]), await spend(person, tags=["holiday", "trip"]))
    await spend(person, tags=["trip"])
    before = await trashed(person)
    await take_off(person, "holiday", move_to="trip")

    assert await trashed(person) == [it | {"tags": ["trip"]} for it in before]
    assert (await undo(person, before[0]["revision"])).json()["matched"] == 1


@pytest.mark.usefixtures("noon")
async def test_a_restored_expense_has_its_tags(person: Person) -> None:
    expense = await spend(person, tags=["holiday", "shared"])
    await discard(person, expense)

    assert (await restore(person, expense)).json() == expense | {"revision": 3}
    assert [it["expense_count"] for it in await listed(person, with_usage="true")] == [1, 1]


async def test_a_restored_expense_has_what_became_of_its_tags(person: Person) -> None:
    expense = await spend(person, tags=["a", "b", "c", "d"])
    await discard(person, expense)
    await rename(person, "a", "z")
    await take_off(person, "b")
    await take_off(person, "c", move_to="d")

    assert (await restore(person, expense)).json()["tags"] == ["d", "z"]


# Whose


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_a_strangers_tag_is_not_there(person: Person, stranger: Person, method: str) -> None:
    theirs = await spend(stranger, tags=["holiday"])
    path = await where(stranger, "holiday")

    answer = await person.request(method, path, json={"name": "trip"})
    nothing = await person.request(method, "/tags/9223372036854775807", json={"name": "trip"})

    assert (answer.status_code, answer.json()["code"]) == (nothing.status_code, nothing.json()["code"])
    assert (answer.status_code, await read(stranger, theirs)) == (404, theirs)


async def test_nobody_lists_a_strangers_tags(person: Person, stranger: Person) -> None:
    await spend(stranger, tags=["theirs"])

    assert await listed(person, with_usage="true") == []


async def test_an_account_takes_its_tags_along(person: Person, stranger: Person) -> None:
    theirs = await spend(stranger, tags=["holiday", "shared"])
    await discard(person, await spend(person, tags=["holiday", "shared"]))
    await spend(person, tags=["shared"])

    answer = await person.request("DELETE", "/users/me", json={"current_password": person.password})

    left = [await count_rows(person, table) for table in (Tag, TagSet, Expense, TrashedExpense)]
    assert (answer.status_code, left, await read(stranger, theirs)) == (204, [0, 0, 0, 0], theirs)


# Sent again


async def test_a_new_name_sent_again_is_answered_again(app: FastAPI, person: Person) -> None:
    await spend(person, tags=["holiday"])
    path, key = await where(person, "holiday"), {"Idempotency-Key": "once"}
    first = await person.patch(path, json={"name": "trip"}, headers=key)
    await rename(person, "trip", "tour")
    again = await person.patch(path, json={"name": "trip"}, headers=key)

    assert (again.json(), again.headers["ETag"]) == (first.json(), first.headers["ETag"])
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (await names(person), await state_of(app, person)) == (["tour"], (3, 1))


async def test_a_deletion_sent_again_is_answered_again(app: FastAPI, person: Person) -> None:
    await spend(person, tags=["holiday"])
    path, key = await where(person, "holiday"), {"Idempotency-Key": "once"}
    first = await person.delete(path, headers=key)
    again = await person.delete(path, headers=key)

    assert (first.status_code, again.status_code, again.headers["Idempotency-Replayed"]) == (204, 204, "true")
    assert await state_of(app, person) == (2, 1)


async def test_a_key_is_good_for_one_request(person: Person) -> None:
    await spend(person, tags=["holiday"])
    path, key = await where(person, "holiday"), {"Idempotency-Key": "once"}
    await person.patch(path, json={"name": "trip"}, headers=key)

    answer = await person.patch(path, json={"name": "tour"}, headers=key)

    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")


# At most 1,000


@asynccontextmanager
async def full(person: Person, count: int) -> AsyncIterator[None]:
    """Give a user so many tags, past the API, which would take its time; nothing of theirs is changed meanwhile."""
    owner_id = person.user["id"]
    rows = [
        {"owner_id": owner_id, "name": f"t{number}", "name_key": f"t{number}", "revision": 0} for number in range(count)
    ]
    async with person.app.state.services.database.new_unit() as unit:
        connection = await unit.begin(owner_id)
        await connection.execute(insert(Tag), rows)
        await unit.commit()
    before = await names(person)
    yield
    assert await names(person) == before


def too_many(answer: httpx.Response) -> tuple[int, str, dict[str, str]]:
    """Return the status, the code and the fields to blame of a problem."""
    return answer.status_code, answer.json()["code"], blamed(answer)


async def test_a_thousand_tags_are_taken_and_no_more(person: Person) -> None:
    async with full(person, 999):
        refused = await person.post("/expenses", json={"amount": "1", "tags": ["one more", "and another"]})
    await spend(person, tags=["one more"])

    assert (too_many(refused), len(await listed(person))) == ((422, "too_many", {"/tags": "not_allowed"}), 1_000)


async def test_the_next_tag_is_too_many_on_an_expense(person: Person) -> None:
    expense = await spend(person)
    async with full(person, 1_000):
        answer = await person.patch(f"/expenses/{expense['id']}", json={"tags": ["t7", "one more"]})

    assert too_many(answer) == (422, "too_many", {"/tags": "not_allowed"})
    assert await read(person, expense) == expense


async def test_the_next_tag_is_too_many_in_a_batch(person: Person) -> None:
    async with full(person, 999):
        answer = await send_batch(person, creating(tags=["one more"]), creating(tags=["One More", "and another"]))

    assert too_many(answer) == (422, "too_many", {"/operations/1/data/tags": "not_allowed"})


async def test_the_next_tag_is_too_many_in_a_bulk_change(person: Person) -> None:
    expense = await spend(person)
    async with full(person, 1_000):
        answer = await person.patch("/expenses?currency=EUR", json={"add_tags": ["t7", "one more"]})

    assert too_many(answer) == (422, "too_many", {"/add_tags": "not_allowed"})
    assert await read(person, expense) == expense


async def test_a_full_set_of_tags_can_still_be_used(person: Person) -> None:
    async with full(person, 1_000):
        expense = await spend(person, tags=["T999", "t0"])

    assert expense["tags"] == ["t0", "t999"]
