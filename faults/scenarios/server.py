"""The database's server is killed, away, frozen, unreachable or unwilling."""

import asyncio
from contextlib import suppress
from typing import Final, cast

from sqlalchemy import Connection, make_url
from sqlalchemy.exc import OperationalError

from faults.databases import MARIADB, Server
from faults.run import Run, in_thread
from faults.scenario import SERVERS, scenario
from tests.support.proxy import Proxy
from tests.support.servers import make_plain_engine

DOWN: Final = 30.0
FROZEN: Final = 15.0
SHORT: Final = 2.0
STRAIN: Final = 5.0
KILLING: Final = 15.0
KILLING_LONG: Final = 120.0
EVERY: Final = 0.5
READ_ONLY: Final = 5.0
FEW_CONNECTIONS: Final = 10


def _server(run: Run) -> Server:
    return cast("Server", run.database)


@scenario(*SERVERS, quick=SERVERS, needs_process=True)
async def kill_database(run: Run) -> None:
    """The server of the service is killed and started again."""
    process = _server(run).process
    await in_thread(process.kill)
    await asyncio.sleep(SHORT)
    await in_thread(process.start)
    run.journal.end_fault()


@scenario(*SERVERS, needs_process=True)
async def database_down_at_start(run: Run) -> None:
    """The service is started while its server is not there."""
    process = _server(run).process
    await in_thread(run.service.stop)
    await in_thread(process.stop)
    await in_thread(run.service.start)
    await asyncio.sleep(SHORT)
    await in_thread(process.start)
    run.journal.end_fault()


@scenario(*SERVERS, needs_process=True)
async def database_down(run: Run) -> None:
    """The server is shut down for 30 s."""
    process = _server(run).process
    await in_thread(process.stop)
    await asyncio.sleep(DOWN)
    await in_thread(process.start)
    run.journal.end_fault()


@scenario(*SERVERS, needs_process=True)
async def database_frozen(run: Run) -> None:
    """The server is suspended for 15 s: connections stay open, and nothing is answered.

    A cluster expels such a node, so the fault lasts until it has taken the node back.
    """
    process = _server(run).process
    try:
        process.freeze()
        await asyncio.sleep(FROZEN)
    finally:
        process.thaw()
    await in_thread(_server(run).wait_until_back)
    run.journal.end_fault()


@scenario(*SERVERS, quick=(MARIADB,))
async def connections_killed(run: Run) -> None:
    """All connections of the service are killed, again and again."""
    for _ in range(round(STRAIN / EVERY)):
        await in_thread(_server(run).kill_connections)
        await asyncio.sleep(2 * EVERY * run.random.random())
    run.journal.end_fault()


@scenario(*SERVERS, quick=(MARIADB,))
async def statements_killed(run: Run) -> None:
    """Whatever statements are being executed are killed, again and again."""
    await in_thread(lambda: _server(run).kill_statements(KILLING))
    run.journal.end_fault()


@scenario(MARIADB)
async def statements_killed_for_long(run: Run) -> None:
    """The same for two minutes, since a statement that is killed at a bad moment is rare."""
    await in_thread(lambda: _server(run).kill_statements(KILLING_LONG))
    run.journal.end_fault()


@scenario(*SERVERS, quick=(MARIADB,))
async def connections_reset(run: Run) -> None:
    """The connections between service and server are reset (RST), again and again."""
    proxy = await run.resources.enter_async_context(Proxy(make_url(run.database.urls[0])))
    await in_thread(run.service.stop)
    await in_thread(lambda: run.service.start(DATABASE_URL=proxy.url))
    for _ in range(round(STRAIN / EVERY)):
        await asyncio.sleep(2 * EVERY * run.random.random())
        proxy.reset()
    run.journal.end_fault()


@scenario(*SERVERS, quick=(MARIADB,), needs_process=True)
async def server_read_only(run: Run) -> None:
    """The server becomes read-only, and writable again."""
    try:
        await in_thread(lambda: _server(run).server.execute("SET GLOBAL read_only = 1"))
        await asyncio.sleep(READ_ONLY)
    finally:
        await in_thread(lambda: _server(run).server.execute("SET GLOBAL read_only = 0"))
    run.journal.end_fault()


@scenario(*SERVERS, needs_process=True)
async def too_many_connections(run: Run) -> None:
    """Others take all the connections that the server allows."""
    server = _server(run)
    allowed = await in_thread(lambda: server.ask("SELECT @@max_connections"))
    administrator = await in_thread(server.administer)
    held: list[Connection] = []
    try:
        await in_thread(lambda: _take_all(server, administrator, held))
        await asyncio.sleep(STRAIN)
    finally:
        await in_thread(lambda: administrator.exec_driver_sql(f"SET GLOBAL max_connections = {allowed}"))
        for connection in (*held, administrator):
            connection.close()
    run.journal.end_fault()


def _take_all(server: Server, administrator: Connection, held: list[Connection]) -> None:
    """Allow few connections, kill the service's and open others, until the server refuses one."""
    engine = make_plain_engine(server.urls[0])
    administrator.exec_driver_sql(f"SET GLOBAL max_connections = {FEW_CONNECTIONS}")
    server.kill_connections_by(administrator)
    with suppress(OperationalError):
        while len(held) < FEW_CONNECTIONS:
            held.append(engine.connect())
