"""Requests a second of the hot operations, beside the floor and the textbook.

One worker at a time has a core to itself, which the load keeps busy; the database and the load share the others. Every
connection is another person's, so that nobody waits for his own ledger's lock. The three take turns, round by round, so
that whatever else the machine does hits all alike; what counts is the median of the rounds, and of each round's ratios.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

import httpx

from benchmarks.load import Outcome, Plan, Requests, get, post_json, run
from benchmarks.seeding import Person, fill, newest_expense, sign_up
from benchmarks.stage import Stage
from benchmarks.workers import Worker, on, running

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
# What each answer says anew.
FRESH: Final = {"id", "revision", "created_at", "updated_at", "next_cursor"}

Ask = Mapping[str, Sequence[str]]
"""An operation's requests, one for each person."""


class BadAnswer(Exception):
    """An application answered a request of the load with something else than success."""


@dataclass
class Turns:
    """What one application did with one operation, round by round."""

    rates: list[float] = field(default_factory=list)
    """Requests a second."""
    cpu: list[float] = field(default_factory=list)
    """Microseconds of the worker's CPU for one request."""
    busy: list[float] = field(default_factory=list)
    """Share of the time that the worker had its core: well below 1, something else than the worker was measured."""
    statements: float = 0
    """Statements sent to the database for one request."""


@dataclass(frozen=True)
class Throughput:
    """One operation of the three applications."""

    operation: str
    of: Mapping[str, Turns]

    def ratio(self, yardstick: str) -> float:
        """Return the service's requests a second as a multiple of a yardstick's."""
        pairs = zip(self.of["service"].rates, self.of[yardstick].rates, strict=True)
        return median(service / other for service, other in pairs)

    def cpu_ratio(self, yardstick: str) -> float:
        """Return the same by what a request costs: other programs on the machine hardly move this one."""
        pairs = zip(self.of["service"].cpu, self.of[yardstick].cpu, strict=True)
        return median(other / service for service, other in pairs)


def measure(stage: Stage, operations: Sequence[str], rounds: int, seconds: float) -> tuple[list[Throughput], list[str]]:
    """Measure these operations; return the figures, and in what the floor's answers are not the service's."""
    with ExitStack() as stack:
        workers = {
            name: stack.enter_context(running(application, stage.environment, stage.core))
            for name, application in APPLICATIONS.items()
        }
        asked = _requests(stage, _people(stage, workers["service"]))
        measured = [Throughput(operation, {name: Turns() for name in workers}) for operation in operations]
        for it in measured:
            for name, worker in workers.items():
                it.of[name].statements = _statements(stage, worker, asked[it.operation][0])
        differences = [it for operation in operations for it in _differences(workers, asked[operation][0], operation)]
        with on(stage.others):
            for _ in range(rounds):
                for it in measured:
                    for name, worker in workers.items():
                        _take_turn(it.of[name], worker, asked[it.operation], seconds)
    return measured, differences


def _people(stage: Stage, service: Worker) -> list[Person]:
    people = [sign_up(service.url, f"person{number}") for number in range(PEOPLE)]
    for person in people:
        fill(stage.engine, person, ROWS)
    return people


def _requests(stage: Stage, people: Sequence[Person]) -> Ask:
    return {
        "page": [get("/expenses?limit=50", person.token) for person in people],
        "one": [get(f"/expenses/{newest_expense(stage.engine, person)}", person.token) for person in people],
        "create": [post_json("/expenses", person.token, CREATED) for person in people],
    }


def _take_turn(turns: Turns, worker: Worker, asked: Sequence[str], seconds: float) -> None:
    before = worker.cpu_seconds
    outcome = _run(worker, Plan(worker.port, seconds, {"": Requests([[text] for text in asked])}))
    used = worker.cpu_seconds - before
    turns.rates.append(outcome.rate)
    turns.cpu.append(used / outcome.total * 1e6)
    turns.busy.append(used / outcome.total * outcome.rate)


def _statements(stage: Stage, worker: Worker, asked: str) -> float:
    plan = Plan(worker.port, 0, {"": Requests([[asked]], times=COUNTED)})
    _run(worker, plan)  # whatever is sent just once, on new connections, is behind us
    before = stage.questions()
    of_asking = stage.questions() - before
    _run(worker, plan)
    return (stage.questions() - before - 2 * of_asking) / COUNTED


def _run(worker: Worker, plan: Plan) -> Outcome:
    outcome = run(plan)[""]
    if not all(status.startswith("2") for status in outcome.statuses):
        raise BadAnswer(f"{outcome.statuses}\n{worker.log}")
    return outcome


def _differences(workers: Mapping[str, Worker], asked: str, operation: str) -> list[str]:
    """Return the members that the service answers otherwise than the floor: it would be no yardstick any more."""
    service, floor = (_members(_answer(workers[name], asked)) for name in ("service", "floor"))
    return [f"{operation}: {name}" for name in sorted({*service, *floor}) if service.get(name) != floor.get(name)]


def _answer(worker: Worker, asked: str) -> Any:  # noqa: ANN401
    head, _, body = asked.partition("\r\n\r\n")
    line, *headers = head.split("\r\n")
    method, path, _ = line.split()
    given = dict(header.split(": ", 1) for header in headers)
    return httpx.request(method, worker.url + path, headers=given, content=body, trust_env=False).json()


def _members(answer: Mapping[str, Any]) -> dict[str, Any]:
    if "items" in answer:
        return {f"items/{n}": item for n, item in enumerate(answer["items"])} | {"more": answer["next_cursor"] is None}
    return {name: value for name, value in answer.items() if name not in FRESH}
