"""Access tokens: which are accepted, and how each other one is refused."""

import hashlib
import hmac
import json
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
import time_machine
from pydantic import SecretStr

from auth import CLOCK_SKEW, MAX_CLOCK_SET_BACK, AccessTokens
from config import Settings
from infra.signing_keys import load_signing_keys
from main import create_app
from problems import InvalidToken, TokenExpired
from tests.support.databases import on_sqlite
from tests.support.jwt import Claims, decoded, encode_base64url
from tests.support.people import Person, SignUp
from tests.support.settings import GOOD_SECRET, NOON

JWT = {"alg": "HS256", "typ": "JWT"}
HASHES = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}
DAY = 24 * 60 * 60

Forge = Callable[..., str]


# --- tokens of our own making -----------------------------------------------------------------------------------------


@pytest.fixture
def claims(person: Person) -> Claims:
    """What the person's own token says."""
    return decoded(person.token.split(".")[1])


@pytest.fixture
def forge(settings: Settings) -> Forge:
    """Sign any claims under any header with the service's own key."""
    key = load_signing_keys(settings)[0].encode()

    def forge(claims: Claims | list[str], header: Claims | list[str] = JWT) -> str:
        text = f"{encode_base64url(json.dumps(header).encode())}.{encode_base64url(json.dumps(claims).encode())}"
        algorithm = HASHES.get(header["alg"] if isinstance(header, dict) else "", hashlib.sha256)
        return f"{text}.{encode_base64url(hmac.digest(key, text.encode(), algorithm))}"

    return forge


async def bearing(person: httpx.AsyncClient, token: str) -> httpx.Response:
    """Ask for something of one's own with this token."""
    return await person.get("/users/me", headers={"Authorization": f"Bearer {token}"})


def assert_invalid(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


@pytest.mark.wire
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


@pytest.mark.wire
async def test_a_key_id_in_the_header_is_fine(person: Person, claims: Claims, forge: Forge) -> None:
    assert (await bearing(person, forge(claims, JWT | {"kid": "2026"}))).status_code == 200


@pytest.mark.wire
@pytest.mark.parametrize("missing", ["iss", "aud", "sub", "sid", "iat", "exp", "jti"])
async def test_every_claim_is_required(person: Person, claims: Claims, forge: Forge, missing: str) -> None:
    del claims[missing]
    assert_invalid(await bearing(person, forge(claims)))


NOW = int(NOON.timestamp())
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
    "issued in two days": {"iat": NOW + 2 * DAY, "exp": NOW + 2 * DAY + 60},
    "issued in 2106": {"iat": 2**32, "exp": 2**32 + 60},
    "issued as text": {"iat": str(NOW)},
    "issued at half a second": {"iat": NOW + 0.5},
    "issued never": {"iat": None},
    "expires as text": {"exp": str(NOW + 600)},
    "expires at half a second": {"exp": NOW + 600.5},
    "expires never": {"exp": None},
    "expires after the sun": {"exp": 1e300},
    "never expires": {"exp": math.inf},
    "was never issued": {"iat": -math.inf},
    "good for a day": {"exp": NOW + DAY},
    "was good for a day": {"iat": NOW - DAY, "exp": NOW + 600},
    "good from later on": {"nbf": NOW + 600},
    "token id as a number": {"jti": 1},
}


@pytest.mark.wire
@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
@pytest.mark.usefixtures("noon")
async def test_a_wrong_claim_is_refused(person: Person, claims: Claims, forge: Forge, wrong: Claims) -> None:
    assert_invalid(await bearing(person, forge(claims | wrong)))


@pytest.mark.wire
async def test_a_lifetime_may_be_as_long_as_configured_and_no_second_longer(
    person: Person, claims: Claims, forge: Forge
) -> None:
    assert_invalid(await bearing(person, forge(claims | {"exp": claims["iat"] + 15 * 60 + 1})))


@pytest.mark.wire
async def test_claims_that_are_no_object_are_refused(person: Person, forge: Forge) -> None:
    assert_invalid(await bearing(person, forge(["iss", "aud", "sub", "sid", "iat", "exp", "jti"])))


@pytest.mark.wire
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


@pytest.mark.wire
@pytest.mark.parametrize("algorithm", ["none", "HS256"])
async def test_an_unsigned_token_is_refused(person: Person, claims: Claims, forge: Forge, algorithm: str) -> None:
    unsigned, _, _ = forge(claims, {"alg": algorithm}).rpartition(".")
    assert_invalid(await bearing(person, f"{unsigned}."))


@pytest.mark.wire
async def test_a_changed_signature_is_refused(person: Person) -> None:
    unsigned, _, signature = person.token.rpartition(".")
    assert_invalid(await bearing(person, f"{unsigned}.{signature[1:]}{signature[0]}"))


@pytest.mark.wire
async def test_changed_claims_are_refused(person: Person, claims: Claims, stranger: Person) -> None:
    header, _, signature = person.token.split(".")
    changed = claims | {"sub": str(stranger.user["id"])}
    assert_invalid(await bearing(person, f"{header}.{encode_base64url(json.dumps(changed).encode())}.{signature}"))


async def test_another_users_session_does_not_let_in(
    person: Person, stranger: Person, claims: Claims, forge: Forge
) -> None:
    theirs = decoded(stranger.token.split(".")[1])
    assert_invalid(await bearing(person, forge(claims | {"sid": theirs["sid"]})))


@pytest.mark.wire
@pytest.mark.parametrize(
    "token",
    [
        "[" * 1500,
        encode_base64url(b"[" * 750),
        encode_base64url(b"[" * 600) + "." + encode_base64url(b"[" * 100) + ".",
        encode_base64url(b'{"a":' * 150),
        "." * 1000,
        "..",
        "a.b.c",
        "a.b.c.d.e",
        "=.=.=",
        encode_base64url(b"\xff\xfe{}") + ".e30.e30",
        encode_base64url(b"null") + ".e30.e30",
        encode_base64url(b"7") + ".e30.e30",
        encode_base64url(b'"alg"') + ".e30.e30",
        "Bearer",
        "two tokens",
        "x" * 100_000,
    ],
    ids=lambda token: f"{token[:12]} of {len(token)}",
)
async def test_what_is_no_token_is_refused(client: httpx.AsyncClient, token: str) -> None:
    assert_invalid(await bearing(client, token))


@pytest.mark.wire
async def test_a_token_of_foreign_letters_is_refused(client: httpx.AsyncClient) -> None:
    assert_invalid(await client.get("/users/me", headers={b"Authorization": b"Bearer t\xf6ken"}))


@pytest.mark.wire
async def test_an_expired_token_says_what_to_press(person: Person, claims: Claims, forge: Forge) -> None:
    answer = await bearing(person, forge(claims | {"iat": NOW - 1000, "exp": NOW - 100}))
    assert (answer.status_code, answer.json()["code"]) == (401, "token_expired")
    assert "press Authorize again" in answer.json()["detail"]
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


# --- the header -------------------------------------------------------------------------------------------------------


@pytest.mark.wire
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_schemes_case_does_not_matter(person: Person, scheme: str) -> None:
    answer = await person.get("/users/me", headers={"Authorization": f"{scheme} {person.token}"})
    assert answer.status_code == 200


@pytest.mark.wire
@pytest.mark.parametrize("path", ["/users/me", "/expenses", "/categories"])
@pytest.mark.parametrize("header", ["", "Basic Og==", "Bearer", "Bearer ", "Token abc", "Bearer\tabc"])
async def test_without_a_bearer_token_the_answer_asks_to_sign_in(
    client: httpx.AsyncClient, path: str, header: str
) -> None:
    answer = await client.get(path, headers={"Authorization": header} if header else {})
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.wire
async def test_a_token_in_the_query_does_not_let_in(client: httpx.AsyncClient, person: Person) -> None:
    answer = await client.get("/users/me", params={"access_token": person.token})
    assert answer.status_code == 401


@pytest.mark.wire
async def test_a_token_is_spelt_in_one_way(person: Person) -> None:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    # The last letter's two lowest bits say nothing: another one would be the same signature to a lenient reader.
    last = letters.index(person.token[-1])
    spellings = [person.token[:-1] + letters[last + 1], f"{person.token}=", f"{person.token}=="]

    answers = [await bearing(person, token) for token in spellings]

    assert [answer.status_code for answer in answers] == [401, 401, 401]


# --- a token that was verified before ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "refusal"),
    [
        (15 * 60 + 1, TokenExpired),
        (-CLOCK_SKEW - 1, TokenExpired),
        (-MAX_CLOCK_SET_BACK, TokenExpired),
        (-MAX_CLOCK_SET_BACK - 1, InvalidToken),
    ],
)
def test_a_token_that_was_good_is_so_only_in_its_time(
    noon: time_machine.Traveller, seconds: int, refusal: type[InvalidToken]
) -> None:
    tokens = AccessTokens([GOOD_SECRET], 15)
    token = tokens.issue(7, "0123456789abcdef" * 2, 15 * 60)
    tokens.read(token)
    noon.shift(seconds)
    with pytest.raises(refusal) as refused:
        tokens.read(token)
    assert type(refused.value) is refusal


# --- when the clock is set back ---------------------------------------------------------------------------------------


def test_a_token_is_good_on_a_host_whose_clock_is_a_little_slow(noon: time_machine.Traveller) -> None:
    token = issued(GOOD_SECRET)
    noon.shift(-CLOCK_SKEW)
    assert AccessTokens(BEFORE, 15).read(token).user_id == 7


@on_sqlite
@pytest.mark.parametrize("seconds", [CLOCK_SKEW + 1, 3600, DAY])
async def test_after_the_clock_was_set_back_the_session_goes_on(
    noon: time_machine.Traveller, sign_up: SignUp, seconds: int
) -> None:
    person = await sign_up()
    pair = (await person.post("/users/token", data=sign_in_form(person))).json()
    noon.shift(-seconds)

    answer = await bearing(person, pair["access_token"])
    assert (answer.status_code, answer.json()["code"]) == (401, "token_expired")

    renewed = await person.post("/users/token/refresh", json={"refresh_token": pair["refresh_token"]})
    assert (await bearing(person, renewed.json()["access_token"])).status_code == 200


@on_sqlite
async def test_after_the_clock_was_set_back_an_ended_session_is_not_refreshed(
    noon: time_machine.Traveller, sign_up: SignUp
) -> None:
    person = await sign_up()
    pair = (await person.post("/users/token", data=sign_in_form(person))).json()
    await person.post("/users/logout", json={"refresh_token": pair["refresh_token"]})
    noon.shift(-3600)

    assert_invalid(await person.post("/users/token/refresh", json={"refresh_token": pair["refresh_token"]}))
    assert (await bearing(person, pair["access_token"])).status_code == 401


def sign_in_form(person: Person) -> dict[str, str]:
    return {"username": person.user["username"], "password": person.password}


def test_a_token_from_the_future_that_another_key_signed_is_only_invalid(noon: time_machine.Traveller) -> None:
    token = issued(GOOD_SECRET)
    noon.shift(-3600)
    with pytest.raises(InvalidToken) as refused:
        AccessTokens(AFTER, 15).read(token)
    assert not isinstance(refused.value, TokenExpired)


# --- while the key is being replaced ----------------------------------------------------------------------------------

NEW_SECRET = "c3a1f09e7b5d48261f0e9d8c7b6a59483726150f4e3d2c1b0a998877665544ab"
SID = "0123456789abcdef" * 2
BEFORE, DURING, AFTER = (GOOD_SECRET,), (NEW_SECRET, GOOD_SECRET), (NEW_SECRET,)


def issued(*keys: str) -> str:
    """Return a token of user 7 as a service with these keys issues it."""
    return AccessTokens(keys, 15).issue(7, SID, 15 * 60)


def signed_with(key: str, header: Claims, claims: Claims) -> str:
    text = f"{encode_base64url(json.dumps(header).encode())}.{encode_base64url(json.dumps(claims).encode())}"
    digest = hmac.digest(key.encode(), text.encode(), HASHES.get(header["alg"], hashlib.sha256))
    return f"{text}.{encode_base64url(digest)}"


@pytest.mark.parametrize(
    ("then", "today"), [(BEFORE, DURING), (DURING, DURING), (DURING, AFTER), (BEFORE, BEFORE), (AFTER, DURING)], ids=str
)
def test_a_token_is_good_as_long_as_its_key_is_known(then: tuple[str, ...], today: tuple[str, ...]) -> None:
    # RFC 8725, section 3.5, and ASVS 5.0, 11.1.1: a key can be replaced while people are signed in.
    read = AccessTokens(today, 15).read(issued(*then))
    assert (read.user_id, read.sid) == (7, SID)


@pytest.mark.parametrize(("then", "today"), [(BEFORE, AFTER), (DURING, BEFORE), (AFTER, BEFORE)], ids=str)
def test_a_token_ends_with_its_key(then: tuple[str, ...], today: tuple[str, ...]) -> None:
    with pytest.raises(InvalidToken):
        AccessTokens(today, 15).read(issued(*then))


@pytest.mark.parametrize("keys", [DURING, (NEW_SECRET, GOOD_SECRET, "x" * 32)], ids=len)
def test_a_new_token_is_signed_with_the_new_key(keys: tuple[str, ...]) -> None:
    text, _, signature = issued(*keys).rpartition(".")
    assert signature == encode_base64url(hmac.digest(NEW_SECRET.encode(), text.encode(), hashlib.sha256))


@pytest.mark.parametrize("key", [NEW_SECRET, GOOD_SECRET], ids=["new key", "previous key"])
@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"},
        {"alg": "None"},
        {"alg": ""},
        {"alg": "HS384"},
        {"alg": "HS512"},
        {"alg": "RS256"},
        JWT | {"crit": ["exp"]},
        JWT | {"jwk": {"kty": "oct", "k": "AAAA"}},
        JWT | {"kid": GOOD_SECRET, "jku": "https://evil.example/keys"},
    ],
    ids=str,
)
def test_neither_key_verifies_under_another_header(key: str, header: Claims) -> None:
    # RFC 8725, sections 3.1 and 3.2.
    claims = decoded(issued(key).split(".")[1])
    tokens = AccessTokens(DURING, 15)
    assert tokens.read(signed_with(key, JWT, claims)).user_id == 7
    with pytest.raises(InvalidToken):
        tokens.read(signed_with(key, header, claims))


@pytest.mark.parametrize("signature", ["", "AAAA", "A" * 43], ids=len)
@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_an_unsigned_token_is_refused_by_two_keys_too(algorithm: str, signature: str) -> None:
    claims = issued(NEW_SECRET).split(".")[1]
    header = encode_base64url(json.dumps({"alg": algorithm, "typ": "JWT"}).encode())
    with pytest.raises(InvalidToken):
        AccessTokens(DURING, 15).read(f"{header}.{claims}.{signature}")


def test_a_signature_of_both_keys_texts_is_none() -> None:
    with pytest.raises(InvalidToken):
        AccessTokens(DURING, 15).read(issued(NEW_SECRET + GOOD_SECRET))


@pytest.mark.parametrize("key", [NEW_SECRET, GOOD_SECRET], ids=["new key", "previous key"])
@pytest.mark.parametrize(
    "wrong", [{"aud": "another-api"}, {"iss": "somebody-else"}, {"jti": None}, {"sub": "ada"}], ids=str
)
def test_the_claims_are_looked_at_whichever_key_signed(key: str, wrong: Claims) -> None:
    # RFC 8725, sections 3.8 and 3.9.
    claims = decoded(issued(key).split(".")[1])
    with pytest.raises(InvalidToken):
        AccessTokens(DURING, 15).read(signed_with(key, JWT, claims | wrong))


@pytest.mark.parametrize("key", [NEW_SECRET, GOOD_SECRET], ids=["new key", "previous key"])
def test_an_expired_token_is_said_to_be_so_whichever_key_signed(noon: time_machine.Traveller, key: str) -> None:
    token = issued(key)
    noon.shift(15 * 60 + 1)
    with pytest.raises(TokenExpired):
        AccessTokens(DURING, 15).read(token)


def test_an_expired_token_of_a_key_that_is_gone_is_only_invalid(noon: time_machine.Traveller) -> None:
    token = issued(GOOD_SECRET)
    noon.shift(15 * 60 + 1)
    with pytest.raises(InvalidToken) as refused:
        AccessTokens(AFTER, 15).read(token)
    assert not isinstance(refused.value, TokenExpired)


@asynccontextmanager
async def started_again(settings: Settings, **keys: SecretStr | None) -> AsyncIterator[httpx.AsyncClient]:
    """Start the service again on the same database, with other keys, and return a client of it."""
    app = create_app(settings.model_copy(update=keys))
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://testserver") as client,
    ):
        yield client


@pytest.fixture(scope="module")
async def with_both_keys(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the service while its key is replaced."""
    keys = {"secret_key": SecretStr(NEW_SECRET), "secret_key_previous": settings.secret_key}
    async with started_again(settings, **keys) as client:
        yield client


@pytest.fixture(scope="module")
async def with_new_key(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the service when the previous key is gone."""
    async with started_again(settings, secret_key=SecretStr(NEW_SECRET)) as client:
        yield client


@on_sqlite
async def test_who_has_signed_in_stays_so_while_the_key_is_replaced(
    person: Person, with_both_keys: httpx.AsyncClient
) -> None:
    assert (await bearing(with_both_keys, person.token)).status_code == 200


@on_sqlite
async def test_without_the_previous_key_its_tokens_are_refused(person: Person, with_new_key: httpx.AsyncClient) -> None:
    assert_invalid(await bearing(with_new_key, person.token))


@on_sqlite
async def test_who_signs_in_meanwhile_stays_so_when_the_previous_key_is_gone(
    person: Person, with_both_keys: httpx.AsyncClient, with_new_key: httpx.AsyncClient
) -> None:
    form = {"username": person.user["username"], "password": person.password}
    token = (await with_both_keys.post("/users/token", data=form)).json()["access_token"]
    assert (await bearing(with_new_key, token)).status_code == 200


@on_sqlite
async def test_a_session_is_refreshed_over_the_change_of_the_key(
    person: Person, with_both_keys: httpx.AsyncClient
) -> None:
    shown = {"refresh_token": person.pair["refresh_token"]}
    token = (await with_both_keys.post("/users/token/refresh", json=shown)).json()["access_token"]
    assert (await bearing(with_both_keys, token)).status_code == 200


@on_sqlite
async def test_a_personal_token_outlives_every_key(person: Person, with_new_key: httpx.AsyncClient) -> None:
    made = await person.post("/users/me/tokens", json={"name": "nightly import", "scope": "read"})
    assert (await bearing(with_new_key, made.json()["token"])).status_code == 200


# --- to the second ----------------------------------------------------------------------------------------------------


def test_a_token_is_good_up_to_its_last_second(noon: time_machine.Traveller) -> None:
    token = issued(GOOD_SECRET)
    noon.shift(15 * 60 - 1)
    assert AccessTokens(BEFORE, 15).read(token).user_id == 7


def test_an_expired_token_is_refreshed_even_if_tokens_live_shorter_now(noon: time_machine.Traveller) -> None:
    token = AccessTokens(BEFORE, 60).issue(7, SID, 60 * 60)
    shorter = AccessTokens(BEFORE, 15)
    with pytest.raises(InvalidToken):
        shorter.read(token)
    noon.shift(60 * 60)
    with pytest.raises(TokenExpired):
        shorter.read(token)


def test_a_token_has_expired_on_the_second_that_it_names(noon: time_machine.Traveller) -> None:
    # RFC 7519, section 4.1.4: on or after it.
    token = issued(GOOD_SECRET)
    noon.shift(15 * 60)
    with pytest.raises(TokenExpired):
        AccessTokens(BEFORE, 15).read(token)
