"""Every operation of the document: odd spellings of its id, and each answer that it lists; new ones are included.

ASVS 5.0 2.2.x (input) and 3.4.x (headers); OWASP API Security 2023, API8.
"""

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Final

import httpx
import pytest
from fastapi import FastAPI

from config import Settings
from main import create_app
from tests.support.generated import HUNT
from tests.support.matrix import (
    METHODS,
    OF_ONE_ROW,
    OPERATIONS,
    QUERIES,
    UNKNOWN,
    Operation,
    OwnedRows,
    body_schema,
    call,
    encode_body,
    lacking,
    ledger_of,
    made,
    media_type,
    newcomer,
    objects,
    parameters,
    status_and_code,
)
from tests.support.people import Person, signed_up
from values.fields import LARGEST_ID

pytestmark = pytest.mark.wire

NOT_FOUND: Final = (404, "not_found")


@pytest.fixture
async def ledger(person: Person) -> OwnedRows:
    """A ledger of the test's own, since many an operation ends it."""
    return await ledger_of(person)


# --- ids that are none ------------------------------------------------------------------------------------------------

NO_IDS: Final = [
    *("0", "00", "01", "+1", "%2B1", "-1", "-0", "1.0", "1.", ".1", "1e0", "1E0", "0x1", "0b1", "1_0", "1,0", "1%200"),
    *("%D9%A1", "%EF%BC%91", "1%D9%A1", "%C2%B9", "%E2%85%A0", "1%CC%81", "%E2%80%8B1", "1%EF%BB%BF"),
    *("1%0A", "1%0D", "1%09", "1%00", "%001", "%201", "1%20", "1;", "1;a=1", "1'", "1--", "1%23", "1%3F", "1%25"),
    *(str(LARGEST_ID + 1), str(2**64), str(2**64 + 1), "9" * 40, "1" * 5_000, "NaN", "Infinity", "1" + "0" * 19),
    *(
        "null",
        "true",
        "none",
        "undefined",
        "me",
        "*",
        "%7B%7D",
        "[]",
        "()",
        "..%2f1",
        "1%2f..%2f1",
        "...",
        "%2e%2e%5c1",
    ),
    *("%ff", "%ED%A0%80", "%C0%B1", "%", "%zz", "%u0031", "%F0%9F%8D%8E"),
]
# Every id is declared by one type, and routing reads an address alike for every method. So all spellings are tried at
# one operation, and at the others those that another type would take or that would be routed elsewhere.
SOME_NO_IDS: Final = ("0", "01", "-1", "1.0", "%D9%A1", "1%0A", "%ff", "me", str(LARGEST_ID + 1), "..%2f1")


def spelt(operation: Operation, row_id: str) -> httpx.URL:
    path = operation[1].replace("{" + parameters(operation, "path")[0] + "}", row_id)
    return httpx.URL("http://testserver").copy_with(raw_path=path.encode())


async def found(person: Person, operation: Operation, method: str, body: Any) -> dict[str, tuple[int, str]]:  # noqa: ANN401
    """Return what is said of each id that is none, where that is not that there is no such row."""
    # Between two slashes there may be nothing at all; at the end that is the address of the whole list.
    tried = NO_IDS if HUNT or operation == ("GET", "/expenses/{expense_id}") else SOME_NO_IDS
    spellings = [*tried, *([""] * ("}/" in operation[1]))]
    sent = encode_body(operation, body)
    answers = {it: await person.request(method, spelt(operation, it), **sent) for it in spellings}
    return {it: status_and_code(answer) for it, answer in answers.items() if status_and_code(answer) != NOT_FOUND}


def test_the_matrix_of_rows_is_not_empty() -> None:
    assert {
        ("GET", "/expenses/{expense_id}"),
        ("DELETE", "/users/me/sessions/{session_id}"),
        ("POST", "/expenses/{expense_id}/restore"),
    } <= set(OF_ONE_ROW)
    assert set(SOME_NO_IDS) <= set(NO_IDS)


@pytest.mark.hunt
@pytest.mark.parametrize("operation", OF_ONE_ROW, ids=" ".join)
async def test_what_is_no_id_names_no_row(ledger: OwnedRows, operation: Operation) -> None:
    body = ledger.example(operation)

    assert await found(ledger.person, operation, operation[0], body) == {}


@pytest.mark.parametrize("operation", [it for it in OF_ONE_ROW if it[0] == "GET"], ids=" ".join)
async def test_what_is_no_id_has_no_head_either(ledger: OwnedRows, operation: Operation) -> None:
    answers = [await ledger.person.head(spelt(operation, it)) for it in SOME_NO_IDS]

    assert {it.status_code for it in answers} == {404}


@pytest.mark.parametrize("path", sorted({path for _, path in OF_ONE_ROW}))
async def test_what_is_no_id_takes_no_other_method(ledger: OwnedRows, path: str) -> None:
    methods = [method for method in METHODS if (method, path) not in OPERATIONS]
    # Any operation of this path says where its id stands.
    one = next(it for it in OF_ONE_ROW if it[1] == path)
    answers = [await ledger.person.request(method, spelt(one, it)) for method in methods for it in SOME_NO_IDS]

    assert {it.status_code for it in answers} <= {404, 405}


# --- the headers of every answer --------------------------------------------------------------------------------------

# 409 and 410 need a row that is in the way, or a server set back: their own tests look at them (test_crud,
# test_feed). A 429 needs an app with lower limits, which the tests at the end of this module start.
NOT_MET: Final = {"409", "410", "429"}
# This 403 needs an app at which nobody may register: tests/users/test_invites.py starts one.
# And this 413 needs a file of over 20 MiB: tests/api/test_uploads.py sends one.
NOT_MET_OF: Final[Mapping[Operation, set[str]]] = {
    ("POST", "/users/register"): {"403"},
    ("POST", "/imports"): {"413"},
}
TOO_LARGE: Final = b" " * 2 * 1024 * 1024
LIMITS_OF_ONE: Final = dict.fromkeys(("signin_per_name", "registrations_per_address", "remembered_bytes"), 1)
# The service itself is no part of an account: it has no strict queries, and no errors of its own.
OF_THE_SERVICE: Final = {("GET", "/"), ("GET", "/health"), ("GET", "/ready")}


def list_documenting(code: str) -> list[Operation]:
    """Return the operations whose document has an example of this 429."""
    return [it for it in sorted(OPERATIONS) if f"'{code}'" in str(OPERATIONS[it]["responses"].get("429"))]


THROTTLED: Final = list_documenting("too_many_attempts")
KEYED: Final = [it for it in sorted(OPERATIONS) if "'Idempotency-Key'" in str(OPERATIONS[it].get("parameters"))]
WRONG: Final = {
    "id": UNKNOWN,
    "refresh_token": "x" * 43,
    "password": "not the password",
    "current_password": "not the password",
}


def ways(ledger: OwnedRows, operation: Operation) -> Iterator[tuple[str, Any, dict[str, str]]]:
    """Yield requests that an operation refuses, each as address, body and headers."""
    address, body = ledger.address(operation), ledger.example(operation)
    yield f"{address}?tpyo=1", body, {}
    if parameters(operation, "path"):
        yield ledger.address(operation, UNKNOWN), body, {}
    for header, tag in (("If-Match", '"0"'), ("If-None-Match", "*")):
        if header in parameters(operation, "header"):
            yield address, body, {header: tag}
    for place in objects(body_schema(operation)) if body else ():
        for wrong in (WRONG, {"revision": UNKNOWN}):
            made_wrong = ledger.made_out(operation, place.body, **wrong)
            if made_wrong != ledger.made_out(operation, place.body):
                yield address, made_wrong, {}


async def refusals(ledger: OwnedRows, client: httpx.AsyncClient, operation: Operation) -> list[httpx.Response]:
    """Call an operation in all the ways that it refuses, and in those of HTTP."""
    (method, path), person, address = operation, ledger.person, ledger.address(operation)
    script = await made(person, "/users/me/tokens", name="a reader", scope="read")
    body, kind = ledger.example(operation), media_type(operation)
    other = next((it for it in METHODS if (it, path) not in OPERATIONS), "TRACE")
    # A deletion of many rows refuses a body, of whatever type.
    refuses_bodies = kind or (method == "DELETE" and "{" not in path)
    wrong_bodies = [(it, kind) for it in (b"{\xff", TOO_LARGE) if refuses_bodies]
    wrong_bodies += [(b"{}", "text/plain")] * bool(kind)
    return [
        await call(client, operation, address, body),
        await call(client, operation, address, body, Authorization="Bearer x"),
        await call(client, operation, address, body, Authorization=f"Bearer {script['token']}"),
        *[await call(person, operation, where, sent, **headers) for where, sent, headers in ways(ledger, operation)],
        *[
            await person.request(method, address, content=content, headers={"Content-Type": str(named)})
            for content, named in wrong_bodies
        ],
        await person.request(other, address),
        await person.request("OPTIONS", address, headers={"Origin": "http://localhost"}),
    ]


async def all_answers(ledger: OwnedRows, client: httpx.AsyncClient, operation: Operation) -> list[httpx.Response]:
    """Call an operation in all the ways that it refuses, and then, since that may be its end, as it should be."""
    address = ledger.address(operation) + QUERIES.get(operation, "")
    heads = [await ledger.person.head(address)] if operation[0] == "GET" else []
    refused = await refusals(ledger, client, operation)
    return [*refused, *heads, await call(ledger.person, operation, address, ledger.example(operation))]


def not_met(operation: Operation, answers: list[httpx.Response]) -> set[str]:
    """Return the refusals that the document tells of an operation, and that none of these answers is."""
    told = set() if operation in OF_THE_SERVICE else {it for it in OPERATIONS[operation]["responses"] if it >= "300"}
    return told - NOT_MET - NOT_MET_OF.get(operation, set()) - {str(it.status_code) for it in answers}


@pytest.mark.parametrize("operation", sorted(OPERATIONS), ids=" ".join)
async def test_every_kind_of_answer_is_met_and_has_the_headers_of_every_answer(
    ledger: OwnedRows, client: httpx.AsyncClient, operation: Operation
) -> None:
    answers = await all_answers(ledger, client, operation)

    assert [wrong for answer in answers for wrong in lacking(answer)] == []
    assert not_met(operation, answers) == set()


@pytest.fixture(scope="module")
async def app_with_limits_of_one(settings: Settings) -> AsyncIterator[FastAPI]:
    """A service that takes one attempt of each kind."""
    app = create_app(settings.model_copy(update=LIMITS_OF_ONE))
    async with app.router.lifespan_context(app):
        yield app


def test_the_matrix_of_the_throttle_is_not_empty() -> None:
    assert {("POST", "/users/token"), ("POST", "/users/register"), ("DELETE", "/users/me")} <= set(THROTTLED)


@pytest.mark.parametrize("operation", THROTTLED, ids=" ".join)
async def test_an_attempt_too_many_has_the_headers_of_every_answer(
    app_with_limits_of_one: FastAPI, operation: Operation
) -> None:
    async with signed_up(app_with_limits_of_one) as person:
        names = {"username": person.user["username"], "email": "another@example.com"}
        ledger = OwnedRows(person, {}, names | {"password": "not the password", "current_password": "not the password"})
        body = ledger.example(operation) | ({"email": newcomer()["email"]} if operation[0] == "PATCH" else {})
        body |= {"current_password": "not the password"} if operation[0] == "PATCH" else {}
        answers = [await call(person, operation, operation[1], body) for _ in range(2)]

    assert (answers[-1].status_code, answers[-1].headers["Retry-After"] != "", lacking(answers[-1])) == (429, True, [])


@pytest.mark.parametrize("operation", KEYED, ids=" ".join)
async def test_a_key_too_many_has_the_headers_of_every_answer(
    app_with_limits_of_one: FastAPI, operation: Operation
) -> None:
    method, path = operation
    async with signed_up(app_with_limits_of_one) as person:
        await person.post("/expenses", json={"amount": "1.00"}, headers={"Idempotency-Key": "1"})
        answer = await person.request(method, re.sub("{.*?}", "1", path), json={}, headers={"Idempotency-Key": "2"})

    assert (answer.status_code, answer.headers["Retry-After"] != "", lacking(answer)) == (429, True, [])
