"""Sessions: one for each sign-in, a hundred at most, none beyond its time."""

import secrets
from datetime import timedelta

import httpx
import pytest
from conftest import Person
from fastapi import FastAPI
from sqlalchemy import bindparam, func, insert, select

from database import now
from models import Session


async def open_sessions(app: FastAPI, owner_id: int, number: int, *, expires_in: timedelta) -> None:
    """Sign in so many times without the hashing; sessions that are over have begun before."""
    expires_at = now() + expires_in
    rows = [
        {"owner_id": owner_id, "sid": secrets.token_hex(16), "created_at": now(), "expires_at": expires_at}
        for _ in range(number)
    ]
    async with app.state.database.unit() as unit:
        await (await unit.begin(owner_id)).execute(insert(Session), rows)
        await unit.commit()


async def sessions_of(app: FastAPI, owner_id: int) -> int:
    count = select(func.count()).select_from(Session).where(Session.owner_id == bindparam("owner"))
    async with app.state.database.unit() as unit:
        return int((await (await unit.connection()).execute(count, {"owner": owner_id})).scalar_one())


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def is_let_in(client: httpx.AsyncClient, token: str) -> bool:
    return (await client.get("/users/me", headers=bearer(token))).is_success


async def test_every_sign_in_is_a_session_of_its_own(app: FastAPI, person: Person) -> None:
    first = person.token
    await person.sign_in()
    assert await sessions_of(app, person.user["id"]) == 2
    assert await is_let_in(person, first)
    assert await is_let_in(person, person.token)


async def test_a_failed_sign_in_opens_no_session(app: FastAPI, person: Person) -> None:
    await person.post("/users/token", data={"username": person.user["username"], "password": "not the password"})
    assert await sessions_of(app, person.user["id"]) == 1


@pytest.mark.parametrize(("more", "first_lives"), [(98, True), (99, False), (150, False)])
async def test_the_oldest_session_makes_room(app: FastAPI, person: Person, more: int, first_lives: bool) -> None:
    first = person.token
    await open_sessions(app, person.user["id"], more, expires_in=timedelta(minutes=15))
    await person.sign_in()
    assert await sessions_of(app, person.user["id"]) == 100
    assert await is_let_in(person, first) == first_lives
    assert await is_let_in(person, person.token)


async def test_another_users_sessions_make_no_room(app: FastAPI, person: Person, stranger: Person) -> None:
    await open_sessions(app, stranger.user["id"], 150, expires_in=timedelta(minutes=15))
    await person.sign_in()
    assert await sessions_of(app, stranger.user["id"]) == 151
    assert await is_let_in(stranger, stranger.token)


async def test_expired_sessions_are_swept_at_the_next_sign_in(app: FastAPI, person: Person, stranger: Person) -> None:
    await open_sessions(app, person.user["id"], 5, expires_in=timedelta(seconds=-1))
    await open_sessions(app, stranger.user["id"], 5, expires_in=timedelta(seconds=-1))
    await person.sign_in()
    assert await sessions_of(app, person.user["id"]) == 2
    assert await sessions_of(app, stranger.user["id"]) == 6


async def test_expired_sessions_do_not_count(app: FastAPI, person: Person) -> None:
    first = person.token
    await open_sessions(app, person.user["id"], 120, expires_in=timedelta(seconds=-1))
    await person.sign_in()
    assert await is_let_in(person, first)


async def test_a_session_that_was_ended_lets_nobody_in_at_once(person: Person) -> None:
    elsewhere = person.token
    await person.sign_in()
    words = {"current_password": person.password, "new_password": "another walk along the sea"}
    await person.put("/users/me/password", json=words)
    answer = await person.get("/expenses", headers=bearer(elsewhere))
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")
