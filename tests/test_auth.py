"""Who is calling: only our own fresh token of a living session opens a door, and passwords are hashed with care."""

import asyncio
import base64
import hashlib
import hmac
import json
import threading
import time
import unicodedata
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Literal

import anyio
import bcrypt
import httpx
import pytest
from conftest import Person, SignUp, Statements, _visitor
from fastapi import FastAPI
from passlib.hash import bcrypt_sha256
from sqlalchemy import select, update

import auth
from auth import Passwords
from config import Settings
from main import create_app
from models import User

JWT = {"alg": "HS256", "typ": "JWT"}
HASHES = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}
DAY = 24 * 60 * 60

Claims = dict[str, Any]
Form = Literal["NFC", "NFD", "NFKC", "NFKD"]
Forge = Callable[..., str]


# --- tokens of our own making -----------------------------------------------------------------------------------------


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def decoded(part: str) -> Claims:
    claims: Claims = json.loads(base64.urlsafe_b64decode(part + "=="))
    return claims


@pytest.fixture
def claims(person: Person) -> Claims:
    """What the person's own token says."""
    return decoded(person.token.split(".")[1])


@pytest.fixture
def forge(settings: Settings) -> Forge:
    """Sign any claims under any header with the service's own key."""
    key = settings.signing_key().encode()

    def forge(claims: Claims | list[str], header: Claims | list[str] = JWT) -> str:
        text = f"{encoded(json.dumps(header).encode())}.{encoded(json.dumps(claims).encode())}"
        algorithm = HASHES.get(header["alg"] if isinstance(header, dict) else "", hashlib.sha256)
        return f"{text}.{encoded(hmac.digest(key, text.encode(), algorithm))}"

    return forge


async def bearing(person: httpx.AsyncClient, token: str) -> httpx.Response:
    """Ask for something of one's own with this token."""
    return await person.get("/users/me", headers={"Authorization": f"Bearer {token}"})


def assert_invalid(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


async def test_a_token_says_who_of_which_session_and_until_when(claims: Claims, person: Person) -> None:
    assert claims.keys() == {"iss", "aud", "sub", "sid", "iat", "exp", "jti"}
    assert claims["sub"] == str(person.user["id"])
    assert claims["exp"] - claims["iat"] == 15 * 60
    assert decoded(person.token.split(".", maxsplit=1)[0]) == JWT


async def test_two_tokens_of_one_user_share_neither_session_nor_id(person: Person, claims: Claims) -> None:
    await person.sign_in()
    later = decoded(person.token.split(".")[1])
    assert later["sid"] != claims["sid"]
    assert later["jti"] != claims["jti"]


async def test_what_the_service_would_sign_itself_is_let_in(person: Person, claims: Claims, forge: Forge) -> None:
    assert (await bearing(person, forge(claims))).status_code == 200


async def test_a_key_id_in_the_header_is_fine(person: Person, claims: Claims, forge: Forge) -> None:
    assert (await bearing(person, forge(claims, JWT | {"kid": "2026"}))).status_code == 200


@pytest.mark.parametrize("missing", ["iss", "aud", "sub", "sid", "iat", "exp", "jti"])
async def test_every_claim_is_required(person: Person, claims: Claims, forge: Forge, missing: str) -> None:
    del claims[missing]
    assert_invalid(await bearing(person, forge(claims)))


NOW = int(time.time())
WRONG: dict[str, Claims] = {
    "issued by somebody else": {"iss": "somebody-else"},
    "issued by nobody": {"iss": ""},
    "for another service": {"aud": "another-api"},
    "for other services": {"aud": ["another-api"]},
    "user by name": {"sub": "ada"},
    "user of no digits": {"sub": ""},
    "negative user": {"sub": "-1"},
    "broken user": {"sub": "1.0"},
    "user as a number": {"sub": 1},
    "no user": {"sub": None},
    "user of 30 digits": {"sub": "9" * 30},
    "session as a number": {"sid": 1},
    "session as a list": {"sid": ["a"]},
    "session of half a character": {"sid": "\ud800"},
    "no such session": {"sid": "0" * 32},
    "issued in an hour": {"iat": NOW + 3600, "exp": NOW + 3660},
    "issued as text": {"iat": str(NOW)},
    "issued at half a second": {"iat": NOW + 0.5},
    "issued never": {"iat": None},
    "expires as text": {"exp": str(NOW + 600)},
    "expires at half a second": {"exp": NOW + 600.5},
    "expires never": {"exp": None},
    "expires after the sun": {"exp": 1e300},
    "good for a day": {"exp": NOW + DAY},
    "was good for a day": {"iat": NOW - DAY, "exp": NOW + 600},
    "good from later on": {"nbf": NOW + 600},
    "token id as a number": {"jti": 1},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
async def test_a_wrong_claim_is_refused(person: Person, claims: Claims, forge: Forge, wrong: Claims) -> None:
    assert_invalid(await bearing(person, forge(claims | wrong)))


async def test_a_lifetime_may_be_as_long_as_configured_and_no_second_longer(
    person: Person, claims: Claims, forge: Forge
) -> None:
    assert_invalid(await bearing(person, forge(claims | {"exp": claims["iat"] + 15 * 60 + 1})))


async def test_claims_that_are_no_object_are_refused(person: Person, forge: Forge) -> None:
    assert_invalid(await bearing(person, forge(["iss", "aud", "sub", "sid", "iat", "exp", "jti"])))


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"},
        {"alg": "None"},
        {"alg": "HS384"},
        {"alg": "HS512"},
        {"alg": "RS256"},
        {"alg": "hs256"},
        {"typ": "JWT"},
        JWT | {"crit": ["exp"]},
        JWT | {"crit": ["b64"], "b64": False},
        JWT | {"jku": "https://evil.example/keys"},
        JWT | {"jwk": {"kty": "oct", "k": "AAAA"}},
        JWT | {"x5u": "https://evil.example/"},
        ["alg"],
    ],
    ids=str,
)
async def test_another_header_is_refused(
    person: Person, claims: Claims, forge: Forge, header: Claims | list[str]
) -> None:
    assert_invalid(await bearing(person, forge(claims, {"alg": ""} | header if isinstance(header, dict) else header)))


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
async def test_an_unsigned_token_is_refused(person: Person, claims: Claims, forge: Forge, algorithm: str) -> None:
    unsigned, _, _ = forge(claims, {"alg": algorithm}).rpartition(".")
    assert_invalid(await bearing(person, f"{unsigned}."))


async def test_a_changed_signature_is_refused(person: Person) -> None:
    unsigned, _, signature = person.token.rpartition(".")
    assert_invalid(await bearing(person, f"{unsigned}.{signature[1:]}{signature[0]}"))


async def test_changed_claims_are_refused(person: Person, claims: Claims, stranger: Person) -> None:
    header, _, signature = person.token.split(".")
    changed = claims | {"sub": str(stranger.user["id"])}
    assert_invalid(await bearing(person, f"{header}.{encoded(json.dumps(changed).encode())}.{signature}"))


async def test_another_users_session_does_not_let_in(
    person: Person, stranger: Person, claims: Claims, forge: Forge
) -> None:
    theirs = decoded(stranger.token.split(".")[1])
    assert_invalid(await bearing(person, forge(claims | {"sid": theirs["sid"]})))


@pytest.mark.parametrize(
    "token",
    [
        "[" * 1500,
        encoded(b"[" * 750),
        encoded(b"[" * 600) + "." + encoded(b"[" * 100) + ".",
        encoded(b'{"a":' * 150),
        "." * 1000,
        "..",
        "a.b.c",
        "a.b.c.d.e",
        "=.=.=",
        encoded(b"\xff\xfe{}") + ".e30.e30",
        encoded(b"null") + ".e30.e30",
        encoded(b"7") + ".e30.e30",
        encoded(b'"alg"') + ".e30.e30",
        "Bearer",
        "two tokens",
        "x" * 100_000,
    ],
    ids=lambda token: f"{token[:12]} of {len(token)}",
)
async def test_what_is_no_token_is_refused(client: httpx.AsyncClient, token: str) -> None:
    assert_invalid(await bearing(client, token))


async def test_a_token_of_foreign_letters_is_refused(client: httpx.AsyncClient) -> None:
    assert_invalid(await client.get("/users/me", headers={b"Authorization": b"Bearer t\xf6ken"}))


async def test_an_expired_token_says_what_to_press(person: Person, claims: Claims, forge: Forge) -> None:
    answer = await bearing(person, forge(claims | {"iat": NOW - 1000, "exp": NOW - 100}))
    assert (answer.status_code, answer.json()["code"]) == (401, "token_expired")
    assert "press Authorize again" in answer.json()["detail"]
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


# --- the header -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_schemes_case_does_not_matter(person: Person, scheme: str) -> None:
    answer = await person.get("/users/me", headers={"Authorization": f"{scheme} {person.token}"})
    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/users/me", "/expenses", "/categories"])
@pytest.mark.parametrize("header", ["", "Basic Og==", "Bearer", "Bearer ", "Token abc", "Bearer\tabc"])
async def test_without_a_bearer_token_the_answer_asks_to_sign_in(
    client: httpx.AsyncClient, path: str, header: str
) -> None:
    answer = await client.get(path, headers={"Authorization": header} if header else {})
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_a_token_in_the_query_does_not_let_in(client: httpx.AsyncClient, person: Person) -> None:
    answer = await client.get("/users/me", params={"access_token": person.token})
    assert answer.status_code == 401


# --- passwords --------------------------------------------------------------------------------------------------------


async def stored_hash(app: FastAPI, person: Person) -> str:
    async with app.state.database.unit() as unit:
        answer = await (await unit.reader()).execute(select(User.password_hash).where(User.id == person.user["id"]))
        return str(answer.scalar_one())


async def store_hash(app: FastAPI, person: Person, stored: str) -> None:
    async with app.state.database.unit() as unit:
        connection = await unit.begin()
        await connection.execute(update(User).where(User.id == person.user["id"]).values(password_hash=stored))
        await unit.commit()


async def try_to_sign_in(person: Person, password: str) -> httpx.Response:
    return await person.post("/users/token", data={"username": person.user["username"], "password": password})


async def test_a_password_is_stored_as_bcrypt_over_sha256(app: FastAPI, person: Person) -> None:
    stored = await stored_hash(app, person)
    assert stored.startswith("$bcrypt-sha256$v=2,t=2b,r=4$")
    assert bcrypt_sha256.verify(person.password, stored)


async def test_two_users_of_one_password_have_two_hashes(app: FastAPI, person: Person, stranger: Person) -> None:
    assert person.password == stranger.password
    assert await stored_hash(app, person) != await stored_hash(app, stranger)


@pytest.mark.parametrize(
    "password",
    ["a" * 127 + "!", "🌊" * 128, "tab\tand\nnewline", "  spaces around  ", "a\x00b and the rest", "héllo wörld"],
    ids=["128 letters", "128 emoji", "controls", "spaces", "NUL", "accents"],
)
async def test_any_characters_make_a_password(sign_up: SignUp, password: str) -> None:
    person = await sign_up(password=password)
    assert (await try_to_sign_in(person, password)).status_code == 200


@pytest.mark.parametrize("ending", ["\x00", "\x00x", "!", " "])
async def test_what_follows_the_password_matters(person: Person, ending: str) -> None:
    assert (await try_to_sign_in(person, person.password + ending)).status_code == 401


async def test_what_follows_the_72nd_byte_matters(sign_up: SignUp) -> None:
    person = await sign_up(password="the same seventy-two bytes " * 3 + "one")
    assert (await try_to_sign_in(person, "the same seventy-two bytes " * 3 + "two")).status_code == 401


@pytest.mark.parametrize("typed", ["NFC", "NFD", "NFKC", "NFKD"])
@pytest.mark.parametrize("chosen", ["NFC", "NFD"])
async def test_a_password_is_the_same_however_the_keyboard_composes_it(
    sign_up: SignUp, chosen: Form, typed: Form
) -> None:
    password = "Ångström ﬁnds café"
    person = await sign_up(password=unicodedata.normalize(chosen, password))
    assert (await try_to_sign_in(person, unicodedata.normalize(typed, password))).status_code == 200


def registration(**overrides: object) -> dict[str, object]:
    return {"username": "weakling", "email": "weak.ling@example.com", "password": "a walk along the sea"} | overrides


async def refused(client: httpx.AsyncClient, password: object) -> tuple[str, str]:
    answer = await client.post("/users/register", content=json.dumps(registration(password=password)), headers=AS_JSON)
    assert answer.status_code == 422, answer.text
    (entry,) = answer.json()["errors"]
    return entry["pointer"], entry["code"]


AS_JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("", "too_short"),
        ("1234567", "too_short"),
        ("🌊" * 7, "too_short"),
        ("a\u0301" * 7, "too_short"),
        ("x" * 129, "too_long"),
        ("ﬃ" * 43, "too_long"),
        ("password1", "not_allowed"),
        ("PassWord1", "not_allowed"),
        ("iloveyou", "not_allowed"),
        ("12345678", "not_allowed"),
        ("weakling", "not_allowed"),
        ("WeakLing", "not_allowed"),
        ("weak.ling@example.com", "not_allowed"),
        ("Weak.Ling@Example.COM", "not_allowed"),
        ("half of a character \ud83c", "malformed"),
        (None, "wrong_type"),
        (12345678901, "wrong_type"),
    ],
)
async def test_a_password_that_anyone_would_try_first_is_refused(
    client: httpx.AsyncClient, password: object, code: str
) -> None:
    assert await refused(client, password) == ("/password", code)


async def test_a_refused_password_is_not_echoed(client: httpx.AsyncClient) -> None:
    answer = await client.post("/users/register", json=registration(password="iloveyou"))
    assert "iloveyou" not in answer.text


async def test_a_ligature_counts_as_its_letters(sign_up: SignUp) -> None:
    person = await sign_up(password="ﬃﬃﬃ")
    assert (await try_to_sign_in(person, "ffiffiffi")).status_code == 200


async def test_the_least_length_is_a_setting(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"password_min_length": 15}))
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=_visitor(app), base_url="http://t") as one:
        assert await refused(one, "fourteen chars") == ("/password", "too_short")


async def test_half_of_a_character_is_no_password_to_sign_in_with(person: Person) -> None:
    form = f"username={person.user['username']}&password=%ED%A0%BC"
    answer = await person.post(
        "/users/token", content=form, headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert answer.status_code in (401, 422)


# --- older hashes -----------------------------------------------------------------------------------------------------


async def test_a_plain_bcrypt_hash_signs_in_and_is_hashed_anew(app: FastAPI, person: Person) -> None:
    await store_hash(app, person, bcrypt.hashpw(person.password.encode(), bcrypt.gensalt(4)).decode())
    await person.sign_in()
    assert (await stored_hash(app, person)).startswith("$bcrypt-sha256$")
    await person.sign_in()


@pytest.mark.parametrize("cost", [5, 6])
async def test_a_hash_of_another_cost_is_hashed_anew(app: FastAPI, person: Person, cost: int) -> None:
    await store_hash(app, person, await Passwords(cost).hash(person.password))
    await person.sign_in()
    assert ",r=4$" in await stored_hash(app, person)
    await person.sign_in()


async def test_a_wrong_password_leaves_an_older_hash_as_it_is(app: FastAPI, person: Person) -> None:
    older = bcrypt.hashpw(person.password.encode(), bcrypt.gensalt(4)).decode()
    await store_hash(app, person, older)
    assert (await try_to_sign_in(person, "another password")).status_code == 401
    assert await stored_hash(app, person) == older


@pytest.mark.parametrize("attempt", ["x" * 73, "é" * 128, "with\x00NUL in it"], ids=["73", "256 bytes", "NUL"])
async def test_no_attempt_is_too_much_for_a_plain_bcrypt_hash(app: FastAPI, person: Person, attempt: str) -> None:
    await store_hash(app, person, bcrypt.hashpw(b"short and old", bcrypt.gensalt(4)).decode())
    assert (await try_to_sign_in(person, attempt)).status_code == 401


async def test_a_current_hash_is_left_as_it_is(app: FastAPI, person: Person) -> None:
    before = await stored_hash(app, person)
    await person.sign_in()
    assert await stored_hash(app, person) == before


# --- what hashing costs -----------------------------------------------------------------------------------------------


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
    client: httpx.AsyncClient, person: Person, statements: Statements
) -> None:
    with statements() as for_a_known_name:
        await client.post("/users/token", data={"username": person.user["email"], "password": "wrong password"})
    with statements() as for_an_unknown_name:
        await client.post("/users/token", data={"username": "nobody@example.com", "password": "wrong password"})
    assert for_an_unknown_name == for_a_known_name


async def test_signing_in_costs_one_hash(person: Person, costs: list[str]) -> None:
    await person.sign_in()
    assert costs == ["04"]


async def test_a_request_with_a_token_costs_no_hash(person: Person, costs: list[str]) -> None:
    await person.get("/users/me")
    assert costs == []


async def test_an_invalid_registration_costs_no_hash(client: httpx.AsyncClient, costs: list[str]) -> None:
    await client.post("/users/register", json=registration(email="no e-mail"))
    await client.post("/users/register", json=registration(password="iloveyou"))
    assert costs == []


async def test_too_many_waiting_hashes_are_refused_for_now(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "HASH_QUEUE", 0)
    answer = await try_to_sign_in(person, person.password)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.json()["error"] == "temporarily_unavailable"
    assert int(answer.headers["Retry-After"]) > 0


async def test_as_many_hashes_at_once_as_there_are_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    passwords = Passwords(4)
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


@pytest.fixture
async def narrow(settings: Settings) -> AsyncIterator[FastAPI]:
    """An app with a single connection to read and a single one to write, and no patience."""
    app = create_app(settings.model_copy(update={"pool_size": 1, "pool_timeout": 0.5}))
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def reader(narrow: FastAPI) -> AsyncIterator[Person]:
    """Somebody who wants to read."""
    async with Person(transport=_visitor(narrow), base_url="http://testserver") as person:
        await person.register()
        await person.sign_in()
        yield person


@pytest.fixture
async def hasher(narrow: FastAPI) -> AsyncIterator[Person]:
    """Somebody who does what needs a hash."""
    async with Person(transport=_visitor(narrow), base_url="http://testserver") as person:
        await person.register()
        await person.sign_in()
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
