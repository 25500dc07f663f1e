"""Migrations are killed at a random moment and run again, and run on all nodes of a cluster at once."""

import asyncio
import subprocess
import sys
from typing import Final

from sqlalchemy import Engine, inspect

from faults.databases import GALERA, Database
from faults.run import Run, in_thread
from faults.scenario import EVERYWHERE, ONE_DATABASE, scenario
from faults.service import COMMANDS

KILLS: Final = 6
TRIALS: Final = 3
LAST_WORDS: Final = 200
# A migration of an empty database takes about so long, the start of Python included, in seconds.
LONGEST: Final = 3.0


@scenario(*EVERYWHERE, quick=ONE_DATABASE)
async def migration_killed(run: Run) -> None:
    """Beside the service, another database is migrated; that is killed six times, and must then go through."""
    other = await in_thread(run.database.make_another)
    run.resources.callback(other.close)
    for _ in range(KILLS):
        await _migrate(run, other.urls[0], kill_after=LONGEST * run.random.random())
    await _complain_of_schema(run, other, "was killed")
    run.journal.end_fault()


@scenario(GALERA, quick=(GALERA,))
async def migrated_through_three_nodes(run: Run) -> None:
    """Beside the service, empty databases are migrated through all nodes at once, as by services that start."""
    for _ in range(TRIALS):
        other = await in_thread(run.database.make_another)
        run.resources.callback(other.close)
        await asyncio.gather(*(_migrate(run, url) for url in other.urls))
        await _complain_of_schema(run, other, "came through three nodes")
    run.journal.end_fault()


async def _complain_of_schema(run: Run, database: Database, cause: str) -> None:
    """Migrate once more; complain if that fails, or if the schema is not that of the service's own database."""
    code, log = await _migrate(run, database.urls[0])
    if code:
        run.journal.complain(f"a migration that {cause} cannot be run again: {' '.join(log[-LAST_WORDS:].split())}")
    elif await in_thread(lambda: _describe(database.open_engine()) != _describe(run.database.open_engine())):
        run.journal.complain(f"a migration that {cause} leads to another schema")


async def _migrate(run: Run, url: str, kill_after: float | None = None) -> tuple[int | None, str]:
    """Migrate, and return the exit code and what was said; kill it after so many seconds, if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *COMMANDS,
        "migrate",
        cwd=run.service.folder,
        env=run.service.environment | {"DATABASE_URL": url},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    said = asyncio.create_task(process.communicate())
    done, _ = await asyncio.wait([said], timeout=kill_after)
    if not done:
        process.kill()
    return process.returncode, (await said)[0].decode()


def _describe(engine: Engine) -> dict[str, object]:
    """Return columns, keys and indexes of each table."""
    found = inspect(engine)
    return {
        table: (
            [(it["name"], str(it["type"]), it["nullable"]) for it in found.get_columns(table)],
            sorted((str(it["name"]), it["column_names"]) for it in found.get_indexes(table)),
            sorted((str(it["name"]), it["constrained_columns"]) for it in found.get_foreign_keys(table)),
        )
        for table in found.get_table_names()
    }
