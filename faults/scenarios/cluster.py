"""A cluster of three nodes: one is cut off, all are restarted, and two serve one ledger."""

import asyncio
from typing import Final, cast

from faults.client import Account
from faults.databases import GALERA
from faults.galera import ClusterDatabase
from faults.journal import Outcome
from faults.run import Run, in_thread
from faults.scenario import scenario

FROZEN: Final = 15.0
AFTER: Final = 10.0
AT_ONCE: Final = 4
SESSIONS: Final = 20
BETWEEN: Final = 0.05
TOGETHER: Final = 8.0
SHORT: Final = 2.0


def _database(run: Run) -> ClusterDatabase:
    return cast("ClusterDatabase", run.database)


@scenario(GALERA, services=2)
async def node_frozen(run: Run) -> None:
    """The second service's node is suspended and expelled; sessions end meanwhile, and are used when it is continued.

    The fault lasts until the cluster has taken the node back.
    """
    node = _database(run).cluster.nodes[1]
    sessions = [await _sign_in(run) for _ in range(SESSIONS)]
    try:
        node.freeze()
        await asyncio.sleep(FROZEN / 2)
        ended = [it for it in sessions if await it.sign_out() is Outcome.ACKNOWLEDGED]
        await asyncio.sleep(FROZEN / 2)
    finally:
        node.thaw()
    back = asyncio.create_task(in_thread(lambda: _database(run).cluster.wait_until_back(node)))
    back.add_done_callback(lambda _: run.journal.end_fault())
    deadline = asyncio.get_running_loop().time() + AFTER
    _complain_of_opened(run, await asyncio.gather(*(_use_until(run, deadline, it.authorization) for it in ended)))
    await back
    for session in sessions:
        await session.close()


@scenario(GALERA)
async def cluster_restarted(run: Run) -> None:
    """All nodes are killed at once; the one with the newest data forms the cluster again."""
    cluster = _database(run).cluster
    for node in cluster.nodes:
        await in_thread(node.kill)
    await asyncio.sleep(SHORT)
    await in_thread(cluster.restart)
    run.journal.end_fault()


@scenario(GALERA, quick=(GALERA,), services=2)
async def two_nodes(run: Run) -> None:
    """Every account writes through two services, each of which has a node of its own; then all write through one.

    Two nodes that change one ledger at once conflict when they commit, and some writes are answered with 503.
    """
    await asyncio.sleep(TOGETHER)
    run.workload.move_to(run.service.url)
    run.journal.end_fault()


@scenario(GALERA, quick=(GALERA,), services=2)
async def ended_sessions(run: Run) -> None:
    """Sessions are ended through one node and used at once through another: none of them may open."""
    deadline = asyncio.get_running_loop().time() + TOGETHER
    _complain_of_opened(run, await asyncio.gather(*(_end_and_use(run, deadline) for _ in range(AT_ONCE))))
    run.journal.end_fault()


async def _sign_in(run: Run) -> Account:
    """Open another session of an account, through the first service."""
    account = Account(run.random.choice(run.workload.accounts).name, run.service.url, run.journal)
    await account.sign_in()
    return account


async def _use_until(run: Run, deadline: float, authorization: str) -> list[bool]:
    """Return of each use of a session on the second service, one after another, whether it opened."""
    there, opened = Account("", run.services[1].url, run.journal), []
    while asyncio.get_running_loop().time() < deadline:
        opened.append(await there.opens_with(authorization))
        await asyncio.sleep(BETWEEN)
    await there.close()
    return opened


async def _end_and_use(run: Run, deadline: float) -> list[bool]:
    """Return of each session, one after another, whether it opened on the second service after its end."""
    opened = []
    while asyncio.get_running_loop().time() < deadline:
        here = await _sign_in(run)
        if await here.sign_out() is Outcome.ACKNOWLEDGED:
            opened += await _use_until(run, asyncio.get_running_loop().time() + BETWEEN, here.authorization)
        await here.close()
    return opened


def _complain_of_opened(run: Run, uses: list[list[bool]]) -> None:
    opened = [it for part in uses for it in part]
    if any(opened):
        run.journal.complain(f"sessions ended on one node opened on another {sum(opened)} of {len(opened)} times")
