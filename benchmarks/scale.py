"""How long ledgers of different sizes take to read: which sizes each of the two databases is for.

Three accounts have the same ten years, with fewer or more expenses. They are filled on MariaDB, and copied row by row
to an SQLite file, so that both databases answer for the same ledgers. Every question is asked a few times, without a
warm-up, as by somebody who has just opened the app.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final
from urllib.parse import urlencode

import httpx
from sqlalchemy import Connection, insert, make_url, select

import migrations
from benchmarks.load import Plan, Requests, run, write_get, write_post_json
from benchmarks.seeding import CATEGORIES, NEWEST, Person, fill, sign_up
from benchmarks.stage import Stage
from benchmarks.workers import Worker, on, run_worker
from infra.engines import make_blocking_engine
from models import Budget, Category, Expense, LedgerState, Session, User

# What an account that reads and writes expenses needs.
TABLES: Final = (User, LedgerState, Session, Category, Budget, Expense)
# The last one is almost the most that a ledger may hold.
SIZES: Final = (10_000, 100_000, 990_000)
# Ten years; no multiple of the ten categories, so that each of them is spent on every day.
DAYS: Final = 3_651
TIMES: Final = 3
CHUNK: Final = 10_000
ALL_YEARS: Final = {"from": "2016-07-01", "to": NEWEST, "group_by": ["month", "category"]}
ONE_YEAR: Final = {**ALL_YEARS, "from": "2025-07-01"}
# Nothing is found, so every description is looked at.
NOWHERE: Final = {"q": "zeppelin"}
EXPENSE: Final = {"amount": "12.50", "currency": "EUR", "date": NEWEST, "category": CATEGORIES[0]}


@dataclass(frozen=True)
class Question:
    """A request, and how many clients of the account send it at once."""

    title: str
    path: str
    query: Mapping[str, object]
    clients: int = 1
    body: Mapping[str, str] | None = None

    def write(self, person: Person) -> str:
        """Write the request as HTTP/1.1 text."""
        if self.body:
            return write_post_json(self.path, person.token, self.body)
        return write_get(f"{self.path}?{urlencode(self.query, doseq=True)}", person.token)


QUESTIONS: Final = (
    Question("a page of the list", "/expenses", {"limit": 50}),
    Question("a new expense", "/expenses", {}, body=EXPENSE),
    Question("a page of the changes", "/changes", {"since": 0}),
    Question("the status of ten budgets", "/budgets/status", {"on": NEWEST}),
    Question("a search that finds nothing", "/expenses", NOWHERE),
    Question("a year by month, category", "/reports/spending", ONE_YEAR),
    Question("ten years by month, category", "/reports/spending", ALL_YEARS),
    Question("  and five of these at once", "/reports/spending", ALL_YEARS, clients=5),
)


@dataclass(frozen=True)
class Answered:
    """The median latency in seconds, and how many answers had which status."""

    median: float
    statuses: Mapping[str, int]

    @property
    def is_fine(self) -> bool:
        """Whether every answer was a success."""
        return all(status.startswith("2") for status in self.statuses)


@dataclass(frozen=True)
class Scale:
    """What one database answered: for each question, one entry a size."""

    database: str
    sizes: Sequence[int]
    answers: Mapping[str, Sequence[Answered]]


def measure(stage: Stage, sizes: Sequence[int] = SIZES) -> Iterator[Scale]:
    """Fill the ledgers, and measure them on MariaDB and then on SQLite."""
    with run_worker("main:app", stage.environment, stage.core) as service:
        people = [_settle(stage, service, size) for size in sizes]
        yield Scale("MariaDB", sizes, _ask_everything(stage, service, people))
    with TemporaryDirectory(prefix="expenses-bench-") as folder:
        url = f"sqlite+aiosqlite:///{Path(folder) / 'expenses.db'}"
        _copy_to_sqlite(stage, url)
        with run_worker("main:app", {**stage.environment, "DATABASE_URL": url}, stage.core) as service:
            yield Scale("SQLite", sizes, _ask_everything(stage, service, people))


def _settle(stage: Stage, service: Worker, size: int) -> Person:
    """Sign up a person with ten categories, a budget for each of them, and expenses in ten years."""
    person = sign_up(service.url, f"household-of-{size}")
    fill(stage.engine, person, size, DAYS)
    signed_in = {"Authorization": f"Bearer {person.token}"}
    with httpx.Client(base_url=service.url, trust_env=False, timeout=30, headers=signed_in) as client:
        for name in CATEGORIES:
            budget = {"category": name, "amount": "4000", "currency": "EUR", "period": "month"}
            client.post("/budgets", json=budget).raise_for_status()
    return person


def _copy_to_sqlite(stage: Stage, url: str) -> None:
    migrations.upgrade(url)
    target = make_blocking_engine(migrations.make_sync_url(make_url(url)))
    with stage.engine.connect() as source, target.begin() as connection:
        _copy_tables(source.execution_options(yield_per=CHUNK), connection)


def _copy_tables(source: Connection, target: Connection) -> None:
    for table in TABLES:
        for rows in source.execute(select(table.__table__)).mappings().partitions():
            target.execute(insert(table), [dict(row) for row in rows])


def _ask_everything(stage: Stage, service: Worker, people: Sequence[Person]) -> dict[str, list[Answered]]:
    with on(stage.others):
        return {it.title: [_ask(service, it, person) for person in people] for it in QUESTIONS}


def _ask(service: Worker, question: Question, person: Person) -> Answered:
    group = Requests([[question.write(person)]] * question.clients, times=TIMES)
    outcome = run(Plan(service.port, 0, {"question": group}))["question"]
    return Answered(median(outcome.latencies), outcome.statuses)
