"""The export of 100,000 expenses as CSV, compared with the bare SELECT behind it through the same driver.

The two take turns. The client of the export reads as fast as it can, on the cores that the service does not use.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection
from statistics import median
from time import perf_counter
from typing import Final

from benchmarks.bare_select import measure_select
from benchmarks.seeding import Person, fill, sign_up
from benchmarks.stage import Stage
from benchmarks.verdicts import judge_at_least, write_ms
from benchmarks.workers import on, run_worker

ROWS: Final = 100_000
OF_BARE: Final = 0.4
"""At least this share of the SELECT's speed."""
PIECE: Final = 1 << 16


class NotTheFile(Exception):
    """The export was not answered with all expenses."""


@dataclass(frozen=True)
class Exports:
    """Medians in seconds, through one driver: of the bare SELECT and of the whole export."""

    driver: str
    rows: int
    bare: float
    export: float
    grown: int
    """Bytes that the memory of the service has grown by in all exports but the first."""


def measure(stage: Stage, driver: str, rounds: int, rows: int = ROWS) -> Exports:
    """Measure both in turn, through this driver."""
    stage = stage.through(driver)
    with run_worker("main:app", stage.environment, stage.core) as service:
        person = sign_up(service.url, f"{driver}-exporter")
        fill(stage.engine, person, rows)
        _export(service.port, person, rows)
        resident = service.resident_bytes
        with on(stage.others):
            turns = [
                (measure_select(stage.environment, person.id, stage.core), _export(service.port, person, rows))
                for _ in range(rounds)
            ]
        bare, export = (median(seconds) for seconds in zip(*turns, strict=True))
        return Exports(driver, rows, bare, export, service.resident_bytes - resident)


def _export(port: int, person: Person, rows: int) -> float:
    began, lines = perf_counter(), 0
    with closing(HTTPConnection("127.0.0.1", port)) as client:
        client.request("GET", "/expenses/export", headers={"Authorization": f"Bearer {person.token}"})
        answer = client.getresponse()
        while piece := answer.read(PIECE):
            lines += piece.count(b"\n")
    if (answer.status, lines) != (HTTPStatus.OK, rows + 1):
        raise NotTheFile(answer.status, lines)
    return perf_counter() - began


def write_exports_table(exports: Exports) -> Iterator[str]:
    """Yield the times of an export and of its bare SELECT, and how much of the SELECT's speed the export has."""
    ratio = judge_at_least(exports.bare / exports.export, OF_BARE)
    title = f"ms, {exports.rows:,} expenses, {exports.driver}"
    yield ""
    yield f"{title:34}{'SELECT':>10}{'export':>10}   of its speed"
    yield f"{'  GET /expenses/export, csv':34}{write_ms(exports.bare)}{write_ms(exports.export)}   {ratio}"
    yield f"{'  MB that the service has grown by':44}{exports.grown / (1 << 20):>10.1f}"
