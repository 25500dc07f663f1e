"""Pages and cursors: each row is listed once, even if rows change meanwhile; forged cursors are refused."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import time_machine
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams
from starlette.responses import Response

from api.headers import link_next_page
from ledger.pages import Cursor, fingerprint_query, parse_cursor
from problems import ValidationFailed
from tests.support.expenses import spend
from tests.support.generated import any_text, any_values, days, forged
from tests.support.jwt import encode_base64url
from tests.support.people import Person, SignUp, signed_up
from tests.support.problems import blamed
from tests.support.rows import filling
from values.fields import LARGEST_ID
from values.spans import Span

QUERY = fingerprint_query({"sort": "-date"})
NOVEMBER = Span(date(2026, 11, 1), date(2026, 11, 30))
GOOD = Cursor(QUERY, date(2026, 11, 22), 7, None).encode()

spans = st.none() | st.builds(Span, days, days)
values = days | st.integers(-LARGEST_ID, LARGEST_ID)

SORTS = pytest.mark.parametrize("sort", ["-date", "date", "-amount", "amount"])


@pytest.fixture(scope="module")
async def reader(app: FastAPI) -> AsyncIterator[Person]:
    """A user with a few expenses, which the tests of broken cursors only read."""
    async with signed_up(app) as reader:
        await spend_on(reader, "2026-11-01", "2026-11-02")
        await spend(reader, category="A")
        await spend(reader, category="A")
        yield reader


async def page(person: Person, **query: object) -> dict[str, Any]:
    """Return one page of a list of expenses."""
    answer = await person.get("/expenses", params=query)  # type: ignore[arg-type]
    assert answer.status_code == httpx.codes.OK, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def walk(person: Person, **query: object) -> list[int]:
    """Follow the cursors to the last page and return the ids met on the way; a list of these tests is never long."""
    found = await page(person, **query)
    met = ids(found)
    while found["next_cursor"] and len(met) < 100:
        found = await page(person, **query, cursor=found["next_cursor"])
        met += ids(found)
    return met


def ids(found: dict[str, Any]) -> list[int]:
    """Return the ids on a page."""
    return [expense["id"] for expense in found["items"]]


async def spend_on(person: Person, *spent_on: str) -> list[int]:
    """Record an expense on each of these days and return their ids."""
    return [(await spend(person, date=day))["id"] for day in spent_on]


async def prepare(person: Person, *spent_on: str) -> list[int]:
    """Insert an expense of each of these days into a new ledger and return their ids."""
    async with filling(person) as rows:
        return [await rows.spend(at, spent_on=date.fromisoformat(day)) for at, day in enumerate(spent_on, 1)]


# The text of a cursor


@given(value=values, row_id=st.integers(1, LARGEST_ID), span=spans)
def test_a_cursor_is_read_as_it_was_written(value: date | int, row_id: int, span: Span | None) -> None:
    cursor = Cursor(QUERY, value, row_id, span)

    assert parse_cursor(cursor.encode(), QUERY, type(value)) == cursor


@given(value=values, row_id=st.integers(1, LARGEST_ID), span=spans)
def test_a_cursor_needs_no_escaping_in_a_url(value: date | int, row_id: int, span: Span | None) -> None:
    text = Cursor(QUERY, value, row_id, span).encode()

    assert text.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "x",
        "null",
        "1",
        "2026-11-22",
        "!!!!",
        "é",
        "🍎",
        "\ud800",
        "\x00",
        "=",
        "====",
        pytest.param("A" * 257, id="257 letters"),
        pytest.param("A" * 100_000, id="100,000 letters"),
        pytest.param(GOOD + "A", id="one with a letter more"),
        pytest.param(GOOD + " ", id="one with a space"),
        pytest.param(GOOD + "\n", id="one with a newline"),
        pytest.param(" " + GOOD, id="a space and one"),
        pytest.param(GOOD + GOOD, id="two"),
        pytest.param(GOOD[1:], id="one without its first letter"),
        pytest.param(GOOD[4:], id="one without its first bytes"),
        pytest.param(GOOD.swapcase(), id="one in the other case"),
        pytest.param(GOOD[::-1], id="one backwards"),
    ],
)
def test_a_broken_text_is_no_cursor(text: str) -> None:
    with pytest.raises(ValidationFailed):
        parse_cursor(text, QUERY, date)


@pytest.mark.parametrize("length", range(len(GOOD)))
def test_a_cursor_that_was_cut_off_is_no_cursor(length: int) -> None:
    with pytest.raises(ValidationFailed):
        parse_cursor(GOOD[:length], QUERY, date)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        b"true",
        b"7",
        b"NaN",
        b'"text"',
        b'"abc"',
        b"\x00",
        b"\xff\xfe\xfd",
        b"\x80\x04N.",  # a pickle
        pytest.param(b"[" * 190, id="190 brackets"),
        b'{"a":1,"b":2,"c":3}',
        f'["{QUERY}","2026-11-22",7]garbage'.encode(),
        f'["{QUERY}","2026-11-22",NaN]'.encode(),
        f'["{QUERY}","2026-11-22",Infinity]'.encode(),
        f'["{QUERY}","2026-11-22",1e400]'.encode(),
        f'["{QUERY}","\\ud800",7]'.encode(),
    ],
    ids=ascii,
)
def test_what_is_no_list_of_ours_is_no_cursor(content: bytes) -> None:
    with pytest.raises(ValidationFailed):
        parse_cursor(encode_base64url(content), QUERY, date)


@pytest.mark.parametrize(
    "members",
    [
        [],
        [QUERY],
        [QUERY, "2026-11-22"],
        [QUERY, "2026-11-22", 7, "2026-11-01"],
        [QUERY, "2026-11-22", 7, "2026-11-01", "2026-11-30", "2026-12-31"],
        [QUERY, "2026-11-22", None],
        [QUERY, "2026-11-22", "7"],
        [QUERY, "2026-11-22", 7.0],
        [QUERY, "2026-11-22", True],
        [QUERY, "2026-11-22", [7]],
        [QUERY, "2026-11-22", {"$gt": 0}],
        [QUERY, "2026-11-22", 2**63],
        [QUERY, "2026-11-22", -(2**63)],
        [QUERY, "2026-11-22", 10**100],
        [QUERY, "2026-11-31", 7],
        [QUERY, "2026-11-22T00:00:00", 7],
        [QUERY, "today", 7],
        [QUERY, "", 7],
        [QUERY, "' OR 1=1 --", 7],
        [QUERY, None, 7],
        [QUERY, True, 7],
        [QUERY, 1.5, 7],
        [QUERY, [], 7],
        [QUERY, {}, 7],
        [QUERY, 2**63, 7],
        [QUERY, "2026-11-22", 7, 1, 2],
        [QUERY, "2026-11-22", 7, None, None],
        [QUERY, "2026-11-22", 7, "2026-11-01", "then"],
        [QUERY, "2026-11-22", 7, ["2026-11-01"], ["2026-11-30"]],
        [QUERY, 12_500, 7],
        ["", "2026-11-22", 7],
        [None, "2026-11-22", 7],
        [[QUERY], "2026-11-22", 7],
        [QUERY.upper(), "2026-11-22", 7],
        [QUERY[:-1], "2026-11-22", 7],
        [fingerprint_query({"sort": "date"}), "2026-11-22", 7],
    ],
    ids=str,
)
def test_a_forged_cursor_is_refused(members: list[object]) -> None:
    with pytest.raises(ValidationFailed):
        parse_cursor(forged(*members), QUERY, date)


def test_a_cursor_of_a_list_by_day_does_not_lead_through_one_by_amount() -> None:
    with pytest.raises(ValidationFailed):
        parse_cursor(GOOD, QUERY, int)


def test_a_cursor_that_is_refused_is_to_blame_and_says_what_to_do() -> None:
    with pytest.raises(ValidationFailed) as refusal:
        parse_cursor("x", QUERY, date)

    [entry] = refusal.value.errors
    assert (entry.location, "start again" in entry.detail) == ({"parameter": "cursor"}, True)


@given(
    any_text
    | st.binary(max_size=150).map(encode_base64url)
    | st.lists(any_values, max_size=6).map(lambda it: forged(*it))
)
def test_no_text_whatever_does_more_than_be_refused(text: str) -> None:
    with suppress(ValidationFailed):
        parse_cursor(text, QUERY, date)


@given(st.lists(any_values, min_size=2, max_size=4))
def test_whatever_passes_for_a_cursor_fits_the_database(members: list[object]) -> None:
    with suppress(ValidationFailed):
        assert abs(parse_cursor(forged(QUERY, *members), QUERY, int).row_id) <= LARGEST_ID


def link_to_next(query: QueryParams) -> str:
    response = Response()
    link_next_page(response, "/expenses", query, "new")
    return response.headers["Link"]


def test_the_next_page_is_linked_with_all_that_was_asked() -> None:
    query = QueryParams("q=caf%C3%A9+%26+%F0%9F%8D%8E&category=A&category=B&cursor=old&limit=2")

    link = link_to_next(query)

    assert parse_qs(urlsplit(link.removeprefix("<").split(">")[0]).query) == {
        "q": ["café & 🍎"],
        "category": ["A", "B"],
        "cursor": ["new"],
        "limit": ["2"],
    }


@pytest.mark.parametrize("hostile", ['">; rel="prev', "a>b", "a\r\nSet-Cookie: x=1", "a b", "é"])
def test_nothing_asked_breaks_out_of_the_link(hostile: str) -> None:
    link = link_to_next(QueryParams({"q": hostile}))

    assert (link.isascii(), link.count(">"), "\n" in link, link.endswith('>; rel="next"')) == (True, 1, False, True)


# Pages


@pytest.fixture(scope="module")
async def shopper(app: FastAPI) -> AsyncIterator[Person]:
    """A user with seven expenses, for the tests that change nothing."""
    async with signed_up(app) as shopper:
        await spend_on(shopper, "2026-11-02", "2026-11-01", "2026-11-02", "2026-11-02", "2026-11-03")
        await spend(shopper, amount="-3", date="2026-11-02")
        await spend(shopper, amount="99", date="1900-01-01")
        yield shopper


@SORTS
@pytest.mark.parametrize("limit", [1, 3, 7])
async def test_the_pages_together_are_the_list(shopper: Person, sort: str, limit: int) -> None:
    assert await walk(shopper, sort=sort, limit=limit) == ids(await page(shopper, sort=sort))


@SORTS
async def test_pages_of_equal_rows_meet_each_once(person: Person, sort: str) -> None:
    recorded = await prepare(person, *["2026-11-22"] * 5)

    assert sorted(await walk(person, sort=sort, limit=2)) == recorded


async def test_the_last_page_leads_nowhere(person: Person) -> None:
    await prepare(person, "2026-11-01", "2026-11-02")

    answer = await person.get("/expenses?limit=2")

    assert (answer.json()["next_cursor"], "Link" in answer.headers) == (None, False)


async def test_a_list_of_nothing_leads_nowhere(person: Person) -> None:
    assert await page(person) == {"items": [], "next_cursor": None}


async def test_a_page_is_of_50_unless_asked(person: Person) -> None:
    await prepare(person, *["2026-11-22"] * 51)

    assert len((await page(person))["items"]) == 50


async def test_the_link_leads_to_the_next_page_as_the_cursor_does(person: Person) -> None:
    await prepare(person, "2026-11-01", "2026-11-02", "2026-11-03")

    answer = await person.get("/expenses?limit=1&sort=date")
    link = answer.headers["Link"].removeprefix("<").removesuffix('>; rel="next"')

    assert (await person.get(link)).json() == await page(
        person, limit=1, sort="date", cursor=answer.json()["next_cursor"]
    )


async def test_the_link_keeps_filters_of_any_characters(person: Person) -> None:
    query = {"q": "café & 🍎 100%", "category": ['Ä "quoted", <b>', "C++ & more"], "limit": "1"}
    older = await spend(person, description="Café & 🍎, 100%", category="C++ & more")
    await spend(person, description="100% 🍎 & café", category='ä "Quoted", <b>')

    answer = await person.get("/expenses", params=query)
    link = answer.headers["Link"].removeprefix("<").removesuffix('>; rel="next"')

    assert (await person.get(link)).json() == {"items": [older], "next_cursor": None}


async def test_the_size_of_a_page_may_change_on_the_way(person: Person) -> None:
    recorded = await prepare(person, "2026-11-01", "2026-11-02", "2026-11-03", "2026-11-04")
    first = await page(person, sort="date", limit=1)

    assert ids(await page(person, sort="date", limit=3, cursor=first["next_cursor"])) == recorded[1:]


# What happens meanwhile


async def test_a_row_that_comes_in_before_the_cursor_shifts_nothing(person: Person) -> None:
    recorded = await prepare(person, "2026-11-01", "2026-11-03", "2026-11-05")
    first = await page(person, sort="date", limit=2)
    await spend_on(person, "2026-11-02")

    assert ids(await page(person, sort="date", limit=2, cursor=first["next_cursor"])) == recorded[2:]


async def test_a_row_that_comes_in_behind_the_cursor_is_met(person: Person) -> None:
    await prepare(person, "2026-11-01", "2026-11-03", "2026-11-05")
    first = await page(person, sort="date", limit=2)
    late = await spend_on(person, "2026-11-04")

    assert late[0] in ids(await page(person, sort="date", limit=2, cursor=first["next_cursor"]))


@SORTS
async def test_a_row_that_goes_shifts_nothing(person: Person, sort: str) -> None:
    await prepare(person, *["2026-11-22"] * 4)
    whole = ids(await page(person, sort=sort))
    first = await page(person, sort=sort, limit=2)
    await person.delete(f"/expenses/{whole[0]}")

    assert ids(await page(person, sort=sort, limit=2, cursor=first["next_cursor"])) == whole[2:]


@SORTS
async def test_a_cursor_outlives_its_own_row(person: Person, sort: str) -> None:
    await prepare(person, *["2026-11-22"] * 4)
    whole = ids(await page(person, sort=sort))
    first = await page(person, sort=sort, limit=2)
    await person.delete(f"/expenses/{whole[1]}")

    assert ids(await page(person, sort=sort, limit=2, cursor=first["next_cursor"])) == whole[2:]


async def test_a_cursor_outlives_every_row(person: Person) -> None:
    first_id, second_id = await spend_on(person, "2026-11-01", "2026-11-02")
    first = await page(person, sort="date", limit=1)
    await person.delete(f"/expenses/{first_id}")
    await person.delete(f"/expenses/{second_id}")

    assert await page(person, sort="date", limit=1, cursor=first["next_cursor"]) == {"items": [], "next_cursor": None}


async def test_a_relative_period_stays_what_it_was_on_the_first_page(sign_up: SignUp) -> None:
    person = await sign_up(timezone="Pacific/Kiritimati")
    recorded = [(await spend(person))["id"] for _ in range(3)]
    first = await page(person, period="today", sort="date", limit=1)
    await person.patch("/users/me", json={"timezone": "Pacific/Pago_Pago"})  # where it is still yesterday

    assert ids(await page(person, period="today", sort="date", cursor=first["next_cursor"])) == recorded[1:]


async def test_a_relative_period_stays_over_midnight_and_over_pages(sign_up: SignUp) -> None:
    with time_machine.travel(datetime(2026, 11, 30, 23, 59, 58, tzinfo=UTC), tick=False) as traveller:
        person = await sign_up()
        recorded = await spend_on(person, "2026-11-01", "2026-11-15", "2026-11-30")
        await spend_on(person, "2026-12-01")
        first = await page(person, period="this-month", sort="date", limit=1)
        traveller.shift(60)
        second = await page(person, period="this-month", sort="date", limit=1, cursor=first["next_cursor"])
        third = await page(person, period="this-month", sort="date", limit=1, cursor=second["next_cursor"])

    assert (ids(first) + ids(second) + ids(third), third["next_cursor"]) == (recorded, None)


# Whose cursor, and of what


@pytest.mark.wire
@pytest.mark.parametrize(
    "other",
    [
        {"sort": "date"},
        {"sort": "-amount"},
        {"q": "milk"},
        {"currency": "EUR"},
        {"category": "Food"},
        {"uncategorized": "true"},
        {"external_id": "bank-1"},
        {"min_amount": "1"},
        {"max_amount": "1"},
        {"from": "1900-01-01"},
        {"to": "2199-12-31"},
        {"period": "today"},
    ],
)
async def test_a_cursor_belongs_to_its_filters_and_its_sort(reader: Person, other: dict[str, str]) -> None:
    cursor = (await page(reader, limit=1))["next_cursor"]

    answer = await reader.get("/expenses", params={"cursor": cursor} | other)

    assert (answer.status_code, blamed(answer)) == (422, {"cursor": "not_allowed"})


@pytest.mark.parametrize(
    ("asked", "other"),
    [
        ({"period": "this-month"}, {"period": "last-1-months"}),
        ({"period": "2026"}, {"from": "2026-01-01", "to": "2026-12-31"}),
        ({"category": ["A", "B"]}, {"category": ["A"]}),
        ({"uncategorized": "true"}, {}),
    ],
)
async def test_a_cursor_belongs_to_its_filters_as_they_were_written(
    reader: Person, asked: dict[str, Any], other: dict[str, Any]
) -> None:
    cursor = (await page(reader, limit=1, **asked))["next_cursor"]

    answer = await reader.get("/expenses", params={"cursor": cursor} | other)

    assert blamed(answer) == {"cursor": "not_allowed"}


async def test_a_strangers_cursor_leads_to_nothing_of_theirs(person: Person, stranger: Person) -> None:
    await prepare(stranger, "2026-11-01", "2026-11-02", "2026-11-03")
    mine = await spend_on(person, "2026-10-01")
    cursor = (await page(stranger, limit=1))["next_cursor"]

    assert ids(await page(person, cursor=cursor)) == mine


@pytest.mark.parametrize("cursor", ["", "x", "null", "0", GOOD, GOOD[:-4], forged(), forged(QUERY, 1, 2)])
async def test_a_broken_cursor_is_refused_by_name(reader: Person, cursor: str) -> None:
    answer = await reader.get("/expenses", params={"cursor": cursor})

    assert (answer.status_code, set(blamed(answer))) == (422, {"cursor"})


@pytest.mark.wire
@SORTS
@pytest.mark.parametrize(
    "value", ["0001-01-01", "9999-12-31", LARGEST_ID, -LARGEST_ID, 2**63, 1.5, None, "2026-11-22' OR 1=1"]
)
async def test_a_cursor_with_a_forged_position_is_no_error_of_ours(reader: Person, sort: str, value: object) -> None:
    cursor = (await page(reader, limit=1, sort=sort))["next_cursor"]
    query, *_ = json.loads(base64.urlsafe_b64decode(cursor + "=="))

    answer = await reader.get("/expenses", params={"sort": sort, "cursor": forged(query, value, LARGEST_ID)})

    assert answer.status_code in {200, 422}


async def test_a_list_can_be_read_after_a_broken_cursor(reader: Person) -> None:
    await reader.get("/expenses?cursor=broken")

    assert len((await page(reader))["items"]) == 4


# The count


@pytest.mark.parametrize("cursor_at", [1, 2])
async def test_the_count_is_of_all_that_match_on_every_page(person: Person, cursor_at: int) -> None:
    await prepare(person, "2026-11-01", "2026-11-02", "2026-11-03")
    await spend(person, date="2026-10-31")
    first = await page(person, period="2026-11", limit=cursor_at)

    counted = await page(person, period="2026-11", with_count="true", cursor=first["next_cursor"])

    assert counted["count"] == 3


@pytest.mark.parametrize(
    ("query", "count"),
    [({}, 3), ({"limit": 1}, 3), ({"category": "Food"}, 1), ({"q": "milk"}, 1), ({"currency": "JPY"}, 0)],
)
async def test_the_count_follows_the_filters_and_not_the_page(
    person: Person, query: dict[str, object], count: int
) -> None:
    await spend(person, category="Food")
    await spend(person, description="milk")
    await spend(person)

    assert (await page(person, with_count="true", **query))["count"] == count


async def test_nothing_is_counted_unless_asked(person: Person) -> None:
    assert (await page(person, with_count="false")).keys() == {"items", "next_cursor"}


# The same form everywhere


@pytest.mark.parametrize("path", ["/expenses", "/categories", "/currencies"])
async def test_every_list_has_the_same_form(person: Person, path: str) -> None:
    answer = (await person.get(path)).json()

    assert (answer.keys(), answer["next_cursor"]) == ({"items", "next_cursor"}, None)
