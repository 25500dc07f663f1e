"""Personal access tokens: created, used within their scope, expired and deleted."""

import asyncio
import hashlib
import json
import re
import secrets
import string
import zlib
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from typing import Any
from unittest import mock

import httpx
import pytest
import time_machine
from fastapi import FastAPI
from httpx import ASGITransport
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, bindparam, event, func, insert, select, text

from auth import hash_token
from config import Settings
from database import now
from infra import engines
from infra.faults import CommitLost
from main import create_app
from models import PersonalToken
from tests.support.commits import Commits
from tests.support.databases import on_mysql, on_sqlite
from tests.support.expenses import spend
from tests.support.generated import hunts
from tests.support.matrix import bearer, dump, status_and_code
from tests.support.people import Person, SignUp
from tests.support.problems import JSON, blamed
from tests.support.settings import NOON
from tests.support.statements import Statements, before_begin
from users import personal_tokens
from values.fields import LARGEST_ID

TOKENS = "/users/me/tokens"
DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
NOTE = "UPDATE personal_tokens SET last_used_at"
AT_NOON = "2026-11-22T12:00:00Z"

Made = dict[str, Any]


# --- making and sending them ------------------------------------------------------------------------------------------


async def ask_for(person: Person, **fields: object) -> httpx.Response:
    """Ask for a token, to read unless the fields say otherwise."""
    return await person.post(TOKENS, json={"name": "nightly import", "scope": "read"} | fields)


async def make(person: Person, **fields: object) -> Made:
    """Make a token, to read unless the fields say otherwise, and return what is said of it."""
    answer = await ask_for(person, **fields)
    assert answer.status_code == httpx.codes.CREATED, answer.text
    made: Made = answer.json()
    return made


async def listed(person: Person) -> list[Made]:
    """Return the person's tokens as they are listed."""
    answer = await person.get(TOKENS)
    assert answer.status_code == httpx.codes.OK, answer.text
    items: list[Made] = answer.json()["items"]
    return items


async def keep_tokens(
    app: FastAPI, person: Person, number: int, *, expires_at: datetime | None = None, created_at: datetime | None = None
) -> None:
    """Give a person so many tokens at once, whose secrets nobody knows."""
    row = {"owner_id": person.user["id"], "name": "kept", "scope": "read", "expires_at": expires_at}
    rows = [row | {"token_hash": secrets.token_hex(32), "created_at": created_at or now()} for _ in range(number)]
    async with app.state.services.database.new_unit() as unit:
        await (await unit.begin()).execute(insert(PersonalToken), rows)
        await unit.commit()


async def insert_token(person: Person, scope: str) -> str:
    """Give a person a token without a request, for tests of its use, and return it."""
    token = personal_tokens.generate_token()
    row = {"owner_id": person.user["id"], "name": "nightly import", "scope": scope, "created_at": now()}
    async with person.app.state.services.database.new_unit() as unit:
        await (await unit.begin()).execute(insert(PersonalToken), row | {"token_hash": hash_token(token)})
        await unit.commit()
    return token


async def tokens_of(app: FastAPI, person: Person) -> int:
    """Return how many tokens are kept of a person, expired ones too."""
    count = select(func.count(PersonalToken.id)).where(PersonalToken.owner_id == bindparam("owner"))
    async with app.state.services.database.new_unit() as unit:
        return int((await (await unit.connection()).execute(count, {"owner": person.user["id"]})).scalar_one())


async def use(client: httpx.AsyncClient, token: str, path: str = "/expenses", **headers: str) -> httpx.Response:
    """Read something with this token, whoever's client sends it."""
    return await client.get(path, headers=bearer(token, **headers))


def noted(sent: list[str]) -> int:
    """Return how often the use of a token was to be noted."""
    return sum(NOTE in statement for statement in sent)


def checksum_of(secret: str) -> str:
    """Return six base62 digits of the secret's CRC-32, the highest first, as anybody can compute them."""
    return "".join(DIGITS[zlib.crc32(secret.encode()) // 62**place % 62] for place in (5, 4, 3, 2, 1, 0))


def unknown_token() -> str:
    """Return a token that is written as it should be, and that nobody has made."""
    secret = "".join(secrets.choice(DIGITS) for _ in range(27))
    return f"etk_{secret}{checksum_of(secret)}"


def number_of(token: str) -> int:
    """Return the random number that is written in a token."""
    return sum(DIGITS.index(digit) * 62**place for place, digit in enumerate(reversed(token[4:31])))


@pytest.fixture
async def to_read(person: Person) -> str:
    """A token of the person's that may read."""
    return await insert_token(person, "read")


@pytest.fixture
async def to_write(person: Person) -> str:
    """A token of the person's that may read and write."""
    return await insert_token(person, "write")


@pytest.fixture(scope="module")
async def elsewhere(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of another app on the same database."""
    app = create_app(settings)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=ASGITransport(app), base_url="http://testserver") as client,
    ):
        yield client


@pytest.fixture
async def hasty_app(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FastAPI]:
    """An app that gives up noting a use after a tenth of a second, and not after one or two."""
    monkeypatch.setattr(personal_tokens, "RECORDING_SECONDS", 0.1)
    monkeypatch.setattr(engines, "SQLITE_BUSY_SECONDS", 0.2)
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def hasty(hasty_app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of that app."""
    async with httpx.AsyncClient(transport=ASGITransport(hasty_app), base_url="http://testserver") as client:
        yield client


# --- how one is written -----------------------------------------------------------------------------------------------


def test_a_token_is_a_prefix_a_secret_and_its_checksum() -> None:
    token = personal_tokens.generate_token()
    assert re.fullmatch("etk_[0-9A-Za-z]{33}", token)
    assert token[31:] == checksum_of(token[4:31])


def test_no_two_tokens_are_alike() -> None:
    assert len({personal_tokens.generate_token() for _ in range(1_000)}) == 1_000


def test_a_token_holds_160_random_bits() -> None:
    # ASVS 5.0, 7.2.3 wants 128; of 300 numbers no bit is always one, and none always nought.
    numbers = [number_of(personal_tokens.generate_token()) for _ in range(300)]
    assert {f"{number:b}".zfill(160)[place] for number in numbers for place in range(160)} == {"0", "1"}
    assert [sum(number >> bit & 1 for number in numbers) in (0, 300) for bit in range(160)] == [False] * 160
    assert max(numbers) < 2**160


@given(st.one_of(st.integers(0, 2**160 - 1), st.sampled_from([0, 1, 61, 62, 2**32, 2**160 - 1])))
def test_every_token_is_whole_and_says_its_number(number: int) -> None:
    with mock.patch.object(secrets, "randbits", return_value=number):
        token = personal_tokens.generate_token()
    assert (personal_tokens.has_valid_checksum(token), number_of(token), len(token)) == (True, number, 37)


whole_tokens = st.integers(0, 2**160 - 1).map(
    lambda number: f"etk_{(secret := personal_tokens._encode_base62(number, 27))}{checksum_of(secret)}"
)
letters = st.text(DIGITS, min_size=27, max_size=27)


@given(letters)
def test_a_secret_is_whole_with_its_checksum(secret: str) -> None:
    assert personal_tokens.has_valid_checksum(f"etk_{secret}{checksum_of(secret)}")


def changed(token: str, place: int) -> set[str]:
    """Return the token with each other letter at one place."""
    return {token[:place] + letter + token[place + 1 :] for letter in f"{DIGITS}_-"} - {token}


def without(token: str, place: int) -> set[str]:
    return {token[:place] + token[place + 1 :]}


def doubled(token: str, place: int) -> set[str]:
    return {token[:place] + token[place] + token[place:]}


def swapped(token: str, place: int) -> set[str]:
    """Return the token with two neighbours swapped, unless they are the same letter."""
    return {token[:place] + token[place : place + 2][::-1] + token[place + 2 :]} - {token}


SLIPS = pytest.mark.parametrize("slip", [changed, without, doubled, swapped])


@pytest.mark.wire
@SLIPS
@hunts(20)
@given(token=whole_tokens)
def test_a_token_that_was_misspelt_once_is_not_whole(slip: Any, token: str) -> None:  # noqa: ANN401
    assert [
        it for place in range(len(token)) for it in slip(token, place) if personal_tokens.has_valid_checksum(it)
    ] == []


@pytest.mark.wire
@SLIPS
async def test_a_misspelt_token_is_refused_and_nobody_is_asked(
    person: Person,
    to_read: str,
    statements: Statements,
    slip: Any,  # noqa: ANN401
) -> None:
    # The first of all that it could be at each place: what a letter becomes makes no difference here.
    misspelt = [it for place in range(len(to_read)) for it in sorted(slip(to_read, place))[:1]]
    with statements() as sent:
        answers = [await use(person, it) for it in misspelt]
    assert {status_and_code(it) for it in answers} == {(401, "invalid_token")}
    assert sent == []


@pytest.mark.wire
@pytest.mark.parametrize(
    "token",
    [
        "etk_",
        "etk_x",
        "etk_" + "0" * 33,
        "etk_" + "0" * 27 + "é" * 6,
        "etk_" + "٣" * 33,
        "etk_" + "0" * 100_000,
        "etk_'; DROP TABLE personal_tokens; --",
    ],
    ids=lambda it: f"{it[-8:]} of {len(it)}",
)
async def test_what_only_begins_like_a_token_is_refused(person: Person, statements: Statements, token: str) -> None:
    header = {b"Authorization": b"Bearer " + token.encode()}
    with statements() as sent:
        assert status_and_code(await person.get("/expenses", headers=header)) == (401, "invalid_token")
    assert sent == []


async def test_a_whole_token_that_nobody_has_made_is_refused_after_one_question(
    client: httpx.AsyncClient, statements: Statements
) -> None:
    with statements() as sent:
        assert status_and_code(await use(client, unknown_token())) == (401, "invalid_token")
    assert len(sent) == 1


@pytest.mark.wire
async def test_a_refused_token_says_so_as_rfc_6750_has_it(client: httpx.AsyncClient) -> None:
    # RFC 6750, section 3.1.
    answer = await use(client, unknown_token())
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert "POST /users/me/tokens" in answer.json()["detail"]


@pytest.mark.wire
async def test_a_refused_token_is_not_said_again(client: httpx.AsyncClient) -> None:
    token = unknown_token()
    answer = await use(client, token)
    assert token[4:] not in answer.text + str(answer.headers)


# --- what is shown and what is stored ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("noon")
async def test_a_new_token_is_answered_with_all_that_there_is_to_know(person: Person) -> None:
    made = await make(person, name="Import", scope="write", expires_at="2027-01-31T09:00:00Z")
    assert made == {
        "id": made["id"],
        "name": "Import",
        "scope": "write",
        "created_at": AT_NOON,
        "last_used_at": None,
        "expires_at": "2027-01-31T09:00:00Z",
        "token": made["token"],
    }


async def test_two_tokens_of_one_name_are_two(person: Person) -> None:
    first, second = await make(person), await make(person)
    assert first["token"] != second["token"]
    assert first["id"] < second["id"]


async def test_a_token_lets_in_as_it_was_shown(person: Person) -> None:
    assert (await use(person, (await make(person))["token"])).status_code == 200


async def test_a_token_is_shown_once(person: Person) -> None:
    made = await make(person)
    answers = [await person.get(path) for path in (TOKENS, "/users/me", "/users/me/sessions", "/changes")]
    assert [made["token"][4:31] in it.text for it in answers] == [False] * 4


async def test_a_list_says_all_but_the_secret(person: Person) -> None:
    made = await make(person)
    assert await listed(person) == [{name: made[name] for name in made.keys() - {"token"}}]


async def test_only_the_hash_of_a_token_is_stored(person: Person, outside: Connection) -> None:
    # ASVS 5.0, 11.4.1 and 13.3.1: what is dumped of the database lets nobody in.
    token = (await make(person))["token"]
    stored = str(dump(outside, person.user["id"]))
    assert hashlib.sha256(token.encode()).hexdigest() in stored
    assert [part in stored for part in (token, token[4:], token[4:31])] == [False, False, False]


async def test_no_idempotency_key_keeps_a_token(person: Person, outside: Connection) -> None:
    key = {"Idempotency-Key": "the same"}
    answers = [
        await person.post(TOKENS, json={"name": "nightly import", "scope": "read"}, headers=key) for _ in range(2)
    ]
    assert [it.status_code for it in answers] == [201, 201]
    assert answers[0].json()["token"] != answers[1].json()["token"]
    assert dump(outside, person.user["id"])["remembered_answers"] == []


@on_sqlite
async def test_what_shows_a_token_is_stored_by_no_cache(person: Person) -> None:
    # ASVS 5.0, 14.3.2.
    assert (await ask_for(person)).headers["Cache-Control"] == "no-store"


# --- what a name, a scope and an end may be ---------------------------------------------------------------------------


@on_mysql
@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("x", "x"),
        ("  nightly import\t", "nightly import"),
        ("x" * 50, "x" * 50),
        ("🏳️‍🌈" * 8, "🏳️‍🌈" * 8),
        ("Cafe\u0301", "Café"),
        ("e\u0301" * 50, "é" * 50),
        ("'; DROP TABLE personal_tokens; --", "'; DROP TABLE personal_tokens; --"),
    ],
)
async def test_a_name_is_kept_trimmed_and_in_nfc(person: Person, sent: str, kept: str) -> None:
    made = await make(person, name=sent)
    assert (made["name"], (await listed(person))[0]["name"]) == (kept, kept)


@pytest.mark.wire
@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("", "too_short"),
        (" \t", "too_short"),
        ("x" * 51, "too_long"),
        ("e\u0301" * 51, "too_long"),
        pytest.param("x" * 60_000, "too_long", id="60,000 letters"),
        ("a\x00b", "malformed"),
        ("a\x1bb", "malformed"),
        ("a\x0bb", "malformed"),
        ("a\x9fb", "malformed"),
        ("a\nb", "malformed"),
        ("a\r\n", "malformed"),
        ("a\u2028b", "malformed"),
        ("a\ud800b", "malformed"),
        (None, "wrong_type"),
        (7, "wrong_type"),
        (True, "wrong_type"),
        (["x"], "wrong_type"),
        ({}, "wrong_type"),
    ],
)
async def test_another_name_is_refused(somebody: Person, name: object, code: str) -> None:
    body = json.dumps({"name": name, "scope": "read"})
    answer = await somebody.post(TOKENS, content=body, headers=JSON)
    assert (answer.status_code, blamed(answer)) == (422, {"/name": code})


@pytest.mark.wire
@pytest.mark.parametrize(
    ("scope", "code"),
    [
        ("", "not_allowed"),
        ("admin", "not_allowed"),
        ("Read", "not_allowed"),
        ("read write", "not_allowed"),
        ("read ", "not_allowed"),
        (None, "wrong_type"),
        (1, "wrong_type"),
        (True, "wrong_type"),
        (["read", "write"], "wrong_type"),
    ],
    ids=str,
)
async def test_another_scope_than_read_or_write_is_refused(somebody: Person, scope: object, code: str) -> None:
    answer = await ask_for(somebody, scope=scope)
    assert (answer.status_code, blamed(answer)) == (422, {"/scope": code})


@pytest.mark.wire
@pytest.mark.parametrize("missing", ["name", "scope"])
async def test_a_token_needs_a_name_and_a_scope(somebody: Person, missing: str) -> None:
    body = {name: value for name, value in {"name": "x", "scope": "read"}.items() if name != missing}
    answer = await somebody.post(TOKENS, json=body)
    assert (answer.status_code, blamed(answer)) == (422, {f"/{missing}": "required"})


@pytest.mark.wire
@pytest.mark.parametrize("body", ["null", "[]", '"read"', "7", "true"])
async def test_a_body_is_an_object(somebody: Person, body: str) -> None:
    answer = await somebody.post(TOKENS, content=body, headers=JSON)
    assert (answer.status_code, blamed(answer)) == (422, {"": "wrong_type"})


@pytest.mark.wire
async def test_all_that_is_wrong_is_said_at_once(somebody: Person) -> None:
    answer = await ask_for(somebody, name="", scope="admin", expires_at="tomorrow", more=1)
    assert blamed(answer) == {
        "/name": "too_short",
        "/scope": "not_allowed",
        "/expires_at": "malformed",
        "/more": "unknown",
    }


@pytest.mark.wire
@pytest.mark.parametrize(("method", "path"), [("GET", TOKENS), ("POST", TOKENS), ("DELETE", TOKENS)])
async def test_a_typo_in_the_query_is_refused(person: Person, method: str, path: str) -> None:
    await make(person)
    body = {"name": "x", "scope": "read"} if method == "POST" else None
    answer = await person.request(method, f"{path}?nmae=x", json=body)
    assert (answer.status_code, blamed(answer), len(await listed(person))) == (422, {"nmae": "unknown"}, 1)


# --- when one ends ----------------------------------------------------------------------------------------------------


@on_sqlite
@pytest.mark.parametrize("fields", [{}, {"expires_at": None}], ids=str)
async def test_a_token_without_an_end_is_good_for_years(
    noon: time_machine.Traveller, person: Person, fields: dict[str, None]
) -> None:
    made = await make(person, **fields)
    noon.shift(timedelta(days=3_650))
    assert made["expires_at"] is None
    assert (await use(person, made["token"])).status_code == 200


@on_mysql
@pytest.mark.usefixtures("noon")
@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("2026-11-22T12:00:01Z", "2026-11-22T12:00:01Z"),
        ("2026-11-22t12:00:01z", "2026-11-22T12:00:01Z"),
        ("2026-11-22T13:00:01+01:00", "2026-11-22T12:00:01Z"),
        ("2026-11-22T06:30:01-05:30", "2026-11-22T12:00:01Z"),
        ("2026-11-22T12:00:01.999999999Z", "2026-11-22T12:00:01Z"),
        ("2199-12-31T23:59:59Z", "2199-12-31T23:59:59Z"),
    ],
)
async def test_an_end_in_the_future_is_kept_in_utc_to_the_second(person: Person, sent: str, kept: str) -> None:
    made = await make(person, expires_at=sent)
    assert (made["expires_at"], (await listed(person))[0]["expires_at"]) == (kept, kept)


@pytest.mark.wire
@pytest.mark.usefixtures("noon")
@pytest.mark.parametrize(
    "instant",
    [
        AT_NOON,
        "2026-11-22T12:00:00.999Z",
        "2026-11-22T13:00:00+01:00",
        "2026-11-22T11:59:59Z",
        "2026-11-22T12:30:00+01:00",
        "1999-12-31T23:59:59Z",
        "0001-01-01T00:00:00Z",
        "2200-01-01T00:00:00Z",
    ],
)
async def test_an_end_that_is_not_in_the_future_is_out_of_range(person: Person, instant: str) -> None:
    answer = await ask_for(person, expires_at=instant)
    assert (answer.status_code, blamed(answer)) == (422, {"/expires_at": "out_of_range"})
    assert await listed(person) == []


@pytest.mark.wire
@pytest.mark.parametrize(
    ("instant", "code"),
    [
        ("", "malformed"),
        ("2027-01-31", "malformed"),
        ("2027-01-31T09:00:00", "malformed"),
        (1801386000, "wrong_type"),
        (True, "wrong_type"),
        ({}, "wrong_type"),
    ],
    ids=str,
)
async def test_what_is_no_instant_ends_nothing(somebody: Person, instant: object, code: str) -> None:
    answer = await ask_for(somebody, expires_at=instant)
    assert (answer.status_code, blamed(answer)) == (422, {"/expires_at": code})


IN_TEN_SECONDS = "2026-11-22T12:00:10Z"


async def test_a_token_is_good_up_to_the_last_second(noon: time_machine.Traveller, person: Person) -> None:
    made = await make(person, expires_at=IN_TEN_SECONDS)
    noon.shift(9.999)
    assert (await use(person, made["token"])).status_code == 200


@on_sqlite
@pytest.mark.parametrize("seconds", [10, 10.5, 11, 60 * 60 * 24 * 365])
async def test_a_token_is_refused_from_its_end_on(noon: time_machine.Traveller, person: Person, seconds: float) -> None:
    made = await make(person, expires_at=IN_TEN_SECONDS)
    noon.shift(seconds)
    assert status_and_code(await use(person, made["token"])) == (401, "token_expired")


@on_sqlite
@pytest.mark.parametrize("path", ["/expenses", "/expenses/1", "/users/me", "/users/me/tokens", "/expenses?tpyo=1"])
async def test_an_expired_token_is_refused_before_anything_else(
    noon: time_machine.Traveller, person: Person, path: str
) -> None:
    made = await make(person, expires_at=IN_TEN_SECONDS)
    noon.shift(10)
    assert status_and_code(await use(person, made["token"], path)) == (401, "token_expired")


async def test_an_expired_token_says_what_to_do(noon: time_machine.Traveller, person: Person) -> None:
    # RFC 6750, section 3.1: what has expired is an invalid token.
    made = await make(person, expires_at=IN_TEN_SECONDS)
    noon.shift(10)
    answer = await use(person, made["token"])
    assert "make another with POST /users/me/tokens" in answer.json()["detail"]
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


async def test_an_expired_token_is_listed_until_another_is_made(noon: time_machine.Traveller, person: Person) -> None:
    expired = await make(person, expires_at=IN_TEN_SECONDS)
    noon.shift(10)
    before = await listed(person)
    made = await make(person)
    assert [[it["id"] for it in items] for items in (before, await listed(person))] == [[expired["id"]], [made["id"]]]


# --- deleting them ----------------------------------------------------------------------------------------------------


async def test_a_deleted_token_ends_with_the_next_request(person: Person) -> None:
    # ASVS 5.0, 7.4.1.
    made, other = await make(person), await make(person)
    assert (await use(person, made["token"])).status_code == 200
    answer = await person.delete(f"{TOKENS}/{made['id']}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert status_and_code(await use(person, made["token"])) == (401, "invalid_token")
    assert (await use(person, other["token"])).status_code == 200


async def test_a_token_deleted_here_is_refused_elsewhere(person: Person, elsewhere: httpx.AsyncClient) -> None:
    made = await make(person)
    before = await use(elsewhere, made["token"])
    await person.delete(f"{TOKENS}/{made['id']}")
    assert [before.status_code, (await use(elsewhere, made["token"])).status_code] == [200, 401]


async def test_all_tokens_are_deleted_at_once(person: Person, stranger: Person) -> None:
    made, theirs = [await make(person) for _ in range(3)], await make(stranger)
    assert (await person.delete(TOKENS)).status_code == 204
    assert [(await use(person, it["token"])).status_code for it in made] == [401, 401, 401]
    assert (await use(person, theirs["token"])).status_code == 200


async def test_deleting_all_of_none_is_fine(person: Person) -> None:
    assert (await person.delete(TOKENS)).status_code == 204


async def test_deleting_one_twice_finds_it_once(person: Person) -> None:
    made = await make(person)
    answers = [await person.delete(f"{TOKENS}/{made['id']}") for _ in range(2)]
    assert [it.status_code for it in answers] == [204, 404]


async def test_of_two_that_delete_one_at_once_one_finds_it(person: Person) -> None:
    made = await make(person)
    answers = await asyncio.gather(*(person.delete(f"{TOKENS}/{made['id']}") for _ in range(2)))
    assert sorted(it.status_code for it in answers) == [204, 404]


async def test_a_strangers_token_is_one_that_does_not_exist(person: Person, stranger: Person) -> None:
    # OWASP API1:2023.
    made, same = await make(person), {"X-Request-ID": "the-same"}
    theirs = await stranger.delete(f"{TOKENS}/{made['id']}", headers=same)
    nobodys = await stranger.delete(f"{TOKENS}/{LARGEST_ID}", headers=same)
    assert (theirs.status_code, theirs.content, theirs.headers) == (404, nobodys.content, nobodys.headers)
    assert (await use(person, made["token"])).status_code == 200


async def test_tokens_outlive_the_password(person: Person, to_write: str) -> None:
    words = {"current_password": person.password, "new_password": "another walk along the sea"}
    assert (await person.put("/users/me/password", json=words)).status_code == 204
    assert (await use(person, to_write)).status_code == 200


async def test_tokens_outlive_the_sessions(person: Person, to_read: str) -> None:
    sessions = (await person.get("/users/me/sessions")).json()["items"]
    await person.delete(f"/users/me/sessions/{sessions[0]['id']}")
    assert [(await person.get("/expenses")).status_code, (await use(person, to_read)).status_code] == [401, 200]


async def test_the_id_of_a_deleted_token_is_never_used_again(person: Person) -> None:
    made = await make(person)
    await person.delete(TOKENS)
    assert (await make(person))["id"] > made["id"]


async def close_account(person: Person) -> None:
    gone = await person.request("DELETE", "/users/me", json={"current_password": person.password})
    assert gone.status_code == httpx.codes.NO_CONTENT


async def test_tokens_end_with_the_account(person: Person, to_write: str, outside: Connection) -> None:
    await close_account(person)
    answers = [
        await use(person, to_write),
        await person.post("/expenses", json={"amount": "1.00"}, headers=bearer(to_write)),
    ]
    assert [status_and_code(it) for it in answers] == [(401, "invalid_token")] * 2
    assert dump(outside, person.user["id"])["personal_tokens"] == []


async def test_a_token_of_a_former_bearer_of_the_name_opens_nothing(
    person: Person, to_write: str, sign_up: SignUp
) -> None:
    await close_account(person)
    heir = await sign_up(username=person.user["username"], email=person.user["email"])
    assert await listed(heir) == []
    assert status_and_code(await use(heir, to_write)) == (401, "invalid_token")


# --- the list ---------------------------------------------------------------------------------------------------------


async def test_without_a_token_the_list_is_empty(person: Person) -> None:
    assert (await person.get(TOKENS)).json() == {"items": [], "next_cursor": None}


async def test_a_list_holds_all_tokens_the_newest_first(app: FastAPI, person: Person) -> None:
    await keep_tokens(app, person, 99)
    made = await make(person)
    ids = [it["id"] for it in await listed(person)]
    assert (ids[0], len(ids), ids) == (made["id"], 100, sorted(ids, reverse=True))


@pytest.mark.usefixtures("to_write")
async def test_a_list_holds_nobody_elses(stranger: Person) -> None:
    assert await listed(stranger) == []


# --- when one was used ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("noon")
async def test_a_token_was_not_used_before_the_first_time(person: Person) -> None:
    made = await make(person)
    assert (made["last_used_at"], (await listed(person))[0]["last_used_at"]) == (None, None)


@pytest.mark.usefixtures("noon")
async def test_the_first_use_is_noted(person: Person, to_read: str, statements: Statements) -> None:
    with statements() as sent:
        await use(person, to_read)
    assert ((await listed(person))[0]["last_used_at"], noted(sent)) == (AT_NOON, 1)


@pytest.mark.parametrize(
    ("seconds", "last_used_at", "notes"),
    [
        (0, AT_NOON, 0),
        (59.9, AT_NOON, 0),
        (60, "2026-11-22T12:01:00Z", 1),
        (-3_600, AT_NOON, 0),
    ],
)
async def test_a_use_is_noted_once_a_minute(
    noon: time_machine.Traveller,
    person: Person,
    to_read: str,
    statements: Statements,
    seconds: float,
    last_used_at: str,
    notes: int,
) -> None:
    await use(person, to_read)
    noon.shift(seconds)
    with statements() as sent:
        await use(person, to_read)
    noon.move_to(NOON)
    assert ((await listed(person))[0]["last_used_at"], noted(sent)) == (last_used_at, notes)


async def test_a_use_is_noted_on_the_token_that_was_used(person: Person, stranger: Person) -> None:
    made, other, theirs = await make(person), await make(person), await make(stranger)
    await use(person, made["token"])
    used = {it["id"]: it["last_used_at"] is not None for it in [*await listed(person), *await listed(stranger)]}
    assert used == {made["id"]: True, other["id"]: False, theirs["id"]: False}


@on_sqlite
@pytest.mark.usefixtures("noon")
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", f"/expenses/{LARGEST_ID}", 404),
        ("GET", "/expenses?limit=0", 422),
        ("GET", "/expenses?tpyo=1", 422),
        ("GET", "/changes?since=999", 410),
        ("DELETE", f"/expenses/{LARGEST_ID}", 404),
        ("DELETE", "/expenses", 422),
        ("GET", "/users/me", 200),
    ],
)
async def test_a_use_that_leads_to_nothing_is_noted_too(
    person: Person, to_write: str, method: str, path: str, status: int
) -> None:
    answer = await person.request(method, path, headers=bearer(to_write))
    assert (answer.status_code, (await listed(person))[0]["last_used_at"]) == (status, AT_NOON)


@pytest.mark.usefixtures("noon")
async def test_twenty_first_uses_at_once_all_succeed_and_are_noted_as_one(person: Person, to_read: str) -> None:
    answers = await asyncio.gather(*(use(person, to_read) for _ in range(20)))
    assert [it.status_code for it in answers] == [200] * 20
    assert [it["last_used_at"] for it in await listed(person)] == [AT_NOON]


@pytest.mark.usefixtures("noon")
async def test_of_many_that_note_a_use_at_once_one_has_an_effect(
    app: FastAPI, person: Person, to_read: str, outside: Connection
) -> None:
    async with app.state.services.database.new_unit() as unit:
        first = await personal_tokens.load_token_holder(await unit.connection(), to_read)
    await note(app, first)
    # Whoever asked before the first was noted still has to note it, and finds that it was.
    outside.execute(text("UPDATE personal_tokens SET last_used_at = :at WHERE id = :id"), _earlier(first.token_id))
    outside.commit()
    await note(app, first)
    assert (await listed(person))[0]["last_used_at"] == "2026-11-22T11:59:01Z"


async def note(app: FastAPI, bearer: personal_tokens.TokenHolder) -> None:
    async with app.state.services.database.new_unit() as unit:
        await personal_tokens.record_use(unit, bearer)


def _earlier(token_id: int) -> dict[str, object]:
    return {"at": "2026-11-22 11:59:01", "id": token_id}


def hold_tokens(outside: Connection, person: Person) -> None:
    """Lock a person's tokens as another process's writer does; on SQLite that is the whole file."""
    outside.execute(text("UPDATE personal_tokens SET name = name WHERE owner_id = :id"), {"id": person.user["id"]})


async def test_a_use_that_cannot_be_noted_keeps_nobody_from_reading(
    person: Person, to_read: str, outside: Connection, hasty: httpx.AsyncClient
) -> None:
    hold_tokens(outside, person)
    answer = await use(hasty, to_read)
    outside.rollback()
    assert (answer.status_code, (await listed(person))[0]["last_used_at"]) == (200, None)


async def test_whoever_cannot_note_a_use_keeps_no_connection_from_others(
    settings: Settings, person: Person, to_read: str, outside: Connection
) -> None:
    app = create_app(settings.model_copy(update={"pool_size": 1, "pool_timeout": 0.7}))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=ASGITransport(app), base_url="http://testserver") as client,
    ):
        hold_tokens(outside, person)
        noting = asyncio.create_task(use(client, to_read))
        others = await asyncio.gather(*(use(client, person.token) for _ in range(3)))
        outside.rollback()
        await noting
    assert [it.status_code for it in others] == [200] * 3


async def test_a_note_of_which_nobody_knows_whether_it_was_taken_keeps_nobody_from_reading(
    person: Person, to_read: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Commits(monkeypatch).fail_with(ConnectionResetError())
    assert (await use(person, to_read)).status_code == 200


@on_mysql
async def test_a_use_that_could_not_be_noted_is_noted_with_the_next(
    person: Person, to_read: str, outside: Connection, hasty: httpx.AsyncClient
) -> None:
    hold_tokens(outside, person)
    await use(hasty, to_read)
    outside.rollback()
    await use(hasty, to_read)
    assert (await listed(person))[0]["last_used_at"] is not None


async def test_who_goes_away_while_a_use_is_noted_is_not_served_any_further(
    person: Person, to_read: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = asyncio.Event()

    async def cut_short(*_: object) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as cancelled:
            raise CommitLost("nobody can tell") from cancelled

    monkeypatch.setattr(personal_tokens, "record_use", cut_short)
    request = asyncio.create_task(use(person, to_read))
    await begun.wait()
    request.cancel()
    assert (await request).status_code == httpx.codes.SERVICE_UNAVAILABLE


@on_sqlite
async def test_what_is_not_noted_is_logged_without_the_token(
    person: Person, to_read: str, outside: Connection, hasty: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    # ASVS 5.0, 16.2.5.
    hold_tokens(outside, person)
    await use(hasty, to_read)
    outside.rollback()
    warned = [it.getMessage() for it in caplog.records if it.levelname == "WARNING"]
    assert ["did not record" in it for it in warned] == [True]
    assert to_read[4:31] not in caplog.text


@on_mysql
async def test_a_use_that_cannot_be_noted_keeps_nobody_from_writing(
    person: Person, to_write: str, outside: Connection
) -> None:
    # Not by the hasty app: this is how long it takes in earnest.
    hold_tokens(outside, person)
    async with asyncio.timeout(4):
        answer = await person.post("/expenses", json={"amount": "1.00"}, headers=bearer(to_write))
    outside.rollback()
    assert answer.status_code == 201


async def test_a_note_that_was_given_up_leaves_no_connection_behind(
    person: Person, to_read: str, outside: Connection, hasty_app: FastAPI, hasty: httpx.AsyncClient
) -> None:
    hold_tokens(outside, person)
    await use(hasty, to_read)
    outside.rollback()
    assert [pool.in_use for pool in hasty_app.state.services.database.pools] == [0, 0]


# --- how many there may be --------------------------------------------------------------------------------------------


async def test_the_hundredth_token_is_made(app: FastAPI, person: Person) -> None:
    await keep_tokens(app, person, 99)
    assert (await ask_for(person)).status_code == 201


async def test_one_token_more_than_a_hundred_is_too_many(app: FastAPI, person: Person) -> None:
    await keep_tokens(app, person, 100)
    assert status_and_code(await ask_for(person)) == (422, "too_many")
    assert await tokens_of(app, person) == 100


async def test_a_deleted_token_makes_room(app: FastAPI, person: Person) -> None:
    await keep_tokens(app, person, 100)
    await person.delete(f"{TOKENS}/{(await listed(person))[50]['id']}")
    assert (await ask_for(person)).status_code == 201


async def test_another_users_tokens_take_no_room(app: FastAPI, person: Person, stranger: Person) -> None:
    await keep_tokens(app, stranger, 100)
    assert (await ask_for(person)).status_code == 201


async def test_of_ten_at_once_as_many_are_made_as_there_is_room_for(app: FastAPI, person: Person) -> None:
    await keep_tokens(app, person, 95)
    answers = await asyncio.gather(*(ask_for(person) for _ in range(10)))
    assert sorted(it.status_code for it in answers) == [201] * 5 + [422] * 5
    assert await tokens_of(app, person) == 100


@pytest.mark.usefixtures("noon")
@pytest.mark.parametrize(("seconds", "status", "left"), [(-1, 201, 1), (0, 201, 1), (1, 422, 100)])
async def test_expired_tokens_make_room(app: FastAPI, person: Person, seconds: int, status: int, left: int) -> None:
    await keep_tokens(app, person, 100, expires_at=NOON + timedelta(seconds=seconds))
    assert ((await ask_for(person)).status_code, await tokens_of(app, person)) == (status, left)


@pytest.mark.usefixtures("noon")
async def test_another_users_expired_tokens_are_left_to_them(app: FastAPI, person: Person, stranger: Person) -> None:
    await keep_tokens(app, stranger, 3, expires_at=NOON - timedelta(days=1))
    await make(person)
    assert await tokens_of(app, stranger) == 3


# --- a missing scope; test_matrices has what each opens --------------------------------------------------------------


@pytest.fixture(scope="module")
async def open_to(somebody: Person) -> dict[str, str]:
    """One token of each scope, of somebody's."""
    return {scope: (await make(somebody, scope=scope))["token"] for scope in ("read", "write")}


@on_sqlite
async def test_a_refusal_for_the_scope_says_what_to_do(person: Person, to_read: str) -> None:
    answer = await person.post("/expenses", json={"amount": "1.00"}, headers=bearer(to_read))
    assert "make another with the scope write" in answer.json()["detail"]


@on_sqlite
async def test_a_refusal_at_the_account_says_what_to_do(person: Person, to_write: str) -> None:
    assert "sign in with the password" in (await use(person, to_write, TOKENS)).json()["detail"]


@pytest.mark.wire
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("DELETE", f"/expenses/{LARGEST_ID}", None),
        ("DELETE", "/expenses/x", None),
        ("POST", "/expenses", {"tpyo": 1}),
        ("POST", "/expenses", ["no object"]),
        ("POST", "/expenses?tpyo=1", {"amount": "1.00"}),
        ("PATCH", "/expenses", {"description": "all of them"}),
        ("DELETE", "/expenses?period=2026&dry_run=true", None),
        ("PATCH", "/expenses?period=2026&dry_run=true", {"description": None}),
        ("POST", "/expenses/batch", {"operations": [{"op": "delete", "id": LARGEST_ID}]}),
        ("POST", "/budgets", {}),
        ("PATCH", f"/categories/{LARGEST_ID}", {"name": ""}),
    ],
)
async def test_a_missing_scope_comes_before_all_that_is_wrong(
    somebody: Person, open_to: dict[str, str], method: str, path: str, body: object
) -> None:
    answer = await somebody.request(method, path, json=body, headers=bearer(open_to["read"]))
    assert status_and_code(answer) == (403, "insufficient_scope")


@on_sqlite
@pytest.mark.parametrize(
    "headers",
    [
        {"If-Match": '"999"'},
        {"If-Match": "broken"},
        {"If-None-Match": "*"},
        {"Idempotency-Key": "a-key"},
        {"Idempotency-Key": "a broken key"},
    ],
    ids=str,
)
async def test_a_missing_scope_comes_before_every_condition_and_key(
    person: Person, to_read: str, headers: dict[str, str]
) -> None:
    expense = await spend(person)
    answer = await person.delete(f"/expenses/{expense['id']}", headers=bearer(to_read, **headers))
    assert status_and_code(answer) == (403, "insufficient_scope")


@pytest.mark.wire
@pytest.mark.parametrize(("method", "path"), [("PATCH", "/users/me"), ("DELETE", f"{TOKENS}/{LARGEST_ID}")])
async def test_the_account_is_closed_before_all_that_is_wrong(
    somebody: Person, open_to: dict[str, str], method: str, path: str
) -> None:
    body = {"tpyo": 1} if method == "PATCH" else None
    answer = await somebody.request(method, f"{path}?tpyo=1", json=body, headers=bearer(open_to["write"]))
    assert status_and_code(answer) == (403, "insufficient_scope")


async def test_a_token_to_read_is_not_told_what_was_answered_to_a_writer(person: Person, to_read: str) -> None:
    key = {"Idempotency-Key": "a-key"}
    written = await person.post("/expenses", json={"amount": "1.00"}, headers=key)
    again = await person.post("/expenses", json={"amount": "1.00"}, headers=bearer(to_read, **key))
    assert [written.status_code, again.status_code] == [201, 403]


async def test_a_refused_write_leaves_its_key_free(person: Person, to_read: str, to_write: str) -> None:
    key = {"Idempotency-Key": "a-key"}
    answers = [
        await person.post("/expenses", json={"amount": "1.00"}, headers=bearer(it, **key)) for it in (to_read, to_write)
    ]
    assert [it.status_code for it in answers] == [403, 201]
    assert "Idempotency-Replayed" not in answers[1].headers


@pytest.mark.usefixtures("noon")
async def test_a_use_that_was_refused_is_noted_too(person: Person, to_read: str) -> None:
    await person.post("/expenses", json={"amount": "1.00"}, headers=bearer(to_read))
    assert (await listed(person))[0]["last_used_at"] == AT_NOON


@pytest.mark.usefixtures("noon")
async def test_a_refusal_for_the_scope_costs_one_statement(
    person: Person, to_read: str, statements: Statements
) -> None:
    await use(person, to_read)
    with statements() as sent:
        await person.post("/expenses", json={"amount": "1.00"}, headers=bearer(to_read))
    assert len(sent) == 1, "\n".join(sent)


@pytest.mark.wire
@pytest.mark.parametrize(
    ("method", "path", "stored"),
    [("DELETE", "/expenses", "private, no-cache"), ("DELETE", "/users/me/tokens", "no-store")],
)
async def test_a_refusal_for_the_scope_has_the_headers_of_every_answer(
    somebody: Person, open_to: dict[str, str], method: str, path: str, stored: str
) -> None:
    page = {"X-Request-ID": "the-same", "Origin": "http://localhost:5173"}
    answer = await somebody.request(method, path, headers=bearer(open_to["read"], **page))
    assert {
        "X-Request-ID": "the-same",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": stored,
        "Vary": "Authorization, Origin",
        "Content-Type": "application/problem+json",
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        "Access-Control-Allow-Origin": "http://localhost:5173",
    }.items() <= {
        name.title().replace("Id", "ID").replace("Xss", "XSS"): it for name, it in answer.headers.items()
    }.items()
    assert "WWW-Authenticate" in answer.headers["Access-Control-Expose-Headers"]


# --- what is behind ---------------------------------------------------------------------------------------------------


async def test_a_script_writes_into_its_owners_ledger(person: Person, stranger: Person, to_write: str) -> None:
    made = await person.post("/expenses", json={"amount": "1.00"}, headers=bearer(to_write))
    assert made.status_code == 201
    assert (await person.get("/expenses")).json()["items"] == [made.json()]
    assert (await stranger.get("/expenses")).json()["items"] == []


async def test_whoever_sends_a_token_acts_for_its_owner(person: Person, stranger: Person, to_write: str) -> None:
    await stranger.post("/expenses", json={"amount": "1.00"}, headers=bearer(to_write))
    mine, theirs = [(await it.get("/expenses")).json()["items"] for it in (person, stranger)]
    assert (len(mine), theirs) == (1, [])


async def test_a_token_reads_the_account_of_its_owner(person: Person, stranger: Person, to_read: str) -> None:
    assert (await use(stranger, to_read, "/users/me")).json() == person.user


async def test_a_token_opens_no_strangers_row(person: Person, stranger: Person, to_write: str) -> None:
    theirs = await spend(stranger)
    answers = [
        await person.request(method, f"/expenses/{theirs['id']}", headers=bearer(to_write))
        for method in ("GET", "DELETE")
    ]
    assert [status_and_code(it) for it in answers] == [(404, "not_found")] * 2


@on_sqlite
async def test_a_script_spends_in_its_owners_currency(sign_up: SignUp) -> None:
    person = await sign_up(currency="JPY", timezone="Asia/Tokyo")
    token = (await make(person, scope="write"))["token"]
    made = await person.post("/expenses", json={"amount": "1250"}, headers=bearer(token))
    assert (made.json()["amount"], made.json()["currency"]) == ("1250", "JPY")


@on_sqlite
@pytest.mark.usefixtures("noon")
async def test_a_scripts_months_are_its_owners(sign_up: SignUp) -> None:
    person = await sign_up(month_start_day=25)
    token = (await make(person))["token"]
    period = (await use(person, token, "/reports/spending")).json()["period"]
    assert period == {"from": "2026-10-25", "to": "2026-11-24"}


@on_sqlite
@pytest.mark.usefixtures("noon")
@pytest.mark.parametrize(
    "path", ["/expenses", "/expenses/trash", "/categories", "/budgets", "/budgets/status", "/reports/spending"]
)
async def test_a_script_is_given_the_tag_of_its_owner(person: Person, to_read: str, path: str) -> None:
    await spend(person, category="Groceries")
    signed_in, script = await person.get(path), await use(person, to_read, path)
    assert (script.headers["ETag"], script.content) == (signed_in.headers["ETag"], signed_in.content)


@on_sqlite
@pytest.mark.usefixtures("noon")
@pytest.mark.parametrize("path", ["/expenses", "/changes"])
async def test_a_script_is_not_sent_what_it_has(person: Person, to_read: str, path: str) -> None:
    await spend(person)
    tag = (await person.get(path)).headers["ETag"]
    answer = await use(person, to_read, path, **{"If-None-Match": tag})
    assert (answer.status_code, answer.content) == (304, b"")


@on_sqlite
@pytest.mark.parametrize(("tag", "status"), [('"1"', 200), ('"2"', 412), ("*", 200)])
async def test_a_script_changes_on_a_condition(person: Person, to_write: str, tag: str, status: int) -> None:
    expense = await spend(person)
    answer = await person.patch(
        f"/expenses/{expense['id']}", json={"amount": "2.00"}, headers=bearer(to_write, **{"If-Match": tag})
    )
    assert answer.status_code == status


async def test_a_script_repeats_safely(person: Person, to_write: str) -> None:
    headers = bearer(to_write, **{"Idempotency-Key": "a-key"})
    first, again = [await person.post("/expenses", json={"amount": "1.00"}, headers=headers) for _ in range(2)]
    assert (again.headers["Idempotency-Replayed"], again.content) == ("true", first.content)


@on_sqlite
async def test_head_is_answered_to_a_script_as_get(person: Person, to_read: str) -> None:
    answer = await person.head("/expenses", headers=bearer(to_read))
    assert (answer.status_code, answer.content) == (200, b"")


async def test_a_script_on_another_app_finds_the_same_ledger(
    person: Person, to_write: str, elsewhere: httpx.AsyncClient
) -> None:
    expense = await spend(person)
    assert (await use(elsewhere, to_write)).json()["items"] == [expense]


# --- how one is sent --------------------------------------------------------------------------------------------------


@pytest.mark.wire
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_schemes_case_does_not_matter(person: Person, to_read: str, scheme: str) -> None:
    # RFC 9110, section 11.1.
    assert (await person.get("/expenses", headers={"Authorization": f"{scheme} {to_read}"})).status_code == 200


@pytest.mark.wire
@pytest.mark.parametrize("written", ["Token {}", "Basic {}", "{}", "Bearer", "token={}", "Bearer:{}"])
async def test_another_scheme_lets_nobody_in(client: httpx.AsyncClient, to_read: str, written: str) -> None:
    answer = await client.get("/expenses", headers={"Authorization": written.format(to_read)})
    assert (status_and_code(answer), answer.headers["WWW-Authenticate"]) == ((401, "not_authenticated"), "Bearer")


@pytest.mark.wire
@pytest.mark.parametrize("name", ["access_token", "token", "api_key"])
async def test_a_token_in_the_query_lets_nobody_in(client: httpx.AsyncClient, to_read: str, name: str) -> None:
    # RFC 6750, section 2.3, and ASVS 5.0, 14.2.1: addresses end up in logs.
    assert status_and_code(await client.get("/expenses", params={name: to_read})) == (401, "not_authenticated")


@pytest.mark.wire
@pytest.mark.parametrize("written", ["{} {}", "{},{}", "{}\t", "ETK_{}", "{}="])
async def test_a_token_is_sent_in_one_way(person: Person, to_read: str, written: str) -> None:
    token = written.format(to_read, to_read) + "x" * written.endswith("\t")
    assert status_and_code(await use(person, token)) == (401, "invalid_token")


# --- a large body -----------------------------------------------------------------------------------------------------

CHUNK = 10_240


def large_batch(read: list[int]) -> Iterator[bytes]:
    """Return a batch of 100 KiB, in pieces; which were read is written down."""
    body = json.dumps({"operations": [{"op": "create", "data": {"amount": "1.00"}}]}).encode().ljust(10 * CHUNK)
    for place in range(10):
        read.append(place)
        yield body[place * CHUNK :][:CHUNK]


async def send_large(client: httpx.AsyncClient, token: str) -> tuple[httpx.Response, int]:
    """Send a large batch and return the answer, and how many of its ten pieces were read."""
    read: list[int] = []

    async def pieces() -> AsyncIterator[bytes]:
        for piece in large_batch(read):
            yield piece

    answer = await client.post("/expenses/batch", content=pieces(), headers=bearer(token, **JSON))
    return answer, len(read)


@pytest.mark.wire
async def test_a_large_body_is_not_read_of_an_unknown_token(client: httpx.AsyncClient) -> None:
    answer, read = await send_large(client, unknown_token())
    assert (status_and_code(answer), read) == ((401, "invalid_token"), 0)


@on_sqlite
async def test_a_large_body_is_not_read_of_an_expired_token(noon: time_machine.Traveller, person: Person) -> None:
    made = await make(person, scope="write", expires_at=IN_TEN_SECONDS)
    noon.shift(10)
    answer, read = await send_large(person, made["token"])
    assert (status_and_code(answer), read) == ((401, "token_expired"), 0)


@on_sqlite
async def test_a_large_body_is_read_of_a_good_token(person: Person, to_write: str) -> None:
    answer, read = await send_large(person, to_write)
    assert (answer.status_code, read) == (200, 10)


@on_sqlite
async def test_a_large_body_of_a_token_to_read_changes_nothing(person: Person, to_read: str) -> None:
    answer, _ = await send_large(person, to_read)
    assert (status_and_code(answer), (await person.get("/expenses")).json()["items"]) == (
        (403, "insufficient_scope"),
        [],
    )


# --- what a request costs ---------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("noon")
@pytest.mark.parametrize(
    ("method", "path", "body", "number"),
    [
        ("GET", "/expenses", None, 2),
        ("GET", "/users/me", None, 2),
        ("GET", "/budgets/status", None, 3),
        ("POST", "/expenses", {"amount": "12.50", "date": "2026-11-22"}, 5),
        ("DELETE", "/expenses/trash", None, 10),
    ],
)
async def test_a_script_asks_the_database_no_more_than_whoever_signed_in(
    person: Person, to_write: str, statements: Statements, method: str, path: str, body: object, number: int
) -> None:
    await person.delete(f"/expenses/{(await spend(person))['id']}")
    await use(person, to_write)
    with statements() as sent:
        answer = await person.request(method, path, json=body, headers=bearer(to_write))
    assert answer.is_success
    assert len(sent) == number, "\n".join(sent)


@pytest.mark.parametrize(("method", "body", "number"), [("GET", None, 4), ("POST", {"amount": "12.50"}, 7)])
async def test_noting_a_use_costs_an_update_and_a_commit(
    person: Person, to_write: str, statements: Statements, method: str, body: object, number: int
) -> None:
    with statements() as sent:
        answer = await person.request(method, "/expenses", json=body, headers=bearer(to_write))
    assert answer.is_success
    assert (len(sent), noted(sent)) == (number, 1), "\n".join(sent)


async def test_a_script_that_has_the_answer_costs_one_statement(
    person: Person, to_read: str, statements: Statements
) -> None:
    tag = (await use(person, to_read)).headers["ETag"]
    with statements() as sent:
        await use(person, to_read, **{"If-None-Match": tag})
    assert len(sent) == 1, "\n".join(sent)


@pytest.mark.parametrize(
    ("method", "path", "body", "number"),
    [
        ("POST", TOKENS, {"name": "nightly import", "scope": "read"}, 7),
        ("GET", TOKENS, None, 2),
        ("DELETE", f"{TOKENS}/{{}}", None, 3),
        ("DELETE", TOKENS, None, 4),
    ],
)
async def test_a_token_asks_the_database_no_more_than_it_must(
    app: FastAPI, person: Person, statements: Statements, method: str, path: str, body: object, number: int
) -> None:
    await keep_tokens(app, person, 20)
    made = await make(person)
    with statements() as sent:
        answer = await person.request(method, path.format(made["id"]), json=body)
    assert answer.is_success
    assert len(sent) == number, "\n".join(sent)


async def test_a_session_that_ends_while_it_waits_makes_no_token(
    app: FastAPI, person: Person, outside: Connection
) -> None:
    mine = {"id": person.user["id"]}
    outside.execute(text("UPDATE users SET currency = currency WHERE id = :id"), mine)
    outside.execute(text("DELETE FROM refresh_tokens WHERE owner_id = :id"), mine)
    outside.execute(text("DELETE FROM sessions WHERE owner_id = :id"), mine)
    waits = asyncio.Event()

    def look(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "FOR UPDATE" in statement:
            waits.set()

    work = app.state.services.database.pools[0].engine.sync_engine
    event.listen(work, "before_cursor_execute", look)
    waiting = asyncio.create_task(ask_for(person))
    with before_begin(waits.set):  # the file of SQLite has one writer; MySQL locks the row
        await waits.wait()
    outside.commit()
    event.remove(work, "before_cursor_execute", look)
    assert (await waiting).status_code == 401
