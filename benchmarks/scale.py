"""What a request costs with small and large ledgers: which sizes each of the two databases is for.

Four accounts have the same ten years, with fewer or more expenses. They are filled on MariaDB, and copied row by row
to an SQLite file, so that both databases answer for the same ledgers.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import Final

from sqlalchemy import Connection, insert, make_url, select

import migrations
from benchmarks.questions import QUESTIONS, Answered, Asker, ask
from benchmarks.seeding import fill, find_newest_expense, set_budgets, sign_up
from benchmarks.stage import Stage
from benchmarks.throughput import QUICK_HASHES
from benchmarks.workers import Worker, on, read_cpu_seconds, run_worker
from infra.engines import make_blocking_engine
from models import Budget, Category, Expense, LedgerState, Payee, Session, Tag, TagSet, User

# What an account that reads and writes expenses needs.
TABLES: Final = (User, LedgerState, Session, Category, Payee, Tag, TagSet, Budget, Expense)
# The last one is almost the most that a ledger may hold.
SIZES: Final = (1_000, 10_000, 100_000, 990_000)
# Ten years; no multiple of the ten categories, so that each of them is spent on every day.
DAYS: Final = 3_651
MOST_PAYEES: Final = 20_000
# Expenses of each payee.
USES: Final = 10
CHUNK: Final = 10_000
# After a million inserts the database tidies up for a while, which is no cost of the requests that follow.
LONGEST_REST: Final = 60
REST_SECONDS: Final = 0.5
RESTING: Final = 0.03


@dataclass(frozen=True)
class Scale:
    """What was answered at each size of something: for the title of each question, one entry a size."""

    title: str
    sizes: Sequence[int]
    answers: Mapping[str, Sequence[Answered]]
    reasons: Mapping[str, str]
    """Why a question has to cost more at a larger size; those that should not are left out."""


def measure(stage: Stage, sizes: Sequence[int] = SIZES) -> Iterator[Scale]:
    """Fill the ledgers, and measure them on MariaDB and then on SQLite."""
    reasons = {question.title: question.reads for question in QUESTIONS if question.reads}
    environment = {**stage.environment, **QUICK_HASHES}
    with run_worker("main:app", environment, stage.core) as service:
        askers = [_settle(stage, service, size) for size in sizes]
        rest(stage)
        answers = _ask_everything(stage, service, stage.mariadb.process.pid, askers)
        yield Scale("expenses of the user, MariaDB", sizes, answers, reasons)
    with TemporaryDirectory(prefix="expenses-bench-") as folder:
        url = f"sqlite+aiosqlite:///{Path(folder) / 'expenses.db'}"
        _copy_to_sqlite(stage, url)
        with run_worker("main:app", {**environment, "DATABASE_URL": url}, stage.core) as service:
            answers = _ask_everything(stage, service, 0, askers)
            yield Scale("expenses of the user, SQLite", sizes, answers, reasons)


def rest(stage: Stage) -> None:
    """Wait until the database has nothing left to do."""
    end = monotonic() + LONGEST_REST
    spent = 1.0
    while spent > RESTING * REST_SECONDS and monotonic() < end:
        before = read_cpu_seconds(stage.mariadb.process.pid)
        sleep(REST_SECONDS)
        spent = read_cpu_seconds(stage.mariadb.process.pid) - before


def _settle(stage: Stage, service: Worker, size: int) -> Asker:
    """Sign up a person with ten categories, a budget for each of them, and expenses in ten years."""
    person = sign_up(service.url, f"household-of-{size}")
    fill(stage.engine, person, size, DAYS, min(MOST_PAYEES, size // USES))
    set_budgets(service.url, person)
    return Asker(person, find_newest_expense(stage.engine, person))


def _copy_to_sqlite(stage: Stage, url: str) -> None:
    migrations.upgrade(url)
    target = make_blocking_engine(migrations.make_sync_url(make_url(url)))
    with stage.engine.connect() as source, target.begin() as connection:
        _copy_tables(source.execution_options(yield_per=CHUNK), connection)


def _copy_tables(source: Connection, target: Connection) -> None:
    for table in TABLES:
        for rows in source.execute(select(table.__table__)).mappings().partitions():
            target.execute(insert(table), [dict(row) for row in rows])


def _ask_everything(stage: Stage, service: Worker, database: int, askers: Sequence[Asker]) -> dict[str, list[Answered]]:
    with on(stage.others):
        return {it.title: [ask(service, database, it, asker) for asker in askers] for it in QUESTIONS}
