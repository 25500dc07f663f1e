"""The trash: deleted expenses are not counted, can be listed, and come back unchanged."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import httpx
import pytest
import time_machine
from fastapi import FastAPI
from sqlalchemy import Connection, insert, text

from models import Tombstone
from tests.support.budgets import budget, tombstones
from tests.support.categories import create as create_category
from tests.support.categories import where
from tests.support.databases import on_sqlite
from tests.support.expenses import Expense, change, discard, ids, read, restore, several, spend, undo
from tests.support.ledgers import state_of
from tests.support.people import Person, signed_up
from tests.support.problems import blamed
from tests.support.statements import Statements

Delete = Callable[[Person, Sequence[Expense]], Awaitable[None]]


def fill_up(outside: Connection, person: Person, number: int) -> None:
    """Let a ledger say that it holds so many expenses."""
    named = {"id": person.user["id"], "number": number}
    outside.execute(text("UPDATE ledgers SET expense_count = :number WHERE owner_id = :id"), named)
    outside.commit()


# Deleted


COUNTED = [
    "/expenses?category=Groceries&with_count=true",
    "/expenses?q=apples",
    "/expenses?external_id=bank-1",
    "/expenses?sort=-amount",
    "/categories?with_usage=true",
    "/budgets/status",
    "/reports/spending?group_by=category",
    "/reports/spending?from=2026-11-01&group_by=day&compare=previous",
    "/reports/spending?to=2026-11-22",
]


@pytest.mark.usefixtures("noon")
async def test_what_is_deleted_counts_nowhere(person: Person) -> None:
    await budget(person, category="Groceries")
    never_was = {path: (await person.get(path)).json() for path in COUNTED}
    expense = await spend(person, date="2026-11-20", category="Groceries", description="apples", external_id="bank-1")
    counted = {path: (await person.get(path)).json() for path in COUNTED}
    await discard(person, expense)

    assert {path: (await person.get(path)).json() for path in COUNTED} == never_was
    assert [path for path in COUNTED if counted[path] == never_was[path]] == []


@pytest.mark.usefixtures("noon")
async def test_what_is_restored_counts_again(person: Person) -> None:
    await budget(person, category="Groceries")
    expense = await spend(person, category="Groceries", description="STRASSE")
    paths = ("/categories?with_usage=true", "/budgets/status", "/reports/spending?q=straße")
    counted = [(await person.get(path)).json() for path in paths]
    await discard(person, expense)
    await restore(person, expense)

    assert [(await person.get(path)).json() for path in paths] == counted


async def test_what_is_deleted_lies_in_the_trash(noon: time_machine.Traveller, person: Person) -> None:
    expense = await spend(person, category="Groceries", description="apples", external_id="bank-1")
    noon.shift(60)
    await discard(person, expense)

    assert (await person.get("/expenses/trash")).json() == {
        "items": [expense | {"revision": 2, "deleted_at": "2026-11-22T12:01:00Z"}],
        "next_cursor": None,
    }


async def test_the_trash_holds_neither_what_is_live_nor_what_somebody_else_deleted(
    person: Person, stranger: Person
) -> None:
    await spend(person)
    await discard(stranger, await spend(stranger))
    page = (await person.get("/expenses/trash?with_count=true")).json()

    assert page == {"items": [], "next_cursor": None, "count": 0}


# Listed


async def test_the_last_deleted_comes_first(person: Person) -> None:
    first, second, third = await several(person)
    await discard(person, second, third, first)

    assert await ids(person) == [first["id"], third["id"], second["id"]]


@pytest.fixture(scope="module")
async def emptied(app: FastAPI) -> AsyncIterator[Person]:
    """A user whose five expenses were deleted in one request, for the tests that change nothing."""
    async with signed_up(app) as emptied:
        await several(emptied, 5, currency="USD")
        await emptied.delete("/expenses?currency=USD")
        yield emptied


@pytest.mark.parametrize(("limit", "pages"), [(1, [1, 1, 1, 1, 1]), (2, [2, 2, 1]), (4, [4, 1]), (5, [5]), (200, [5])])
async def test_one_deletion_of_many_is_paged(emptied: Person, limit: int, pages: list[int]) -> None:
    seen = await walk(emptied, limit)

    assert [len(page) for page in seen] == pages
    assert [row_id for page in seen for row_id in page] == await ids(emptied)


async def walk(person: Person, limit: int) -> list[list[int]]:
    """Follow the links from the first page to the last, and return the ids on each."""
    seen: list[list[int]] = []
    path = f"/expenses/trash?limit={limit}"
    while path and len(seen) < 10:
        answer = await person.get(path)
        seen.append([it["id"] for it in answer.json()["items"]])
        path = answer.links.get("next", {}).get("url", "")
    return seen


async def test_the_link_leads_to_the_next_page_and_keeps_the_query(person: Person) -> None:
    first, second, third = await several(person)
    await discard(person, first, second, third)
    page = await person.get("/expenses/trash?limit=2&with_count=true", headers={"Host": "evil.example"})
    cursor = page.json()["next_cursor"]

    assert page.headers["Link"] == f'</expenses/trash?limit=2&with_count=true&cursor={cursor}>; rel="next"'
    rest = await person.get(page.links["next"]["url"])
    assert ([it["id"] for it in rest.json()["items"]], rest.json()["count"]) == ([first["id"]], 3)
    assert "Link" not in rest.headers


async def test_what_happens_between_two_pages_shows_nothing_twice_and_skips_nothing(person: Person) -> None:
    one, two, three, four, five, late = await several(person, 6)
    await discard(person, one, two, three, four, five)
    page = (await person.get("/expenses/trash?limit=2")).json()
    await discard(person, late)
    await restore(person, five)
    await restore(person, four)
    await restore(person, two)

    assert [it["id"] for it in page["items"]] == [five["id"], four["id"]]
    assert await ids(person, f"/expenses/trash?cursor={page['next_cursor']}") == [three["id"], one["id"]]


async def test_a_cursor_outlives_the_trash_that_it_points_into(person: Person) -> None:
    await discard(person, *await several(person))
    page = (await person.get("/expenses/trash?limit=1")).json()
    await person.delete("/expenses/trash")

    assert await ids(person, f"/expenses/trash?cursor={page['next_cursor']}") == []


@pytest.mark.wire
@pytest.mark.parametrize("cursor", ["", "x", "AAAA", "e30", "WyJhIiwxLDFd" * 40, "é", "W10", "0"])
async def test_a_broken_cursor_is_refused(somebody: Person, cursor: str) -> None:
    answer = await somebody.get("/expenses/trash", params={"cursor": cursor})

    assert (answer.status_code, blamed(answer)) == (422, {"cursor": "malformed"})


@on_sqlite
@pytest.mark.parametrize(
    ("path", "other"),
    [
        ("/expenses?sort=-date", "/expenses/trash?"),
        ("/expenses?sort=amount", "/expenses/trash?"),
        ("/expenses/trash?with_count=false", "/expenses?sort=amount"),
    ],
)
async def test_a_cursor_of_another_list_is_refused(person: Person, path: str, other: str) -> None:
    await discard(person, *(await several(person, 4))[:2])
    page = (await person.get(f"{path}&limit=1")).json()

    answer = await person.get(f"{other}&cursor={page['next_cursor']}")

    assert (answer.status_code, blamed(answer)) == (422, {"cursor": "not_allowed"})


@pytest.mark.wire
@pytest.mark.parametrize("query", ["q=apples", "category=Groceries", "sort=date", "period=2026", "since=1"])
async def test_the_trash_is_not_filtered(somebody: Person, query: str) -> None:
    answer = await somebody.get(f"/expenses/trash?{query}")

    assert (answer.status_code, list(blamed(answer).values())) == (422, ["unknown"])


async def test_a_page_of_the_trash_costs_two_statements(person: Person, statements: Statements) -> None:
    await discard(person, *await several(person, category="Groceries"))
    with statements() as sent:
        await person.get("/expenses/trash")
    assert len(sent) == 2, "\n".join(sent)


# Restored


async def test_a_restored_expense_is_as_it_was_but_for_its_revision(
    noon: time_machine.Traveller, person: Person
) -> None:
    expense = await spend(person, date="1999-12-31", category="Groceries", description="Äpfel 🍎", external_id="bank-1")
    noon.shift(60)
    expense = await change(person, expense, amount="-0.01", currency="USD")
    noon.shift(60)
    await discard(person, expense)
    noon.shift(60)
    answer = await restore(person, expense)

    assert (answer.status_code, answer.json()) == (200, expense | {"revision": 4})
    assert answer.headers["ETag"] == '"4"'
    assert await read(person, expense) == answer.json()
    assert await ids(person) == []


async def test_a_live_expense_is_restored_to_what_it_is(app: FastAPI, person: Person) -> None:
    expense = await spend(person, category="Groceries")
    answer = await restore(person, expense)

    assert (answer.status_code, answer.json(), answer.headers["ETag"]) == (200, expense, '"1"')
    assert await state_of(app, person) == (1, 1)


async def test_of_many_that_restore_one_expense_one_brings_it_back(app: FastAPI, person: Person) -> None:
    expense = await spend(person)
    await discard(person, expense)
    answers = await asyncio.gather(*(restore(person, expense) for _ in range(6)))

    assert [answer.json() for answer in answers] == [expense | {"revision": 3}] * 6
    assert await state_of(app, person) == (3, 1)


@on_sqlite
@pytest.mark.parametrize("expense_id", ["9223372036854775807", "9223372036854775808", "0", "-1", "01", "x", "1.0"])
async def test_what_never_was_is_not_restored(app: FastAPI, person: Person, expense_id: str) -> None:
    answer = await person.post(f"/expenses/{expense_id}/restore")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert await state_of(app, person) == (0, 0)


async def test_a_strangers_deletion_is_not_undone(app: FastAPI, person: Person, stranger: Person) -> None:
    mine, theirs = await spend(person), await spend(stranger)
    await discard(person, mine)
    await discard(stranger, theirs)
    alone, together = await restore(person, theirs), await undo(person, 2)

    assert (alone.status_code, together.json()) == (404, {"matched": 1, "revision": 3})
    assert await ids(stranger) == [theirs["id"]]
    assert await state_of(app, stranger) == (2, 0)


async def test_a_restored_expense_is_no_longer_among_the_deleted(app: FastAPI, person: Person) -> None:
    first, second = await several(person, 2)
    await discard(person, first, second)
    await restore(person, first)

    assert await tombstones(app, person) == [("expense", second["id"], 4)]


# A whole deletion undone


async def in_a_batch(person: Person, expenses: Sequence[Expense]) -> None:
    operations: list[Expense] = [{"op": "delete", "id": it["id"]} for it in expenses]
    created = {"op": "create", "data": {"amount": "9.00", "external_id": "new"}}
    answer = await person.post("/expenses/batch", json={"operations": [*operations, created]})
    assert answer.status_code == httpx.codes.OK, answer.text


async def by_a_filter(person: Person, expenses: Sequence[Expense]) -> None:
    answer = await person.delete("/expenses?category=Groceries")
    assert answer.json()["matched"] == len(expenses), answer.text


@pytest.mark.parametrize("delete", [in_a_batch, by_a_filter])
async def test_one_deletion_is_undone_and_no_other(app: FastAPI, person: Person, delete: Delete) -> None:
    before = await spend(person)
    await discard(person, before)
    expenses = await several(person, category="Groceries")
    await delete(person, expenses)
    deletion, _ = await state_of(app, person)
    after = await spend(person)
    await discard(person, after)
    revision, count = await state_of(app, person)

    answer = await undo(person, deletion)

    assert (answer.status_code, answer.json()) == (200, {"matched": 3, "revision": revision + 1})
    assert [await read(person, it) for it in expenses] == [it | {"revision": revision + 1} for it in expenses]
    assert await ids(person) == [after["id"], before["id"]]
    assert await state_of(app, person) == (revision + 1, count + 3)
    assert [row_id for _, row_id, _ in await tombstones(app, person)] == [before["id"], after["id"]]


async def test_of_single_deletions_one_is_undone(person: Person) -> None:
    first, second, third = await several(person)
    await discard(person, first, second, third)

    answer = await undo(person, 5)

    assert answer.json() == {"matched": 1, "revision": 7}
    assert await ids(person) == [third["id"], first["id"]]


async def test_a_deletion_is_undone_so_far_as_it_is_still_in_the_trash(app: FastAPI, person: Person) -> None:
    first, second, third = await several(person, category="Groceries")
    await by_a_filter(person, [first, second, third])
    await restore(person, first)
    await restore(person, second)
    await discard(person, second)

    answer = await undo(person, 4)

    assert answer.json() == {"matched": 1, "revision": 8}
    assert await ids(person) == [second["id"]]
    assert await ids(person, "/expenses?sort=date") == [first["id"], third["id"]]
    assert await state_of(app, person) == (8, 2)


@pytest.mark.parametrize("revision", [1, 2, 4, 9223372036854775807])
async def test_a_revision_that_deleted_nothing_undoes_nothing(app: FastAPI, person: Person, revision: int) -> None:
    expense = await spend(person)
    await discard(person, expense)
    await restore(person, expense)
    await discard(person, await spend(person))

    answer = await undo(person, revision)

    assert (answer.status_code, blamed(answer)) == (404, {"/revision": "not_found"})
    assert await state_of(app, person) == (5, 1)


@pytest.mark.wire
@pytest.mark.parametrize(
    ("revision", "code"),
    [
        (0, "out_of_range"),
        (-1, "out_of_range"),
        (9223372036854775808, "out_of_range"),
        ("2", "wrong_type"),
        (2.0, "wrong_type"),
        (True, "wrong_type"),
        (None, "wrong_type"),
        ([2], "wrong_type"),
    ],
)
async def test_what_is_no_revision_is_refused(somebody: Person, revision: object, code: str) -> None:
    answer = await undo(somebody, revision)

    assert (answer.status_code, blamed(answer)) == (422, {"/revision": code})


@pytest.mark.parametrize("number", [1, 50])
async def test_undoing_costs_the_same_however_many_were_deleted(
    person: Person, statements: Statements, number: int
) -> None:
    created = [{"op": "create", "data": {"amount": "1.00", "category": "Groceries"}}] * number
    await person.post("/expenses/batch", json={"operations": created})
    await person.delete("/expenses?category=Groceries")
    with statements() as sent:
        answer = await undo(person, 2)
    assert (answer.json()["matched"], len(sent)) == (number, 8), "\n".join(sent)


# Categories


async def rename(person: Person) -> None:
    await person.patch(await where(person, "Groceries"), json={"name": "Food"})


async def merge(person: Person) -> None:
    await create_category(person, "Food")
    await person.delete(await where(person, "Groceries"), params={"move_to": "Food"})


async def uncategorize(person: Person) -> None:
    await person.delete(await where(person, "Groceries"), params={"uncategorized": "true"})


async def drop_unused(person: Person) -> None:
    await person.delete(await where(person, "Groceries"))


@pytest.mark.parametrize(
    ("meanwhile", "category"), [(rename, "Food"), (merge, "Food"), (uncategorize, None), (drop_unused, None)]
)
async def test_a_restored_expense_has_what_became_of_its_category(
    person: Person, meanwhile: Callable[[Person], Awaitable[None]], category: str | None
) -> None:
    expense = await spend(person, category="Groceries")
    await discard(person, expense)
    await meanwhile(person)
    (lies,) = (await person.get("/expenses/trash")).json()["items"]
    restored = (await restore(person, expense)).json()

    assert lies == expense | {"category": category, "revision": 2, "deleted_at": lies["deleted_at"]}
    assert restored == expense | {"category": category, "revision": restored["revision"]}


# The cap


async def restore_the_two(person: Person, expenses: Sequence[Expense]) -> httpx.Response:
    return await undo(person, expenses[-1]["revision"] + 1)


async def restore_the_first(person: Person, expenses: Sequence[Expense]) -> httpx.Response:
    return await restore(person, expenses[0])


@pytest.mark.parametrize(
    ("undelete", "most"), [(restore_the_first, 999_999), (restore_the_two, 999_998)], ids=["one", "two"]
)
async def test_what_is_restored_must_find_room(
    app: FastAPI,
    person: Person,
    outside: Connection,
    undelete: Callable[[Person, Sequence[Expense]], Awaitable[httpx.Response]],
    most: int,
) -> None:
    expenses = await several(person, 2, currency="USD")
    await person.delete("/expenses?currency=USD")
    fill_up(outside, person, most + 1)
    refused = await undelete(person, expenses)
    state, lie = await state_of(app, person), await ids(person)
    fill_up(outside, person, most)
    restored = await undelete(person, expenses)

    assert (refused.status_code, refused.json()["code"]) == (422, "too_many")
    assert (state, len(lie)) == ((3, most + 1), 2)
    assert (restored.status_code, await state_of(app, person)) == (200, (4, 1_000_000))


# All of it


async def test_a_ledger_counts_right_whatever_is_deleted_and_restored_at_once(app: FastAPI, person: Person) -> None:
    expenses = await several(person, 8)
    await discard(person, *expenses[:4])
    await asyncio.gather(
        *(restore(person, it) for it in expenses[:2]),
        *(person.delete(f"/expenses/{it['id']}") for it in expenses[1:6]),
        *(undo(person, revision) for revision in range(9, 16)),
        person.delete("/expenses/trash"),
        *(restore(person, it) for it in expenses),
        *(person.delete(f"/expenses/{it['id']}") for it in expenses[6:]),
    )
    live, lie = set(await ids(person, "/expenses")), set(await ids(person))
    buried = {row_id for _, row_id, _ in await tombstones(app, person)}

    assert (await state_of(app, person))[1] == len(live)
    assert buried == {it["id"] for it in expenses} - live
    assert lie <= buried


async def test_a_restored_expense_takes_no_others_tombstone_along(app: FastAPI, person: Person) -> None:
    expense = await spend(person)
    await discard(person, expense)
    namesake = {"owner_id": person.user["id"], "kind": "category", "row_id": expense["id"], "revision": 2}
    async with app.state.services.database.new_unit() as unit:
        await (await unit.begin(person.user["id"])).execute(insert(Tombstone), namesake)
        await unit.commit()
    await restore(person, expense)

    deleted = (await person.get("/changes")).json()["deleted"]
    assert deleted == [{"kind": "category", "id": expense["id"], "revision": 2}]
