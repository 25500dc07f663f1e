"""Requests a second of the most frequent operations, for the service, the floor and the textbook.

One worker at a time runs on a core of its own, which the load keeps busy; the database and the load share the others.
Each connection belongs to another user, so that no request waits for its own ledger's lock. The three applications take
turns, so that other programs on the machine disturb all three alike. The results are medians of the rounds, and of the
ratios of each round.
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
OPERATIONS: Final = ("page", "one", "create")
PEOPLE: Final = 8
ROWS: Final = 2_000
COUNTED: Final = 200
# Older than every seeded expense, so that the first page stays the same while expenses are created.
CREATED: Final = {
    "amount": "12.50",
    "currency": "EUR",
    "date": "2020-02-02",
    "category": "Groceries",
    "description": "Apples and bread from the market",
}
# Fields whose values differ between two answers.
FRESH: Final = {"id", "revision", "created_at", "updated_at", "next_cursor"}

Ask = Mapping[str, Sequence[str]]
"""An operation's requests, one for each person."""


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
    statements: float = 0
    """Statements per request that the database received."""


@dataclass(frozen=True)
class Throughput:
    """The figures of one operation, by application."""

    operation: str
    of: Mapping[str, Turns]

    def ratio(self, yardstick: str) -> float:
        """Return the service's requests a second divided by a yardstick's."""
        pairs = zip(self.of["service"].rates, self.of[yardstick].rates, strict=True)
        return median(service / other for service, other in pairs)

    def cpu_ratio(self, yardstick: str) -> float:
        """Return the same by CPU time per request, on which other programs on the machine have little influence."""
        pairs = zip(self.of["service"].cpu, self.of[yardstick].cpu, strict=True)
        return median(other / service for service, other in pairs)


def measure(stage: Stage, operations: Sequence[str], rounds: int, seconds: float) -> tuple[list[Throughput], list[str]]:
    """Measure these operations; return the figures, and the fields in which the floor's answers differ."""
    with ExitStack() as stack:
        workers = {
            name: stack.enter_context(run_worker(application, stage.environment, stage.core))
            for name, application in APPLICATIONS.items()
        }
        requests = _write_requests(stage, _sign_up_people(stage, workers["service"]))
        measured = [Throughput(operation, {name: Turns() for name in workers}) for operation in operations]
        for row in measured:
            for name, worker in workers.items():
                row.of[name].statements = _count_statements(stage, worker, requests[row.operation][0])
        differences = [
            name for operation in operations for name in _find_differences(workers, requests[operation][0], operation)
        ]
        with on(stage.others):
            for _ in range(rounds):
                for row in measured:
                    for name, worker in workers.items():
                        _take_turn(row.of[name], worker, requests[row.operation], seconds)
    return measured, differences


def _sign_up_people(stage: Stage, service: Worker) -> list[Person]:
    people = [sign_up(service.url, f"person{number}") for number in range(PEOPLE)]
    for person in people:
        fill(stage.engine, person, ROWS)
    return people


def _write_requests(stage: Stage, people: Sequence[Person]) -> Ask:
    return {
        "page": [write_get("/expenses?limit=50", person.token) for person in people],
        "one": [write_get(f"/expenses/{find_newest_expense(stage.engine, person)}", person.token) for person in people],
        "create": [write_post_json("/expenses", person.token, CREATED) for person in people],
    }


def _take_turn(turns: Turns, worker: Worker, requests: Sequence[str], seconds: float) -> None:
    before = worker.cpu_seconds
    outcome = _run(worker, Plan(worker.port, seconds, {"": Requests([[text] for text in requests])}))
    used = worker.cpu_seconds - before
    turns.rates.append(outcome.rate)
    turns.cpu.append(used / outcome.total * 1e6)
    turns.busy.append(used / outcome.total * outcome.rate)


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
