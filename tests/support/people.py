"""The users of the tests: each is an HTTP client that sends its own token."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from ipaddress import IPv4Address
from itertools import count
from typing import Any, Final
from weakref import WeakKeyDictionary

import httpx
from fastapi import FastAPI
from httpx import ASGITransport
from sqlalchemy import Connection, delete, insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

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
    pair: dict[str, Any]
    """The access token and the refresh token of the session that was opened last."""
    _client: Client

    async def open_account(self, app: FastAPI, client: Client, **overrides: object) -> None:
        """Insert the rows that `register` and `sign_in` would, in a tenth of the time: nearly every test needs them."""
        self.app, self._client = app, client
        data, instant = UserCreate.model_validate(_new_account(overrides)), now()
        profile = data.model_dump(exclude={"password"}) | {"created_at": instant, "updated_at": instant}
        keys = {"username_key": make_name_key(data.username), "email_key": make_name_key(data.email)}
        password_hash = await _hashed(app, data.password)
        async with app.state.services.database.new_unit() as unit:
            connection = await unit.begin()
            user = await connection.execute(insert(models.User), profile | keys | {"password_hash": password_hash})
            owner = {"owner_id": get_inserted_id(user)}
            await connection.execute(insert(LedgerState), owner | NEW_LEDGER | {"swept_on": instant.date()})
            await connection.execute(insert(FamiliarNetwork), owner | {"network": client.network, "seen_at": instant})
            self.user = schemas.User(id=owner["owner_id"], **profile).model_dump(mode="json")
            self.password = data.password
            await self._insert_session(connection, instant)
            await unit.commit()

    async def open_session(self) -> None:
        """Insert the rows that `sign_in` would, and send the new access token from now on."""
        async with self.app.state.services.database.new_unit() as unit:
            await self._insert_session(await unit.begin(), now())
            await unit.commit()

    async def _insert_session(self, connection: AsyncConnection, instant: datetime) -> None:
        sessions, owner_id, sid = self.app.state.services.sessions, self.user["id"], secrets.token_hex(16)
        refresh_token, expires_at = secrets.token_urlsafe(32), sessions._compute_expiry(instant, instant)
        session = {"owner_id": owner_id, "sid": sid, "created_at": instant, "generation": 0}
        use = _build_use_columns(self._client, instant, expires_at)
        session_id = get_inserted_id(await connection.execute(insert(Session), session | use))
        await _store_refresh_token(connection, owner_id, session_id, 0, refresh_token)
        self._bear(sessions._build_answer(owner_id, sid, refresh_token, expires_at).model_dump())

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
        self._bear(answer.json())

    def _bear(self, pair: dict[str, Any]) -> None:
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
