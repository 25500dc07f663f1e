"""The users of the tests: each is an HTTP client that sends its own token."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from ipaddress import IPv4Address
from itertools import count
from typing import Any, Final
from weakref import WeakKeyDictionary

import httpx
from fastapi import FastAPI
from httpx import ASGITransport
from sqlalchemy import Connection, delete, insert, text

import models
import schemas
from database import get_inserted_id, now
from models import AttemptCounter, FamiliarNetwork, LedgerState, Session
from schemas import UserCreate
from users.client_address import Client, build_client
from users.sessions import _build_use_columns, _store_refresh_token
from values.texts import make_name_key

PASSWORD: Final = "a walk along the sea"
NEW_LEDGER: Final = {"revision": 0, "expense_count": 0}
numbers: Final = count(1)
hashes: Final = WeakKeyDictionary[FastAPI, dict[str, str]]()
At = Callable[[str], str]
Pair = dict[str, Any]
"""The access token and the refresh token of a session."""


def make_transport(app: FastAPI) -> ASGITransport:
    # Each client has an address of its own, so that the attempts that one test makes do not count in another.
    # An unexpected error is answered with a 500, as for a real client; the traceback is in the log.
    address = IPv4Address("10.0.0.0") + next(numbers)
    return ASGITransport(app, raise_app_exceptions=False, client=(str(address), 50000))


class Person(httpx.AsyncClient):
    """A user, as an HTTP client: every request has the user's access token."""

    app: FastAPI
    user: dict[str, Any]
    password: str
    token: str
    pair: Pair
    """The access token and the refresh token of the session that was opened last."""

    async def open_account(self, app: FastAPI, client: Client, **overrides: object) -> None:
        """Insert the rows that `register` and `sign_in` would, in a tenth of the time: nearly every test needs them."""
        data, sessions = UserCreate.model_validate(_new_account(overrides)), app.state.services.sessions
        instant, sid = now(), secrets.token_hex(16)
        profile = data.model_dump(exclude={"password", "invite"}) | {"created_at": instant, "updated_at": instant}
        keys = {"username_key": make_name_key(data.username), "email_key": make_name_key(data.email)}
        password_hash = await _hashed(app, data.password)
        refresh_token, expires_at = secrets.token_urlsafe(32), sessions._compute_expiry(instant, instant)
        session = {"sid": sid, "created_at": instant, "generation": 0}
        async with app.state.services.database.new_unit() as unit:
            connection = await unit.begin()
            user = await connection.execute(insert(models.User), profile | keys | {"password_hash": password_hash})
            owner = {"owner_id": get_inserted_id(user)}
            await connection.execute(insert(LedgerState), owner | NEW_LEDGER | {"swept_on": instant.date()})
            await connection.execute(insert(FamiliarNetwork), owner | {"network": client.network, "seen_at": instant})
            use = _build_use_columns(client, instant, expires_at)
            session_id = get_inserted_id(await connection.execute(insert(Session), owner | session | use))
            await _store_refresh_token(connection, owner["owner_id"], session_id, 0, refresh_token)
            await unit.commit()
        self.app = app
        self.user = schemas.User(id=owner["owner_id"], **profile).model_dump(mode="json")
        self.password = data.password
        self.bear(sessions._build_answer(owner["owner_id"], sid, refresh_token, expires_at).model_dump())

    async def open_session(self) -> Pair:
        """Open one more session without a request, for tests that are not about signing in; return its tokens."""
        services, owner_id = self.app.state.services, self.user["id"]
        async with services.database.new_unit() as unit:
            token = await services.sessions.open(await unit.begin(owner_id), owner_id, build_client("192.0.2.1", None))
            await unit.commit()
        pair: Pair = token.model_dump()
        return pair

    async def register(self, **overrides: object) -> None:
        """Register with an unused name; `overrides` are other fields to send."""
        fields = _new_account(overrides)
        answer = await self.post("/users/register", json=fields)
        assert answer.status_code == httpx.codes.CREATED, answer.text
        self.user = answer.json()
        self.password = str(fields["password"])

    async def sign_in(self) -> None:
        """Sign in, and send the new access token from now on."""
        form = {"username": self.user["username"], "password": self.password}
        answer = await self.post("/users/token", data=form)
        assert answer.status_code == httpx.codes.OK, answer.text
        self.bear(answer.json())

    def bear(self, pair: Pair) -> None:
        """Send this session's access token from now on."""
        self.pair = pair
        self.token = pair["access_token"]
        self.headers["Authorization"] = f"Bearer {self.token}"


SignUp = Callable[..., Awaitable[Person]]
Arrive = Callable[..., AbstractAsyncContextManager[Person]]


def _new_account(overrides: Mapping[str, object]) -> dict[str, object]:
    name = f"person-{next(numbers):04}"
    return {"username": name, "email": f"{name}@example.com", "password": PASSWORD, **overrides}


async def _hashed(app: FastAPI, password: str) -> str:
    """Return the app's hash of a password, computed once for each password."""
    cached = hashes.setdefault(app, {})
    if password not in cached:
        cached[password] = await app.state.services.accounts._passwords.hash(password)
    return cached[password]


@asynccontextmanager
async def signed_up(app: FastAPI, **overrides: object) -> AsyncIterator[Person]:
    """A signed-in user, whose rows are written directly."""
    transport = make_transport(app)
    async with Person(transport=transport, base_url="http://testserver") as person:
        await person.open_account(app, build_client(transport.client[0], person.headers["User-Agent"]), **overrides)
        yield person


@asynccontextmanager
async def registered(app: FastAPI, **overrides: object) -> AsyncIterator[Person]:
    """A signed-in user, who has registered and signed in by requests."""
    async with Person(transport=make_transport(app), base_url="http://testserver") as person:
        await person.register(**overrides)
        await person.sign_in()
        yield person


def hold(outside: Connection, person: Person) -> None:
    """Lock a ledger as a writer in another process does; on SQLite this locks the whole file."""
    outside.execute(text("UPDATE ledgers SET revision = revision WHERE owner_id = :id"), {"id": person.user["id"]})


async def forget_attempts(app: FastAPI) -> None:
    """Delete all counted attempts, so that none of an earlier test counts or is left to be deleted."""
    async with app.state.services.database.new_unit() as unit, unit.begin_separate() as connection:
        await connection.execute(delete(AttemptCounter))
