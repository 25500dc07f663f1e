"""Reports, compared with the bare SQL behind them, and on a small and a large ledger.

The report of a year with 100,000 expenses by month and category takes turns with its SQL, sent through the driver,
which decodes the rows. The report of a month takes turns on ledgers of 10,000 and of 1,000,000 expenses with the same
expenses in that month: its time should depend on the month, not on the ledger.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Final
from urllib.parse import urlencode

from sqlalchemy import text

from benchmarks.load import Plan, Requests, run, write_get
from benchmarks.seeding import NEWEST, Person, fill, sign_up, spend
from benchmarks.stage import Stage
from benchmarks.workers import on, run_worker

YEAR_ROWS: Final = 100_000
YEAR_DAYS: Final = 365
SMALL, LARGE = 10_000, 1_000_000
LONG_AGO: Final = "2023-12-31"
YEAR: Final = {"from": "2025-07-01", "to": NEWEST, "group_by": ["month", "category"]}
MONTH: Final = {"period": "2026-05", "group_by": "category"}

_BARE: Final = text(
    "SELECT spent_on, category_id, currency, SUM(amount), COUNT(*), MIN(amount), MAX(amount) FROM expenses "
    "WHERE owner_id = :owner AND spent_on BETWEEN :first AND :last GROUP BY spent_on, category_id, currency"
)


class NotTheReport(Exception):
    """The report was not answered with 200."""


@dataclass(frozen=True)
class Reports:
    """Medians in seconds: of a year's report and of its bare aggregate, of a month's on a small and a large ledger."""

    rows: int
    """The number of expenses in the large ledger."""
    bare: float
    year: float
    small: float
    large: float


def measure(stage: Stage, rounds: int, seconds: float, large: int = LARGE) -> Reports:
    """Measure all four in turn, each for `seconds` per round."""
    with run_worker("main:app", stage.environment, stage.core) as service:
        spender, small, rich = (sign_up(service.url, name) for name in ("spender", "beginner", "veteran"))
        fill(stage.engine, spender, YEAR_ROWS, YEAR_DAYS)
        fill(stage.engine, small, SMALL)
        fill(stage.engine, rich, SMALL)
        spend(stage.engine, rich, large - SMALL, LONG_AGO, 3_650)
        turns: list[Callable[[], float]] = [
            lambda: _measure_bare(stage, spender, seconds),
            lambda: _measure_latency(service.port, spender, YEAR, seconds),
            lambda: _measure_latency(service.port, small, MONTH, seconds),
            lambda: _measure_latency(service.port, rich, MONTH, seconds),
        ]
        with on(stage.others):
            measured = [[turn() for turn in turns] for _ in range(rounds)]
        return Reports(large, *(median(latencies) for latencies in zip(*measured, strict=True)))


def _measure_bare(stage: Stage, person: Person, seconds: float) -> float:
    parameters = {"owner": person.id, "first": YEAR["from"], "last": YEAR["to"]}
    latencies = []
    with stage.engine.connect() as connection:
        end = perf_counter() + seconds
        while perf_counter() < end:
            began = perf_counter()
            connection.execute(_BARE, parameters).fetchall()
            latencies.append(perf_counter() - began)
    return median(latencies)


def _measure_latency(port: int, person: Person, query: Mapping[str, object], seconds: float) -> float:
    request = write_get(f"/reports/spending?{urlencode(query, doseq=True)}", person.token)
    outcome = run(Plan(port, seconds, {"report": Requests([[request]])}))["report"]
    if set(outcome.statuses) != {"200"}:
        raise NotTheReport(outcome.statuses)
    return outcome.median
