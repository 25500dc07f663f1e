"""What the tests stand on: one migrated database of each kind, the running app, and people who sign up.

Every test signs up its own users and commits for real; nothing is rolled back, since ownership is the isolation.
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
from sqlalchemy import Connection, NullPool, create_engine, event, make_url

import migrations
from config import Settings
from infra import prepared
from main import create_app
from tests.support.generated import HUNT
from tests.support.people import Arrive, At, Person, SignUp, make_transport, signed_up
from tests.support.servers import UNLIMITED, MySQL, NoServer, open_mysql
from tests.support.settings import NOON
from tests.support.statements import Statements

KINDS: Final = ("sqlite", "mysql")


pytest_plugins = ["tests.support.terminal_report"]


hypothesis.settings.register_profile(
    "expenses", deadline=None, max_examples=1000 if HUNT else 100, derandomize="CI" in os.environ, print_blob=True
)
hypothesis.settings.load_profile("expenses")


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over what stays to the end: thousands of tests, and all that was imported."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Try what is decided before any database is asked over one of them: its modules are marked `wire`."""
    if metafunc.definition.get_closest_marker("wire") and "database_url" in metafunc.fixturenames:
        metafunc.definition.add_marker(
            pytest.mark.parametrize("database_url", ["sqlite"], indirect=True, scope="session")
        )


# --- the event loop ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run on asyncio, as uvicorn does."""
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
async def _one_event_loop(anyio_backend: str) -> AsyncIterator[None]:  # noqa: ARG001
    # Engines belong to the loop that they first ran in, and anyio closes its loop whenever no async generator fixture
    # is open; this one is set up first and torn down last, so that all tests and fixtures of a session share one loop.
    yield  # noqa: PT022


# --- the databases ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def mysql_server() -> Iterator[MySQL]:
    """The MySQL server of this session, started by the first test that wants one."""
    try:
        server = open_mysql()
    except NoServer as missing:
        if os.environ.get("MYSQL") == "required":
            raise
        pytest.skip(f"NOTHING WAS TESTED ON MYSQL: {missing}. Install mariadb-server, or set TEST_MYSQL_URL.")
    with server:
        yield server


@pytest.fixture(scope="session")
def sqlite_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The session's migrated SQLite database, for a test of that kind only."""
    url = _sqlite(tmp_path_factory.mktemp("sqlite"))
    migrations.upgrade(url)
    return url


@pytest.fixture(scope="session")
def mysql_url(mysql_server: MySQL) -> Iterator[str]:
    """The session's migrated MySQL database, for a test of that kind only."""
    with mysql_server.fresh_database() as url:
        migrations.upgrade(url)
        yield url


@pytest.fixture(scope="session", params=KINDS)
def database_url(request: pytest.FixtureRequest) -> str:
    """The session's migrated database: whatever asks for it, or for the app, is tested on both kinds."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def empty_sqlite_url(tmp_path: Path) -> str:
    """A SQLite database of the test's own, not yet there."""
    return _sqlite(tmp_path)


@pytest.fixture
def empty_mysql_url(mysql_server: MySQL) -> Iterator[str]:
    """A MySQL database of the test's own, not yet migrated."""
    with mysql_server.fresh_database() as url:
        yield url


@pytest.fixture(params=KINDS)
def empty_database_url(request: pytest.FixtureRequest) -> str:
    """A database of the test's own, not yet migrated, of both kinds."""
    url: str = request.getfixturevalue(f"empty_{request.param}_url")
    return url


def _sqlite(folder: Path) -> str:
    return f"sqlite+aiosqlite:///{folder / 'expenses.db'}"


# --- the app ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def settings(database_url: str) -> Settings:
    """The settings of the app under test: the cheapest hash, no throttle, and nothing from the developer's `.env`."""
    key = SecretStr(secrets.token_hex(32))
    plain = Settings(database_url=database_url, secret_key=key, bcrypt_rounds=4, _env_file=None)
    # Nearly every test signs somebody up, and counting the attempts would be most of what it asks the database.
    return plain.model_copy(update=UNLIMITED)


@pytest.fixture(scope="session")
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    """The app, started; one for each kind of database."""
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client that nobody has signed in with."""
    async with httpx.AsyncClient(transport=make_transport(app), base_url="http://testserver") as client:
        yield client


# --- people -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def arrive() -> Arrive:
    """How people get their accounts; the tests that are about accounts let them register."""
    return signed_up


@pytest.fixture
async def sign_up(app: FastAPI, arrive: Arrive) -> AsyncIterator[SignUp]:
    """Sign up one more user: `await sign_up(currency="JPY")`."""
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
    """Another user, who must not see any of it."""
    return await sign_up()


@pytest.fixture(scope="module")
async def somebody(app: FastAPI) -> AsyncIterator[Person]:
    """A user for the tests that look at nothing but what they sent: one for all of them, because signing up costs."""
    async with signed_up(app) as somebody:
        yield somebody


@pytest.fixture
async def at(noon: time_machine.Traveller, person: Person) -> At:  # noqa: ARG001
    """A ledger with one of each, no two at the same revision, and its addresses: `at("/expenses/{expense_id}")`."""

    async def make(path: str, **fields: object) -> int:
        return int((await person.post(path, json=fields)).json()["id"])

    category = await make("/categories", name="Groceries")
    expense = {"amount": "12.50", "date": "2026-11-22"}
    kept = await make("/expenses", category="Groceries", external_id="bank-1", **expense)
    limit = await make("/budgets", category="Groceries", amount="200.00", period="month")
    trashed = await make("/expenses", **expense)
    await person.delete(f"/expenses/{trashed}")
    ids = {"expense_id": kept, "category_id": category, "budget_id": limit}
    return lambda path: path.format(**ids)


# --- the time ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def noon() -> Iterator[time_machine.Traveller]:
    """It is Sunday, 22 November 2026, 12:00 UTC, and stays so."""
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


# --- past the app -----------------------------------------------------------------------------------------------------


@pytest.fixture
def outside(database_url: str) -> Iterator[Connection]:
    """A connection of another process: what it locks is locked for the app."""
    engine = create_engine(migrations.make_sync_url(make_url(database_url)), poolclass=NullPool)
    with engine.connect() as connection:
        yield connection


# --- what the database is asked ---------------------------------------------------------------------------------------


@pytest.fixture
def statements(app: FastAPI) -> Statements:
    """Write down what the app asks the database: `with statements() as sent:`, in order, commits as "COMMIT"."""

    @contextmanager
    def statements() -> Iterator[list[str]]:
        sent: list[str] = []

        def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            # SQLite is told to begin where MySQL begins by itself: left out, both count alike.
            if not statement.startswith("BEGIN"):
                sent.append(statement)

        def note_commit(_connection: object) -> None:
            sent.append("COMMIT")

        listeners = [
            (engine.sync_engine, name, listener)
            for engine in app.state.services.database.engines
            for name, listener in (("before_cursor_execute", note), ("commit", note_commit))
        ]

        def noting(send: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
            async def noted(driver: object, sql: str, values: object) -> object:
                sent.append(sql)
                return await send(driver, sql, values)

            return noted

        prepared_statements = mock.patch.multiple(
            prepared, run_select=noting(prepared.run_select), run_write=noting(prepared.run_write)
        )
        for listener in listeners:
            event.listen(*listener)
        try:
            with prepared_statements:
                yield sent
        finally:
            for listener in listeners:
                event.remove(*listener)

    return statements
