"""Requests a second with one and with two workers of the service, started as `make run` starts them.

Nothing is pinned to a core: workers, database and load share the whole machine.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Final

from benchmarks.load import Plan, Requests, run
from benchmarks.stage import Stage
from benchmarks.throughput import QUICK_HASHES, BadAnswer, sign_up_people, write_requests
from benchmarks.workers import Worker, pin, read_cpu_seconds, run_service

WORKERS: Final = (1, 2)


@dataclass(frozen=True)
class Served:
    """Medians of the rounds of one operation, with a number of workers."""

    rate: float
    """Requests a second."""
    cores: float
    """How many cores the workers and the database used together."""


@dataclass(frozen=True)
class Shared:
    """What the workers served, by operation and number of workers."""

    cores: int
    of: Mapping[str, Mapping[int, Served]]


def measure(stage: Stage, operations: Sequence[str], rounds: int, seconds: float) -> Shared:
    """Measure each operation with each number of workers, in turns."""
    everything = {*stage.core, *stage.others}
    environment = {**stage.environment, **QUICK_HASHES}
    with (
        run_service(environment, everything, WORKERS[0]) as one,
        run_service(environment, everything, WORKERS[1]) as two,
        _unpinned(stage),
    ):
        requests = write_requests(stage, sign_up_people(stage, one, "worker"))
        taken: dict[str, dict[int, list[Served]]] = {name: {number: [] for number in WORKERS} for name in operations}
        for _ in range(rounds):
            for name in operations:
                for number, service in zip(WORKERS, (one, two), strict=True):
                    taken[name][number].append(_take_turn(stage, service, requests[name], seconds))
    medians = {
        name: {
            number: Served(median(it.rate for it in turns), median(it.cores for it in turns))
            for number, turns in by_number.items()
        }
        for name, by_number in taken.items()
    }
    return Shared(len(everything), medians)


@contextmanager
def _unpinned(stage: Stage) -> Iterator[None]:
    """Within it, the database runs on all cores."""
    database = stage.mariadb.process.pid
    pin(database, {*stage.core, *stage.others})
    try:
        yield
    finally:
        pin(database, stage.others)


def _take_turn(stage: Stage, service: Worker, requests: Sequence[str], seconds: float) -> Served:
    before = _read_cpu(stage, service)
    outcome = run(Plan(service.port, seconds, {"": Requests([[text] for text in requests])}))[""]
    used = _read_cpu(stage, service) - before
    if not all(status.startswith("2") for status in outcome.statuses):
        raise BadAnswer(f"{outcome.statuses}\n{service.log}")
    return Served(outcome.rate, used / outcome.total * outcome.rate)


def _read_cpu(stage: Stage, service: Worker) -> float:
    return service.cpu_seconds + read_cpu_seconds(stage.mariadb.process.pid)
