"""A migration is killed at a random moment, and run again."""

import asyncio
import subprocess
import sys
from typing import Final

from sqlalchemy import Engine, inspect

from faults.databases import Database
from faults.run import Run, in_thread
from faults.scenario import EVERYWHERE, ONE_DATABASE, scenario
from faults.service import COMMANDS

KILLS: Final = 6
# A migration of an empty database takes about so long, the start of Python included, in seconds.
LONGEST: Final = 3.0


@scenario(*EVERYWHERE, quick=ONE_DATABASE)
async def migration_killed(run: Run) -> None:
    """Beside the service, another database is migrated; that is killed six times, and must then go through."""
    other = await in_thread(run.database.make_another)
    run.resources.callback(other.close)
    for _ in range(KILLS):
        await _migrate(run, other, kill_after=LONGEST * run.random.random())
    code, log = await _migrate(run, other, kill_after=None)
    if code:
        run.journal.complain(f"a migration that was killed cannot be run again: {log[-300:]}")
    elif await in_thread(lambda: _describe(other.open_engine()) != _describe(run.database.open_engine())):
        run.journal.complain("a migration that was killed and run again leads to another schema")
    run.journal.end_fault()


async def _migrate(run: Run, database: Database, kill_after: float | None) -> tuple[int | None, str]:
    """Migrate, and return the exit code and what was said; kill it after so many seconds, if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *COMMANDS,
        "migrate",
        cwd=run.service.folder,
        env=run.service.environment | {"DATABASE_URL": database.urls[0]},
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
