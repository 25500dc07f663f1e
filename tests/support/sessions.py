"""Signs users in, from chosen addresses, for the tests of sessions."""

from datetime import timedelta

import httpx
from fastapi import FastAPI
from httpx import ASGITransport

from tests.support.people import Pair, Person

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


async def sign_in(client: httpx.AsyncClient, person: Person, **headers: str) -> Pair:
    """Sign a user in once more, from the client's address, and return the tokens."""
    form = {"username": person.user["username"], "password": person.password}
    answer = await client.post("/users/token", data=form, headers=headers)
    assert answer.status_code == 200, answer.text
    pair: Pair = answer.json()
    return pair


def coming_from(app: FastAPI, address: str) -> httpx.AsyncClient:
    transport = ASGITransport(app, raise_app_exceptions=False, client=(address, 50000))
    return httpx.AsyncClient(transport=transport, base_url="http://testserver")
