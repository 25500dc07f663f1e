"""Who is calling: only our own fresh token of a living session opens a door."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import time_machine
from conftest import GOOD_SECRET, Person

from auth import CLOCK_SKEW, AccessTokens
from config import Settings
from problems import InvalidToken, TokenExpired

JWT = {"alg": "HS256", "typ": "JWT"}
HASHES = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}
DAY = 24 * 60 * 60

Claims = dict[str, Any]
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
    key = settings.signing_keys()[0].encode()

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


async def test_a_token_is_spelt_in_one_way(person: Person) -> None:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    # The last letter's two lowest bits say nothing: another one would be the same signature to a lenient reader.
    last = letters.index(person.token[-1])
    spellings = [person.token[:-1] + letters[last + 1], f"{person.token}=", f"{person.token}=="]

    answers = [await bearing(person, token) for token in spellings]

    assert [answer.status_code for answer in answers] == [401, 401, 401]


# --- a token that was verified before ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "refusal"), [(15 * 60 + 1, TokenExpired), (-CLOCK_SKEW - 1, InvalidToken)])
def test_a_token_that_was_good_is_so_only_in_its_time(
    noon: time_machine.Traveller, seconds: int, refusal: type[InvalidToken]
) -> None:
    tokens = AccessTokens([GOOD_SECRET], 15)
    token = tokens.issue(7, "0123456789abcdef" * 2, 15 * 60)
    tokens.read(token)
    noon.shift(seconds)
    with pytest.raises(refusal):
        tokens.read(token)
