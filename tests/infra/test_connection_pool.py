"""What the pool promises: it is bounded and fair, and no connection that is in doubt is used again."""

import asyncio
import importlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Connection, bindparam, event, func, insert, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from config import Settings
from infra import connection_pool
from infra.connection_pool import ConnectionPool, PooledConnection
from infra.database_file import DatabaseFile
from infra.faults import Fault, classify_fault
from infra.pools import make_pool
from infra.prepared import Prepared
from models import Tombstone
from tests.support.databases import on_mysql, on_sqlite
from tests.support.people import Person
from tests.support.settings import GOOD_SECRET

Make = Callable[..., ConnectionPool]


@pytest.fixture
async def make(database_url: str) -> AsyncIterator[Make]:
    """Makes pools of the database, for reads by default: `make(size=2, timeout=0.1)`."""
    made: list[ConnectionPool] = []

    def make(size: int = 2, timeout: float = 5, *, autocommit: bool = True) -> ConnectionPool:
        settings = Settings(
            database_url=database_url, secret_key=SecretStr(GOOD_SECRET), pool_timeout=timeout, _env_file=None
        )
        file = DatabaseFile(str(settings.url.database)) if settings.is_embedded else None
        made.append(make_pool(settings, file, autocommit=autocommit, size=size))
        return made[-1]

    yield make
    for pool in made:
        await pool.close()


async def ask(connection: PooledConnection, sql: str) -> Any:  # noqa: ANN401
    return (await connection.sqlalchemy.exec_driver_sql(sql)).scalar_one()


async def kill(outside: Connection, connection: PooledConnection) -> None:
    """End a connection from outside, as a server that is restarted does; wait until the server has let it go."""
    number = connection.driver.thread_id()
    outside.exec_driver_sql(f"KILL {number}")
    gone = text("SELECT COUNT(*) FROM information_schema.processlist WHERE id = :id")
    while outside.execute(gone, {"id": number}).scalar_one():
        outside.exec_driver_sql("DO SLEEP(0.01)")


async def expect_another(pool: ConnectionPool, doubtful: PooledConnection) -> None:
    """Take a connection of the pool: it is not the one in doubt, and it answers what it is asked."""
    connection = await pool.acquire()
    assert connection is not doubtful
    assert await ask(connection, "SELECT 'mine'") == "mine"
    await pool.release(connection)


# --- how many, and who is next ----------------------------------------------------------------------------------------


async def test_a_connection_is_used_again(make: Make) -> None:
    pool = make()
    first = await pool.acquire()
    await pool.release(first)
    assert await pool.acquire() is first
    await pool.release(first)


async def test_there_are_no_more_than_its_size_and_who_waits_too_long_is_told(make: Make) -> None:
    pool = make(size=2, timeout=0.05)
    held = [await pool.acquire() for _ in range(2)]
    with pytest.raises(PoolTimeout) as raised:
        await pool.acquire()
    assert classify_fault(raised.value) is Fault.UNAVAILABLE
    assert pool.in_use == 2
    for connection in held:
        await pool.release(connection)


async def test_who_came_first_is_served_first(make: Make) -> None:
    pool = make(size=1)
    served: list[int] = []

    async def use(number: int) -> None:
        connection = await pool.acquire()
        served.append(number)
        await pool.release(connection)

    held = await pool.acquire()
    waiting = [asyncio.create_task(use(number)) for number in range(5)]
    await asyncio.sleep(0)
    await pool.release(held)
    await asyncio.gather(*waiting)
    assert served == [0, 1, 2, 3, 4]


async def test_who_goes_away_while_waiting_leaves_the_place_to_others(make: Make) -> None:
    pool = make(size=1)
    held = await pool.acquire()
    waiting = [asyncio.create_task(pool.acquire()) for _ in range(2)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await pool.release(held)
    assert await waiting[1] is held
    await pool.release(held)
    assert pool.in_use == 0


async def test_a_connection_that_cannot_be_opened_takes_no_place(make: Make) -> None:
    pool = make(size=1, timeout=0.05)

    def refuse(*_: object) -> None:
        raise ConnectionRefusedError

    event.listen(pool.engine.sync_engine, "do_connect", refuse)
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            await pool.acquire()
    event.remove(pool.engine.sync_engine, "do_connect", refuse)
    await pool.release(await pool.acquire())


# --- what is in doubt -------------------------------------------------------------------------------------------------


async def test_a_connection_in_doubt_is_not_used_again(make: Make) -> None:
    pool = make()
    first = await pool.acquire()
    await first.invalidate()
    await pool.release(first)
    await expect_another(pool, first)


@on_mysql
async def test_a_cancelled_statement_puts_its_connection_in_doubt_and_no_other(make: Make) -> None:
    pool = make()
    first, second = await pool.acquire(), await pool.acquire()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await ask(first, "SELECT SLEEP(1)")
    for connection in (second, first):
        await pool.release(connection)
    assert await pool.acquire() is second
    await pool.release(second)


@on_mysql
async def test_a_lost_connection_puts_all_that_are_older_in_doubt(make: Make, outside: Connection) -> None:
    pool = make(size=3)
    lost, resting, busy = [await pool.acquire() for _ in range(3)]
    await pool.release(resting)
    await pool.release(busy)
    assert await pool.acquire() is busy
    await kill(outside, lost)
    with pytest.raises(DBAPIError) as raised:
        await ask(lost, "SELECT 1")
    assert classify_fault(raised.value) is Fault.DISCONNECTED
    for connection in (lost, busy):
        await pool.release(connection)
    fresh = await pool.acquire()
    assert fresh not in {lost, resting, busy}
    assert not any(connection.is_usable for connection in (lost, resting, busy))
    await pool.release(fresh)


@on_mysql
async def test_a_connection_that_rested_is_pinged_and_replaced_if_it_is_gone(
    make: Make, outside: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make()
    first = await pool.acquire()
    await pool.release(first)
    await kill(outside, first)
    monkeypatch.setattr(connection_pool, "PING_AFTER_SECONDS", -1)
    second = await pool.acquire()
    assert second is not first
    assert await ask(second, "SELECT 1") == 1
    await pool.release(second)
    assert await pool.acquire() is second
    await pool.release(second)


@on_mysql
async def test_a_ping_that_fails_costs_no_other_connection(
    make: Make, outside: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make()
    first, second = await pool.acquire(), await pool.acquire()
    await pool.release(second)
    await pool.release(first)
    await kill(outside, first)
    monkeypatch.setattr(connection_pool, "PING_AFTER_SECONDS", -1)
    assert await pool.acquire() is second
    await pool.release(second)


async def test_a_connection_that_does_not_answer_a_ping_is_given_up_with_all_that_rested(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinged: list[PooledConnection] = []

    async def hang(connection: PooledConnection) -> None:
        pinged.append(connection)
        await asyncio.Event().wait()

    pool = make(size=3)
    rested = [await pool.acquire() for _ in range(3)]
    for connection in rested:
        await pool.release(connection)
    monkeypatch.setattr(connection_pool, "PING_AFTER_SECONDS", -1)
    monkeypatch.setattr(connection_pool, "PING_SECONDS", 0.05)
    monkeypatch.setattr(PooledConnection, "ping", hang)
    fresh = await pool.acquire()
    assert (len(pinged), fresh in rested) == (1, False)
    await pool.release(fresh)


async def test_nobody_waits_until_a_connection_in_doubt_is_closed(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deadline would come in between, and turn what was committed into a 503."""
    pool, may_close = make(size=1, timeout=0.05), asyncio.Event()
    close = PooledConnection.close

    async def close_slowly(connection: PooledConnection) -> None:
        await may_close.wait()
        await close(connection)

    connection = await pool.acquire()
    monkeypatch.setattr(PooledConnection, "close", close_slowly)
    await connection.invalidate()
    async with asyncio.timeout(1):
        await pool.release(connection)
    with pytest.raises(PoolTimeout):
        await pool.acquire()
    may_close.set()
    await asyncio.sleep(0)
    pool._timeout = 5
    await pool.release(await pool.acquire())


@on_mysql
async def test_a_value_that_cannot_be_read_puts_its_connection_in_doubt(make: Make) -> None:
    """Otherwise the next request would read what is left of this answer, which is somebody else's."""
    pool = make(size=1)
    first = await pool.acquire()
    await first.sqlalchemy.exec_driver_sql("SET SESSION sql_mode = ''")
    with pytest.raises(ValueError, match=r"year|month"):
        await ask(first, "SELECT CAST(0 AS DATE)")
    await pool.release(first)
    await expect_another(pool, first)


@on_mysql
async def test_an_answer_out_of_order_puts_its_connection_in_doubt(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = make(size=1)
    first = await pool.acquire()
    errors = importlib.import_module("asyncmy.errors" if "asyncmy" in type(first.driver).__module__ else "pymysql.err")

    async def complain(*_: object, **__: object) -> None:
        raise errors.InternalError("Packet sequence number wrong - got 7 expected 1")

    with monkeypatch.context() as patch:
        patch.setattr(type(first.driver), "_read_query_result", complain)
        with pytest.raises(DBAPIError):
            await ask(first, "SELECT 'theirs'")
    await pool.release(first)
    await expect_another(pool, first)


@on_mysql
async def test_a_connection_that_was_just_used_is_not_pinged(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = make()
    first = await pool.acquire()
    await pool.release(first)
    monkeypatch.setattr(PooledConnection, "ping", None)
    await pool.release(await pool.acquire())


@on_sqlite
async def test_no_connection_is_used_while_another_file_is_in_its_place(make: Make) -> None:
    pool = make(size=1)
    await pool.release(await pool.acquire())

    class Moved(Exception):
        pass

    class Elsewhere:
        def refuse_another(self) -> None:
            raise Moved

    file, pool._file = pool._file, Elsewhere()  # type: ignore[assignment]
    for _ in range(2):
        with pytest.raises(Moved):
            await pool.acquire()
    pool._file = file
    await pool.release(await pool.acquire())


# --- transactions -----------------------------------------------------------------------------------------------------


STONE = insert(Tombstone).inline()
STONES = select(func.count()).select_from(Tombstone).where(Tombstone.owner_id == bindparam("owner"))


async def write_by_the_driver(connection: PooledConnection, row: dict[str, object]) -> None:
    await Prepared(STONE, row.keys()).write(connection.sqlalchemy, row)


async def write_by_sqlalchemy(connection: PooledConnection, row: dict[str, object]) -> None:
    await connection.sqlalchemy.execute(STONE, row)


@pytest.mark.parametrize("write", [write_by_the_driver, write_by_sqlalchemy])
@pytest.mark.parametrize(("end", "kept"), [(PooledConnection.commit, 1), (PooledConnection.roll_back, 0)])
async def test_a_transaction_ends_as_it_is_told_however_it_was_written(
    make: Make,
    person: Person,
    write: Callable[[PooledConnection, dict[str, object]], Awaitable[None]],
    end: Callable[[PooledConnection], Awaitable[None]],
    kept: int,
) -> None:
    pool, row = make(size=1, autocommit=False), {"owner_id": person.user["id"], "kind": "expense", "row_id": 1}
    connection = await pool.acquire()
    await connection.begin()
    await write(connection, row | {"revision": 1})
    await end(connection)
    await pool.release(connection)
    assert not connection.sqlalchemy.in_transaction()
    reading = make(size=1)
    again = await reading.acquire()
    found = (await again.sqlalchemy.execute(STONES, {"owner": person.user["id"]})).scalar_one()
    await reading.release(again)
    assert found == kept


async def test_a_read_leaves_no_transaction_behind(make: Make) -> None:
    pool = make(size=1)
    connection = await pool.acquire()
    await ask(connection, "SELECT 1")
    await pool.release(connection)
    assert not connection.sqlalchemy.in_transaction()


async def test_a_closed_pool_closes_what_is_released_later(make: Make) -> None:
    pool = make()
    resting, busy = await pool.acquire(), await pool.acquire()
    await pool.release(resting)
    await pool.close()
    assert not resting.is_usable
    assert busy.is_usable
    await pool.release(busy)
    await pool.close()
    assert not busy.is_usable
