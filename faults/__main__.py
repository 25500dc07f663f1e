"""`python -m faults`: break what the service stands on, while clients write, and print what became of their writes.

Exits with 1 if anything in the table is marked as wrong, and with 2 if it cannot begin or plays no scenario.
"""

import argparse
import asyncio
import random
import sys
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from faults import scenarios, table
from faults.databases import GALERA, MARIADB
from faults.galera import find_provider
from faults.run import Run
from faults.scenario import SCENARIOS, Scenario
from faults.stages import KINDS, Stages, choose
from tests.support.servers import NoServer, find_program

__all__ = ["scenarios"]

LARGEST_SEED: Final = 1_000_000
# How much of a traceback is printed, in characters.
LAST_WORDS: Final = 1_500


@dataclass(frozen=True)
class Options:
    """The options of the command line."""

    kinds: list[str]
    names: list[str]
    all_of_them: bool
    seed: int
    url: str | None


def read_options(arguments: list[str]) -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    parser.add_argument("--all", action="store_true", help="all scenarios, not only the quick ones")
    parser.add_argument("--only", default="", help="scenarios, separated by commas")
    parser.add_argument("--on", default="", help=f"databases, separated by commas (default {','.join(KINDS)})")
    parser.add_argument("--seed", type=int, default=random.randrange(LARGEST_SEED), help="repeats a run's choices")
    parser.add_argument("--url", help="mysql://… of a running server, whose user may create databases and users")
    read = parser.parse_args(arguments)
    names = [name for name in read.only.split(",") if name]
    kinds = [kind for kind in read.on.split(",") if kind] or ([MARIADB] if read.url else list(KINDS))
    for what, asked, known in (("scenario", names, [it.name for it in SCENARIOS]), ("database", kinds, KINDS)):
        if unknown := {*asked} - {*known}:
            parser.error(f"there is no {what} {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    if not read.on and not (read.all or read.url):
        kinds = [kind for kind in kinds if _is_there(kind, read.url)]
    return Options(kinds, names, read.all, read.seed, read.url)


def _is_there(kind: str, url: str | None) -> bool:
    """Whether the database is installed on this machine, or its server given by `url`; say so loudly if neither."""
    try:
        if kind == GALERA or (kind == MARIADB and not url):
            find_program("mariadbd", "mysqld")
        if kind == GALERA:
            find_provider()
    except NoServer as error:
        print(f"NOTHING IS TRIED ON {kind.upper()}: {error}", file=sys.stderr)
        return False
    return True


def play_table(options: Options, kind: str) -> list[bool]:
    """Play the scenarios of one database and print their rows; return for each row whether it is as it should be."""
    stages = Stages(kind, options.url)
    for line in table.write_heading(kind):
        print(line, flush=True)
    try:
        chosen = choose(kind, options.names, all_of_them=options.all_of_them)
        return [_play(stages, scenario, options.seed) for scenario in chosen if _can_play(stages, scenario)]
    finally:
        stages.close()


def _can_play(stages: Stages, scenario: Scenario) -> bool:
    """Whether a scenario can be played; print a row that says so if it cannot."""
    if stages.can_play(scenario):
        return True
    print(f"  {scenario.name:{table.NAME_WIDTH}} not played: needs root, or a server that is started here")
    return False


def _play(stages: Stages, scenario: Scenario, seed: int) -> bool:
    try:
        with stages.open(scenario) as database:
            run = Run(database, seed, workers=scenario.workers, services=scenario.services)
            row = asyncio.run(run.play(scenario.name, scenario.play))
    except Exception:  # noqa: BLE001  # the other scenarios are played all the same
        print(f"{table.MARK} {scenario.name:{table.NAME_WIDTH}} failed, seed {seed}:", flush=True)
        print(traceback.format_exc()[-LAST_WORDS:], flush=True)
        return False
    for line in table.write_row(row):
        print(line, flush=True)
    return not table.is_wrong(row)


def main() -> int:
    """Play and print; return the exit status."""
    options = read_options(sys.argv[1:])
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, seed {options.seed}")
    missing = [kind for kind in options.kinds if not _is_there(kind, options.url)]
    if missing:
        return 2
    fine = [is_fine for kind in options.kinds for is_fine in play_table(options, kind)]
    if not fine:
        print("NOTHING WAS PLAYED: none of these scenarios can be played on these databases here", file=sys.stderr)
        return 2
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
