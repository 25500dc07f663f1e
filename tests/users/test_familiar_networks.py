"""Familiar networks: where a user has signed in before, and for how long that counts."""

from datetime import timedelta

import pytest
import time_machine
from fastapi import FastAPI
from sqlalchemy import insert

from models import FamiliarNetwork
from tests.support.people import Person
from tests.support.sessions import DAY, SECOND, coming_from, sign_in
from tests.support.settings import NOON
from users.familiar_networks import MAX_NETWORKS, is_familiar


async def knows(app: FastAPI, person: Person, network: str) -> bool:
    async with app.state.services.database.new_unit() as unit:
        return await is_familiar(await unit.connection(), person.user["id"], network)


async def test_a_network_is_familiar_to_whom_has_signed_in_from_it(
    app: FastAPI, person: Person, stranger: Person
) -> None:
    """ASVS 5.0 6.3.1: a flood from elsewhere does not keep one out here."""
    assert not await knows(app, person, "192.0.2.50")
    async with coming_from(app, "192.0.2.50") as elsewhere:
        await sign_in(elsewhere, person)

    assert await knows(app, person, "192.0.2.50")
    assert not await knows(app, stranger, "192.0.2.50")


async def test_a_whole_ipv6_network_becomes_familiar(app: FastAPI, person: Person) -> None:
    async with coming_from(app, "2001:db8:0:5::7") as elsewhere:
        await sign_in(elsewhere, person)

    assert await knows(app, person, "2001:db8:0:5::")


async def test_a_network_of_failures_does_not_become_familiar(app: FastAPI, person: Person) -> None:
    """ASVS 5.0 6.3.1."""
    async with coming_from(app, "192.0.2.51") as elsewhere:
        await elsewhere.post("/users/token", data={"username": person.user["username"], "password": "not the password"})

    assert not await knows(app, person, "192.0.2.51")


@pytest.mark.parametrize(("later", "is_known"), [(400 * DAY, True), (400 * DAY + SECOND, False)])
async def test_a_network_that_was_not_signed_in_from_for_long_is_forgotten(
    noon: time_machine.Traveller, app: FastAPI, person: Person, stranger: Person, later: timedelta, is_known: bool
) -> None:
    async with coming_from(app, "192.0.2.52") as here, coming_from(app, "192.0.2.53") as there:
        await sign_in(here, person)
        await sign_in(here, stranger)
        noon.shift(later)
        await sign_in(there, person)

    assert await knows(app, person, "192.0.2.52") == is_known
    assert await knows(app, stranger, "192.0.2.52")


async def test_a_network_that_was_signed_in_from_of_late_is_not_forgotten(
    noon: time_machine.Traveller, app: FastAPI, person: Person
) -> None:
    async with coming_from(app, "192.0.2.52") as here, coming_from(app, "192.0.2.53") as there:
        await sign_in(here, person)
        noon.shift(100 * DAY)
        await sign_in(here, person)
        noon.shift(100 * DAY)
        await sign_in(there, person)

    assert await knows(app, person, "192.0.2.52")


async def keep(app: FastAPI, person: Person, number: int) -> None:
    """Let a person have signed in from so many networks, the first the longest ago."""
    rows = [
        {
            "owner_id": person.user["id"],
            "network": f"10.200.{it // 256}.{it % 256}",
            "seen_at": NOON - DAY + it * SECOND,
        }
        for it in range(number)
    ]
    async with app.state.services.database.new_unit() as unit, unit.begin_separate() as connection:
        await connection.execute(insert(FamiliarNetwork), rows)


@pytest.mark.parametrize(("number", "is_known"), [(MAX_NETWORKS - 2, True), (MAX_NETWORKS - 1, False)])
async def test_of_a_thousand_networks_the_one_of_longest_ago_makes_room(
    noon: time_machine.Traveller, app: FastAPI, person: Person, stranger: Person, number: int, is_known: bool
) -> None:
    """OWASP API4 (2023): whoever has many addresses fills no table."""
    await keep(app, person, number)
    await keep(app, stranger, number)
    noon.shift(DAY)
    async with coming_from(app, "192.0.2.54") as elsewhere:
        await sign_in(elsewhere, person)

    assert await knows(app, person, "10.200.0.0") == is_known
    assert await knows(app, person, "10.200.0.1")
    assert await knows(app, person, "192.0.2.54")
    assert await knows(app, stranger, "10.200.0.0")
