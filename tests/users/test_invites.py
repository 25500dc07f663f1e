"""Who may register: everybody, whoever has an invite, or nobody."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any, Final

import bcrypt
import httpx
import pytest
import time_machine
from fastapi import FastAPI
from sqlalchemy import Connection, delete, func, select

from auth import hash_token
from config import Settings
from infra.faults import RowsMissed
from main import create_app
from models import Invite, User
from tests.support.accounts import change_name
from tests.support.databases import on_mysql, on_sqlite
from tests.support.matrix import lacking
from tests.support.people import Person, make_transport, numbers
from tests.support.problems import advice, blamed
from tests.support.settings import limited
from tests.support.statements import Statements
from users import invites
from users.invites import NotALifetime, create_invite, parse_lifetime
from values.texts import INVITE_LENGTH

WEEK: Final = timedelta(days=7)
UNUSABLE: Final = "This invite is unknown, was used before, or has expired: ask the operator for another."
Form = dict[str, Any]
MakeInvite = Callable[..., Awaitable[str]]


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    """The settings, with a throttle, and registration for the invited alone."""
    return limited(settings).model_copy(update={"registration": "invite"})


@pytest.fixture(scope="module")
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    """The app that asks for an invite."""
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        yield app


async def visit(settings: Settings, registration: str, stack: AsyncExitStack) -> httpx.AsyncClient:
    """Start another app, and return a client of it."""
    app = create_app(settings.model_copy(update={"registration": registration}))
    await stack.enter_async_context(app.router.lifespan_context(app))
    return await stack.enter_async_context(
        httpx.AsyncClient(transport=make_transport(app), base_url="http://testserver")
    )


@pytest.fixture
async def at_open(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an app at which everybody may register."""
    async with AsyncExitStack() as stack:
        yield await visit(settings, "open", stack)


@pytest.fixture
async def at_closed(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an app at which nobody may register."""
    async with AsyncExitStack() as stack:
        yield await visit(settings, "closed", stack)


@pytest.fixture
def make_invite(app: FastAPI) -> MakeInvite:
    """Make a code, as the operator's command does."""

    async def make_invite(lifetime: timedelta = WEEK) -> str:
        async with app.state.services.database.new_unit() as unit:
            made = await create_invite(unit, lifetime)
            await unit.commit()
            return made.invite

    return make_invite


@pytest.fixture
async def code(make_invite: MakeInvite) -> str:
    """A code that is good for a week."""
    return await make_invite()


@pytest.fixture
def form() -> Form:
    """What somebody new registers with, but for the invite."""
    return new_form()


def new_form(**fields: object) -> Form:
    name = f"invited-{next(numbers)}"
    return {"username": name, "email": f"{name}@example.com", "password": "a walk along the sea"} | fields


async def register(client: httpx.AsyncClient, form: Form, **fields: object) -> httpx.Response:
    return await client.post("/users/register", json=form | fields)


async def is_stored(app: FastAPI, code: str) -> bool:
    async with app.state.services.database.new_unit() as unit:
        found = select(func.count()).select_from(Invite).where(Invite.code_hash == hash_token(code))
        return bool((await (await unit.connection()).execute(found)).scalar_one())


# --- closed -----------------------------------------------------------------------------------------------------------


@pytest.mark.wire
async def test_nobody_registers_where_it_is_closed(at_closed: httpx.AsyncClient, form: Form) -> None:
    answer = await register(at_closed, form)

    assert (answer.status_code, answer.json()["code"], lacking(answer)) == (403, "registration_closed", [])
    assert answer.json()["detail"] == "This service takes no new accounts: ask whoever runs it to add one for you."


@pytest.mark.wire
async def test_an_invite_opens_nothing_where_it_is_closed(at_closed: httpx.AsyncClient, form: Form, code: str) -> None:
    assert (await register(at_closed, form, invite=code)).status_code == 403


@pytest.mark.wire
async def test_that_it_is_closed_is_said_before_what_else_is_wrong(at_closed: httpx.AsyncClient) -> None:
    assert (await register(at_closed, {"username": "x", "colour": "red"})).status_code == 403


@pytest.mark.wire
async def test_where_it_is_closed_a_refusal_costs_no_hash_and_no_statement(
    app: FastAPI,
    client: httpx.AsyncClient,
    form: Form,
    statements: Statements,
    hashes: list[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(app.state.services.accounts, "_registration", "closed")

    with statements() as sent:
        answers = [await register(client, form) for _ in range(21)]

    assert Counter(answer.status_code for answer in answers) == {403: 21}
    assert (sent, hashes) == ([], [])


@on_sqlite
async def test_who_has_an_account_renames_it_where_registration_is_closed(
    app: FastAPI, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.state.services.accounts, "_registration", "closed")

    assert (await change_name(person)).status_code == 200


# --- by invite --------------------------------------------------------------------------------------------------------


async def test_a_code_opens_an_account(client: httpx.AsyncClient, form: Form, code: str) -> None:
    answer = await register(client, form, invite=code)

    assert answer.status_code == 201
    assert answer.json()["username"] == form["username"]
    assert "invite" not in answer.json()


async def test_a_code_opens_one_account(client: httpx.AsyncClient, app: FastAPI, form: Form, code: str) -> None:
    await register(client, form, invite=code)
    again = await register(client, new_form(), invite=code)

    assert (again.status_code, blamed(again)) == (422, {"/invite": "not_allowed"})
    assert not await is_stored(app, code)


@on_sqlite
@pytest.mark.parametrize("typed", [" {} ", "\t{}"])
async def test_spaces_around_a_code_do_not_matter(client: httpx.AsyncClient, form: Form, code: str, typed: str) -> None:
    assert (await register(client, form, invite=typed.format(code))).status_code == 201


@on_sqlite
async def test_the_case_of_a_code_does_not_matter(client: httpx.AsyncClient, form: Form, code: str) -> None:
    assert (await register(client, form, invite=code.upper())).status_code == 201


@pytest.mark.wire
@pytest.mark.parametrize("sent", [{}, {"invite": None}, {"invite": ""}, {"invite": "  "}])
async def test_who_sends_no_code_is_told_that_one_is_required(
    client: httpx.AsyncClient, form: Form, sent: Form
) -> None:
    answer = await register(client, form, **sent)

    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert blamed(answer) == {"/invite": "required"}


@pytest.mark.wire
async def test_a_missing_code_and_a_common_password_are_told_together(client: httpx.AsyncClient, form: Form) -> None:
    answer = await register(client, form, password="password123")

    assert blamed(answer) == {"/password": "not_allowed", "/invite": "required"}


@pytest.mark.wire
async def test_a_missing_code_is_not_counted(client: httpx.AsyncClient, form: Form, statements: Statements) -> None:
    with statements() as sent:
        await register(client, form)

    assert sent == []


async def test_an_unknown_a_used_and_an_expired_code_have_one_answer(
    client: httpx.AsyncClient, form: Form, make_invite: MakeInvite, noon: time_machine.Traveller
) -> None:
    used, expired = await make_invite(), await make_invite(timedelta(minutes=1))
    await register(client, form, invite=used)
    noon.shift(60)

    answers = [await register(client, new_form(), invite=code) for code in ("0" * 32, used, expired, "open sesame")]

    assert [answer.status_code for answer in answers] == [422] * 4
    assert [advice(answer, "/invite") for answer in answers] == [UNUSABLE] * 4
    assert [answer.json() | {"request_id": ""} for answer in answers] == [answers[0].json() | {"request_id": ""}] * 4


async def test_a_code_is_good_until_it_expires(
    client: httpx.AsyncClient, form: Form, make_invite: MakeInvite, noon: time_machine.Traveller
) -> None:
    code = await make_invite(timedelta(minutes=1))
    noon.shift(59)

    assert (await register(client, form, invite=code)).status_code == 201


@pytest.mark.wire
async def test_no_code_is_longer_than_its_field(client: httpx.AsyncClient, form: Form) -> None:
    answer = await register(client, form, invite="0" * (INVITE_LENGTH + 1))

    assert blamed(answer) == {"/invite": "too_long"}


@on_sqlite
async def test_a_code_that_is_no_good_costs_no_hash(client: httpx.AsyncClient, form: Form, hashes: list[bytes]) -> None:
    await register(client, form, invite="0" * 32)

    assert hashes == []


@on_sqlite
async def test_guesses_at_codes_are_counted(client: httpx.AsyncClient) -> None:
    """OWASP API6 (2023)."""
    answers = [await register(client, new_form(), invite=f"{guess:032}") for guess in range(21)]

    assert [answer.status_code for answer in answers] == [422] * 20 + [429]


async def test_a_refused_registration_does_not_use_the_code_up(
    client: httpx.AsyncClient, person: Person, form: Form, code: str
) -> None:
    taken = await register(client, form, username=person.user["username"], invite=code)

    assert (taken.status_code, blamed(taken)) == (409, {"/username": "already_exists"})
    assert (await register(client, form, invite=code)).status_code == 201


@pytest.mark.wire
async def test_nobody_without_a_code_learns_that_a_name_is_taken(client: httpx.AsyncClient, person: Person) -> None:
    taken = {name: person.user[name] for name in ("username", "email")}
    answers = [await register(client, new_form(**taken), invite=guess) for guess in (None, "0" * 32)]

    assert [blamed(answer) for answer in answers] == [{"/invite": "required"}, {"/invite": "not_allowed"}]


async def test_of_two_registrations_with_one_code_at_once_one_opens_an_account(
    app: FastAPI, client: httpx.AsyncClient, code: str
) -> None:
    forms = [new_form() for _ in range(6)]

    answers = await asyncio.gather(*(register(client, form, invite=code) for form in forms))

    assert Counter(answer.status_code for answer in answers) == {201: 1, 422: 5}
    assert [blamed(answer) for answer in answers if answer.status_code == 422] == [{"/invite": "not_allowed"}] * 5
    async with app.state.services.database.new_unit() as unit:
        opened = select(User.id).where(User.username.in_([form["username"] for form in forms]))
        assert len((await (await unit.connection()).execute(opened)).all()) == 1


async def test_a_code_that_is_used_while_the_password_is_hashed_is_refused(
    client: httpx.AsyncClient, form: Form, code: str, outside: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashpw = bcrypt.hashpw

    def overtaken(password: bytes, salt: bytes) -> bytes:
        outside.execute(delete(Invite).where(Invite.code_hash == hash_token(code)))
        outside.commit()
        return hashpw(password, salt)

    monkeypatch.setattr(bcrypt, "hashpw", overtaken)

    assert blamed(await register(client, form, invite=code)) == {"/invite": "not_allowed"}


@on_mysql
async def test_a_deletion_that_the_server_ended_early_uses_no_code(
    app: FastAPI, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A killed DELETE of MariaDB ends like one that finds no row.
    monkeypatch.setattr(invites, "_DELETE", invites._DELETE.where(Invite.expires_at < Invite.expires_at))
    async with app.state.services.database.new_unit() as unit:
        with pytest.raises(RowsMissed):
            await invites.use_invite(await unit.begin(), code)

    assert await is_stored(app, code)


async def test_a_code_is_read_once_before_the_hash_and_locked_once_after_it(
    client: httpx.AsyncClient, form: Form, code: str, statements: Statements
) -> None:
    with statements() as sent:
        await register(client, form, invite=code)

    assert [it.split()[0] for it in sent if "invites" in it] == ["SELECT", "SELECT", "DELETE"]


# --- open -------------------------------------------------------------------------------------------------------------


async def test_where_everybody_may_register_a_code_is_not_needed_and_stays_good(
    at_open: httpx.AsyncClient, client: httpx.AsyncClient, form: Form, code: str
) -> None:
    assert (await register(at_open, form, invite=code)).status_code == 201
    assert (await register(client, new_form(), invite=code)).status_code == 201


@pytest.mark.wire
async def test_where_everybody_may_register_a_code_is_not_looked_at(at_open: httpx.AsyncClient, form: Form) -> None:
    assert (await register(at_open, form, invite="open sesame")).status_code == 201


# --- codes ------------------------------------------------------------------------------------------------------------


async def test_only_the_hash_of_a_code_is_stored(app: FastAPI, code: str) -> None:
    """ASVS 5.0 11.5.1: 128 random bits."""
    async with app.state.services.database.new_unit() as unit:
        stored = (await (await unit.connection()).execute(select(Invite.__table__))).all()

    assert (len(code), len(bytes.fromhex(code))) == (32, 16)
    assert hash_token(code) in {row.code_hash for row in stored}
    assert code not in str(stored)


async def test_two_codes_are_never_equal(make_invite: MakeInvite) -> None:
    assert await make_invite() != await make_invite()


async def test_a_new_code_takes_the_expired_ones_away(
    app: FastAPI, make_invite: MakeInvite, noon: time_machine.Traveller
) -> None:
    expired, good = await make_invite(timedelta(minutes=1)), await make_invite(timedelta(minutes=2))
    noon.shift(60)
    await make_invite()

    assert [await is_stored(app, code) for code in (expired, good)] == [False, True]


@pytest.mark.parametrize(
    ("text", "lifetime"),
    [
        ("30m", timedelta(minutes=30)),
        ("24h", timedelta(hours=24)),
        ("7d", timedelta(days=7)),
        ("2w", timedelta(weeks=2)),
        ("365d", timedelta(days=365)),
    ],
)
def test_a_lifetime_is_a_number_and_a_unit(text: str, lifetime: timedelta) -> None:
    assert parse_lifetime(text) == lifetime


@pytest.mark.parametrize("text", ["", "7", "d", "0d", "-7d", "7 d", "7D", "1.5h", "366d", "999999w", "٧d", "7d\n"])
def test_what_is_no_lifetime_is_refused(text: str) -> None:
    with pytest.raises(NotALifetime):
        parse_lifetime(text)
