"""CORS: which pages may call and read answers, and preflights."""

import httpx
import pytest
from httpx import ASGITransport
from pydantic import SecretStr

from api.cors import ALLOWED_HEADERS
from config import Settings
from main import create_app
from tests.support.answers import EXPOSED, PAGE, TO_READ, words
from tests.support.people import Person
from tests.support.problems import AS_REFUSED, Refusal

pytestmark = pytest.mark.wire

PREFLIGHT = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}


def for_origins(*origins: str) -> httpx.AsyncClient:
    """Return a client of a service that pages of these origins may call."""
    settings = Settings(
        secret_key=SecretStr("a secret of at least 32 characters"), cors_origins=origins, _env_file=None
    )
    return httpx.AsyncClient(transport=ASGITransport(create_app(settings)), base_url="http://testserver")


@AS_REFUSED
async def test_an_allowed_page_can_read_every_refusal(client: httpx.AsyncClient, refusal: Refusal) -> None:
    client.headers["Origin"] = PAGE

    headers = (await refusal.provoke(client)).headers

    assert (headers["Access-Control-Allow-Origin"], words(headers["Access-Control-Expose-Headers"])) == (PAGE, EXPOSED)


@pytest.mark.parametrize("path", TO_READ)
async def test_an_allowed_page_can_read_every_answer(somebody: Person, path: str) -> None:
    headers = (await somebody.get(path, headers={"Origin": PAGE})).headers

    assert (headers["Access-Control-Allow-Origin"], words(headers["Access-Control-Expose-Headers"])) == (PAGE, EXPOSED)


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost",
        "http://localhost:3000",
        "https://localhost:8443",
        "http://127.0.0.1",
        "http://127.0.0.1:65535",
    ],
)
async def test_pages_of_this_machine_may_call(client: httpx.AsyncClient, origin: str) -> None:
    answer = await client.get("/health", headers={"Origin": origin})

    assert (answer.headers["Access-Control-Allow-Origin"], "Origin" in answer.headers["Vary"]) == (origin, True)


STRANGE_ORIGINS = [
    "https://evil.example",
    "http://localhost.evil.example",
    "http://localhost.evil.example:3000",
    "http://evil.example/http://localhost",
    "http://evil-localhost:3000",
    "http://localhost:3000.evil.example",
    "http://localhost:3000@evil.example",
    "http://localhost:3000\n",
    "http://localhost:123456",
    "http://localhost:",
    "http://127.0.0.1.evil.example",
    "http://127a0b0c1",
    "ftp://localhost",
    "file://",
    "null",
    "*",
    "",
    "http://localhost:1, http://evil.example",
]


@pytest.mark.parametrize("origin", STRANGE_ORIGINS)
async def test_another_page_is_not_let_in(client: httpx.AsyncClient, origin: str) -> None:
    answer = await client.get("/health", headers={b"Origin": origin.encode()})

    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("origin", STRANGE_ORIGINS)
async def test_another_pages_preflight_is_not_let_in(client: httpx.AsyncClient, origin: str) -> None:
    answer = await client.options("/expenses", headers=PREFLIGHT | {"Origin": origin})

    assert "Access-Control-Allow-Origin" not in answer.headers


async def test_a_refused_preflight_is_a_problem_like_every_error(client: httpx.AsyncClient) -> None:
    answer = await client.options("/expenses", headers=PREFLIGHT | {"Origin": "https://evil.example"})

    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("refused", "header"),
    [
        ({"Origin": "https://evil.example"}, "Origin"),
        ({"Access-Control-Request-Method": "TRACE"}, "Access-Control-Request-Method"),
    ],
)
async def test_a_refused_preflight_names_the_header(
    client: httpx.AsyncClient, refused: dict[str, str], header: str
) -> None:
    answer = await client.options("/expenses", headers=PREFLIGHT | refused)

    assert (answer.status_code, [entry["header"] for entry in answer.json()["errors"]]) == (422, [header])


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["/expenses", "/expenses/1", "/users/me", "/users/token", "/nowhere"])
async def test_a_preflight_allows_every_method(client: httpx.AsyncClient, path: str, method: str) -> None:
    answer = await client.options(path, headers=PREFLIGHT | {"Access-Control-Request-Method": method})

    assert (answer.status_code, method in words(answer.headers["Access-Control-Allow-Methods"])) == (200, True)


@pytest.mark.parametrize(
    "header", ["Authorization", "Content-Type", "If-Match", "If-None-Match", "Idempotency-Key", "X-Request-ID"]
)
async def test_a_preflight_allows_the_headers_of_the_service(client: httpx.AsyncClient, header: str) -> None:
    answer = await client.options("/expenses", headers=PREFLIGHT | {"Access-Control-Request-Headers": header.lower()})

    assert (answer.status_code, header in words(answer.headers["Access-Control-Allow-Headers"])) == (200, True)


@pytest.mark.parametrize("asked", ["traceparent,tracestate,baggage", "authorization, sentry-trace", "X-Custom", "*"])
async def test_a_preflight_allows_any_other_header(client: httpx.AsyncClient, asked: str) -> None:
    answer = await client.options("/expenses", headers=PREFLIGHT | {"Access-Control-Request-Headers": asked})

    allowed = {it.lower() for it in words(answer.headers["Access-Control-Allow-Headers"])}
    assert answer.status_code == 200
    assert {it.strip().lower() for it in asked.split(",")} <= allowed


@pytest.mark.parametrize("asked", ["", ",", "a b", "x:y", "x-a;q=1", "(x)", "h\xe9"])
async def test_what_is_no_header_is_not_repeated(client: httpx.AsyncClient, asked: str) -> None:
    sent = {name.encode(): value.encode() for name, value in PREFLIGHT.items()}

    answer = await client.options(
        "/expenses", headers=sent | {b"Access-Control-Request-Headers": asked.encode("latin-1")}
    )

    assert answer.headers["Access-Control-Allow-Headers"] == ", ".join(ALLOWED_HEADERS)


async def test_a_preflight_for_a_private_network_is_answered(client: httpx.AsyncClient) -> None:
    answer = await client.options("/expenses", headers=PREFLIGHT | {"Access-Control-Request-Private-Network": "true"})

    assert (answer.status_code, answer.headers["Access-Control-Allow-Private-Network"]) == (200, "true")
    assert "Access-Control-Request-Private-Network" in answer.headers["Vary"]


async def test_a_private_network_is_not_spoken_of_unasked(client: httpx.AsyncClient) -> None:
    answer = await client.options("/expenses", headers=PREFLIGHT)

    assert "Access-Control-Allow-Private-Network" not in answer.headers


async def test_a_strange_page_is_told_neither_headers_nor_networks(client: httpx.AsyncClient) -> None:
    asked = {"Access-Control-Request-Private-Network": "true", "Access-Control-Request-Headers": "x-admin"}

    answer = await client.options("/expenses", headers=PREFLIGHT | asked | {"Origin": "https://evil.example"})

    assert (answer.status_code, "x-admin" in str(answer.headers)) == (422, False)
    assert "Access-Control-Allow-Private-Network" not in answer.headers


async def test_a_preflight_is_kept_for_two_hours(client: httpx.AsyncClient) -> None:
    assert (await client.options("/expenses", headers=PREFLIGHT)).headers["Access-Control-Max-Age"] == "7200"


async def test_a_preflight_needs_no_token(client: httpx.AsyncClient) -> None:
    assert (await client.options("/users/me", headers=PREFLIGHT)).status_code == 200


async def test_credentials_are_never_allowed(client: httpx.AsyncClient) -> None:
    preflight = await client.options("/expenses", headers=PREFLIGHT)
    answer = await client.get("/expenses", headers={"Origin": PAGE, "Cookie": "session=1"})

    assert "Access-Control-Allow-Credentials" not in {*preflight.headers, *answer.headers}


@pytest.mark.parametrize("origin", ["https://app.example", "https://other.example"])
async def test_configured_pages_may_call(origin: str) -> None:
    async with for_origins("https://app.example", "https://other.example") as client:
        answer = await client.get("/health", headers={"Origin": origin})

    assert answer.headers["Access-Control-Allow-Origin"] == origin


@pytest.mark.parametrize(
    "origin", [PAGE, "http://127.0.0.1:3000", "http://app.example", "https://app.example.evil.example", "null"]
)
async def test_no_other_page_may_call_once_some_are_configured(origin: str) -> None:
    async with for_origins("https://app.example") as client:
        answer = await client.get("/health", headers={"Origin": origin})

    assert "Access-Control-Allow-Origin" not in answer.headers
