"""Middleware: the common headers, HEAD, trailing slashes and unexpected errors; no Host header is believed."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from httpx import ASGITransport
from pydantic import SecretStr
from starlette.types import Message, Receive, Scope, Send

from api.middleware import EdgeMiddleware
from config import Settings
from main import create_app
from tests.support.answers import EXPOSED, PAGE, TO_READ, words
from tests.support.asgi import exchange
from tests.support.expenses import spend
from tests.support.people import Person
from tests.support.problems import AS_REFUSED, JSON, Refusal
from tests.support.servers import MAIN, Service

pytestmark = pytest.mark.wire


@pytest.fixture
async def broken() -> AsyncIterator[httpx.AsyncClient]:
    """A client of a service with one address that breaks; it needs no database for that."""
    app = create_app(Settings(secret_key=SecretStr("a secret of at least 32 characters"), _env_file=None))

    async def breaks() -> None:
        raise RuntimeError("hunter2 in /srv/app/secrets.py: SELECT password_hash FROM users")

    app.add_api_route("/broken", breaks, methods=["GET", "POST"], status_code=204)
    app.add_api_route("/users/broken", breaks, status_code=204)
    async with httpx.AsyncClient(transport=ASGITransport(app), base_url="http://testserver") as client:
        yield client


# What every answer has


@AS_REFUSED
async def test_a_refusal_has_the_headers_of_every_answer(client: httpx.AsyncClient, refusal: Refusal) -> None:
    headers = (await refusal.provoke(client)).headers

    assert (headers["X-Content-Type-Options"], headers["Referrer-Policy"], headers["X-Request-ID"] != "") == (
        "nosniff",
        "no-referrer",
        True,
    )


@pytest.mark.parametrize("path", TO_READ)
async def test_an_answer_has_the_headers_of_every_answer(somebody: Person, path: str) -> None:
    headers = (await somebody.get(path)).headers

    assert (headers["X-Content-Type-Options"], headers["Referrer-Policy"], headers["X-Request-ID"] != "") == (
        "nosniff",
        "no-referrer",
        True,
    )


@pytest.mark.parametrize("path", TO_READ)
async def test_an_answer_has_each_header_once(somebody: Person, path: str) -> None:
    names = [name for name, _ in (await somebody.get(path, headers={"Origin": PAGE})).headers.raw]

    assert len(names) == len(set(names))


@pytest.mark.parametrize("path", ["/", "/health", "/currencies", "/expenses", "/nowhere", "/users/me", "/openapi.json"])
async def test_a_json_answer_may_load_nothing(somebody: Person, path: str) -> None:
    """ASVS 5.0 3.4.3: also what default-src does not cover, which are the base of links and the target of forms."""
    policy = (await somebody.get(path)).headers["Content-Security-Policy"]

    assert policy == "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
async def test_a_page_of_the_service_sends_no_form_and_has_no_other_base(client: httpx.AsyncClient, path: str) -> None:
    """ASVS 5.0 3.4.3: their scripts send requests, and the browser itself none."""
    rules = (await client.get(path)).headers["Content-Security-Policy"].split("; ")

    assert {"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"} <= set(rules)


@pytest.mark.parametrize("path", ["/health", "/expenses", "/nowhere"])
async def test_an_answer_does_not_say_what_serves_it(somebody: Person, path: str) -> None:
    headers = (await somebody.get(path)).headers

    assert {"Server", "X-Powered-By", "Set-Cookie"} & set(headers) == set()


# The request's id


@pytest.mark.parametrize(
    "request_id", ["a", "4bf92f3577b34da6", "0b8ff8cd-7e6e-4a1f-8d50-2f6f8d6c1f6e", "Nightly.Import_7", "x" * 64]
)
async def test_a_sane_request_id_is_echoed(client: httpx.AsyncClient, request_id: str) -> None:
    answer = await client.get("/nowhere", headers={"X-Request-ID": request_id})

    assert (answer.headers["X-Request-ID"], answer.json()["request_id"]) == (request_id, request_id)


@pytest.mark.parametrize(
    "hostile",
    [
        b"",
        b" ",
        b"two words",
        b"a\nb",
        b"a\r\nSet-Cookie: x=1",
        b"a\n",
        b"a\x00",
        b"\x1b[31mred",
        b"<script>",
        b'"quoted"',
        b"{}",
        b"caf\xc3\xa9",
        b"\xff\xfe",
        pytest.param(b"x" * 1_000, id="1,000 letters"),
    ],
)
async def test_another_request_id_gives_way_to_a_fresh_one(client: httpx.AsyncClient, hostile: bytes) -> None:
    answer = await client.get("/nowhere", headers={b"X-Request-ID": hostile})

    given = answer.headers["X-Request-ID"]
    assert (given.isalnum(), given.isascii(), given.encode() != hostile, answer.json()["request_id"]) == (
        True,
        True,
        True,
        given,
    )


async def test_every_request_has_an_id_of_its_own(client: httpx.AsyncClient) -> None:
    first, second = await client.get("/health"), await client.get("/health")

    assert first.headers["X-Request-ID"] != second.headers["X-Request-ID"]


# Who may keep an answer


@pytest.mark.parametrize("path", [path for path in TO_READ if not path.startswith("/users")])
async def test_an_answer_to_a_signed_in_caller_is_theirs_alone(somebody: Person, path: str) -> None:
    headers = (await somebody.get(path)).headers

    assert (headers["Cache-Control"], headers["Vary"]) == ("private, no-cache", "Authorization, Origin")


async def test_an_answer_to_a_signed_in_page_varies_by_both(somebody: Person) -> None:
    headers = (await somebody.get("/expenses", headers={"Origin": PAGE})).headers

    assert headers["Vary"] == "Authorization, Origin"


async def test_an_answer_to_a_new_row_is_theirs_alone(somebody: Person) -> None:
    headers = (await somebody.post("/expenses", json={"amount": "12.50"})).headers

    assert (headers["Cache-Control"], headers["Vary"]) == ("private, no-cache", "Authorization, Origin")


async def test_an_answer_to_a_bad_token_is_theirs_alone(client: httpx.AsyncClient) -> None:
    headers = (await client.get("/expenses", headers={"Authorization": "Bearer x"})).headers

    assert (headers["Cache-Control"], headers["Vary"]) == ("private, no-cache", "Authorization, Origin")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/users/me"),
        ("GET", "/users/me/"),
        ("HEAD", "/users/me"),
        ("PATCH", "/users/me"),
        ("POST", "/users/token"),
        ("POST", "/users/register"),
        ("GET", "/users/register"),
        ("GET", "/users/nowhere"),
        ("GET", "/users"),
        ("GET", "/%75sers/me"),
    ],
)
async def test_nothing_under_users_is_stored(somebody: Person, method: str, path: str) -> None:
    assert (await somebody.request(method, path)).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/users/token", {"data": {"username": "nobody", "password": "a walk along the sea"}}),
        ("/users/register", {"json": {}}),
        ("/users/register", {"content": b"{", "headers": JSON}),
    ],
)
async def test_nothing_under_users_is_stored_for_who_is_not_signed_in(
    client: httpx.AsyncClient, path: str, sent: dict[str, Any]
) -> None:
    assert (await client.post(path, **sent)).headers["Cache-Control"] == "no-store"


# What nobody expected


@pytest.mark.parametrize("path", ["/broken", "/users/broken"])
async def test_what_nobody_expected_is_a_problem(broken: httpx.AsyncClient, path: str) -> None:
    answer = await broken.get(path)

    assert (answer.status_code, answer.headers["Content-Type"], answer.json()["code"]) == (
        500,
        "application/problem+json",
        "internal_error",
    )


async def test_what_nobody_expected_amid_an_answer_breaks_the_connection(settings: Settings) -> None:
    async def fail_after_start(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await exchange(EdgeMiddleware(fail_after_start, settings), "GET", "/")


async def test_a_cancelled_request_that_has_begun_its_answer_breaks_the_connection(settings: Settings) -> None:
    async def cancel_after_start(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await exchange(EdgeMiddleware(cancel_after_start, settings), "GET", "/")


@pytest.mark.parametrize("inside", ["hunter2", "RuntimeError", "Traceback", "/srv", "SELECT", ".py"])
async def test_what_nobody_expected_tells_nothing_of_the_inside(broken: httpx.AsyncClient, inside: str) -> None:
    answer = await broken.get("/broken")

    assert inside not in answer.text + str(answer.headers)


async def test_what_nobody_expected_bears_the_id_to_ask_about(broken: httpx.AsyncClient) -> None:
    answer = await broken.get("/broken", headers={"X-Request-ID": "nightly-7"})

    assert (answer.headers["X-Request-ID"], answer.json()["request_id"]) == ("nightly-7", "nightly-7")


async def test_what_nobody_expected_is_logged_with_that_id(
    broken: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    await broken.get("/broken", headers={"X-Request-ID": "nightly-7"})

    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert [vars(record)["request_id"] for record in errors] == ["nightly-7"]
    assert [record.exc_info[0] for record in errors if record.exc_info] == [RuntimeError]


async def test_a_page_can_read_what_nobody_expected(broken: httpx.AsyncClient) -> None:
    headers = (await broken.post("/broken", headers={"Origin": PAGE})).headers

    assert (headers["Access-Control-Allow-Origin"], words(headers["Access-Control-Expose-Headers"])) == (PAGE, EXPOSED)


async def test_what_nobody_expected_has_the_headers_of_every_answer(broken: httpx.AsyncClient) -> None:
    headers = (await broken.get("/broken", headers={"Authorization": "Bearer x"})).headers

    assert {
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "private, no-cache",
        "Vary": "Authorization, Origin",
    }.items() <= {name.title(): value for name, value in headers.items()}.items()


async def test_a_normal_request_works_after_what_nobody_expected(broken: httpx.AsyncClient) -> None:
    await broken.get("/broken")

    assert (await broken.get("/health")).json() == {"status": "ok"}


# HEAD


def comparable(answer: httpx.Response) -> tuple[int, dict[str, str]]:
    """Return the head of an answer."""
    return answer.status_code, dict(answer.headers)


@pytest.mark.parametrize("path", TO_READ)
async def test_head_is_get_without_the_body(somebody: Person, path: str) -> None:
    named = {"X-Request-ID": "the-same"}

    head, get = await somebody.head(path, headers=named), await somebody.get(path, headers=named)

    assert (comparable(head), head.content) == (comparable(get), b"")


@pytest.mark.parametrize("path", ["/health", "/docs", "/openapi.json", "/expenses"])
async def test_head_sends_not_a_byte_of_a_body(app: FastAPI, path: str) -> None:
    sent = await exchange(app, "HEAD", path)

    assert b"".join(message.get("body", b"") for message in sent) == b""


async def test_head_of_an_expense_is_get_without_the_body(somebody: Person) -> None:
    row = f"/expenses/{(await spend(somebody))['id']}"
    named = {"X-Request-ID": "the-same"}

    head, get = await somebody.head(row, headers=named), await somebody.get(row, headers=named)

    assert (comparable(head), head.content) == (comparable(get), b"")


async def test_head_says_where_the_next_page_is(person: Person) -> None:
    await spend(person)
    await spend(person)

    assert 'rel="next"' in (await person.head("/expenses?limit=1")).headers["Link"]


@AS_REFUSED
async def test_no_refusal_of_head_has_a_body(client: httpx.AsyncClient, refusal: Refusal) -> None:
    assert (await client.head(refusal.path)).content == b""


# Paths


@pytest.mark.parametrize(
    "path", ["/health", "/ready", "/currencies", "/docs", "/redoc", "/users/me", "/categories", "/expenses"]
)
async def test_a_trailing_slash_means_nothing(somebody: Person, path: str) -> None:
    named = {"X-Request-ID": "the-same"}

    without, with_one = await somebody.get(path, headers=named), await somebody.get(f"{path}/", headers=named)

    assert (comparable(with_one), with_one.content) == (comparable(without), without.content)


@pytest.mark.parametrize("path", ["/expenses", "/expenses/"])
async def test_a_trailing_slash_means_nothing_to_a_new_row(somebody: Person, path: str) -> None:
    assert (await somebody.post(path, json={"amount": "12.50"})).status_code == 201


async def test_a_trailing_slash_means_nothing_to_a_row(person: Person) -> None:
    expense = await spend(person)

    answer = await person.patch(f"/expenses/{expense['id']}/", json={"amount": "1"})

    assert (answer.status_code, answer.json()["amount"]) == (200, "1.00")


async def test_a_trailing_slash_means_nothing_to_the_end_of_a_row(person: Person) -> None:
    expense = await spend(person)

    assert (await person.delete(f"/expenses/{expense['id']}/")).status_code == 204


@pytest.mark.parametrize(
    "path", ["/users/me/tokens/", "/users/me/sessions/", "/expenses/trash/", "/expenses/?min_amount=1", "/categories/"]
)
async def test_an_address_that_has_lost_its_id_deletes_no_collection(somebody: Person, path: str) -> None:
    assert (await somebody.delete(path)).status_code == 404


async def test_a_trailing_slash_means_nothing_to_a_sign_in(client: httpx.AsyncClient) -> None:
    problem = (await client.post("/users/token/", data={"username": "nobody", "password": "x"})).json()

    assert (problem["status"], problem["error"]) == (401, "invalid_grant")


@pytest.mark.parametrize("path", ["/expenses/", "/expenses//", "//expenses", "/Expenses", "/docs//", "/users/me//"])
async def test_nothing_is_redirected(somebody: Person, path: str) -> None:
    assert (await somebody.get(path)).status_code in {200, 404}


# Nothing believes the Host header

EVIL = {"Host": "evil.example"}


@pytest.mark.parametrize("path", TO_READ)
async def test_a_hostile_host_appears_nowhere(somebody: Person, path: str) -> None:
    answer = await somebody.get(path, headers=EVIL)

    assert "evil.example" not in answer.text + str(answer.headers)


@AS_REFUSED
async def test_a_hostile_host_appears_in_no_refusal(client: httpx.AsyncClient, refusal: Refusal) -> None:
    client.headers["Host"] = "evil.example"

    answer = await refusal.provoke(client)

    assert "evil.example" not in answer.text + str(answer.headers)


@pytest.mark.parametrize(
    ("path", "body"), [("/expenses", {"amount": "12.50"}), ("/categories", {"name": "A name that nobody has"})]
)
async def test_a_new_row_is_located_relative_to_wherever_one_is(
    person: Person, path: str, body: dict[str, str]
) -> None:
    answer = await person.post(path, json=body, headers=EVIL)

    assert answer.headers["Location"] == f"{path}/{answer.json()['id']}"


async def test_the_next_page_is_linked_relative_to_wherever_one_is(person: Person) -> None:
    await spend(person)
    await spend(person)

    answer = await person.get("/expenses/?limit=1", headers=EVIL)

    assert answer.headers["Link"].startswith("</expenses?limit=1&cursor=")


# The service itself


async def test_the_root_names_the_service_and_its_documents(client: httpx.AsyncClient) -> None:
    answer = (await client.get("/")).json()

    assert (answer["docs"], answer["openapi"], {"service", "version"} <= answer.keys()) == (
        "/docs",
        "/openapi.json",
        True,
    )


@pytest.mark.parametrize("path", ["/", "/health", "/ready", "/docs", "/redoc"])
@pytest.mark.parametrize("query", ["x=1", "utm_source=mail&utm_source=mail", "%00=%ff", "&&="])
async def test_the_queries_of_the_service_itself_are_not_looked_at(
    client: httpx.AsyncClient, path: str, query: str
) -> None:
    assert (await client.get(f"{path}?{query}")).status_code == 200


async def test_the_queries_of_the_currencies_are(client: httpx.AsyncClient) -> None:
    assert (await client.get("/currencies?x=1")).status_code == 422


# Websockets


async def shake_hands(app: FastAPI, path: str, extensions: dict[str, Any] | None) -> list[Message]:
    """Return what an app answers to a websocket, by a server with these extensions of ASGI."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    scope = {"type": "websocket", "path": path, "headers": [(b"host", b"localhost")], "extensions": extensions}
    await app(scope, receive, send)
    return sent


@pytest.mark.parametrize("path", ["/", "/expenses", "/docs", "/nowhere"])
async def test_a_websocket_is_refused_with_a_problem(app: FastAPI, path: str) -> None:
    start, body = await shake_hands(app, path, {"websocket.http.response": {}})
    headers = dict(start["headers"])

    assert (start["type"], body["type"]) == ("websocket.http.response.start", "websocket.http.response.body")
    assert (start["status"], headers[b"content-type"]) == (404, b"application/problem+json")
    assert {b"x-request-id", b"x-content-type-options", b"content-security-policy"} <= set(headers)
    assert "There are no websockets here" in json.loads(body["body"])["detail"]


@pytest.mark.parametrize("extensions", [None, {}])
async def test_where_a_server_can_send_no_problem_a_websocket_is_closed(
    app: FastAPI, extensions: dict[str, Any] | None
) -> None:
    assert await shake_hands(app, "/", extensions) == [{"type": "websocket.close"}]


HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@pytest.mark.parametrize(
    ("program", "status"), [((), 404), (MAIN, 401)], ids=["uvicorn main:app", "make run, as any request"]
)
def test_a_running_service_refuses_a_websocket_with_a_problem(program: tuple[str, ...], status: int) -> None:
    with Service({}, program=program) as service:
        answer = httpx.get(f"{service.url}/expenses?q=hunter2", headers=HANDSHAKE, trust_env=False)
        # The line is written after the answer.
        service.process.wait_until(lambda: answer.headers["X-Request-ID"] in service.log)
        assert "hunter2" not in service.log

    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")
    assert {"x-request-id", "x-content-type-options", "content-security-policy"} <= set(answer.headers)
