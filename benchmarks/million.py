"""The first and the last page of a million expenses, by day and by amount.

One connection requests the first page again and again, then the last one, in turns. The cursor of the last page is
built here from the row before it. The medians of the latencies are compared.
"""

from dataclasses import dataclass
from statistics import median
from typing import Final
from urllib.parse import urlencode

from sqlalchemy import text

from benchmarks.load import Plan, Requests, run, write_get
from benchmarks.seeding import Person, fill, sign_up
from benchmarks.stage import Stage
from benchmarks.workers import on, run_worker
from ledger.expenses.filters import ExpenseQuery
from ledger.pages import Cursor, fingerprint_query

ROWS: Final = 1_000_000
PAGE: Final = 50
# The column of each sort order, and the direction that reads it from its end.
ENDS: Final = {"-date": ("spent_on", ""), "amount": ("amount", "DESC")}


class NotThePage(Exception):
    """A page was not answered with 200."""


@dataclass(frozen=True)
class Pages:
    """Medians of the latencies of the first and of the last page, in seconds."""

    sort: str
    number: int
    """The number of the last page."""
    first: float
    last: float


def measure(stage: Stage, rounds: int, seconds: float, rows: int = ROWS) -> list[Pages]:
    """Measure both sort orders, each page for `seconds` per round."""
    with run_worker("main:app", stage.environment, stage.core) as service:
        person = sign_up(service.url, "millionaire")
        fill(stage.engine, person, rows)
        measured = []
        for sort in ENDS:
            requests = [_write_request(sort, person), _write_request(sort, person, _find_cursor(stage, sort, person))]
            with on(stage.others):
                turns = [[_measure_latency(service.port, page, seconds) for page in requests] for _ in range(rounds)]
            first, last = (median(latencies) for latencies in zip(*turns, strict=True))
            measured.append(Pages(sort, rows // PAGE, first, last))
        return measured


def _find_cursor(stage: Stage, sort: str, person: Person) -> str:
    column, backwards = ENDS[sort]
    before_last = text(
        f"SELECT {column}, id FROM expenses WHERE owner_id = :owner "  # noqa: S608  # of our own names
        f"ORDER BY {column} {backwards}, id {backwards} LIMIT 1 OFFSET {PAGE}"
    )
    with stage.engine.connect() as connection:
        value, row_id = connection.execute(before_last, {"owner": person.id}).one()
    return Cursor(
        fingerprint_query(ExpenseQuery.model_validate({"sort": sort}).dump_filters()), value, row_id, None
    ).encode()


def _write_request(sort: str, person: Person, cursor: str | None = None) -> str:
    query = {"limit": PAGE, "sort": sort} | ({"cursor": cursor} if cursor else {})
    return write_get(f"/expenses?{urlencode(query)}", person.token)


def _measure_latency(port: int, page: str, seconds: float) -> float:
    outcome = run(Plan(port, seconds, {"page": Requests([[page]])}))["page"]
    if set(outcome.statuses) != {"200"}:
        raise NotThePage(outcome.statuses)
    return outcome.median
