"""Accounts: register, change the profile and the password, delete."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from zoneinfo import available_timezones

import bcrypt
import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import Connection, Table, bindparam, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from auth import Caller
from database import Base, UnitOfWork
from models import LedgerState, Payee, User
from tests.support.accounts import (
    change_name,
    change_password,
    delete_account,
    new_password,
    register_another,
    sign_in,
    token_for,
)
from tests.support.databases import on_mysql, on_sqlite
from tests.support.files import send
from tests.support.people import Arrive, Person, SignUp, make_transport, numbers, registered, signed_up
from tests.support.statements import Statements

OWNED_TABLES = [table for table in Base.metadata.sorted_tables if "owner_id" in table.c]
AS_JSON = {"Content-Type": "application/json"}
AS_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def arrive() -> Arrive:
    """Whom a test signs up itself has registered."""
    return registered


@pytest.fixture
async def person(app: FastAPI) -> AsyncIterator[Person]:
    """A user whose rows were written directly: the first test says that they are those of whoever registers."""
    async with signed_up(app) as person:
        yield person


@pytest.fixture
async def stranger(app: FastAPI) -> AsyncIterator[Person]:
    """Another such user."""
    async with signed_up(app) as stranger:
        yield stranger


@pytest.fixture
def form() -> dict[str, str]:
    """What somebody new registers with."""
    name = f"new-{next(numbers)}"
    return {"username": name, "email": f"{name}@example.com", "password": "a walk along the sea"}


def places(answer: httpx.Response) -> dict[str, str]:
    """What is to blame, and for what."""
    return {entry["pointer"]: entry["code"] for entry in answer.json()["errors"]}


# --- registering ------------------------------------------------------------------------------------------------------

# What is nobody else's: ids, names, secrets, and the address that one comes from.
OF_ONE_ALONE = {
    *("id", "owner_id", "session_id", "username", "username_key", "email", "email_key"),
    *("password_hash", "sid", "token_hash", "ip", "network"),
}


def rows_of(connection: Connection, person: Person) -> dict[str, list[dict[str, object]]]:
    """Return the rows that anybody who has just signed in has like this person."""
    queries = {table.name: select(table).where(table.c.owner_id == person.user["id"]) for table in OWNED_TABLES}
    queries["users"] = select(User.__table__).where(User.id == person.user["id"])
    return {
        name: [
            {key: it for key, it in row._mapping.items() if key not in OF_ONE_ALONE}
            for row in connection.execute(query)
        ]
        for name, query in queries.items()
    }


@pytest.mark.usefixtures("noon")
async def test_whoever_other_tests_sign_up_has_the_rows_of_whoever_registers(app: FastAPI, outside: Connection) -> None:
    async with registered(app) as client, signed_up(app) as quick:
        rows = [rows_of(outside, it) for it in (client, quick)]
        users = [it.user.keys() for it in (client, quick)]

    assert rows[0] == rows[1]
    assert users[0] == users[1]


async def test_registering_answers_with_the_account(client: httpx.AsyncClient, form: dict[str, str]) -> None:
    answer = await client.post("/users/register", json=form)
    assert answer.status_code == 201
    user = answer.json()
    assert user.pop("id") > 0
    assert user.pop("created_at") == user.pop("updated_at")
    assert user == {
        "username": form["username"],
        "email": form["email"],
        "currency": "EUR",
        "timezone": "UTC",
        "month_start_day": 1,
    }


@on_sqlite
@pytest.mark.parametrize(
    ("registered", "spelt"),
    [
        ("ada-{n}@exämple.com", "ada-{n}@xn--exmple-cua.com"),
        ("ada-{n}@exämple.com", "ADA-{n}@XN--EXMPLE-CUA.COM"),
        ("ada-{n}@xn--exmple-cua.com", "ada-{n}@exämple.com"),
    ],
)
async def test_an_address_signs_in_however_its_domain_is_spelt(
    sign_up: SignUp, client: httpx.AsyncClient, registered: str, spelt: str
) -> None:
    number = next(numbers)
    person = await sign_up(email=registered.format(n=number))

    assert (await token_for(client, spelt.format(n=number), person.password)).status_code == 200


@pytest.mark.wire
async def test_ones_own_address_is_no_password_however_its_domain_is_spelt(
    client: httpx.AsyncClient, form: dict[str, str]
) -> None:
    own = {"email": "ada@exämple.com", "password": "ada@xn--exmple-cua.com"}

    assert places(await client.post("/users/register", json=form | own)) == {"/password": "not_allowed"}


async def test_registering_takes_currency_time_zone_and_salary_day(sign_up: SignUp) -> None:
    person = await sign_up(currency="jpy", timezone="Asia/Tokyo", month_start_day=25)
    assert person.user["currency"] == "JPY"
    assert person.user["timezone"] == "Asia/Tokyo"
    assert person.user["month_start_day"] == 25


async def test_an_account_was_opened_now_in_utc(person: Person) -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", person.user["created_at"])
    opened = datetime.fromisoformat(person.user["created_at"])
    assert abs((datetime.now(UTC) - opened).total_seconds()) < 60


@on_sqlite
@pytest.mark.parametrize("username", ["ada", "A.d_a-1", "x" * 50, "0.0", "---", "1234567"])
async def test_letters_digits_dots_underscores_and_hyphens_make_a_name(sign_up: SignUp, username: str) -> None:
    assert (await sign_up(username=f"{next(numbers)}{username}"[:50])).user["username"].endswith(username[:45])


@pytest.mark.wire
@pytest.mark.parametrize(
    ("username", "code"),
    [
        ("", "too_short"),
        ("ab", "too_short"),
        ("x" * 51, "too_long"),
        ("ada lovelace", "malformed"),
        ("ada\x00", "malformed"),
        ("ada@example.com", "malformed"),
        ("ådä", "malformed"),
        ("ａｄａ", "malformed"),
        ("ada/..", "malformed"),
        (None, "wrong_type"),
        (12345, "wrong_type"),
        (["ada"], "wrong_type"),
    ],
)
async def test_another_name_is_refused(
    client: httpx.AsyncClient, form: dict[str, str], username: object, code: str
) -> None:
    answer = await client.post("/users/register", json=form | {"username": username})
    assert answer.status_code == 422
    assert places(answer) == {"/username": code}


@pytest.mark.wire
@pytest.mark.parametrize(
    "email",
    [
        "",
        "ada",
        "@example.com",
        "ada@",
        "ada@@example.com",
        "a da@example.com",
        "ada@exam ple.com",
        "ada\x00@example.com",
        "Ada <ada@example.com>",
        "ada@example.com, eve@example.com",
        "ada@[127.0.0.1",
        "ada@example.com\n",
        "ada@" + "x." * 130 + "com",
        "ada\ud800@example.com",
        None,
        7,
    ],
)
async def test_what_is_no_email_is_refused(client: httpx.AsyncClient, form: dict[str, str], email: object) -> None:
    answer = await client.post("/users/register", content=json.dumps(form | {"email": email}), headers=AS_JSON)
    assert answer.status_code == 422
    assert places(answer).keys() == {"/email"}
    assert not isinstance(email, str) or len(email) < 4 or email not in answer.text


@pytest.mark.wire
@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("currency", "EURO", "not_allowed"),
        ("currency", "", "not_allowed"),
        ("currency", "ZZZ", "not_allowed"),
        ("currency", 978, "wrong_type"),
        ("currency", None, "wrong_type"),
        ("timezone", "Mars/Olympus", "not_allowed"),
        ("timezone", "", "not_allowed"),
        ("timezone", "../../etc/passwd", "not_allowed"),
        ("timezone", "CEST", "not_allowed"),
        ("timezone", "+02:00", "not_allowed"),
        ("timezone", None, "wrong_type"),
        ("month_start_day", 0, "out_of_range"),
        ("month_start_day", 29, "out_of_range"),
        ("month_start_day", -1, "out_of_range"),
        ("month_start_day", 10**30, "out_of_range"),
        ("month_start_day", "1", "wrong_type"),
        ("month_start_day", 1.0, "wrong_type"),
        ("month_start_day", True, "wrong_type"),
        ("month_start_day", None, "wrong_type"),
        ("is_admin", True, "unknown"),
        ("password_hash", "$2b$04$", "unknown"),
    ],
)
async def test_a_preference_out_of_bounds_is_refused(
    client: httpx.AsyncClient, somebody: Person, form: dict[str, str], field: str, value: object, code: str
) -> None:
    registered = await client.post("/users/register", json=form | {field: value})
    changed = await somebody.patch("/users/me", json={field: value})
    assert (registered.status_code, changed.status_code) == (422, 422)
    assert places(registered).keys() == places(changed).keys() == {f"/{field}"}
    assert places(changed)[f"/{field}"] == code


@on_mysql
@pytest.mark.parametrize("timezone", ["UTC", "Europe/Berlin", "Asia/Calcutta", "America/Argentina/Buenos_Aires"])
async def test_every_iana_name_is_a_time_zone(person: Person, timezone: str) -> None:
    assert timezone in available_timezones()
    answer = await person.patch("/users/me", json={"timezone": timezone})
    assert answer.json()["timezone"] == timezone


@pytest.mark.wire
async def test_everything_wrong_is_said_at_once(client: httpx.AsyncClient) -> None:
    answer = await client.post("/users/register", json={"username": "x", "email": "y", "colour": "red"})
    assert places(answer) == {
        "/username": "too_short",
        "/email": "malformed",
        "/password": "required",
        "/colour": "unknown",
    }


async def test_a_taken_name_and_a_taken_email_are_both_pointed_at(client: httpx.AsyncClient, person: Person) -> None:
    taken = {"username": person.user["username"], "email": person.user["email"], "password": "another sea"}
    answer = await client.post("/users/register", json=taken)
    assert (answer.status_code, answer.json()["code"]) == (409, "already_exists")
    assert places(answer) == {"/username": "already_exists", "/email": "already_exists"}


@pytest.mark.parametrize("field", ["username", "email"])
async def test_one_taken_field_is_pointed_at_alone(
    client: httpx.AsyncClient, person: Person, form: dict[str, str], field: str
) -> None:
    answer = await client.post("/users/register", json=form | {field: person.user[field].upper()})
    assert answer.status_code == 409
    assert places(answer) == {f"/{field}": "already_exists"}


@on_sqlite
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Straße.{}@example.com", "STRASSE.{}@example.com"),
        ("Ǆ.{}@example.com", "ǆ.{}@example.com"),
        ("Å.{}@example.com", "å.{}@example.com"),
        ("x.{}@Bücher.example", "x.{}@bücher.EXAMPLE"),
    ],
)
async def test_case_makes_no_other_email(sign_up: SignUp, client: httpx.AsyncClient, first: str, second: str) -> None:
    number = next(numbers)
    await sign_up(email=first.format(number))
    form = {"username": f"second-{number}", "email": second.format(number), "password": "a walk along the sea"}
    assert places(await client.post("/users/register", json=form)) == {"/email": "already_exists"}


async def test_an_accent_or_a_dot_makes_another_email(sign_up: SignUp) -> None:
    number = next(numbers)
    await sign_up(email=f"ada.e{number}@example.com")
    await sign_up(email=f"ada.é{number}@example.com")
    await sign_up(email=f"adae{number}@example.com")


async def test_two_equal_registrations_at_once_open_one_account(
    client: httpx.AsyncClient, form: dict[str, str]
) -> None:
    answers = await asyncio.gather(*(client.post("/users/register", json=form) for _ in range(6)))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 5}
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert places(refused) == {"/username": "already_exists", "/email": "already_exists"}


async def test_registrations_that_meet_in_one_field_open_one_account(
    client: httpx.AsyncClient, form: dict[str, str]
) -> None:
    answers = await asyncio.gather(
        client.post("/users/register", json=form),
        client.post("/users/register", json=form | {"email": f"other-{form['email']}"}),
    )
    assert sorted(answer.status_code for answer in answers) == [201, 409]


# --- signing in -------------------------------------------------------------------------------------------------------


@on_sqlite
@pytest.mark.parametrize("spelled", [str.upper, str.title])
@pytest.mark.parametrize("by", ["username", "email"])
async def test_the_name_or_the_email_signs_in_however_it_is_spelled(
    client: httpx.AsyncClient, somebody: Person, by: str, spelled: Callable[[str], str]
) -> None:
    answer = await token_for(client, spelled(somebody.user[by]), somebody.password)
    assert answer.status_code == 200
    token = answer.json()
    assert (token["token_type"], token["expires_in"]) == ("bearer", 900)
    me = await client.get("/users/me", headers={"Authorization": f"Bearer {token['access_token']}"})
    assert me.json() == somebody.user


@on_sqlite
@pytest.mark.parametrize(
    ("domain", "typed"),
    [
        ("nas.local", "NAS.Local"),
        ("x.test", "X.TEST"),
        ("[192.168.1.5]", "[192.168.1.5]"),
        ("[IPv6:fe80::1]", "[ipv6:FE80:0::1]"),
    ],
)
async def test_an_address_at_home_signs_in_however_it_is_spelled(
    client: httpx.AsyncClient, sign_up: SignUp, domain: str, typed: str
) -> None:
    number = next(numbers)
    person = await sign_up(email=f"  ada-{number}@{domain} ")

    assert person.user["email"] == f"ada-{number}@{domain}"
    assert (await token_for(client, f"ada-{number}@{typed}", person.password)).status_code == 200


@on_sqlite
async def test_a_name_is_kept_without_the_spaces_around_it(client: httpx.AsyncClient, form: dict[str, str]) -> None:
    answer = await client.post("/users/register", json=form | {"username": f"  {form['username']}\t"})

    assert answer.json()["username"] == form["username"]


@on_sqlite
@pytest.mark.parametrize("typed", [" {}", "{} ", "\t{}\n"])
async def test_a_space_around_the_name_does_not_matter(client: httpx.AsyncClient, person: Person, typed: str) -> None:
    answer = await token_for(client, typed.format(person.user["username"]), person.password)
    assert answer.status_code == 200


@on_sqlite
async def test_a_token_is_stored_by_nobody(client: httpx.AsyncClient, person: Person) -> None:
    answer = await token_for(client, person.user["username"], person.password)
    assert answer.headers["Cache-Control"] == "no-store"


@on_sqlite
async def test_wrong_credentials_are_no_invalid_token(client: httpx.AsyncClient, person: Person) -> None:
    answer = await token_for(client, person.user["username"], "not the password")
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_credentials")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json()["error"] == "invalid_grant"
    assert "wrong" in answer.json()["error_description"]


@on_sqlite
async def test_what_swagger_sends_with_the_form_is_ignored(client: httpx.AsyncClient, person: Person) -> None:
    form = {
        "grant_type": "password",
        "username": person.user["username"],
        "password": person.password,
        "scope": "read write",
        "client_id": "",
        "client_secret": "",
    }
    answer = await client.post("/users/token", data=form, headers={"Authorization": "Basic Og=="})
    assert answer.status_code == 200


@on_sqlite
async def test_an_old_token_does_not_stand_in_the_way_of_a_new_one(person: Person) -> None:
    person.headers["Authorization"] = "Bearer long.ago.expired"
    assert (await token_for(person, person.user["username"], person.password)).status_code == 200


@pytest.mark.wire
@pytest.mark.parametrize("body", ["username=ada&password=tail&hunter2", '{"username":"ada","password":"hunter2"}'])
async def test_a_form_that_was_torn_is_not_echoed(client: httpx.AsyncClient, body: str) -> None:
    answer = await client.post("/users/token", content=body, headers=AS_FORM)
    assert "hunter2" not in answer.text


@on_sqlite
async def test_a_new_name_must_not_be_the_password(person: Person) -> None:
    name = person.password.replace(" ", ".")
    await person.put("/users/me/password", json={"current_password": person.password, "new_password": name})
    answer = await person.patch("/users/me", json={"username": name, "current_password": name})
    assert (answer.status_code, [it["pointer"] for it in answer.json()["errors"]]) == (422, ["/username"])


@on_sqlite
async def test_a_wrong_current_password_is_told_though_none_was_needed(person: Person) -> None:
    answer = await person.patch("/users/me", json={"currency": "USD", "current_password": "not it at all"})
    assert (answer.status_code, answer.json()["code"]) == (422, "wrong_password")


@pytest.mark.wire
async def test_json_is_answered_with_how_to_send_a_form(client: httpx.AsyncClient, person: Person) -> None:
    answer = await client.post("/users/token", json={"username": person.user["username"], "password": person.password})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert "username=…&password=…" in answer.json()["detail"]
    assert answer.json()["error"] == "invalid_request"
    assert "username=…&password=…" in answer.json()["error_description"]


@pytest.mark.wire
@pytest.mark.parametrize(
    ("body", "blamed"),
    [
        ("", {"/username": "required", "/password": "required"}),
        ("username=ada", {"/password": "required"}),
        ("password=secret", {"/username": "required"}),
        ("username=ada&username=eve&password=x", {"/username": "not_allowed"}),
        ("username=ada&password=x&password=y", {"/password": "not_allowed"}),
        (f"username={'x' * 255}&password=x", {"/username": "too_long"}),
        (f"username=ada&password={'x' * 1025}", {"/password": "too_long"}),
    ],
)
async def test_a_wrong_form_is_answered_field_by_field(
    client: httpx.AsyncClient, body: str, blamed: dict[str, str]
) -> None:
    answer = await client.post("/users/token", content=body, headers=AS_FORM)
    assert answer.status_code == 422
    assert answer.json()["error"] == "invalid_request"
    assert places(answer).keys() == blamed.keys()
    assert all(field.strip("/") in answer.json()["error_description"] for field in blamed)


@pytest.mark.parametrize(
    "username",
    [
        "%00",
        "%ff%fe",
        "%ED%A0%80",
        "' OR 1=1 --",
        "x" * 254,
        "%F0%9F%8C%8A",
        "\N{ARABIC LIGATURE JALLAJALALOUHOU}" * 254,
    ],
)
async def test_no_name_whatever_breaks_the_sign_in(client: httpx.AsyncClient, username: str) -> None:
    answer = await client.post("/users/token", content=f"username={username}&password=x", headers=AS_FORM)
    assert answer.status_code in (401, 422)


@pytest.mark.wire
async def test_the_query_is_no_place_for_a_password(client: httpx.AsyncClient, person: Person) -> None:
    answer = await client.post(f"/users/token?username={person.user['username']}&password=sea", headers=AS_FORM)
    assert answer.status_code == 422


async def test_many_sign_ins_of_one_user_at_once_from_many_addresses_all_succeed(app: FastAPI, person: Person) -> None:
    async with AsyncExitStack() as stack:
        clients = [httpx.AsyncClient(transport=make_transport(app), base_url="http://testserver") for _ in range(12)]
        devices = [await stack.enter_async_context(client) for client in clients]
        answers = await asyncio.gather(*(token_for(it, person.user["username"], person.password) for it in devices))
    assert [answer.status_code for answer in answers] == [200] * 12


async def test_a_sign_in_that_meets_a_new_password_fails(
    app: FastAPI, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashpw = bcrypt.hashpw

    async def change_the_hash() -> None:
        async with app.state.services.database.new_unit() as unit:
            connection = await unit.begin()
            changed = update(User).where(User.id == person.user["id"]).values(password_hash="another hash by now")
            await connection.execute(changed)
            await unit.commit()

    loop = asyncio.get_running_loop()

    def overtaken(password: bytes, salt: bytes) -> bytes:
        asyncio.run_coroutine_threadsafe(change_the_hash(), loop).result(10)
        return hashpw(password, salt)

    monkeypatch.setattr(bcrypt, "hashpw", overtaken)
    answer = await token_for(person, person.user["username"], person.password)
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_credentials")


# --- the profile ------------------------------------------------------------------------------------------------------


async def test_the_profile_is_what_was_registered(sign_up: SignUp) -> None:
    person = await sign_up()
    assert (await person.get("/users/me")).json() == person.user


async def test_preferences_change_without_the_password(person: Person) -> None:
    answer = await person.patch("/users/me", json={"currency": "chf", "month_start_day": 25})
    assert answer.status_code == 200
    assert answer.json() == person.user | {
        "currency": "CHF",
        "month_start_day": 25,
        "updated_at": answer.json()["updated_at"],
    }
    assert (await person.get("/users/me")).json() == answer.json()


async def test_nothing_sent_changes_nothing(person: Person) -> None:
    answer = await person.patch("/users/me", json={})
    assert (answer.status_code, answer.json()) == (200, person.user)


async def test_the_profile_as_it_was_read_can_be_sent_back_and_changes_nothing(person: Person) -> None:
    read = (await person.get("/users/me")).json()

    answer = await person.patch("/users/me", json=read)

    assert (answer.status_code, answer.json()) == (200, read)
    assert (await person.get("/users/me")).json() == read


async def test_the_profile_as_it_was_read_can_be_sent_back_with_a_change(person: Person) -> None:
    changed = (await person.patch("/users/me", json=person.user | {"currency": "JPY"})).json()

    assert changed == person.user | {"currency": "JPY", "updated_at": changed["updated_at"]}


async def test_what_the_service_sets_of_an_account_is_ignored(person: Person) -> None:
    forged = {"id": 1, "created_at": "1999-01-01T00:00:00Z", "updated_at": None}

    assert (await person.patch("/users/me", json=forged)).json() == person.user


@pytest.mark.parametrize("spelled", [str.upper, str.title])
async def test_a_name_in_other_letters_is_another_name(person: Person, spelled: Callable[[str], str]) -> None:
    answer = await person.patch("/users/me", json={"email": spelled(person.user["email"])})

    assert places(answer) == {"/current_password": "required"}


async def test_the_name_that_one_had_needs_the_password_if_it_was_changed_meanwhile(
    app: FastAPI, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_profile = app.state.services.accounts.read_profile

    async def be_overtaken(unit: UnitOfWork, caller: Caller) -> object:
        profile: object = await read_profile(unit, caller)
        async with app.state.services.database.new_unit() as other:
            connection = await other.begin()
            renamed = update(User).where(User.id == caller.id).values(username="another", username_key="another")
            await connection.execute(renamed)
            await other.commit()
        return profile

    monkeypatch.setattr(app.state.services.accounts, "read_profile", be_overtaken)
    answer = await person.patch("/users/me", json={"username": person.user["username"]})

    assert places(answer) == {"/current_password": "required"}
    assert (await person.get("/users/me")).json()["username"] == "another"


@pytest.mark.parametrize("field", ["username", "email"])
async def test_a_new_name_or_email_needs_the_password(person: Person, form: dict[str, str], field: str) -> None:
    answer = await person.patch("/users/me", json={field: form[field], "currency": "JPY"})
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert places(answer) == {"/current_password": "required"}
    assert (await person.get("/users/me")).json() == person.user


@pytest.mark.parametrize("field", ["username", "email"])
async def test_a_wrong_password_changes_neither_name_nor_email(
    person: Person, form: dict[str, str], field: str
) -> None:
    answer = await person.patch("/users/me", json={field: form[field], "current_password": "not the password"})
    assert (answer.status_code, answer.json()["code"]) == (422, "wrong_password")
    assert places(answer) == {"/current_password": "not_allowed"}
    assert (await person.get("/users/me")).json() == person.user


@pytest.mark.parametrize("field", ["username", "email"])
async def test_a_new_name_or_email_signs_in_and_the_old_one_no_more(
    person: Person, form: dict[str, str], field: str
) -> None:
    answer = await person.patch("/users/me", json={field: form[field], "current_password": person.password})
    assert answer.json()[field] == form[field]
    assert (await token_for(person, form[field], person.password)).status_code == 200
    assert (await token_for(person, person.user[field], person.password)).status_code == 401


@pytest.mark.parametrize("field", ["username", "email"])
async def test_another_users_name_or_email_is_taken(person: Person, stranger: Person, field: str) -> None:
    wanted = {field: stranger.user[field].upper(), "current_password": person.password}
    answer = await person.patch("/users/me", json=wanted)
    assert (answer.status_code, answer.json()["code"]) == (409, "already_exists")
    assert places(answer) == {f"/{field}": "already_exists"}


async def test_ones_own_name_may_be_spelled_anew(person: Person) -> None:
    wanted = {"username": person.user["username"].upper(), "current_password": person.password}
    answer = await person.patch("/users/me", json=wanted)
    assert (answer.status_code, answer.json()["username"]) == (200, person.user["username"].upper())


async def test_a_name_that_was_given_up_is_free(person: Person, sign_up: SignUp, form: dict[str, str]) -> None:
    given_up = person.user["username"]
    await person.patch("/users/me", json={"username": form["username"], "current_password": person.password})
    assert (await sign_up(username=given_up)).user["username"] == given_up


@pytest.mark.wire
@pytest.mark.parametrize("field", ["username", "email", "currency", "timezone", "month_start_day", "current_password"])
async def test_null_is_not_absent(somebody: Person, field: str) -> None:
    answer = await somebody.patch("/users/me", json={field: None})
    assert answer.status_code == 422
    assert places(answer) == {f"/{field}": "wrong_type"}


async def test_two_changes_at_once_both_hold(person: Person) -> None:
    await asyncio.gather(
        person.patch("/users/me", json={"currency": "JPY"}),
        person.patch("/users/me", json={"timezone": "Asia/Tokyo"}),
        person.patch("/users/me", json={"month_start_day": 25}),
    )
    me = (await person.get("/users/me")).json()
    assert (me["currency"], me["timezone"], me["month_start_day"]) == ("JPY", "Asia/Tokyo", 25)


# --- the password -----------------------------------------------------------------------------------------------------


async def test_a_new_password_signs_in_and_the_old_one_no_more(person: Person) -> None:
    assert (await person.put("/users/me/password", json=new_password(person))).status_code == 204
    name = person.user["username"]
    assert (await token_for(person, name, "another walk along the sea")).status_code == 200
    assert (await token_for(person, name, person.password)).status_code == 401


async def test_a_new_password_ends_every_other_session_at_once_and_keeps_this_one(
    person: Person, client: httpx.AsyncClient, stranger: Person
) -> None:
    elsewhere = (await token_for(client, person.user["username"], person.password)).json()["access_token"]
    client.headers["Authorization"] = f"Bearer {elsewhere}"
    assert (await client.get("/users/me")).status_code == 200
    await person.put("/users/me/password", json=new_password(person))
    ended = await client.get("/users/me")
    assert (ended.status_code, ended.json()["code"]) == (401, "invalid_token")
    assert (await person.get("/users/me")).status_code == 200
    assert (await stranger.get("/users/me")).status_code == 200


async def test_a_wrong_current_password_changes_nothing(person: Person) -> None:
    wrong = {"current_password": "not the password", "new_password": "another walk along the sea"}
    answer = await person.put("/users/me/password", json=wrong)
    assert (answer.status_code, answer.json()["code"]) == (422, "wrong_password")
    assert places(answer) == {"/current_password": "not_allowed"}
    await person.sign_in()


@pytest.mark.wire
@pytest.mark.parametrize(
    ("new", "code"),
    [("short", "too_short"), ("iloveyou", "not_allowed"), ("x" * 129, "too_long"), (None, "wrong_type")],
)
async def test_a_weak_new_password_is_refused(person: Person, new: object, code: str) -> None:
    answer = await person.put("/users/me/password", json={"current_password": person.password, "new_password": new})
    assert answer.status_code == 422
    assert places(answer) == {"/new_password": code}


@on_sqlite
@pytest.mark.parametrize("field", ["username", "email"])
async def test_ones_own_name_is_no_new_password(person: Person, field: str) -> None:
    answer = await person.put("/users/me/password", json=new_password(person, f"{person.user[field]}".upper()))
    assert places(answer) == {"/new_password": "not_allowed"}


async def test_of_two_password_changes_at_once_one_wins(person: Person) -> None:
    answers = await asyncio.gather(
        person.put("/users/me/password", json=new_password(person, "a walk in the hills")),
        person.put("/users/me/password", json=new_password(person, "a walk in the woods")),
    )
    assert Counter(answer.status_code for answer in answers) == {204: 1, 422: 1}
    tries = [await token_for(person, person.user["username"], f"a walk in the {it}") for it in ("hills", "woods")]
    assert [it.status_code for it in tries] == [200 if it.status_code == 204 else 401 for it in answers]


# --- the end ----------------------------------------------------------------------------------------------------------


async def rows_left(app: FastAPI, owner_id: int) -> dict[str, int]:
    """How many rows each table holds of an owner."""

    async def count(connection: AsyncConnection, table: Table) -> int:
        statement = select(func.count()).select_from(table).where(table.c.owner_id == bindparam("owner"))
        return int((await connection.execute(statement, {"owner": owner_id})).scalar_one())

    async with app.state.services.database.new_unit() as unit:
        connection = await unit.connection()
        return {table.name: await count(connection, table) for table in OWNED_TABLES}


async def leave_a_row_everywhere(person: Person) -> None:
    key = {"Idempotency-Key": "once"}
    whole = {"amount": "12.50", "category": "Groceries", "payee": "Market hall", "tags": ["shared"]}
    kept = await person.post("/expenses", json=whole, headers=key)
    child = await person.post("/categories", json={"name": "Bakery", "parent": "Groceries"})
    gone = await person.post("/expenses", json={"amount": "3.00", "category": "Groceries"})
    deleted = await person.delete(f"/expenses/{gone.json()['id']}")
    budget = await person.post("/budgets", json={"amount": "200.00", "category": "Groceries", "period": "month"})
    token = await person.post("/users/me/tokens", json={"name": "a script", "scope": "read"})
    brought = await send(person, b"Date,Amount\n2026-03-01,-2.50\n")
    profile = await person.put("/imports/profiles/bank", json={"decimal": ","})
    answers = (kept, child, deleted, budget, token, brought, profile)
    assert [answer.status_code for answer in answers] == [201, 201, 204, 201, 201, 201, 200]


async def test_deleting_the_account_leaves_no_row_of_any_table(app: FastAPI, person: Person, stranger: Person) -> None:
    await leave_a_row_everywhere(person)
    await leave_a_row_everywhere(stranger)
    theirs = await rows_left(app, stranger.user["id"])
    assert all((await rows_left(app, person.user["id"])).values())
    assert (await delete_account(person)).status_code == 204
    assert not any((await rows_left(app, person.user["id"])).values())
    assert await rows_left(app, stranger.user["id"]) == theirs


async def test_a_deleted_accounts_token_and_password_die_with_it(person: Person) -> None:
    await delete_account(person)
    read = await person.get("/expenses")
    wrote = await person.post("/expenses", json={"amount": "1.00"})
    assert (read.status_code, read.json()["code"]) == (401, "invalid_token")
    assert (wrote.status_code, wrote.json()["code"]) == (401, "invalid_token")
    assert (await token_for(person, person.user["username"], person.password)).status_code == 401
    assert (await delete_account(person)).status_code == 401


async def test_a_deleted_accounts_name_is_free_and_its_number_is_not(person: Person, sign_up: SignUp) -> None:
    await delete_account(person)
    heir = await sign_up(username=person.user["username"], email=person.user["email"])
    assert heir.user["id"] > person.user["id"]
    assert (await person.get("/users/me")).status_code == 401
    assert (await heir.get("/expenses")).json()["items"] == []


async def test_a_wrong_password_deletes_nothing(person: Person) -> None:
    answer = await person.request("DELETE", "/users/me", json={"current_password": "not the password"})
    assert (answer.status_code, answer.json()["code"]) == (422, "wrong_password")
    assert (await person.get("/users/me")).status_code == 200


@pytest.mark.wire
@pytest.mark.parametrize("body", [{}, {"current_password": None}, {"password": "a walk along the sea"}])
async def test_without_the_password_nothing_is_deleted(person: Person, body: dict[str, object]) -> None:
    assert (await person.request("DELETE", "/users/me", json=body)).status_code == 422
    assert (await person.get("/users/me")).status_code == 200


async def test_an_account_deleted_amid_its_writes_leaves_no_row(app: FastAPI, person: Person) -> None:
    writes = [person.post("/expenses", json={"amount": "1.00", "category": f"c{it}"}) for it in range(16)]
    writes.insert(8, delete_account(person))
    answers = await asyncio.gather(*writes)
    assert answers[8].status_code == 204
    assert {answer.status_code for answer in answers} <= {201, 204, 401}
    assert not any((await rows_left(app, person.user["id"])).values())


@on_mysql
async def test_an_account_is_deleted_after_a_writer_of_another_process(
    app: FastAPI, person: Person, outside: Connection, statements: Statements
) -> None:
    """That writer has locked the ledger; its next row locks the user, to whom a foreign key refers."""
    owner_id = person.user["id"]
    outside.execute(select(LedgerState.revision).where(LedgerState.owner_id == owner_id).with_for_update())
    with statements() as sent:
        deleting = asyncio.create_task(delete_account(person))
        while not any(locks_ledger(it) for it in sent):  # noqa: ASYNC110  # until another task has done it
            await asyncio.sleep(0.01)
        new_row = insert(Payee).values(owner_id=owner_id, name_key="baker", search_key="baker")
        await asyncio.to_thread(outside.execute, new_row)
        outside.commit()
        answer = await deleting

    assert (answer.status_code, sum(locks_ledger(it) for it in sent)) == (204, 1), "not run again after a deadlock"
    assert not any((await rows_left(app, owner_id)).values())


def locks_ledger(statement: str) -> bool:
    return "FOR UPDATE" in statement and "ledgers" in statement


async def test_of_two_deletions_at_once_both_end_well(person: Person) -> None:
    answers = await asyncio.gather(delete_account(person), delete_account(person))
    assert Counter(answer.status_code for answer in answers) in ({204: 1, 401: 1}, {204: 1, 422: 1})


# --- what it costs ----------------------------------------------------------------------------------------------------

Do = Callable[[Person], Awaitable[httpx.Response]]


# What the throttle asks for each comes on top of that: see test_throttle.
@pytest.mark.parametrize(
    ("do", "number"),
    [(register_another, 5), (sign_in, 7), (change_name, 7), (change_password, 7), (delete_account, 24)],
)
async def test_an_account_asks_the_database_no_more_than_it_must(
    person: Person, statements: Statements, do: Do, number: int
) -> None:
    with statements() as sent:
        assert (await do(person)).is_success
    assert (len(sent), sent.count("COMMIT")) == (number, 1), "\n".join(sent)
