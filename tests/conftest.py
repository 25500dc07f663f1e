"""Fixtures of all tests.

    fixture                     what it is                                                          lives for
    database_url                a migrated database; the test runs on SQLite and on MySQL           the session
    empty_database_url          the same, not migrated                                              the test
    app                         the started application on `database_url`                           the session
    client                      an HTTP client without a token                                      the test
    person, stranger, sign_up   users as HTTP clients with their tokens                             the test
    somebody                    a user for tests that store nothing                                 the module
    at                          paths of a ledger with one row of each kind                         the test
    noon                        a clock that stands at Sunday, 22 November 2026, 12:00 UTC          the test
    outside                     a connection of another process                                     the test
    statements                  records the SQL that the app runs                                   the test

Tests commit, and nothing is rolled back or deleted after them: each has users of its own, who see only their own rows.
"""

import gc
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import (
    AsyncExitStack,
    contextmanager,
)
from pathlib import Path
from typing import Any, Final
from unittest import mock

import httpx
import hypothesis
import pytest
import time_machine
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import Connection, event

import main
import migrations
from config import Settings
from infra import prepared
from infra.connection_pool import PooledConnection
from tests.support.generated import HUNT
from tests.support.people import Arrive, At, Person, SignUp, make_transport, signed_up
from tests.support.rows import fill_ledger
from tests.support.servers import UNLIMITED, MySQL, make_plain_engine, open_mysql, open_or_skip
from tests.support.settings import NOON
from tests.support.statements import Statements

KINDS: Final = ("sqlite", "mysql")


pytest_plugins = ["tests.support.terminal_report"]


hypothesis.settings.register_profile(
    "expenses", deadline=None, max_examples=1000 if HUNT else 100, derandomize="CI" in os.environ, print_blob=True
)
hypothesis.settings.load_profile("expenses")


def pytest_collection() -> None:
    """Collect no garbage while tests are collected: nearly all that is made then stays to the end."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Exclude the collected tests and the imported modules from garbage collection for good."""
    gc.freeze()
    # The apps and their caches stay too: with the usual thresholds they are searched for garbage every hundred tests.
    gc.set_threshold(20_000, 10, 50)
    gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests that are marked `wire` on SQLite only: their answers are decided before the database is asked."""
    if metafunc.definition.get_closest_marker("wire") and "database_url" in metafunc.fixturenames:
        metafunc.definition.add_marker(
            pytest.mark.parametrize("database_url", ["sqlite"], indirect=True, scope="session")
        )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Drop the cases that are tried on SQLite only where they would run on MySQL."""
    items[:] = [item for item in items if not (item.get_closest_marker("sqlite_only") and _is_on_mysql(item))]


def _is_on_mysql(item: pytest.Item) -> bool:
    return isinstance(item, pytest.Function) and item.callspec.params.get("database_url") == "mysql"


# --- the event loop ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run on asyncio, as uvicorn does."""
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
async def _one_event_loop(anyio_backend: str) -> AsyncIterator[None]:  # noqa: ARG001
    # An engine belongs to the loop in which it first ran, and anyio closes its loop when no async generator fixture is
    # open. This fixture is set up first and torn down last, so all tests and fixtures of a session share one loop.
    yield  # noqa: PT022


# --- the databases ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def mysql_server() -> Iterator[MySQL]:
    """The MySQL server of this session, started by the first test that needs it."""
    with open_or_skip(open_mysql, "MYSQL") as server:
        yield server


@pytest.fixture(scope="session")
def sqlite_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The session's migrated SQLite database, for tests that run on SQLite only."""
    url = _sqlite(tmp_path_factory.mktemp("sqlite"))
    migrations.upgrade(url)
    return url


@pytest.fixture(scope="session")
def mysql_url(mysql_server: MySQL) -> Iterator[str]:
    """The session's migrated MySQL database, for tests that run on MySQL only."""
    with mysql_server.fresh_database() as url:
        migrations.upgrade(url)
        yield url


@pytest.fixture(scope="session", params=KINDS)
def database_url(request: pytest.FixtureRequest) -> str:
    """The session's migrated database; a test that needs it, or the app, runs once on SQLite and once on MySQL."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def empty_sqlite_url(tmp_path: Path) -> str:
    """The URL of an SQLite file of the test's own, which does not exist yet."""
    return _sqlite(tmp_path)


@pytest.fixture
def empty_mysql_url(mysql_server: MySQL) -> Iterator[str]:
    """An empty MySQL database of the test's own."""
    with mysql_server.fresh_database() as url:
        yield url


@pytest.fixture(params=KINDS)
def empty_database_url(request: pytest.FixtureRequest) -> str:
    """An empty database of the test's own; the test runs once on SQLite and once on MySQL."""
    url: str = request.getfixturevalue(f"empty_{request.param}_url")
    return url


def _sqlite(folder: Path) -> str:
    return f"sqlite+aiosqlite:///{folder / 'expenses.db'}"


# --- the app ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def settings(database_url: str) -> Settings:
    """The settings of the app under test: the cheapest hash, no throttle, and nothing from the developer's `.env`."""
    key = SecretStr(secrets.token_hex(32))
    limited = Settings(database_url=database_url, secret_key=key, bcrypt_rounds=4, registration="open", _env_file=None)
    # Nearly every test signs up a user, and most of its statements would be those that count attempts.
    return limited.model_copy(update=UNLIMITED)


@pytest.fixture(scope="session")
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    """The started app, one for SQLite and one for MySQL."""
    app = main.create_app(settings)
    # The document is the same for every app, and building it takes a third of a second.
    app.openapi_schema = main.app.openapi()
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client without a token."""
    async with httpx.AsyncClient(transport=make_transport(app), base_url="http://testserver") as client:
        yield client


# --- people -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def arrive() -> Arrive:
    """How users get their accounts: rows written directly; tests of accounts replace it by `registered`."""
    return signed_up


@pytest.fixture
async def sign_up(app: FastAPI, arrive: Arrive) -> AsyncIterator[SignUp]:
    """A function that signs up one more user: `await sign_up(currency="JPY")`."""
    async with AsyncExitStack() as people:

        async def sign_up(**overrides: object) -> Person:
            return await people.enter_async_context(arrive(app, **overrides))

        yield sign_up


@pytest.fixture
async def person(sign_up: SignUp) -> Person:
    """The user whose ledger the test is about."""
    return await sign_up()


@pytest.fixture
async def stranger(sign_up: SignUp) -> Person:
    """Another user, who must not see that ledger."""
    return await sign_up()


@pytest.fixture(scope="module")
async def somebody(app: FastAPI) -> AsyncIterator[Person]:
    """One user for all tests of a module that only look at the answer to their own request: signing up takes time."""
    async with signed_up(app) as somebody:
        yield somebody


@pytest.fixture
async def at(noon: time_machine.Traveller, person: Person) -> At:  # noqa: ARG001
    """Paths of a ledger with one row of each kind, each at another revision: `at("/expenses/{expense_id}")`."""
    return await fill_ledger(person)


# --- the time ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def noon() -> Iterator[time_machine.Traveller]:
    """A clock that stands at Sunday, 22 November 2026, 12:00 UTC."""
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


# --- past the app -----------------------------------------------------------------------------------------------------


@pytest.fixture
def outside(database_url: str) -> Iterator[Connection]:
    """A connection as of another process: its locks make the app wait."""
    with make_plain_engine(database_url).connect() as connection:
        yield connection


# --- what the database is asked ---------------------------------------------------------------------------------------


@pytest.fixture
def statements(app: FastAPI) -> Statements:
    """Record the SQL that the app runs: `with statements() as sent:`, in order, a commit as "COMMIT"."""

    @contextmanager
    def statements() -> Iterator[list[str]]:
        sent: list[str] = []

        def record(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            # SQLite gets a BEGIN, MySQL needs none: without it, both have the same number of statements.
            if not statement.startswith("BEGIN"):
                sent.append(statement)

        commit = PooledConnection.commit

        async def record_and_commit(connection: PooledConnection) -> None:
            sent.append("COMMIT")
            await commit(connection)

        listeners = [
            (pool.engine.sync_engine, "before_cursor_execute", record) for pool in app.state.services.database.pools
        ]

        def wrap(run: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
            async def record_and_run(driver: object, sql: str, values: object) -> object:
                sent.append(sql)
                return await run(driver, sql, values)

            return record_and_run

        prepared_statements = mock.patch.multiple(
            prepared,
            run_select=wrap(prepared.run_select),
            run_write=wrap(prepared.run_write),
            run_many=wrap(prepared.run_many),
        )
        for listener in listeners:
            event.listen(*listener)
        try:
            with prepared_statements, mock.patch.object(PooledConnection, "commit", record_and_commit):
                yield sent
        finally:
            for listener in listeners:
                event.remove(*listener)

    return statements
