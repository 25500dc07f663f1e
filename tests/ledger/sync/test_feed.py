"""The feed of changes: a client's copy equals the ledger, even if rows change between its pages."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from random import Random
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, Executable, Row, insert, text

from api import turns
from config import Settings
from ledger.core import Ledger
from ledger.sync import feed
from ledger.sync.feed import CURSOR_NAME
from models import Budget, Category
from tests.support.databases import on_mysql, try_cases
from tests.support.expenses import change, spend
from tests.support.generated import HUNT, any_text, any_values, forged, hunts
from tests.support.jwt import encode_base64url
from tests.support.people import Person, signed_up
from tests.support.problems import blamed
from tests.support.rows import filling
from tests.support.servers import Service
from tests.support.settings import sharing
from tests.support.statements import Statements
from values.fields import LARGEST_ID

KINDS = {"budget": "budgets", "category": "categories", "tag": "tags", "expense": "expenses"}
NOTHING: dict[str, list[object]] = {"expenses": [], "categories": [], "tags": [], "budgets": [], "deleted": []}

Fields = dict[str, Any]
Key = tuple[str, int]


async def read(client: httpx.AsyncClient, **query: object) -> Fields:
    """Return one page of the feed."""
    answer = await client.get("/changes", params=query)  # type: ignore[arg-type]
    assert answer.status_code == httpx.codes.OK, answer.text
    page: Fields = answer.json()
    return page


async def walk(client: httpx.AsyncClient, **query: object) -> list[Fields]:
    """Return all pages of the feed from a first one on; there are never many in these tests."""
    pages = [await read(client, **query)]
    while pages[-1]["next_cursor"] and len(pages) < 100:
        pages.append(await read(client, **query | {"cursor": pages[-1]["next_cursor"]}))
    return pages


def places(page: Fields) -> list[tuple[int, str, int, str]]:
    """Return where the rows of a page stand in the feed, list by list: revision, kind, id, and what is deleted."""
    rows = [(row["revision"], kind, row["id"], "") for kind, name in KINDS.items() for row in page[name]]
    return rows + [(row["revision"], "tombstone", row["id"], row["kind"]) for row in page["deleted"]]


def joined(pages: Sequence[Fields]) -> Fields:
    """Return the lists of several pages as those of one."""
    return {name: [row for page in pages for row in page[name]] for name in NOTHING}


def named(kind: str, row: Fields) -> str:
    """Return what a row is called in these tests."""
    names = {"budget": ("category", "period"), "category": ("name",), "expense": ("description",)}
    return " ".join(str(row[field]) for field in names[kind])


def told(page: Fields, known: Mapping[Key, Fields]) -> str:
    """Return what a page is about, by name; a minus is before what is deleted, which is known from before."""
    gone = [(row["kind"], row["id"]) for row in page["deleted"]]
    rows = [named(kind, row) for kind, name in KINDS.items() for row in page[name]]
    return ", ".join(sorted([*rows, *(f"-{named(key[0], known[key])}" for key in gone)]))


async def listed(client: httpx.AsyncClient, path: str) -> list[Fields]:
    """Return all that is in a list, however many its pages."""
    page = (await client.get(path)).json()
    items: list[Fields] = page["items"]
    while page["next_cursor"]:
        page = (await client.get(path, params={"cursor": page["next_cursor"]})).json()
        items += page["items"]
    return items


async def served(client: httpx.AsyncClient) -> dict[Key, Fields]:
    """Return what the lists of expenses, categories and budgets have, as a copy should have it."""
    return {(kind, row["id"]): row for kind, path in KINDS.items() for row in await listed(client, f"/{path}")}


class Copy:
    """What a client keeps of a ledger: it does what the document says, and sees to what the document promises."""

    def __init__(self) -> None:
        self.rows: dict[Key, Fields] = {}
        self.revision = 0
        self._pages: list[Fields] = []

    async def page(self, client: httpx.AsyncClient, limit: int = 1000) -> None:
        """Read one page: the next one where a call is under way."""
        behind = {"cursor": self._pages[-1]["next_cursor"]} if self._pages else {}
        page = await read(client, since=self.revision, limit=limit, **behind)
        self._pages.append(page)
        self._see_to_the_order()
        self.rows |= {(kind, row["id"]): row for kind, name in KINDS.items() for row in page[name]}
        for row in page["deleted"]:
            self.rows.pop((row["kind"], row["id"]), None)
        if page["next_cursor"] is None:
            self.revision, self._pages = page["revision"], []

    async def catch_up(self, client: httpx.AsyncClient) -> None:
        """Go to the end of the call that is under way, and make a whole one."""
        for _ in range(2):
            await self.page(client)
            while self._pages:
                await self.page(client)

    def _see_to_the_order(self) -> None:
        met = [place for page in self._pages for place in sorted(places(page))]
        rows = {(of or kind, row_id) for _, kind, row_id, of in met}
        (until,) = {page["revision"] for page in self._pages}
        assert met == sorted(met), "out of order"
        assert len(met) == len(rows), "a row was told twice in one call"
        assert [it for it in met if not self.revision < it[0] <= until] == [], "not of this call"


async def furnish(person: Person) -> tuple[Copy, dict[str, int]]:
    """Fill a ledger by eight changes; return a copy of it, and the ids of its nine rows, of which the lamp is gone."""
    async with filling(person) as rows:
        await rows.spend(1, category="Food", description="apples")
        await rows.spend(2, category="Food", description="bread")
        await rows.spend(3, category="Travel", description="tram")
        lamp_id = await rows.spend(4, description="lamp")
        await rows.budget(5, 200_000, "week", "Food")
        await rows.budget(6, 200_000, "month", "Food")
        await rows.budget(7, 200_000, "month", "Travel")
    copy = Copy()
    await copy.page(person)
    await person.delete(f"/expenses/{lamp_id}")
    return copy, {named(kind, row).replace(" ", "_"): row_id for (kind, row_id), row in copy.rows.items()}


async def do(person: Person, request: str, body: object, ids: Mapping[str, int]) -> None:
    """Send a request that names rows, in its address and as the `id` of operations."""
    method, path = request.format(**ids).split()
    sent = json.loads(json.dumps(body), object_hook=lambda it: it | {"id": ids[it["id"]]} if "id" in it else it)
    answer = await person.request(method, path, json=sent)
    assert answer.is_success, answer.text


@pytest.fixture(scope="module")
async def reader(app: FastAPI) -> AsyncIterator[Person]:
    """A user with a few rows, for the tests that change nothing."""
    async with signed_up(app) as reader:
        await furnish(reader)
        yield reader


# --- What is told -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", [{}, {"since": 0}])
async def test_the_feed_of_a_new_account_is_empty_at_revision_zero(person: Person, query: dict[str, int]) -> None:
    assert await read(person, **query) == {"revision": 0, "next_cursor": None} | NOTHING


async def test_from_zero_on_everything_is_told_as_the_lists_have_it(person: Person) -> None:
    await furnish(person)
    copy = Copy()
    await copy.page(person)
    assert (copy.revision, len(copy.rows), copy.rows) == (8, 8, await served(person))


async def test_a_copy_that_is_up_to_date_is_told_nothing(reader: Person) -> None:
    assert await read(reader, since=8) == {"revision": 8, "next_cursor": None} | NOTHING


async def test_what_was_changed_twice_is_told_once_as_it_stands(person: Person) -> None:
    expense = await spend(person)
    await change(person, expense, amount="1.00")
    latest = await change(person, expense, amount="2.00")
    assert await read(person) == {"revision": 3, "next_cursor": None} | NOTHING | {"expenses": [latest]}


async def test_what_was_restored_is_no_longer_deleted(person: Person) -> None:
    _, ids = await furnish(person)
    restored = (await person.post(f"/expenses/{ids['lamp']}/restore")).json()
    page = await read(person)
    assert (page["deleted"], page["expenses"][-1]) == ([], restored)


async def test_what_was_restored_and_deleted_again_is_deleted_once(person: Person) -> None:
    _, ids = await furnish(person)
    await person.post(f"/expenses/{ids['lamp']}/restore")
    await person.delete(f"/expenses/{ids['lamp']}")
    assert (await read(person))["deleted"] == [{"kind": "expense", "id": ids["lamp"], "revision": 10}]


TEA = {"amount": "1.00", "description": "tea"}
BATCH = [
    {"op": "create", "data": TEA | {"category": "Drinks"}},
    {"op": "update", "id": "apples", "data": {"description": "pears"}},
    {"op": "delete", "id": "tram"},
]
Told = tuple[str, object, str]
# What changes several rows, or moves one from table to table; the race below sends MySQL all kinds of writes.
CHANGES_OF_SEVERAL: list[Told] = [
    ("POST /expenses/{lamp}/restore", None, "lamp"),
    ("POST /expenses/restore", {"revision": 8}, "lamp"),
    ("DELETE /expenses/trash", None, ""),
    ("POST /expenses/batch", {"operations": BATCH}, "-tram, Drinks, pears, tea"),
    ("PATCH /expenses?category=Food", {"category": "Home"}, "Home, apples, bread"),
    ("DELETE /expenses?category=Food", None, "-apples, -bread"),
    ("PATCH /categories/{Food}", {"name": "Meals"}, "Meals, Meals month, Meals week, apples, bread"),
    ("DELETE /categories/{Food}?uncategorized=true", None, "-Food, -Food month, -Food week, apples, bread"),
    ("DELETE /categories/{Food}?move_to=Travel", None, "-Food, -Food month, Travel week, apples, bread"),
]
CHANGES_OF_ONE: list[Told] = [
    ("POST /expenses", TEA, "tea"),
    ("POST /expenses", TEA | {"category": "Drinks"}, "Drinks, tea"),
    ("PATCH /expenses/{apples}", {"description": "pears"}, "pears"),
    ("PATCH /expenses/{apples}", {"description": "apples"}, ""),
    ("DELETE /expenses/{apples}", None, "-apples"),
    ("POST /categories", {"name": "Drinks"}, "Drinks"),
    ("PATCH /categories/{Food}", {"color": "#2a9d8f"}, "Food"),
    ("POST /budgets", {"amount": "1.00", "category": "Food", "period": "year"}, "Food year"),
    ("PATCH /budgets/{Food_week}", {"amount": "1.00"}, "Food week"),
    ("DELETE /budgets/{Food_week}", None, "-Food week"),
]


@try_cases("request_, body, expected", on_both=CHANGES_OF_SEVERAL, on_sqlite=CHANGES_OF_ONE)
async def test_a_change_is_told_with_all_that_it_touched_and_nothing_else(
    person: Person, request_: str, body: object, expected: str
) -> None:
    copy, ids = await furnish(person)
    await do(person, request_, body, ids)
    assert told(await read(person, since=8), copy.rows) == expected
    await copy.catch_up(person)
    assert copy.rows == await served(person)


# --- Pages ------------------------------------------------------------------------------------------------------------


async def test_pages_of_every_size_together_are_the_one_page(reader: Person) -> None:
    whole = await read(reader)
    walks = {size: await walk(reader, limit=size) for size in range(1, 11)}
    assert {size: joined(pages) for size, pages in walks.items()} == dict.fromkeys(walks, joined([whole]))
    assert {page["revision"] for pages in walks.values() for page in pages} == {8}


async def test_rows_come_by_revision_then_kind_then_id(person: Person) -> None:
    _, ids = await furnish(person)
    await person.delete(f"/categories/{ids['Food']}", params={"move_to": "Travel"})
    met = [place for page in await walk(person, limit=1) for place in places(page)]
    assert met == sorted(met)
    assert [f"{revision} {kind}" for revision, kind, *_ in met] == [
        *("3 category", "3 expense", "7 budget", "8 tombstone"),
        *("9 budget", "9 expense", "9 expense", "9 tombstone", "9 tombstone"),
    ]


async def test_every_page_is_full_and_there_is_no_empty_one_at_the_end(reader: Person) -> None:
    assert [len(places(page)) for page in await walk(reader, limit=3)] == [3, 3, 3]
    assert [len(places(page)) for page in await walk(reader, limit=4)] == [4, 4, 1]


async def test_a_page_is_of_500_unless_asked_and_of_1000_at_most(person: Person) -> None:
    creates = [{"op": "create", "data": {"amount": "1.00"}}] * 1000
    await person.post("/expenses/batch", json={"operations": creates})
    await spend(person)
    assert [len(page["expenses"]) for page in await walk(person)] == [500, 500, 1]
    assert [len(page["expenses"]) for page in await walk(person, limit=1000)] == [1000, 1]


async def test_the_link_leads_to_the_next_page_as_the_cursor_does(reader: Person) -> None:
    answer = await reader.get("/changes?since=2&limit=3")
    link = answer.headers["Link"].removeprefix("<").removesuffix('>; rel="next"')
    assert link.startswith("/changes?since=2&limit=3&cursor=")
    assert (await reader.get(link)).json() == await read(reader, since=2, limit=3, cursor=answer.json()["next_cursor"])


async def test_the_last_page_links_to_none(reader: Person) -> None:
    assert "Link" not in (await reader.get("/changes?limit=9")).headers


async def test_two_rows_of_one_id_that_went_together_are_told_on_two_pages(app: FastAPI, person: Person) -> None:
    same = {"owner_id": person.user["id"], "id": 10**9 + person.user["id"], "revision": 0}
    category = same | {"name": "Food", "name_key": "food"}
    weekly = same | {"category_id": same["id"], "amount": 1000, "currency": "EUR", "period": "week"}
    async with app.state.services.database.new_unit() as unit:
        connection = await unit.begin(person.user["id"])
        await connection.execute(insert(Category), category)
        await connection.execute(insert(Budget), weekly)
        await unit.commit()
    assert (await person.delete(f"/categories/{same['id']}?uncategorized=true")).is_success
    gone = {"id": same["id"], "revision": 1}
    assert [page["deleted"] for page in await walk(person, limit=1)] == [
        [{"kind": "budget"} | gone],
        [{"kind": "category"} | gone],
    ]


async def test_a_page_costs_six_statements_whatever_it_has(person: Person, statements: Statements) -> None:
    with statements() as of_nothing:
        await read(person)
    await furnish(person)
    with statements() as of_one:
        page = await read(person, limit=1)
    with statements() as of_the_rest:
        await read(person, cursor=page["next_cursor"])
    assert (len(of_nothing), len(of_one), len(of_the_rest)) == (6, 6, 6)


# --- What happens meanwhile -------------------------------------------------------------------------------------------

REST = "-lamp, Food month, Food week, Travel, Travel month, bread, tram"
REST_OF_FOOD = "-lamp, Food month, Food week, bread"
Meanwhile = tuple[str, object, str, str]
# One change of each kind: a row that comes, one that goes, and several that change.
OF_EACH_KIND: list[Meanwhile] = [
    ("POST /expenses", TEA, REST, "tea"),
    ("DELETE /expenses/{bread}", None, REST.replace(", bread", ""), "-bread"),
    ("PATCH /categories/{Travel}", {"name": "Trips"}, REST_OF_FOOD, "Trips, Trips month, tram"),
]
OTHERS: list[Meanwhile] = [
    ("PATCH /expenses/{apples}", {"description": "pears"}, REST, "pears"),
    ("PATCH /expenses/{bread}", {"description": "rolls"}, REST.replace(", bread", ""), "rolls"),
    ("DELETE /expenses/{apples}", None, REST, "-apples"),
    ("POST /expenses/{lamp}/restore", None, REST.replace("-lamp, ", ""), "lamp"),
    ("DELETE /categories/{Travel}?move_to=Food", None, REST_OF_FOOD, "-Travel, -Travel month, tram"),
]


@try_cases("request_, body, now, later", on_both=OF_EACH_KIND, on_sqlite=OTHERS)
async def test_what_changes_while_a_client_pages_comes_with_its_next_call(
    person: Person, request_: str, body: object, now: str, later: str
) -> None:
    copy, ids = await furnish(person)
    first = await read(person, limit=2)
    await do(person, request_, body, ids)
    behind = await walk(person, cursor=first["next_cursor"], limit=2)
    assert (told(first, copy.rows), told(joined(behind), copy.rows)) == ("Food, apples", now)
    assert {page["revision"] for page in behind} == {8}
    assert told(await read(person, since=8), copy.rows) == later


# --- Refused ----------------------------------------------------------------------------------------------------------


@pytest.mark.wire
@pytest.mark.parametrize(
    ("query", "blame"),
    [
        ("limit=0", {"limit": "out_of_range"}),
        ("limit=1001", {"limit": "out_of_range"}),
        ("limit=many", {"limit": "wrong_type"}),
        ("since=-1", {"since": "out_of_range"}),
        (f"since={2**63}", {"since": "out_of_range"}),
        ("since=1.0", {"since": "wrong_type"}),
        ("since=", {"since": "wrong_type"}),
        ("since=then", {"since": "wrong_type"}),
        ("since=1&since=1", {"since": "not_allowed"}),
        ("until=8", {"until": "unknown"}),
    ],
)
async def test_what_cannot_be_asked_is_refused_by_name(reader: Person, query: str, blame: dict[str, str]) -> None:
    answer = await reader.get(f"/changes?{query}")
    assert (answer.status_code, blamed(answer)) == (422, blame)


@pytest.mark.parametrize("since", [9, LARGEST_ID])
async def test_a_copy_that_is_ahead_of_the_server_has_to_start_again(reader: Person, since: int) -> None:
    answer = await reader.get("/changes", params={"since": since})
    assert (answer.status_code, answer.json()["code"]) == (410, "resync_required")


async def test_a_backup_restored_while_a_client_pages_has_it_start_again(person: Person, outside: Connection) -> None:
    await furnish(person)
    cursor = (await read(person, limit=2))["next_cursor"]
    outside.execute(text("UPDATE ledgers SET revision = 7 WHERE owner_id = :id"), {"id": person.user["id"]})
    outside.commit()
    answer = await person.get("/changes", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["code"]) == (410, "resync_required")


async def test_a_cursor_belongs_to_its_since(reader: Person) -> None:
    cursor = (await read(reader, since=2, limit=1))["next_cursor"]
    answer = await reader.get("/changes", params={"since": 3, "cursor": cursor})
    assert (answer.status_code, blamed(answer)) == (422, {"cursor": "not_allowed"})


async def test_a_cursor_leads_on_without_its_since(reader: Person) -> None:
    cursor = (await read(reader, since=2, limit=1))["next_cursor"]
    assert await read(reader, cursor=cursor) == await read(reader, since=2, cursor=cursor)


GOOD = (CURSOR_NAME, 0, 8, 1, 2, 1, "")
FORGED_PARTS = [
    *((at, part) for at in range(1, 6) for part in (None, "1", 1.0, True, 2**63)),
    *((6, part) for part in (None, 1, ["expense"], "trash", "\x00", "\ud800", "🍎", "' OR 1=1 --")),
]


@pytest.mark.wire
@pytest.mark.parametrize(
    "cursor",
    [
        *("", "x", "!!!!", "é", forged(*GOOD)[:-3], forged(*GOOD) + "A" * 256),
        *(forged(*GOOD[:-1]), forged(*GOOD, 1), forged("trash", *GOOD[1:])),
        *(forged(*GOOD[:at], part, *GOOD[at + 1 :]) for at, part in FORGED_PARTS),
    ],
)
async def test_a_broken_or_forged_cursor_is_refused_by_name(reader: Person, cursor: str) -> None:
    answer = await reader.get("/changes", params={"cursor": cursor})
    assert (answer.status_code, set(blamed(answer))) == (422, {"cursor"})


numbers = st.integers(-2, 10) | st.integers(-LARGEST_ID, LARGEST_ID)
forgeries = (
    st.text()
    | st.binary(max_size=150).map(encode_base64url)
    | st.lists(any_values, max_size=8).map(lambda it: forged(*it))
    | st.tuples(numbers, numbers, numbers, st.integers(-1, 5), numbers, any_text | any_values).map(
        lambda it: forged(CURSOR_NAME, *it)
    )
)


@pytest.mark.wire
@hunts(25)
@given(cursor=forgeries)
async def test_no_cursor_whatever_is_an_error_of_ours(reader: Person, cursor: str) -> None:
    answer = await reader.get("/changes", params={"cursor": cursor})
    assert answer.status_code in {200, 410, 422}, answer.text


# --- Whose ------------------------------------------------------------------------------------------------------------


async def test_a_stranger_is_told_nothing_of_it(person: Person, stranger: Person) -> None:
    await furnish(person)
    own = await spend(stranger)
    assert await read(stranger) == {"revision": 1, "next_cursor": None} | NOTHING | {"expenses": [own]}


async def test_a_strangers_cursor_leads_to_nothing_of_theirs(person: Person, stranger: Person) -> None:
    await furnish(stranger)
    copy, _ = await furnish(person)
    theirs = (await read(stranger, limit=2))["next_cursor"]
    assert told(await read(person, cursor=theirs), copy.rows) == REST.replace("bread", "apples, bread")


# --- Whatever happens -------------------------------------------------------------------------------------------------

NAMES = ("Food", "Rent", "Fun", "Home", "Travel", "Gifts", "Health", "Pets")
SIZES = (1, 2, 3, 10)
WRITES_OF_EACH = 60 if HUNT else 12
# What to name where there is nothing.
ABSENT: Fields = {"id": LARGEST_ID, "revision": LARGEST_ID, "name": "None"}


def an_expense(random: Random, _: object = None) -> Fields:
    return {"amount": f"{random.randint(1, 99)}.00", "category": random.choice([*NAMES, None])}


def a_budget(random: Random, _: object) -> Fields:
    return {"amount": "9.00", "category": random.choice([*NAMES, None]), "period": random.choice(["week", "month"])}


def a_name(random: Random, _: object) -> Fields:
    return {"name": random.choice(NAMES)}


def many(random: Random, _: object) -> Fields:
    return {"operations": [{"op": "create", "data": an_expense(random)} for _ in range(random.randint(1, 20))]}


def a_batch(random: Random, rows: Sequence[Fields]) -> Fields:
    updates = [{"op": "update", "id": it["id"], "data": an_expense(random)} for it in rows[:3]]
    return {"operations": many(random, rows)["operations"] + updates + [{"op": "delete", "id": rows[-1]["id"]}]}


ACTIONS: list[tuple[str, Callable[[Random, Sequence[Fields]], object], str]] = [
    ("POST /expenses", an_expense, "/expenses"),
    ("PATCH /expenses/{id}", an_expense, "/expenses"),
    (
        "PUT /expenses/{id}",
        lambda random, _: an_expense(random) | {"currency": "EUR", "date": "2026-11-22"},
        "/expenses",
    ),
    ("DELETE /expenses/{id}", lambda *_: None, "/expenses"),
    ("POST /expenses/batch", many, "/expenses"),
    ("POST /expenses/batch", a_batch, "/expenses"),
    ("PATCH /expenses?category={other[name]}", lambda random, _: {"category": random.choice(NAMES)}, "/categories"),
    ("DELETE /expenses?category={name}", lambda *_: None, "/categories"),
    ("POST /expenses/{id}/restore", lambda *_: None, "/expenses/trash"),
    ("POST /expenses/restore", lambda _, rows: {"revision": rows[0]["revision"]}, "/expenses/trash"),
    ("DELETE /expenses/trash", lambda *_: None, "/expenses/trash"),
    ("POST /categories", a_name, "/categories"),
    ("PATCH /categories/{id}", a_name, "/categories"),
    ("PATCH /categories/{id}", lambda random, _: {"archived": random.choice([True, False])}, "/categories"),
    ("DELETE /categories/{id}?move_to={other[name]}", lambda *_: None, "/categories"),
    ("DELETE /categories/{id}?uncategorized=true", lambda *_: None, "/categories"),
    ("POST /budgets", a_budget, "/budgets"),
    ("PATCH /budgets/{id}", a_budget, "/budgets"),
    ("DELETE /budgets/{id}", lambda *_: None, "/budgets"),
]
Write = tuple[int, int]
"""Which of the actions, and what the rest of it is drawn from."""
Step = tuple[int, list[Write]]
"""The size of a page, and what happens before each of the statements that read it; of no page, what happens."""
Acts = list[Callable[[], Awaitable[None]]]


async def write(clients: Sequence[httpx.AsyncClient], action: int, seed: int) -> None:
    """Change something of the ledger, if it is still there by then."""
    random = Random(seed)
    request, body, shown = ACTIONS[action]
    rows = (await random.choice(clients).get(shown)).json()["items"] or [ABSENT]
    random.shuffle(rows)
    method, path = request.format(**rows[0], other=rows[-1]).split()
    answer = await random.choice(clients).request(method, path, json=body(random, rows))
    assert answer.status_code in {200, 201, 204, 404, 409, 412, 422}, answer.text


@pytest.fixture
def in_between(monkeypatch: pytest.MonkeyPatch) -> Acts:
    """What is to happen before each of the next statements that read the feed."""
    # It is done by the same account within its request, and so needs a second turn also beside others.
    monkeypatch.setattr(turns, "SECONDS_ALONE", 0)
    waiting: Acts = []
    rows = Ledger.fetch_in_slices

    async def rows_later(self: Ledger, statement: Executable, **parameters: object) -> list[Row[Any]]:
        if waiting and any(statement is it for it in feed.FEED_STATEMENTS):
            await waiting.pop(0)()
        return await rows(self, statement, **parameters)

    monkeypatch.setattr(Ledger, "fetch_in_slices", rows_later)
    return waiting


writes = st.tuples(st.integers(0, len(ACTIONS) - 1), st.integers(0, 2**16))
steps_of_both = st.tuples(st.sampled_from((0, *SIZES)), st.lists(writes, max_size=4))


@hunts(3)
@given(steps=st.lists(steps_of_both, min_size=8, max_size=25))
async def test_a_copy_becomes_the_ledger_whatever_is_written_between_its_pages_and_within(
    app: FastAPI, in_between: Acts, steps: list[Step]
) -> None:
    in_between.clear()
    async with signed_up(app) as person:
        copy, _ = await furnish(person)
        await play(person, copy, in_between, steps)
        await copy.catch_up(person)
        assert copy.rows == await served(person)


async def play(person: Person, copy: Copy, in_between: Acts, steps: Sequence[Step]) -> None:
    for size, meanwhile in steps:
        acts = [partial(write, [person], *it) for it in meanwhile]
        if size:
            in_between += acts
            await copy.page(person, size)
        else:
            for act in acts:
                await act()


async def race(clients: Sequence[httpx.AsyncClient], each: int) -> Copy:
    """Let three write so many times each, and one read pages meanwhile, then catch up."""
    random, copy = Random(5), Copy()
    writing = asyncio.gather(*(write_on(clients, seed, each) for seed in range(3)))
    while not writing.done():
        await copy.page(random.choice(clients), random.choice(SIZES))
    await writing
    await copy.catch_up(random.choice(clients))
    return copy


async def write_on(clients: Sequence[httpx.AsyncClient], seed: int, times: int) -> None:
    random = Random(seed)
    for _ in range(times):
        await write(clients, random.randrange(len(ACTIONS)), random.getrandbits(32))


async def test_a_copy_becomes_the_ledger_that_three_write_at_once(person: Person) -> None:
    await furnish(person)
    copy = await race([person], WRITES_OF_EACH)
    assert copy.rows == await served(person)


@on_mysql
async def test_a_copy_becomes_the_ledger_that_two_processes_write_and_tell(
    database_url: str, settings: Settings, person: Person
) -> None:
    token = {"Authorization": person.headers["Authorization"]}
    # The process of this test is one of the two.
    with Service(sharing(settings, database_url)) as service:
        async with httpx.AsyncClient(base_url=service.url, timeout=20, trust_env=False, headers=token) as there:
            copy = await race([person, there], WRITES_OF_EACH)
            assert copy.rows == await served(person) == await served(there)
