"""Both drivers of MySQL do the same: what they write, read and raise is the same for the service."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import asyncmy.errors
import pymysql.err
import pytest
from pydantic import SecretStr
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from config import Settings
from infra.engines import make_engine
from infra.faults import Fault, classify_fault, describe_error, is_connection_spoilt, is_database_error
from infra.mysql_drivers import is_driver_error
from tests.support.servers import PrivateMariaDB, open_or_skip
from tests.support.settings import GOOD_SECRET

DRIVERS = ("aiomysql", "asyncmy")

pytestmark = pytest.mark.parametrize("driver", DRIVERS)


@asynccontextmanager
async def connected(url: str, driver: str, *, autocommit: bool = True) -> AsyncIterator[AsyncConnection]:
    settings = Settings(
        database_url=make_url(url).set(drivername=f"mysql+{driver}").render_as_string(hide_password=False),
        secret_key=SecretStr(GOOD_SECRET),
        _env_file=None,
    )
    engine = make_engine(settings, None, autocommit=autocommit)
    try:
        async with engine.connect() as connection:
            yield connection
    finally:
        await engine.dispose()


@pytest.fixture
async def connection(mysql_url: str, driver: str) -> AsyncIterator[AsyncConnection]:
    async with connected(mysql_url, driver) as connection:
        yield connection


VALUES: list[Any] = [
    0,
    -(2**63),
    2**63 - 1,
    None,
    "",
    "nul \0, quote ', backslash \\ and percent %s",
    "Crêpes 🥞 naïve 日本語",
    date(1, 1, 1),
    date(9999, 12, 31),
    Decimal("12345678901234567890.123"),
]


@pytest.mark.parametrize("value", VALUES, ids=str)
async def test_what_is_written_is_read(connection: AsyncConnection, value: object) -> None:
    await connection.exec_driver_sql(
        "CREATE TEMPORARY TABLE kept (whole BIGINT, words VARCHAR(200), day DATE, fraction DECIMAL(30,3)) "
        "CHARACTER SET utf8mb4"
    )
    column = {str: "words", date: "day", Decimal: "fraction"}.get(type(value), "whole")
    writing = text(f"INSERT INTO kept ({column}) VALUES (:value)")  # noqa: S608  # of our own names
    await connection.execute(writing, {"value": value})
    reading = text(f"SELECT {column} FROM kept")  # noqa: S608  # likewise
    assert (await connection.execute(reading)).scalar_one() == value


async def test_an_instant_is_read_in_utc(connection: AsyncConnection) -> None:
    read = await connection.execute(text("SELECT CAST('2026-11-22 12:34:56' AS DATETIME)"))
    assert read.scalar_one() == datetime(2026, 11, 22, 12, 34, 56, tzinfo=UTC)


async def test_transactions_read_what_is_committed(mysql_url: str, driver: str) -> None:
    async with connected(mysql_url, driver, autocommit=False) as connection:
        assert await connection.get_isolation_level() == "READ COMMITTED"
        session = await connection.exec_driver_sql("SELECT @@autocommit, @@innodb_lock_wait_timeout")
        assert tuple(session.one()) == (0, 5)


async def test_a_unix_socket_is_connected_to(driver: str) -> None:
    with open_or_skip(PrivateMariaDB, "MYSQL") as server:
        name = server.create_database("by_socket")
        server.execute(f"CREATE USER expenses@localhost IDENTIFIED BY '{server.server_url.password}'")
        server.execute("GRANT ALL ON by_socket.* TO expenses@localhost")
        url = make_url(name).set(host=None, port=None).update_query_dict({"unix_socket": str(server.socket)})
        async with connected(url.render_as_string(hide_password=False), driver) as connection:
            assert (await connection.exec_driver_sql("SELECT DATABASE()")).scalar_one() == "by_socket"


@pytest.mark.parametrize(
    ("statement", "fault", "said"),
    [
        ("SELECT * FROM there_is_none", Fault.UNAVAILABLE, "ProgrammingError 1146 NO_SUCH_TABLE"),
        ("SELEC", None, "ProgrammingError 1064 PARSE_ERROR"),
    ],
)
async def test_errors_have_the_same_class(
    connection: AsyncConnection, statement: str, fault: Fault | None, said: str
) -> None:
    with pytest.raises(DBAPIError) as raised:
        await connection.exec_driver_sql(statement)
    assert raised.value.orig is not None
    for error in (raised.value, raised.value.orig):
        assert is_database_error(error)
        assert said in describe_error(error)
        assert not is_connection_spoilt(error)
    assert classify_fault(raised.value) is classify_fault(raised.value.orig) is fault


async def test_a_broken_unique_key_is_a_lost_race(connection: AsyncConnection) -> None:
    await connection.exec_driver_sql("CREATE TEMPORARY TABLE ones (one INT UNIQUE)")
    await connection.exec_driver_sql("INSERT INTO ones VALUES (1)")
    with pytest.raises(DBAPIError) as raised:
        await connection.exec_driver_sql("INSERT INTO ones VALUES (1)")
    assert raised.value.orig is not None
    assert is_driver_error(raised.value.orig, "IntegrityError")
    assert classify_fault(raised.value.orig) is Fault.RETRY


async def test_a_cancelled_statement_leaves_no_answer_behind(mysql_url: str, driver: str) -> None:
    async with connected(mysql_url, driver) as connection:
        before = (await connection.get_raw_connection()).driver_connection
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await connection.exec_driver_sql("SELECT SLEEP(1), 'the answer of another'")
        assert connection.invalidated
        await connection.rollback()
        assert (await connection.get_raw_connection()).driver_connection is not before
        assert (await connection.exec_driver_sql("SELECT 'mine'")).scalar_one() == "mine"


def test_an_answer_that_cannot_be_read_is_a_lost_connection(driver: str) -> None:
    errors = {"aiomysql": pymysql.err, "asyncmy": asyncmy.errors}[driver]
    assert classify_fault(errors.InternalError("Packet sequence number wrong - got 7 expected 1")) is Fault.DISCONNECTED
    assert classify_fault(errors.InterfaceError(0, "Not connected")) is Fault.DISCONNECTED
    assert classify_fault(errors.ProgrammingError("Cursor closed")) is None


async def test_the_driver_is_the_one_that_was_asked_for(connection: AsyncConnection, driver: str) -> None:
    raw = await connection.get_raw_connection()
    assert type(raw.driver_connection).__module__.partition(".")[0] == driver
