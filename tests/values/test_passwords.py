"""Rules for passwords: length in NFKC, and common ones are refused."""

import json
import unicodedata

import httpx
import pytest

from config import Settings
from main import create_app
from schemas import UserCreate
from tests.support.accounts import Form, registration, try_to_sign_in
from tests.support.bodies import USER, blamed, taken
from tests.support.people import Person, SignUp, make_transport


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


async def refused(client: httpx.AsyncClient, password: object) -> tuple[str, str]:
    answer = await client.post("/users/register", content=json.dumps(registration(password=password)), headers=AS_JSON)
    assert answer.status_code == 422, answer.text
    (entry,) = answer.json()["errors"]
    return entry["pointer"], entry["code"]


AS_JSON = {"Content-Type": "application/json"}


@pytest.mark.wire
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
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=make_transport(app), base_url="http://t") as one,
    ):
        assert await refused(one, "fourteen chars") == ("/password", "too_short")


async def test_half_of_a_character_is_no_password_to_sign_in_with(person: Person) -> None:
    form = f"username={person.user['username']}&password=%ED%A0%BC"
    answer = await person.post(
        "/users/token", content=form, headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert answer.status_code in (401, 422)


LONG_IN_NFKC = "\ufdfa" * 228
MANY_MARKS = "a walk along the sea" + "\u0315" * 31


@pytest.mark.parametrize("password", [LONG_IN_NFKC, "\ufdfa" * 1_024, "p" * 1_024, "😀" * 1_024])
async def test_a_password_that_is_long_in_nfkc_is_wrong_like_any_other(person: Person, password: str) -> None:
    signed_in = await try_to_sign_in(person, password)
    unknown = await person.post("/users/token", data={"username": "nobody", "password": password})

    assert (signed_in.status_code, signed_in.json()["code"]) == (401, "invalid_credentials")
    assert (unknown.status_code, unknown.json()["code"]) == (401, "invalid_credentials")


WITH_CURRENT_PASSWORD = [
    ("PUT", "/users/me/password", {"new_password": "another walk along the sea"}),
    ("PATCH", "/users/me", {"username": "somebody-else"}),
    ("DELETE", "/users/me", {}),
]


@pytest.mark.parametrize(("method", "path", "fields"), WITH_CURRENT_PASSWORD)
@pytest.mark.parametrize(("password", "code"), [(LONG_IN_NFKC, "not_allowed"), (MANY_MARKS, "malformed")])
async def test_such_a_current_password_is_refused(
    person: Person, method: str, path: str, fields: dict[str, str], password: str, code: str
) -> None:
    answer = await person.request(method, path, json=fields | {"current_password": password})

    assert (answer.status_code, [(it["pointer"], it["code"]) for it in answer.json()["errors"]]) == (
        422,
        [("/current_password", code)],
    )


@pytest.mark.parametrize(("password", "code"), [(LONG_IN_NFKC, "too_long"), (MANY_MARKS, "malformed")])
async def test_such_a_new_password_is_refused(person: Person, password: str, code: str) -> None:
    fields = {"current_password": person.password, "new_password": password}
    answer = await person.put("/users/me/password", json=fields)

    assert await refused(person, password) == ("/password", code)
    assert [(it["pointer"], it["code"]) for it in answer.json()["errors"]] == [("/new_password", code)]


@pytest.mark.parametrize("field", ["username", "password"])
async def test_many_marks_in_a_row_are_refused_at_a_sign_in_too(client: httpx.AsyncClient, field: str) -> None:
    form = {"username": "nobody", "password": "a walk along the sea"} | {field: MANY_MARKS}
    answer = await client.post("/users/token", data=form)

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, f"/{field}")


@pytest.mark.parametrize(
    ("password", "kept"),
    [
        ("8 chars!", "8 chars!"),
        pytest.param("p" * 128, "p" * 128, id="128"),
        ("пароль из слов", "пароль из слов"),
        ("🔑🔑🔑🔑🔑🔑🔑🔑", "🔑🔑🔑🔑🔑🔑🔑🔑"),
        ("  spaces are kept  ", "  spaces are kept  "),
        ("nul\x00 and bell\x07", "nul\x00 and bell\x07"),
        ("ｆｕｌｌｗｉｄｔｈ", "fullwidth"),
        ("ﬃﬃﬃ", "ffiffiffi"),  # three ligatures are nine letters (NFKC)
        ("cafe\u0301cafe\u0301", "cafécafé"),
    ],
)
def test_a_password_may_be_of_any_characters_and_is_kept_in_nfkc(password: str, kept: str) -> None:
    assert taken(UserCreate, **USER | {"password": password})["password"] == kept


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("", "too_short"),
        ("7 chars", "too_short"),
        ("e\u0301" * 7, "too_short"),  # fourteen code points, seven characters
        pytest.param("p" * 129, "too_long", id="129"),
        ("\ufdfa" * 8, "too_long"),  # 144 characters in NFKC
        (12345678, "wrong_type"),
        (None, "wrong_type"),
    ],
)
def test_a_password_is_counted_after_nfkc(password: object, code: str) -> None:
    assert blamed(UserCreate, **USER | {"password": password}) == {"password": code}
