"""The bare SELECT of an export: the same columns in the same order, through the driver of DATABASE_URL, and no file.

`python -m benchmarks.bare_select OWNER` reads all expenses of this user at once, and prints how many seconds that took.
It is a process of its own, so that it runs on the core on which the service is measured.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from time import perf_counter
from typing import Final

import uvloop

from benchmarks import ROOT
from benchmarks.workers import Cores, on

EXPENSES: Final = (
    "SELECT expenses.spent_on, expenses.amount, expenses.currency, categories.name, expenses.payee, "
    "expenses.description, tag_sets.names, expenses.external_id, expenses.id "
    "FROM expenses FORCE INDEX (ix_expenses_owner_id_spent_on_id) "
    "LEFT JOIN categories ON categories.owner_id = expenses.owner_id AND categories.id = expenses.category_id "
    "LEFT JOIN tag_sets ON tag_sets.owner_id = expenses.owner_id AND tag_sets.id = expenses.tag_set_id "
    "WHERE expenses.owner_id = %s ORDER BY expenses.spent_on, expenses.id"
)


def measure_select(environment: Mapping[str, str], owner: int, cores: Cores) -> float:
    """Run the SELECT in a new process on these cores, and return its seconds."""
    return run_bare("benchmarks.bare_select", environment, owner, cores)


def run_bare(module: str, environment: Mapping[str, str], owner: int, cores: Cores) -> float:
    """Run a module that prints how many seconds its statements took for an owner; return them."""
    command = [sys.executable, "-m", module, str(owner)]
    with on(cores):
        printed = subprocess.run(
            command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=True
        ).stdout
    return float(printed)


async def select(owner: int) -> float:
    """Return how many seconds the SELECT takes on an open connection."""
    # Here, because the floor reads its settings when it is imported.
    from benchmarks.floor import create_pool  # noqa: PLC0415

    pool = await create_pool(autocommit=True)
    async with pool.acquire() as connection, connection.cursor() as cursor:
        began = perf_counter()
        await cursor.execute(EXPENSES, (owner,))
        await cursor.fetchall()
        seconds = perf_counter() - began
    pool.close()
    await pool.wait_closed()
    return seconds


if __name__ == "__main__":
    print(uvloop.run(select(int(sys.argv[1]))))
