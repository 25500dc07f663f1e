"""`python -m benchmarks`: compare the service with two reference applications and with its goals, and print a table."""

import argparse
import platform
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Final

from benchmarks import (
    abuse,
    exports,
    imports,
    members,
    million,
    profiles,
    scale,
    second_worker,
    signins,
    spending,
    throughput,
    timing,
)
from benchmarks.abuse_table import write_abuse_table, write_row
from benchmarks.grounds import TITLES
from benchmarks.million import Pages
from benchmarks.scale_table import write_scale_table, write_workers_table
from benchmarks.signins import Waits
from benchmarks.spending import Reports
from benchmarks.stage import DRIVERS, Stage, open_stage
from benchmarks.throughput_table import write_throughput_table
from benchmarks.timing import Comparison
from benchmarks.verdicts import judge_at_most, write_ms, write_verdict

FILES: Final = ("imports", "exports")
PARTS: Final = (*throughput.PARTS, *FILES, "signins", "timing", "million", "reports")
# Measured only when it is asked for: it is about growth, and takes minutes to fill large tables.
SCALE: Final = "scale"
# Measured only when it is asked for too: it says where the time is spent, not how much of it.
PROFILE: Final = "profile"
# The same: it is about attackers, and opens databases of its own.
ABUSE: Final = "abuse"
ASKED: Final = (PROFILE, SCALE, ABUSE)
PROFILE_SECONDS: Final = 10
QUICK_PROFILE_SECONDS: Final = 3
QUICK_ROWS: Final = 50_000
QUICK_IMPORT: Final = 5_000
QUICK_SIZES: Final = (1_000, 10_000)
QUICK_USERS: Final = (100, 1_000)
QUICK_SAMPLES: Final = 20
QUICK_QUIET: Final = 2
LAST_TO_FIRST: Final = 1.2
REPORT_TO_BARE: Final = 3.0
LARGE_TO_SMALL: Final = 1.5
BUSY_TO_QUIET: Final = 3.0
HEALTH_SECONDS: Final = 0.050
ALIKE: Final = 0.01


@dataclass(frozen=True)
class Options:
    """What to measure, and for how long: the options of the command line."""

    rounds: int
    seconds: float
    parts: Sequence[str]
    quick: bool
    drivers: Sequence[str]
    databases: Sequence[str]
    attacks: Sequence[str]


def read_options() -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="turns that each application has (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=2, help="how long a turn lasts (default %(default)s)")
    parser.add_argument(
        "--only", action="append", metavar="PARTS", help=f"{','.join(PARTS)} (default: all), {','.join(ASKED)}"
    )
    parser.add_argument("--quick", action="store_true", help="a rough look: 2 turns of 0.5 s, and less of the rest")
    parser.add_argument("--driver", choices=DRIVERS, help="of the database (default: both)")
    parser.add_argument("--on", choices=TITLES, help=f"of {ABUSE}: one database only")
    parser.add_argument("--attack", action="append", default=[], metavar="PART", help=f"of {ABUSE}: a part of a name")
    arguments = parser.parse_args()
    parts = ",".join(arguments.only or PARTS).split(",")
    if unknown := set(parts) - {*PARTS, *ASKED}:
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    if not abuse.choose(arguments.attack):
        parser.error("no attack has such a name")
    rounds, seconds = (2, 0.5) if arguments.quick else (arguments.rounds, arguments.seconds)
    databases = [arguments.on] if arguments.on else list(TITLES)
    drivers = [arguments.driver] if arguments.driver else DRIVERS
    return Options(rounds, seconds, parts, arguments.quick, drivers, databases, arguments.attack)


def report(options: Options, on: Stage) -> Iterator[str]:
    """Measure part by part; yield the lines of the table as soon as they are known."""
    cores = f"worker on core {on.core}, database and load on {on.others}"
    yield f"Python {platform.python_version()}, {on.version()}; {cores}"
    yield from report_by_driver(options, on)
    # The other parts measure the service, and what they measure hardly depends on the driver.
    on = on.through(options.drivers[0])
    if set(options.parts) - {*throughput.PARTS, *FILES, PROFILE, ABUSE}:
        yield from ("", f"the service through {options.drivers[0]}")
    if "signins" in options.parts:
        quiet = QUICK_QUIET if options.quick else signins.QUIET_SECONDS
        yield from write_signins_table(signins.measure(on, max(1, options.rounds // 2), quiet))
    if "timing" in options.parts:
        samples = QUICK_SAMPLES if options.quick else timing.SAMPLES
        yield from write_timing_table(timing.measure(on, samples, ALIKE))
    if "million" in options.parts:
        rows = QUICK_ROWS if options.quick else million.ROWS
        yield from write_million_table(million.measure(on, options.rounds, options.seconds / 2, rows))
    if "reports" in options.parts:
        rows = QUICK_ROWS if options.quick else spending.LARGE
        yield from write_reports_table(spending.measure(on, options.rounds, options.seconds, rows))
    if SCALE in options.parts:
        yield from report_scale(options, on)


def report_by_driver(options: Options, on: Stage) -> Iterator[str]:
    """Measure what depends on the driver, through each; yield the lines of the tables."""
    operations = [operation for operation in throughput.OPERATIONS if operation.part in options.parts]
    for driver in options.drivers if operations else ():
        compared = throughput.measure(on, driver, operations, options.rounds, options.seconds)
        yield from write_throughput_table(compared)
    for driver in options.drivers if PROFILE in options.parts else ():
        length = QUICK_PROFILE_SECONDS if options.quick else PROFILE_SECONDS
        for profile in profiles.measure(on, driver, throughput.SINGLE, length):
            yield from profiles.write_profile(profile)
    for driver in options.drivers if "imports" in options.parts else ():
        rows = QUICK_IMPORT if options.quick else imports.ROWS
        yield from imports.write_imports_table(imports.measure(on, driver, options.rounds, rows))
    for driver in options.drivers if "exports" in options.parts else ():
        rows = QUICK_ROWS if options.quick else exports.ROWS
        yield from exports.write_exports_table(exports.measure(on, driver, options.rounds, rows))


def report_scale(options: Options, on: Stage) -> Iterator[str]:
    """Measure larger ledgers, more users and a second worker; yield the lines of the tables."""
    for measured in scale.measure(on, QUICK_SIZES if options.quick else scale.SIZES):
        yield from write_scale_table(measured)
    # Before the users become many, as the others do not need them.
    rounds = min(options.rounds, 3)
    yield from write_workers_table(second_worker.measure(on, throughput.SINGLE, rounds, options.seconds))
    yield from write_scale_table(members.measure(on, QUICK_USERS if options.quick else members.SIZES))


def report_abuse(options: Options) -> Iterator[str]:
    """Measure the attacks on each database; yield the lines of its table."""
    for database in options.databases:
        began = perf_counter()
        yield from write_abuse_table(abuse.measure(database, abuse.choose(options.attacks), _show_attack))
        yield f"  measured in {perf_counter() - began:.0f} s"


def _show_attack(measured: abuse.Measured, row: abuse.Row) -> None:
    """Show an attack while the others are measured: all together they take minutes."""
    print(write_row(measured, row), file=sys.stderr, flush=True)


def write_signins_table(waits: Waits) -> Iterator[str]:
    """Yield how long reads and /health take without and during sign-ins."""
    ratio = judge_at_most(waits.read_busy / waits.read_quiet, BUSY_TO_QUIET)
    health = f"{write_verdict(waits.health_busy < HEALTH_SECONDS)} < {HEALTH_SECONDS * 1e3:.0f} ms"
    yield ""
    yield f"{f'p99 in ms, {signins.SIGN_INS} sign-ins at once':34}{'quiet':>10}{'during':>10}   ratio"
    yield f"{'  GET /expenses?limit=50':34}{write_ms(waits.read_quiet)}{write_ms(waits.read_busy)}   {ratio}"
    yield f"{'  GET /health':34}{write_ms(waits.health_quiet)}{write_ms(waits.health_busy)}   {health}"
    yield f"{'  POST /users/token, the longest':34}{'':10}{write_ms(waits.sign_in)}   {waits.answers}"


def write_timing_table(runs: Sequence[Comparison]) -> Iterator[str]:
    """Yield how long sign-ins with an unknown and a known name take; only the last run is judged."""
    title = f"median in ms, {runs[0].samples} sign-ins of each"
    yield ""
    yield f"{title:34}{'unknown':>10}{'known':>10}{'apart':>10}   p"
    for run in runs:
        verdict = f"{write_verdict(run.p >= ALIKE)} >= {ALIKE}" if run is runs[-1] else "once more"
        figures = f"{write_ms(run.unknown)}{write_ms(run.known)}{write_ms(run.known - run.unknown)}"
        yield f"{'  POST /users/token, refused':34}{figures}   {run.p:.3g} {verdict}"


def write_million_table(pages: Sequence[Pages]) -> Iterator[str]:
    """Yield the times of the first and the last page, and their ratio."""
    yield ""
    yield f"{f'median in ms, page 1 and {pages[0].number:,}':34}{'first':>10}{'last':>10}   ratio"
    for page in pages:
        ratio = judge_at_most(page.last / page.first, LAST_TO_FIRST)
        yield f"{f'  GET /expenses?sort={page.sort}':34}{write_ms(page.first)}{write_ms(page.last)}   {ratio}"


def write_reports_table(reports: Reports) -> Iterator[str]:
    """Yield the times of a report and its bare SQL, and of a report on a small and a large ledger."""
    yield ""
    yield f"{f'median in ms, {spending.YEAR_ROWS:,} expenses':34}{'bare SQL':>10}{'report':>10}   ratio"
    year = judge_at_most(reports.year / reports.bare, REPORT_TO_BARE)
    yield f"{'  a year by month and category':34}{write_ms(reports.bare)}{write_ms(reports.year)}   {year}"
    yield f"{'median in ms, a ledger of':34}{spending.SMALL:>10,}{reports.rows:>10,}   ratio"
    month = judge_at_most(reports.large / reports.small, LARGE_TO_SMALL)
    yield f"{'  a month by category':34}{write_ms(reports.small)}{write_ms(reports.large)}   {month}"


def main() -> None:
    """Measure and print."""
    options = read_options()
    if set(options.parts) != {ABUSE}:
        with open_stage() as on:
            for line in report(options, on):
                print(line, flush=True)
    if ABUSE in options.parts:
        for line in report_abuse(options):
            print(line, flush=True)


if __name__ == "__main__":
    main()
