"""Categories: created by use, equal whatever the case, renamed, merged and deleted."""

from typing import Any

import pytest
import time_machine
from fastapi import FastAPI
from sqlalchemy import insert

from models import Category
from tests.support.categories import create, listed, names, where
from tests.support.databases import on_sqlite, try_cases
from tests.support.expenses import change, read, spend
from tests.support.people import Person
from tests.support.problems import blamed
from tests.support.rows import filling
from values.texts import make_name_key

# One name each, whatever the case and the form of the letters.
ALIKE = [
    ("Food", "food"),
    ("Food", "FOOD"),
    ("Food", "  food\t"),
    ("Straße", "STRASSE"),
    ("Straße", "strasse"),
    ("café", "CAFÉ"),
    ("caf\u00e9", "cafe\u0301"),
    ("Ångström", "\u212bngström"),
    ("ΟΔΟΣ", "οδος"),
    ("ΌΣΟΣ", "όσος"),
    ("МОСКВА", "москва"),
    ("ﬁsh", "fish"),
    ("Ｆｏｏｄ", "food"),
    ("ｶﾌｪ", "カフェ"),
    ("①", "1"),
    ("ǆ", "Ǆ"),
]
# Two names each: an accent, a dot or a space makes another.
UNLIKE = [
    ("café", "cafe"),
    ("Müll", "Mull"),
    ("ñ", "n"),
    ("İ", "i"),
    ("ı", "i"),
    ("Food", "Food."),
    ("Food and drink", "Foodanddrink"),
    ("Food", "Fооd"),  # two Cyrillic letters
    ("Food", "Fo\u200bod"),
    ("カフェ", "ガフェ"),
    ("🍎", "🍏"),
    ("👩", "👨"),
    ("100%", "100_"),
]


# Made


@pytest.mark.usefixtures("noon")
async def test_a_category_is_made_as_it_was_sent(person: Person) -> None:
    category = await create(person, "Groceries", color="#2A9D8F")

    assert category == {
        "id": category["id"],
        "name": "Groceries",
        "parent": None,
        "color": "#2a9d8f",
        "archived": False,
        "revision": 1,
        "created_at": "2026-11-22T12:00:00Z",
        "updated_at": "2026-11-22T12:00:00Z",
    }


async def test_a_name_is_all_that_a_category_needs(person: Person) -> None:
    assert (await create(person, "Groceries"))["color"] is None


async def test_a_category_is_read_as_it_was_answered(person: Person) -> None:
    category = await create(person, "Groceries")

    assert (await person.get(f"/categories/{category['id']}")).json() == category


async def test_a_new_category_says_where_it_is(person: Person) -> None:
    answer = await person.post("/categories", json={"name": "Groceries"})

    assert answer.headers["Location"] == f"/categories/{answer.json()['id']}"


async def test_names_come_back_as_they_went_in(person: Person) -> None:
    hostile = ["x", "🍎", "Ünïcödé & more", "日本語", "a\tb", "<b>", "%", "null", "🍎" * 50]
    made = [(await create(person, name))["name"] for name in hostile]

    assert made == hostile
    assert sorted(await names(person)) == sorted(hostile)


@pytest.mark.wire
@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("", "too_short"),
        ("  ", "too_short"),
        ("C" * 51, "too_long"),
        pytest.param("\ufdfa" * 50, "too_long", id="50 ligatures of 18 letters"),
        ("a\x00b", "malformed"),
        ("a\x1bb", "malformed"),
        (None, "wrong_type"),
        (1, "wrong_type"),
        (True, "wrong_type"),
        (["Food"], "wrong_type"),
    ],
)
async def test_another_name_is_refused(somebody: Person, name: object, code: str) -> None:
    assert blamed(await somebody.post("/categories", json={"name": name})) == {"/name": code}


@pytest.mark.wire
async def test_a_category_without_a_name_is_refused(somebody: Person) -> None:
    assert blamed(await somebody.post("/categories", json={})) == {"/name": "required"}


@pytest.mark.parametrize("ligatures", [8, 9, 50])
async def test_a_name_that_grows_when_it_is_folded_is_no_error_of_ours(person: Person, ligatures: int) -> None:
    made = await person.post("/categories", json={"name": "\ufdfa" * ligatures})
    used = await person.post("/expenses", json={"amount": "1", "category": "\ufdfa" * ligatures})

    assert (made.status_code, used.status_code) in {(201, 201), (422, 422)}


@pytest.mark.wire
@pytest.mark.parametrize("color", ["red", "#2a9d8", "2a9d8f", "#2a9d8f\n", 0, True, ["#2a9d8f"]])
async def test_another_colour_is_refused(somebody: Person, color: object) -> None:
    assert set(blamed(await somebody.post("/categories", json={"name": "Food", "color": color}))) == {"/color"}


@pytest.mark.wire
@pytest.mark.parametrize("field", ["archived", "id", "revision", "owner_id", "colour"])
async def test_a_field_that_is_not_there_is_refused(somebody: Person, field: str) -> None:
    assert blamed(await somebody.post("/categories", json={"name": "Food", field: 1})) == {f"/{field}": "unknown"}


# Made by their first expense


async def test_an_expense_makes_its_category(person: Person) -> None:
    expense = await spend(person, category=" Groceries ")
    [category] = await listed(person)

    assert (expense["category"], category["name"], category["revision"]) == (
        "Groceries",
        "Groceries",
        expense["revision"],
    )


async def test_a_second_expense_makes_no_second_category(person: Person) -> None:
    await spend(person, category="Groceries")
    await spend(person, category="Groceries")

    assert await names(person) == ["Groceries"]


async def test_a_category_stays_when_its_last_expense_goes(person: Person) -> None:
    expense = await spend(person, category="Groceries")
    await person.delete(f"/expenses/{expense['id']}")

    assert await names(person) == ["Groceries"]


# One name


@pytest.mark.parametrize(("first", "second"), [("Food", " fOOD\t"), ("Straße", "STRASSE"), ("café", "CAFE\u0301")])
async def test_names_that_are_alike_are_one_category(person: Person, first: str, second: str) -> None:
    await spend(person, category=first)
    await spend(person, category=second)

    assert len(await listed(person)) == 1


async def test_names_that_are_unlike_are_different_categories(person: Person) -> None:
    unlike = sorted({name for pair in UNLIKE for name in pair})
    spent = [(await spend(person, category=name))["category"] for name in unlike]

    assert spent == unlike
    assert sorted(await names(person)) == unlike


@pytest.mark.parametrize(("first", "second"), ALIKE)
def test_names_that_are_alike_have_one_key(first: str, second: str) -> None:
    assert make_name_key(first.strip()) == make_name_key(second.strip())


async def test_the_first_spelling_is_the_one_that_is_read(person: Person) -> None:
    await spend(person, category="Groceries")

    assert (await spend(person, category="GROCERIES"))["category"] == "Groceries"


@pytest.mark.parametrize(("first", "second"), [("Food", "Food"), ("Food", " FOOD "), ("Straße", "STRASSE")])
async def test_a_taken_name_is_a_conflict_that_names_who_has_it(person: Person, first: str, second: str) -> None:
    there = await create(person, first)

    answer = await person.post("/categories", json={"name": second})

    assert (answer.status_code, answer.json()["code"], answer.json()["existing_id"], blamed(answer)) == (
        409,
        "already_exists",
        there["id"],
        {"/name": "already_exists"},
    )


async def test_two_users_may_have_categories_of_one_name(person: Person, stranger: Person) -> None:
    theirs = await create(stranger, "Food")

    assert (await create(person, "Food"))["id"] != theirs["id"]


# Listed


async def test_categories_are_listed_by_name_whatever_the_case(person: Person) -> None:
    await create(person, "cherry")
    await create(person, "Banana")
    await create(person, "apple")

    assert await names(person) == ["apple", "Banana", "cherry"]


async def test_categories_come_whole_and_in_the_form_of_lists(person: Person) -> None:
    category = await create(person, "Food")

    assert (await person.get("/categories")).json() == {"items": [category], "next_cursor": None}


async def test_nobody_lists_a_strangers_categories(person: Person, stranger: Person) -> None:
    await create(stranger, "Theirs")

    assert await listed(person) == []


async def test_a_category_says_how_it_is_used(person: Person) -> None:
    await spend(person, category="Food", date="2026-11-01")
    await spend(person, category="food", date="2026-11-22")
    await spend(person, date="2026-12-01")

    [category] = await listed(person, with_usage="true")

    assert (category["expense_count"], category["last_used"]) == (2, "2026-11-22")


async def test_a_category_says_that_it_is_not_used(person: Person) -> None:
    await create(person, "Food")

    [category] = await listed(person, with_usage="true")

    assert (category["expense_count"], category["last_used"]) == (0, None)


async def test_what_was_deleted_does_not_count_as_use(person: Person) -> None:
    expense = await spend(person, category="Food")
    await person.delete(f"/expenses/{expense['id']}")

    [category] = await listed(person, with_usage="true")

    assert (category["expense_count"], category["last_used"]) == (0, None)


@pytest.mark.parametrize("query", [{}, {"with_usage": "true"}])
async def test_a_category_as_it_was_read_can_be_sent_back_and_changes_nothing(
    person: Person, query: dict[str, str]
) -> None:
    made = await create(person, "Groceries", color="#2a9d8f")
    await spend(person, category="Groceries")
    [read] = await listed(person, **query)

    answer = await person.patch(f"/categories/{made['id']}", json=read)

    assert (answer.status_code, answer.json()) == (200, made)
    assert await listed(person, **query) == [read]


@pytest.mark.parametrize("query", [{}, {"with_usage": "false"}])
async def test_use_is_told_only_if_asked(person: Person, query: dict[str, str]) -> None:
    await spend(person, category="Food")

    [category] = await listed(person, **query)

    assert {"expense_count", "last_used"} & category.keys() == set()


# Changed


@pytest.mark.parametrize(
    ("field", "value", "kept"),
    [
        ("name", " Provisions ", "Provisions"),
        ("color", "#E76F51", "#e76f51"),
        ("color", None, None),
        ("archived", True, True),
        ("archived", False, False),
    ],
)
async def test_a_change_changes_its_field_and_no_other(person: Person, field: str, value: object, kept: object) -> None:
    category = await create(person, "Groceries", color="#2a9d8f")

    changed = (await person.patch(f"/categories/{category['id']}", json={field: value})).json()

    moved = {"revision": changed["revision"], "updated_at": changed["updated_at"]}
    assert changed == category | {field: kept} | moved


async def test_a_change_takes_a_revision_and_says_when_it_was(noon: time_machine.Traveller, person: Person) -> None:
    category = await create(person, "Groceries")
    noon.shift(60)

    changed = (await person.patch(f"/categories/{category['id']}", json={"archived": True})).json()

    assert (changed["revision"], changed["created_at"], changed["updated_at"]) == (
        category["revision"] + 1,
        "2026-11-22T12:00:00Z",
        "2026-11-22T12:01:00Z",
    )


@on_sqlite
@pytest.mark.parametrize(
    "same", [{}, {"name": "Groceries"}, {"name": " Groceries "}, {"color": "#2A9D8F"}, {"archived": False}]
)
async def test_a_change_to_the_same_values_takes_no_revision(person: Person, same: dict[str, object]) -> None:
    category = await create(person, "Groceries", color="#2a9d8f")

    changed = (await person.patch(f"/categories/{category['id']}", json=same)).json()

    assert (changed, (await create(person, "Next"))["revision"]) == (category, category["revision"] + 1)


@pytest.mark.wire
@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("name", None, "wrong_type"),
        ("name", "", "too_short"),
        ("name", "C" * 51, "too_long"),
        ("archived", None, "wrong_type"),
        ("archived", 1, "wrong_type"),
        ("archived", "true", "wrong_type"),
        ("color", "red", "malformed"),
        ("owner_id", 1, "unknown"),
    ],
)
async def test_a_change_that_cannot_be_is_refused(person: Person, field: str, value: object, code: str) -> None:
    category = await create(person, "Groceries")

    assert blamed(await person.patch(f"/categories/{category['id']}", json={field: value})) == {f"/{field}": code}


async def test_an_archived_category_can_still_be_used(person: Person) -> None:
    category = await create(person, "Groceries")
    await person.patch(f"/categories/{category['id']}", json={"archived": True})

    assert (await spend(person, category="groceries"))["category"] == "Groceries"


# Renamed


async def test_a_new_name_is_read_on_every_expense(person: Person) -> None:
    expense = await spend(person, category="Groceries")
    await person.patch(await where(person, "Groceries"), json={"name": "Provisions"})

    assert (await read(person, expense))["category"] == "Provisions"


async def test_a_new_name_touches_its_expenses_in_the_same_revision(person: Person) -> None:
    expense = await spend(person, category="Groceries")
    renamed = (await person.patch(await where(person, "Groceries"), json={"name": "Provisions"})).json()

    assert renamed["revision"] == (await read(person, expense))["revision"] == expense["revision"] + 1


async def test_a_new_name_touches_no_other_expense(person: Person, stranger: Person) -> None:
    others = await spend(person, category="Rent")
    theirs = await spend(stranger, category="Groceries")
    await spend(person, category="Groceries")
    await person.patch(await where(person, "Groceries"), json={"name": "Provisions"})

    assert (await read(person, others), await read(stranger, theirs)) == (others, theirs)


@pytest.mark.parametrize("change", [{"color": "#e76f51"}, {"archived": True}])
async def test_another_change_touches_no_expense(person: Person, change: dict[str, object]) -> None:
    expense = await spend(person, category="Groceries")
    await person.patch(await where(person, "Groceries"), json=change)

    assert await read(person, expense) == expense


async def test_an_expense_read_before_the_new_name_is_stale(person: Person) -> None:
    expense = await spend(person, category="Groceries")
    await person.patch(await where(person, "Groceries"), json={"name": "Provisions"})

    answer = await person.patch(f"/expenses/{expense['id']}", json=expense)

    assert answer.status_code == 412


async def test_a_new_name_is_found_and_the_old_one_is_not(person: Person) -> None:
    await spend(person, category="Groceries")
    await person.patch(await where(person, "Groceries"), json={"name": "Provisions"})

    counts = [
        (await person.get("/expenses", params={"category": name, "with_count": "true"})).json()["count"]
        for name in ("Groceries", "provisions")
    ]

    assert counts == [0, 1]


async def test_the_old_name_is_free_again(person: Person) -> None:
    category = await create(person, "Groceries")
    await person.patch(f"/categories/{category['id']}", json={"name": "Provisions"})

    assert (await create(person, "Groceries"))["id"] != category["id"]


@pytest.mark.parametrize(("name", "renamed"), [("groceries", "Groceries"), ("strasse", "Straße"), ("ﬁsh", "fish")])
async def test_a_name_can_be_spelt_anew(person: Person, name: str, renamed: str) -> None:
    expense = await spend(person, category=name)
    await person.patch(await where(person, name), json={"name": renamed})

    assert (await read(person, expense))["category"] == renamed


async def test_a_new_name_that_is_taken_is_a_conflict_and_changes_nothing(person: Person) -> None:
    taken = await create(person, "Food")
    category = await create(person, "Groceries")

    answer = await person.patch(f"/categories/{category['id']}", json={"name": "FOOD", "color": "#e76f51"})

    assert (answer.status_code, answer.json()["existing_id"], blamed(answer), await listed(person)) == (
        409,
        taken["id"],
        {"/name": "already_exists"},
        [taken, category],
    )


# Deleted


async def test_a_category_without_expenses_is_deleted(person: Person) -> None:
    category = await create(person, "Groceries")

    answer = await person.delete(f"/categories/{category['id']}")

    assert (answer.status_code, answer.content, await listed(person)) == (204, b"", [])


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_a_deleted_category_can_no_longer_be_touched(person: Person, method: str) -> None:
    category = await create(person, "Groceries")
    await person.delete(f"/categories/{category['id']}")

    assert (await person.request(method, f"/categories/{category['id']}", json={})).status_code == 404


async def test_a_category_in_use_is_not_deleted_without_a_word(person: Person) -> None:
    expense = await spend(person, category="Groceries")

    answer = await person.delete(await where(person, "Groceries"))

    assert (answer.status_code, answer.json()["code"], await read(person, expense)) == (409, "category_in_use", expense)


@pytest.mark.parametrize("word", ["move_to=NAME", "uncategorized=true"])
async def test_a_category_in_use_says_what_the_words_are(person: Person, word: str) -> None:
    await spend(person, category="Groceries")

    answer = await person.delete(await where(person, "Groceries"))

    assert word in answer.json()["detail"]


async def test_uncategorized_false_is_no_such_word(person: Person) -> None:
    await spend(person, category="Groceries")

    answer = await person.delete(await where(person, "Groceries"), params={"uncategorized": "false"})

    assert answer.status_code == 409


async def test_a_category_whose_expenses_are_all_deleted_is_not_in_use(person: Person) -> None:
    expense = await spend(person, category="Groceries", external_id="bank-1")
    await person.delete(f"/expenses/{expense['id']}")
    await person.delete(await where(person, "Groceries"))

    trashed = (await person.post("/expenses", json={"amount": "1", "external_id": "bank-1"})).json()

    assert (trashed["id"], trashed["category"]) == (expense["id"], None)


async def test_a_categorys_expenses_can_be_left_without_one(person: Person) -> None:
    expense = await spend(person, category="Groceries")

    answer = await person.delete(await where(person, "Groceries"), params={"uncategorized": "true"})

    assert (answer.status_code, (await read(person, expense))["category"]) == (204, None)


async def test_a_category_can_be_merged_into_another(person: Person) -> None:
    moved, there = await spend(person, category="Groceries"), await spend(person, category="Food")

    answer = await person.delete(await where(person, "Groceries"), params={"move_to": " fOOD "})

    assert (answer.status_code, [(await read(person, it))["category"] for it in (moved, there)]) == (
        204,
        ["Food", "Food"],
    )


async def test_a_merge_leaves_the_other_category_alone(person: Person) -> None:
    food = await create(person, "Food", color="#2a9d8f")
    await spend(person, category="Groceries")
    await person.delete(await where(person, "Groceries"), params={"move_to": "Food"})

    assert await listed(person) == [food]


@pytest.mark.parametrize("heir", [{"uncategorized": "true"}, {"move_to": "Food"}])
async def test_a_deletion_touches_its_expenses_in_one_revision(person: Person, heir: dict[str, str]) -> None:
    await create(person, "Food")
    first, second = await spend(person, category="Groceries"), await spend(person, category="Groceries")
    await person.delete(await where(person, "Groceries"), params=heir)

    moved = [(await read(person, it))["revision"] for it in (first, second)]

    assert (moved, (await spend(person))["revision"]) == ([second["revision"] + 1] * 2, second["revision"] + 2)


@pytest.mark.parametrize("heir", [{"uncategorized": "true"}, {"move_to": "Food"}])
async def test_a_deletion_touches_no_other_expense(person: Person, stranger: Person, heir: dict[str, str]) -> None:
    there = await spend(person, category="Food")
    theirs = await spend(stranger, category="Groceries")
    await spend(person, category="Groceries")
    await person.delete(await where(person, "Groceries"), params=heir)

    assert (await read(person, there), await read(stranger, theirs)) == (there, theirs)


async def test_a_merge_takes_along_what_lies_in_the_trash(person: Person) -> None:
    await create(person, "Food")
    expense = await spend(person, category="Groceries", external_id="bank-1")
    await person.delete(f"/expenses/{expense['id']}")
    await person.delete(await where(person, "Groceries"), params={"move_to": "Food"})

    trashed = (await person.post("/expenses", json={"amount": "1", "external_id": "bank-1"})).json()

    assert trashed["category"] == "Food"


@try_cases(
    "heir, blame",
    on_both=[
        ({"move_to": "Theirs"}, {"move_to": "not_found"}),
        ({"move_to": "GROCERIES"}, {"move_to": "not_allowed"}),
    ],
    on_sqlite=[
        ({"move_to": "Nothing of the sort"}, {"move_to": "not_found"}),
        ({"move_to": "Groceries"}, {"move_to": "not_allowed"}),
        ({"move_to": ""}, {"move_to": "too_short"}),
        ({"move_to": "C" * 51}, {"move_to": "too_long"}),
        ({"move_to": ["Food", "Rent"]}, {"move_to": "not_allowed"}),
        ({"uncategorized": "yes"}, {"uncategorized": "wrong_type"}),
        ({"uncategorised": "true"}, {"uncategorised": "unknown"}),
    ],
)
async def test_a_deletion_that_cannot_be_is_refused_by_name(
    person: Person, stranger: Person, heir: dict[str, Any], blame: dict[str, str]
) -> None:
    async with filling(stranger) as rows:
        await rows.categorize(1, "Theirs")
    async with filling(person) as rows:
        await rows.categorize(1, "Food")
        await rows.spend(2, category="Groceries")

    answer = await person.delete(f"/categories/{rows.categories['Groceries']}", params=heir)

    assert (answer.status_code, blamed(answer)) == (422, blame)


async def test_a_refused_merge_changes_nothing(person: Person) -> None:
    expense = await spend(person, category="Groceries")
    before = await listed(person)
    await person.delete(await where(person, "Groceries"), params={"move_to": "Nothing of the sort"})

    assert (await listed(person), await read(person, expense)) == (before, expense)


async def test_an_unused_category_needs_an_heir_that_exists_too(person: Person) -> None:
    category = await create(person, "Groceries")

    answer = await person.delete(f"/categories/{category['id']}", params={"move_to": "Nothing of the sort"})

    assert blamed(answer) == {"move_to": "not_found"}


async def test_the_id_of_a_deleted_category_is_never_given_again(person: Person) -> None:
    category = await create(person, "Groceries")
    await person.delete(f"/categories/{category['id']}")

    assert (await create(person, "Groceries"))["id"] > category["id"]


async def test_an_expense_can_be_moved_out_of_a_category_that_then_goes(person: Person) -> None:
    expense = await spend(person, category="Groceries")
    await change(person, expense, category="Food")

    assert (await person.delete(await where(person, "Groceries"))).status_code == 204


# At most 1,000


async def fill(app: FastAPI, person: Person, count: int) -> None:
    """Give a user so many categories, past the API, which would take its time."""
    owner_id = person.user["id"]
    rows = [
        {"owner_id": owner_id, "name": f"c{number}", "name_key": f"c{number}", "revision": 1} for number in range(count)
    ]
    async with app.state.services.database.new_unit() as unit:
        connection = await unit.begin(owner_id)
        await connection.execute(insert(Category), rows)
        await unit.commit()


async def test_the_thousandth_category_is_taken(app: FastAPI, person: Person) -> None:
    await fill(app, person, 999)
    await create(person, "the last")

    assert len(await listed(person)) == 1_000


@pytest.mark.parametrize(
    ("path", "body"), [("/categories", {"name": "one more"}), ("/expenses", {"amount": "1", "category": "one more"})]
)
async def test_the_next_one_is_too_many(app: FastAPI, person: Person, path: str, body: dict[str, str]) -> None:
    await fill(app, person, 1_000)

    answer = await person.post(path, json=body)

    assert (answer.status_code, answer.json()["code"]) == (422, "too_many")


async def test_a_full_set_of_categories_can_still_be_used(app: FastAPI, person: Person) -> None:
    await fill(app, person, 1_000)

    assert (await spend(person, category="C999"))["category"] == "c999"
