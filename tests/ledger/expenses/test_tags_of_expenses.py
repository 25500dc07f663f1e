"""The tags of expenses: written, answered, filtered by, changed in bulk, reported and swept."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
import time_machine
from fastapi import FastAPI

from models import TagSet
from tests.support import categories
from tests.support.databases import on_sqlite, try_cases
from tests.support.expenses import change, creating, discard, ids, read, restore, send_batch, spend
from tests.support.ledgers import state_of
from tests.support.people import Person
from tests.support.problems import blamed
from tests.support.settings import NOON
from tests.support.statements import Statements
from tests.support.tags import count_rows, find, find_damage, listed, names, rename, take_off

Query = Mapping[str, str | list[str]]
TWENTY = [f"tag {number:02}" for number in range(20)]
WHOLE = {"amount": "1.00", "currency": "EUR", "date": "2026-11-22"}

# One tag each, whatever the case and the form of the letters.
ALIKE = [("Food", "fOOD"), ("Straße", "STRASSE"), ("café", "CAFE\u0301"), ("ﬁsh", "Fish"), ("МОСКВА", "москва")]
# Two tags each: an accent or a space makes another.
UNLIKE = [("café", "cafe"), ("Müll", "Mull"), ("a b", "ab"), ("🍎", "🍏"), ("100%", "100_"), ("a", "/a/")]
REFUSED: list[tuple[object, dict[str, str]]] = [
    ([*TWENTY, "one more"], {"/tags": "too_long"}),
    (["work", "work"], {"/tags/1": "not_allowed"}),
    (["work", " WORK "], {"/tags/1": "not_allowed"}),
    (["caf\u00e9", "work", "cafe\u0301"], {"/tags/2": "not_allowed"}),
    (["t" * 51], {"/tags/0": "too_long"}),
    (["work", ""], {"/tags/1": "too_short"}),
    (["work", " "], {"/tags/1": "too_short"}),
    (["a\nb"], {"/tags/0": "malformed"}),
    (["a\u2028b"], {"/tags/0": "malformed"}),
    (["a\x00b"], {"/tags/0": "malformed"}),
    ([7, None], {"/tags/0": "wrong_type", "/tags/1": "wrong_type"}),
    ("work", {"/tags": "wrong_type"}),
    ({"work": True}, {"/tags": "wrong_type"}),
    (None, {"/tags": "wrong_type"}),
]
# Both ways of a body share the field: the second is tried with what has a pointer of each form.
REFUSED_IN_SHORT = [REFUSED[0], REFUSED[1], REFUSED[-1]]


async def tags_of(person: Person, *expenses: dict[str, Any]) -> list[list[str]]:
    """Return the tags that expenses have now."""
    return [(await read(person, it))["tags"] for it in expenses]


async def amounts(person: Person, query: Query) -> set[str]:
    """Return the amounts of the expenses that a query finds."""
    answer = await person.get("/expenses", params={"limit": "200", **query})
    assert answer.status_code == httpx.codes.OK, answer.text
    return {it["amount"] for it in answer.json()["items"]}


async def bulk(person: Person, query: Query, **fields: object) -> httpx.Response:
    """Change whatever a query matches."""
    return await person.patch("/expenses", params=dict(query), json=fields)


async def retag(person: Person, query: Query, **fields: object) -> dict[str, Any]:
    """Change whatever a query matches and return what the service says of it."""
    answer = await bulk(person, query, **fields)
    assert answer.status_code == httpx.codes.OK, answer.text
    return dict(answer.json())


# Created


@pytest.mark.parametrize("fields", [{}, {"tags": []}])
async def test_an_expense_without_tags_has_none(person: Person, fields: dict[str, object]) -> None:
    assert (await spend(person, **fields))["tags"] == []


async def test_tags_are_answered_by_name_and_as_they_were_first_spelt(person: Person) -> None:
    first = await spend(person, tags=["work", " Äpfel ", "Apple"])
    second = await spend(person, tags=["APPLE", "Work", "äpfel"])

    assert (first["tags"], second["tags"]) == (["Äpfel", "Apple", "work"], ["Äpfel", "Apple", "work"])
    assert await tags_of(person, first, second) == [first["tags"], second["tags"]]


@pytest.mark.parametrize(("first", "second"), ALIKE)
async def test_names_that_differ_in_case_are_one_tag(person: Person, first: str, second: str) -> None:
    await spend(person, tags=[first])

    assert (await spend(person, tags=[second]))["tags"] == await names(person) == [first]


async def test_names_that_differ_otherwise_are_two_tags(person: Person) -> None:
    unlike = [name for pair in UNLIKE for name in pair]
    expense = await spend(person, tags=unlike)

    assert sorted(expense["tags"]) == sorted(await names(person)) == sorted(unlike)


@pytest.mark.parametrize("tags", [["🍎"], ["🍎" * 50], TWENTY, ["a\tb", "<b>", "null", "a, b", '"'], ["t" * 50]])
async def test_tags_come_back_as_they_went_in(person: Person, tags: list[str]) -> None:
    expense = await spend(person, tags=tags)

    assert sorted((await read(person, expense))["tags"]) == sorted(expense["tags"]) == sorted(tags)


@pytest.mark.wire
@pytest.mark.parametrize(("tags", "blame"), REFUSED)
async def test_other_tags_are_refused(somebody: Person, tags: object, blame: dict[str, str]) -> None:
    answer = await somebody.post("/expenses", json={"amount": "1", "tags": tags})

    assert (answer.status_code, blamed(answer), await names(somebody)) == (422, blame, [])


async def test_an_expense_that_is_there_already_keeps_its_tags_and_makes_none(person: Person) -> None:
    expense = await spend(person, tags=["work"], external_id="bank-1")

    again = await person.post("/expenses", json={"amount": "1", "tags": ["new"], "external_id": "bank-1"})

    assert (again.status_code, again.json(), await names(person)) == (200, expense, ["work"])


# Changed


@pytest.mark.parametrize(
    ("fields", "tags"),
    [({"tags": ["b", "C"]}, ["b", "c"]), ({"tags": ["new"]}, ["new"]), ({"tags": []}, []), ({}, [])],
)
async def test_a_whole_expense_has_the_tags_that_are_sent(
    person: Person, fields: dict[str, object], tags: list[str]
) -> None:
    await spend(person, tags=["c"])
    expense = await spend(person, tags=["a", "b"])

    answer = await person.put(f"/expenses/{expense['id']}", json=WHOLE | fields)

    assert (answer.json()["tags"], await tags_of(person, expense)) == (tags, [tags])


@pytest.mark.parametrize(
    ("fields", "tags"),
    [
        ({"amount": "2.00"}, ["a", "b"]),
        ({"tags": ["B", "new"]}, ["b", "new"]),
        ({"tags": ["a"]}, ["a"]),
        ({"tags": []}, []),
    ],
)
async def test_a_change_changes_the_tags_only_if_they_are_sent(
    person: Person, fields: dict[str, object], tags: list[str]
) -> None:
    expense = await spend(person, tags=["a", "b"])

    changed = await change(person, expense, **fields)

    assert (changed["tags"], changed["revision"], await tags_of(person, expense)) == (tags, 2, [tags])


@pytest.mark.wire
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize(("tags", "blame"), REFUSED_IN_SHORT)
async def test_a_change_to_other_tags_is_refused(
    person: Person, method: str, tags: object, blame: dict[str, str]
) -> None:
    expense = await spend(person, tags=["a"])

    answer = await person.request(method, f"/expenses/{expense['id']}", json=WHOLE | {"tags": tags})

    assert (answer.status_code, blamed(answer), await read(person, expense)) == (422, blame, expense)


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_what_was_read_can_be_sent_back_and_takes_no_revision(app: FastAPI, person: Person, method: str) -> None:
    expense = await spend(person, category="Food", payee="Market", tags=["b", "🍎", "a"])

    answer = await person.request(method, f"/expenses/{expense['id']}", json=expense)

    assert (answer.status_code, answer.json()) == (200, expense)
    assert await state_of(app, person) == (1, 1)


@on_sqlite
@pytest.mark.parametrize("same", [["a", "b"], ["b", "a"], ["B", " A "]])
async def test_the_same_tags_take_no_revision(app: FastAPI, person: Person, same: list[str]) -> None:
    expense = await spend(person, tags=["a", "b"])

    assert await change(person, expense, tags=same) == expense
    assert await state_of(app, person) == (1, 1)


async def test_a_tag_that_a_refused_change_names_is_not_made(person: Person) -> None:
    expense = await spend(person)

    answer = await person.patch(f"/expenses/{expense['id']}", json={"tags": ["new"], "revision": 7})

    assert (answer.status_code, await names(person)) == (412, [])


async def test_new_tags_bear_the_revision_of_their_expense(person: Person) -> None:
    expense = await spend(person, tags=["a"])
    changed = await change(person, expense, tags=["a", "b"])

    assert [(it["name"], it["revision"]) for it in await listed(person)] == [("a", 1), ("b", changed["revision"])]


# In a batch


async def test_a_batch_writes_tags(app: FastAPI, person: Person) -> None:
    old, kept = await spend(person, tags=["a", "b"]), await spend(person, tags=["a"])
    answer = await send_batch(
        person,
        creating(tags=["New", "B"]),
        creating(tags=["new"]),
        creating(),
        {"op": "update", "id": old["id"], "data": {"tags": ["b", "NEW"]}},
        {"op": "update", "id": kept["id"], "data": {"amount": "2.00"}},
    )
    expenses = [it["expense"] for it in answer.json()["results"]]

    assert [it["tags"] for it in expenses] == [["b", "New"], ["New"], [], ["b", "New"], ["a"]]
    assert [await read(person, it) for it in expenses] == expenses
    assert (await names(person), await state_of(app, person)) == (["a", "b", "New"], (3, 5))
    assert find_damage(person) == []


@pytest.mark.parametrize(
    ("fields", "tags", "status"),
    [
        ({}, ["a", "b"], "updated"),
        ({"tags": ["c"]}, ["c"], "updated"),
        ({"tags": []}, [], "updated"),
        ({"amount": "12.50", "tags": ["B", "A"]}, ["a", "b"], "existing"),
    ],
)
async def test_a_create_that_updates_changes_tags_only_if_they_are_sent(
    person: Person, fields: dict[str, object], tags: list[str], status: str
) -> None:
    expense = await spend(person, tags=["a", "b"], external_id="bank-1")

    answer = await send_batch(person, creating(external_id="bank-1", **fields) | {"existing": "update"})

    [result] = answer.json()["results"]
    assert (result["status"], result["expense"]["tags"], await tags_of(person, expense)) == (status, tags, [tags])


async def test_a_later_operation_sees_the_tags_of_an_earlier_one(person: Person) -> None:
    first = creating(external_id="bank-1", tags=["a", "b"])
    second = creating(external_id="bank-1", tags=["C", "b"]) | {"existing": "update"}
    results = (await send_batch(person, first, second, creating(tags=["c"]))).json()["results"]

    assert [it["expense"]["tags"] for it in results] == [["a", "b"], ["b", "C"], ["C"]]
    assert await tags_of(person, results[0]["expense"]) == [["b", "C"]]


async def test_a_batch_that_is_refused_makes_no_tag(app: FastAPI, person: Person) -> None:
    answer = await send_batch(person, creating(tags=["new"]), creating(tags=["a", "A"]), creating(tags=[*TWENTY, "x"]))

    assert blamed(answer) == {"/operations/1/data/tags/1": "not_allowed", "/operations/2/data/tags": "too_long"}
    assert (await names(person), await state_of(app, person)) == ([], (0, 0))


# Filters


FILTERS: list[tuple[Query, set[str]]] = [
    ({"tag": "a"}, {"1.00", "2.00", "3.00"}),
    ({"tag": " A "}, {"1.00", "2.00", "3.00"}),
    ({"tag": ["a", "b"]}, {"2.00", "3.00"}),
    ({"tag": ["B", "a", "c"]}, {"3.00"}),
    ({"tag": ["a", "A"]}, {"1.00", "2.00", "3.00"}),
    ({"tag": "🍎"}, {"4.00"}),
    ({"tag": "nothing"}, set()),
    ({"tag": ["a", "nothing"]}, set()),
    ({"tag": "theirs"}, set()),
    ({"tag": "%"}, set()),
    ({"tag": "/"}, set()),
    ({"untagged": "true"}, {"5.00", "6.00"}),
    ({"untagged": "false"}, {"1.00", "2.00", "3.00", "4.00", "5.00", "6.00"}),
    ({"untagged": "true", "category": "Food"}, {"6.00"}),
    ({"tag": "b", "category": "food"}, {"3.00"}),
    ({"tag": "a", "sort": "amount", "min_amount": "2"}, {"2.00", "3.00"}),
]


async def record_tagged(person: Person, stranger: Person) -> None:
    """Record what these filters are about, and a stranger's expenses with tags of the same names."""
    await send_batch(stranger, creating(amount="9.00", tags=["a", "b"]), creating(amount="9.00", tags=["theirs"]))
    answer = await send_batch(
        person,
        creating(amount="1.00", tags=["a"]),
        creating(amount="2.00", tags=["a", "b"]),
        creating(amount="3.00", tags=["a", "b", "c"], category="Food"),
        creating(amount="4.00", tags=["🍎"]),
        creating(amount="5.00"),
        creating(amount="6.00", category="Food"),
    )
    assert answer.status_code == httpx.codes.OK, answer.text


async def test_a_filter_finds_what_has_all_of_its_tags(person: Person, stranger: Person) -> None:
    await record_tagged(person, stranger)

    assert [await amounts(person, query) for query, _ in FILTERS] == [found for _, found in FILTERS]


async def test_what_a_filter_finds_is_counted_and_added_up(person: Person, stranger: Person) -> None:
    await record_tagged(person, stranger)
    page = (await person.get("/expenses?tag=a&tag=b&limit=1&with_count=true&with_totals=true")).json()

    assert (page["count"], page["totals"]) == (2, [{"currency": "EUR", "total": "5.00", "count": 2}])
    assert page["next_cursor"] is not None


async def test_a_cursor_belongs_to_its_tags(person: Person, stranger: Person) -> None:
    await record_tagged(person, stranger)
    query = {"tag": "a", "sort": "amount", "limit": "2"}
    cursor = (await person.get("/expenses", params=query)).json()["next_cursor"]
    rest = await person.get("/expenses", params=query | {"cursor": cursor})
    other = await person.get("/expenses", params=query | {"cursor": cursor, "tag": "b"})

    assert [it["amount"] for it in rest.json()["items"]] == ["3.00"]
    assert (other.status_code, [*blamed(other)]) == (422, ["cursor"])


@pytest.mark.wire
@pytest.mark.parametrize("path", ["/expenses", "/reports/spending"])
@pytest.mark.parametrize(
    ("query", "blame"),
    [
        ("tag=a&untagged=true", {"untagged": "not_allowed"}),
        ("untagged=1", {"untagged": "wrong_type"}),
        ("untagged=true&untagged=true", {"untagged": "not_allowed"}),
        ("tag=", {"tag": "too_short"}),
        (f"tag={'t' * 51}", {"tag": "too_long"}),
        ("tags=a", {"tags": "unknown"}),
        ("&".join(f"tag={name}" for name in "abcdefghijklmnopqrstu"), {"tag": "too_long"}),
    ],
)
async def test_a_filter_that_cannot_be_is_refused(
    somebody: Person, path: str, query: str, blame: dict[str, str]
) -> None:
    assert blamed(await somebody.get(f"{path}?{query}")) == blame


@try_cases(
    "query, left",
    on_both=[
        ({"tag": ["a", "b"]}, {"1.00", "4.00", "5.00", "6.00"}),
        ({"untagged": "true"}, {"1.00", "2.00", "3.00", "4.00"}),
    ],
    on_sqlite=[
        ({"tag": "nothing"}, {"1.00", "2.00", "3.00", "4.00", "5.00", "6.00"}),
        ({"tag": "a", "category": "Food"}, {"1.00", "2.00", "4.00", "5.00", "6.00"}),
    ],
)
async def test_what_a_filter_matches_is_deleted(
    person: Person, stranger: Person, query: dict[str, str], left: set[str]
) -> None:
    await record_tagged(person, stranger)

    answer = await person.delete("/expenses", params=query)

    assert (answer.json()["matched"], await amounts(person, {})) == (6 - len(left), left)
    assert await amounts(stranger, {}) == {"9.00"}


@pytest.mark.parametrize(("method", "body"), [("PATCH", {"add_tags": ["a"]}), ("DELETE", None)])
async def test_untagged_false_is_no_filter(person: Person, method: str, body: dict[str, object] | None) -> None:
    expense = await spend(person)

    answer = await person.request(method, "/expenses?untagged=false", json=body)

    assert (answer.status_code, answer.json()["code"]) == (422, "filter_required")
    assert await read(person, expense) == expense


# In bulk


async def test_tags_are_added_in_one_revision(
    noon: time_machine.Traveller, app: FastAPI, person: Person, stranger: Person
) -> None:
    theirs = await spend(stranger, tags=["a"])
    tagged, bare, other = await spend(person, tags=["b"]), await spend(person), await spend(person, currency="USD")
    noon.shift(60)
    answer = await retag(person, {"currency": "EUR"}, add_tags=[" New ", "A"])

    touched = {"revision": 4, "updated_at": "2026-11-22T12:01:00Z"}
    assert answer == {"matched": 2, "revision": 4}
    assert await read(person, tagged) == tagged | touched | {"tags": ["A", "b", "New"]}
    assert await read(person, bare) == bare | touched | {"tags": ["A", "New"]}
    assert (await read(person, other), await read(stranger, theirs)) == (other, theirs)
    assert [(it["name"], it["revision"]) for it in await listed(person)] == [("A", 4), ("b", 1), ("New", 4)]
    assert await state_of(app, person) == (4, 3)


async def test_tags_are_removed(person: Person) -> None:
    both, one, none = await spend(person, tags=["a", "b"]), await spend(person, tags=["a"]), await spend(person)
    answer = await retag(person, {"currency": "EUR"}, remove_tags=["A", "nothing"])

    assert (answer, await names(person)) == ({"matched": 3, "revision": 4}, ["a", "b"])
    assert await tags_of(person, both, one) == [["b"], []]
    assert await read(person, none) == none


async def test_tags_are_added_and_removed_at_once(person: Person) -> None:
    sets = [["a"], ["b"], ["a", "b"], ["a", "b", "c"], ["c"], []]
    expenses = [await spend(person, tags=tags) for tags in sets]
    answer = await retag(person, {"currency": "EUR"}, add_tags=["B"], remove_tags=["a"])

    assert answer == {"matched": 6, "revision": 7}
    assert await tags_of(person, *expenses) == [["b"], ["b"], ["b"], ["b", "c"], ["b", "c"], ["b"]]
    assert await read(person, expenses[1]) == expenses[1]
    assert find_damage(person) == []


async def test_what_has_the_tags_already_keeps_its_revision(noon: time_machine.Traveller, person: Person) -> None:
    has, lacks = await spend(person, tags=["a", "b"]), await spend(person, tags=["b"])
    noon.shift(60)

    assert await retag(person, {"tag": "b"}, add_tags=["A"]) == {"matched": 2, "revision": 3}
    assert (await read(person, has), (await read(person, lacks))["revision"]) == (has, 3)


@try_cases(
    "query, fields, matched",
    on_both=[({"tag": "a"}, {"add_tags": ["A"], "remove_tags": ["c"]}, 1)],
    on_sqlite=[
        ({"tag": "a"}, {"add_tags": ["b", "a"]}, 1),
        ({"tag": "a"}, {"add_tags": [], "remove_tags": []}, 1),
        ({"currency": "EUR"}, {"remove_tags": ["nothing"]}, 2),
        ({"tag": "nothing"}, {"add_tags": ["new"]}, 0),
        ({"currency": "JPY"}, {"remove_tags": ["a"]}, 0),
        ({"untagged": "true"}, {"remove_tags": ["a"]}, 1),
    ],
)
async def test_what_changes_no_tags_takes_no_revision(
    app: FastAPI, person: Person, query: Query, fields: dict[str, object], matched: int
) -> None:
    tagged, bare = await spend(person, tags=["a", "b"]), await spend(person)

    assert await retag(person, query, **fields) == {"matched": matched, "revision": None}
    assert (await read(person, tagged), await read(person, bare)) == (tagged, bare)
    assert (await names(person), await state_of(app, person)) == (["a", "b"], (2, 2))


async def test_a_dry_run_counts_and_makes_nothing(app: FastAPI, person: Person) -> None:
    expense = await spend(person, tags=["a"])
    answer = await retag(person, {"tag": "a", "dry_run": "true"}, add_tags=["new"], remove_tags=["a"])

    assert (answer, await read(person, expense)) == ({"matched": 1, "revision": None}, expense)
    assert (await names(person), await count_rows(person, TagSet)) == (["a"], 1)
    assert await state_of(app, person) == (1, 1)


@pytest.mark.wire
@pytest.mark.parametrize(
    ("fields", "blame"),
    [
        ({"add_tags": ["a"], "remove_tags": ["a"]}, {"/remove_tags/0": "not_allowed"}),
        ({"add_tags": ["b", "A"], "remove_tags": ["a"]}, {"/remove_tags/0": "not_allowed"}),
        ({"remove_tags": ["c", "a"], "add_tags": ["a"]}, {"/remove_tags/1": "not_allowed"}),
        ({"add_tags": ["b", "B"]}, {"/add_tags/1": "not_allowed"}),
        ({"remove_tags": ["b", "c", "B"]}, {"/remove_tags/2": "not_allowed"}),
        ({"add_tags": [*TWENTY, "x"]}, {"/add_tags": "too_long"}),
        ({"add_tags": None}, {"/add_tags": "wrong_type"}),
        ({"remove_tags": None}, {"/remove_tags": "wrong_type"}),
        ({"add_tags": "a"}, {"/add_tags": "wrong_type"}),
        ({"add_tags": ["t" * 51]}, {"/add_tags/0": "too_long"}),
        ({"remove_tags": [""]}, {"/remove_tags/0": "too_short"}),
        ({"tags": ["a"]}, {"/tags": "unknown"}),
    ],
)
async def test_a_bulk_change_that_cannot_be_is_refused(
    somebody: Person, fields: dict[str, object], blame: dict[str, str]
) -> None:
    assert blamed(await bulk(somebody, {"currency": "EUR"}, **fields)) == blame


@pytest.mark.parametrize("dry_run", ["true", "false"])
async def test_a_row_beyond_twenty_tags_refuses_the_whole_change(app: FastAPI, person: Person, dry_run: str) -> None:
    full, bare = await spend(person, tags=TWENTY), await spend(person)

    answer = await bulk(person, {"currency": "EUR", "dry_run": dry_run}, add_tags=["new"], category="New")

    assert (answer.status_code, blamed(answer)) == (422, {"/add_tags": "too_long"})
    assert (await read(person, full), await read(person, bare)) == (full, bare)
    assert (await names(person), await categories.names(person)) == (TWENTY, [])
    assert await state_of(app, person) == (2, 2)


async def test_a_full_row_may_have_a_tag_already_or_lose_another(person: Person) -> None:
    full = await spend(person, tags=TWENTY)
    has = await retag(person, {"currency": "EUR"}, add_tags=["TAG 07"])
    swapped = await retag(person, {"currency": "EUR"}, add_tags=["new"], remove_tags=["tag 00"])

    assert (has["revision"], swapped["revision"]) == (None, 2)
    assert await tags_of(person, full) == [["new", *TWENTY[1:]]]


async def test_tags_change_together_with_other_fields(person: Person) -> None:
    new = {"category": "Food", "payee": "Market", "description": "apples"}
    retagged = await spend(person, tags=["a"])
    recategorized = await spend(person, tags=["b"], payee="Market", description="apples")
    both = await spend(person, tags=["b", "c"])
    bare = await spend(person, **new)
    same = await spend(person, tags=["b"], **new)
    answer = await retag(person, {"currency": "EUR"}, **new, add_tags=["b"], remove_tags=["a", "c"])
    touched = new | {"tags": ["b"], "revision": 6}

    assert answer == {"matched": 5, "revision": 6}
    assert [await read(person, it) | {"updated_at": ""} for it in (retagged, recategorized, both, bare)] == [
        it | touched | {"updated_at": ""} for it in (retagged, recategorized, both, bare)
    ]
    assert await read(person, same) == same
    assert find_damage(person) == []


@try_cases(
    "query, fields",
    on_both=[
        ({"tag": "a"}, {"remove_tags": ["a"], "add_tags": ["c"], "category": "Rent"}),
        ({"category": "Food"}, {"category": "Rent", "add_tags": ["c"], "remove_tags": ["a"]}),
        ({"payee": "Market"}, {"payee": None, "category": "Rent", "add_tags": ["c"], "remove_tags": ["a"]}),
    ],
    on_sqlite=[
        ({"q": "apples"}, {"description": "pears", "category": "Rent", "add_tags": ["c"], "remove_tags": ["a"]})
    ],
)
async def test_a_filter_may_be_on_what_the_change_takes_away(
    person: Person, query: Query, fields: dict[str, object]
) -> None:
    like = {"category": "Food", "payee": "Market", "description": "apples"}
    one, two, three = [await spend(person, tags=tags, **like) for tags in (["a"], ["a", "b"], ["a", "c"])]
    other = await spend(person, tags=["b"], category="Home")

    assert await retag(person, query, **fields) == {"matched": 3, "revision": 5}
    assert await tags_of(person, one, two, three) == [["c"], ["b", "c"], ["c"]]
    assert [(await read(person, it))["category"] for it in (one, two, three)] == ["Rent"] * 3
    assert await read(person, other) == other


async def test_what_has_no_tags_gets_some(person: Person) -> None:
    tagged, bare = await spend(person, tags=["a"]), await spend(person)

    assert await retag(person, {"untagged": "true"}, add_tags=["a"]) == {"matched": 1, "revision": 3}
    assert (await tags_of(person, bare), await read(person, tagged)) == ([["a"]], tagged)


async def test_what_lies_in_the_trash_keeps_its_tags(person: Person) -> None:
    lies, lives = await spend(person, tags=["a"]), await spend(person, tags=["a"])
    await discard(person, lies)
    await retag(person, {"tag": "a"}, remove_tags=["a"], add_tags=["b"])

    assert (await restore(person, lies)).json()["tags"] == ["a"]
    assert await tags_of(person, lives) == [["b"]]


async def test_a_bulk_change_sent_again_is_answered_again(app: FastAPI, person: Person) -> None:
    await spend(person, tags=["a"])
    key, fields = {"Idempotency-Key": "once"}, {"add_tags": ["b"], "remove_tags": ["a"]}
    first = await person.patch("/expenses?tag=a", json=fields, headers=key)
    again = await person.patch("/expenses?tag=a", json=fields, headers=key)

    assert (again.json(), again.headers["Idempotency-Replayed"]) == (first.json(), "true")
    assert await state_of(app, person) == (2, 1)


async def test_expenses_of_many_sets_are_changed_in_one_revision(person: Person) -> None:
    """A statement changes the expenses of a hundred sets."""
    combined = [[first, second] for first in TWENTY[:15] for second in TWENTY[:15] if first < second]
    await send_batch(person, *(creating(tags=[*tags, "all"]) for tags in combined))
    answers = [
        await retag(person, {"tag": "all"}, add_tags=["new"], description="seen"),
        await retag(person, {"tag": "new"}, remove_tags=["all"]),
    ]
    renamed = await rename(person, "new", "newer")
    await take_off(person, "newer", move_to="tag 00")
    found = (await person.get("/expenses", params={"limit": "200", "sort": "amount"})).json()["items"]

    assert answers == [{"matched": 105, "revision": 2}, {"matched": 105, "revision": 3}]
    assert (renamed["revision"], {it["revision"] for it in found}) == (4, {5})
    assert sorted(it["tags"] for it in found) == sorted(sorted({*tags, "tag 00"}) for tags in combined)
    assert find_damage(person) == []


@pytest.mark.parametrize("number", [1, 50])
@try_cases(
    "fields, cost",
    on_both=[({"add_tags": ["new"], "remove_tags": ["a"]}, 16)],
    on_sqlite=[
        ({"add_tags": ["b"]}, 13),
        ({"remove_tags": ["a"]}, 8),
        ({"add_tags": ["b"], "description": "seen"}, 13),
    ],
)
async def test_many_cost_as_much_as_one(
    person: Person, statements: Statements, fields: dict[str, object], cost: int, number: int
) -> None:
    await send_batch(person, creating(tags=["b"], currency="JPY", amount="1"), *[creating(tags=["a"])] * number)
    with statements() as sent:
        answer = await retag(person, {"currency": "EUR"}, **fields)
    assert (answer["matched"], len(sent)) == (number, cost), "\n".join(sent)


# In reports


async def report(person: Person, **query: object) -> dict[str, Any]:
    """Return the report of a month by tag."""
    asked: dict[str, Any] = {"period": "2026-11", "group_by": "tag"} | query
    answer = await person.get("/reports/spending", params=asked)
    assert answer.status_code == httpx.codes.OK, answer.text
    return dict(answer.json())


def shown(rows: list[dict[str, Any]], *fields: str) -> list[tuple[Any, ...]]:
    """Return some fields of each row."""
    return [tuple(row[name] for name in fields) for row in rows]


async def record_november(person: Person) -> None:
    """Record expenses with two tags, with one and without any, in two currencies."""
    await spend(person, amount="10.00", tags=["a", "b"], category="Food", date="2026-11-03")
    await spend(person, amount="5.00", tags=["a"], date="2026-11-04")
    await spend(person, amount="3.00", date="2026-11-04")
    await spend(person, amount="900", currency="JPY", tags=["b"], date="2026-11-30")
    await spend(person, amount="7.00", tags=["old"], date="2026-10-31")
    await discard(person, await spend(person, amount="8.00", tags=["a"], date="2026-11-05"))


async def test_an_expense_counts_for_each_of_its_tags(person: Person) -> None:
    await record_november(person)
    found = await report(person)

    assert (found["overlapping"], found["group_by"]) == (True, ["tag"])
    assert shown(found["totals"], "currency", "total", "count") == [("EUR", "18.00", 3), ("JPY", "900", 1)]
    assert shown(found["groups"], "tag", "currency", "total", "count", "share_percent") == [
        ("a", "EUR", "15.00", 2, 83.3),
        ("b", "EUR", "10.00", 1, 55.6),
        ("b", "JPY", "900", 1, 100.0),
        (None, "EUR", "3.00", 1, 16.7),
    ]


@pytest.mark.parametrize("group_by", [[], ["category"], ["month", "payee"]])
async def test_groups_overlap_only_by_tag(person: Person, group_by: list[str]) -> None:
    await record_november(person)

    assert "overlapping" not in await report(person, group_by=group_by)


async def test_groups_by_tag_are_sorted_as_people_do(person: Person) -> None:
    await spend(person, tags=["Zoo", "éclair", "apple", "Eclair", "🍎"], date="2026-11-01")
    await spend(person, date="2026-11-01")

    assert [row["tag"] for row in (await report(person))["groups"]] == [
        "apple",
        "Eclair",
        "éclair",
        "Zoo",
        "🍎",
        None,
    ]


async def test_buckets_of_time_have_every_tag(person: Person) -> None:
    await record_november(person)
    found = await report(person, group_by=["month", "tag"], period="2026-Q4", currency="EUR")

    assert shown(found["groups"], "month", "tag", "total") == [
        ("2026-10", "a", "0.00"),
        ("2026-10", "b", "0.00"),
        ("2026-10", "old", "7.00"),
        ("2026-10", None, "0.00"),
        ("2026-11", "a", "15.00"),
        ("2026-11", "b", "10.00"),
        ("2026-11", "old", "0.00"),
        ("2026-11", None, "3.00"),
        ("2026-12", "a", "0.00"),
        ("2026-12", "b", "0.00"),
        ("2026-12", "old", "0.00"),
        ("2026-12", None, "0.00"),
    ]


async def test_tags_are_grouped_with_categories(person: Person) -> None:
    await record_november(person)
    found = await report(person, group_by=["tag", "category"], currency="EUR")

    assert shown(found["groups"], "tag", "category", "total", "share_percent") == [
        ("a", "Food", "10.00", 55.6),
        ("a", None, "5.00", 27.8),
        ("b", "Food", "10.00", 55.6),
        (None, None, "3.00", 16.7),
    ]


async def test_a_report_of_one_tag_names_what_comes_with_it(person: Person) -> None:
    await record_november(person)
    found = await report(person, tag="B", currency="EUR")

    assert shown(found["totals"], "total") == [("10.00",)]
    assert shown(found["groups"], "tag", "total", "share_percent") == [("a", "10.00", 100.0), ("b", "10.00", 100.0)]


async def test_a_report_of_what_has_no_tags_has_one_group(person: Person) -> None:
    await record_november(person)

    assert shown((await report(person, untagged="true"))["groups"], "tag", "total") == [(None, "3.00")]


async def test_a_tag_that_only_the_other_month_has_is_compared_too(person: Person) -> None:
    await record_november(person)
    found = await report(person, compare="previous", currency="EUR")

    assert shown(found["groups"], "tag", "total", "previous_total", "change_percent") == [
        ("a", "15.00", "0.00", None),
        ("b", "10.00", "0.00", None),
        ("old", "0.00", "7.00", -100.0),
        (None, "3.00", "0.00", None),
    ]


async def test_a_report_has_what_became_of_a_tag(person: Person) -> None:
    await record_november(person)
    await rename(person, "b", "z")
    await take_off(person, "a")

    assert shown((await report(person, currency="EUR"))["groups"], "tag", "total", "count") == [
        ("z", "10.00", 1),
        (None, "8.00", 2),
    ]


# At most so many bytes


@try_cases(
    "method, path, body, pointer",
    on_both=[
        ("POST", "/expenses", {"amount": "1.00", "tags": ["a longer name"]}, "/tags"),
        ("PATCH", "/expenses?currency=EUR", {"add_tags": ["a longer name"]}, "/add_tags"),
        ("PATCH", "/tags/{tag}", {"name": "a longer name"}, "/name"),
    ],
    on_sqlite=[
        ("PATCH", "/expenses/{id}", {"tags": ["a longer name"]}, "/tags"),
        ("POST", "/expenses/batch", {"operations": [creating(), creating(tags=["a longer name"])]}, "/operations"),
        ("POST", "/expenses/batch", {"operations": [creating(), creating(payee="abc")]}, "/operations"),
    ],
)
async def test_the_names_of_sets_take_so_many_bytes_and_what_adds_to_them_is_refused(
    app: FastAPI,
    monkeypatch: pytest.MonkeyPatch,
    person: Person,
    method: str,
    path: str,
    body: object,
    pointer: str,
) -> None:
    settings = app.state.services.settings.model_copy(update={"text_bytes": 10})
    monkeypatch.setitem(app.state._state, "services", replace(app.state.services, settings=settings))
    expense = await spend(person, tags=["shared"])
    there = {"id": expense["id"], "tag": (await find(person, "shared"))["id"]}

    answer = await person.request(method, path.format(**there), json=body)

    assert (answer.status_code, answer.json()["code"], blamed(answer)) == (422, "too_many", {pointer: "not_allowed"})
    assert (await read(person, expense), await names(person)) == (expense, ["shared"])
    assert await state_of(app, person) == (1, 1)


# Swept


async def pass_days(noon: time_machine.Traveller, person: Person, number: int = 1) -> None:
    """Let it be another day, and have a new session."""
    noon.move_to(NOON + timedelta(days=number))
    person.bear(await person.open_session())


async def touch(person: Person, expense: dict[str, Any]) -> None:
    """Write, but change nothing: it takes no revision."""
    await change(person, expense, amount=expense["amount"])


async def test_a_set_that_nothing_has_is_swept_the_next_day(
    noon: time_machine.Traveller, app: FastAPI, person: Person
) -> None:
    expense, kept = await spend(person, tags=["a", "b"]), await spend(person, tags=["a"])
    await change(person, expense, tags=[])
    same_day = await count_rows(person, TagSet), find_damage(person)
    await pass_days(noon, person)
    await touch(person, kept)

    assert (same_day, await count_rows(person, TagSet), find_damage(person)) == ((2, []), 1, [])
    assert (await names(person), await read(person, kept)) == (["a", "b"], kept)
    assert await state_of(app, person) == (3, 2)


async def test_a_set_in_the_trash_is_swept_when_it_expires(noon: time_machine.Traveller, person: Person) -> None:
    lies, lives = await spend(person, tags=["a", "b"]), await spend(person)
    await discard(person, lies)
    await pass_days(noon, person)
    await touch(person, lives)
    next_day = await count_rows(person, TagSet)
    await pass_days(noon, person, 32)
    await touch(person, lives)

    assert (next_day, await count_rows(person, TagSet), find_damage(person)) == (1, 0, [])


async def test_what_is_restored_the_next_day_has_its_tags(noon: time_machine.Traveller, person: Person) -> None:
    lies = await spend(person, tags=["a", "b"])
    await discard(person, lies)
    await pass_days(noon, person)

    assert (await restore(person, lies)).json()["tags"] == ["a", "b"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "/expenses/{id}", {"tags": ["a", "b"]}),
        ("PUT", "/expenses/{id}", WHOLE | {"tags": ["a", "b"]}),
        ("PATCH", "/expenses?currency=EUR", {"add_tags": ["a", "b"]}),
        ("POST", "/expenses", {"amount": "1.00", "tags": ["a", "b"]}),
        ("POST", "/expenses/batch", {"operations": [creating(tags=["a", "b"])]}),
    ],
)
async def test_a_set_can_be_had_again_by_the_write_that_sweeps(
    noon: time_machine.Traveller, person: Person, method: str, path: str, body: dict[str, object]
) -> None:
    expense = await spend(person, tags=["a", "b"])
    await change(person, expense, tags=[])
    await pass_days(noon, person)
    answer = await person.request(method, path.format(id=expense["id"]), json=body)

    assert answer.is_success, answer.text
    assert len(await ids(person, "/expenses?tag=a&tag=b")) == 1
    assert find_damage(person) == []


async def test_a_tag_is_deleted_by_the_write_that_sweeps_its_sets(noon: time_machine.Traveller, person: Person) -> None:
    expense, other = await spend(person, tags=["a", "b"]), await spend(person, tags=["b"])
    await change(person, expense, tags=[])
    await pass_days(noon, person)
    await take_off(person, "a", move_to="b")

    assert (await names(person), await tags_of(person, expense, other)) == (["b"], [[], ["b"]])
    assert find_damage(person) == []


async def test_the_texts_of_sets_are_counted_through_all_changes(noon: time_machine.Traveller, person: Person) -> None:
    first, second = await spend(person, tags=["a", "🍎"]), await spend(person, tags=["b", "🍎"])
    await change(person, second, tags=["c"])
    await rename(person, "🍎", "a longer name")
    await retag(person, {"tag": "c"}, add_tags=["a"])
    await take_off(person, "a", move_to="b")
    damage = find_damage(person)
    await pass_days(noon, person)
    await touch(person, first)

    assert (damage, find_damage(person)) == ([], [])


async def test_more_different_sets_than_an_account_may_have_are_refused(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    await spend(person, tags=["a"])
    kept = await spend(person, tags=["b"])
    monkeypatch.setattr("ledger.tags.sets.MAX_TAG_SETS", 2)
    answer = await person.post("/expenses", json={"amount": "1.00", "tags": ["a", "b"]})
    in_bulk = await person.patch("/expenses", params={"tag": "a"}, json={"add_tags": ["b"]})
    monkeypatch.setattr("ledger.tags.sets.MAX_TAG_SETS", 3)
    await spend(person, tags=["c", "d"])
    taken_off = await person.patch("/expenses", params={"tag": "c"}, json={"remove_tags": ["c"]})

    assert (taken_off.status_code, blamed(taken_off)) == (422, {"/remove_tags": "not_allowed"})
    assert (answer.status_code, answer.json()["code"], blamed(answer)) == (422, "too_many", {"/tags": "not_allowed"})
    assert (in_bulk.status_code, blamed(in_bulk)) == (422, {"/add_tags": "not_allowed"})
    assert await read(person, kept) == kept


async def test_sets_that_nothing_has_make_room_for_others(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    expense = await spend(person, tags=["a"])
    await change(person, expense, tags=["b"])
    monkeypatch.setattr("ledger.tags.sets.MAX_TAG_SETS", 2)

    assert (await spend(person, tags=["a", "b"]))["tags"] == ["a", "b"]


async def test_at_the_most_tags_nothing_is_made_where_nothing_matches(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    await spend(person, tags=["a"])
    monkeypatch.setattr("ledger.tags.names.MAX_TAGS", 1)
    answer = await person.patch("/expenses", params={"tag": "nobody's"}, json={"add_tags": ["b"]})

    assert answer.json() == {"matched": 0, "revision": None}
