"""CORS: which pages may call and read answers, and preflights."""

from typing import Final

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


# --- what a page sends without asking ---------------------------------------------------------------------------------

FORM: Final = {"data": {"username": "nobody", "password": "a walk along the sea"}}
OWN: Final = "https://money.example"
REFUSED: Final = (403, "origin_not_allowed")


async def sign_in(client: httpx.AsyncClient, *headers: tuple[str, str]) -> tuple[int, str]:
    """Send a form as a page may send it without a preflight, and return the status and code of the answer."""
    answer = await client.post("/users/token", data=FORM["data"], headers=list(headers))
    return answer.status_code, answer.json()["code"]


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none", "", None])
@pytest.mark.parametrize("origin", [origin for origin in STRANGE_ORIGINS if "\n" not in origin])
async def test_another_page_signs_nobody_in(client: httpx.AsyncClient, origin: str, site: str | None) -> None:
    """ASVS 5.0 3.5.1: a form of any page is safelisted, so that it comes without a preflight."""
    sent = [("Origin", origin), *([] if site is None else [("Sec-Fetch-Site", site)])]

    assert await sign_in(client, *sent) == REFUSED


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "ANY"])
@pytest.mark.parametrize("path", ["/expenses", "/users/register", "/users/logout", "/health", "/nowhere"])
async def test_another_page_may_send_nothing_but_reads(client: httpx.AsyncClient, method: str, path: str) -> None:
    """ASVS 5.0 3.5.2: whether the browser would have asked before or not."""
    answer = await client.request(method, path, headers={"Origin": "https://evil.example"})

    assert (answer.status_code, answer.json()["code"]) == REFUSED


@pytest.mark.parametrize("path", TO_READ)
async def test_a_read_of_another_page_is_answered_but_not_shown_to_it(somebody: Person, path: str) -> None:
    plain, answer = await somebody.get(path), await somebody.get(path, headers={"Origin": "https://evil.example"})

    assert (answer.status_code, "Access-Control-Allow-Origin" in answer.headers) == (plain.status_code, False)


async def test_what_another_page_sends_is_not_even_read(client: httpx.AsyncClient) -> None:
    oversized = b" " * 2_000_000
    answer = await client.post("/users/register", content=oversized, headers={"Origin": "https://evil.example"})

    assert answer.status_code == 403


async def test_the_refusal_is_a_problem_that_names_the_setting_and_not_the_origin(client: httpx.AsyncClient) -> None:
    asked = {"Origin": "https://evil.example", "X-Request-ID": "mine"}
    answer = await client.post("/users/register", json={}, headers=asked)

    assert answer.json() == {
        "type": "about:blank",
        "title": "Forbidden",
        "status": 403,
        "detail": "Pages of this origin may change nothing here; the setting CORS_ORIGINS names those that may.",
        "code": "origin_not_allowed",
        "request_id": "mine",
        "errors": [{"header": "Origin", "code": "not_allowed", "detail": "Pages of this origin may not call."}],
    }
    assert {"x-content-type-options", "content-security-policy", "referrer-policy"} <= set(answer.headers)
    assert [name for name in answer.headers if name.startswith("access-control")] == []
    assert answer.headers["Cache-Control"] == "no-store"


SERVED: Final = (401, "invalid_credentials")


@pytest.mark.parametrize("site", ["same-site", "cross-site", "same-origin", None])
@pytest.mark.parametrize("origin", [PAGE, "http://127.0.0.1:3000"])
async def test_an_allowed_page_may_sign_in(client: httpx.AsyncClient, origin: str, site: str | None) -> None:
    sent = [("Origin", origin), *([] if site is None else [("Sec-Fetch-Site", site)])]

    assert await sign_in(client, *sent) == SERVED


async def test_what_is_no_browser_sends_no_origin(client: httpx.AsyncClient) -> None:
    assert await sign_in(client) == SERVED


@pytest.mark.parametrize(("site", "answer"), [("cross-site", REFUSED), ("same-site", REFUSED), ("none", SERVED)])
async def test_a_page_without_an_origin_is_known_by_the_word_of_its_browser(
    client: httpx.AsyncClient, site: str, answer: tuple[int, str]
) -> None:
    assert await sign_in(client, ("Sec-Fetch-Site", site)) == answer


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "money.example", "other.example"])
async def test_a_page_of_the_service_itself_may_sign_in_whatever_a_proxy_makes_of_host(
    client: httpx.AsyncClient, host: str
) -> None:
    sent = ("Origin", OWN), ("Sec-Fetch-Site", "same-origin"), ("Host", host)

    assert await sign_in(client, *sent) == SERVED


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (OWN, "money.example"),
        (OWN, "MONEY.example:443"),
        ("http://192.168.1.5:8000", "192.168.1.5:8000"),
        ("http://192.168.1.5", "192.168.1.5:80"),
        ("http://[2001:db8::7]:8000", "[2001:db8::7]:8000"),
    ],
)
async def test_where_browsers_do_not_say_it_host_tells_the_services_own_page(
    client: httpx.AsyncClient, origin: str, host: str
) -> None:
    """They send Sec-Fetch-Site to https and to localhost only."""
    assert await sign_in(client, ("Origin", origin), ("Host", host)) == SERVED


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (OWN, "money.example:8443"),
        (f"{OWN}:8443", "money.example"),
        (OWN, "money.example.evil.example"),
        ("https://evil.example", "evil.example@money.example"),
        ("ftp://money.example", "money.example"),
        ("null", "null"),
        ("", ""),
        (OWN, ""),
        ("https://" + "x" * 300, "x" * 300),
    ],
)
async def test_another_host_or_port_is_another_page(client: httpx.AsyncClient, origin: str, host: str) -> None:
    assert await sign_in(client, ("Origin", origin), ("Host", host)) == REFUSED


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_the_browser_knows_better_than_host(client: httpx.AsyncClient, site: str) -> None:
    """A page of http://money.example is another one than that of https://money.example, though Host is the same."""
    sent = ("Origin", "http://money.example"), ("Host", "money.example"), ("Sec-Fetch-Site", site)

    assert await sign_in(client, *sent) == REFUSED


@pytest.mark.parametrize("second", [PAGE, "https://evil.example"])
async def test_several_origins_are_none(client: httpx.AsyncClient, second: str) -> None:
    assert await sign_in(client, ("Origin", PAGE), ("Origin", second)) == REFUSED


async def test_several_words_of_a_browser_are_none(client: httpx.AsyncClient) -> None:
    said = ("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")

    assert await sign_in(client, ("Origin", "https://evil.example"), *said) == REFUSED


async def test_an_origin_that_is_no_text_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/users/token", data=FORM["data"], headers={b"Origin": b"https://\xff" * 30})

    assert answer.status_code == 403


@pytest.mark.parametrize(("origin", "status"), [("https://app.example", 404), (PAGE, 403), ("http://testserver", 404)])
async def test_where_pages_are_configured_these_and_the_services_own_may_write(origin: str, status: int) -> None:
    async with for_origins("https://app.example") as client:
        answer = await client.post("/nowhere", json={}, headers={"Origin": origin})

    assert answer.status_code == status
