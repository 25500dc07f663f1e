"""Requests a second of the most frequent operations, for the service, the floor and the textbook, through one driver.

One worker at a time runs on a core of its own, which the load keeps busy; the database and the load share the others.
Each connection belongs to another user, so that no request waits for its own ledger's lock. The three applications take
turns, so that other programs on the machine disturb all three alike. The results are medians of the rounds, and of the
ratios of each round.

With `writers`, 16 connections create expenses: once all of them for one user, whose ledger's lock they wait for, and
once each for another user.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

import httpx

from benchmarks.load import Outcome, Plan, Requests, run, write_get, write_post_json
from benchmarks.seeding import Person, fill, find_newest_expense, sign_up
from benchmarks.stage import Stage
from benchmarks.workers import Worker, on, run_worker

APPLICATIONS: Final = {"service": "main:app", "floor": "benchmarks.floor:app", "textbook": "benchmarks.textbook:app"}
PEOPLE: Final = 8
WRITERS: Final = 16
ROWS: Final = 2_000
COUNTED: Final = 200
# Nobody signs in while something is measured, so the accounts may be opened quickly.
QUICK_HASHES: Final = {"BCRYPT_ROUNDS": "4"}
# Older than every seeded expense, so that the first page stays the same while expenses are created.
CREATED: Final = {
    "amount": "12.50",
    "currency": "EUR",
    "date": "2020-02-02",
    "category": "Groceries",
    "payee": "Payee 1",
    "description": "Apples and bread from the market",
}
# Fields whose values differ between two answers.
FRESH: Final = {"id", "revision", "created_at", "updated_at", "next_cursor"}


@dataclass(frozen=True)
class Operation:
    """What is requested, over how many connections and for how many users."""

    title: str
    part: str
    """The name in the command line."""
    request: str
    connections: int = PEOPLE
    people: int = PEOPLE


SINGLE: Final = ("page", "one", "create")
OPERATIONS: Final = (
    *(Operation(name, name, name) for name in SINGLE),
    Operation(f"create, {WRITERS} of 1 user", "writers", "create", WRITERS, 1),
    Operation(f"create, {WRITERS} of {WRITERS} users", "writers", "create", WRITERS, WRITERS),
)
PARTS: Final = tuple(dict.fromkeys(operation.part for operation in OPERATIONS))

Ask = Mapping[str, Sequence[str]]
"""The requests by their names, one for each person."""


class BadAnswer(Exception):
    """An application answered a request with another status than 2xx."""


@dataclass
class Turns:
    """The figures of one application and operation, by round."""

    rates: list[float] = field(default_factory=list)
    """Requests a second."""
    cpu: list[float] = field(default_factory=list)
    """CPU time of the worker per request, in microseconds."""
    busy: list[float] = field(default_factory=list)
    """The share of the time in which the worker used its core; well below 1, something else was the bottleneck."""
    medians: list[float] = field(default_factory=list)
    """The median latency, in seconds."""
    p99: list[float] = field(default_factory=list)
    """The 99th percentile of the latencies, in seconds."""
    statements: float = 0
    """Statements per request that the database received."""


@dataclass(frozen=True)
class Throughput:
    """The figures of one operation, by application."""

    operation: Operation
    of: Mapping[str, Turns]

    def ratio(self, yardstick: str) -> float:
        """Return the service's requests a second divided by a yardstick's."""
        pairs = zip(self.of["service"].rates, self.of[yardstick].rates, strict=True)
        return median(service / other for service, other in pairs)

    def cpu_ratio(self, yardstick: str) -> float:
        """Return the same by CPU time per request, on which other programs on the machine have little influence."""
        pairs = zip(self.of["service"].cpu, self.of[yardstick].cpu, strict=True)
        return median(other / service for service, other in pairs)


@dataclass(frozen=True)
class Compared:
    """All figures of one driver."""

    driver: str
    rows: Sequence[Throughput]
    resident: Mapping[str, int]
    """The memory of each application's worker after its last turn, in bytes."""
    differences: Sequence[str]
    """The fields in which the floor's answers differ from the service's."""


def measure(stage: Stage, driver: str, operations: Sequence[Operation], rounds: int, seconds: float) -> Compared:
    """Measure these operations through this driver."""
    environment = {**stage.through(driver).environment, **QUICK_HASHES}
    with ExitStack() as stack:
        workers = {
            name: stack.enter_context(run_worker(application, environment, stage.core))
            for name, application in APPLICATIONS.items()
        }
        requests = write_requests(stage, sign_up_people(stage, workers["service"], driver))
        rows = [Throughput(operation, {name: Turns() for name in workers}) for operation in operations]
        for row in rows:
            for name, worker in workers.items() if row.operation.title in SINGLE else ():
                row.of[name].statements = _count_statements(stage, worker, requests[row.operation.request][0])
        asked = dict.fromkeys(operation.request for operation in operations)
        differences = [it for name in asked for it in _find_differences(workers, requests[name][0], name)]
        with on(stage.others):
            for _ in range(rounds):
                for row in rows:
                    for name, worker in workers.items():
                        _take_turn(row.of[name], worker, _spread(row.operation, requests), seconds)
        return Compared(driver, rows, {name: it.resident_bytes for name, it in workers.items()}, differences)


def sign_up_people(stage: Stage, service: Worker, prefix: str) -> list[Person]:
    """Sign up a person for each writer, with 2,000 expenses of two years."""
    people = [sign_up(service.url, f"{prefix}-person{number}") for number in range(WRITERS)]
    for person in people:
        fill(stage.engine, person, ROWS)
    return people


def write_requests(stage: Stage, people: Sequence[Person]) -> Ask:
    """Write the requests of these people."""
    return {
        "page": [write_get("/expenses?limit=50", person.token) for person in people],
        "one": [write_get(f"/expenses/{find_newest_expense(stage.engine, person)}", person.token) for person in people],
        "create": [write_post_json("/expenses", person.token, CREATED) for person in people],
    }


def _spread(operation: Operation, requests: Ask) -> list[str]:
    """Return the request of each connection."""
    return [requests[operation.request][number % operation.people] for number in range(operation.connections)]


def _take_turn(turns: Turns, worker: Worker, requests: Sequence[str], seconds: float) -> None:
    before = worker.cpu_seconds
    outcome = _run(worker, Plan(worker.port, seconds, {"": Requests([[text] for text in requests])}))
    used = worker.cpu_seconds - before
    turns.rates.append(outcome.rate)
    turns.cpu.append(used / outcome.total * 1e6)
    turns.busy.append(used / outcome.total * outcome.rate)
    turns.medians.append(outcome.median)
    turns.p99.append(outcome.p99)


def _count_statements(stage: Stage, worker: Worker, request: str) -> float:
    plan = Plan(worker.port, 0, {"": Requests([[request]], times=COUNTED)})
    _run(worker, plan)  # new connections send some statements once
    before = stage.questions()
    of_asking = stage.questions() - before
    _run(worker, plan)
    return (stage.questions() - before - 2 * of_asking) / COUNTED


def _run(worker: Worker, plan: Plan) -> Outcome:
    outcome = run(plan)[""]
    if not all(status.startswith("2") for status in outcome.statuses):
        raise BadAnswer(f"{outcome.statuses}\n{worker.log}")
    return outcome


def _find_differences(workers: Mapping[str, Worker], request: str, operation: str) -> list[str]:
    """Return the fields in which the floor's answer differs from the service's: the floor must then be adapted."""
    service, floor = (_list_members(_read_answer(workers[name], request)) for name in ("service", "floor"))
    return [f"{operation}: {name}" for name in sorted({*service, *floor}) if service.get(name) != floor.get(name)]


def _read_answer(worker: Worker, request: str) -> Any:  # noqa: ANN401
    head, _, body = request.partition("\r\n\r\n")
    line, *headers = head.split("\r\n")
    method, path, _ = line.split()
    sent_headers = dict(header.split(": ", 1) for header in headers)
    return httpx.request(method, worker.url + path, headers=sent_headers, content=body, trust_env=False).json()


def _list_members(answer: Mapping[str, Any]) -> dict[str, Any]:
    if "items" in answer:
        return {f"items/{n}": item for n, item in enumerate(answer["items"])} | {"more": answer["next_cursor"] is None}
    return {name: value for name, value in answer.items() if name not in FRESH}
