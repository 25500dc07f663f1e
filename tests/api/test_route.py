"""The route class: hostile headers and ids, other users' rows, lost races, and no sent value in an answer."""

import gc
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI

from api.body_sizes import MAX_BODY_BYTES
from api.requests import StrictRequest
from api.route import LedgerRoute
from infra.engines import HASH_DEADLINE, LONG_DEADLINE, READ_DEADLINE, WRITE_DEADLINE
from ledger.sync.schemas import InvalidOperation
from routers import budgets, categories, changes, expenses, reports, sessions, system, tokens, trash, users
from tests.support.expenses import spend
from tests.support.people import Person, signed_up
from tests.support.problems import JSON
from values.shapes import RequestModel


@pytest.fixture(scope="module")
async def theirs(app: FastAPI) -> AsyncIterator[Person]:
    """Another user, with one expense under one category."""
    async with signed_up(app) as stranger:
        await spend(stranger, category="Theirs")
        yield stranger


@pytest.fixture(scope="module")
async def their_rows(theirs: Person) -> dict[str, str]:
    """Where the other user's first row of each kind is."""
    return {
        path: f"{path}/{(await theirs.get(path)).json()['items'][0]['id']}" for path in ("/expenses", "/categories")
    }


# Ids in paths, and other people's rows


@pytest.mark.wire
@pytest.mark.parametrize(
    "row_id",
    [
        "0",
        "01",
        "-1",
        "+1",
        "%2B1",
        "1_0",
        "1.0",
        "1e3",
        "0x1",
        "abc",
        "null",
        "%00",
        "1%00",
        "1%0a",
        "%201",
        "1%20",
        "1,2",
        "1;2",
        "1'--",
        "%d9%a3",
        "%ef%bc%91",
        "1%d9%a3",
        "%ff",
        "%ed%a0%80",
    ],
)
@pytest.mark.parametrize("path", ["/expenses", "/categories"])
async def test_what_is_no_id_is_not_found(somebody: Person, path: str, row_id: str) -> None:
    answer = await somebody.get(f"{path}/{row_id}")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "row_id",
    [
        "999999999999",
        "9223372036854775807",
        "9223372036854775808",
        "99999999999999999999",
        pytest.param("1" * 5_000, id="5,000 digits"),
    ],
)
@pytest.mark.parametrize("path", ["/expenses", "/categories"])
async def test_an_id_that_names_nothing_is_not_found(somebody: Person, path: str, row_id: str) -> None:
    answer = await somebody.get(f"{path}/{row_id}")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


STRANGERS_ROWS = pytest.mark.parametrize(
    ("method", "path", "sent"),
    [
        ("GET", "/expenses", {}),
        ("HEAD", "/expenses", {}),
        ("PUT", "/expenses", {"json": {"amount": "1", "currency": "EUR", "date": "2026-11-22"}}),
        ("PATCH", "/expenses", {"json": {"amount": "1"}}),
        ("PATCH", "/expenses", {"json": {"revision": 1}}),
        ("PATCH", "/expenses", {"json": {"external_id": "bank-1"}}),
        ("PATCH", "/expenses", {"json": {}}),
        ("DELETE", "/expenses", {}),
        ("GET", "/categories", {}),
        ("HEAD", "/categories", {}),
        ("PATCH", "/categories", {"json": {"name": "Mine"}}),
        ("PATCH", "/categories", {"json": {"name": "Theirs"}}),
        ("PATCH", "/categories", {"json": {}}),
        ("DELETE", "/categories", {}),
        ("DELETE", "/categories", {"params": {"uncategorized": "true"}}),
        ("DELETE", "/categories", {"params": {"move_to": "Theirs"}}),
    ],
)


async def asked(person: Person, method: str, path: str, sent: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
    """Return everything about an answer, which the same X-Request-ID makes comparable."""
    answer = await person.request(method, path, headers={"X-Request-ID": "the-same"}, **sent)
    return answer.status_code, dict(answer.headers), answer.content


@STRANGERS_ROWS
@pytest.mark.parametrize("nowhere", ["987654321", "abc"])
async def test_a_strangers_row_is_answered_as_one_that_is_not_there(
    somebody: Person, their_rows: dict[str, str], method: str, path: str, sent: dict[str, Any], nowhere: str
) -> None:
    strangers = await asked(somebody, method, their_rows[path], sent)

    assert strangers[0] == 404
    assert strangers == await asked(somebody, method, f"{path}/{nowhere}", sent)


@STRANGERS_ROWS
async def test_a_strangers_row_stays_as_it_is(
    somebody: Person, theirs: Person, their_rows: dict[str, str], method: str, path: str, sent: dict[str, Any]
) -> None:
    before = (await theirs.get(their_rows[path])).json()

    await asked(somebody, method, their_rows[path], sent)

    assert (await theirs.get(their_rows[path])).json() == before


# What is refused is not repeated

SECRET = "Tr0ub4dor-and-3"


@pytest.mark.wire
@pytest.mark.parametrize(
    ("method", "path", "sent"),
    [
        ("POST", "/users/register", {"json": {"username": SECRET * 9, "email": SECRET, "password": SECRET[:7]}}),
        ("POST", "/users/register", {"json": {"username": "x", "email": "x", "password": [SECRET]}}),
        ("POST", "/users/register", {"json": {"password": {SECRET: SECRET}}}),
        ("POST", "/users/register", {"json": [SECRET]}),
        ("POST", "/users/register", {"json": SECRET}),
        ("POST", "/users/register", {"json": {"timezone": SECRET, "currency": SECRET, "month_start_day": SECRET}}),
        ("POST", "/users/register", {"content": f'{{"password": "{SECRET}"'.encode(), "headers": JSON}),
        ("POST", "/users/register", {"content": f'{{"password": "{SECRET}"}}'.encode()}),
        ("POST", "/users/token", {"data": {"username": SECRET, "password": SECRET}}),
        ("POST", "/users/token", {"data": {"username": "ada", "password": SECRET * 99}}),
        ("POST", "/users/token", {"json": {"username": "ada", "password": SECRET}}),
        ("PATCH", "/users/me", {"json": {"email": "new@example.com", "current_password": SECRET}}),
        ("PUT", "/users/me/password", {"json": {"current_password": SECRET, "new_password": f"new {SECRET}"}}),
        ("DELETE", "/users/me", {"json": {"current_password": SECRET}}),
        ("POST", "/expenses", {"json": {"amount": SECRET, "currency": SECRET, "date": SECRET}}),
        ("POST", "/expenses", {"json": {"amount": "1", "category": SECRET * 9, "external_id": SECRET * 9}}),
        ("POST", "/expenses", {"json": {"amount": "1", "description": f"\x00{SECRET}"}}),
        ("POST", "/categories", {"json": {"name": "Food", "color": SECRET}}),
        ("GET", "/expenses", {"params": {"from": SECRET, "period": SECRET, "currency": SECRET, "sort": SECRET}}),
        ("GET", "/expenses", {"params": {"min_amount": SECRET, "limit": SECRET, "with_count": SECRET}}),
        ("GET", "/expenses", {"params": {"cursor": SECRET, "q": f"\x00{SECRET}"}}),
        ("GET", f"/expenses/{SECRET}", {}),
        ("GET", f"/{SECRET}", {}),
        ("GET", "/expenses", {"headers": {"Authorization": f"Bearer {SECRET}"}}),
        ("GET", "/expenses", {"headers": {"Authorization": f"Basic {SECRET}"}}),
    ],
)
async def test_a_refusal_does_not_repeat_what_was_sent(
    somebody: Person, method: str, path: str, sent: dict[str, Any]
) -> None:
    answer = await somebody.request(method, path, **sent)

    assert (answer.status_code >= 400, SECRET in answer.text + str(answer.headers)) == (True, False)


# Whatever is sent

HOSTILE_BODIES = [
    b'{"amount": 1e400}',
    b'{"amount": -1e400}',
    b'{"amount": 1e-400}',
    pytest.param(b'{"amount": ' + b"9" * 60_000 + b"}", id="60,000 digits"),
    pytest.param(b'{"amount": 0.' + b"1" * 60_000 + b"}", id="60,000 decimals"),
    pytest.param(b'{"amount": "' + b"9" * 60_000 + b'"}', id="60,000 digits in a string"),
    b'{"amount": "\\ud800"}',
    b'{"amount": "1", "currency": "\\ud800"}',
    b'{"amount": "1", "currency": "\\u0130NR"}',
    b'{"amount": "1", "date": "\\udfff"}',
    b'{"amount": "1", "date": "0000-00-00"}',
    b'{"amount": "1", "description": "\\ud800"}',
    b'{"amount": "1", "category": "\\ud83c"}',
    b'{"amount": "1", "external_id": "\\u0000"}',
    b'{"\\ud800": 1}',
    b'{"\\u0000": 1}',
    b'{"__proto__": {"amount": 1}}',
    b'{"amount": {"$gt": 0}}',
    b'{"amount": [[[[]]]]}',
    b'{"amount": "1", "category": {"name": "Food"}}',
    b'{"amount": "1", "id": 9223372036854775808}',
    pytest.param(b"{" + b",".join(b'"field%d": 1' % number for number in range(100)) + b"}", id="100 unknown fields"),
    pytest.param(b'{"amount": "1", "description": "' + b"\\u0390" * 10_000 + b'"}', id="a text that grows"),
    pytest.param(b'{"amount": "1", "category": "' + b"\\ufdfa" * 50 + b'"}', id="a name that grows"),
]


@pytest.mark.parametrize("body", HOSTILE_BODIES)
async def test_a_hostile_body_is_refused_and_a_normal_one_is_taken_after_it(somebody: Person, body: bytes) -> None:
    hostile = await somebody.post("/expenses", content=body, headers=JSON)
    normal = await somebody.post("/expenses", json={"amount": "12.50"})

    assert (hostile.status_code, normal.status_code) == (422, 201)


@pytest.mark.wire
@pytest.mark.parametrize(
    "query",
    [
        "q=%00",
        "q=%ff",
        "q=%ed%a0%80",
        "q=%25_%27%22%5c%60",
        "q=" + "a+" * 250,
        "q=" + "%F0%9F%8D%8E" * 501,
        "category=%00",
        "category=" + "%EF%B7%BA" * 50,
        "&".join(f"category=name+{number}" for number in range(3_000)),
        "external_id=%00",
        "external_id=" + "x" * 60_000,
        "currency=%C4%B0NR",
        "min_amount=-999999999999.999&max_amount=999999999999.999",
        "min_amount=" + "9" * 60_000,
        "max_amount=1e400",
        "from=0000-01-01",
        "to=9999-12-31",
        "period=0000",
        "period=9999-W99",
        "period=last-99999999999999999999-days",
        "period=last-0-months",
        "period=%00",
        "cursor=",
        "cursor=%00",
        "cursor=" + "A" * 60_000,
        "cursor=bnVsbA",
        "sort=amount;drop",
        "%00=1",
        "%ff=%ff",
        "%",
        "%zz=%zz",
        "=",
        "&&&",
        "limit=%2500",
        "&".join(f"x{number}=1" for number in range(5_000)),
    ],
    ids=lambda it: it[:30],
)
async def test_a_hostile_query_is_no_error_of_ours(somebody: Person, query: str) -> None:
    hostile = await somebody.get(f"/expenses?{query}")
    normal = await somebody.get("/expenses")

    assert (hostile.status_code in {200, 422}, normal.status_code) == (True, 200)


@pytest.mark.wire
@pytest.mark.parametrize(
    "path",
    [
        "//expenses",
        "/expenses//",
        "/expenses//1",
        "/expenses/1/2",
        "/expenses/%2F",
        "/expenses/...",
        "/expenses/%2e%2e/users/me",
        "/EXPENSES",
        "/expenses%00",
        "/%00",
        "/%ff",
        "/%ed%a0%80",
        "/expenses;x=1",
        "/assets",
        "/assets/",
        "/assets/%00",
        "/assets/%ff",
        "/assets/../main.py",
        "/assets/%2e%2e/main.py",
        "/assets/..%2f..%2fmain.py",
        "/assets//etc/passwd",
        "/assets/swagger-ui.css/x",
        "/assets/" + "a" * 5_000,
        "/" + "a" * 60_000,
        "/" + "a/" * 20_000,
    ],
    ids=lambda it: it[:30],
)
async def test_a_hostile_path_leads_nowhere(somebody: Person, path: str) -> None:
    hostile = await somebody.get(httpx.URL("http://testserver").copy_with(raw_path=path.encode()))

    assert hostile.status_code == 404


@pytest.mark.parametrize("path", ["/expenses/trash%0A", "/expenses%0A", "/users/me%0A", "/budgets/status%0A"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_a_path_with_a_line_break_at_its_end_is_another(somebody: Person, method: str, path: str) -> None:
    assert (await somebody.request(method, path)).status_code == 404


@pytest.mark.wire
@pytest.mark.parametrize(
    "header",
    [
        {"Authorization": b""},
        {"Authorization": b"Bearer"},
        {"Authorization": b"Bearer "},
        {"Authorization": b"Bearer \xff\xfe"},
        {"Authorization": b"Bearer \x00"},
        {"Authorization": b"Bearer a.b.c"},
        {"Authorization": b"Bearer e30.e30.e30"},
        {"Authorization": b"Bearer W10.W10.W10"},
        {"Authorization": b"Bearer bnVsbA.bnVsbA.bnVsbA"},
        {"Authorization": b"Bearer " + b"[" * 1_500},
        {"Authorization": b"Bearer " + b"x" * 100_000},
        {"Authorization": b"Basic Og=="},
        {"Authorization": b"\xf0\x9f\x8d\x8e"},
    ],
    ids=str,
)
async def test_a_hostile_token_signs_nobody_in(client: httpx.AsyncClient, header: dict[str, bytes]) -> None:
    hostile = await client.get("/expenses", headers=header)  # type: ignore[arg-type]

    assert hostile.status_code == 401


@pytest.mark.wire
@pytest.mark.parametrize(
    "header",
    [
        {"Content-Type": b"\xff"},
        {"Content-Type": b"application/json; charset=\x00"},
        {"Content-Type": b";;;;"},
        pytest.param({"Content-Type": b"application/json;" + b"a" * 60_000}, id="long Content-Type"),
        {"Accept": b"\xff\x00"},
        {"Host": b"\xff"},
        {"Origin": b"\xff\xfe"},
        {"X-Request-ID": b"\xff\x00\r\n"},
        pytest.param({"Cookie": b"\xff" * 4_000}, id="long Cookie"),
        {"X-Forwarded-For": b"'; DROP TABLE users; --"},
        {"If-None-Match": b'"\xff'},
        {"Idempotency-Key": b"\x00"},
    ],
    ids=str,
)
async def test_a_hostile_header_is_no_error_of_ours(somebody: Person, header: dict[str, bytes]) -> None:
    hostile = await somebody.post("/expenses", content=b'{"amount": "12.50"}', headers=JSON | header)  # type: ignore[arg-type]

    assert hostile.status_code in {201, 403, 415, 422}


@pytest.mark.parametrize(
    ("username", "letter"), [("sharp-s", "ß"), ("ligature", "\ufdfa"), ("iota", "\u0390"), ("ffi", "\ufb03")]
)
async def test_an_address_that_grows_when_it_is_folded_is_no_error_of_ours(
    client: httpx.AsyncClient, username: str, letter: str
) -> None:
    fields = {"username": username, "email": f"{letter * 60}@example.com", "password": "a walk along the sea"}

    assert (await client.post("/users/register", json=fields)).status_code in {201, 409, 422}


# Time and room


def routes() -> list[LedgerRoute]:
    """Return every route that runs a unit of work."""
    modules = (sessions, tokens, users, categories, expenses, trash, reports, budgets, changes, system)
    routers = [it for module in modules for it in vars(module).values() if isinstance(it, APIRouter)]
    return [route for router in routers for route in router.routes if isinstance(route, LedgerRoute)]


def test_what_hashes_a_password_has_twenty_seconds() -> None:
    assert {route.name for route in routes() if route.deadline == HASH_DEADLINE} == {
        *("register", "sign_in", "change_me", "change_password"),
    }


def test_what_may_touch_every_row_of_a_ledger_has_a_minute() -> None:
    assert {route.name for route in routes() if route.deadline == LONG_DEADLINE} == {
        *("delete_me", "change_category", "delete_category"),
        *("change_expenses_together", "change_matching_expenses", "delete_matching_expenses"),
        *("empty_trash", "restore_expenses"),
    }


def test_a_read_has_five_seconds_and_any_other_write_ten() -> None:
    others = [route for route in routes() if route.deadline not in {HASH_DEADLINE, LONG_DEADLINE}]

    assert {(route.is_read, route.deadline) for route in others} == {(True, READ_DEADLINE), (False, WRITE_DEADLINE)}


def test_a_batch_alone_has_room_for_a_mebibyte() -> None:
    assert [route.name for route in routes() if route.max_body_bytes > MAX_BODY_BYTES] == ["change_expenses_together"]


# What a request leaves


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/expenses", {"amount": "1"}, 201),
        ("/expenses", {"amount": "x"}, 422),
        ("/expenses/batch", {"operations": [{"op": "create", "data": {"amount": "1"}}]}, 200),
        ("/expenses/batch", {"operations": [{"op": "create", "data": {"tpyo": 1}}]}, 422),
        ("/expenses/batch", {"operations": [{"op": "delete", "id": 10**12}]}, 404),
    ],
)
async def test_a_request_is_freed_without_a_search_for_garbage(
    person: Person, path: str, body: object, status: int
) -> None:
    """Such a search stops all requests, for longer the more it finds: large bodies came to 0.4 s."""
    await person.post(path, json=body)
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        assert (await person.post(path, json=body)).status_code == status
        gc.collect()
        assert [it for it in gc.garbage if isinstance(it, StrictRequest | RequestModel | InvalidOperation)] == []
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
