"""Requests about accounts, for the tests of accounts and of the throttle."""

from typing import Literal

import httpx

from tests.support.people import Person, numbers


async def token_for(client: httpx.AsyncClient, username: str, password: str) -> httpx.Response:
    return await client.post("/users/token", data={"username": username, "password": password})


async def delete_account(person: Person) -> httpx.Response:
    return await person.request("DELETE", "/users/me", json={"current_password": person.password})


async def register_another(person: Person) -> httpx.Response:
    name = f"another-{next(numbers)}"
    form = {"username": name, "email": f"{name}@example.com", "password": "a walk along the sea"}
    return await person.post("/users/register", json=form)


async def sign_in(person: Person) -> httpx.Response:
    return await token_for(person, person.user["username"], person.password)


async def change_name(person: Person) -> httpx.Response:
    fields = {"username": f"renamed-{next(numbers)}", "current_password": person.password}
    return await person.patch("/users/me", json=fields)


async def change_password(person: Person) -> httpx.Response:
    return await person.put("/users/me/password", json=new_password(person))


def new_password(person: Person, new: str = "another walk along the sea") -> dict[str, str]:
    return {"current_password": person.password, "new_password": new}


def registration(**overrides: object) -> dict[str, object]:
    return {"username": "weakling", "email": "weak.ling@example.com", "password": "a walk along the sea"} | overrides


Form = Literal["NFC", "NFD", "NFKC", "NFKD"]


async def try_to_sign_in(person: Person, password: str) -> httpx.Response:
    return await person.post("/users/token", data={"username": person.user["username"], "password": password})
