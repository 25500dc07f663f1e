"""Engines: how each new connection is set up, and TLS."""

import subprocess
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError

import migrations
from admin import backups, schema
from admin.console import OperatorError
from config import Settings
from database import Database
from tests.support.databases import on_mysql, on_sqlite
from tests.support.people import Person
from tests.support.servers import MySQL, NoServer, PrivateMariaDB
from tests.support.settings import GOOD_SECRET


def settings_of(url: str) -> Settings:
    return Settings(database_url=url, secret_key=SecretStr(GOOD_SECRET), _env_file=None)


async def asked(app: FastAPI, engine: int, question: str) -> object:
    async with app.state.services.database.pools[engine].engine.connect() as connection:
        return (await connection.exec_driver_sql(question)).scalar_one()


@on_mysql
async def test_units_of_work_read_what_is_committed(app: FastAPI, person: Person) -> None:
    assert person.token
    async with app.state.services.database.pools[0].engine.connect() as connection:
        assert await connection.get_isolation_level() == "READ COMMITTED"


@on_mysql
@pytest.mark.parametrize("engine", [0, 1], ids=["to write", "to read"])
@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("innodb_lock_wait_timeout", 5),
        ("time_zone", "+00:00"),
        ("sql_mode", "STRICT_ALL_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,NO_ENGINE_SUBSTITUTION"),
        ("character_set_connection", "utf8mb4"),
    ],
)
async def test_every_connection_to_mysql_is_told(app: FastAPI, engine: int, variable: str, value: object) -> None:
    assert await asked(app, engine, f"SELECT @@{variable}") == value


@on_mysql
@pytest.mark.parametrize(("engine", "value"), [(0, 0), (1, 1)], ids=["to write", "to read"])
async def test_only_reads_commit_by_themselves(app: FastAPI, engine: int, value: int) -> None:
    assert await asked(app, engine, "SELECT @@autocommit") == value


@on_sqlite
@pytest.mark.parametrize("engine", [0, 1], ids=["to write", "to read"])
@pytest.mark.parametrize(("pragma", "value"), [("foreign_keys", 1), ("journal_mode", "wal"), ("busy_timeout", 2000)])
async def test_every_connection_to_sqlite_is_told(app: FastAPI, engine: int, pragma: str, value: object) -> None:
    assert await asked(app, engine, f"PRAGMA {pragma}") == value


@on_mysql
@pytest.mark.parametrize(("engine", "seconds"), [(0, 60), (1, 5)], ids=["to write", "to read"])
async def test_mysql_ends_a_statement_by_itself(app: FastAPI, engine: int, seconds: int) -> None:
    is_mariadb = "MariaDB" in str(await asked(app, engine, "SELECT VERSION()"))
    limit = "@@max_statement_time" if is_mariadb else "@@max_execution_time / 1000"
    assert await asked(app, engine, f"SELECT {limit}") == seconds


# --- TLS --------------------------------------------------------------------------------------------------------------


def certified(file: Path) -> Path:
    """Make a certificate for 127.0.0.1 that vouches for itself, with its key in the same file."""
    request = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    names = ["-subj", f"/CN={file.stem}", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", *request, *names, "-keyout", str(file), "-out", f"{file}.crt"]
    subprocess.run(command, check=True, capture_output=True)
    file.write_text(file.read_text() + Path(f"{file}.crt").read_text())
    return file


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server's certificate."""
    return certified(tmp_path_factory.mktemp("tls") / "server.pem")


@pytest.fixture(scope="module")
def another(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody else's."""
    return certified(tmp_path_factory.mktemp("tls") / "another.pem")


@pytest.fixture(scope="module")
def guarded(mysql_server: MySQL, certificate: Path) -> Iterator[PrivateMariaDB]:
    """A server that speaks TLS."""
    assert mysql_server.server_url
    try:
        server = PrivateMariaDB(f"--ssl-cert={certificate}", f"--ssl-key={certificate}")
    except NoServer as missing:
        pytest.skip(f"TEST_MYSQL_URL names a server without a certificate, and {missing}")
    with server:
        yield server


async def cipher(url: str) -> str:
    """Return how the engines of the service speak to a server; empty: in the clear."""
    database = Database(settings_of(url))
    try:
        async with database.new_unit() as unit:
            answer = await (await unit.connection()).exec_driver_sql("SHOW STATUS LIKE 'Ssl_cipher'")
            return str(answer.mappings().one()["Value"])
    finally:
        await database.close()


async def test_a_server_that_is_vouched_for_is_spoken_to_in_cipher(guarded: PrivateMariaDB, certificate: Path) -> None:
    with guarded.fresh_database() as url:
        assert await cipher(f"{url}?ssl_ca={certificate}")
        assert not await cipher(url)


async def test_a_server_that_nobody_vouches_for_is_not_spoken_to(guarded: PrivateMariaDB, another: Path) -> None:
    with guarded.fresh_database() as url, pytest.raises(DBAPIError):
        await cipher(f"{url}?ssl_ca={another}")


async def test_a_server_without_tls_of_ours_is_not_spoken_to(mysql_server: MySQL, certificate: Path) -> None:
    # MariaDB offers no TLS here; MySQL makes itself a certificate when it starts first.
    reasons = r"the server offers no TLS|Can't connect to MySQL server"
    with mysql_server.fresh_database() as url, pytest.raises(DBAPIError, match=reasons):
        await cipher(f"{url}?ssl_ca={certificate}")


@pytest.mark.parametrize("command", [schema.migrate, backups.check])
def test_no_command_speaks_to_a_server_without_tls_of_ours(
    mysql_server: MySQL, certificate: Path, command: Callable[[Settings, Namespace], None]
) -> None:
    reasons = r"(\(|OperationalError )(2026|2003)\b"  # the server offers no TLS, or its certificate is not good
    with mysql_server.fresh_database() as url, pytest.raises(OperatorError, match=reasons):
        command(settings_of(f"{url}?ssl_ca={certificate}"), Namespace(json=False))


def test_migrations_speak_tls_too(guarded: PrivateMariaDB, certificate: Path) -> None:
    with guarded.fresh_database() as url:
        migrations.upgrade(make_url(f"{url}?ssl_ca={certificate}"))


# --- a Galera cluster -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def node(mysql_server: MySQL) -> Iterator[PrivateMariaDB]:
    """A server that is set up as a node of a cluster, though it has no other nodes."""
    assert mysql_server.server_url
    try:
        server = PrivateMariaDB("--wsrep-on=ON", "--binlog-format=ROW")
    except NoServer as missing:
        pytest.skip(f"NOTHING WAS TESTED ON A NODE OF A CLUSTER: {missing}")
    with server:
        yield server


@pytest.fixture
def node_url(node: PrivateMariaDB) -> Iterator[str]:
    with node.fresh_database() as url:
        yield url


async def ask_each_engine(url: str, question: str) -> list[object]:
    database = Database(settings_of(url))
    try:
        async with AsyncExitStack() as connections:
            opened = [await connections.enter_async_context(pool.engine.connect()) for pool in database.pools]
            return [(await connection.exec_driver_sql(question)).scalar_one() for connection in opened]
    finally:
        await database.close()


async def test_every_connection_to_a_node_of_a_cluster_waits_for_the_other_nodes(node_url: str) -> None:
    assert await ask_each_engine(node_url, "SELECT @@wsrep_sync_wait") == [7, 7]


async def test_a_node_of_a_cluster_is_migrated_under_the_lock_of_the_cluster(node_url: str) -> None:
    migrations.upgrade(node_url)
    assert await ask_each_engine(node_url, "SELECT owner FROM migration_lock") == ["", ""]


@on_mysql
@pytest.mark.parametrize("engine", [0, 1], ids=["to write", "to read"])
async def test_a_server_that_is_no_cluster_waits_for_nobody(app: FastAPI, engine: int) -> None:
    async with app.state.services.database.pools[engine].engine.connect() as connection:
        waits = await connection.exec_driver_sql("SHOW VARIABLES LIKE 'wsrep_sync_wait'")
        assert waits.one_or_none() in {None, ("wsrep_sync_wait", "0")}
