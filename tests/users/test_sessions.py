"""Sessions: sign in, refresh, a refresh token that is used again, expiry, list and end."""

import asyncio
import hashlib
import json
import re
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest
import time_machine
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import Connection, bindparam, func, insert, select, update

from auth import AccessTokens
from config import Settings
from database import now
from infra.signing_keys import load_signing_keys
from main import create_app
from models import RefreshToken, Session
from tests.support.databases import on_mysql, on_sqlite
from tests.support.generated import hunts
from tests.support.matrix import bearer, dump, status_and_code
from tests.support.people import Pair, Person, signed_up
from tests.support.servers import Service
from tests.support.sessions import DAY, SECOND, coming_from, sign_in
from tests.support.settings import GOOD_SECRET, sharing
from tests.support.statements import Statements
from users import sessions
from values.fields import LARGEST_ID

INVALID = (401, "invalid_token")
REUSED = (401, "refresh_token_reused")

End = Callable[[Person, Pair], Awaitable[httpx.Response]]


# --- what the tests do ------------------------------------------------------------------------------------------------


async def show(client: httpx.AsyncClient, pair: Pair, **headers: str) -> httpx.Response:
    """Show a refresh token, whatever becomes of it."""
    shown = {"refresh_token": pair["refresh_token"]}
    return await client.post("/users/token/refresh", json=shown, headers=headers)


async def refresh(client: httpx.AsyncClient, pair: Pair, **headers: str) -> Pair:
    answer = await show(client, pair, **headers)
    assert answer.status_code == 200, answer.text
    following: Pair = answer.json()
    return following


async def me(client: httpx.AsyncClient, pair: Pair) -> httpx.Response:
    return await client.get("/users/me", headers=bearer(pair["access_token"]))


async def is_let_in(client: httpx.AsyncClient, token: str) -> bool:
    return (await client.get("/users/me", headers=bearer(token))).is_success


async def listed(client: httpx.AsyncClient, pair: Pair) -> list[dict[str, Any]]:
    answer = await client.get("/users/me/sessions", headers=bearer(pair["access_token"]))
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def session_of(client: httpx.AsyncClient, pair: Pair) -> dict[str, Any]:
    return next(it for it in await listed(client, pair) if it["current"])


async def keep_going(noon: time_machine.Traveller, client: httpx.AsyncClient, pair: Pair, *steps: timedelta) -> Pair:
    """Refresh after each of these spans."""
    for step in steps:
        noon.shift(step)
        pair = await refresh(client, pair)
    return pair


async def grow_old(person: Person, age: timedelta) -> Pair:
    """Let a user's session have begun so long ago, as if it had been refreshed ever since, and return its tokens."""
    grown = update(Session).where(Session.mine()).values(created_at=now() - age)
    async with person.app.state.services.database.new_unit() as unit:
        await (await unit.begin()).execute(grown, {"owner": person.user["id"]})
        await unit.commit()
    return person.pair


async def open_sessions(app: FastAPI, owner_id: int, number: int, *, expires_in: timedelta) -> None:
    """Sign in so many times without the hashing; sessions that are over have begun before."""
    times = {"created_at": now(), "last_used_at": now(), "expires_at": now() + expires_in}
    rows = [{"owner_id": owner_id, "sid": secrets.token_hex(16), **times} for _ in range(number)]
    async with app.state.services.database.new_unit() as unit:
        await (await unit.begin(owner_id)).execute(insert(Session), rows)
        await unit.commit()


async def sessions_of(app: FastAPI, owner_id: int) -> int:
    count = select(func.count()).select_from(Session).where(Session.owner_id == bindparam("owner"))
    async with app.state.services.database.new_unit() as unit:
        return int((await (await unit.connection()).execute(count, {"owner": owner_id})).scalar_one())


def kept_of(outside: Connection, tokens: Iterable[str]) -> list[bool]:
    """Of which of these tokens the database holds the SHA-256."""
    outside.rollback()
    hashes = [hashlib.sha256(token.encode()).hexdigest() for token in tokens]
    stored = select(RefreshToken.token_hash).where(RefreshToken.token_hash.in_(hashes))
    kept = set(outside.execute(stored).scalars())
    return [it in kept for it in hashes]


def rows_of(outside: Connection, person: Person) -> tuple[int, int]:
    """How many sessions and how many refresh tokens there are of somebody's."""
    outside.rollback()
    owner = {"owner": person.user["id"]}
    sessions = select(func.count()).select_from(Session).where(Session.owner_id == bindparam("owner"))
    tokens = select(func.count()).select_from(RefreshToken).where(RefreshToken.owner_id == bindparam("owner"))
    return outside.execute(sessions, owner).scalar_one(), outside.execute(tokens, owner).scalar_one()


StartAnother = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest.fixture(scope="module")
async def start_another(settings: Settings) -> AsyncIterator[StartAnother]:
    """Return a client of one more app on the same database, with these settings changed; each app is started once."""
    clients: dict[tuple[object, ...], httpx.AsyncClient] = {}
    async with AsyncExitStack() as stack:

        async def start(**changed: object) -> httpx.AsyncClient:
            changes = tuple(changed.items())
            if changes not in clients:
                app = create_app(settings.model_copy(update=changed))
                await stack.enter_async_context(app.router.lifespan_context(app))
                clients[changes] = await stack.enter_async_context(coming_from(app, "10.77.0.1"))
            return clients[changes]

        yield start


@pytest.fixture(scope="module")
async def another_worker(start_another: StartAnother) -> httpx.AsyncClient:
    """A client of one more app on the same database."""
    return await start_another()


# --- opening ----------------------------------------------------------------------------------------------------------


async def test_every_sign_in_is_a_session_of_its_own(app: FastAPI, person: Person) -> None:
    first = person.token
    await person.sign_in()
    assert await sessions_of(app, person.user["id"]) == 2
    assert await is_let_in(person, first)
    assert await is_let_in(person, person.token)


async def test_a_failed_sign_in_opens_no_session(app: FastAPI, person: Person) -> None:
    await person.post("/users/token", data={"username": person.user["username"], "password": "not the password"})
    assert await sessions_of(app, person.user["id"]) == 1


async def test_signing_in_gives_two_tokens_and_says_how_long_one_is_good(somebody: Person) -> None:
    pair = await sign_in(somebody, somebody)

    assert pair.keys() == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert (pair["token_type"], pair["expires_in"]) == ("bearer", 900)
    assert await is_let_in(somebody, pair["access_token"])


async def test_a_refresh_answers_as_a_sign_in_does(person: Person) -> None:
    pair = await refresh(person, person.pair)

    assert pair.keys() == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert (pair["token_type"], pair["expires_in"]) == ("bearer", 900)
    assert await is_let_in(person, pair["access_token"])


async def test_a_refresh_token_is_256_bits_that_nobody_else_has(somebody: Person) -> None:
    """ASVS 5.0 7.2.3: reference tokens are unique, of 128 bits of entropy at least."""
    first, second = await sign_in(somebody, somebody), await sign_in(somebody, somebody)
    third = await refresh(somebody, first)
    tokens = [pair["refresh_token"] for pair in (first, second, third)]

    assert [bool(re.fullmatch("[A-Za-z0-9_-]{43}", token)) for token in tokens] == [True] * 3
    assert len(set(tokens)) == 3


async def test_a_sign_in_makes_new_tokens_and_ends_none_of_the_old(somebody: Person) -> None:
    """ASVS 5.0 7.2.4: new tokens on authentication; the old session is ended by name, as no header is looked at."""
    old = await sign_in(somebody, somebody)
    new = await sign_in(somebody, somebody, **bearer(old["access_token"]))

    assert {old["access_token"], old["refresh_token"]}.isdisjoint({new["access_token"], new["refresh_token"]})
    assert await is_let_in(somebody, old["access_token"])


@on_sqlite
async def test_no_answer_with_a_token_is_stored_on_the_way(person: Person) -> None:
    answer = await show(person, person.pair)

    assert answer.headers["Cache-Control"] == "no-store"


@on_mysql
async def test_the_first_sign_ins_from_a_network_may_come_at_once(
    app: FastAPI, person: Person, another_worker: httpx.AsyncClient
) -> None:
    await asyncio.gather(*(sign_in(another_worker, person) for _ in range(8)))

    assert await sessions_of(app, person.user["id"]) == 9


@on_sqlite
@pytest.mark.parametrize("later", [timedelta(hours=23), timedelta(hours=25), 29 * DAY, 400 * DAY])
async def test_signing_in_again_from_the_same_network_is_always_possible(
    noon: time_machine.Traveller, person: Person, later: timedelta
) -> None:
    noon.shift(later)

    assert await is_let_in(person, (await sign_in(person, person))["access_token"])


# --- room -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("more", "first_lives"), [(98, True), (99, False), (150, False)])
async def test_the_session_that_was_least_used_of_late_makes_room(
    app: FastAPI, person: Person, more: int, first_lives: bool
) -> None:
    first = person.token
    await open_sessions(app, person.user["id"], more, expires_in=timedelta(minutes=15))
    await person.sign_in()
    assert await sessions_of(app, person.user["id"]) == 100
    assert await is_let_in(person, first) == first_lives
    assert await is_let_in(person, person.token)


async def test_the_oldest_session_stays_if_it_was_refreshed_of_late(
    noon: time_machine.Traveller, app: FastAPI, person: Person
) -> None:
    oldest = await person.open_session()
    await open_sessions(app, person.user["id"], 99, expires_in=DAY)
    oldest = await keep_going(noon, person, oldest, SECOND)
    await person.sign_in()

    assert await sessions_of(app, person.user["id"]) == 100
    assert await is_let_in(person, oldest["access_token"])


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


async def test_the_tokens_of_an_expired_session_are_swept_with_it(
    noon: time_machine.Traveller, person: Person, outside: Connection
) -> None:
    first = await sign_in(person, person)
    second = await refresh(person, first)
    noon.shift(30 * DAY)
    await sign_in(person, person)

    assert kept_of(outside, [first["refresh_token"], second["refresh_token"]]) == [False, False]


async def test_expired_sessions_do_not_count(app: FastAPI, person: Person) -> None:
    first = person.token
    await open_sessions(app, person.user["id"], 120, expires_in=timedelta(seconds=-1))
    await person.sign_in()
    assert await is_let_in(person, first)


# --- what is stored ---------------------------------------------------------------------------------------------------


async def test_nothing_of_a_token_is_stored(person: Person, outside: Connection) -> None:
    first = await sign_in(person, person)
    second = await refresh(person, first)
    texts = [pair[name].rpartition(".")[2] for pair in (first, second) for name in ("access_token", "refresh_token")]
    stored = str(dump(outside, person.user["id"]))

    assert person.user["username"] in stored
    assert [text for text in texts if text in stored or text.encode().hex() in stored] == []


async def log_out(person: Person, pair: Pair) -> httpx.Response:
    return await person.post("/users/logout", json={"refresh_token": pair["refresh_token"]})


async def end_it(person: Person, pair: Pair) -> httpx.Response:
    session = await session_of(person, pair)
    return await person.delete(f"/users/me/sessions/{session['id']}")


async def end_the_others(person: Person, _: Pair) -> httpx.Response:
    return await person.delete("/users/me/sessions")


async def change_password(person: Person, _: Pair) -> httpx.Response:
    words = {"current_password": person.password, "new_password": "another walk along the sea"}
    return await person.put("/users/me/password", json=words)


async def delete_account(person: Person, _: Pair) -> httpx.Response:
    return await person.request("DELETE", "/users/me", json={"current_password": person.password})


async def show_an_old_token(person: Person, pair: Pair) -> httpx.Response:
    await refresh(person, await refresh(person, pair))
    return await show(person, pair)


ON_PURPOSE: dict[str, End] = {
    "logged out": log_out,
    "ended": end_it,
    "ended with all the others": end_the_others,
    "new password": change_password,
    "account deleted": delete_account,
}
ENDS = ON_PURPOSE | {"token reused": show_an_old_token}


@on_mysql
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
async def test_the_hash_of_each_token_is_kept_until_the_session_ends_and_no_longer(
    person: Person, outside: Connection, end: End
) -> None:
    first = await person.open_session()
    second = await refresh(person, first)
    third = await refresh(person, second)
    tokens = [pair["refresh_token"] for pair in (first, second, third)]

    assert kept_of(outside, tokens) == [True, True, True]
    await end(person, third)
    assert kept_of(outside, tokens) == [False, False, False]


@on_sqlite
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
async def test_an_ended_session_lets_nobody_in_at_once(person: Person, end: End) -> None:
    """ASVS 5.0 7.4.1: an ended session is of no further use, though its access token has minutes to go."""
    pair = await person.open_session()
    assert (await me(person, pair)).status_code == 200
    await end(person, pair)

    answer = await me(person, pair)
    assert status_and_code(answer) == INVALID
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    assert status_and_code(await show(person, pair)) == INVALID


# --- one step at a time -----------------------------------------------------------------------------------------------


async def test_a_lost_answer_comes_again(person: Person) -> None:
    first = person.pair
    second = await refresh(person, first)
    again = await refresh(person, first)

    assert again["refresh_token"] == second["refresh_token"]
    assert await is_let_in(person, again["access_token"])


async def test_what_came_again_goes_on(person: Person) -> None:
    first = person.pair
    await refresh(person, first)
    third = await refresh(person, await refresh(person, first))

    assert await is_let_in(person, (await refresh(person, third))["access_token"])


async def test_a_lost_answer_comes_again_from_another_worker(person: Person, another_worker: httpx.AsyncClient) -> None:
    first = person.pair
    second = await refresh(person, first)
    again = await refresh(another_worker, first)

    assert again["refresh_token"] == second["refresh_token"]


@on_sqlite
async def test_a_lost_answer_comes_again_though_the_key_was_replaced(
    person: Person, settings: Settings, start_another: StartAnother
) -> None:
    first = person.pair
    second = await refresh(person, first)
    renewed = await start_another(secret_key=SecretStr(GOOD_SECRET), secret_key_previous=settings.secret_key)

    assert (await refresh(renewed, first))["refresh_token"] == second["refresh_token"]


@on_sqlite
async def test_a_session_goes_on_though_the_key_was_replaced(
    person: Person, settings: Settings, start_another: StartAnother
) -> None:
    second = await refresh(person, person.pair)
    renewed = await start_another(secret_key=SecretStr(GOOD_SECRET), secret_key_previous=settings.secret_key)
    third = await refresh(renewed, second)

    assert (await refresh(renewed, second))["refresh_token"] == third["refresh_token"]
    assert (await me(renewed, await refresh(renewed, third))).status_code == 200


@on_sqlite
async def test_a_lost_answer_is_lost_once_its_key_is_gone(person: Person, start_another: StartAnother) -> None:
    first = person.pair
    await refresh(person, first)

    assert status_and_code(await show(await start_another(secret_key=SecretStr(GOOD_SECRET)), first)) == INVALID


@on_sqlite
async def test_a_session_whose_answer_was_lost_with_its_key_has_not_ended(
    person: Person, start_another: StartAnother
) -> None:
    first = person.pair
    second = await refresh(person, first)
    another = await start_another(secret_key=SecretStr(GOOD_SECRET))
    await show(another, first)

    assert (await me(another, await refresh(another, second))).status_code == 200


# --- a token that was stolen ------------------------------------------------------------------------------------------


async def test_an_old_token_ends_its_session(person: Person) -> None:
    """RFC 9700 4.14.2: the reuse of a refresh token ends the whole family, whoever of the two it was."""
    first = person.pair
    second = await refresh(person, first)
    third = await refresh(person, second)

    answer = await show(person, first)
    assert status_and_code(answer) == REUSED
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert [status_and_code(await show(person, pair)) for pair in (first, second, third)] == [INVALID] * 3
    assert [status_and_code(await me(person, pair)) for pair in (first, second, third)] == [INVALID] * 3


async def test_an_old_token_ends_its_session_although_it_is_refused(person: Person, outside: Connection) -> None:
    """RFC 9700 4.14.2: the refusal does not undo the end."""
    before = rows_of(outside, person)
    await show_an_old_token(person, await person.open_session())

    assert rows_of(outside, person) == before


async def test_an_old_token_ends_its_session_whatever_key_the_request_bears(
    person: Person, outside: Connection
) -> None:
    """RFC 9700 4.14.2: no answer is remembered for an Idempotency-Key."""
    before, key = rows_of(outside, person), {"Idempotency-Key": "once"}
    first = await person.open_session()
    second = await refresh(person, first, **key)
    await refresh(person, second, **key)
    answers = [await show(person, first, **key), await show(person, first, **key)]

    assert [status_and_code(answer) for answer in answers] == [REUSED, INVALID]
    assert [answer for answer in answers if "Idempotency-Replayed" in answer.headers] == []
    assert rows_of(outside, person) == before


async def test_an_old_token_ends_no_other_session(person: Person, stranger: Person) -> None:
    other = await person.open_session()
    await show_an_old_token(person, await person.open_session())

    assert (await me(person, await refresh(person, other))).status_code == 200
    assert await is_let_in(person, person.token)
    assert await is_let_in(stranger, stranger.token)


@dataclass
class Rule:
    """What must be answered to each of a session's tokens, told by counting."""

    newest: int = 0
    has_ended: bool = False

    def answer_to(self, number: int) -> tuple[int, str | int]:
        if self.has_ended:
            return INVALID
        if number < self.newest - 1:
            self.has_ended = True
            return REUSED
        self.newest = number + 1
        return 200, self.newest


async def walk(person: Person, steps: Sequence[int]) -> tuple[list[tuple[int, str | int]], list[tuple[int, str | int]]]:
    """Show the token that is so many steps back, again and again: what was answered, and what must be."""
    rule, tokens = Rule(), [person.pair["refresh_token"]]
    answered, expected = [], []
    for back in steps:
        number = max(rule.newest - back, 0)
        expected.append(rule.answer_to(number))
        answer = (await person.post("/users/token/refresh", json={"refresh_token": tokens[number]})).json()
        if "code" in answer:
            answered.append((answer["status"], answer["code"]))
        else:
            tokens += [it for it in [answer["refresh_token"]] if it not in tokens]
            answered.append((200, tokens.index(answer["refresh_token"])))
    return answered, expected


@hunts(5)
@given(steps=st.lists(st.sampled_from([0, 0, 0, 0, 1, 1, 1, 2, 3]), min_size=4, max_size=16))
async def test_whichever_token_is_shown_the_rule_holds(app: FastAPI, steps: list[int]) -> None:
    """RFC 9700 4.14.2: whatever the order, a token is good for one step, and an older one ends them all."""
    async with signed_up(app) as person:
        answered, expected = await walk(person, steps)
        assert answered == expected


# --- many at once -----------------------------------------------------------------------------------------------------


async def test_of_twenty_refreshes_at_once_each_gets_the_one_successor(person: Person, outside: Connection) -> None:
    pair = person.pair
    before = rows_of(outside, person)
    answers = await asyncio.gather(*(show(person, pair) for _ in range(20)))

    assert Counter(answer.status_code for answer in answers) == {200: 20}
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1
    assert rows_of(outside, person) == (before[0], before[1] + 1)


async def test_of_twenty_refreshes_at_once_by_two_workers_each_gets_the_one_successor(
    person: Person, another_worker: httpx.AsyncClient, outside: Connection
) -> None:
    workers, pair = [person, another_worker], person.pair
    before = rows_of(outside, person)
    answers = await asyncio.gather(*(show(worker, pair) for worker in workers * 10))

    assert Counter(answer.status_code for answer in answers) == {200: 20}
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1
    assert rows_of(outside, person) == (before[0], before[1] + 1)


@pytest.mark.parametrize("end", ON_PURPOSE.values(), ids=ON_PURPOSE)
async def test_a_session_that_ends_amid_its_refreshes_has_ended(
    person: Person, another_worker: httpx.AsyncClient, outside: Connection, end: End
) -> None:
    """ASVS 5.0 7.4.1: whichever comes first, nothing is left that could be refreshed."""
    workers, pair = [person, another_worker], await person.open_session()
    refreshes = [show(worker, pair) for worker in workers * 4]
    ended, *answers = await asyncio.gather(end(person, pair), *refreshes)

    assert ended.status_code == 204, ended.text
    assert {answer.status_code for answer in answers} <= {200, 401}
    # All answers have the same tokens, or access tokens of the same session that begin a second later.
    given = {it["refresh_token"]: it for it in (pair, *(answer.json() for answer in answers if answer.is_success))}
    assert {status_and_code(await show(person, it)) for it in given.values()} == {INVALID}
    assert {status_and_code(await me(person, it)) for it in given.values()} == {INVALID}
    assert kept_of(outside, given) == [False] * len(given)


async def test_an_account_deleted_amid_its_refreshes_and_sign_ins_leaves_no_row(
    person: Person, outside: Connection
) -> None:
    """ASVS 5.0 7.4.2: with the account, every session of it ends."""
    pair = await person.open_session()
    form = {"username": person.user["username"], "password": person.password}
    deleted, *answers = await asyncio.gather(
        delete_account(person, pair),
        *(show(person, pair) for _ in range(5)),
        *(person.post("/users/token", data=form) for _ in range(3)),
    )

    assert deleted.status_code == 204
    assert {answer.status_code for answer in answers} <= {200, 401}
    assert rows_of(outside, person) == (0, 0)


async def test_an_old_token_shown_many_times_at_once_is_found_out_once(person: Person) -> None:
    """RFC 9700 4.14.2."""
    first = person.pair
    await refresh(person, await refresh(person, first))
    answers = await asyncio.gather(*(show(person, first) for _ in range(8)))

    assert Counter(status_and_code(answer) for answer in answers) == {REUSED: 1, INVALID: 7}


# --- time -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("database_url", "changed", "idle"),
    [("mysql", {}, 30), ("sqlite", {"session_idle_days": 2, "session_days": 5}, 2)],
    indirect=["database_url"],
)
async def test_a_session_that_rests_for_thirty_days_has_ended(
    noon: time_machine.Traveller, person: Person, start_another: StartAnother, changed: Mapping[str, int], idle: int
) -> None:
    """ASVS 5.0 7.3.1: inactivity ends a session."""
    client = await start_another(**changed)
    pairs = [await sign_in(client, person) for _ in range(2)]
    noon.shift(DAY)
    one, other = [await refresh(client, pair) for pair in pairs]
    noon.shift(idle * DAY - SECOND)
    before = await show(client, one)
    noon.shift(SECOND)

    assert [before.is_success, (await show(client, other)).is_success] == [True, False]


@pytest.mark.parametrize(
    ("database_url", "changed", "steps"),
    [
        ("mysql", {}, [29 * DAY] * 6 + [6 * DAY]),
        ("sqlite", {"session_idle_days": 2, "session_days": 5}, [DAY] * 5),
        ("sqlite", {"session_days": 3}, [DAY] * 3),
    ],
    indirect=["database_url"],
)
async def test_a_session_ends_after_180_days_however_often_it_was_refreshed(
    noon: time_machine.Traveller,
    person: Person,
    start_another: StartAnother,
    changed: Mapping[str, int],
    steps: list[timedelta],
) -> None:
    """ASVS 5.0 7.3.2: a session has an absolute lifetime."""
    client = await start_another(**changed)
    pair = await keep_going(noon, client, await sign_in(client, person), *steps[:-1])
    pair = await keep_going(noon, client, pair, steps[-1] - SECOND)
    noon.shift(SECOND)

    assert not (await show(client, pair)).is_success


@on_sqlite
async def test_a_session_shorter_than_its_rest_ends_as_a_session(
    noon: time_machine.Traveller, person: Person, start_another: StartAnother
) -> None:
    """ASVS 5.0 7.3.2."""
    client = await start_another(session_days=3)
    pair = await sign_in(client, person)
    noon.shift(3 * DAY)

    assert status_and_code(await show(client, pair)) == INVALID


@on_sqlite
async def test_a_session_that_is_over_says_so_and_is_no_theft(noon: time_machine.Traveller, person: Person) -> None:
    first = person.pair
    await refresh(person, await refresh(person, first))
    noon.shift(30 * DAY)

    assert status_and_code(await show(person, first)) == INVALID


@on_sqlite
async def test_a_lost_answer_that_comes_again_gives_no_more_time(noon: time_machine.Traveller, person: Person) -> None:
    """ASVS 5.0 7.3.1: whoever shows the same token again and again does not prolong the session."""
    first = person.pair
    await refresh(person, first)
    noon.shift(20 * DAY)
    second = await refresh(person, first)
    noon.shift(10 * DAY)

    assert status_and_code(await show(person, second)) == INVALID


@on_sqlite
async def test_the_last_access_token_says_that_it_lives_no_longer_than_the_session(
    noon: time_machine.Traveller, person: Person, settings: Settings
) -> None:
    """ASVS 5.0 7.3.2."""
    pair = await keep_going(noon, person, await grow_old(person, 145 * DAY), 29 * DAY)
    noon.shift(6 * DAY - timedelta(minutes=10))
    last = await refresh(person, pair)
    claims = AccessTokens(load_signing_keys(settings), settings.access_token_minutes).read(last["access_token"])

    assert (pair["expires_in"], last["expires_in"]) == (900, 600)
    assert claims.expires - claims.issued == 600


@on_sqlite
async def test_an_answer_that_comes_again_lives_no_longer_than_the_session_either(
    noon: time_machine.Traveller, person: Person
) -> None:
    """ASVS 5.0 7.3.1."""
    first = person.pair
    await refresh(person, first)
    noon.shift(30 * DAY - timedelta(minutes=10))

    assert (await refresh(person, first))["expires_in"] == 600


@on_sqlite
async def test_the_last_access_token_ends_with_the_session(noon: time_machine.Traveller, person: Person) -> None:
    """ASVS 5.0 7.3.2, and RFC 7519 4.1.4: a token is refused on its `exp`, not only after it."""
    pair = await keep_going(noon, person, await grow_old(person, 145 * DAY), 29 * DAY)
    noon.shift(6 * DAY - timedelta(minutes=10))
    last = await refresh(person, pair)
    noon.shift(timedelta(minutes=10) - SECOND)
    is_good = [await is_let_in(person, last["access_token"])]
    noon.shift(SECOND)
    is_good.append(await is_let_in(person, last["access_token"]))
    noon.shift(SECOND)
    is_good.append(await is_let_in(person, last["access_token"]))

    assert is_good == [True, False, False]


# --- the list ---------------------------------------------------------------------------------------------------------


async def test_the_list_says_where_one_is_signed_in(noon: time_machine.Traveller, person: Person) -> None:
    """ASVS 5.0 7.5.2: users see their sessions."""
    await sign_in(person, person, **{"User-Agent": "an old phone"})
    noon.shift(60)
    pair = await sign_in(person, person, **{"User-Agent": "Firefox"})
    answer = await person.get("/users/me/sessions", headers=bearer(pair["access_token"]))

    assert answer.status_code == 200
    assert answer.json().keys() == {"items", "next_cursor"}
    assert answer.json()["next_cursor"] is None
    newest, older, _ = answer.json()["items"]
    assert newest == {
        "id": newest["id"],
        "created_at": "2026-11-22T12:01:00Z",
        "last_used_at": "2026-11-22T12:01:00Z",
        "user_agent": "Firefox",
        "ip": older["ip"],
        "current": True,
    }
    assert (older["user_agent"], older["current"]) == ("an old phone", False)


async def test_the_newest_session_comes_first_whichever_was_used_last(
    noon: time_machine.Traveller, person: Person
) -> None:
    first = await person.open_session()
    noon.shift(1)
    second = await person.open_session()
    await keep_going(noon, person, first, SECOND)
    ids = [it["id"] for it in await listed(person, second)]

    assert ids == sorted(ids, reverse=True)
    assert ids[0] == (await session_of(person, second))["id"]


async def test_just_the_session_that_asks_is_current(person: Person) -> None:
    pairs = [await person.open_session() for _ in range(3)]
    current = [[it["current"] for it in await listed(person, pair)] for pair in pairs]

    assert current == [
        [False, False, True, False],
        [False, True, False, False],
        [True, False, False, False],
    ]


async def test_a_session_is_the_same_after_a_refresh(person: Person) -> None:
    first = person.pair
    before = await session_of(person, first)

    assert (await session_of(person, await refresh(person, first)))["id"] == before["id"]


async def test_a_refresh_from_elsewhere_says_where_from(app: FastAPI, somebody: Person) -> None:
    first = await sign_in(somebody, somebody, **{"User-Agent": "Firefox"})
    async with coming_from(app, "2001:DB8:0:0::7") as elsewhere:
        second = await refresh(elsewhere, first, **{"User-Agent": "curl"})
    seen = await session_of(somebody, second)

    assert (seen["ip"], seen["user_agent"]) == ("2001:db8::7", "curl")


async def test_a_sign_in_says_where_from(app: FastAPI, somebody: Person) -> None:
    async with coming_from(app, "::ffff:192.0.2.9") as elsewhere:
        pair = await sign_in(elsewhere, somebody, **{"User-Agent": "a\tb" + "c" * 300})
    seen = await session_of(somebody, pair)

    assert (seen["ip"], seen["user_agent"]) == ("192.0.2.9", "ab" + "c" * 253)


async def test_a_client_may_keep_to_itself_what_it_is(app: FastAPI, somebody: Person) -> None:
    async with coming_from(app, "192.0.2.9") as elsewhere:
        del elsewhere.headers["User-Agent"]
        pair = await sign_in(elsewhere, somebody)

    assert (await session_of(somebody, pair))["user_agent"] is None


async def test_when_a_session_was_last_used_is_when_it_was_refreshed_last(
    noon: time_machine.Traveller, person: Person
) -> None:
    pair = await keep_going(noon, person, person.pair, timedelta(hours=1))
    noon.shift(60)
    await person.get("/expenses", headers=bearer(pair["access_token"]))
    seen = await session_of(person, pair)

    assert (seen["created_at"], seen["last_used_at"]) == ("2026-11-22T12:00:00Z", "2026-11-22T13:00:00Z")


@pytest.mark.parametrize(("left", "number"), [(SECOND, 2), (0 * SECOND, 1)])
async def test_a_session_that_is_over_is_not_listed(
    noon: time_machine.Traveller, person: Person, left: timedelta, number: int
) -> None:
    pair = await person.open_session()
    noon.shift(15 * DAY)
    pair = await refresh(person, pair)
    noon.shift(15 * DAY - left)

    assert len(await listed(person, await refresh(person, pair))) == number


async def test_a_strangers_sessions_are_not_listed(person: Person, stranger: Person) -> None:
    theirs = {it["id"] for it in await listed(stranger, await stranger.open_session())}
    mine = {it["id"] for it in await listed(person, await person.open_session())}

    assert len(mine) == len(theirs) == 2
    assert mine.isdisjoint(theirs)


async def test_the_list_tells_no_secret(person: Person) -> None:
    pair = await person.open_session()
    answer = await person.get("/users/me/sessions", headers=bearer(pair["access_token"]))

    assert answer.headers["Cache-Control"] == "no-store"
    assert re.findall("[0-9a-f]{32}|[A-Za-z0-9_-]{43}", answer.text) == []


# --- ending -----------------------------------------------------------------------------------------------------------


async def test_one_session_is_ended_and_no_other(person: Person) -> None:
    """ASVS 5.0 7.5.2: users end any of their sessions."""
    pair, other = await person.open_session(), await person.open_session()
    session = await session_of(person, pair)
    answer = await person.delete(f"/users/me/sessions/{session['id']}")

    assert (answer.status_code, answer.content) == (204, b"")
    assert status_and_code(await me(person, pair)) == INVALID
    assert (await me(person, other)).status_code == 200
    assert await is_let_in(person, person.token)


async def test_an_ended_session_is_not_there_to_be_ended(person: Person) -> None:
    session = await session_of(person, await person.open_session())
    answers = [await person.delete(f"/users/me/sessions/{session['id']}") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [204, 404]


async def test_a_session_may_end_itself(person: Person) -> None:
    """ASVS 5.0 7.4.1."""
    pair = person.pair
    session, own = await session_of(person, pair), bearer(pair["access_token"])
    answer = await person.delete(f"/users/me/sessions/{session['id']}", headers=own)

    assert answer.status_code == 204
    assert status_and_code(await me(person, pair)) == INVALID


async def test_what_is_no_session_is_not_there(somebody: Person) -> None:
    assert status_and_code(await somebody.delete(f"/users/me/sessions/{LARGEST_ID}")) == (404, "not_found")


async def test_a_strangers_session_is_not_there(person: Person, stranger: Person) -> None:
    """ASVS 5.0 7.5.2: just one's own."""
    theirs = await stranger.open_session()
    session = await session_of(stranger, theirs)
    answer = await person.delete(f"/users/me/sessions/{session['id']}")
    nobodys = await person.delete("/users/me/sessions/9223372036854775807")

    assert status_and_code(answer) == status_and_code(nobodys) == (404, "not_found")
    assert answer.json().keys() == nobodys.json().keys()
    assert (await me(stranger, theirs)).status_code == 200


async def test_all_other_sessions_end_and_this_one_lives(person: Person, stranger: Person) -> None:
    """ASVS 5.0 7.4.3 and 7.5.2."""
    others = [await person.open_session() for _ in range(3)]
    pair = await person.open_session()
    answer = await person.delete("/users/me/sessions", headers=bearer(pair["access_token"]))

    assert (answer.status_code, answer.content) == (204, b"")
    assert [status_and_code(await me(person, it)) for it in others] == [INVALID] * 3
    assert not await is_let_in(person, person.token)
    assert (await me(person, await refresh(person, pair))).status_code == 200
    assert await is_let_in(stranger, stranger.token)


async def test_a_new_password_leaves_the_session_that_changed_it_going(person: Person) -> None:
    """ASVS 5.0 7.4.3: the others end, so that whoever knew the old one is out."""
    pair, other = await person.open_session(), await person.open_session()
    words = {"current_password": person.password, "new_password": "another walk along the sea"}
    await person.put("/users/me/password", json=words, headers=bearer(pair["access_token"]))

    assert (await me(person, await refresh(person, pair))).status_code == 200
    assert status_and_code(await show(person, other)) == INVALID


# --- signing out ------------------------------------------------------------------------------------------------------


async def test_signing_out_needs_no_bearer(client: httpx.AsyncClient, somebody: Person) -> None:
    """ASVS 5.0 7.4.1: also where the access token has long expired."""
    pair = await sign_in(client, somebody)
    answer = await client.post("/users/logout", json={"refresh_token": pair["refresh_token"]})

    assert (answer.status_code, answer.content) == (204, b"")
    assert status_and_code(await me(client, pair)) == INVALID


@pytest.mark.wire
@pytest.mark.parametrize("authorization", ["Bearer long.ago.expired", "Basic Og==", "Bearer", ""])
async def test_no_bearer_whatever_stands_in_the_way_of_signing_out(person: Person, authorization: str) -> None:
    pair = person.pair
    header = {"Authorization": authorization}
    answer = await person.post("/users/logout", json={"refresh_token": pair["refresh_token"]}, headers=header)

    assert answer.status_code == 204
    assert status_and_code(await me(person, pair)) == INVALID


async def test_signing_out_ends_the_tokens_session_and_not_the_bearers(person: Person, stranger: Person) -> None:
    pair = await person.open_session()
    await stranger.post("/users/logout", json={"refresh_token": pair["refresh_token"]})

    assert status_and_code(await me(person, pair)) == INVALID
    assert await is_let_in(stranger, stranger.token)
    assert await is_let_in(person, person.token)


async def test_any_token_of_a_session_signs_out(person: Person) -> None:
    first = person.pair
    third = await refresh(person, await refresh(person, first))

    assert (await log_out(person, first)).status_code == 204
    assert status_and_code(await me(person, third)) == INVALID
    assert status_and_code(await show(person, third)) == INVALID


async def test_signing_out_twice_is_no_error(person: Person) -> None:
    """RFC 7009 2.2: an invalid token is no error, for what was asked is so already."""
    pair = person.pair

    assert [(await log_out(person, pair)).status_code for _ in range(2)] == [204, 204]


@pytest.mark.wire
@pytest.mark.parametrize("token", ["", "x", "A" * 43, "A" * 42 + "=", "A" * 43 + "\n", "🌊" * 43, "\x00", "A" * 1024])
async def test_a_token_of_no_session_ends_nothing(somebody: Person, token: str) -> None:
    """RFC 7009 2.2."""
    answer = await log_out(somebody, {"refresh_token": token})

    assert (answer.status_code, answer.content) == (204, b"")
    assert await is_let_in(somebody, somebody.token)


# --- one kind of token is no other ------------------------------------------------------------------------------------


async def make_personal_token(person: Person) -> str:
    answer = await person.post("/users/me/tokens", json={"name": "a script", "scope": "write"})
    assert answer.status_code == 201, answer.text
    token: str = answer.json()["token"]
    return token


async def test_an_access_token_gives_no_session_more_time(somebody: Person) -> None:
    assert status_and_code(await show(somebody, {"refresh_token": somebody.token})) == INVALID


async def test_a_personal_token_gives_no_session_more_time(somebody: Person) -> None:
    assert status_and_code(await show(somebody, {"refresh_token": await make_personal_token(somebody)})) == INVALID


async def test_neither_an_access_token_nor_a_personal_one_signs_out(person: Person) -> None:
    personal = await make_personal_token(person)
    answers = [await log_out(person, {"refresh_token": token}) for token in (person.token, personal)]

    assert [answer.status_code for answer in answers] == [204, 204]
    assert await is_let_in(person, person.token)
    assert await is_let_in(person, personal)


async def test_a_personal_token_outlives_every_session(person: Person) -> None:
    personal = await make_personal_token(person)
    await log_out(person, await person.open_session())
    await end_the_others(person, {})

    assert await is_let_in(person, personal)


# --- what is no refresh token -----------------------------------------------------------------------------------------


@pytest.mark.wire
@pytest.mark.parametrize(
    "token",
    [
        "",
        "hunter2",
        "hunter2" + "A" * 35,
        "hunter2" + "A" * 36,
        "hunter2" + "A" * 37,
        "hunter2" + "A" * 35 + "=",
        "hunter2" + "A" * 36 + "\n",
        "hunter2" + "A" * 35 + "\x00",
        "hunter2" + "🌊" * 36,
        "hunter2" + "é" * 36,
        "hunter2" + "A" * 1017,
    ],
)
async def test_a_token_of_no_session_is_not_good(client: httpx.AsyncClient, token: str) -> None:
    answer = await show(client, {"refresh_token": token})

    assert status_and_code(answer) == INVALID
    assert "hunter2" not in answer.text


@pytest.mark.wire
@pytest.mark.parametrize("path", ["/users/token/refresh", "/users/logout"])
@pytest.mark.parametrize(
    ("body", "pointer", "reason"),
    [
        ({}, "/refresh_token", "required"),
        ({"refresh_token": None}, "/refresh_token", "wrong_type"),
        ({"refresh_token": 7}, "/refresh_token", "wrong_type"),
        ({"refresh_token": True}, "/refresh_token", "wrong_type"),
        ({"refresh_token": ["hunter2"]}, "/refresh_token", "wrong_type"),
        ({"refresh_token": {"hunter2": 1}}, "/refresh_token", "wrong_type"),
        ({"refresh_token": "hunter2" + "A" * 1018}, "/refresh_token", "too_long"),
        ({"refresh_token": "hunter2\ud800"}, "/refresh_token", "malformed"),
        ({"refresh_token": "hunter2", "scope": "write"}, "/scope", "unknown"),
        ({"refresh_token": "hunter2", "grant_type": "refresh_token"}, "/grant_type", "unknown"),
    ],
    ids=str,
)
async def test_what_is_no_text_is_no_token(
    client: httpx.AsyncClient, path: str, body: object, pointer: str, reason: str
) -> None:
    answer = await client.post(path, content=json.dumps(body), headers={"Content-Type": "application/json"})

    assert status_and_code(answer) == (422, "validation_failed")
    assert [(entry["pointer"], entry["code"]) for entry in answer.json()["errors"]] == [(pointer, reason)]
    assert "hunter2" not in answer.text


@pytest.mark.wire
@pytest.mark.parametrize("path", ["/users/token/refresh", "/users/logout"])
async def test_the_query_is_no_place_for_a_refresh_token(client: httpx.AsyncClient, path: str) -> None:
    """ASVS 5.0 14.2.1: no secret in an address."""
    answer = await client.post(path, params={"refresh_token": "hunter2"}, json={"refresh_token": "hunter2"})

    assert status_and_code(answer) == (422, "validation_failed")
    assert "hunter2" not in answer.text


# --- what it costs ----------------------------------------------------------------------------------------------------

Do = Callable[[Person, Pair, Pair], Awaitable[object]]

COSTS: dict[str, tuple[Do, int, int]] = {
    "sign in": (lambda person, *_: sign_in(person, person), 7, 1),
    "refresh": (lambda person, _, second: refresh(person, second), 6, 1),
    "refresh again": (lambda person, first, _: refresh(person, first), 5, 1),
    "refresh in vain": (lambda person, *_: show(person, {"refresh_token": "A" * 43}), 1, 0),
    "refresh with what is no token": (lambda person, *_: show(person, {"refresh_token": "A" * 42}), 0, 0),
    "list": (lambda person, *_: person.get("/users/me/sessions"), 2, 0),
    "end the others": (lambda person, *_: person.delete("/users/me/sessions"), 5, 1),
    "sign out": (lambda person, first, _: log_out(person, first), 5, 1),
    "sign out in vain": (lambda person, *_: log_out(person, {"refresh_token": "A" * 43}), 1, 0),
}


@pytest.mark.parametrize(("do", "asked", "commits"), COSTS.values(), ids=COSTS)
async def test_a_session_asks_the_database_no_more_than_it_must(
    person: Person, statements: Statements, do: Do, asked: int, commits: int
) -> None:
    first = await person.open_session()
    second = await refresh(person, first)
    with statements() as sent:
        await do(person, first, second)

    assert (len(sent), sent.count("COMMIT")) == (asked, commits), "\n".join(sent)


async def test_ending_a_session_asks_the_database_no_more_than_it_must(person: Person, statements: Statements) -> None:
    session = await session_of(person, await person.open_session())
    with statements() as sent:
        await person.delete(f"/users/me/sessions/{session['id']}")

    assert (len(sent), sent.count("COMMIT")) == (5, 1), "\n".join(sent)


# --- real processes ---------------------------------------------------------------------------------------------------


@on_mysql
async def test_two_processes_on_one_database_agree_on_a_session(
    person: Person, settings: Settings, database_url: str
) -> None:
    """ASVS 5.0 7.4.1, RFC 9700 4.14.2: one successor, and one end."""
    with Service(sharing(settings, database_url)) as other:
        async with httpx.AsyncClient(base_url=other.url, timeout=20, trust_env=False) as there:
            answers = await asyncio.gather(*(show(client, person.pair) for client in [person, there] * 10))
            assert Counter(answer.status_code for answer in answers) == {200: 20}
            (second,) = {answer.json()["refresh_token"] for answer in answers}
            access = {answer.json()["access_token"] for answer in answers}
            asked = [(client, token) for token in access for client in (person, there)]
            assert [await is_let_in(*it) for it in asked] == [True] * len(asked)
            await log_out(person, {"refresh_token": second})
            assert [await is_let_in(*it) for it in asked] == [False] * len(asked)


@on_sqlite
async def test_a_session_has_no_more_steps_than_a_client_can_need(
    person: Person, start_another: StartAnother, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each is a row, and all go at once when it ends.
    monkeypatch.setattr(sessions, "SPARE_REFRESHES", 1)
    client = await start_another(session_days=1, access_token_minutes=24 * 60)
    second = await refresh(client, await refresh(client, await sign_in(client, person)))

    answer = await show(client, {"refresh_token": second["refresh_token"]})

    assert status_and_code(answer) == (401, "invalid_token")
