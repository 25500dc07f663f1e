"""Changing and deleting all expenses that match a filter, and only counting them."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import date
from typing import Any

import httpx
import pytest
import time_machine
from fastapi import FastAPI
from httpx import QueryParams
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from ledger.categories import names as category_names
from tests.support.categories import names
from tests.support.categories import where as category_at
from tests.support.databases import on_sqlite, try_cases
from tests.support.expenses import ids, spend, undo
from tests.support.generated import hunts
from tests.support.ledgers import state_of
from tests.support.people import Person, SignUp, hold, signed_up
from tests.support.problems import blamed
from tests.support.statements import Statements

Query = Mapping[str, str | list[str]]
Expense = dict[str, Any]

LEDGER: list[dict[str, object]] = [
    {"amount": "3.20", "date": "2026-11-01", "category": "Groceries", "description": "Apples and bread"},
    {"amount": "0.95", "date": "2026-11-02", "category": "Bakery", "description": "Brötchen"},
    {"amount": "1200", "date": "2026-11-03", "currency": "JPY", "description": "sushi"},
    {"amount": "-15.00", "date": "2026-10-31", "category": "Groceries", "description": "apples given back"},
    {"amount": "900.00", "date": "2025-11-05", "external_id": "bank-1"},
]
EACH_WAY = pytest.mark.parametrize("method", ["PATCH", "DELETE"])


async def record(person: Person, expenses: Iterable[Mapping[str, object]]) -> list[Expense]:
    """Record expenses in one batch and return them."""
    operations = [{"op": "create", "data": it} for it in expenses]
    answer = await person.post("/expenses/batch", json={"operations": operations})
    assert answer.status_code == httpx.codes.OK, answer.text
    return [it["expense"] for it in answer.json()["results"]]


async def bulk(person: Person, method: str, query: Query | str = "", **fields: object) -> httpx.Response:
    """Change or delete whatever a query matches."""
    asked = QueryParams(query)
    return await person.request(method, "/expenses", params=asked, json=fields if method == "PATCH" else None)


async def change(person: Person, query: Query, **fields: object) -> dict[str, Any]:
    """Change whatever a query matches and return what the service says of it."""
    return dict((await bulk(person, "PATCH", query, **fields)).json())


async def delete(person: Person, query: Query) -> dict[str, Any]:
    """Delete whatever a query matches and return what the service says of it."""
    return dict((await bulk(person, "DELETE", query)).json())


async def listed(person: Person, query: Query | None = None) -> list[Expense]:
    """Return what a query finds, in the order of ids."""
    items = (await person.get("/expenses", params={"limit": "200"} | dict(query or {}))).json()["items"]
    return sorted(items, key=lambda it: int(it["id"]))


def amounts(expenses: Iterable[Expense]) -> set[str]:
    return {it["amount"] for it in expenses}


# Filters


FILTERS: list[tuple[Query, set[str]]] = [
    ({"category": "groceries"}, {"3.20", "-15.00"}),
    ({"category": ["Groceries", "Bakery", "Rent"]}, {"3.20", "0.95", "-15.00"}),
    ({"uncategorized": "true"}, {"1200", "900.00"}),
    ({"uncategorized": "true", "category": "Bakery"}, {"0.95", "1200", "900.00"}),
    ({"period": "2026-11"}, {"3.20", "0.95", "1200"}),
    ({"from": "2026-11-02"}, {"0.95", "1200"}),
    ({"to": "2026-10-31"}, {"-15.00", "900.00"}),
    ({"from": "2026-10-31", "to": "2026-11-01"}, {"3.20", "-15.00"}),
    ({"currency": "jpy"}, {"1200"}),
    ({"min_amount": "3.2"}, {"3.20", "1200", "900.00"}),
    ({"max_amount": "0.95"}, {"0.95", "-15.00"}),
    ({"external_id": "bank-1"}, {"900.00"}),
    ({"q": "APPLES"}, {"3.20", "-15.00"}),
    ({"q": "bread apples"}, {"3.20"}),
    ({"category": "Groceries", "q": "apples", "max_amount": "0"}, {"-15.00"}),
    ({"category": "Rent"}, set()),
    ({"category": "Groceries", "currency": "JPY"}, set()),
]


# Both ways share the conditions, which are those of the list. Each condition is tried in one statement, and what has a
# form of its own (a subquery, alternatives, words, a span of days, nothing) in every statement on both databases.
OF_EACH_FORM = [FILTERS[0], FILTERS[3], FILTERS[7], FILTERS[14], FILTERS[15]]


@try_cases(
    "method, query, matching",
    on_both=[(method, *it) for method in ("PATCH", "DELETE") for it in OF_EACH_FORM],
    on_sqlite=[("PATCH", *it) for it in FILTERS if it not in OF_EACH_FORM],
)
async def test_what_a_filter_matches_is_changed_or_deleted_and_nothing_else(
    person: Person, method: str, query: Query, matching: set[str]
) -> None:
    before = await record(person, LEDGER)
    answer = await bulk(person, method, query, description="seen")
    after, lie = await listed(person), (await person.get("/expenses/trash")).json()["items"]

    assert answer.json()["matched"] == len(matching)
    assert amounts([*lie, *(it for it in after if it["description"] == "seen")]) == matching
    assert [it for it in after if it["description"] != "seen"] == [it for it in before if it["amount"] not in matching]


DIARY = ("2026-10-24", "2026-10-25", "2026-11-23", "2026-11-24", "2026-11-25")


# A period is a span of days before the database is asked.
@on_sqlite
@pytest.mark.parametrize(
    ("method", "month_start_day", "period", "matching"),
    [
        ("PATCH", 25, "this-month", DIARY[1:4]),
        ("PATCH", 25, "last-month", DIARY[:1]),
        ("PATCH", 25, "2026-11", DIARY[4:]),
        ("PATCH", 1, "this-month", DIARY[2:]),
        ("PATCH", 1, "today", DIARY[2:3]),
        ("DELETE", 25, "this-month", DIARY[1:4]),
        ("DELETE", 1, "today", DIARY[2:3]),
    ],
)
@pytest.mark.usefixtures("noon")
async def test_a_period_is_the_users_own(
    sign_up: SignUp, method: str, month_start_day: int, period: str, matching: tuple[str, ...]
) -> None:
    person = await sign_up(month_start_day=month_start_day, timezone="Pacific/Kiritimati")
    await record(person, [{"amount": "1.00", "date": day} for day in DIARY])
    answer = await bulk(person, method, {"period": period}, description="seen")
    left = {it["date"] for it in await listed(person) if it["description"] is None}

    assert answer.json()["matched"] == len(matching)
    assert left == set(DIARY) - set(matching)


# What is refused changes nothing


@pytest.mark.wire
@pytest.mark.parametrize("query", ["", "dry_run=true", "dry_run=false", "uncategorized=false&dry_run=true"])
@EACH_WAY
async def test_without_a_filter_nothing_happens(app: FastAPI, person: Person, method: str, query: str) -> None:
    before = await record(person, LEDGER)
    answer = await bulk(person, method, query, category="New")

    assert (answer.status_code, answer.json()["code"]) == (422, "filter_required")
    assert await listed(person) == before
    assert await names(person) == ["Bakery", "Groceries"]
    assert await state_of(app, person) == (1, 5)


@pytest.fixture(scope="module")
async def shopper(app: FastAPI) -> AsyncIterator[Person]:
    """A user with this ledger, for the tests that change nothing."""
    async with signed_up(app) as shopper:
        await record(shopper, LEDGER)
        yield shopper


MISSPELT = [
    ("categroy=Groceries", {"categroy": "unknown"}),
    ("q=apples&dryrun=true", {"dryrun": "unknown"}),
    ("q=apples&limit=1", {"limit": "unknown"}),
    ("q=apples&sort=date", {"sort": "unknown"}),
    ("q=apples&cursor=x", {"cursor": "unknown"}),
    ("q=apples&with_count=true", {"with_count": "unknown"}),
    ("q=apples&id=1", {"id": "unknown"}),
    ("q=apples&q=bread", {"q": "not_allowed"}),
    ("currency=EUR&currency=EUR", {"currency": "not_allowed"}),
    ("from=2026-11-01&from=2026-11-02", {"from": "not_allowed"}),
    ("q=a&dry_run=true&dry_run=false", {"dry_run": "not_allowed"}),
    ("q=a&dry_run=1", {"dry_run": "wrong_type"}),
    ("q=a&dry_run=True", {"dry_run": "wrong_type"}),
    ("q=a&dry_run=", {"dry_run": "wrong_type"}),
    ("q=", {"q": "too_short"}),
    ("category=", {"category": "too_short"}),
    ("period=this-mnth", {"period": "malformed"}),
    ("period=2026&to=2026-11-01", {"period": "not_allowed"}),
    ("min_amount=2&max_amount=1", {"max_amount": "out_of_range"}),
]


# Both ways read their query by one schema: the second is tried with an unknown name, one sent twice and a wrong value.
@pytest.mark.wire
@pytest.mark.parametrize(
    ("method", "query", "blame"),
    [
        *(("PATCH", *it) for it in MISSPELT),
        *(("DELETE", *it) for it in (MISSPELT[0], MISSPELT[2], MISSPELT[7], MISSPELT[11], MISSPELT[16])),
    ],
)
async def test_a_query_that_is_misspelt_changes_nothing(
    app: FastAPI, shopper: Person, method: str, query: str, blame: dict[str, str]
) -> None:
    answer = await bulk(shopper, method, query, description="seen")

    assert (answer.status_code, blamed(answer)) == (422, blame)
    assert {it["revision"] for it in await listed(shopper)} == {1}
    assert await state_of(app, shopper) == (1, 5)


@pytest.mark.wire
@pytest.mark.parametrize(
    ("fields", "blame"),
    [
        ({"amount": "1.00"}, {"/amount": "unknown"}),
        ({"currency": "EUR", "description": "seen"}, {"/currency": "unknown"}),
        ({"date": "2026-11-22"}, {"/date": "unknown"}),
        ({"external_id": "x"}, {"/external_id": "unknown"}),
        ({"revision": 1}, {"/revision": "unknown"}),
        ({"id": 1}, {"/id": "unknown"}),
        ({"category": 7, "description": 7}, {"/category": "wrong_type", "/description": "wrong_type"}),
        ({"category": "x" * 51}, {"/category": "too_long"}),
        ({"description": "a\x00b", "category": "New"}, {"/description": "malformed"}),
    ],
)
async def test_a_change_that_cannot_be_is_refused(
    app: FastAPI, shopper: Person, fields: dict[str, object], blame: dict[str, str]
) -> None:
    answer = await bulk(shopper, "PATCH", {"q": "apples"}, **fields)

    assert (answer.status_code, blamed(answer)) == (422, blame)
    assert {it["revision"] for it in await listed(shopper)} == {1}
    assert await state_of(app, shopper) == (1, 5)


async def test_one_category_too_many_is_refused(app: FastAPI, person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    before = await record(person, LEDGER)
    monkeypatch.setattr(category_names, "MAX_CATEGORIES", 2)
    answer = await bulk(person, "PATCH", {"q": "apples"}, category="New")

    assert (answer.status_code, answer.json()["code"], blamed(answer)) == (
        422,
        "too_many",
        {"/category": "not_allowed"},
    )
    assert await listed(person) == before
    assert await state_of(app, person) == (1, 5)


# Only counted


@pytest.mark.parametrize(("query", "matching"), [(FILTERS[0][0], 2), ({"q": "nothing of the sort"}, 0)])
@EACH_WAY
async def test_a_dry_run_counts_and_writes_nothing(
    app: FastAPI, person: Person, method: str, query: Query, matching: int
) -> None:
    before = await record(person, LEDGER)
    answer = await bulk(person, method, {**query, "dry_run": "true"}, category="New", description="seen")

    assert (answer.status_code, answer.json()) == (200, {"matched": matching, "revision": None})
    assert await listed(person) == before
    assert await names(person) == ["Bakery", "Groceries"]
    assert await ids(person) == []
    assert await state_of(app, person) == (1, 5)


@EACH_WAY
async def test_a_dry_run_is_a_read_that_waits_for_no_writer(person: Person, outside: Connection, method: str) -> None:
    """ASVS 5.0 15.4.4: whoever only counts keeps nobody from writing."""
    await record(person, LEDGER)
    hold(outside, person)
    async with asyncio.timeout(4):
        answer = await bulk(person, method, {"q": "apples", "dry_run": "true"}, description="seen")
    outside.rollback()
    assert (answer.status_code, answer.json()) == (200, {"matched": 2, "revision": None})


@EACH_WAY
async def test_nothing_is_remembered_of_a_dry_run(person: Person, method: str) -> None:
    await record(person, LEDGER)
    fields = {"description": "seen"} if method == "PATCH" else None
    answers = [
        await person.request(method, f"/expenses?q={q}", headers={"Idempotency-Key": "once"}, json=fields)
        for q in ("apples&dry_run=true", "apples&dry_run=true", "bread")
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert not any("Idempotency-Replayed" in answer.headers for answer in answers)


# Changed


async def test_all_that_is_changed_bears_the_one_new_revision_and_its_time(
    noon: time_machine.Traveller, app: FastAPI, person: Person
) -> None:
    apples, bread, sushi, back, rent = await record(person, LEDGER)
    noon.shift(60)
    answer = await change(person, {"category": "Groceries"}, category="bakery", description="seen")

    touched = {"category": "Bakery", "description": "seen", "revision": 2, "updated_at": "2026-11-22T12:01:00Z"}
    assert answer == {"matched": 2, "revision": 2}
    assert await listed(person) == [apples | touched, bread, sushi, back | touched, rent]
    assert await state_of(app, person) == (2, 5)


@pytest.mark.parametrize(
    "fields", [{"category": "BAKERY"}, {"description": " Brötchen "}, {"category": "Bakery", "description": "Brötchen"}]
)
async def test_what_has_these_values_already_stays_untouched(
    noon: time_machine.Traveller, person: Person, fields: dict[str, object]
) -> None:
    _, bread, sushi, *_ = await record(person, LEDGER)
    noon.shift(60)
    answer = await change(person, {"from": "2026-11-02"}, **fields)
    after = await listed(person)

    assert answer == {"matched": 2, "revision": 2}
    assert after[1] == bread
    assert after[2] == sushi | {
        "category": sushi["category"],
        **{name: bread[name] for name in fields},
        "revision": 2,
        "updated_at": "2026-11-22T12:01:00Z",
    }


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("category", "Cakes"),
        ("category", None),
        ("description", "brötchen"),
        ("description", "Brotchen"),
        ("description", "Brötchen 🍞"),
        ("description", None),
    ],
)
@pytest.mark.usefixtures("noon")
async def test_one_value_that_differs_is_enough(person: Person, field: str, value: str | None) -> None:
    _, bread, *_ = await record(person, LEDGER)
    same = {"category": "Bakery", "description": "Brötchen"}
    answer = await change(person, {"category": "Bakery"}, **same | {field: value})

    assert answer == {"matched": 1, "revision": 2}
    assert (await listed(person))[1] == bread | {field: value, "revision": 2}


@try_cases(
    "query, fields, matched",
    on_both=[
        ({"category": "Groceries"}, {"category": "groceries"}, 2),
        ({"currency": "JPY"}, {"category": "", "description": "sushi"}, 1),
        ({"external_id": "bank-1"}, {"category": None, "description": None}, 1),
    ],
    on_sqlite=[
        ({"q": "nothing of the sort"}, {"category": "New"}, 0),
        ({"category": "New"}, {"category": "New"}, 0),
        ({"uncategorized": "true"}, {"category": None}, 2),
        ({"currency": "EUR"}, {}, 4),
        ({"q": "nothing of the sort"}, {}, 0),
    ],
)
async def test_what_changes_nothing_takes_no_revision(
    app: FastAPI, person: Person, query: Query, fields: dict[str, object], matched: int
) -> None:
    before = await record(person, LEDGER)

    assert await change(person, query, **fields) == {"matched": matched, "revision": None}
    assert await listed(person) == before
    assert await names(person) == ["Bakery", "Groceries"]
    assert await state_of(app, person) == (1, 5)


async def test_a_new_name_makes_the_category_with_the_same_revision(app: FastAPI, person: Person) -> None:
    await record(person, LEDGER)
    answer = await change(person, {"from": "2026-01-01"}, category=" Food ")
    category = (await person.get(await category_at(person, "Food"))).json()

    assert answer == {"matched": 4, "revision": 2}
    assert category["revision"] == 2
    assert {(it["category"], it["revision"]) for it in await listed(person)} == {("Food", 2), (None, 1)}
    assert await state_of(app, person) == (2, 5)


@pytest.mark.parametrize("nothing", [None, "", " \t "])
@pytest.mark.usefixtures("noon")
async def test_null_clears(person: Person, nothing: str | None) -> None:
    apples, *_ = await record(person, LEDGER)
    answer = await change(person, {"q": "bread"}, category=nothing, description=nothing)

    assert answer == {"matched": 1, "revision": 2}
    assert (await listed(person))[0] == apples | {"category": None, "description": None, "revision": 2}


async def test_what_is_described_anew_is_found_by_its_new_words_alone(person: Person) -> None:
    await record(person, LEDGER)
    await change(person, {"q": "apples"}, description="STRASSE")

    assert amounts(await listed(person, {"q": "straße"})) == {"3.20", "-15.00"}
    assert await listed(person, {"q": "apples"}) == []


async def test_what_lies_in_the_trash_is_not_changed(person: Person) -> None:
    apples, *_ = await record(person, LEDGER)
    await delete(person, {"q": "bread"})

    assert await change(person, {"currency": "EUR"}, description="seen") == {"matched": 3, "revision": 3}
    assert (await person.post(f"/expenses/{apples['id']}/restore")).json() == apples | {"revision": 4}


# Deleted


async def test_all_that_is_deleted_bears_the_one_new_revision(
    noon: time_machine.Traveller, app: FastAPI, person: Person
) -> None:
    expenses = await record(person, LEDGER)
    noon.shift(60)
    answer = await delete(person, {"currency": "EUR"})
    lie = (await person.get("/expenses/trash")).json()["items"]

    moved = {"revision": 2, "deleted_at": "2026-11-22T12:01:00Z"}
    assert answer == {"matched": 4, "revision": 2}
    assert lie == [it | moved for it in reversed(expenses) if it["currency"] == "EUR"]
    assert await state_of(app, person) == (2, 1)


# Whose


@EACH_WAY
async def test_nobody_elses_expenses_are_changed_or_deleted(
    app: FastAPI, person: Person, stranger: Person, method: str
) -> None:
    await record(person, LEDGER)
    theirs = await record(stranger, LEDGER)
    await bulk(person, method, {"from": "1900-01-01"}, category="Groceries", description="seen")

    assert await listed(stranger) == theirs
    assert await state_of(app, stranger) == (1, 5)


async def test_deletions_and_new_expenses_at_once_lose_nothing(app: FastAPI, person: Person) -> None:
    answers = await asyncio.gather(
        *(spend(person, category="Groceries") for _ in range(6)),
        *(delete(person, {"category": "Groceries"}) for _ in range(3)),
        *(spend(person, category="Groceries") for _ in range(3)),
        *(change(person, {"category": "Groceries"}, description="seen") for _ in range(2)),
    )
    live, lie = await listed(person), await ids(person)

    assert sum(it["matched"] for it in answers[6:9]) == len(lie)
    assert (await state_of(app, person))[1] == len(live) == 9 - len(lie)


# What it costs


@pytest.mark.parametrize("number", [1, 50])
@try_cases(
    "method, query, fields, cost",
    on_both=[
        ("PATCH", "q=apples", {"category": "New"}, 10),
        ("DELETE", "category=Groceries", {}, 9),
    ],
    on_sqlite=[
        ("PATCH", "q=apples", {"category": "Bakery"}, 7),
        ("PATCH", "q=apples", {"category": "Bakery", "description": "seen"}, 7),
        ("PATCH", "category=Groceries", {"description": None}, 7),
        ("PATCH", "q=apples&dry_run=true", {"category": "New"}, 3),
        ("DELETE", "q=apples&dry_run=true", {}, 2),
    ],
)
async def test_many_cost_as_much_as_one(
    person: Person,
    statements: Statements,
    method: str,
    query: str,
    fields: dict[str, object],
    cost: int,
    number: int,
) -> None:
    apples = {"amount": "1.00", "category": "Groceries", "description": "apples"}
    await record(person, [{"amount": "2.00", "category": "Bakery"}, *[apples] * number])
    with statements() as sent:
        answer = await bulk(person, method, query, **fields)
    assert (answer.json()["matched"], len(sent)) == (number, cost), "\n".join(sent)


# Whatever the ledger and whatever the filter


def day_of(month: int) -> st.SearchStrategy[str]:
    return st.dates(date(2026, month, 1), date(2026, month, 30)).map(str)


CODES = st.sampled_from(["EUR", "JPY", "KWD"])
EXPENSES = st.fixed_dictionaries(
    {
        "date": day_of(10) | day_of(11),
        "amount": st.integers(-20, 20).filter(bool),
        "currency": CODES,
        "category": st.sampled_from(["Food", "Rent", None]),
        "description": st.sampled_from(["apples", "Äpfel", "bread and apples", "100% apples", None]),
    }
)
ANY_DAY: dict[str, st.SearchStrategy[Any]] = {
    "category": st.lists(st.sampled_from(["food", "Rent", "Nothing"]), min_size=1, max_size=2),
    "uncategorized": st.just("true"),
    "currency": CODES,
    "min_amount": st.integers(-20, 3).map(str),
    "max_amount": st.integers(3, 20).map(str),
    "q": st.sampled_from(["APP", "äpfel", "% a", "bread apples"]),
}
SPAN = {"from": day_of(10), "to": day_of(11)}
PERIOD = {"period": st.sampled_from(["2026-10", "2026-Q4", "2026-W44", "last-30-days"]) | day_of(11)}
QUERIES = [st.fixed_dictionaries({}, optional=ANY_DAY | days) for days in (SPAN, PERIOD)]


async def undone(person: Person, revision: int | None) -> list[int]:
    """Undo a deletion, if there was one, and return how many came back."""
    return [(await undo(person, it)).json()["matched"] for it in [revision] if it is not None]


@hunts(5)
@given(ledger=st.lists(EXPENSES, min_size=1, max_size=20), query=st.one_of(QUERIES).filter(bool))
async def test_what_is_listed_is_what_is_deleted_brought_back_and_changed(
    app: FastAPI, sign_up: SignUp, ledger: list[dict[str, object]], query: Query
) -> None:
    person = await sign_up()
    before = await record(person, ledger)
    matching = {it["id"] for it in await listed(person, query)}

    deleted = await delete(person, query)

    assert (deleted["matched"], deleted["revision"]) == (len(matching), 2 if matching else None)
    assert await listed(person) == [it for it in before if it["id"] not in matching]
    assert set(await ids(person)) == matching

    back = await undone(person, deleted["revision"])
    restored = [it | {"revision": 3} if it["id"] in matching else it for it in before]

    assert back == [len(matching)] * bool(matching)
    assert await listed(person) == restored
    assert {it["id"] for it in await listed(person, query)} == matching

    changed = await change(person, query, category="Changed")
    after = await listed(person)

    assert (changed["matched"], changed["revision"]) == (len(matching), 4 if matching else None)
    assert {it["id"] for it in after if it["category"] == "Changed"} == matching
    assert {it["id"] for it in after if it["revision"] == 4} == matching
    assert [it for it in after if it["id"] not in matching] == [it for it in restored if it["id"] not in matching]
    assert await state_of(app, person) == (4 if matching else 1, len(before))
