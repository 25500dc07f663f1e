"""The client's address: X-Forwarded-For counts only behind a trusted proxy."""

import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Final

import httpx
import pytest
from fastapi import FastAPI
from httpx import ASGITransport
from hypothesis import given
from hypothesis import strategies as st

from config import Settings
from main import create_app
from tests.support.people import Person
from tests.support.servers import MAIN, ROOT, Service
from tests.support.settings import limited
from users.client_address import UNKNOWN_NETWORK, build_client

PASSWORD = "a walk along the sea"

Lines = list[tuple[str, str | bytes]]


# --- addresses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "ip"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
        ("::1", "::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::FFFF:c000:201", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::1"),
        ("fe80::1%\x00\n", "fe80::1"),
        ("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ],
)
def test_an_address_is_spelt_as_short_as_it_can_be(host: str, ip: str) -> None:
    assert build_client(host, None).ip == ip


@pytest.mark.parametrize(
    "host",
    [None, "", " ", "testserver", "192.0.2.1:80", "[::1]", "1.2.3", "0x7f.0.0.1", "010.0.0.1", "2130706433", "%"],
)
def test_what_is_no_address_is_none(host: str | None) -> None:
    seen = build_client(host, None)

    assert (seen.ip, seen.network) == (None, UNKNOWN_NETWORK)


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8::1", "2001:db8:0:0:ffff:ffff:ffff:ffff", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("2001:db8:0:0:1::", "2001:DB8::", True),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
    ],
)
def test_attempts_are_counted_by_what_one_visitor_has(one: str, other: str, alike: bool) -> None:
    """ASVS 5.0 6.3.1: whoever has one IPv6 address has the 2^64 of its network."""
    assert (build_client(one, None).network == build_client(other, None).network) == alike


@given(host=st.text() | st.ip_addresses().map(str))
def test_every_host_is_an_address_that_can_be_stored_or_none(host: str) -> None:
    seen = build_client(host, None)

    assert seen.ip is None or str(ip_address(seen.ip)) == seen.ip
    assert len(seen.ip or "") <= 45
    assert 0 < len(seen.network) <= 45


# --- what a client calls itself ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        ("curl/8.14.1", "curl/8.14.1"),
        ("  curl ", "curl"),
        ("cu\x00\x07rl\x1b[31m\x7f\x85", "curl[31m"),
        ("a\tb\r\nc", "abc"),
        ("cu\u202erl\u200b\ufeff", "curl"),
        ("curl\ud800", "curl"),
        ("cürl 🌊", "cürl 🌊"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("x" * 255, "x" * 255),
        ("x" * 256, "x" * 255),
        ("\x00" * 10 + "x" * 255, "x" * 255),
        ("🌊" * 300, "🌊" * 255),
        ("", None),
        ("   ", None),
        ("\x00\t\x7f", None),
        (None, None),
    ],
)
def test_what_a_client_calls_itself_is_what_can_be_seen_of_it(sent: str | None, seen: str | None) -> None:
    """ASVS 5.0 16.4.1: what is shown later holds no control characters."""
    assert build_client("192.0.2.1", sent).user_agent == seen


@given(sent=st.text(max_size=600))
def test_whatever_a_client_calls_itself_can_be_stored_and_shown(sent: str) -> None:
    seen = build_client(None, sent).user_agent

    assert seen is None or (seen.isprintable() and 1 <= len(seen) <= 255)
    assert (seen or "").encode().decode() == (seen or "")


# --- proxies ----------------------------------------------------------------------------------------------------------


def coming_from(app: FastAPI, address: str | None) -> httpx.AsyncClient:
    """A client whose connection comes from this address; from none, as through a Unix socket."""
    transport = ASGITransport(app, raise_app_exceptions=False, client=(address or "", 50000))
    transport.client = (address, 50000) if address else None  # type: ignore[assignment]  # ASGI allows that
    return httpx.AsyncClient(transport=transport, base_url="http://testserver")


def forwarded(*lines: str | bytes) -> Lines:
    return [("X-Forwarded-For", line) for line in lines]


async def ip_seen(client: httpx.AsyncClient, person: Person, lines: Lines) -> str | None:
    """The address that a sign-in of the person's came from, as they see it in the list of their sessions."""
    form = {"username": person.user["username"], "password": person.password}
    headers: Any = [(name.encode(), line.encode() if isinstance(line, str) else line) for name, line in lines]
    answer = await client.post("/users/token", data=form, headers=headers)
    assert answer.status_code == 200, answer.text
    bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    sessions = (await client.get("/users/me/sessions", headers=bearer)).json()["items"]
    ip: str | None = next(it["ip"] for it in sessions if it["current"])
    return ip


TRUSTED = {"trusted_proxies": ("10.9.0.0/16", "2001:db8:9::/48")}


@pytest.fixture(scope="module")
async def behind(settings: Settings) -> AsyncIterator[FastAPI]:
    """The app as it runs behind proxies of these networks."""
    app = create_app(settings.model_copy(update=TRUSTED))
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture(scope="module")
async def behind_a_socket(settings: Settings) -> AsyncIterator[FastAPI]:
    """The app as it runs behind a proxy that connects through a Unix socket."""
    app = create_app(settings.model_copy(update={"trusted_proxies": ("unix:",)}))
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture(scope="module")
async def limited_behind(settings: Settings) -> AsyncIterator[FastAPI]:
    """The same with a throttle, for the tests of attempts that fail."""
    app = create_app(limited(settings).model_copy(update=TRUSTED))
    async with app.router.lifespan_context(app):
        yield app


@pytest.mark.wire
@pytest.mark.parametrize("peer", ["10.9.1.1", "10.9.255.255", "2001:db8:9::1", "2001:DB8:9:0::1"])
async def test_a_proxy_that_is_trusted_says_who_comes(behind: FastAPI, somebody: Person, peer: str) -> None:
    async with coming_from(behind, peer) as client:
        assert await ip_seen(client, somebody, forwarded("203.0.113.7")) == "203.0.113.7"


@pytest.mark.wire
async def test_a_proxy_is_trusted_also_where_the_server_listens_on_ipv6(behind: FastAPI, somebody: Person) -> None:
    """A socket for both kinds of addresses writes an IPv4 one as ::ffff:10.9.1.1 (RFC 4291 2.5.5.2)."""
    async with coming_from(behind, "::ffff:10.9.1.1") as client:
        assert await ip_seen(client, somebody, forwarded("203.0.113.7")) == "203.0.113.7"


@pytest.mark.wire
@pytest.mark.parametrize("peer", ["10.8.255.255", "10.10.0.0", "127.0.0.1", "192.0.2.1", "2001:db8:8::1", "::1"])
async def test_nobody_else_says_who_comes(behind: FastAPI, somebody: Person, peer: str) -> None:
    """ASVS 5.0 4.1.3: a header that a proxy sets is not taken from others."""
    async with coming_from(behind, peer) as client:
        assert await ip_seen(client, somebody, forwarded("203.0.113.7")) == peer


@pytest.mark.wire
@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "10.9.1.1", "192.0.2.1"])
async def test_without_the_setting_nobody_says_who_comes(app: FastAPI, somebody: Person, peer: str) -> None:
    """ASVS 5.0 4.1.3."""
    async with coming_from(app, peer) as client:
        assert await ip_seen(client, somebody, forwarded("203.0.113.7")) == peer


@pytest.mark.wire
async def test_whoever_comes_through_a_unix_socket_comes_from_nowhere(behind: FastAPI, somebody: Person) -> None:
    async with coming_from(behind, None) as client:
        assert await ip_seen(client, somebody, forwarded("203.0.113.7")) is None


SAID: dict[str, tuple[list[str | bytes], str | None]] = {
    "nothing": ([], "10.9.1.1"),
    "an empty line": ([""], "10.9.1.1"),
    "one address": (["203.0.113.7"], "203.0.113.7"),
    "one address and spaces": (["  203.0.113.7  "], "203.0.113.7"),
    "another proxy behind": (["203.0.113.7, 10.9.4.4"], "203.0.113.7"),
    "another proxy behind, without a space": (["203.0.113.7,10.9.4.4"], "203.0.113.7"),
    "a proxy that is not trusted": (["203.0.113.7, 198.51.100.9, 10.9.4.4"], "198.51.100.9"),
    "nobody but proxies": (["10.9.4.4, 10.9.4.5"], "10.9.4.4"),
    "a forged left part": (["198.51.100.1, 203.0.113.7"], "203.0.113.7"),
    "a forged proxy on the left": (["198.51.100.1, 10.9.4.4, 203.0.113.7"], "203.0.113.7"),
    "a forged line": (["198.51.100.1", "203.0.113.7"], "203.0.113.7"),
    "three lines": (["198.51.100.1", "203.0.113.7", "10.9.4.4"], "203.0.113.7"),
    "a forged left part of rubbish": (["<script>, \x7f, 203.0.113.7"], "203.0.113.7"),
    "a forged left part that is long": (["198.51.100.1, " * 500 + "203.0.113.7"], "203.0.113.7"),
    "a port": (["203.0.113.7:51324"], "203.0.113.7"),
    "a port of another proxy": (["203.0.113.7:51324, 10.9.4.4:80"], "203.0.113.7"),
    "brackets": (["[2001:db8::7]"], "2001:db8::7"),
    "brackets and a port": (["[2001:DB8:0::7]:443"], "2001:db8::7"),
    "no brackets": (["2001:DB8:0::7"], "2001:db8::7"),
    "an IPv4 address as one of IPv6": (["::ffff:203.0.113.7"], "203.0.113.7"),
    "another proxy as one of IPv6": (["203.0.113.7, ::ffff:10.9.4.4"], "203.0.113.7"),
    "rubbish": (["rubbish"], None),
    "rubbish of the last": (["203.0.113.7, rubbish"], None),
    "an unknown one": (["unknown"], None),
    "no text": ([b"\xff\xfe\x80"], None),
    "a port without an end": (["203.0.113.7:" + "9" * 5000], None),
    "half a bracket": (["[2001:db8::7"], None),
    "a name": (["localhost"], None),
    "much rubbish": (["x" * 8000], None),
}


@pytest.mark.wire
@pytest.mark.parametrize(("lines", "ip"), SAID.values(), ids=SAID)
async def test_the_last_address_that_no_proxy_of_ours_has_is_who_comes(
    behind: FastAPI, somebody: Person, lines: list[str | bytes], ip: str | None
) -> None:
    """ASVS 5.0 4.1.3: what a client wrote itself stands further left, and does not help."""
    async with coming_from(behind, "10.9.1.1") as client:
        assert await ip_seen(client, somebody, forwarded(*lines)) == ip


@pytest.mark.wire
@pytest.mark.parametrize("name", ["X-Real-IP", "Forwarded", "X-Client-IP", "True-Client-IP", "X-Forwarded-Host"])
async def test_no_other_header_says_who_comes(behind: FastAPI, somebody: Person, name: str) -> None:
    async with coming_from(behind, "10.9.1.1") as client:
        assert await ip_seen(client, somebody, [(name, "203.0.113.7")]) == "10.9.1.1"


@pytest.mark.wire
async def test_a_proxy_behind_a_unix_socket_is_trusted_where_the_setting_says_so(
    behind_a_socket: FastAPI, somebody: Person
) -> None:
    async with coming_from(behind_a_socket, None) as client:
        assert await ip_seen(client, somebody, forwarded("203.0.113.7")) == "203.0.113.7"


@pytest.mark.wire
async def test_who_is_behind_a_unix_socket_and_says_nothing_comes_from_nowhere(
    behind_a_socket: FastAPI, somebody: Person
) -> None:
    async with coming_from(behind_a_socket, None) as client:
        assert await ip_seen(client, somebody, []) is None


@pytest.mark.wire
async def test_where_a_unix_socket_is_trusted_no_address_is(behind_a_socket: FastAPI, somebody: Person) -> None:
    async with coming_from(behind_a_socket, "127.0.0.1") as client:
        assert await ip_seen(client, somebody, forwarded("203.0.113.7")) == "127.0.0.1"


async def failures(client: httpx.AsyncClient, person: Person, lines: list[Lines]) -> list[int]:
    """Try a wrong password with each of these."""
    form = {"username": person.user["username"], "password": "not the password"}
    return [(await client.post("/users/token", data=form, headers=it)).status_code for it in lines]  # type: ignore[arg-type]  # text


@pytest.mark.wire
async def test_a_forged_left_part_gives_no_more_attempts(limited_behind: FastAPI, person: Person) -> None:
    """ASVS 5.0 6.3.1."""
    lines = [forwarded(f"198.51.100.{number}, 203.0.113.200") for number in range(6)]
    async with coming_from(limited_behind, "10.9.1.1") as client:
        assert await failures(client, person, lines) == [401, 401, 401, 401, 401, 429]


@pytest.mark.wire
async def test_a_proxy_does_not_share_its_clients_attempts_out(limited_behind: FastAPI, person: Person) -> None:
    lines = [forwarded(f"203.0.113.{number}") for number in range(201, 207)]
    async with coming_from(limited_behind, "10.9.1.1") as client:
        assert await failures(client, person, lines) == [401] * 6


# --- a real process ---------------------------------------------------------------------------------------------------

TRUSTING: Final = {"TRUSTED_PROXIES": "10.0.0.1, 127.0.0.1"}


@dataclass(frozen=True)
class Start:
    """A way to start the service: options of uvicorn's command, or another program with the settings it needs."""

    options: tuple[str, ...] = ()
    program: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


STARTS: Final = {
    "make run": Start(program=MAIN),
    "two workers": Start(program=MAIN, environment={"WORKERS": "2"}),
    "uvicorn main:app": Start(),
    "uvicorn main:app that trusts everybody": Start(("--forwarded-allow-ips", "*")),
    "uvicorn main:app with h11 and asyncio": Start(("--http", "h11", "--loop", "asyncio")),
    "uvicorn main:app that logs all": Start(("--log-level", "trace")),
    "fastapi run": Start(program=("-m", "fastapi", "run", str(ROOT / "main.py"), "--host", "127.0.0.1")),
}


@pytest.fixture(scope="module", params=list(STARTS.values()), ids=list(STARTS))
def start(request: pytest.FixtureRequest) -> Start:
    """Each way to start the service."""
    start: Start = request.param
    return start


async def eight_guesses(service: Service) -> list[int]:
    """Try eight wrong passwords for one name, each with another X-Forwarded-For."""
    lines = [forwarded(f"203.0.113.{number}") for number in range(8)]
    async with Person(base_url=service.url, timeout=20, trust_env=False) as person:
        person.user, person.password = {"username": "nobody"}, PASSWORD
        return await failures(person, person, lines)


async def test_however_it_is_started_a_service_believes_no_client(start: Start) -> None:
    """ASVS 5.0 4.1.3 and 6.3.1: uvicorn by itself would trust whoever comes from 127.0.0.1."""
    with Service(start.environment, options=start.options, program=start.program) as service:
        assert await eight_guesses(service) == [401] * 5 + [429] * 3


async def test_however_it_is_started_a_service_believes_its_proxy(start: Start) -> None:
    environment = {**start.environment, **TRUSTING}
    with Service(environment, options=start.options, program=start.program) as service:
        async with Person(base_url=service.url, timeout=20, trust_env=False) as person:
            await person.register()
            assert await ip_seen(person, person, forwarded("203.0.113.7")) == "203.0.113.7"


class SocketService(Service):
    """The service behind a Unix socket in its folder, started by uvicorn's command."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        super().__init__(environment, options=["--uds", "socket"])

    @property
    def path(self) -> str:
        """The path of the socket."""
        return str(self.folder / "socket")

    def _is_healthy(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(self.path) == 0


@pytest.mark.parametrize(("trusted", "ip"), [("unix:", "203.0.113.7"), ("127.0.0.1", None), ("", None)])
async def test_a_running_service_knows_its_unix_socket(trusted: str, ip: str | None) -> None:
    with SocketService({"TRUSTED_PROXIES": trusted}) as service:
        transport = httpx.AsyncHTTPTransport(uds=service.path)
        async with Person(base_url="http://money.example.org", timeout=20, transport=transport) as person:
            await person.register()
            assert await ip_seen(person, person, forwarded("203.0.113.7")) == ip
