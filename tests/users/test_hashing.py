"""Password hashing: normal form, cost, threads, and the same work for unknown names."""

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable

import anyio
import bcrypt
import httpx
import pytest
from fastapi import FastAPI
from passlib.hash import bcrypt_sha256
from sqlalchemy import select, update

from config import Settings
from infra.fair_turns import FairTurns
from main import create_app
from models import User
from problems import TooManyRequests, Unavailable
from tests.support.accounts import registration, try_to_sign_in
from tests.support.databases import on_sqlite
from tests.support.people import Arrive, Person, forget_attempts, registered, signed_up
from tests.support.statements import Statements
from users.hashing import PasswordHasher, compute_capacity


async def stored_hash(app: FastAPI, person: Person) -> str:
    async with app.state.services.database.new_unit() as unit:
        answer = await (await unit.connection()).execute(select(User.password_hash).where(User.id == person.user["id"]))
        return str(answer.scalar_one())


async def store_hash(app: FastAPI, person: Person, stored: str) -> None:
    async with app.state.services.database.new_unit() as unit:
        connection = await unit.begin()
        await connection.execute(update(User).where(User.id == person.user["id"]).values(password_hash=stored))
        await unit.commit()


async def test_a_password_is_stored_as_bcrypt_over_sha256(app: FastAPI, person: Person) -> None:
    stored = await stored_hash(app, person)
    assert stored.startswith("$bcrypt-sha256$v=2,t=2b,r=4$")
    assert bcrypt_sha256.verify(person.password, stored)


@on_sqlite
async def test_two_users_of_one_password_have_two_hashes(app: FastAPI, person: Person, stranger: Person) -> None:
    assert person.password == stranger.password
    assert await stored_hash(app, person) != await stored_hash(app, stranger)


# --- older hashes -----------------------------------------------------------------------------------------------------


async def test_a_plain_bcrypt_hash_signs_in_and_is_hashed_anew(app: FastAPI, person: Person) -> None:
    await store_hash(app, person, bcrypt.hashpw(person.password.encode(), bcrypt.gensalt(4)).decode())
    await person.sign_in()
    assert (await stored_hash(app, person)).startswith("$bcrypt-sha256$")
    await person.sign_in()


@on_sqlite
@pytest.mark.parametrize("cost", [5, 6])
async def test_a_hash_of_another_cost_is_hashed_anew(app: FastAPI, person: Person, cost: int) -> None:
    await store_hash(app, person, await PasswordHasher(cost).hash(person.password))
    await person.sign_in()
    assert ",r=4$" in await stored_hash(app, person)
    await person.sign_in()


@on_sqlite
async def test_a_wrong_password_leaves_an_older_hash_as_it_is(app: FastAPI, person: Person) -> None:
    older = bcrypt.hashpw(person.password.encode(), bcrypt.gensalt(4)).decode()
    await store_hash(app, person, older)
    assert (await try_to_sign_in(person, "another password")).status_code == 401
    assert await stored_hash(app, person) == older


@on_sqlite
@pytest.mark.parametrize(
    "attempt",
    ["x" * 73, "é" * 128, "with\x00NUL in it", "\ufdfa" * 228],
    ids=["73", "256 bytes", "NUL", "4,104 characters in NFKC"],
)
async def test_no_attempt_is_too_much_for_a_plain_bcrypt_hash(app: FastAPI, person: Person, attempt: str) -> None:
    await store_hash(app, person, bcrypt.hashpw(b"short and old", bcrypt.gensalt(4)).decode())
    assert (await try_to_sign_in(person, attempt)).status_code == 401


@on_sqlite
async def test_a_current_hash_is_left_as_it_is(app: FastAPI, person: Person) -> None:
    before = await stored_hash(app, person)
    await person.sign_in()
    assert await stored_hash(app, person) == before


# --- what hashing costs -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def arrive() -> Arrive:
    """Whoever the tests of passwords are about has registered."""
    return registered


@pytest.fixture
def costs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Write down the cost of every bcrypt from now on."""
    costs: list[str] = []
    hashpw = bcrypt.hashpw

    def counted(password: bytes, salt: bytes) -> bytes:
        costs.append(salt.decode().split("$")[2])
        return hashpw(password, salt)

    monkeypatch.setattr(bcrypt, "hashpw", counted)
    return costs


@on_sqlite
async def test_an_unknown_name_and_a_wrong_password_are_told_apart_by_nobody(
    client: httpx.AsyncClient, person: Person, costs: list[str]
) -> None:
    known, password = person.user["username"], "not the password"
    wrong = await client.post("/users/token", data={"username": known, "password": password}, headers=REQUEST_ID)
    assert costs == ["04"]
    unknown = await client.post("/users/token", data={"username": "nobody", "password": password}, headers=REQUEST_ID)
    assert costs == ["04", "04"]
    assert (wrong.status_code, wrong.json()["code"]) == (401, "invalid_credentials")
    assert (unknown.status_code, unknown.content, unknown.headers) == (401, wrong.content, wrong.headers)


REQUEST_ID = {"X-Request-ID": "the-same"}


async def test_an_unknown_name_asks_the_database_as_much_as_a_wrong_password(
    app: FastAPI, client: httpx.AsyncClient, person: Person, statements: Statements
) -> None:
    await forget_attempts(app)
    with statements() as for_a_known_name:
        await client.post("/users/token", data={"username": person.user["email"], "password": "wrong password"})
    with statements() as for_an_unknown_name:
        await client.post("/users/token", data={"username": "nobody@example.com", "password": "wrong password"})
    assert for_an_unknown_name == for_a_known_name


@on_sqlite
async def test_signing_in_costs_one_hash(person: Person, costs: list[str]) -> None:
    await person.sign_in()
    assert costs == ["04"]


@on_sqlite
async def test_a_request_with_a_token_costs_no_hash(person: Person, costs: list[str]) -> None:
    await person.get("/users/me")
    assert costs == []


@on_sqlite
async def test_an_invalid_registration_costs_no_hash(client: httpx.AsyncClient, costs: list[str]) -> None:
    await client.post("/users/register", json=registration(email="no e-mail"))
    await client.post("/users/register", json=registration(password="iloveyou"))
    assert costs == []


@pytest.mark.parametrize(("cores", "rounds", "most"), [(2, 12, 80), (2, 13, 40), (2, 16, 5), (8, 16, 20), (4, 20, 4)])
def test_no_more_hashes_wait_than_are_done_in_ten_seconds(cores: int, rounds: int, most: int) -> None:
    assert compute_capacity(cores, rounds) == most


@on_sqlite
async def test_too_many_waiting_hashes_are_refused_for_now(
    app: FastAPI, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.state.services.accounts._passwords, "_queue", FairTurns(0, 0))
    answer = await try_to_sign_in(person, person.password)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.json()["error"] == "temporarily_unavailable"
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a niceness for each thread")
async def test_hashes_give_way_to_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    niceness: list[int] = []
    hashpw = bcrypt.hashpw

    def watched(password: bytes, salt: bytes) -> bytes:
        niceness.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return hashpw(password, salt)

    passwords = PasswordHasher(4)
    monkeypatch.setattr(bcrypt, "hashpw", watched)
    await passwords.hash("a walk along the sea")
    passwords.close()
    assert niceness == [2]
    assert os.getpriority(os.PRIO_PROCESS, 0) != 2


async def test_a_hash_that_waits_is_refused_no_more_once_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    passwords = PasswordHasher(4)
    monkeypatch.setattr(passwords, "_queue", FairTurns(1, 1))
    tries = await asyncio.gather(*(passwords.hash("a walk along the sea") for _ in range(5)), return_exceptions=True)
    afterwards = await passwords.hash("a walk along the sea")
    passwords.close()
    assert [isinstance(it, Unavailable) for it in tries] == [False, False, True, True, True]
    assert afterwards.startswith("$bcrypt-sha256$")


@on_sqlite
@pytest.mark.parametrize(
    ("attempt", "refused_at_once"), [("x" * 73, ["04"]), ("with\x00NUL in it", [])], ids=["73", "NUL"]
)
async def test_what_plain_bcrypt_cannot_hash_costs_a_hash_of_today(
    app: FastAPI, person: Person, costs: list[str], attempt: str, refused_at_once: list[str]
) -> None:
    # ASVS 5.0 6.3.8: or the time would tell who has such a hash.
    await store_hash(app, person, bcrypt.hashpw(b"short and old", bcrypt.gensalt(4)).decode())
    costs.clear()
    await try_to_sign_in(person, attempt)
    assert costs == [*refused_at_once, "04"]


@on_sqlite
async def test_an_older_cost_is_tried_once_for_a_wrong_password(app: FastAPI, person: Person, costs: list[str]) -> None:
    await store_hash(app, person, await PasswordHasher(5).hash(person.password))
    costs.clear()
    await try_to_sign_in(person, "not the password")
    assert costs == ["05"]


async def test_as_many_hashes_at_once_as_there_are_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    passwords = PasswordHasher(4)
    running: list[int] = []
    most = 0

    def watched(password: bytes, salt: bytes) -> bytes:
        nonlocal most
        running.append(threading.get_native_id())
        most = max(most, len(running))
        try:
            return hashpw(password, salt)
        finally:
            running.remove(threading.get_native_id())

    hashpw = bcrypt.hashpw
    monkeypatch.setattr(bcrypt, "hashpw", watched)
    await asyncio.gather(*(passwords.hash("a walk along the sea") for _ in range(20)))
    passwords.close()
    assert 1 <= most <= 2


# --- hashing holds nothing --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
async def narrow(settings: Settings) -> AsyncIterator[FastAPI]:
    """An app with a single connection to read and a single one to write, and no patience."""
    app = create_app(settings.model_copy(update={"pool_size": 1, "pool_timeout": 0.5}))
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture(scope="module")
async def reader(narrow: FastAPI) -> AsyncIterator[Person]:
    """Somebody who wants to read."""
    async with signed_up(narrow) as person:
        yield person


@pytest.fixture
async def hasher(narrow: FastAPI) -> AsyncIterator[Person]:
    """Somebody who does what needs a hash."""
    async with signed_up(narrow) as person:
        yield person


async def register_one_more(person: Person) -> httpx.Response:
    name = f"more-{person.user['username']}"
    return await person.post("/users/register", json=registration(username=name, email=f"{name}@example.com"))


async def sign_in(person: Person) -> httpx.Response:
    return await try_to_sign_in(person, person.password)


async def change_name(person: Person) -> httpx.Response:
    name = f"new-{person.user['username']}"
    return await person.patch("/users/me", json={"username": name, "current_password": person.password})


async def change_password(person: Person) -> httpx.Response:
    words = {"current_password": person.password, "new_password": "another walk along the sea"}
    return await person.put("/users/me/password", json=words)


async def delete_account(person: Person) -> httpx.Response:
    return await person.request("DELETE", "/users/me", json={"current_password": person.password})


@pytest.mark.parametrize("do", [register_one_more, sign_in, change_name, change_password, delete_account])
async def test_others_read_and_write_while_a_password_is_hashed(
    reader: Person,
    hasher: Person,
    monkeypatch: pytest.MonkeyPatch,
    do: Callable[[Person], Awaitable[httpx.Response]],
) -> None:
    hashing, others_are_served = threading.Event(), threading.Event()
    hashpw = bcrypt.hashpw

    def slow(password: bytes, salt: bytes) -> bytes:
        hashing.set()
        assert others_are_served.wait(10)
        return hashpw(password, salt)

    monkeypatch.setattr(bcrypt, "hashpw", slow)
    done: list[httpx.Response] = []

    async def hash_something() -> None:
        done.append(await do(hasher))

    async with anyio.create_task_group() as group:
        group.start_soon(hash_something)
        assert await anyio.to_thread.run_sync(hashing.wait, 5)
        read = await reader.get("/users/me")
        wrote = await reader.post("/expenses", json={"amount": "1.00"})
        others_are_served.set()
    assert (read.status_code, wrote.status_code) == (200, 201)
    assert done[0].is_success


async def test_an_account_has_half_of_the_threads_from_however_many_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """ASVS 5.0 15.2.2: whoever tries current passwords leaves threads to those who sign in."""
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    hasher = PasswordHasher(4)
    begun: list[int] = []
    may_end = threading.Event()

    async def hash_for(account: int, network: str) -> None:
        def work() -> None:
            begun.append(account)
            may_end.wait(10)

        await hasher._in_thread(network, account, work)

    jobs = [asyncio.create_task(hash_for(7, f"10.0.0.{number}")) for number in range(4)]
    jobs.append(asyncio.create_task(hash_for(8, "10.0.0.9")))
    while 8 not in begun:  # noqa: ASYNC110  # it is a thread that begins
        await asyncio.sleep(0.01)
    assert sorted(begun) == [7, 7, 8]
    may_end.set()
    await asyncio.gather(*jobs)
    hasher.close()
    assert sorted(begun) == [7, 7, 7, 7, 8]


async def test_a_password_that_was_not_looked_at_is_no_wrong_guess(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> None:
        raise TooManyRequests

    wrong = {"current_password": "not this one", "new_password": "a walk in the mountains"}
    with monkeypatch.context() as patched:
        patched.setattr(PasswordHasher, "_take_share", refuse)
        answers = [await person.put("/users/me/password", json=wrong) for _ in range(12)]
    assert {answer.json()["code"] for answer in answers} == {"too_many_requests"}
    assert (await person.put("/users/me/password", json=wrong)).json()["code"] == "wrong_password"
