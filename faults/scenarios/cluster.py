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
AFTER: Final = 5.0
TOGETHER: Final = 8.0
SHORT: Final = 2.0


def _database(run: Run) -> ClusterDatabase:
    return cast("ClusterDatabase", run.database)


@scenario(GALERA, services=2)
async def node_frozen(run: Run) -> None:
    """The second service's node is suspended, cut off, and comes back, while sessions end and are used."""
    node = _database(run).cluster.nodes[1]
    node.freeze()
    await asyncio.sleep(FROZEN)
    node.thaw()
    run.journal.end_fault()
    await _use_ended_sessions(run, AFTER)


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
    """Every account writes through two services, each of which has a node of its own."""
    await asyncio.sleep(TOGETHER)
    run.journal.end_fault()


@scenario(GALERA, quick=(GALERA,), services=2)
async def ended_sessions(run: Run) -> None:
    """Sessions are ended through one node and used at once through another: none of them may open."""
    await _use_ended_sessions(run, TOGETHER)
    run.journal.end_fault()


async def _use_ended_sessions(run: Run, seconds: float) -> None:
    first, second = (service.url for service in run.services)
    deadline, tried, opened = asyncio.get_running_loop().time() + seconds, 0, 0
    while asyncio.get_running_loop().time() < deadline:
        name = run.random.choice(run.workload.accounts).name
        here, there = Account(name, first, run.journal), Account(name, second, run.journal)
        if await here.sign_in() is Outcome.ACKNOWLEDGED and await here.sign_out() is Outcome.ACKNOWLEDGED:
            tried += 1
            opened += await there.opens_with(here.authorization)
        await here.close()
        await there.close()
    if opened:
        run.journal.complain(f"{opened} of {tried} sessions that were ended on one node opened on the other")
