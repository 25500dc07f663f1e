"""The throttle: limits by name and address, exact across parallel requests, processes and restarts."""

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from ipaddress import IPv4Address
from itertools import count
from typing import Any, Final, NamedTuple

import bcrypt
import httpx
import pytest
import time_machine
from fastapi import FastAPI
from httpx import ASGITransport
from pydantic import SecretStr
from sqlalchemy import Connection, insert, select, text

from config import Settings
from database import now
from infra.fair_turns import FairTurns
from main import create_app
from models import AttemptCounter
from problems import TooManyAttempts
from tests.support.accounts import change_name, change_password, delete_account, register_another, sign_in, token_for
from tests.support.databases import on_mysql, on_sqlite
from tests.support.matrix import OPERATIONS, status_and_code
from tests.support.people import Person, SignUp, forget_attempts, numbers
from tests.support.servers import UNLIMITED, Service
from tests.support.settings import limited, sharing
from tests.support.statements import Statements
from users.throttle import (
    _SELECT_INSTANTS,
    CountedAttempt,
    RateLimit,
    Throttle,
    _load_instants,
    _store_instants,
    take_back,
)

QUARTER: Final = 15 * 60
HOUR: Final = 60 * 60
DAY: Final = 24 * HOUR
WRONG: Final = "not the password"
RIGHT: Final = "a walk along the sea"
REFUSED: Final = (429, "too_many_attempts")
HERE: Final = 10
DAILY: Final = 12
REGISTERED: Final = 4
TIGHT: Final = {"signin_per_address": HERE, "signin_per_name_daily": DAILY, "registrations_per_address": REGISTERED}

addresses: Final = count(int(IPv4Address("172.16.0.0")))

Visit = Callable[..., httpx.AsyncClient]
Do = Callable[[Person], Awaitable[httpx.Response]]


def address() -> str:
    """An address that nobody has come from."""
    return str(IPv4Address(next(addresses)))


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    """The settings, with a throttle."""
    return limited(settings)


@pytest.fixture(scope="module")
async def throttled(settings: Settings) -> AsyncIterator[FastAPI]:
    """The app, with a throttle."""
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def app(throttled: FastAPI) -> FastAPI:
    """The app, with a throttle, and nothing counted against anybody."""
    await forget_attempts(throttled)
    return throttled


@pytest.fixture
async def visit(app: FastAPI) -> AsyncIterator[Visit]:
    """A client at an address of its own, or at this one; of this app, or of another: `visit("192.0.2.1", other)`."""
    async with AsyncExitStack() as clients:

        def visit(host: str | None = None, at: FastAPI = app) -> httpx.AsyncClient:
            transport = ASGITransport(at, raise_app_exceptions=False, client=(host or address(), 50000))
            client = httpx.AsyncClient(transport=transport, base_url="http://testserver")
            clients.push_async_callback(client.aclose)
            return client

        yield visit


@pytest.fixture
def name() -> str:
    """A name that nobody has."""
    return f"nobody-{next(numbers)}"


class StandaloneThrottle(Throttle):
    """The throttle of an app without what comes before and after: each attempt is by itself."""

    def __init__(self, app: FastAPI, settings: Settings, **limits: int) -> None:
        super().__init__(settings.model_copy(update=limits))
        self._database = app.state.services.database

    async def count_password(self, name: str, host: str) -> CountedAttempt:
        """Count an attempt at a password, from where nobody has signed in."""
        async with self._database.new_unit() as unit:
            return await self.count_password_attempt(unit, name, host, is_familiar=False)

    async def count_registration_from(self, host: str) -> CountedAttempt:
        """Count a registration."""
        async with self._database.new_unit() as unit:
            return await self.count_registration(unit, host)

    async def remember(self, times: int, limit: RateLimit, *subject: str) -> None:
        """Write down so many attempts against one subject, as if each had been counted now."""
        key, at = self._hash_subject(*subject), int(now().timestamp())
        async with self._database.new_unit() as unit, unit.begin_separate() as connection:
            counted = await _load_instants(connection, _SELECT_INSTANTS, [key])
            await _store_instants(connection, {key: limit}, {key: counted[key] + [at] * times}, at)

    async def take_back(self, attempt: CountedAttempt) -> None:
        """Take an attempt back."""
        async with self._database.new_unit() as unit:
            await take_back(unit, attempt)


@pytest.fixture
def throttle(app: FastAPI, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> StandaloneThrottle:
    """Counts attempts for the app without the hash that each costs otherwise, with limits that are sooner reached."""
    throttle = StandaloneThrottle(app, settings, **TIGHT)
    monkeypatch.setattr(app.state.services.accounts, "_throttle", throttle)
    return throttle


Allow = Callable[[int], None]


@pytest.fixture
def allow(app: FastAPI, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Allow:
    """Let so many attempts at a name from an address fail, where it does not matter that it is five: `allow(1)`."""

    def allow(most: int) -> None:
        throttle = StandaloneThrottle(app, settings, **TIGHT | {"signin_per_name": most})
        monkeypatch.setattr(app.state.services.accounts, "_throttle", throttle)

    return allow


@pytest.fixture(scope="module")
async def app_that_waits(settings: Settings) -> AsyncIterator[FastAPI]:
    """An app whose requests wait for a connection for as long as it takes when a hundred come at once."""
    app = create_app(settings.model_copy(update={"pool_timeout": 30}))
    async with app.router.lifespan_context(app):
        yield app


async def attempt(client: httpx.AsyncClient, name: str, password: str = WRONG, **headers: str) -> httpx.Response:
    """Try to sign in."""
    return await client.post("/users/token", data={"username": name, "password": password}, headers=headers)


async def fail(client: httpx.AsyncClient, name: str, times: int = 1) -> None:
    """Fail to sign in so many times, one after the other, each of them let through."""
    answers = [await attempt(client, name) for _ in range(times)]
    assert [answer.status_code for answer in answers] == [401] * times


async def tries_left(client: httpx.AsyncClient, name: str) -> int:
    """Use up what attempts there are, and say how many there were."""
    left = 0
    while (answer := await attempt(client, name)).status_code == 401:
        left += 1
    assert status_and_code(answer) == REFUSED
    return left


async def flood(throttle: StandaloneThrottle, name: str, times: int) -> None:
    """Let so many attempts at a name's password fail, each from another address."""
    await throttle.remember(times, throttle._name_elsewhere, "name elsewhere", name)


async def fill(throttle: StandaloneThrottle, host: str, times: int) -> None:
    """Let so many attempts fail at an address, each at another name."""
    await throttle.remember(times, throttle._here, "here", host)


async def registered(client: httpx.AsyncClient, **overrides: str) -> httpx.Response:
    """Register somebody new, or as `overrides` say."""
    name = f"new-{next(numbers)}"
    form = {"username": name, "email": f"{name}@example.com", "password": RIGHT} | overrides
    return await client.post("/users/register", json=form)


async def at_once(*attempts: Awaitable[httpx.Response]) -> Counter[int]:
    """Do all of it at once, and count the answers by their status."""
    return Counter(answer.status_code for answer in await asyncio.gather(*attempts))


def seconds(answer: httpx.Response) -> int:
    """In how many seconds to come back."""
    assert answer.status_code == 429, answer.text
    return int(answer.headers["Retry-After"])


def host_of(person: httpx.AsyncClient) -> str:
    """Where somebody comes from."""
    transport = person._transport
    assert isinstance(transport, ASGITransport)
    return transport.client[0]


# --- five per name and address ----------------------------------------------------------------------------------------


async def test_the_sixth_attempt_at_a_name_is_refused(visit: Visit, person: Person) -> None:
    """ASVS 5.0 6.1.1 and 6.3.1, OWASP API2 (2023): nobody guesses a password by trying many."""
    elsewhere = visit()
    await fail(elsewhere, person.user["username"], 5)

    assert status_and_code(await attempt(elsewhere, person.user["username"])) == REFUSED


async def test_the_right_password_is_refused_too_while_the_name_is_limited(
    visit: Visit, person: Person, allow: Allow
) -> None:
    """ASVS 5.0 6.3.1: otherwise the limit would tell the right one from the wrong ones."""
    allow(1)
    elsewhere = visit()
    await fail(elsewhere, person.user["username"])

    assert status_and_code(await attempt(elsewhere, person.user["username"], person.password)) == REFUSED


@on_sqlite
async def test_what_is_refused_costs_no_hash(visit: Visit, person: Person, hashes: list[bytes], allow: Allow) -> None:
    """OWASP API4 (2023): a flood eats no processor."""
    allow(1)
    elsewhere = visit()
    await fail(elsewhere, person.user["username"])
    await attempt(elsewhere, person.user["username"])
    await attempt(elsewhere, person.user["username"], person.password)

    assert len(hashes) == 1


@on_sqlite
async def test_the_oldest_of_those_that_failed_says_when_to_come_back(
    noon: time_machine.Traveller, visit: Visit, name: str, allow: Allow
) -> None:
    allow(2)
    client = visit()
    await fail(client, name)
    noon.shift(100)
    await fail(client, name)
    noon.shift(50)

    assert seconds(await attempt(client, name)) == QUARTER - 150


@on_sqlite
async def test_a_second_too_early_is_refused(
    noon: time_machine.Traveller, visit: Visit, name: str, allow: Allow
) -> None:
    allow(1)
    client = visit()
    await fail(client, name)
    noon.shift(QUARTER - 1)

    assert seconds(await attempt(client, name)) == 1


@on_sqlite
async def test_at_the_second_that_was_named_the_next_is_let_through(
    noon: time_machine.Traveller, visit: Visit, name: str, allow: Allow
) -> None:
    allow(1)
    client = visit()
    await fail(client, name)
    noon.shift(60)
    noon.shift(seconds(await attempt(client, name)))

    assert (await attempt(client, name)).status_code == 401


@on_sqlite
async def test_the_right_password_is_let_in_when_the_limit_is_over(
    noon: time_machine.Traveller, visit: Visit, person: Person, allow: Allow
) -> None:
    allow(1)
    elsewhere = visit()
    await fail(elsewhere, person.user["username"])
    noon.shift(QUARTER)

    assert (await attempt(elsewhere, person.user["username"], person.password)).status_code == 200


async def test_the_window_slides_so_that_one_comes_back_for_each_that_leaves(
    noon: time_machine.Traveller, visit: Visit, name: str, allow: Allow
) -> None:
    allow(2)
    client = visit()
    await fail(client, name)
    noon.shift(300)
    await fail(client, name)
    noon.shift(600)
    await fail(client, name)

    assert seconds(await attempt(client, name)) == 300


async def test_what_is_refused_is_not_counted(
    noon: time_machine.Traveller, visit: Visit, name: str, allow: Allow
) -> None:
    """ASVS 5.0 6.1.1: a flood keeps nobody out for longer than the limit says."""
    allow(2)
    client = visit()
    await fail(client, name, 2)
    noon.shift(600)
    assert await at_once(*(attempt(client, name) for _ in range(4))) == {429: 4}
    noon.shift(300)

    assert await tries_left(client, name) == 2


@on_sqlite
async def test_another_name_at_the_same_address_is_free(visit: Visit, name: str, allow: Allow) -> None:
    allow(1)
    client = visit()
    await fail(client, name)

    assert await tries_left(client, f"{name}-2") == 1


@on_sqlite
async def test_the_same_name_at_another_address_is_free(visit: Visit, name: str, allow: Allow) -> None:
    allow(1)
    await fail(visit(), name)

    assert await tries_left(visit(), name) == 1


@pytest.mark.wire
@pytest.mark.parametrize(
    "spelled",
    ["nobody-{n}", "NOBODY-{n}", " nobody-{n}", "nobody-{n}\t\n", "ｎobody-{n}"],
    ids=["same", "capitals", "space", "newline", "wide"],
)
async def test_a_name_is_one_however_it_is_spelled(visit: Visit, spelled: str, allow: Allow) -> None:
    allow(1)
    client, number = visit(), next(numbers)
    await fail(client, f"Nobody-{number}")

    assert status_and_code(await attempt(client, spelled.format(n=number))) == REFUSED


@pytest.mark.wire
@pytest.mark.parametrize("spelled", ["ada-{n}@exämple.com", "ADA-{n}@xn--exmple-cua.com", " Ada-{n}@EXÄMPLE.com "])
async def test_an_address_is_one_however_it_is_spelled(visit: Visit, spelled: str, allow: Allow) -> None:
    allow(1)
    client, number = visit(), next(numbers)
    await fail(client, f"ada-{number}@exämple.com")

    assert status_and_code(await attempt(client, spelled.format(n=number))) == REFUSED


@on_sqlite
async def test_whose_an_address_is_cannot_be_found_out_by_the_limit_of_a_name(
    visit: Visit, person: Person, allow: Allow
) -> None:
    """ASVS 5.0 6.3.8: one count for both would tell a guesser that name and e-mail are one account's."""
    allow(1)
    elsewhere = visit()
    await fail(elsewhere, person.user["username"])

    assert (await attempt(elsewhere, person.user["email"])).status_code == 401


@on_sqlite
async def test_half_of_a_character_in_a_name_breaks_nothing(throttle: StandaloneThrottle) -> None:
    assert (await throttle.count_password("half \ud83c", address())).limits


@on_sqlite
async def test_a_limit_of_one_subject_is_none_of_another_that_reads_alike(throttle: StandaloneThrottle) -> None:
    host = address()
    await fill(throttle, host, HERE)

    assert (await throttle.count_password(host, address())).limits


# --- fifty per address ------------------------------------------------------------------------------------------------


async def test_the_fifty_first_attempt_from_an_address_is_refused_whatever_the_names(
    app: FastAPI, settings: Settings, visit: Visit, name: str
) -> None:
    """ASVS 5.0 6.3.1, OWASP API2 (2023): one password tried on many names (spraying) is counted too."""
    client = visit(host := address())
    await fill(StandaloneThrottle(app, settings), host, 44)
    answers = await at_once(*(attempt(client, f"{name}-{number}") for number in range(8)))

    assert answers == {401: 6, 429: 2}


async def test_a_full_address_lets_nobody_sign_in(visit: Visit, throttle: StandaloneThrottle, person: Person) -> None:
    client = visit(host := address())
    await fill(throttle, host, HERE)

    assert status_and_code(await attempt(client, person.user["username"], person.password)) == REFUSED


@on_sqlite
async def test_another_address_is_free(visit: Visit, throttle: StandaloneThrottle, name: str) -> None:
    await fill(throttle, address(), HERE)

    assert (await attempt(visit(), name)).status_code == 401


@on_sqlite
@pytest.mark.parametrize(("later", "status"), [(QUARTER - 1, 429), (QUARTER, 401)])
async def test_an_address_is_free_again_to_the_second(
    noon: time_machine.Traveller, visit: Visit, throttle: StandaloneThrottle, name: str, later: int, status: int
) -> None:
    client = visit(host := address())
    await fill(throttle, host, HERE)
    noon.shift(later)

    assert (await attempt(client, name)).status_code == status


@on_sqlite
async def test_of_two_limits_the_longer_says_when_to_come_back(
    noon: time_machine.Traveller, visit: Visit, throttle: StandaloneThrottle, name: str, allow: Allow
) -> None:
    allow(1)
    client = visit(host := address())
    await fail(client, name)
    noon.shift(400)
    await fill(throttle, host, HERE - 1)

    assert seconds(await attempt(client, name)) == QUARTER - 400


# --- a hundred per name in a day --------------------------------------------------------------------------------------


@on_mysql
async def test_a_name_is_tried_a_hundred_times_a_day_from_however_many_addresses(
    app: FastAPI, settings: Settings, visit: Visit, person: Person
) -> None:
    """ASVS 5.0 6.3.1, OWASP API2 (2023): many machines guess no faster than one."""
    await flood(StandaloneThrottle(app, settings), person.user["username"], 92)
    crowd = [visit() for _ in range(5)]
    answers = await at_once(*(attempt(it, person.user["username"]) for it in crowd * 2))

    assert answers == {401: 8, 429: 2}


async def test_a_flood_from_elsewhere_refuses_the_right_password_from_a_new_address(
    visit: Visit, throttle: StandaloneThrottle, person: Person
) -> None:
    await flood(throttle, person.user["username"], DAILY)

    assert status_and_code(await attempt(visit(), person.user["username"], person.password)) == REFUSED


async def test_a_flood_from_elsewhere_locks_nobody_out_where_they_have_signed_in_before(
    throttle: StandaloneThrottle, person: Person
) -> None:
    """ASVS 5.0 6.1.1: no malicious account lockout."""
    await flood(throttle, person.user["username"], DAILY)

    assert (await sign_in(person)).status_code == 200


async def test_a_familiar_address_stays_so_after_signing_out(throttle: StandaloneThrottle, person: Person) -> None:
    """ASVS 5.0 6.1.1: no malicious account lockout."""
    refresh_token = (await sign_in(person)).json()["refresh_token"]
    (await person.post("/users/logout", json={"refresh_token": refresh_token})).raise_for_status()
    (await person.delete("/users/me/sessions")).raise_for_status()
    await flood(throttle, person.user["username"], DAILY)

    assert (await sign_in(person)).status_code == 200


async def test_a_familiar_address_stays_so_after_the_password_was_changed_elsewhere(
    visit: Visit, throttle: StandaloneThrottle, person: Person
) -> None:
    """ASVS 5.0 6.1.1: no malicious account lockout."""
    elsewhere, new = visit(), "another walk along the sea"
    token = (await attempt(elsewhere, person.user["username"], person.password)).json()["access_token"]
    words = {"current_password": person.password, "new_password": new}
    changed = await elsewhere.put("/users/me/password", json=words, headers={"Authorization": f"Bearer {token}"})
    await flood(throttle, person.user["username"], DAILY)

    answer = await attempt(person, person.user["username"], new)
    assert (changed.status_code, answer.status_code) == (204, 200)


@on_sqlite
async def test_a_familiar_address_stays_so_under_a_new_name(throttle: StandaloneThrottle, person: Person) -> None:
    person.user = (await change_name(person)).json()
    await flood(throttle, person.user["username"], DAILY)

    assert (await sign_in(person)).status_code == 200


@on_sqlite
async def test_a_familiar_address_is_so_for_the_email_too(throttle: StandaloneThrottle, person: Person) -> None:
    await flood(throttle, person.user["email"], DAILY)

    assert (await attempt(person, person.user["email"], person.password)).status_code == 200


async def test_an_address_is_familiar_to_one_account_and_not_to_another(
    visit: Visit, throttle: StandaloneThrottle, person: Person, stranger: Person
) -> None:
    shared = visit(host_of(stranger))
    await flood(throttle, person.user["username"], DAILY)

    assert status_and_code(await attempt(shared, person.user["username"], person.password)) == REFUSED


@on_sqlite
async def test_where_somebody_only_failed_to_sign_in_is_not_familiar(
    visit: Visit, throttle: StandaloneThrottle, person: Person
) -> None:
    elsewhere = visit()
    await fail(elsewhere, person.user["username"])
    await flood(throttle, person.user["username"], DAILY - 1)

    assert status_and_code(await attempt(elsewhere, person.user["username"], person.password)) == REFUSED


@on_sqlite
async def test_a_familiar_address_has_as_many_attempts_as_any_other(
    throttle: StandaloneThrottle, person: Person, allow: Allow
) -> None:
    allow(2)
    await flood(throttle, person.user["username"], DAILY)

    assert await tries_left(person, person.user["username"]) == 2


@on_sqlite
async def test_failures_at_a_familiar_address_take_nothing_from_the_days_hundred(
    visit: Visit, throttle: StandaloneThrottle, person: Person
) -> None:
    await fail(person, person.user["username"])
    await flood(throttle, person.user["username"], DAILY - 1)

    assert (await attempt(visit(), person.user["username"])).status_code == 401


@on_sqlite
async def test_a_neighbour_in_a_familiar_ipv6_network_is_familiar(
    visit: Visit, throttle: StandaloneThrottle, person: Person
) -> None:
    await attempt(visit("2001:db8:5:5::1"), person.user["username"], person.password)
    await flood(throttle, person.user["username"], DAILY)

    answer = await attempt(visit("2001:db8:5:5:ffff::2"), person.user["username"], person.password)
    assert answer.status_code == 200


@on_sqlite
@pytest.mark.parametrize(("later", "status"), [(DAY - 1, 429), (DAY, 401)])
async def test_a_day_is_over_to_the_second(
    noon: time_machine.Traveller, visit: Visit, throttle: StandaloneThrottle, name: str, later: int, status: int
) -> None:
    await flood(throttle, name, DAILY)
    noon.shift(later)

    assert (await attempt(visit(), name)).status_code == status


@on_sqlite
async def test_the_oldest_of_the_days_hundred_says_when_to_come_back(
    noon: time_machine.Traveller, visit: Visit, throttle: StandaloneThrottle, name: str
) -> None:
    await flood(throttle, name, 1)
    noon.shift(HOUR)
    await flood(throttle, name, DAILY - 1)
    noon.shift(HOUR)

    assert seconds(await attempt(visit(), name)) == DAY - 2 * HOUR


# --- unknown names are counted alike ----------------------------------------------------------------------------------

Spent = Callable[[StandaloneThrottle, str, str], Awaitable[None]]


def at_the_name(times: int) -> Spent:
    """So many attempts at the name have failed at the address."""

    async def spend(throttle: StandaloneThrottle, name: str, host: str) -> None:
        for _ in range(times):
            await throttle.count_password(name, host)

    return spend


async def at_the_address(throttle: StandaloneThrottle, _: str, host: str) -> None:
    await fill(throttle, host, HERE)


async def everywhere(throttle: StandaloneThrottle, name: str, _: str) -> None:
    await flood(throttle, name, DAILY)


STAGES: Final[dict[str, Spent]] = {
    "the first": at_the_name(0),
    "the second": at_the_name(1),
    "the fifth": at_the_name(4),
    "the sixth": at_the_name(5),
    "the address is full": at_the_address,
    "the day is full": everywhere,
}


class Told(NamedTuple):
    """What a guesser sees, and what the database was asked for it."""

    status: int
    body: bytes
    headers: dict[str, str]
    asked: list[str]


@on_sqlite
@pytest.mark.parametrize("spent", STAGES.values(), ids=STAGES)
async def test_a_known_name_and_an_unknown_one_are_told_apart_at_no_stage(
    noon: time_machine.Traveller,  # noqa: ARG001
    visit: Visit,
    throttle: StandaloneThrottle,
    statements: Statements,
    person: Person,
    name: str,
    spent: Spent,
) -> None:
    """ASVS 5.0 6.3.8: one answer, with the same headers, after the same work."""

    async def told(name: str) -> Told:
        client = visit(host := address())
        await spent(throttle, name, host)
        with statements() as asked:
            answer = await attempt(client, name, **{"X-Request-ID": "the-same"})
        return Told(answer.status_code, answer.content, dict(answer.headers), asked)

    assert await told(name) == await told(person.user["username"])


async def test_a_wrong_password_asks_the_database_no_more_than_it_must(
    visit: Visit, statements: Statements, person: Person
) -> None:
    with statements() as asked:
        await attempt(visit(), person.user["username"])

    # Who it is, whether they come from there; what was counted; a row made, locked and stored, and what has expired.
    assert len(asked) == 2 + 1 + 5, "\n".join(asked)
    assert asked.count("COMMIT") == 1


# Counting an attempt is a look at what is known, and a transaction of five, before the hash; a password's is taken back
# in one of three, and before it is asked whether the address is familiar.
COUNT: Final = 1 + 5
TAKE_BACK: Final = 1 + 3


# The clock stands: what is taken back has expired a second later, and the next attempt would delete it too.
@pytest.mark.usefixtures("noon")
@pytest.mark.parametrize(
    ("do", "number", "commits"),
    [
        (register_another, COUNT + 5, 2),
        (sign_in, COUNT + TAKE_BACK + 7, 3),
        (change_name, COUNT + TAKE_BACK + COUNT + 7, 4),
        (change_password, COUNT + TAKE_BACK + 7, 3),
        (delete_account, COUNT + TAKE_BACK + 24, 3),
    ],
)
async def test_an_attempt_asks_the_database_no_more_than_it_must(
    person: Person, statements: Statements, do: Do, number: int, commits: int
) -> None:
    with statements() as asked:
        assert (await do(person)).is_success
    assert (len(asked), asked.count("COMMIT")) == (number, commits), "\n".join(asked)


async def test_as_many_sign_ins_at_once_as_may_fail_all_succeed(visit: Visit, person: Person) -> None:
    client = visit()
    answers = await asyncio.gather(*(token_for(client, person.user["username"], person.password) for _ in range(5)))
    assert [answer.status_code for answer in answers] == [200] * 5


async def test_sign_ins_that_succeed_at_once_leave_nothing_counted(app: FastAPI, visit: Visit, person: Person) -> None:
    client, name = visit(), person.user["username"]
    await asyncio.gather(*(token_for(client, name, person.password) for _ in range(5)))

    assert await counted(app) == {}


async def test_a_refused_attempt_writes_nothing_and_waits_for_no_lock(
    visit: Visit, statements: Statements, name: str, allow: Allow
) -> None:
    """OWASP API4 (2023)."""
    allow(1)
    client = visit()
    await fail(client, name)
    with statements() as asked:
        await attempt(client, name)

    assert {statement.split()[0] for statement in asked} == {"SELECT"}


# --- what is taken back -----------------------------------------------------------------------------------------------


async def test_a_success_takes_back_its_own_attempt_and_not_the_failures_before_it(
    visit: Visit, person: Person, allow: Allow
) -> None:
    """ASVS 5.0 6.3.1: who has an account of their own resets no count with it."""
    allow(2)
    elsewhere = visit()
    await fail(elsewhere, person.user["username"])
    assert (await attempt(elsewhere, person.user["username"], person.password)).status_code == 200

    assert await tries_left(elsewhere, person.user["username"]) == 1


@on_sqlite
async def test_a_success_takes_nothing_back_of_what_the_address_failed_at(
    visit: Visit, throttle: StandaloneThrottle, person: Person, name: str
) -> None:
    """ASVS 5.0 6.3.1: nor does it reset the count of its address."""
    client = visit(host := address())
    await fill(throttle, host, HERE - 1)
    assert (await attempt(client, person.user["username"], person.password)).status_code == 200

    assert await tries_left(client, name) == 1


@on_sqlite
async def test_a_success_takes_nothing_back_of_the_days_failures(
    visit: Visit, throttle: StandaloneThrottle, person: Person
) -> None:
    await flood(throttle, person.user["username"], DAILY - 1)
    assert (await attempt(visit(), person.user["username"], person.password)).status_code == 200

    assert await tries_left(visit(), person.user["username"]) == 1


@on_sqlite
async def test_who_knows_the_password_signs_in_as_often_as_they_like(person: Person, allow: Allow) -> None:
    allow(1)
    assert [(await sign_in(person)).status_code for _ in range(3)] == [200] * 3


async def test_a_success_leaves_nothing_counted(app: FastAPI, visit: Visit, person: Person) -> None:
    await attempt(visit(), person.user["username"], person.password)

    assert await counted(app) == {}


async def test_a_success_is_taken_back_though_another_clock_is_behind(
    noon: time_machine.Traveller, throttle: StandaloneThrottle, visit: Visit, name: str
) -> None:
    host = address()
    right = await throttle.count_password(name, host)
    noon.shift(-1)
    await throttle.count_password(name, host)
    noon.shift(1)
    await throttle.take_back(right)

    assert await tries_left(visit(host), name) == 4


@on_sqlite
@pytest.mark.parametrize(
    ("method", "path", "wanted"),
    [
        ("PATCH", "/users/me", {"username": "another-name"}),
        ("PATCH", "/users/me", {"currency": "USD"}),
        ("PUT", "/users/me/password", {"new_password": "another walk along the sea"}),
        ("DELETE", "/users/me", {}),
    ],
    ids=["rename", "needlessly", "new password", "delete"],
)
async def test_a_wrong_current_password_counts_and_is_limited(
    person: Person, method: str, path: str, wanted: dict[str, str], allow: Allow
) -> None:
    """ASVS 5.0 6.3.1: a stolen token guesses no password. Never a 401: a client's refresh loop must not start."""
    allow(1)
    body = {"current_password": WRONG} | wanted
    answers = [status_and_code(await person.request(method, path, json=body)) for _ in range(2)]

    assert answers == [(422, "wrong_password"), REFUSED]


@on_sqlite
@pytest.mark.parametrize("do", [change_name, change_password, delete_account])
async def test_the_right_current_password_is_refused_too_while_the_name_is_limited(
    person: Person, do: Do, allow: Allow
) -> None:
    allow(1)
    await fail(person, person.user["username"])

    assert status_and_code(await do(person)) == REFUSED


@on_sqlite
async def test_wrong_current_passwords_and_failed_sign_ins_are_counted_together(person: Person, allow: Allow) -> None:
    allow(4)
    await fail(person, person.user["username"])
    await asyncio.gather(
        person.patch("/users/me", json={"currency": "USD", "current_password": WRONG}),
        person.put("/users/me/password", json={"current_password": WRONG, "new_password": "a walk in the woods"}),
    )

    assert await tries_left(person, person.user["username"]) == 1


@on_sqlite
async def test_wrong_current_passwords_are_counted_with_the_day_where_the_account_has_not_signed_in(
    visit: Visit, throttle: StandaloneThrottle, person: Person
) -> None:
    await flood(throttle, person.user["username"], DAILY)
    body = {"current_password": person.password}
    elsewhere = visit()

    answer = await elsewhere.request(
        "DELETE", "/users/me", json=body, headers={"Authorization": f"Bearer {person.token}"}
    )
    assert status_and_code(answer) == REFUSED


@on_sqlite
async def test_a_conflict_after_the_right_current_password_is_not_counted(
    person: Person, stranger: Person, allow: Allow
) -> None:
    allow(1)
    taken = {"username": stranger.user["username"], "current_password": person.password}
    answers = [(await person.patch("/users/me", json=taken)).status_code for _ in range(2)]

    assert (answers, await tries_left(person, person.user["username"])) == ([409] * 2, 1)


@on_sqlite
async def test_a_refusal_after_the_right_current_password_is_not_counted(sign_up: SignUp, allow: Allow) -> None:
    allow(1)
    person = await sign_up(password="walk.along.the.sea")
    wanted = {"username": person.password, "current_password": person.password}
    answers = [status_and_code(await person.patch("/users/me", json=wanted)) for _ in range(2)]

    assert (answers, await tries_left(person, person.user["username"])) == ([(422, "validation_failed")] * 2, 1)


@on_sqlite
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "/users/me", {"username": "another-name"}),
        ("PUT", "/users/me/password", {"current_password": WRONG, "new_password": "iloveyou"}),
        ("DELETE", "/users/me", {}),
        ("POST", "/users/token", {}),
    ],
)
async def test_what_is_refused_before_the_password_is_looked_at_is_not_counted(
    app: FastAPI, person: Person, method: str, path: str, body: dict[str, str]
) -> None:
    answer = await person.request(method, path, json=body)

    assert (answer.status_code in {415, 422}, await counted(app)) == (True, {})


@on_sqlite
@pytest.mark.parametrize("do", [register_another, sign_in, change_name, change_password, delete_account])
async def test_an_attempt_that_finds_no_room_to_hash_is_taken_back(
    app: FastAPI, person: Person, monkeypatch: pytest.MonkeyPatch, do: Do
) -> None:
    """A 503 says that nothing happened."""
    monkeypatch.setattr(app.state.services.accounts._passwords, "_queue", FairTurns(0, 0))
    answer = await do(person)

    assert (status_and_code(answer), await counted(app)) == ((503, "unavailable"), {})


# --- counted before the hash, which holds nothing ---------------------------------------------------------------------

DuringTheHash = Callable[[Callable[[], object]], list[object]]
HASHING: Final = [register_another, sign_in, change_name, change_password, delete_account]


@pytest.fixture
def during_the_hash(monkeypatch: pytest.MonkeyPatch) -> DuringTheHash:
    """Do something in the middle of each hash, and keep what came of it: `seen = during_the_hash(look)`."""

    def arrange(do: Callable[[], object]) -> list[object]:
        hashpw, came = bcrypt.hashpw, []

        def interrupted(password: bytes, salt: bytes) -> bytes:
            came.append(do())
            return hashpw(password, salt)

        monkeypatch.setattr(bcrypt, "hashpw", interrupted)
        return came

    return arrange


@pytest.fixture
def another_process(outside: Connection) -> Callable[[str], int]:
    """Run one statement as another process does, and say how many rows it found; it waits for no lock."""
    impatience = {"mysql": "SET SESSION innodb_lock_wait_timeout = 1", "sqlite": "PRAGMA busy_timeout = 0"}
    outside.execute(text(impatience[outside.dialect.name]))
    outside.commit()

    def run(statement: str) -> int:
        with outside.begin():
            result = outside.execute(text(statement))
            return len(result.all()) if result.returns_rows else result.rowcount

    return run


@on_mysql
@pytest.mark.parametrize(("do", "subjects"), list(zip(HASHING, [1, 2, 2, 2, 2], strict=True)))
async def test_an_attempt_is_there_for_all_to_see_before_the_hash(
    person: Person,
    during_the_hash: DuringTheHash,
    another_process: Callable[[str], int],
    do: Do,
    subjects: int,
) -> None:
    """ASVS 5.0 6.3.1, OWASP API2 (2023): whoever ends the process meanwhile, or comes elsewhere, wins nothing."""
    seen = during_the_hash(lambda: another_process("SELECT subject FROM attempts"))
    await do(person)

    assert seen[0] == subjects


@on_sqlite
@pytest.mark.parametrize("do", HASHING)
async def test_no_connection_is_held_while_hashing(
    app: FastAPI, person: Person, during_the_hash: DuringTheHash, do: Do
) -> None:
    pools = app.state.services.database.pools
    seen = during_the_hash(lambda: tuple(pool.in_use for pool in pools))
    assert (await do(person)).is_success

    assert set(seen) == {(0, 0)}


@pytest.mark.parametrize("do", HASHING)
async def test_no_lock_is_held_while_hashing(
    person: Person, during_the_hash: DuringTheHash, another_process: Callable[[str], int], do: Do
) -> None:
    locked = (
        "attempts SET expires_at = expires_at",
        "users SET currency = currency",
        "ledgers SET revision = revision",
    )
    wrote = during_the_hash(lambda: [another_process(f"UPDATE {it}") > 0 for it in locked])
    assert (await do(person)).is_success

    assert wrote == [[True] * 3] * len(wrote)
    assert wrote


# --- exact, however many at once --------------------------------------------------------------------------------------


@pytest.fixture
async def second(settings: Settings) -> AsyncIterator[FastAPI]:
    """Another app on the same database."""
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        yield app


async def test_of_twenty_at_once_five_are_let_through_and_hashed(
    visit: Visit, person: Person, hashes: list[bytes]
) -> None:
    """ASVS 5.0 6.3.1, OWASP API2 and API4 (2023): parallel requests win nothing."""
    elsewhere = visit()

    answers = await at_once(*(attempt(elsewhere, person.user["username"]) for _ in range(20)))
    assert (answers, len(hashes)) == ({401: 5, 429: 15}, 5)


@on_mysql
async def test_of_twenty_at_once_over_two_apps_five_are_let_through(
    visit: Visit, second: FastAPI, person: Person, hashes: list[bytes]
) -> None:
    """ASVS 5.0 6.3.1, OWASP API2 (2023): another worker counts on."""
    host = address()
    both = [visit(host), visit(host, second)] * 10

    answers = await at_once(*(attempt(it, person.user["username"]) for it in both))
    assert (answers, len(hashes)) == ({401: 5, 429: 15}, 5)


@on_sqlite
async def test_of_twenty_at_once_at_two_processes_five_are_let_through_and_a_restart_forgets_none(
    visit: Visit, settings: Settings, sqlite_url: str, name: str
) -> None:
    """ASVS 5.0 6.3.1, OWASP API2 (2023): neither a process more nor a new one begins to count at nought."""
    environment = sharing(settings, sqlite_url)
    here = visit("127.0.0.1")
    with Service(environment) as other:
        async with _client(other.url) as there:
            answers = await at_once(*(attempt(it, name) for it in [here, there] * 10))
        other.kill()
    with Service(environment) as restarted:
        async with _client(restarted.url) as client:
            afterwards = await attempt(client, name)
    assert (answers, status_and_code(afterwards)) == ({401: 5, 429: 15}, REFUSED)


def _client(url: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, timeout=20, trust_env=False)


@on_mysql
async def test_many_names_at_many_addresses_at_once_break_nothing(
    visit: Visit, app_that_waits: FastAPI, name: str
) -> None:
    """OWASP API4 (2023): rows that are locked in one order lead to no deadlock that a client would see."""
    crowd = [visit(at=app_that_waits) for _ in range(6)]
    pairs = [(it, f"{name}-{number}") for it in crowd for number in range(6)]

    assert await at_once(*(attempt(it, named) for it, named in pairs)) == {401: 36}


@on_sqlite
async def test_rows_are_locked_in_one_order_whatever_the_names(throttle: StandaloneThrottle) -> None:
    """OWASP API4 (2023): two requests that share two rows would otherwise wait for each other."""
    counted = [await throttle.count_password(f"somebody-{next(numbers)}", address()) for _ in range(8)]

    assert [list(it.limits) for it in counted] == [sorted(it.limits) for it in counted]


async def test_many_at_once_are_counted_one_by_one(visit: Visit, app_that_waits: FastAPI, name: str) -> None:
    """ASVS 5.0 6.3.1, OWASP API2 (2023)."""
    crowd = [visit(at=app_that_waits) for _ in range(2)]
    pairs = [(it, f"{name}-{number}") for it in crowd for number in range(2)]
    assert await at_once(*(attempt(it, named) for it, named in pairs * 5)) == {401: 20}

    assert await at_once(*(attempt(it, named) for it, named in pairs)) == {429: 4}


async def test_successes_amid_failures_are_taken_back_one_by_one(
    visit: Visit, app_that_waits: FastAPI, person: Person, name: str
) -> None:
    crowd = [visit(at=app_that_waits) for _ in range(3)]
    right = [attempt(it, person.user["username"], person.password) for it in crowd * 2]
    wrong = [attempt(it, f"{name}-{number}") for number in range(4) for it in crowd]
    assert await at_once(*(it for pair in zip(wrong, right, strict=False) for it in pair), *wrong[6:]) == {
        200: 6,
        401: 12,
    }

    # Each name once at each address: twelve pairs, four at each of three addresses, three of each of four names.
    assert Counter((await counted(app_that_waits)).values()) == {1: 12, 4: 3, 3: 4}


async def test_equal_registrations_at_once_are_all_counted(visit: Visit, app: FastAPI) -> None:
    client, name = visit(), f"new-{next(numbers)}"
    form = {"username": name, "email": f"{name}@example.com"}
    assert await at_once(*(registered(client, **form) for _ in range(6))) == {201: 1, 409: 5}

    # One that loses the race for the name is run again, and counted again.
    assert next(iter((await counted(app)).values())) >= 6


@on_sqlite
async def test_a_new_name_counts_as_a_registration(visit: Visit, throttle: StandaloneThrottle, person: Person) -> None:
    """OWASP API6 (2023): it tells as much of who has an account."""
    client = visit(host := address())
    client.headers["Authorization"] = person.headers["Authorization"]
    await fill_the_register(throttle, host)
    body = {"username": f"renamed-{next(numbers)}", "current_password": person.password}

    assert status_and_code(await client.patch("/users/me", json=body)) == REFUSED


@on_sqlite
@pytest.mark.parametrize("field", ["username", "email"])
async def test_the_name_that_one_has_counts_as_no_registration(
    visit: Visit, throttle: StandaloneThrottle, person: Person, field: str
) -> None:
    client = visit(host := address())
    client.headers["Authorization"] = person.headers["Authorization"]
    await fill_the_register(throttle, host)
    body = {field: person.user[field], "current_password": person.password}

    assert (await client.patch("/users/me", json=body)).status_code == 200


# --- where an attempt comes from --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
async def behind_a_proxy(settings: Settings) -> AsyncIterator[FastAPI]:
    """An app that believes the proxies of one network, and lets one attempt at a name from an address fail."""
    app = create_app(settings.model_copy(update={"trusted_proxies": ("10.9.8.0/24",), "signin_per_name": 1}))
    async with app.router.lifespan_context(app):
        yield app


async def two_from(client: httpx.AsyncClient, name: str, forwarded: Callable[[int], str]) -> list[int]:
    """Fail to sign in twice, with these X-Forwarded-For."""
    tries = [await attempt(client, name, **{"X-Forwarded-For": forwarded(number)}) for number in range(2)]
    return [answer.status_code for answer in tries]


def made_up(number: int) -> str:
    return f"203.0.113.{number}"


@on_sqlite
async def test_a_made_up_forwarded_for_makes_no_new_address(visit: Visit, name: str, allow: Allow) -> None:
    """ASVS 5.0 6.3.1, OWASP API2 (2023): unless TRUSTED_PROXIES says so, the header is anybody's."""
    allow(1)
    assert await two_from(visit(), name, made_up) == [401, 429]


@on_sqlite
async def test_behind_a_proxy_that_is_trusted_clients_are_told_apart(
    visit: Visit, behind_a_proxy: FastAPI, name: str
) -> None:
    proxy = visit("10.9.8.7", behind_a_proxy)

    assert await two_from(proxy, name, made_up) == [401, 401]


@on_sqlite
async def test_behind_a_proxy_that_is_trusted_a_client_is_limited(
    visit: Visit, behind_a_proxy: FastAPI, name: str
) -> None:
    proxies = [visit("10.9.8.7", behind_a_proxy), visit("10.9.8.8", behind_a_proxy)] * 3
    tries = (attempt(it, name, **{"X-Forwarded-For": "198.51.100.1"}) for it in proxies)

    assert await at_once(*tries) == {401: 1, 429: 5}


@on_sqlite
async def test_what_a_client_writes_before_the_proxy_does_is_not_believed(
    visit: Visit, behind_a_proxy: FastAPI, name: str
) -> None:
    """ASVS 5.0 6.3.1: only what the nearest proxy has added tells where a request comes from."""
    proxy = visit("10.9.8.7", behind_a_proxy)

    assert await two_from(proxy, name, lambda it: f"{made_up(it)}, 198.51.100.2") == [401, 429]


@on_sqlite
async def test_who_is_no_trusted_proxy_is_not_believed(visit: Visit, behind_a_proxy: FastAPI, name: str) -> None:
    assert await two_from(visit("10.9.9.7", behind_a_proxy), name, made_up) == [401, 429]


@pytest.mark.wire
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2001:db8:1:{n:x}::1", "2001:db8:1:{n:x}::2"),
        ("2001:db8:1:{n:x}::", "2001:db8:1:{n:x}:ffff:ffff:ffff:ffff"),
        ("2001:db8:1:{n:x}::1", "2001:0DB8:0001:{n:X}:0::1"),
        ("fe80::1%eth0", "fe80::2%wlan0"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::ffff:c000:202", "192.0.2.2"),
    ],
)
async def test_one_network_is_one(visit: Visit, name: str, one: str, other: str, allow: Allow) -> None:
    """ASVS 5.0 6.3.1: whoever has one IPv6 address has the 2^64 of its network."""
    allow(1)
    number = next(numbers)
    await fail(visit(one.format(n=number)), name)

    assert status_and_code(await attempt(visit(other.format(n=number)), name)) == REFUSED


@pytest.mark.wire
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2001:db8:2:{n:x}::1", "2001:db8:3:{n:x}::1"),
        ("2001:db8:4::1", "2001:db8:4:1::1"),
        ("192.0.2.3", "192.0.2.4"),
        ("::ffff:192.0.2.5", "::ffff:192.0.2.6"),
    ],
)
async def test_another_network_is_another(visit: Visit, name: str, one: str, other: str, allow: Allow) -> None:
    allow(1)
    number = next(numbers)
    await fail(visit(one.format(n=number)), name)

    assert (await attempt(visit(other.format(n=number)), name)).status_code == 401


WIDER: Final = pytest.mark.parametrize(
    ("host", "beside", "most"),
    [
        ("2001:db8:7:a1{number:02x}::1", "2001:db8:7:b2ff::1", 2 * HERE),
        ("2001:db8:8:{number:02x}00::1", "2001:db8:9:ff00::1", 4 * HERE),
    ],
    ids=["/56", "/48"],
)
"""Addresses in the networks /64 of a /56 and in the networks /56 of a /48, one beside, and how many attempts fail."""


async def spread(throttle: StandaloneThrottle, host: str, times: int) -> None:
    """Let so many attempts fail in a network, each at another name from another part of the network."""
    for number in range(times):
        await throttle.count_password(f"spread-{number}", host.format(number=number))


@WIDER
async def test_the_parts_of_one_ipv6_network_are_also_counted_together(
    visit: Visit, throttle: StandaloneThrottle, name: str, host: str, beside: str, most: int
) -> None:
    """ASVS 5.0 6.3.1: whoever has a /56 or a /48 has 256 or 65,536 of the networks that are counted one by one."""
    await spread(throttle, host, most - 1)

    assert await tries_left(visit(host.format(number=255)), name) == 1
    assert (await attempt(visit(beside), name)).status_code == 401


@WIDER
async def test_neighbours_lock_nobody_out_where_they_have_signed_in_before(
    visit: Visit,
    throttle: StandaloneThrottle,
    person: Person,
    host: str,
    beside: str,  # noqa: ARG001
    most: int,
) -> None:
    """ASVS 5.0 6.1.1: a provider may share a /48, and even a /56, among its customers."""
    home = visit(host.format(number=255))
    (await attempt(home, person.user["username"], person.password)).raise_for_status()
    await spread(throttle, host, most)

    assert (await attempt(home, person.user["username"], person.password)).status_code == 200


@on_sqlite
async def test_registrations_from_the_parts_of_one_ipv6_network_are_also_counted_together(
    throttle: StandaloneThrottle,
) -> None:
    for number in range(2 * REGISTERED):
        await throttle.count_registration_from(f"2001:db8:a:{number:x}::")

    with pytest.raises(TooManyAttempts):
        await throttle.count_registration_from("2001:db8:a:ff::")
    assert (await throttle.count_registration_from("2001:db8:a:100::")).limits


@on_sqlite
async def test_an_ipv6_sign_in_asks_the_database_no_more_than_another(
    visit: Visit, statements: Statements, name: str
) -> None:
    with statements() as from_ipv4:
        await attempt(visit(), name)
    with statements() as from_ipv6:
        await attempt(visit("2001:db8:b::1"), name)

    assert len(from_ipv6) == len(from_ipv4)


@on_sqlite
async def test_the_hashes_of_one_ipv6_network_take_turns_as_one(
    visit: Visit, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OWASP API4 (2023): with a turn for each /64, whoever has a /48 would have 65,536."""
    turns = list[str]()

    @asynccontextmanager
    async def note_turn(_turns: FairTurns, network: str) -> AsyncIterator[None]:
        turns.append(network)
        yield

    monkeypatch.setattr(FairTurns, "take", note_turn)
    for host in ("2001:db8:c:1::1", "2001:db8:c:ffff::1", "2001:db8:d::1", "192.0.2.77"):
        await attempt(visit(host), name)

    assert turns == ["2001:db8:c::/48", "2001:db8:c::/48", "2001:db8:d::/48", "192.0.2.77"]


@on_sqlite
async def test_who_comes_without_an_address_is_limited_with_all_who_do(app: FastAPI, name: str, allow: Allow) -> None:
    """As behind a Unix socket, whose server was not told which proxy to trust."""
    allow(1)
    async with httpx.AsyncClient(transport=ASGITransport(app, client=None), base_url="http://t") as client:  # type: ignore[arg-type]  # as uvicorn says it
        await fail(client, name)

        assert status_and_code(await attempt(client, name)) == REFUSED


# --- the settings -----------------------------------------------------------------------------------------------------


async def let_through(app: FastAPI, settings: Settings, **knobs: int) -> int:
    """How many of so many attempts one throttle lets through, all at one name and one address, or all of five."""
    throttle, host = StandaloneThrottle(app, settings, **knobs), address()
    name = f"somebody-{next(numbers)}"
    for number in range(5):
        try:
            await throttle.count_password(name, host)
            await throttle.count_registration_from(host)
        except TooManyAttempts:
            return number
    return 5


@on_sqlite
@pytest.mark.parametrize("most", [1, 4])
@pytest.mark.parametrize("knob", UNLIMITED)
async def test_a_limit_is_kept_exactly(app: FastAPI, settings: Settings, knob: str, most: int) -> None:
    """ASVS 5.0 6.1.1: each limit is a setting."""
    assert await let_through(app, settings, **UNLIMITED | {knob: most}) == most


@on_sqlite
async def test_a_limit_that_was_lowered_says_when_there_are_fewer_than_that(
    noon: time_machine.Traveller, app: FastAPI, settings: Settings, visit: Visit, name: str, allow: Allow
) -> None:
    allow(2)
    generous, host = StandaloneThrottle(app, settings, signin_per_name=3), address()
    await at_the_name(1)(generous, name, host)
    noon.shift(100)
    await at_the_name(2)(generous, name, host)

    assert seconds(await attempt(visit(host), name)) == QUARTER


@on_sqlite
@pytest.mark.parametrize("knob", UNLIMITED)
async def test_a_limit_of_nought_is_none(app: FastAPI, settings: Settings, knob: str) -> None:
    others = dict.fromkeys(UNLIMITED, 1_000)

    assert await let_through(app, settings, **others | {knob: 0}) == 5


@on_sqlite
@pytest.mark.parametrize(
    ("knob", "subjects"),
    [("signin_per_name", 2), ("signin_per_address", 2), ("signin_per_name_daily", 2), ("registrations_per_address", 3)],
)
async def test_nothing_is_counted_against_a_limit_of_nought(
    app: FastAPI, settings: Settings, name: str, knob: str, subjects: int
) -> None:
    throttle, host = StandaloneThrottle(app, settings, **{knob: 0}), address()
    await throttle.count_password(name, host)
    await throttle.count_registration_from(host)

    assert len(await counted(app)) == subjects + (knob != "registrations_per_address")


@pytest.fixture
def unlimited(app: FastAPI, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """No limit is set."""
    none = StandaloneThrottle(app, settings, **UNLIMITED)
    monkeypatch.setattr(app.state.services.accounts, "_throttle", none)


@on_sqlite
@pytest.mark.usefixtures("unlimited")
async def test_without_limits_a_wrong_password_asks_who_it_is_and_no_more(
    visit: Visit, statements: Statements, person: Person
) -> None:
    with statements() as asked:
        await attempt(visit(), person.user["username"])

    assert len(asked) == 1, "\n".join(asked)


@on_sqlite
@pytest.mark.usefixtures("unlimited")
@pytest.mark.parametrize("do", HASHING)
async def test_without_limits_nothing_is_counted(person: Person, statements: Statements, do: Do) -> None:
    with statements() as asked:
        assert (await do(person)).is_success

    assert [it for it in asked if "attempts" in it] == []
    assert asked.count("COMMIT") == 1


# --- registrations ----------------------------------------------------------------------------------------------------


async def test_the_twenty_first_registration_of_an_hour_is_refused(
    app: FastAPI, settings: Settings, visit: Visit
) -> None:
    """ASVS 5.0 6.1.1, OWASP API4 (2023): nobody opens accounts by the thousand."""
    client = visit(host := address())
    await fill_the_register(StandaloneThrottle(app, settings), host, 15)

    assert await at_once(*(registered(client) for _ in range(7))) == {201: 5, 429: 2}


async def test_a_taken_name_is_counted_too(visit: Visit, throttle: StandaloneThrottle, person: Person) -> None:
    """ASVS 5.0 6.3.8: or the register would say of any number of names whether they are somebody's."""
    client = visit(host := address())
    await fill_the_register(throttle, host, REGISTERED - 1)
    answers = [await registered(client, username=person.user["username"]) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [409, 429]


@on_sqlite
@pytest.mark.parametrize("wrong", [{"username": "x"}, {"email": "y"}, {"password": "iloveyou"}, {"password": "short"}])
async def test_an_invalid_registration_is_not_counted(visit: Visit, app: FastAPI, wrong: dict[str, str]) -> None:
    answer = await registered(visit(), **wrong)

    assert (answer.status_code, await counted(app)) == (422, {})


async def fill_the_register(throttle: StandaloneThrottle, host: str, times: int = REGISTERED) -> None:
    await throttle.remember(times, throttle._registrations, "registration", host)


@on_sqlite
async def test_the_oldest_registration_of_the_hour_says_when_to_come_back(
    noon: time_machine.Traveller, visit: Visit, throttle: StandaloneThrottle
) -> None:
    client = visit(host := address())
    await fill_the_register(throttle, host, 1)
    noon.shift(60)
    await fill_the_register(throttle, host, REGISTERED - 1)
    noon.shift(60)

    assert seconds(await registered(client)) == HOUR - 120


@on_sqlite
@pytest.mark.parametrize(("later", "status"), [(HOUR - 1, 429), (HOUR, 201)])
async def test_an_hour_is_over_to_the_second(
    noon: time_machine.Traveller, visit: Visit, throttle: StandaloneThrottle, later: int, status: int
) -> None:
    client = visit(host := address())
    await fill_the_register(throttle, host)
    noon.shift(later)

    assert (await registered(client)).status_code == status


@on_sqlite
async def test_at_another_address_registering_goes_on(visit: Visit, throttle: StandaloneThrottle) -> None:
    await fill_the_register(throttle, address())

    assert (await registered(visit())).status_code == 201


@on_sqlite
async def test_registrations_are_counted_by_ipv6_network(visit: Visit, throttle: StandaloneThrottle) -> None:
    await fill_the_register(throttle, "2001:db8:6:6::")

    assert status_and_code(await registered(visit("2001:db8:6:6::7"))) == REFUSED


@on_sqlite
async def test_registrations_and_sign_ins_are_counted_apart(
    visit: Visit, throttle: StandaloneThrottle, name: str
) -> None:
    client = visit(host := address())
    await fill_the_register(throttle, host)
    await fill(throttle, host, HERE - 1)

    assert await tries_left(client, name) == 1


@on_sqlite
async def test_a_refused_registration_costs_no_hash(
    visit: Visit, throttle: StandaloneThrottle, hashes: list[bytes]
) -> None:
    """OWASP API4 (2023)."""
    client = visit(host := address())
    await fill_the_register(throttle, host)
    await registered(client)

    assert hashes == []


# --- what is kept -----------------------------------------------------------------------------------------------------


async def rows(app: FastAPI) -> list[dict[str, Any]]:
    """All that is kept of attempts."""
    table = select(AttemptCounter.subject, AttemptCounter.instants, AttemptCounter.expires_at)
    async with app.state.services.database.new_unit() as unit:
        return [row._asdict() for row in await (await unit.connection()).execute(table)]


async def counted(app: FastAPI) -> dict[str, int]:
    """How many attempts are counted against each subject, where there are any."""
    return {row["subject"]: len(row["instants"].split()) for row in await rows(app) if row["instants"]}


async def keep(app: FastAPI, number: int, ago: timedelta) -> None:
    """Keep so many attempts that expired so long ago."""
    instant = now() - ago
    kept = [
        {"subject": f"{it:064x}", "instants": str(int(instant.timestamp())), "expires_at": instant}
        for it in range(number)
    ]
    async with app.state.services.database.new_unit() as unit, unit.begin_separate() as connection:
        await connection.execute(insert(AttemptCounter), kept)


@on_sqlite
async def test_the_table_tells_nobody_who_was_tried_or_from_where(app: FastAPI, visit: Visit, person: Person) -> None:
    """ASVS 5.0 6.3.8: whoever reads the table learns no name, no address and no password."""
    client = visit(host := address())
    await attempt(client, person.user["username"])
    await attempt(client, person.user["email"], "hunter2-hunter2")
    await registered(client, username=person.user["username"])
    kept = str(await rows(app)).lower()

    assert [it for it in (person.user["username"], person.user["email"], host, "hunter2", WRONG) if it in kept] == []


@on_sqlite
async def test_only_who_has_the_key_can_try_who_a_subject_is(app: FastAPI, settings: Settings, name: str) -> None:
    """ASVS 5.0 11.4.1: names and addresses are few enough to be tried one by one."""
    other = settings.model_copy(update={"secret_key": SecretStr(secrets.token_hex(32))})
    one, another, again = [
        await StandaloneThrottle(app, it, **TIGHT).count_password(name, "10.1.1.1")
        for it in (settings, other, settings)
    ]

    assert one.limits.keys().isdisjoint(another.limits)
    assert one.limits == again.limits


async def test_a_failure_is_kept_until_it_counts_no_more(
    noon: time_machine.Traveller,  # noqa: ARG001
    app: FastAPI,
    visit: Visit,
    name: str,
) -> None:
    await attempt(visit(), name)

    kept = sorted((row["expires_at"] - now()).total_seconds() for row in await rows(app))
    assert kept == [QUARTER, QUARTER, DAY]


@pytest.mark.parametrize(("attempts", "left"), [(1, 25), (2, 5), (3, 0)])
async def test_an_attempt_sweeps_at_most_twenty_that_have_expired(
    app: FastAPI, throttle: StandaloneThrottle, name: str, attempts: int, left: int
) -> None:
    """OWASP API4 (2023): the table does not grow for ever, and nobody pays for all of it."""
    await keep(app, 45, timedelta(seconds=1))
    await at_the_name(attempts)(throttle, name, address())

    assert len(await counted(app)) == left + 3


async def test_what_still_counts_is_not_swept(app: FastAPI, throttle: StandaloneThrottle, name: str) -> None:
    await keep(app, 5, timedelta(seconds=-2))
    await at_the_name(1)(throttle, name, address())

    assert len(await counted(app)) == 5 + 3


async def test_what_has_partly_expired_is_not_swept(
    noon: time_machine.Traveller, visit: Visit, throttle: StandaloneThrottle, name: str, allow: Allow
) -> None:
    """ASVS 5.0 6.3.1: somebody else's attempt sweeps away no failure that still counts."""
    allow(2)
    client = visit()
    await fail(client, name)
    noon.shift(600)
    await fail(client, name)
    noon.shift(301)
    await fill(throttle, address(), 1)

    assert await tries_left(client, name) == 1


@on_mysql
async def test_what_another_worker_is_sweeping_is_left_to_it(
    app: FastAPI, outside: Connection, throttle: StandaloneThrottle, name: str
) -> None:
    await keep(app, 5, timedelta(seconds=1))
    outside.execute(text("SELECT subject FROM attempts ORDER BY subject LIMIT 2 FOR UPDATE"))
    await asyncio.wait_for(at_the_name(1)(throttle, name, address()), 3)
    outside.rollback()

    assert len(await counted(app)) == 2 + 3


@on_sqlite
@pytest.mark.parametrize("back", [1, HOUR])
async def test_a_clock_that_was_set_back_keeps_nobody_out_for_longer(
    noon: time_machine.Traveller, visit: Visit, name: str, back: int, allow: Allow
) -> None:
    """ASVS 5.0 6.1.1: fifteen minutes after the clock was set back, attempts of before count no more."""
    allow(1)
    client = visit()
    await fail(client, name)
    noon.shift(-back)
    first = seconds(await attempt(client, name))
    noon.shift(first)

    assert (first <= QUARTER, (await attempt(client, name)).status_code) == (True, 401)


@on_sqlite
async def test_a_clock_that_was_set_back_gives_no_attempts(
    noon: time_machine.Traveller, visit: Visit, name: str, allow: Allow
) -> None:
    """ASVS 5.0 6.3.1: nor does a worker whose clock is behind."""
    allow(1)
    client = visit()
    await fail(client, name)
    noon.shift(-2)

    assert status_and_code(await attempt(client, name)) == REFUSED


# --- what a client is told --------------------------------------------------------------------------------------------


@on_sqlite
async def test_a_refused_sign_in_is_a_problem_in_the_words_of_oauth_too(
    noon: time_machine.Traveller,  # noqa: ARG001
    visit: Visit,
    name: str,
    allow: Allow,
) -> None:
    allow(1)
    client = visit()
    await fail(client, name)
    answer = await attempt(client, name, **{"X-Request-ID": "mine"})
    detail = "Too many attempts: try again in 900 seconds."

    assert answer.json() == {
        "type": "about:blank",
        "title": "Too Many Requests",
        "status": 429,
        "detail": detail,
        "code": "too_many_attempts",
        "request_id": "mine",
        "error": "temporarily_unavailable",
        "error_description": detail,
    }


@on_sqlite
@pytest.mark.parametrize("do", [change_name, change_password, delete_account])
async def test_elsewhere_a_refusal_is_a_problem_and_no_more(person: Person, do: Do, allow: Allow) -> None:
    allow(1)
    await fail(person, person.user["username"])

    members = {"type", "title", "status", "detail", "code", "request_id"}
    assert (await do(person)).json().keys() == members


@on_sqlite
async def test_a_refused_registration_is_a_problem_and_no_more(visit: Visit, throttle: StandaloneThrottle) -> None:
    client = visit(host := address())
    await fill_the_register(throttle, host)

    members = {"type", "title", "status", "detail", "code", "request_id"}
    assert (await registered(client)).json().keys() == members


@on_sqlite
async def test_a_refusal_is_of_the_media_type_of_problems(visit: Visit, name: str, allow: Allow) -> None:
    allow(1)
    client = visit()
    await fail(client, name)

    assert (await attempt(client, name)).headers["Content-Type"] == "application/problem+json"


@on_sqlite
async def test_a_refusal_challenges_for_nothing(visit: Visit, name: str, allow: Allow) -> None:
    allow(1)
    client = visit()
    await fail(client, name)

    assert "WWW-Authenticate" not in (await attempt(client, name)).headers


@on_sqlite
async def test_a_page_may_read_when_to_come_back(visit: Visit, name: str, allow: Allow) -> None:
    allow(1)
    client = visit()
    await fail(client, name)
    answer = await attempt(client, name, Origin="http://localhost:5173")

    exposed = answer.headers["Access-Control-Expose-Headers"].split(", ")
    assert (answer.status_code, "Retry-After" in exposed) == (429, True)


RESPONSES: Final = {it["operationId"]: it["responses"] for it in OPERATIONS.values()}
LIMITED: Final = {"register", "sign_in", "change_me", "change_password", "delete_me"}


def test_the_document_says_of_just_these_that_they_are_limited() -> None:
    documented = {name: responses.get("429", {}) for name, responses in RESPONSES.items()}
    assert {name for name, answer in documented.items() if "too_many_attempts" in str(answer)} == LIMITED


@pytest.mark.parametrize("operation", sorted(LIMITED))
def test_the_document_shows_the_problem(operation: str) -> None:
    examples = RESPONSES[operation]["429"]["content"]["application/problem+json"]["examples"]

    assert examples["too_many_attempts"]["value"]["status"] == 429


@pytest.mark.parametrize("operation", sorted(LIMITED))
def test_the_document_promises_when_to_come_back(operation: str) -> None:
    assert RESPONSES[operation]["429"]["headers"]["Retry-After"]["required"]
