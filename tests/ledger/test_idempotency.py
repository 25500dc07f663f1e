"""Idempotency keys: a repeated request is carried out once and gets the first answer."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from itertools import combinations_with_replacement, cycle
from typing import Any, NamedTuple

import httpx
import pytest
import time_machine
from fastapi import FastAPI
from httpx import ASGITransport
from sqlalchemy import Connection, bindparam, select, text

from api.requests import StrictRequest
from config import Settings
from main import create_app
from models import RememberedAnswer
from tests.support.databases import on_mysql, on_sqlite, try_cases
from tests.support.expenses import read, spend
from tests.support.files import send
from tests.support.ledgers import state_of
from tests.support.people import Person, signed_up
from tests.support.problems import JSON
from tests.support.proxy import Proxy
from tests.support.rows import filling
from tests.support.settings import NOON
from tests.support.statements import Statements

KEY = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
WHOLE = '{"amount": "13.00", "currency": "EUR", "date": "2026-11-22"}'
BROKEN_KEYS: dict[str, list[bytes]] = {
    "empty": [b""],
    "too long": [b"k" * 256],
    "a space": [b"a key"],
    "a space before": [b" key"],
    "a space behind": [b"key "],
    "a tab": [b"a\tkey"],
    "a control character": [b"key\x00"],
    "DEL": [b"key\x7f"],
    "a line feed": [b"key\n"],
    "Latin-1": [b"cl\xe9"],
    "UTF-8": ["🔑".encode()],
    "two lines": [b"one", b"two"],
    "one line twice": [b"one", b"one"],
}

with_broken_keys = pytest.mark.parametrize("lines", BROKEN_KEYS.values(), ids=BROKEN_KEYS)


class Write(NamedTuple):
    """A request that changes something; `{expense}` and the like stand for ids of the ledger that it is sent to."""

    method: str
    path: str
    body: str | None = None
    headers: dict[str, str] | None = None

    async def send(self, person: Person, key: str = "once", ids: Mapping[str, int] | None = None) -> httpx.Response:
        headers = JSON | {KEY: key, "X-Request-ID": "the-same"} | (self.headers or {})
        return await person.request(self.method, self.path.format_map(ids or {}), content=self.body, headers=headers)


A_POST = Write("POST", "/expenses", '{"amount": "12.50"}')

# By the name that the document has for each. The third change of the ledger is the one that deleted something.
WRITES = {
    "create_expense": Write("POST", "/expenses", '{"amount": "12.50", "category": "New"}'),
    "change_expenses_together": Write(
        "POST", "/expenses/batch", '{"operations": [{"op": "create", "data": {"amount": "12.50"}}]}'
    ),
    "change_matching_expenses": Write("PATCH", "/expenses?category=Groceries", '{"description": "Apples"}'),
    "delete_matching_expenses": Write("DELETE", "/expenses?category=Groceries"),
    "replace_expense": Write("PUT", "/expenses/{expense}", WHOLE),
    "change_expense": Write("PATCH", "/expenses/{expense}", '{"amount": "13.00"}'),
    "delete_expense": Write("DELETE", "/expenses/{expense}"),
    "empty_trash": Write("DELETE", "/expenses/trash"),
    "restore_expenses": Write("POST", "/expenses/restore", '{"revision": 3}'),
    "restore_expense": Write("POST", "/expenses/{deleted}/restore"),
    "create_category": Write("POST", "/categories", '{"name": "Travel"}'),
    "change_category": Write("PATCH", "/categories/{category}", '{"name": "Food"}'),
    "delete_category": Write("DELETE", "/categories/{category}?uncategorized=true"),
    "change_tag": Write("PATCH", "/tags/{tag}", '{"name": "with others"}'),
    "delete_tag": Write("DELETE", "/tags/{tag}"),
    "create_budget": Write("POST", "/budgets", '{"amount": "200.00", "period": "month"}'),
    "change_budget": Write("PATCH", "/budgets/{budget}", '{"amount": "250.00"}'),
    "delete_budget": Write("DELETE", "/budgets/{budget}"),
    "undo_import": Write("DELETE", "/imports/{import}"),
    "keep_import_profile": Write("PUT", "/imports/profiles/bank", '{"decimal": ","}'),
    "delete_import_profile": Write("DELETE", "/imports/profiles/checking"),
}


async def fill(person: Person) -> dict[str, int]:
    """Give somebody a row of every kind, and return their ids."""
    async with filling(person) as rows:
        ids = {
            "expense": await rows.spend(1, category="Groceries", tags=["shared"]),
            "deleted": await rows.spend(2),
            "other": await rows.spend(4, category="Rent"),
            "budget": await rows.budget(5, 200_000, "month", "Groceries"),
            "category": await rows.categorize(1, "Groceries"),
            "tag": rows.tags["shared"],
            "import": await rows.take_in(5, "checking"),
        }
        await rows.discard(3, ids["deleted"])
    return ids


async def remembered(app: FastAPI, person: Person) -> list[str]:
    """Return the keys of somebody's answers that are stored."""
    mine = select(RememberedAnswer.key).where(RememberedAnswer.owner_id == bindparam("owner"))
    async with app.state.services.database.new_unit() as unit:
        found = await (await unit.connection()).execute(mine, {"owner": person.user["id"]})
        return sorted(found.scalars())


async def all_of(person: Person) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await person.get("/expenses")).json()["items"]
    return items


def reused(answer: httpx.Response) -> bool:
    """Whether an answer says that its key was sent with another request before, and which header that is about."""
    problem = answer.json()
    said = (answer.status_code, problem.get("code"), [it.get("header") for it in problem.get("errors", ())])
    return said == (422, "idempotency_key_reused", [KEY])


# --- the same again ---------------------------------------------------------------------------------------------------


async def test_every_write_of_the_document_is_tried_here(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]
    operations = [(path, method, it) for path, item in paths.items() for method, it in item.items() if method != "get"]
    written = {it["operationId"]: method.upper() for path, method, it in operations if not path.startswith("/users")}
    # A file is no JSON; tests/routers/test_import_files.py sends it again.
    del written["import_file"]
    assert written == {name: write.method for name, write in WRITES.items()}


# MySQL keeps a long answer, one without a body, a new row, and a change of several rows.
STORED_ON_BOTH = ("change_expenses_together", "delete_expense", "create_expense", "change_category")


@try_cases(
    "operation",
    on_both=[(it,) for it in STORED_ON_BOTH],
    on_sqlite=[(it,) for it in WRITES if it not in STORED_ON_BOTH],
)
async def test_a_write_sent_again_is_answered_as_the_first_time_and_does_nothing(
    app: FastAPI, person: Person, operation: str
) -> None:
    write, ids = WRITES[operation], await fill(person)
    before = await state_of(app, person)
    first = await write.send(person, ids=ids)
    done = await state_of(app, person)
    again = await write.send(person, ids=ids)
    assert (first.is_success, done[0], REPLAYED in first.headers) == (True, before[0] + 1, False)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert dict(again.headers) == dict(first.headers) | {REPLAYED.lower(): "true"}
    assert await state_of(app, person) == done


async def test_neither_a_slash_at_the_end_nor_a_new_session_makes_another_request(person: Person) -> None:
    first = await A_POST.send(person)
    await person.sign_in()
    again = await A_POST._replace(path="/expenses/").send(person)
    assert (again.headers[REPLAYED], again.content) == ("true", first.content)


async def test_a_long_answer_comes_again_to_the_last_letter(person: Person) -> None:
    data = '{"op": "create", "data": {"amount": "1.00", "description": "' + "🍎" * 500 + '"}}'
    write = Write("POST", "/expenses/batch", f'{{"operations": [{", ".join([data] * 33)}]}}')
    first, again = await write.send(person), await write.send(person)
    assert (first.status_code, len(first.content) > 65_535) == (200, True)
    assert (again.content, again.headers[REPLAYED]) == (first.content, "true")


# --- another request --------------------------------------------------------------------------------------------------

OTHERS = {
    "method": (Write("PATCH", "/expenses/{expense}", WHOLE), Write("PUT", "/expenses/{expense}", WHOLE)),
    "path": (Write("DELETE", "/expenses/{expense}"), Write("DELETE", "/expenses/{other}")),
    "query": (Write("DELETE", "/expenses?category=Groceries"), Write("DELETE", "/expenses?category=Rent")),
    "less of a query": (Write("DELETE", "/expenses?q=a&category=Rent"), Write("DELETE", "/expenses?category=Rent")),
    "body": (A_POST, Write("POST", "/expenses", '{"amount": "12.51"}')),
    "space in the body": (A_POST, Write("POST", "/expenses", '{"amount":"12.50"}')),
    "space behind the body": (A_POST, Write("POST", "/expenses", '{"amount": "12.50"}\n')),
}


# Python computes the fingerprint and compares it with the one that is stored; replays are tried on both databases.
@on_sqlite
@pytest.mark.parametrize(("first", "other"), OTHERS.values(), ids=OTHERS)
async def test_a_key_is_good_for_one_request(app: FastAPI, person: Person, first: Write, other: Write) -> None:
    ids = await fill(person)
    answer = await first.send(person, ids=ids)
    before = await state_of(app, person)
    assert reused(await other.send(person, ids=ids))
    assert await state_of(app, person) == before
    assert (await first.send(person, ids=ids)).content == answer.content
    assert REPLAYED not in (await other.send(person, "another", ids)).headers


async def test_a_request_that_would_be_refused_is_told_first_that_its_key_was_used(person: Person) -> None:
    await A_POST.send(person)
    assert reused(await Write("POST", "/expenses?tpyo=1", '{"amuont": 0}').send(person))


@pytest.mark.parametrize(
    ("one", "another"),
    [("key", "KEY"), ("k" * 254 + "1", "k" * 254 + "2"), ("1", "01"), ("k", "k" * 2), ("%41", "A"), ("'", "''")],
)
async def test_keys_that_nearly_agree_do_not_meet(app: FastAPI, person: Person, one: str, another: str) -> None:
    answers = [await A_POST.send(person, key) for key in (one, another)]
    assert [REPLAYED in answer.headers for answer in answers] == [False, False]
    assert await remembered(app, person) == sorted([one, another])


def fingerprint(method: str, path: str, query: str, body: str) -> str:
    request = StrictRequest(
        {"type": "http", "method": method, "path": path, "query_string": query.encode(), "headers": []}
    )
    request._body = body.encode()
    return request.compute_fingerprint()


def test_where_one_part_of_a_request_ends_and_the_next_begins_makes_a_difference() -> None:
    whole = "POST\n1:1:11:/?\n\0\n"
    ends = [*combinations_with_replacement(range(len(whole) + 1), 3)]
    split = [(whole[:one], whole[one:two], whole[two:three], whole[three:]) for one, two, three in ends]
    assert len({fingerprint(*parts) for parts in split}) == len(split)


# --- what failed ------------------------------------------------------------------------------------------------------

MENDED = {
    "400": (Write("POST", "/expenses", '{"amount": "12.50"'), A_POST),
    "404": (Write("PATCH", "/expenses/987654321", WHOLE), Write("PATCH", "/expenses/{expense}", WHOLE)),
    "409": (Write("POST", "/categories", '{"name": "RENT"}'), Write("POST", "/categories", '{"name": "Travel"}')),
    "409 in use": (Write("DELETE", "/categories/{category}"), WRITES["delete_category"]),
    "412": (WRITES["delete_expense"]._replace(headers={"If-Match": '"987654321"'}), WRITES["delete_expense"]),
    "415": (A_POST._replace(headers={"Content-Type": "text/plain"}), A_POST),
    "422": (Write("POST", "/expenses", '{"amount": "0"}'), A_POST),
    "422 without a filter": (Write("DELETE", "/expenses"), WRITES["delete_matching_expenses"]),
}


@try_cases(
    "status",
    on_both=[("409",), ("412",)],
    on_sqlite=[(it,) for it in MENDED if it not in ("409", "412")],
)
async def test_what_was_refused_may_be_mended_under_its_key(app: FastAPI, person: Person, status: str) -> None:
    refused, mended = MENDED[status]
    ids = await fill(person)
    refusal = await refused.send(person, ids=ids)
    kept = await remembered(app, person)
    answer = await mended.send(person, ids=ids)
    assert (refusal.status_code, kept) == (int(status[:3]), [])
    assert (answer.is_success, REPLAYED in answer.headers) == (True, False)


@contextmanager
def taking_no_answers(outside: Connection) -> Iterator[None]:
    """Let the database refuse whatever would be remembered."""
    refusal = {
        "sqlite": "BEGIN SELECT RAISE(ABORT, 'not now'); END",
        "mysql": "FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not now'",
    }[outside.dialect.name]
    outside.exec_driver_sql(f"CREATE TRIGGER not_now BEFORE INSERT ON remembered_answers {refusal}")
    outside.commit()
    try:
        yield
    finally:
        outside.exec_driver_sql("DROP TRIGGER not_now")
        outside.commit()


async def test_what_cannot_be_remembered_does_not_happen(app: FastAPI, person: Person, outside: Connection) -> None:
    write = WRITES["create_expense"]
    with taking_no_answers(outside):
        failed = await write.send(person)
    lists = [(await person.get(path)).json()["items"] for path in ("/expenses", "/categories")]
    assert (failed.status_code, failed.json()["code"], lists) == (500, "internal_error", [[], []])
    assert await state_of(app, person) == (0, 0)
    assert [(await write.send(person)).headers.get(REPLAYED) for _ in range(2)] == [None, "true"]


# --- whose key --------------------------------------------------------------------------------------------------------


async def test_the_keys_of_two_users_do_not_meet(person: Person, stranger: Person) -> None:
    mine, theirs = await A_POST.send(person), await A_POST.send(stranger)
    assert [REPLAYED in answer.headers for answer in (mine, theirs)] == [False, False]
    assert [await all_of(person), await all_of(stranger)] == [[mine.json()], [theirs.json()]]


@pytest.mark.wire
@pytest.mark.parametrize("authorization", ["", "Bearer x"])
@pytest.mark.parametrize("key", ["once", "not a key"])
async def test_who_has_not_signed_in_is_told_that_and_no_more(person: Person, authorization: str, key: str) -> None:
    await A_POST.send(person)
    answer = await A_POST._replace(headers={"Authorization": authorization}).send(person, key)
    assert (answer.status_code, REPLAYED in answer.headers) == (401, False)


# --- whatever has become of the row -----------------------------------------------------------------------------------


async def test_a_change_of_a_row_that_has_moved_on_is_answered_and_not_done_again(person: Person) -> None:
    expense = await spend(person)
    write = Write("PATCH", f"/expenses/{expense['id']}", '{"amount": "13.00"}', {"If-Match": '"1"'})
    first = await write.send(person)
    await person.patch(f"/expenses/{expense['id']}", json={"amount": "14.00"})
    again = await write.send(person)
    assert (again.status_code, again.headers["ETag"], again.content) == (200, '"2"', first.content)
    assert (await read(person, expense))["amount"] == "14.00"


async def test_what_would_be_refused_by_now_is_answered_as_it_was(person: Person) -> None:
    first = await A_POST.send(person)
    await person.patch("/users/me", json={"currency": "JPY"})
    again = await A_POST.send(person)
    assert (await A_POST.send(person, "another")).status_code == 422
    assert (again.status_code, again.content) == (201, first.content)


# --- what a key is ----------------------------------------------------------------------------------------------------


@pytest.mark.wire
@with_broken_keys
async def test_a_broken_key_is_refused_and_nothing_happens(app: FastAPI, person: Person, lines: list[bytes]) -> None:
    answer = await person.post("/expenses", json={"amount": "1"}, headers=[(KEY.encode(), line) for line in lines])
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert [(it["header"], it["code"]) for it in answer.json()["errors"]] == [(KEY, "malformed")]
    assert await state_of(app, person) == (0, 0)


@pytest.mark.parametrize(
    "key",
    ["k", "k" * 255, "8e03978e-40d5-43e8-bc93-6894a57f9324", "".join(map(chr, range(0x21, 0x7F)))],
    ids=["shortest", "longest", "UUID", "every character"],
)
async def test_a_key_is_any_visible_ascii(app: FastAPI, person: Person, key: str) -> None:
    answers = [await A_POST.send(person, key) for _ in range(2)]
    assert [answer.headers.get(REPLAYED) for answer in answers] == [None, "true"]
    assert await remembered(app, person) == [key]


@pytest.mark.wire
@with_broken_keys
async def test_a_read_does_not_look_at_the_key(somebody: Person, lines: list[bytes]) -> None:
    answer = await somebody.get("/expenses", headers=[(KEY.encode(), line) for line in lines])
    assert (answer.status_code, REPLAYED in answer.headers) == (200, False)


async def test_a_read_is_answered_anew_whatever_its_key_was_used_for(person: Person) -> None:
    reading = Write("GET", "/expenses")
    empty = (await reading.send(person)).json()["items"]
    made = await A_POST.send(person)
    assert (empty, (await reading.send(person)).json()["items"]) == ([], [made.json()])


@pytest.mark.parametrize("key", ["once", "not a key"])
async def test_an_account_does_not_look_at_the_key(person: Person, key: str) -> None:
    writes = [Write("PATCH", "/users/me", f'{{"month_start_day": {day}}}') for day in (5, 6)]
    answers = [await write.send(person, key) for write in writes]
    assert [it.json()["month_start_day"] for it in answers] == [5, 6]
    assert [it for it in answers if REPLAYED in it.headers] == []


async def test_nothing_that_an_account_answers_is_ever_stored(person: Person, outside: Connection) -> None:
    everybodys = text("SELECT COUNT(*) FROM remembered_answers")
    before = outside.scalar(everybodys)
    outside.rollback()
    person.headers[KEY] = "once"
    words = {"current_password": person.password, "new_password": "another walk along the sea"}
    await person.patch("/users/me", json={"currency": "JPY"})
    changed = await person.put("/users/me/password", json=words)
    person.password = words["new_password"]
    await person.sign_in()
    left = await person.request("DELETE", "/users/me", json={"current_password": person.password})
    await person.register()
    await person.sign_in()
    assert (changed.status_code, left.status_code, outside.scalar(everybodys)) == (204, 204, before)


# --- how long ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "status"), [(-1, 422), (0, 422), (1, 201)])
async def test_a_key_is_kept_for_a_day_and_free_after_it(
    noon: time_machine.Traveller, person: Person, seconds: int, status: int
) -> None:
    await A_POST.send(person)
    noon.move_to(NOON + timedelta(days=1, seconds=seconds))
    person.bear(await person.open_session())
    assert (await WRITES["create_category"].send(person)).status_code == status


async def test_the_first_write_of_a_day_sweeps_what_has_expired(
    noon: time_machine.Traveller, app: FastAPI, person: Person
) -> None:
    await A_POST.send(person, "first")
    noon.move_to(NOON + timedelta(minutes=10))
    await A_POST.send(person, "second")
    noon.move_to(NOON + timedelta(days=1, minutes=5))
    person.bear(await person.open_session())
    await person.get("/expenses")
    kept = await remembered(app, person)
    await spend(person)
    assert (kept, await remembered(app, person)) == (["first", "second"], ["second"])


# --- at once ----------------------------------------------------------------------------------------------------------


@pytest.fixture
async def elsewhere(settings: Settings, person: Person) -> AsyncIterator[Person]:
    """The same user at another app on the same database."""
    app = create_app(settings)
    async with (
        app.router.lifespan_context(app),
        Person(transport=ASGITransport(app), base_url="http://testserver", headers=person.headers) as same,
    ):
        yield same


@pytest.mark.parametrize("write", [A_POST, WRITES["delete_expense"]], ids=["POST", "DELETE"])
async def test_twenty_at_once_have_one_effect_and_one_answer(app: FastAPI, person: Person, write: Write) -> None:
    ids = await fill(person)
    revision, _ = await state_of(app, person)
    answers = await asyncio.gather(*(write.send(person, ids=ids) for _ in range(20)))
    assert len({(it.status_code, it.content, it.headers.get("ETag")) for it in answers}) == 1
    assert sorted(it.headers.get(REPLAYED, "") for it in answers) == ["", *["true"] * 19]
    assert (answers[0].is_success, (await state_of(app, person))[0]) == (True, revision + 1)


async def test_twenty_at_once_over_two_apps_have_one_effect_and_one_answer(person: Person, elsewhere: Person) -> None:
    both = cycle([person, elsewhere])
    answers = await asyncio.gather(*(A_POST.send(next(both)) for _ in range(20)))
    assert {(it.status_code, it.content) for it in answers} == {(201, answers[0].content)}
    assert sorted(it.headers.get(REPLAYED, "") for it in answers) == ["", *["true"] * 19]
    assert await all_of(person) == [answers[0].json()]


# --- when the answer is lost ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
async def proxy(settings: Settings) -> AsyncIterator[Proxy]:
    """What stands before the database and can cut a connection to it."""
    async with Proxy(settings.url) as proxy:
        yield proxy


@pytest.fixture(scope="module")
async def far_app(settings: Settings, proxy: Proxy) -> AsyncIterator[FastAPI]:
    """An app that has its database behind the proxy."""
    app = create_app(settings.model_copy(update={"database_url": proxy.url}))
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def far(far_app: FastAPI) -> AsyncIterator[Person]:
    """Somebody at that app."""
    async with signed_up(far_app) as person:
        yield person


@on_mysql
@pytest.mark.parametrize(("arrives", "replayed"), [(True, "true"), (False, None)])
async def test_what_nobody_knows_to_have_happened_has_once_when_asked_again(
    far: Person, proxy: Proxy, arrives: bool, replayed: str | None
) -> None:
    proxy.cut_at("COMMIT", arrives=arrives)
    unknown, again = await A_POST.send(far), await A_POST.send(far)
    assert (unknown.status_code, unknown.json()["code"]) == (503, "outcome_unknown")
    assert "repeat the request with the same Idempotency-Key" in unknown.json()["detail"]
    assert int(unknown.headers["Retry-After"]) > 0
    assert (again.status_code, again.headers.get(REPLAYED)) == (201, replayed)
    assert await all_of(far) == [again.json()]


@on_mysql
@pytest.mark.parametrize("arrives", [True, False])
async def test_an_import_that_nobody_knows_to_have_happened_has_once_when_it_is_sent_again(
    far: Person, proxy: Proxy, arrives: bool
) -> None:
    statement = b"Date,Text,Amount,Currency\n2026-11-02,Coffee,-3.50,EUR\n2026-11-02,Coffee,-3.50,EUR\n"
    # So that its connections are open, one to read and one to write: opening them commits, too.
    assert (await A_POST.send(far)).is_success
    before = len(await all_of(far))
    proxy.cut_at("COMMIT", arrives=arrives)
    unknown, again, third = [await send(far, statement, {"Idempotency-Key": "november"}) for _ in range(3)]
    assert (unknown.status_code, unknown.json()["code"]) == (503, "outcome_unknown")
    assert (again.status_code, again.json()["counts"]["new"]) == (201, 2)
    assert (third.json()["id"], len(await all_of(far))) == (again.json()["id"], before + 2)
    assert sum(row["import_id"] == again.json()["id"] for row in await all_of(far)) == 2


@on_mysql
async def test_a_deletion_whose_answer_was_lost_is_no_404_when_asked_again(far: Person, proxy: Proxy) -> None:
    ids = await fill(far)
    proxy.cut_at("COMMIT", arrives=True)
    answers = [await WRITES["delete_expense"].send(far, ids=ids) for _ in range(2)]
    assert [it.status_code for it in answers] == [503, 204]


@on_mysql
@pytest.mark.parametrize("arrives", [False, True])
@pytest.mark.parametrize(
    "statement",
    ["SELECT ledgers", "SELECT remembered_answers", "INSERT INTO expenses", "INSERT INTO remembered_answers"],
)
async def test_a_connection_lost_before_the_commit_costs_nothing(
    far: Person, proxy: Proxy, statement: str, arrives: bool
) -> None:
    proxy.cut_at(statement, arrives=arrives)
    answer = await A_POST.send(far)
    assert (answer.status_code, answer.headers.get(REPLAYED), proxy.has_cut) == (201, None, True)
    assert (await A_POST.send(far)).headers[REPLAYED] == "true"
    assert await all_of(far) == [answer.json()]


@pytest.mark.parametrize("seconds", [0, 0.001, 0.003, 0.006, 0.01])
async def test_a_client_that_hung_up_and_asks_again_has_it_once(person: Person, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(A_POST.send(person), seconds)
    again = await A_POST.send(person)
    assert (again.status_code, await all_of(person)) == (201, [again.json()])


# --- what it costs ----------------------------------------------------------------------------------------------------


async def test_a_key_costs_two_statements_and_a_replay_asks_for_three(person: Person, statements: Statements) -> None:
    with statements() as plain:
        await person.post("/expenses", json={"amount": "12.50"})
    with statements() as first:
        await A_POST.send(person)
    with statements() as again:
        await A_POST.send(person)
    assert [len(sent) for sent in (plain, first, again)] == [5, 7, 3]
    assert [sent.count("COMMIT") for sent in (plain, first, again)] == [1, 1, 0]
