"""The bare INSERTs of an import: its expenses and its known rows, by the driver's `executemany`, and no file.

`python -m benchmarks.bare_insert OWNER` takes the rows that imports have written for this user out of the tables,
writes them again in one transaction, and prints how many seconds that took. It is a process of its own, so that it runs
on the core on which the service is measured.
"""

import sys
from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any, Final

import uvloop

from benchmarks.bare_select import run_bare
from benchmarks.workers import Cores

TABLES: Final = ("expenses", "imported_rows")


def measure_insert(environment: Mapping[str, str], owner: int, cores: Cores) -> float:
    """Run the INSERTs in a new process on these cores, and return their seconds."""
    return run_bare("benchmarks.bare_insert", environment, owner, cores)


async def insert(owner: int) -> float:
    """Return how many seconds the INSERTs and their COMMIT take on an open connection."""
    # Here, because the floor reads its settings when it is imported.
    from benchmarks.floor import create_pool  # noqa: PLC0415

    pool = await create_pool(autocommit=False)
    async with pool.acquire() as connection, connection.cursor() as cursor:
        taken = [await _take_rows(cursor, table, owner) for table in TABLES]
        await connection.commit()
        began = perf_counter()
        for sql, rows in taken:
            await cursor.executemany(sql, rows)
        await connection.commit()
        seconds = perf_counter() - began
    pool.close()
    await pool.wait_closed()
    return seconds


async def _take_rows(cursor: Any, table: str, owner: int) -> tuple[str, Sequence[Sequence[Any]]]:  # noqa: ANN401
    """Delete the rows of a table; return them without their ids, and the INSERT that brings them back."""
    await cursor.execute(f"SELECT * FROM {table} WHERE owner_id = %s ORDER BY id", (owner,))  # noqa: S608  # ours
    names = [column[0] for column in cursor.description]
    own_id = names.index("id")
    rows = [[*row[:own_id], *row[own_id + 1 :]] for row in await cursor.fetchall()]
    names.pop(own_id)
    await cursor.execute(f"DELETE FROM {table} WHERE owner_id = %s", (owner,))  # noqa: S608  # likewise
    places = ", ".join(["%s"] * len(names))
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({places})", rows  # noqa: S608  # likewise


if __name__ == "__main__":
    print(uvloop.run(insert(int(sys.argv[1]))))
