"""Connections and units of work, and what a request answers when the database fails."""

import asyncio
import gc
import os
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import anyio
import httpx
import pymysql
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import (
    URL,
    Connection,
    bindparam,
    event,
    insert,
    literal,
    make_url,
    select,
    text,
    union_all,
    update,
)
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

import database
import migrations
from api import route
from config import Settings
from database import now
from infra import connection_pool, engines
from infra.column_types import SUM_PART, exact_sum
from infra.connection_pool import PooledConnection
from infra.database_file import REPLACED, WHAT_TO_DO
from infra.faults import Fault
from main import create_app
from migrations.errors import SchemaError
from models import Category, LedgerState, User
from tests.support.commits import Commits
from tests.support.databases import on_mysql, on_sqlite
from tests.support.people import Person, hold, make_transport, signed_up
from tests.support.servers import MySQL, NoServer, PrivateMariaDB, make_plain_engine
from tests.support.settings import GOOD_SECRET
from tests.support.statements import Statements, before_begin
from values.fields import LARGEST_ID


def assert_unavailable(answer: httpx.Response, code: str = "unavailable") -> None:
    assert (answer.status_code, answer.json()["code"]) == (503, code), answer.text
    assert int(answer.headers["Retry-After"]) > 0


# --- instants ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (datetime(2026, 11, 22, 13, 23, 7, tzinfo=UTC), "2026-11-22T13:23:07+00:00"),
        (datetime(2026, 11, 22, 13, 23, 7, 999_999, tzinfo=UTC), "2026-11-22T13:23:07+00:00"),
        (datetime(2026, 1, 1, 1, 30, tzinfo=timezone(timedelta(hours=5, minutes=45))), "2025-12-31T19:45:00+00:00"),
        (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), "2026-10-25T01:30:00+00:00"),
    ],
)
async def test_an_instant_comes_back_in_utc_to_the_second(
    app: FastAPI, person: Person, written: datetime, read: str
) -> None:
    me = User.id == person.user["id"]
    async with app.state.services.database.new_unit() as unit:
        connection = await unit.begin()
        await connection.execute(update(User).where(me).values(updated_at=written))
        await unit.commit()
    async with app.state.services.database.new_unit() as unit:
        stored: datetime = (await (await unit.connection()).execute(select(User.updated_at).where(me))).scalar_one()
        assert stored.isoformat() == read


@pytest.mark.parametrize(
    "numbers",
    [
        [],
        [1],
        [-7, 3],
        [SUM_PART, -SUM_PART],
        [SUM_PART - 1, 1],
        [-SUM_PART - 1, SUM_PART],
        [LARGEST_ID] * 3,
        [-LARGEST_ID] * 3,
    ],
)
async def test_a_sum_is_exact_whatever_its_size_and_sign(app: FastAPI, numbers: list[int]) -> None:
    table = union_all(*(select(literal(it).label("number")) for it in [*numbers, 0])).subquery()
    async with app.state.services.database.new_unit() as unit:
        found = await (await unit.connection()).execute(select(exact_sum(table.c.number)))
        assert found.scalar_one() == sum(numbers)


async def test_a_sum_of_nothing_is_none(app: FastAPI) -> None:
    table = select(literal(1).label("number")).subquery()
    async with app.state.services.database.new_unit() as unit:
        nothing = select(exact_sum(table.c.number)).where(table.c.number == 0)
        assert (await (await unit.connection()).execute(nothing)).scalar_one() is None


def test_now_is_a_whole_second_of_utc() -> None:
    assert now().tzinfo is UTC
    assert now().microsecond == 0


# --- the unit of work -------------------------------------------------------------------------------------------------


async def state_of(app: FastAPI, person: Person) -> tuple[int, int]:
    """The ledger's revision, and how many expenses it says that it holds."""
    mine = select(LedgerState.revision, LedgerState.expense_count).where(LedgerState.owner_id == bindparam("owner"))
    async with app.state.services.database.new_unit() as unit:
        row = (await (await unit.connection()).execute(mine, {"owner": person.user["id"]})).one()
        return row.revision, row.expense_count


def taken(app: FastAPI) -> list[int]:
    """How many connections are out of each pool."""
    return [pool.in_use for pool in app.state.services.database.pools]


@asynccontextmanager
async def at_work(app: FastAPI) -> AsyncIterator[AsyncConnection]:
    """A connection of the pool for transactions, as the next request finds it."""
    pool = app.state.services.database.pools[0]
    connection = await pool.acquire()
    try:
        yield connection.sqlalchemy
        await connection.commit()
    finally:
        await pool.release(connection)


def create(person: Person, **fields: object) -> Coroutine[Any, Any, httpx.Response]:
    return person.post("/expenses", json={"amount": "12.50", "category": "Groceries"} | fields)


async def test_what_was_not_committed_did_not_happen(app: FastAPI, person: Person) -> None:
    values = {"owner_id": person.user["id"], "name": "Food", "name_key": "food", "revision": 1}
    async with app.state.services.database.new_unit() as unit:
        await (await unit.begin(person.user["id"])).execute(insert(Category), values)
    assert (await person.get("/categories")).json()["items"] == []


async def test_a_unit_reads_its_own_writes(app: FastAPI, person: Person) -> None:
    async with app.state.services.database.new_unit() as unit:
        assert await unit.connection() is not await unit.begin(person.user["id"])
        assert await unit.connection() is await unit.begin(person.user["id"])


async def test_committing_nothing_is_fine(app: FastAPI) -> None:
    async with app.state.services.database.new_unit() as unit:
        await unit.commit()
        await unit.connection()
        await unit.commit()


@pytest.mark.parametrize("path", ["/expenses", "/expenses/1", "/categories?with_usage=true", "/users/me"])
async def test_a_read_gives_its_connection_back(app: FastAPI, person: Person, path: str) -> None:
    await person.get(path)
    assert taken(app) == [0, 0]


async def test_failed_writes_give_their_connections_back(app: FastAPI, person: Person) -> None:
    await create(person, external_id="known")
    await asyncio.gather(
        create(person, amount="1.999"),
        create(person, external_id="known"),
        person.delete("/expenses/9223372036854775807"),
        person.patch("/expenses/9223372036854775807", json={"amount": "1.00"}),
        person.post("/categories", json={"name": "Groceries"}),
        person.post("/expenses", json={}),
    )
    assert taken(app) == [0, 0]


@pytest.mark.parametrize("seconds", [0, 0.001, 0.003, 0.006, 0.01])
async def test_a_client_that_goes_away_leaves_nothing_behind(app: FastAPI, person: Person, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(create(person), seconds)
    # It waits for the lock, and so for a commit that the client did not wait for.
    await create(person)
    revision, expenses = await state_of(app, person)
    assert revision == expenses == len((await person.get("/expenses")).json()["items"])
    assert taken(app) == [0, 0]


@on_sqlite
@pytest.mark.parametrize("statement", ["BEGIN", "SELECT count", "INSERT INTO categories"])
async def test_a_write_that_is_cancelled_amid_a_statement_leaves_no_lock(
    app: FastAPI, person: Person, statement: str
) -> None:
    def cancel_amid(_connection: object, _cursor: object, sent: str, *_: object) -> None:
        if sent.startswith(statement):
            asyncio.get_running_loop().call_soon(writing.cancel)

    def keep(_connection: object, _record: object, error: BaseException | None) -> None:
        kept.append(error)

    # The traceback of this error refers to the cursor, as it would until garbage is collected.
    kept: list[BaseException | None] = []
    engine = app.state.services.database.pools[0].engine.sync_engine
    event.listen(engine, "before_cursor_execute", cancel_amid)
    event.listen(engine, "invalidate", keep)
    writing = asyncio.create_task(create(person, category="Groceries"))
    try:
        with before_begin(lambda: cancel_amid(None, None, "BEGIN")):
            assert_unavailable(await writing)
    finally:
        event.remove(engine, "before_cursor_execute", cancel_amid)
        event.remove(engine, "invalidate", keep)
    await asyncio.wait_for(create(person), 2)
    assert [error and error.__traceback__ is not None for error in kept] == [True]
    assert await state_of(app, person) == (1, 1)


# --- apps of the test's own -------------------------------------------------------------------------------------------


class Running(NamedTuple):
    """An app, and somebody who signed up there."""

    app: FastAPI
    person: Person


Start = Callable[..., Coroutine[Any, Any, FastAPI]]
Join = Callable[[FastAPI], Coroutine[Any, Any, Person]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Start one more app: `await start(url, pool_size=1)`."""
    async with AsyncExitStack() as apps:

        async def start(url: str, **knobs: Any) -> FastAPI:
            settings = Settings(
                database_url=url, secret_key=SecretStr(GOOD_SECRET), bcrypt_rounds=4, _env_file=None, **knobs
            )
            app = create_app(settings)
            await apps.enter_async_context(app.router.lifespan_context(app))
            return app

        yield start


@pytest.fixture
async def visit() -> AsyncIterator[Callable[[FastAPI], Person]]:
    """Somebody at an app who has not signed up."""
    async with AsyncExitStack() as people:
        visitors: list[Person] = []

        def visit(app: FastAPI) -> Person:
            person = Person(transport=make_transport(app), base_url="http://testserver")
            visitors.append(person)
            people.push_async_callback(person.aclose)
            return person

        yield visit


@pytest.fixture
async def join() -> AsyncIterator[Join]:
    """Sign up at an app."""
    async with AsyncExitStack() as people:

        async def join(app: FastAPI) -> Person:
            return await people.enter_async_context(signed_up(app))

        yield join


# --- lost races -------------------------------------------------------------------------------------------------------


@pytest.fixture
async def hasty(database_url: str, start: Start, join: Join, monkeypatch: pytest.MonkeyPatch) -> Running:
    """An app that does not wait for a lock, so that it loses every race at once."""
    monkeypatch.setattr(engines, "LOCK_WAIT_SECONDS", 0)
    monkeypatch.setattr(engines, "SQLITE_BUSY_SECONDS", 0)
    app = await start(database_url)
    return Running(app, await join(app))


async def test_a_ledger_that_stays_locked_is_a_503_and_nothing_happened(hasty: Running, outside: Connection) -> None:
    hold(outside, hasty.person)
    assert_unavailable(await create(hasty.person))
    assert (await hasty.person.get("/expenses")).json()["items"] == []
    outside.rollback()
    assert (await hasty.person.get("/categories")).json()["items"] == []
    assert (await create(hasty.person)).status_code == 201
    assert await state_of(hasty.app, hasty.person) == (1, 1)


async def test_a_race_lost_to_another_process_is_run_again(
    hasty: Running, outside: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wait_until_the_other_is_done(*_: float) -> float:
        outside.rollback()
        return 0

    monkeypatch.setattr("random.uniform", wait_until_the_other_is_done)
    hold(outside, hasty.person)
    assert (await create(hasty.person)).status_code == 201
    assert await state_of(hasty.app, hasty.person) == (1, 1)


def until_it_waits(url: URL, statement: str) -> int:
    """Return the number of the connection that runs a statement which cannot end by itself, once there is one."""
    running = text("SELECT id FROM information_schema.processlist WHERE info LIKE :it AND id <> CONNECTION_ID()")
    deadline = time.monotonic() + 10
    with make_plain_engine(url).connect() as connection:
        while not (found := connection.scalar(running, {"it": f"{statement}%"})):
            assert time.monotonic() < deadline, f"{statement} never came"
            time.sleep(0.01)
        return int(found)


@on_mysql
async def test_a_deadlock_is_run_again(
    app: FastAPI, person: Person, outside: Connection, statements: Statements
) -> None:
    made = await asyncio.gather(*(create(person) for _ in range(12)))
    expense = made[0].json()
    # The server gives up the transaction that has changed less; this one has changed twelve rows.
    outside.execute(text("UPDATE expenses SET description = 'other' WHERE owner_id = :id"), {"id": person.user["id"]})
    with statements() as sent:
        change = asyncio.create_task(person.patch(f"/expenses/{expense['id']}", json={"amount": "99.00"}))
        await anyio.to_thread.run_sync(until_it_waits, outside.engine.url, "UPDATE expenses SET amount")
        await anyio.to_thread.run_sync(hold, outside, person)
        outside.commit()
        answer = await change
    assert sum("FOR UPDATE" in statement for statement in sent) == 2
    assert (answer.status_code, answer.json()["description"]) == (200, "other")
    assert await state_of(app, person) == (13, 12)


@on_mysql
async def test_a_connection_killed_in_mid_write_is_replaced_and_the_write_run_again(
    app: FastAPI, person: Person, outside: Connection
) -> None:
    hold(outside, person)
    writing = asyncio.create_task(create(person))
    waiting = await anyio.to_thread.run_sync(until_it_waits, outside.engine.url, "SELECT ledgers")
    outside.exec_driver_sql(f"KILL {waiting}")
    outside.rollback()
    assert (await writing).status_code == 201
    assert await state_of(app, person) == (1, 1)
    assert taken(app) == [0, 0]


# --- COMMIT -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def commits(person: Person, monkeypatch: pytest.MonkeyPatch) -> Commits:
    """The commits of the app under test, once the person has signed in."""
    assert person.token
    return Commits(monkeypatch)


def lost_race(app: FastAPI) -> Exception:
    if not app.state.services.database.is_embedded:
        return pymysql.err.OperationalError(1213, "Deadlock found when trying to get lock")
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY
    return error


async def test_a_race_lost_at_commit_is_run_again(app: FastAPI, person: Person, commits: Commits) -> None:
    commits.fail_with(lost_race(app))
    answer = await create(person)
    assert (answer.status_code, commits.number) == (201, 2)
    assert [it["id"] for it in (await person.get("/expenses")).json()["items"]] == [answer.json()["id"]]
    assert await state_of(app, person) == (1, 1)


async def test_a_race_lost_again_and_again_is_a_503_and_nothing_happened(
    app: FastAPI, person: Person, commits: Commits
) -> None:
    commits.fail_with(*[lost_race(app)] * 9)
    assert_unavailable(await create(person))
    assert commits.number == 4
    assert await state_of(app, person) == (0, 0)
    commits.fates.clear()
    assert (await create(person)).status_code == 201


# An error during the commit itself is a loss of the connection, too, where the disk fails.
LOST_AT_COMMIT = {
    "lost": pymysql.err.OperationalError(2013, "Lost connection to MySQL server during query"),
    "gone": pymysql.err.OperationalError(2006, "MySQL server has gone away"),
    "failed": pymysql.err.OperationalError(1180, "Got error 5 during COMMIT"),
    "reset": ConnectionResetError(104, "Connection reset by peer"),
}


@on_mysql
@pytest.mark.parametrize("error", LOST_AT_COMMIT.values(), ids=LOST_AT_COMMIT)
async def test_a_commit_that_was_cut_off_has_an_unknown_outcome(
    person: Person, commits: Commits, error: Exception
) -> None:
    commits.fail_with(error)
    answer = await create(person)
    assert_unavailable(answer, "outcome_unknown")
    assert "check whether the change was made" in answer.json()["detail"]
    assert commits.number == 1
    assert (await create(person)).status_code == 201


def cancel_this_request() -> None:
    """Do what uvicorn does to a request that has not ended in time when the service ends."""
    request = asyncio.current_task()
    assert request
    request.cancel()


async def test_a_request_that_is_cancelled_before_its_commit_did_not_happen(app: FastAPI, person: Person) -> None:
    async def begin_and_cancel(connection: PooledConnection) -> None:
        cancel_this_request()
        await begin(connection)

    begin = PooledConnection.begin
    with mock.patch.object(PooledConnection, "begin", begin_and_cancel):
        assert_unavailable(await asyncio.create_task(create(person)))
    assert await state_of(app, person) == (0, 0)
    assert taken(app) == [0, 0]
    assert (await create(person)).status_code == 201


async def test_a_request_that_is_cancelled_during_its_commit_has_an_unknown_outcome(
    app: FastAPI, person: Person, commits: Commits
) -> None:
    commits.precede(lambda _: cancel_this_request())
    assert_unavailable(await asyncio.create_task(create(person)), "outcome_unknown")
    assert taken(app) == [0, 0]
    assert (await create(person)).status_code == 201


@on_mysql
async def test_a_commit_whose_answer_was_lost_has_happened_and_is_not_run_again(
    app: FastAPI, person: Person, commits: Commits
) -> None:
    async def commit_and_go(connection: PooledConnection) -> None:
        await commits.really(connection)
        raise pymysql.err.OperationalError(2013, "Lost connection to MySQL server during query")

    commits.fates = [commit_and_go]
    assert_unavailable(await create(person), "outcome_unknown")
    assert await state_of(app, person) == (1, 1)


@on_mysql
async def test_a_connection_killed_at_commit_has_an_unknown_outcome(
    app: FastAPI, person: Person, outside: Connection, commits: Commits
) -> None:
    commits.precede(lambda connection: outside.exec_driver_sql(f"KILL {connection.driver.thread_id()}"))
    assert_unavailable(await create(person), "outcome_unknown")
    assert (await create(person)).status_code == 201
    assert taken(app) == [0, 0]


# --- a database that refuses ------------------------------------------------------------------------------------------


@on_mysql
async def test_a_read_only_connection_is_a_503_and_is_thrown_away(database_url: str, start: Start, join: Join) -> None:
    app = await start(database_url, pool_size=1)
    person = await join(app)
    async with at_work(app) as connection:
        await connection.exec_driver_sql("SET SESSION TRANSACTION READ ONLY")
    assert_unavailable(await create(person))
    assert (await create(person)).status_code == 201


async def test_a_full_disk_is_a_503_and_loses_nothing(empty_sqlite_url: str, start: Start, join: Join) -> None:
    app = await start(empty_sqlite_url, pool_size=1)
    person = await join(app)
    async with at_work(app) as connection:
        await connection.exec_driver_sql("PRAGMA max_page_count = 1")
    answers = [await create(person, description="x" * 500) for _ in range(40)]
    assert Counter(answer.status_code for answer in answers).keys() == {201, 503}
    assert_unavailable(next(answer for answer in answers if answer.status_code == 503))
    acknowledged = [answer.json()["id"] for answer in reversed(answers) if answer.status_code == 201]
    assert [it["id"] for it in (await person.get("/expenses")).json()["items"]] == acknowledged
    assert await state_of(app, person) == (len(acknowledged), len(acknowledged))


async def test_an_empty_pool_is_a_503_and_the_service_stays_ready(database_url: str, start: Start, join: Join) -> None:
    app = await start(database_url, pool_size=1, pool_timeout=0.1)
    person = await join(app)
    async with app.state.services.database.new_unit() as other:
        await other.connection()
        assert_unavailable(await person.get("/expenses"))
        assert [(await person.get(path)).status_code for path in ("/health", "/ready")] == [200, 200]
    assert (await person.get("/expenses")).status_code == 200
    assert (await person.get("/ready")).status_code == 200


async def test_a_write_beyond_its_deadline_is_a_503_and_leaves_no_lock(
    database_url: str, start: Start, join: Join, outside: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(route, "WRITE_DEADLINE", 0.3)
    # Longer than the deadline, but not by much: the thread that waits for the file cannot be ended.
    monkeypatch.setattr(engines, "SQLITE_BUSY_SECONDS", 0.6)
    app = await start(database_url)
    person = await join(app)
    hold(outside, person)
    async with asyncio.timeout(2):
        assert_unavailable(await create(person))
    outside.rollback()
    assert (await create(person)).status_code == 201
    assert await state_of(app, person) == (1, 1)
    assert taken(app) == [0, 0]


ENDLESS = "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers) SELECT max(n) FROM numbers"


@on_sqlite
async def test_a_statement_of_sqlite_ends_with_its_deadline(app: FastAPI) -> None:
    until = asyncio.get_running_loop().time() + 0.1
    with pytest.raises(OperationalError, match="interrupted"):
        async with app.state.services.database.new_unit(until) as unit:
            await (await unit.connection()).exec_driver_sql(ENDLESS)


@on_sqlite
async def test_a_statement_of_sqlite_that_begins_too_late_ends_as_well(app: FastAPI) -> None:
    async with app.state.services.database.new_unit(asyncio.get_running_loop().time() - 1) as unit:
        connection = await unit.connection()
        await anyio.lowlevel.checkpoint()
        with pytest.raises(OperationalError, match="interrupted"):
            await connection.exec_driver_sql(ENDLESS)


@on_sqlite
async def test_a_transaction_whose_statement_was_ended_leaves_no_lock(app: FastAPI) -> None:
    until = asyncio.get_running_loop().time() + 0.1
    with pytest.raises(OperationalError, match="interrupted"):
        async with app.state.services.database.new_unit(until) as unit:
            await (await unit.begin()).exec_driver_sql(ENDLESS)
    async with app.state.services.database.new_unit() as unit:
        assert (await (await unit.begin()).exec_driver_sql("SELECT 1")).scalar_one() == 1
    assert taken(app) == [0, 0]


@on_sqlite
async def test_an_interrupt_that_finds_its_connection_closed_is_no_error(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(database, "INTERRUPT_INTERVAL", 0)
    async with app.state.services.database.new_unit(asyncio.get_running_loop().time() - 1) as unit:
        connection = await unit.connection()
        raw = await connection.get_raw_connection()
        # Of a request that is cancelled the driver is closed first, and SQLAlchemy is told afterwards.
        await raw.driver_connection.close()
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        await connection.invalidate()
    del unit
    gc.collect()
    assert [record.message for record in caplog.records if record.name == "asyncio"] == []


# --- a database that goes away ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def frail(mysql_server: MySQL) -> Iterator[PrivateMariaDB]:
    """A server that may be killed and frozen: nobody else's tests are on it."""
    assert mysql_server.server_url
    try:
        # Otherwise it forgets what it was told last when it is killed, as no server in production does.
        server = PrivateMariaDB("--innodb-flush-log-at-trx-commit=1")
    except NoServer as missing:
        pytest.skip(f"TEST_MYSQL_URL names a server that must not be killed, and {missing}")
    with server:
        yield server


@pytest.fixture(scope="module")
def frail_url(frail: PrivateMariaDB) -> Iterator[str]:
    """A migrated database there."""
    with frail.fresh_database() as url:
        migrations.upgrade(url)
        yield url


@pytest.fixture
async def shaky(frail_url: str, start: Start, join: Join) -> Running:
    """An app there whose pools hold several connections, as under load, and somebody who has spent something."""
    app = await start(frail_url)
    people = [await join(app) for _ in range(4)]
    await asyncio.gather(*(create(person) for person in people), *(person.get("/expenses") for person in people * 2))
    return Running(app, people[0])


def kill_connections(server: MySQL) -> None:
    """End every connection but this one, as a restarted proxy or an operator does."""
    with make_plain_engine(server.server_url).connect() as connection:
        others = text("SELECT id FROM information_schema.processlist WHERE id <> CONNECTION_ID() AND user = 'expenses'")
        for number in connection.scalars(others).all():
            connection.exec_driver_sql(f"KILL {number}")


@pytest.mark.parametrize(("method", "status"), [("GET", 200), ("POST", 201)])
async def test_killed_connections_are_replaced_before_anybody_sees(
    frail: PrivateMariaDB, shaky: Running, method: str, status: int
) -> None:
    kill_connections(frail)
    body = {"amount": "1.00"} if method == "POST" else None
    answer = await shaky.person.request(method, "/expenses", json=body)
    assert answer.status_code == status


async def test_a_connection_that_rested_is_pinged_first(
    frail: PrivateMariaDB, shaky: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_pool, "PING_AFTER_SECONDS", -1)
    monkeypatch.setitem(route.MAX_TRIES, Fault.DISCONNECTED, 1)
    kill_connections(frail)
    assert (await shaky.person.get("/expenses")).status_code == 200
    assert (await create(shaky.person)).status_code == 201


async def test_a_database_that_is_down_is_a_503_until_it_is_back(frail: PrivateMariaDB, shaky: Running) -> None:
    person = shaky.person
    before = (await person.get("/expenses")).json()
    frail.kill()
    assert_unavailable(await person.get("/expenses"))
    assert_unavailable(await create(person))
    assert_unavailable(
        await person.post("/users/token", data={"username": person.user["username"], "password": person.password})
    )
    ready = await person.get("/ready")
    assert (ready.status_code, ready.json()["checks"]["database"]) == (503, "does not answer")
    assert (await person.get("/health")).status_code == 200
    frail.start()
    assert (await person.get("/expenses")).json() == before
    assert (await create(person)).json()["revision"] == 2
    assert (await person.get("/ready")).status_code == 200
    assert taken(shaky.app) == [0, 0]


async def test_a_restart_that_nobody_saw_costs_nobody_a_request(frail: PrivateMariaDB, shaky: Running) -> None:
    frail.kill()
    frail.start()
    assert (await create(shaky.person)).status_code == 201
    assert (await shaky.person.get("/expenses")).status_code == 200


async def test_a_service_starts_without_its_database_and_heals(
    frail: PrivateMariaDB, frail_url: str, start: Start, visit: Callable[[FastAPI], Person]
) -> None:
    frail.kill()
    app = await start(frail_url)
    person = visit(app)
    assert (await person.get("/health")).status_code == 200
    assert (await person.get("/ready")).status_code == 503
    frail.start()
    assert (await person.get("/ready")).status_code == 200
    await person.register()
    await person.sign_in()
    assert (await create(person)).status_code == 201


# --- a database that hangs --------------------------------------------------------------------------------------------


@pytest.fixture
def frozen(frail: PrivateMariaDB) -> Iterator[Callable[[], None]]:
    """Freeze the server, until the test is over at the latest."""

    def freeze() -> None:
        frail.freeze()
        # It takes a moment until its last thread has stopped.
        os.waitid(os.P_PID, frail.process.pid, os.WSTOPPED)

    yield freeze
    frail.thaw()


@pytest.fixture
def _short_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(route, "READ_DEADLINE", 0.3)
    monkeypatch.setattr(migrations, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(route, "WRITE_DEADLINE", 0.3)
    monkeypatch.setattr(engines, "CONNECT_SECONDS", 0.3)


@pytest.mark.usefixtures("_short_deadlines")
async def test_no_request_waits_for_a_frozen_database(
    frail: PrivateMariaDB, frail_url: str, start: Start, join: Join, frozen: Callable[[], None]
) -> None:
    app = await start(frail_url)
    person = await join(app)
    frozen()
    async with asyncio.timeout(4):
        assert_unavailable(await person.get("/expenses"))
        assert_unavailable(await create(person))
        assert (await person.get("/health")).status_code == 200
    frail.thaw()
    assert (await create(person)).json()["revision"] == 1
    assert [it["revision"] for it in (await person.get("/expenses")).json()["items"]] == [1]
    assert taken(app) == [0, 0]


@pytest.mark.usefixtures("_short_deadlines")
async def test_a_frozen_database_is_not_ready(
    frail: PrivateMariaDB, frail_url: str, start: Start, visit: Callable[[FastAPI], Person], frozen: Callable[[], None]
) -> None:
    person = visit(await start(frail_url))
    frozen()
    async with asyncio.timeout(6):
        assert (await person.get("/ready")).status_code == 503
    frail.thaw()
    assert (await person.get("/ready")).status_code == 200


@pytest.mark.usefixtures("_short_deadlines")
async def test_a_service_starts_beside_a_frozen_database(
    frail: PrivateMariaDB, frail_url: str, start: Start, visit: Callable[[FastAPI], Person], frozen: Callable[[], None]
) -> None:
    frozen()
    async with asyncio.timeout(6):
        person = visit(await start(frail_url))
    assert (await person.get("/health")).status_code == 200
    frail.thaw()
    assert (await person.get("/ready")).status_code == 200


@pytest.mark.usefixtures("_short_deadlines")
async def test_a_commit_that_hangs_has_an_unknown_outcome(
    frail: PrivateMariaDB, shaky: Running, frozen: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    app, person = shaky
    before = (await create(person)).json()["revision"]
    Commits(monkeypatch).precede(lambda _: frozen())
    async with asyncio.timeout(4):
        assert_unavailable(await create(person), "outcome_unknown")
    frail.thaw()
    # The server may still come to the first one, but not after the second, which waits for the ledger.
    second = (await create(person)).json()
    items = (await person.get("/expenses")).json()["items"]
    assert second["revision"] == len(items) >= before + 1
    assert await state_of(app, person) == (len(items), len(items))


@pytest.mark.usefixtures("_short_deadlines")
async def test_a_start_that_should_migrate_a_frozen_server_says_so(
    frail_url: str, start: Start, frozen: Callable[[], None]
) -> None:
    frozen()
    async with asyncio.timeout(10):
        with pytest.raises(SchemaError, match="2013 CR_SERVER_LOST"):
            await start(frail_url, auto_migrate=True)


async def test_a_commit_on_a_disk_that_stalls_has_an_unknown_outcome_at_the_deadline(
    empty_sqlite_url: str, start: Start, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = await start(empty_sqlite_url)
    person = await join(app)
    is_over = threading.Event()

    async def stall(connection: PooledConnection) -> None:
        # The thread of this connection is busy, as in an fsync that does not return.
        await connection.driver._execute(is_over.wait, 20)
        await failing.really(connection)

    failing = Commits(monkeypatch)
    failing.fates = [stall]
    monkeypatch.setattr(route, "WRITE_DEADLINE", 1.5)
    try:
        async with asyncio.timeout(8):
            assert_unavailable(await create(person), "outcome_unknown")
    finally:
        is_over.set()
    monkeypatch.undo()
    assert (await create(person)).json()["revision"] == 2
    assert await state_of(app, person) == (2, 2)
    assert taken(app) == [0, 0]


async def test_a_transaction_that_begins_gives_back_the_connection_for_reads(app: FastAPI, person: Person) -> None:
    database = app.state.services.database
    async with database.new_unit() as unit:
        await unit.connection()
        reading = database.pools[1].in_use

        await unit.begin(person.user["id"])

        assert database.pools[1].in_use == reading - 1


# --- the file of an SQLite database -----------------------------------------------------------------------------------


class OnFile(NamedTuple):
    """An app on a file of the test's own, and somebody who has spent something."""

    file: Path
    app: FastAPI
    person: Person


@pytest.fixture
async def on_file(empty_sqlite_url: str, start: Start, join: Join) -> OnFile:
    """An app whose database may be moved, deleted and replaced."""
    app = await start(empty_sqlite_url)
    person = await join(app)
    assert (await create(person)).status_code == 201
    return OnFile(Path(str(app.state.services.settings.url.database)), app, person)


async def database_check(person: Person) -> tuple[int, str]:
    ready = await person.get("/ready")
    return ready.status_code, ready.json()["checks"]["database"]


async def test_a_connection_that_became_read_only_is_thrown_away(on_file: OnFile) -> None:
    async with at_work(on_file.app) as connection:
        await connection.exec_driver_sql("PRAGMA query_only = ON")
    assert_unavailable(await create(on_file.person))
    assert (await create(on_file.person)).status_code == 201


async def test_a_file_that_was_moved_away_takes_no_writes_until_it_is_back(on_file: OnFile, tmp_path: Path) -> None:
    away = on_file.file.rename(tmp_path / "away.db")
    assert_unavailable(await create(on_file.person))
    assert_unavailable(await on_file.person.get("/expenses"))
    assert await database_check(on_file.person) == (503, "its file is gone")
    assert not on_file.file.exists()
    away.rename(on_file.file)
    assert await database_check(on_file.person) == (200, "ok")
    assert (await create(on_file.person)).json()["revision"] == 2


async def test_a_file_that_was_replaced_is_neither_read_nor_written(on_file: OnFile, tmp_path: Path) -> None:
    with closing(sqlite3.connect(on_file.file)) as source, closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        source.backup(copy)
    kept = on_file.file.rename(tmp_path / "kept.db")
    copied = (tmp_path / "copy.db").rename(on_file.file).read_bytes()
    assert_unavailable(await create(on_file.person))
    assert_unavailable(await on_file.person.get("/expenses"))
    assert await database_check(on_file.person) == (503, "its file was replaced")
    assert on_file.file.read_bytes() == copied
    kept.rename(on_file.file)
    assert (await create(on_file.person)).json()["revision"] == 2


async def test_a_file_that_was_moved_and_linked_back_is_not_used(on_file: OnFile, tmp_path: Path) -> None:
    # Its `-wal` stays behind, and whoever opens the link has another one.
    away = on_file.file.rename(tmp_path / "away.db")
    on_file.file.symlink_to(away)
    assert_unavailable(await create(on_file.person))
    assert await database_check(on_file.person) == (503, "its file was replaced")
    away.rename(on_file.file)
    assert (await create(on_file.person)).json()["revision"] == 2


async def test_a_file_that_is_moved_away_amid_a_write_does_not_take_it(on_file: OnFile, tmp_path: Path) -> None:
    with before_begin(lambda: on_file.file.rename(tmp_path / "away.db")):
        assert_unavailable(await create(on_file.person))
    (tmp_path / "away.db").rename(on_file.file)
    assert await state_of(on_file.app, on_file.person) == (1, 1)


async def test_what_to_do_about_a_replaced_file_is_logged_once(
    on_file: OnFile, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    on_file.file.rename(tmp_path / "away.db")
    on_file.file.touch()
    await create(on_file.person)
    await create(on_file.person)
    assert [it.getMessage() for it in caplog.records if it.levelname == "ERROR"] == [WHAT_TO_DO[REPLACED]]


async def test_a_service_on_a_file_without_its_tables_is_a_503(on_file: OnFile) -> None:
    with closing(sqlite3.connect(on_file.file)) as outside:
        outside.execute("ALTER TABLE expenses RENAME TO elsewhere")
    assert_unavailable(await on_file.person.get("/expenses"))


# --- a server that takes no writes ------------------------------------------------------------------------------------


async def test_a_read_only_server_is_not_ready(
    frail: PrivateMariaDB, frail_url: str, start: Start, visit: Callable[[FastAPI], Person]
) -> None:
    # The tests' own account may write to a read-only server.
    frail.execute("CREATE USER plain@'127.0.0.1' IDENTIFIED BY 'hunter2'")
    frail.execute(f"GRANT ALL ON {make_url(frail_url).database}.* TO plain@'127.0.0.1'")
    url = make_url(frail_url).set(username="plain", password="hunter2")
    person = visit(await start(url.render_as_string(hide_password=False)))
    assert await database_check(person) == (200, "ok")
    frail.execute("SET GLOBAL read_only = 1")
    try:
        assert await database_check(person) == (503, "read-only")
    finally:
        frail.execute("SET GLOBAL read_only = 0")
    assert await database_check(person) == (200, "ok")


async def test_tables_dropped_under_the_service_are_a_503_and_not_ready(
    frail: PrivateMariaDB, start: Start, join: Join
) -> None:
    with frail.fresh_database() as url:
        migrations.upgrade(url)
        person = await join(await start(url))
        frail.execute(f"DROP TABLE {make_url(url).database}.trash, {make_url(url).database}.expenses")
        assert_unavailable(await person.get("/expenses"))
        frail.execute(f"DROP TABLE {make_url(url).database}.alembic_version")
        assert (await person.get("/ready")).json()["checks"]["migrations"] == "another schema"
