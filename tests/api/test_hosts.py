"""Hosts: a name that another site has rebound to this machine (DNS rebinding) is answered with 421."""

from collections.abc import AsyncIterator
from functools import cache
from typing import Any, Final

import httpx
import pytest
from fastapi import FastAPI
from httpx import ASGITransport
from pydantic import SecretStr

from config import Settings
from main import create_app
from tests.support.answers import PAGE
from tests.support.asgi import exchange
from tests.support.people import Person
from tests.support.servers import MAIN, Service

pytestmark = pytest.mark.wire

LOOPBACK: Final = "http://127.0.0.1:8000"
LAN: Final = "http://192.168.1.5:8000"
EVIL: Final = {"Host": "evil.example"}
PROXY: Final = "10.0.0.7"
OWN_NAMES: Final = ("money.example.org", "*.home.example")


@cache
def build_app(**settings: Any) -> FastAPI:
    """Build a service, once for each settings; what is refused or answered here needs no database."""
    key = SecretStr("a secret of at least 32 characters")
    return create_app(Settings(secret_key=key, _env_file=None, **settings))


def client_of(at: str, peer: str = "127.0.0.1", **settings: Any) -> httpx.AsyncClient:
    """Return a client that has connected to this address of a service from this one."""
    transport = ASGITransport(build_app(**settings), client=(peer, 50000))
    return httpx.AsyncClient(transport=transport, base_url=at)


async def status(client: httpx.AsyncClient, host: str | bytes, path: str = "/") -> int:
    """Return the status of an answer to a request with this Host."""
    sent = host.encode() if isinstance(host, str) else host
    async with client:
        return (await client.get(path, headers={b"Host": sent})).status_code


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8000", "localhost.", "money.localhost", "127.0.0.1:9", "127.9.9.9", "[::1]:8000"]
)
async def test_on_loopback_this_machine_is_answered(host: str) -> None:
    assert await status(client_of(LOOPBACK), host) == 200


HOSTILE: Final[list[str | bytes]] = [
    *["evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example", "192.168.1.5"],
    *["localhost@evil.example", "localhost:evil", "localhost, evil.example", "[::1", "x" * 300],
    *[b"\xff\xfe", b"localhost\xe9"],
]


@pytest.mark.parametrize("host", HOSTILE)
async def test_on_loopback_no_other_name_is_answered(host: str | bytes) -> None:
    """ASVS 5.0 4.1.2 and 13.4: a site that rebinds its name to 127.0.0.1 is not the service's own page."""
    assert await status(client_of(LOOPBACK), host) == 421


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/health", "/ready", "/nowhere", "/users/me"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "HEAD", "DELETE"])
async def test_another_name_is_refused_whatever_it_asks_for(method: str, path: str) -> None:
    async with client_of(LOOPBACK) as client:
        assert (await client.request(method, path, headers=EVIL)).status_code == 421


async def test_a_preflight_of_another_name_is_refused_too() -> None:
    asked = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
    async with client_of(LOOPBACK) as client:
        assert (await client.options("/expenses", headers=asked | EVIL)).status_code == 421


async def test_a_refusal_is_a_problem_that_names_the_setting_and_not_the_host() -> None:
    async with client_of(LOOPBACK) as client:
        answer = await client.get("/users/me", headers=EVIL | {"X-Request-ID": "mine"})

    assert answer.json() == {
        "type": "about:blank",
        "title": "Misdirected Request",
        "status": 421,
        "detail": "This service does not answer to the name in the header Host; the setting ALLOWED_HOSTS names more.",
        "code": "host_not_allowed",
        "request_id": "mine",
        "errors": [{"header": "Host", "code": "not_allowed", "detail": "This is no name of the service."}],
    }
    assert {"x-content-type-options", "content-security-policy", "referrer-policy"} <= set(answer.headers)


async def test_a_page_that_may_call_can_read_the_refusal() -> None:
    async with client_of(LOOPBACK) as client:
        answer = await client.get("/", headers=EVIL | {"Origin": PAGE})

    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (421, PAGE)


@pytest.mark.parametrize("host", ["evil.example", "money.example.org", "192.168.1.5:8000"])
@pytest.mark.parametrize("settings", [{"host": "0.0.0.0"}, {"host": "192.168.1.5"}, {}])  # noqa: S104
async def test_beyond_loopback_any_name_is_answered(host: str, settings: dict[str, str]) -> None:
    """The third is `uvicorn main:app --host 0.0.0.0`, which knows nothing of HOST."""
    assert await status(client_of(LAN, "192.168.1.9", **settings), host) == 200


async def test_a_service_for_all_networks_answers_any_name_on_loopback_too() -> None:
    assert await status(client_of(LOOPBACK, host="0.0.0.0"), "money.example.org") == 200  # noqa: S104


@pytest.mark.parametrize(("peer", "answer"), [(PROXY, 200), ("10.0.0.8", 421)])
async def test_a_trusted_proxy_may_pass_any_name_on(peer: str, answer: int) -> None:
    assert await status(client_of(LOOPBACK, peer, trusted_proxies=(PROXY,)), "money.example.org") == answer


@pytest.mark.parametrize(
    ("host", "answer"),
    [
        ("money.example.org", 200),
        ("MONEY.example.org.:443", 200),
        ("a.home.example", 200),
        ("home.example", 421),
        ("other.example.org", 421),
        ("evil.example", 421),
        ("192.168.1.5", 421),
        ("localhost:8000", 200),
        ("127.0.0.1:8000", 200),
    ],
)
@pytest.mark.parametrize(("at", "peer"), [(LOOPBACK, "127.0.0.1"), (LAN, "192.168.1.9"), (LAN, PROXY)])
async def test_where_names_are_set_these_and_this_machine_are_answered(
    at: str, peer: str, host: str, answer: int
) -> None:
    client = client_of(at, peer, allowed_hosts=OWN_NAMES, trusted_proxies=(PROXY,))

    assert await status(client, host) == answer


@pytest.mark.parametrize("path", ["/health", "/health/"])
@pytest.mark.parametrize("host", ["192.168.1.5:8000", "[2001:db8::7]"])
async def test_a_probe_may_ask_by_any_address(host: str, path: str) -> None:
    assert await status(client_of(LAN, allowed_hosts=OWN_NAMES), host, path) == 200


async def test_a_request_without_host_is_answered() -> None:
    """As probes send in HTTP/1.0; a browser always sends one."""
    [start, _] = await exchange(build_app(), "GET", "/health")

    assert start["status"] == 200


@pytest.mark.parametrize("at", [LOOPBACK, LAN])
async def test_two_hosts_are_refused_everywhere(at: str) -> None:
    """RFC 9112 section 3.2: a proxy may have believed the other one."""
    async with client_of(at) as client:
        answer = await client.get("/", headers=[("Host", "localhost"), ("Host", "localhost")])

    assert answer.status_code == 421


@pytest.fixture(scope="module")
async def service() -> AsyncIterator[Service]:
    """The service as `make run` starts it."""
    with Service({}, program=MAIN) as service:
        yield service


@pytest.mark.parametrize(("host", "answer"), [("localhost", 200), ("evil.example", 421)])
async def test_a_running_service_refuses_another_name(service: Service, host: str, answer: int) -> None:
    async with Person(base_url=service.url, trust_env=False) as visitor:
        assert (await visitor.get("/", headers={"Host": host})).status_code == answer
