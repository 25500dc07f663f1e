"""ETags of lists and reports, and 304 answers."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, date, datetime

import pytest
import time_machine
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from api.headers import write_ledger_etag
from auth import Caller
from tests.support.conditions import REWRITTEN, blame, get, tag_of
from tests.support.databases import on_sqlite
from tests.support.expenses import spend
from tests.support.matrix import OPERATIONS
from tests.support.people import At, Person, SignUp, signed_up
from tests.support.rows import fill_ledger
from tests.support.settings import NOON
from tests.support.statements import Statements
from values.etags import parse_etags
from values.fields import LARGEST_ID

pytestmark = pytest.mark.usefixtures("noon")


@pytest.fixture(scope="module")
async def reader(app: FastAPI) -> AsyncIterator[Person]:
    """A user whose ledger has one row of each kind, for the tests that only read."""
    async with AsyncExitStack() as stack:
        with time_machine.travel(NOON, tick=False):
            reader = await stack.enter_async_context(signed_up(app))
        yield reader


@pytest.fixture(scope="module")
async def read_at(reader: Person) -> At:
    """Paths of that ledger."""
    with time_machine.travel(NOON, tick=False):
        return await fill_ledger(reader)


# Numbers that are each other's beginnings, so that what runs together would meet.
callers = st.builds(
    Caller,
    id=st.sampled_from([1, 11, 111]),
    sid=st.just(""),
    currency=st.sampled_from(["EUR", "JPY"]),
    timezone=st.just("UTC"),
    month_start_day=st.sampled_from([1, 11]),
    revision=st.sampled_from([0, 1, 11, 111]),
)
days = st.none() | st.sampled_from([date(2026, 11, 1), date(2026, 11, 11), date(2026, 1, 11)])


@given(callers, days, callers, days)
def test_tags_are_equal_just_where_user_revision_profile_and_day_are(
    one: Caller, day: date | None, other: Caller, another_day: date | None
) -> None:
    is_same = (one, day) == (other, another_day)
    assert (write_ledger_etag(one, day) == write_ledger_etag(other, another_day)) is is_same


@given(callers, days)
def test_a_ledgers_tag_can_be_sent_back(caller: Caller, day: date | None) -> None:
    tag = write_ledger_etag(caller, day)
    assert set(parse_etags([tag])) == {tag}


# --- What the client has already --------------------------------------------------------------------------------------

READS = sorted(
    path
    for (method, path), operation in OPERATIONS.items()
    if method == "GET" and operation["security"] and not path.startswith("/users")
)
ITEMS = [path for path in READS if "{" in path]
IMPORT = "/imports/{import_id}"
"""An import never changes; it can only be undone."""
WHOLES = [path for path in READS if "{" not in path]
EVERY_READ = pytest.mark.parametrize("path", READS)


def test_every_noun_is_read_here() -> None:
    lists = {"/expenses", "/expenses/trash", "/categories", "/budgets", "/budgets/status", "/reports/spending"}
    assert {*lists, "/changes"} <= set(WHOLES)
    assert {"/expenses/{expense_id}", "/categories/{category_id}", "/budgets/{budget_id}"} <= set(ITEMS)


@on_sqlite
@pytest.mark.parametrize("path", ITEMS)
async def test_a_rows_tag_is_its_revision(reader: Person, read_at: At, path: str) -> None:
    answer = await get(reader, read_at(path))
    assert answer.headers["ETag"] == f'"{answer.json()["revision"]}"'


@on_sqlite
@pytest.mark.parametrize("path", WHOLES)
async def test_a_lists_tag_is_a_weak_one(reader: Person, path: str) -> None:
    assert (await tag_of(reader, path)).startswith('W/"')


@on_sqlite
@pytest.mark.parametrize("path", ["/users/me", "/currencies"])
async def test_what_is_of_no_ledger_has_no_tag(reader: Person, path: str) -> None:
    answer = await get(reader, path, "*")
    assert (answer.status_code, "ETag" in answer.headers) == (200, False)


@pytest.mark.wire
@EVERY_READ
async def test_what_the_client_has_is_not_sent_again(reader: Person, read_at: At, path: str) -> None:
    tag = await tag_of(reader, read_at(path))
    bare = tag.removeprefix("W/")
    spellings = [[tag], [bare], [f"W/{bare}"], [f'"another", {tag} ,'], ['W/"another"', bare], ["*"]]
    answers = [await get(reader, read_at(path), *it) for it in spellings]
    assert [(it.status_code, it.content, it.headers["ETag"]) for it in answers] == [(304, b"", tag)] * len(spellings)


@pytest.mark.wire
@EVERY_READ
async def test_what_the_client_has_through_a_compressing_proxy_is_not_sent_again(
    reader: Person, read_at: At, path: str
) -> None:
    tag = await tag_of(reader, read_at(path))
    sent = [it.format(tag.removeprefix("W/").strip('"')) for it in REWRITTEN]
    answers = [await get(reader, read_at(path), it) for it in sent]
    assert [(it.status_code, it.headers["ETag"]) for it in answers] == [(304, tag)] * len(sent)


@on_sqlite
@EVERY_READ
async def test_an_empty_answer_has_all_headers_but_those_of_a_body(reader: Person, read_at: At, path: str) -> None:
    asked = {"X-Request-ID": "the-same", "Origin": "http://localhost:5173"}
    full = await reader.get(read_at(path), headers=asked)
    empty = await reader.get(read_at(path), headers=asked | {"If-None-Match": full.headers["ETag"]})
    assert {"etag", "cache-control", "vary", "access-control-allow-origin"} <= set(empty.headers)
    of_bodies = {"content-type", "content-length", "content-disposition"}
    assert {"content-type"} <= dict(full.headers.items() - empty.headers.items()).keys() <= of_bodies
    assert empty.headers.items() <= full.headers.items()


@pytest.mark.wire
@pytest.mark.parametrize("path", ["/expenses", "/expenses/{expense_id}", "/budgets/status"])
async def test_what_is_almost_the_tag_is_another(reader: Person, read_at: At, path: str) -> None:
    full = await get(reader, read_at(path))
    inner = full.headers["ETag"].removeprefix("W/").strip('"')
    near = [f'"{inner}0"', f'"0{inner}"', f'"{inner[1:]}"', f'"{inner[:-1]}"', '"*", ""', f'"{inner},{inner}"']
    answers = [await get(reader, read_at(path), it) for it in near]
    assert [(it.status_code, it.json()) for it in answers] == [(200, full.json())] * len(near)


@EVERY_READ
async def test_an_empty_answer_costs_one_statement_and_a_rows_two(
    reader: Person, read_at: At, statements: Statements, path: str
) -> None:
    tag = await tag_of(reader, read_at(path))
    with statements() as sent:
        assert (await get(reader, read_at(path), tag)).status_code == 304
    assert len(sent) == (2 if path in ITEMS else 1), "\n".join(sent)


async def test_after_a_change_every_answer_comes_with_another_tag(person: Person, at: At) -> None:
    tags = {path: await tag_of(person, at(path)) for path in READS if path != IMPORT}
    await person.patch(at("/expenses/{expense_id}"), json={"amount": "13.00"})
    await person.patch(at("/categories/{category_id}"), json={"color": "#2a9d8f"})
    await person.patch(at("/tags/{tag_id}"), json={"name": "with others"})
    await person.patch(at("/budgets/{budget_id}"), json={"amount": "220.00"})
    answers = {path: await get(person, at(path), tag) for path, tag in tags.items()}
    seen = {path: (it.status_code, it.headers["ETag"] == tags[path]) for path, it in answers.items()}
    assert seen == dict.fromkeys(tags, (200, False))


@on_sqlite
@pytest.mark.parametrize("path", ["/expenses", "/expenses/{expense_id}"])
async def test_head_is_answered_on_the_same_condition(reader: Person, read_at: At, path: str) -> None:
    tag = await tag_of(reader, read_at(path))
    answer = await reader.head(read_at(path), headers={"If-None-Match": tag})
    assert (answer.status_code, answer.headers["ETag"]) == (304, tag)


@pytest.mark.wire
@pytest.mark.parametrize("path", ["/expenses", "/expenses/{expense_id}"])
@pytest.mark.parametrize("broken", [["31"], [""], ['"31"', "*"], ['"3 1"']], ids=str)
async def test_a_broken_if_none_match_is_refused_by_name(
    reader: Person, read_at: At, path: str, broken: list[str]
) -> None:
    answer = await get(reader, read_at(path), *broken)
    assert (answer.status_code, blame(answer)) == (422, [{"header": "If-None-Match", "code": "malformed"}])


@pytest.mark.wire
@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/expenses/{LARGEST_ID}", 404),
        (f"/categories/{LARGEST_ID}", 404),
        (f"/budgets/{LARGEST_ID}", 404),
        ("/expenses?limit=0", 422),
        ("/expenses?cursor=x", 422),
        ("/expenses?period=1899-12", 422),
        ("/expenses/trash?cursor=x", 422),
        ("/changes?cursor=x", 422),
        ("/changes?since=999", 410),
    ],
)
async def test_what_is_refused_is_refused_on_any_condition(reader: Person, path: str, status: int) -> None:
    # RFC 9110, section 13.2.1: conditions are for what would be answered with success without them.
    assert (await get(reader, path, "*")).status_code == status


@pytest.mark.usefixtures("at")
async def test_two_users_tags_never_meet(person: Person, stranger: Person) -> None:
    theirs_at = [(await spend(stranger))["revision"] for _ in range(5)][-1]
    mine, theirs = [[await tag_of(who, path) for path in WHOLES] for who in (person, stranger)]
    assert (await person.get("/changes")).json()["revision"] == theirs_at
    assert set(mine).isdisjoint(theirs)


@pytest.mark.parametrize("path", ITEMS)
async def test_a_tag_opens_nobody_elses_row(reader: Person, stranger: Person, read_at: At, path: str) -> None:
    answers = [await get(stranger, read_at(path), it) for it in ("*", await tag_of(reader, read_at(path)))]
    assert [it.status_code for it in answers] == [404, 404]


# --- What an answer depends on beside the ledger ----------------------------------------------------------------------


@pytest.mark.wire
@pytest.mark.usefixtures("at")
@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("/reports/spending?period=2026-11", {"currency": "JPY"}),
        ("/reports/spending?period=2026-11", {"month_start_day": 25}),
        ("/reports/spending?period=month-to-date", {"timezone": "Pacific/Kiritimati"}),
        ("/expenses?period=2026-10", {"month_start_day": 25}),
        ("/expenses?period=today", {"timezone": "Pacific/Kiritimati"}),
        ("/budgets/status?on=2026-11-22", {"month_start_day": 25}),
        ("/budgets/status", {"timezone": "Pacific/Kiritimati"}),
    ],
)
async def test_what_another_profile_changes_is_sent(person: Person, path: str, change: dict[str, object]) -> None:
    before = await get(person, path)
    await person.patch("/users/me", json=change)
    after = await get(person, path, before.headers["ETag"])
    assert (after.status_code, after.headers["ETag"] == before.headers["ETag"]) == (200, False)
    assert after.json() != before.json()


async def on_the_last_second(noon: time_machine.Traveller, sign_up: SignUp) -> Person:
    """Let it be the last second of 22 November in Tokyo, and return somebody who lives there."""
    noon.move_to(NOON.replace(hour=14, minute=59, second=59))
    person = await sign_up(timezone="Asia/Tokyo")
    await spend(person, description="Apples")
    await spend(person, description="Pears")
    return person


@pytest.mark.wire
@pytest.mark.parametrize(
    "path",
    [
        "/expenses?period=today",
        "/expenses?period=this-year",
        "/expenses?period=last-30-days&limit=1&with_count=true",
        "/budgets/status",
        "/reports/spending",
        "/reports/spending?period=last-2-months&group_by=month",
        "/reports/spending?from=2026-11-01",
        "/reports/spending?to=2026-11-30&compare=previous",
    ],
)
async def test_what_depends_on_today_is_sent_again_after_the_users_midnight(
    noon: time_machine.Traveller, sign_up: SignUp, path: str
) -> None:
    person = await on_the_last_second(noon, sign_up)
    before = await get(person, path)
    noon.shift(1)
    after = await get(person, path, before.headers["ETag"])
    assert (after.status_code, after.headers["ETag"] == before.headers["ETag"]) == (200, False)


@on_sqlite
@pytest.mark.parametrize("path", ["/expenses?period=today", "/budgets/status", "/reports/spending"])
async def test_what_depends_on_today_holds_over_the_midnight_of_others(
    noon: time_machine.Traveller, sign_up: SignUp, path: str
) -> None:
    person = await on_the_last_second(noon, sign_up)
    noon.move_to(NOON.replace(hour=23, minute=59, second=59))
    await person.sign_in()
    before = await get(person, path)
    noon.shift(1)
    assert (await get(person, path, before.headers["ETag"])).status_code == 304


@pytest.mark.wire
@pytest.mark.parametrize(
    "path",
    [
        "/expenses",
        "/expenses?period=2026-11-22",
        "/expenses?from=2026-11-22",
        "/categories?with_usage=true",
        "/budgets",
        "/budgets/status?on=2026-11-22",
        "/reports/spending?period=2026-11&compare=previous",
        "/reports/spending?from=2026-11-01&to=2026-11-30",
        "/changes?since=1",
    ],
)
async def test_what_does_not_depend_on_today_holds_over_midnight(
    noon: time_machine.Traveller, sign_up: SignUp, path: str
) -> None:
    person = await on_the_last_second(noon, sign_up)
    before = await get(person, path)
    noon.shift(1)
    assert (await get(person, path, before.headers["ETag"])).status_code == 304


@on_sqlite
async def test_the_next_page_of_a_day_holds_when_it_is_yesterday(noon: time_machine.Traveller, sign_up: SignUp) -> None:
    person = await on_the_last_second(noon, sign_up)
    next_page = (await get(person, "/expenses?period=today&limit=1")).links["next"]["url"]
    before = await get(person, next_page)
    noon.shift(1)
    assert (await get(person, next_page, before.headers["ETag"])).status_code == 304
    assert (await get(person, next_page)).json() == before.json()


async def test_the_trash_is_sent_again_when_it_shows_less(noon: time_machine.Traveller, sign_up: SignUp) -> None:
    person = await sign_up(timezone="Asia/Tokyo")
    trashed = await spend(person)
    await person.delete(f"/expenses/{trashed['id']}")
    noon.move_to(datetime(2026, 12, 22, 23, 59, 59, tzinfo=UTC))
    await person.sign_in()
    before = await get(person, "/expenses/trash")
    noon.shift(1)
    after = await get(person, "/expenses/trash", before.headers["ETag"])
    assert [[it["id"] for it in page.json()["items"]] for page in (before, after)] == [[trashed["id"]], []]
