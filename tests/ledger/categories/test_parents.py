"""Parents of categories: one level deep, given by name, and what they mean in filters, reports and budgets."""

from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import bindparam, select

from models import MAX_CATEGORIES, Category
from tests.support.budgets import budget
from tests.support.categories import create, listed, names, where
from tests.support.databases import on_sqlite, try_cases
from tests.support.expenses import discard, read, spend
from tests.support.ledgers import state_of
from tests.support.people import Person
from tests.support.problems import blamed
from tests.support.rows import filling
from tests.support.settings import NOON

Row = dict[str, Any]


async def parents(person: Person) -> dict[str, str | None]:
    """Return the parents of all categories by their names."""
    return {it["name"]: it["parent"] for it in await listed(person)}


async def revisions(person: Person) -> dict[str, int]:
    """Return the revisions of all categories by their names."""
    return {it["name"]: it["revision"] for it in await listed(person)}


async def patch(person: Person, name: str, /, **fields: object) -> httpx.Response:
    """Change these fields of the category of this name."""
    return await person.patch(await where(person, name), json=fields)


async def delete(person: Person, name: str, **query: str) -> httpx.Response:
    """Delete the category of this name."""
    return await person.delete(await where(person, name), params=query)


async def plant(person: Person, tree: Mapping[str, str | None]) -> None:
    """Insert categories, each with its parent, into a new ledger; parents come before their children."""
    async with filling(person) as rows:
        for name, parent in tree.items():
            await rows.categorize(1, name, None if parent is None else rows.categories[parent])


# Made


async def test_a_category_is_made_with_a_parent_that_is_there(person: Person) -> None:
    food = await create(person, "Food")
    groceries = await create(person, "Groceries", parent="Food", color="#2a9d8f")

    assert (groceries["parent"], groceries["color"]) == ("Food", "#2a9d8f")
    assert await listed(person) == [food, groceries]
    assert (await person.get(f"/categories/{groceries['id']}")).json() == groceries


async def test_a_new_parent_is_made_in_the_same_revision(person: Person) -> None:
    await create(person, "Groceries", parent="Food")

    shown = [(it["name"], it["parent"], it["color"], it["revision"]) for it in await listed(person)]
    assert shown == [("Food", None, None, 1), ("Groceries", "Food", None, 1)]


async def test_a_parent_is_written_in_any_case_and_read_as_it_is_stored(person: Person) -> None:
    await create(person, "Food")

    assert (await create(person, "Groceries", parent=" fOOD "))["parent"] == "Food"


@pytest.mark.parametrize("parent", [None, "", "  "])
async def test_no_text_is_no_parent(person: Person, parent: str | None) -> None:
    assert (await create(person, "Groceries", parent=parent))["parent"] is None


async def test_a_category_may_have_many_children(person: Person) -> None:
    await create(person, "Groceries", parent="Food")
    await create(person, "Bakery", parent="Food")

    assert await parents(person) == {"Bakery": "Food", "Food": None, "Groceries": "Food"}


async def test_an_expense_makes_a_category_without_a_parent(person: Person) -> None:
    await spend(person, category="Groceries")

    assert await parents(person) == {"Groceries": None}


async def test_a_name_that_a_category_gives_up_is_not_its_parent_yet(person: Person) -> None:
    made = (await person.post("/categories", json={"name": "Food"})).json()
    answer = await person.patch(f"/categories/{made['id']}", json={"name": "Bread", "parent": "Food"})

    assert (answer.status_code, blamed(answer)) == (422, {"/parent": "not_allowed"})
    assert "rename it first" in answer.json()["errors"][0]["detail"]


@pytest.mark.parametrize("parent", ["Food", " fOOD ", "ｆｏｏｄ"])
async def test_a_category_is_not_made_as_its_own_parent(person: Person, parent: str) -> None:
    answer = await person.post("/categories", json={"name": "Food", "parent": parent})

    assert (answer.status_code, blamed(answer), await names(person)) == (422, {"/parent": "not_allowed"}, [])


async def test_a_category_is_not_made_on_a_second_level(person: Person) -> None:
    await create(person, "Groceries", parent="Food")

    answer = await person.post("/categories", json={"name": "Bread", "parent": "groceries"})

    assert (answer.status_code, blamed(answer)) == (422, {"/parent": "not_allowed"})
    assert await names(person) == ["Food", "Groceries"]


async def test_a_name_below_two_parents_is_a_conflict_that_says_so(app: FastAPI, person: Person) -> None:
    other = await create(person, "Other", parent="Food")

    answer = await person.post("/categories", json={"name": "other", "parent": "Travel"})

    assert (answer.status_code, answer.json()["code"], answer.json()["existing_id"]) == (
        409,
        "already_exists",
        other["id"],
    )
    assert "below another parent" in answer.json()["errors"][0]["detail"]
    assert (await names(person), await state_of(app, person)) == (["Food", "Other"], (1, 0))


async def test_a_strangers_category_is_no_parent(person: Person, stranger: Person) -> None:
    theirs = await create(stranger, "Food")
    await create(person, "Groceries", parent="Food")

    assert await listed(stranger) == [theirs]
    assert await parents(person) == {"Food": None, "Groceries": "Food"}


@pytest.mark.wire
@pytest.mark.parametrize(
    ("parent", "code"),
    [("C" * 51, "too_long"), ("a\x00b", "malformed"), ("a\nb", "malformed"), (7, "wrong_type"), (["a"], "wrong_type")],
)
async def test_another_parent_is_refused(somebody: Person, parent: object, code: str) -> None:
    answer = await somebody.post("/categories", json={"name": "Groceries", "parent": parent})

    assert (answer.status_code, blamed(answer)) == (422, {"/parent": code})


@on_sqlite
@pytest.mark.parametrize("spare", [0, 1])
async def test_a_parent_counts_as_a_category_of_the_thousand(person: Person, spare: int) -> None:
    await plant(person, {f"c{number}": None for number in range(MAX_CATEGORIES - spare)})

    answer = await person.post("/categories", json={"name": "Groceries", "parent": "Food"})

    assert (answer.status_code, answer.json()["code"], list(blamed(answer))) == (422, "too_many", ["/parent"])
    assert len(await names(person)) == MAX_CATEGORIES - spare


# Changed


async def test_a_category_gets_a_parent(person: Person) -> None:
    groceries = await create(person, "Groceries")
    food = await create(person, "Food")

    changed = (await patch(person, "Groceries", parent="food")).json()

    assert (changed["parent"], changed["revision"]) == ("Food", 3)
    assert await listed(person) == [food, groceries | changed]


async def test_a_category_gets_a_parent_that_is_new_in_the_same_revision(person: Person) -> None:
    await create(person, "Groceries")
    await patch(person, "Groceries", parent="Food")

    assert (await parents(person), await revisions(person)) == (
        {"Food": None, "Groceries": "Food"},
        {"Food": 2, "Groceries": 2},
    )


async def test_a_category_moves_to_another_parent(person: Person) -> None:
    await plant(person, {"Food": None, "Travel": None, "Snacks": "Food"})
    await patch(person, "Snacks", parent="Travel")

    assert await parents(person) == {"Food": None, "Snacks": "Travel", "Travel": None}


@pytest.mark.parametrize("parent", [None, ""])
async def test_a_category_loses_its_parent(person: Person, parent: str | None) -> None:
    await create(person, "Groceries", parent="Food")
    changed = (await patch(person, "Groceries", parent=parent)).json()

    assert (changed["parent"], changed["revision"]) == (None, 2)
    assert await revisions(person) == {"Food": 1, "Groceries": 2}


@pytest.mark.parametrize("fields", [{"color": "#e76f51"}, {"archived": True}, {"name": "Provisions"}])
async def test_another_change_keeps_the_parent(person: Person, fields: dict[str, object]) -> None:
    await create(person, "Groceries", parent="Food")

    assert (await patch(person, "Groceries", **fields)).json()["parent"] == "Food"


@pytest.mark.parametrize("parent", ["Food", "FOOD", " food "])
async def test_the_same_parent_in_any_case_takes_no_revision(app: FastAPI, person: Person, parent: str) -> None:
    groceries = await create(person, "Groceries", parent="Food")

    assert (await patch(person, "Groceries", parent=parent)).json() == groceries
    assert await state_of(app, person) == (1, 0)


@pytest.mark.parametrize("query", [{}, {"with_usage": "true"}])
async def test_what_was_read_can_be_sent_back(app: FastAPI, person: Person, query: dict[str, str]) -> None:
    await create(person, "Groceries", parent="Food")
    food, groceries = await listed(person, **query)
    answers = [await person.patch(f"/categories/{it['id']}", json=it) for it in (food, groceries)]

    assert [it.status_code for it in answers] == [200, 200]
    assert (await listed(person, **query), await state_of(app, person)) == ([food, groceries], (1, 0))


async def test_a_name_and_a_parent_change_together(person: Person) -> None:
    await create(person, "Groceries", parent="Food")
    await patch(person, "Groceries", name="Trains", parent="Travel")

    assert await parents(person) == {"Food": None, "Trains": "Travel", "Travel": None}


async def test_a_new_parent_touches_no_expense_and_no_budget(person: Person) -> None:
    expense, limit = await spend(person, category="Groceries"), await budget(person, category="Groceries")
    await patch(person, "Groceries", parent="Food")

    assert await read(person, expense) == expense
    assert (await person.get(f"/budgets/{limit['id']}")).json() == limit


TREE = {"Food": None, "Groceries": "Food", "Travel": None}


@try_cases(
    "name, fields",
    on_both=[("Food", {"parent": "food"}), ("Travel", {"parent": "Groceries"}), ("Food", {"parent": "Travel"})],
    on_sqlite=[
        ("Groceries", {"parent": "GROCERIES"}),
        ("Food", {"parent": "Groceries"}),
        ("Food", {"parent": "New"}),
        ("Travel", {"name": "Trips", "parent": "trips"}),
        ("Travel", {"name": "Trips", "parent": "Travel"}),
    ],
)
async def test_a_parent_that_cannot_be_is_refused_and_nothing_changes(
    app: FastAPI, person: Person, name: str, fields: dict[str, str]
) -> None:
    await plant(person, TREE)

    answer = await patch(person, name, **fields)

    assert (answer.status_code, blamed(answer)) == (422, {"/parent": "not_allowed"})
    assert (await parents(person), await state_of(app, person)) == (TREE, (1, 0))


async def test_a_category_that_lost_its_children_may_have_a_parent(person: Person) -> None:
    await plant(person, TREE)
    await patch(person, "Groceries", parent=None)
    await patch(person, "Food", parent="Groceries")

    assert await parents(person) == {"Food": "Groceries", "Groceries": None, "Travel": None}


async def test_a_parent_and_its_child_swap_their_names_in_three_steps(person: Person) -> None:
    await plant(person, TREE)
    await patch(person, "Food", name="?")
    await patch(person, "Groceries", name="Food")
    await patch(person, "?", name="Groceries")

    assert await parents(person) == {"Food": "Groceries", "Groceries": None, "Travel": None}


async def test_a_child_does_not_take_its_parents_name(person: Person) -> None:
    await plant(person, TREE)

    answer = await patch(person, "Groceries", name="FOOD")

    assert (answer.status_code, blamed(answer)) == (409, {"/name": "already_exists"})


async def test_a_taken_name_makes_no_new_parent(person: Person) -> None:
    await plant(person, TREE)
    answer = await patch(person, "Groceries", name="Travel", parent="New")

    assert (answer.status_code, await parents(person)) == (409, TREE)


# Renamed


async def test_a_new_name_is_read_as_the_parent_of_its_children(person: Person) -> None:
    await plant(person, TREE)
    await patch(person, "Food", name="Provisions")

    assert await parents(person) == {"Groceries": "Provisions", "Provisions": None, "Travel": None}


async def test_a_new_name_touches_the_children_in_the_same_revision(person: Person) -> None:
    await plant(person, TREE)
    await patch(person, "Food", name="Provisions")
    changes = (await person.get("/changes?since=1")).json()

    shown = [(it["name"], it["parent"], it["revision"]) for it in changes["categories"]]
    assert shown == [("Provisions", None, 2), ("Groceries", "Provisions", 2)]
    assert (await revisions(person))["Travel"] == 1


async def test_a_new_name_touches_no_expense_of_the_children(person: Person) -> None:
    await create(person, "Groceries", parent="Food")
    expense = await spend(person, category="Groceries")
    await patch(person, "Food", name="Provisions")

    assert await read(person, expense) == expense


@pytest.mark.parametrize("fields", [{"color": "#e76f51"}, {"archived": True}])
async def test_another_change_of_a_parent_touches_no_child(person: Person, fields: dict[str, object]) -> None:
    await plant(person, TREE)
    await patch(person, "Food", **fields)

    assert await revisions(person) == {"Food": 2, "Groceries": 1, "Travel": 1}


async def test_a_childs_tag_moves_with_its_parents_name(person: Person) -> None:
    groceries = await create(person, "Groceries", parent="Food")
    await patch(person, "Food", name="Provisions")

    answer = await person.patch(f"/categories/{groceries['id']}", json={"archived": True}, headers={"If-Match": '"1"'})

    assert answer.status_code == 412


# Deleted and merged


async def test_a_merge_into_a_top_level_category_takes_the_children_along(person: Person) -> None:
    await plant(person, TREE)
    answer = await delete(person, "Food", move_to="travel")

    assert (answer.status_code, await parents(person)) == (204, {"Groceries": "Travel", "Travel": None})
    assert await revisions(person) == {"Groceries": 2, "Travel": 1}


async def test_a_merge_into_a_child_of_another_leaves_the_children_on_their_own(person: Person) -> None:
    await plant(person, TREE | {"Trains": "Travel"})
    await delete(person, "Food", move_to="Trains")

    assert await parents(person) == {"Groceries": None, "Trains": "Travel", "Travel": None}


async def test_a_parent_is_merged_into_its_own_child(person: Person) -> None:
    await plant(person, TREE | {"Bakery": "Food"})
    expense = await spend(person, category="Food")
    answer = await delete(person, "Food", move_to="Groceries")

    assert (answer.status_code, (await read(person, expense))["category"]) == (204, "Groceries")
    assert await parents(person) == {"Bakery": None, "Groceries": None, "Travel": None}


async def test_a_child_is_merged_into_its_parent(person: Person) -> None:
    await plant(person, TREE)
    expense = await spend(person, category="Groceries")
    await delete(person, "Groceries", move_to="Food")

    assert (await read(person, expense))["category"] == "Food"
    assert await parents(person) == {"Food": None, "Travel": None}


async def test_a_parent_that_goes_uncategorized_leaves_its_children_on_their_own(person: Person) -> None:
    await plant(person, TREE)
    own, childs = await spend(person, category="Food"), await spend(person, category="Groceries")
    answer = await delete(person, "Food", uncategorized="true")

    assert (answer.status_code, await parents(person)) == (204, {"Groceries": None, "Travel": None})
    assert (await read(person, own))["category"] is None
    assert await read(person, childs) == childs


async def test_children_alone_are_no_use(person: Person) -> None:
    await plant(person, TREE)
    expense = await spend(person, category="Groceries")
    answer = await delete(person, "Food")

    assert (answer.status_code, await parents(person)) == (204, {"Groceries": None, "Travel": None})
    assert await read(person, expense) == expense


async def test_a_parent_in_use_is_not_deleted_without_a_word(person: Person) -> None:
    await plant(person, TREE)
    await spend(person, category="Food")
    answer = await delete(person, "Food")

    assert (answer.status_code, answer.json()["code"], await parents(person)) == (409, "category_in_use", TREE)


async def test_what_a_merge_changes_is_told_as_a_change(person: Person) -> None:
    await plant(person, TREE)
    food = (await where(person, "Food")).removeprefix("/categories/")
    await delete(person, "Food", move_to="Travel")
    changes = (await person.get("/changes?since=1")).json()

    assert [(it["name"], it["parent"]) for it in changes["categories"]] == [("Groceries", "Travel")]
    assert changes["deleted"] == [{"kind": "category", "id": int(food), "revision": 2}]


async def test_a_merge_takes_the_budget_along_and_leaves_those_of_the_children(person: Person) -> None:
    await plant(person, TREE)
    await budget(person, category="Food", amount="100.00")
    await budget(person, category="Groceries", amount="50.00")
    await delete(person, "Food", move_to="Travel")

    budgets = (await person.get("/budgets")).json()["items"]
    assert {it["category"]: it["amount"] for it in budgets} == {"Groceries": "50.00", "Travel": "100.00"}


# Filtered


@pytest.fixture
async def household(person: Person) -> Person:
    """A user with an expense in each category of a tree, and one without any, on a day each of November."""
    await plant(person, {"Food": None, "Bakery": "Food", "Groceries": "Food", "Travel": None, "Trains": "Travel"})
    await spend(person, category="Food", amount="1.00", date="2026-11-01")
    await spend(person, category="Bakery", amount="2.00", date="2026-11-02")
    await spend(person, category="Groceries", amount="4.00", date="2026-11-03")
    await spend(person, category="Travel", amount="8.00", date="2026-11-04")
    await spend(person, category="Trains", amount="16.00", date="2026-11-05")
    await spend(person, amount="32.00", date="2026-11-06")
    return person


FILTERS: list[tuple[Row, list[str | None]]] = [
    ({"category": "food"}, ["Food", "Bakery", "Groceries"]),
    ({"category": "food", "children": "true"}, ["Food", "Bakery", "Groceries"]),
    ({"category": "food", "children": "false"}, ["Food"]),
    ({"category": "Groceries"}, ["Groceries"]),
    ({"category": ["Food", "Groceries"]}, ["Food", "Bakery", "Groceries"]),
    ({"category": ["Food", "Trains"]}, ["Food", "Bakery", "Groceries", "Trains"]),
    ({"category": ["Food", "Trains"], "children": "false"}, ["Food", "Trains"]),
    ({"category": ["Food", "Nothing"], "uncategorized": "true"}, ["Food", "Bakery", "Groceries", None]),
    ({"category": "Travel", "uncategorized": "true", "children": "false"}, ["Travel", None]),
    ({"category": "Nothing"}, []),
    ({"uncategorized": "true", "children": "false"}, [None]),
]


@pytest.mark.parametrize(("query", "categories"), FILTERS)
async def test_a_filter_by_a_parent_lists_its_children_too(
    household: Person, query: Row, categories: list[str | None]
) -> None:
    answer = await household.get("/expenses", params={"sort": "date", "with_count": "true", **query})

    found = answer.json()
    assert ([it["category"] for it in found["items"]], found["count"]) == (categories, len(categories))


@pytest.mark.parametrize(("query", "categories"), FILTERS)
async def test_a_bulk_edit_by_a_parent_changes_its_childrens_too(
    household: Person, query: Row, categories: list[str | None]
) -> None:
    answer = await household.patch("/expenses", params=query, json={"description": "changed"})
    changed = await household.get("/expenses", params={"q": "changed", "sort": "date"})

    assert (answer.json()["matched"], [it["category"] for it in changed.json()["items"]]) == (
        len(categories),
        categories,
    )


@try_cases("query, categories", on_both=FILTERS[:3], on_sqlite=FILTERS[3:])
async def test_a_bulk_deletion_by_a_parent_deletes_its_childrens_too(
    household: Person, query: Row, categories: list[str | None]
) -> None:
    answer = await household.delete("/expenses", params=query)
    trash = (await household.get("/expenses/trash")).json()["items"]

    assert answer.json()["matched"] == len(categories)
    assert {it["category"] for it in trash} == set(categories)


async def test_children_alone_are_no_filter(household: Person) -> None:
    answer = await household.delete("/expenses?children=false")

    assert (answer.status_code, answer.json()["code"]) == (422, "filter_required")


async def test_pages_of_a_parent_leave_nothing_out(household: Person) -> None:
    first = (await household.get("/expenses?category=Food&limit=2&sort=amount")).json()
    query = {"category": "Food", "limit": "2", "sort": "amount", "cursor": first["next_cursor"]}
    second = (await household.get("/expenses", params=query)).json()

    assert [it["category"] for it in first["items"] + second["items"]] == ["Food", "Bakery", "Groceries"]
    assert second["next_cursor"] is None


async def test_a_cursor_belongs_to_its_children(household: Person) -> None:
    first = (await household.get("/expenses?category=Food&limit=2")).json()
    query = {"category": "Food", "limit": "2", "children": "false", "cursor": first["next_cursor"]}

    assert blamed(await household.get("/expenses", params=query)) == {"cursor": "not_allowed"}


# Reported


async def grouped(person: Person, *dimensions: str, **query: str) -> list[Row]:
    """Return the groups of a report on November."""
    asked: dict[str, Any] = {"group_by": dimensions, "period": "2026-11", **query}
    answer = await person.get("/reports/spending", params=asked)
    assert answer.status_code == httpx.codes.OK, answer.text
    groups: list[Row] = answer.json()["groups"]
    return groups


async def test_a_report_is_filtered_by_a_parent_and_its_children(household: Person) -> None:
    whole = await grouped(household, "category", category="Food")
    own = await grouped(household, "category", category="Food", children="false")

    assert [(it["category"], it["total"]) for it in whole] == [
        ("Bakery", "2.00"),
        ("Food", "1.00"),
        ("Groceries", "4.00"),
    ]
    assert [(it["category"], it["total"]) for it in own] == [("Food", "1.00")]


async def test_in_a_report_by_parent_a_category_counts_for_its_parent(household: Person) -> None:
    groups = await grouped(household, "parent")

    shown = [(it["parent"], it["total"], it["count"], it["min"], it["max"]) for it in groups]
    assert shown == [
        ("Food", "7.00", 3, "1.00", "4.00"),
        ("Travel", "24.00", 2, "8.00", "16.00"),
        (None, "32.00", 1, "32.00", "32.00"),
    ]


async def test_in_a_report_by_parent_and_category_both_are_told(household: Person) -> None:
    groups = await grouped(household, "parent", "category")

    assert [(it["parent"], it["category"], it["total"]) for it in groups] == [
        ("Food", "Bakery", "2.00"),
        ("Food", "Food", "1.00"),
        ("Food", "Groceries", "4.00"),
        ("Travel", "Trains", "16.00"),
        ("Travel", "Travel", "8.00"),
        (None, None, "32.00"),
    ]


async def test_in_a_report_by_category_and_parent_the_category_comes_first(household: Person) -> None:
    groups = await grouped(household, "category", "parent", category="Food")

    assert [(it["category"], it["parent"]) for it in groups] == [
        ("Bakery", "Food"),
        ("Food", "Food"),
        ("Groceries", "Food"),
    ]


async def test_a_parent_has_a_bucket_for_every_month(household: Person) -> None:
    asked = {"group_by": ["month", "parent"], "from": "2026-10-01", "to": "2026-11-30", "category": "Food"}
    groups = (await household.get("/reports/spending", params=asked)).json()["groups"]

    assert [(it["month"], it["parent"], it["total"], it["count"]) for it in groups] == [
        ("2026-10", "Food", "0.00", 0),
        ("2026-11", "Food", "7.00", 3),
    ]


async def test_a_child_moved_elsewhere_counts_for_its_new_parent(household: Person) -> None:
    await patch(household, "Bakery", parent="Travel")

    groups = {it["parent"]: it["total"] for it in await grouped(household, "parent")}
    assert groups == {"Food": "5.00", "Travel": "26.00", None: "32.00"}


async def test_a_parent_without_expenses_of_its_own_is_a_group(person: Person) -> None:
    await create(person, "Groceries", parent="Food")
    await spend(person, category="Groceries", date="2026-11-01")

    assert [(it["parent"], it["total"]) for it in await grouped(person, "parent")] == [("Food", "12.50")]


# Budgeted


async def spent(person: Person) -> dict[str | None, str]:
    """Return what November's budgets have spent, by category."""
    status = (await person.get("/budgets/status?on=2026-11-22")).json()
    return {it["budget"]["category"]: it["spent"] for it in status["items"]}


async def unbudgeted(person: Person) -> list[tuple[str, str]]:
    """Return what November spent without a budget, by currency."""
    status = (await person.get("/budgets/status?on=2026-11-22")).json()
    return [(it["currency"], it["total"]) for it in status["unbudgeted"]]


async def test_a_budget_of_a_parent_counts_its_children_and_that_of_a_child_its_own(household: Person) -> None:
    await budget(household, category="Food")
    await budget(household, category="Groceries")
    await budget(household, category=None)

    assert await spent(household) == {"Food": "7.00", "Groceries": "4.00", None: "63.00"}


async def test_what_a_parents_budget_covers_is_not_unbudgeted(household: Person) -> None:
    await budget(household, category="Food")

    assert await unbudgeted(household) == [("EUR", "56.00")]


async def test_what_two_budgets_cover_is_counted_once(household: Person) -> None:
    await budget(household, category="Food")
    await budget(household, category="Groceries")

    assert await unbudgeted(household) == [("EUR", "56.00")]


async def test_a_childs_budget_covers_neither_its_parent_nor_the_other_children(household: Person) -> None:
    await budget(household, category="Groceries")

    assert await unbudgeted(household) == [("EUR", "59.00")]


async def test_a_parents_budget_in_another_currency_covers_nothing(household: Person) -> None:
    await budget(household, category="Food", currency="USD")
    await spend(household, category="Groceries", amount="3.00", currency="USD", date="2026-11-03")

    assert (await spent(household), await unbudgeted(household)) == ({"Food": "3.00"}, [("EUR", "63.00")])


async def test_a_child_that_leaves_its_parent_leaves_its_budget(household: Person) -> None:
    await budget(household, category="Food")
    await patch(household, "Groceries", parent=None)

    assert (await spent(household), await unbudgeted(household)) == ({"Food": "3.00"}, [("EUR", "60.00")])


# Listed


async def test_a_list_sorts_accents_beside_their_letters(person: Person) -> None:
    await plant(person, dict.fromkeys(["Enfants", "Zoo", "Élève", "eleve", "łódź", "Loft", "Lotto", "ÉLAN"]))

    assert await names(person) == ["ÉLAN", "eleve", "Élève", "Enfants", "łódź", "Loft", "Lotto", "Zoo"]


async def test_a_child_is_listed_by_its_own_name(person: Person) -> None:
    await create(person, "Apples", parent="Zest")

    assert await names(person) == ["Apples", "Zest"]


async def test_a_child_is_used_for_itself_alone(household: Person) -> None:
    used = {it["name"]: it["expense_count"] for it in await listed(household, with_usage="true")}

    assert used == {"Bakery": 1, "Food": 1, "Groceries": 1, "Trains": 1, "Travel": 1}


# The account


async def test_an_account_with_a_tree_is_deleted_whole(app: FastAPI, household: Person) -> None:
    await budget(household, category="Groceries")
    await discard(household, await spend(household, category="Groceries", date=str(NOON.date())))

    answer = await household.request("DELETE", "/users/me", json={"current_password": household.password})

    mine = select(Category.id).where(Category.owner_id == bindparam("owner"))
    async with app.state.services.database.new_unit() as unit:
        left = (await (await unit.connection()).execute(mine, {"owner": household.user["id"]})).all()
    assert (answer.status_code, left) == (204, [])
