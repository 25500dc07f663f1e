"""Signs users in, from chosen addresses, for the tests of sessions."""

from datetime import timedelta
from typing import Any

import httpx
from fastapi import FastAPI
from httpx import ASGITransport

from tests.support.people import Person
from users.client_address import read_client

Pair = dict[str, Any]

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


async def sign_in(client: httpx.AsyncClient, person: Person, **headers: str) -> Pair:
    """Sign a user in once more, from the client's address, and return the tokens."""
    form = {"username": person.user["username"], "password": person.password}
    answer = await client.post("/users/token", data=form, headers=headers)
    assert answer.status_code == 200, answer.text
    pair: Pair = answer.json()
    return pair


async def open_session(person: Person) -> Pair:
    """Open one more session without a request, for tests that are not about signing in, and return its tokens."""
    services, owner_id = person.app.state.services, person.user["id"]
    async with services.database.new_unit() as unit:
        token = await services.sessions.open(await unit.begin(owner_id), owner_id, read_client("192.0.2.1", None))
        await unit.commit()
    pair: Pair = token.model_dump()
    return pair


def coming_from(app: FastAPI, address: str) -> httpx.AsyncClient:
    transport = ASGITransport(app, raise_app_exceptions=False, client=(address, 50000))
    return httpx.AsyncClient(transport=transport, base_url="http://testserver")
