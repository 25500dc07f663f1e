"""The import of 50,000 rows of a bank's CSV, compared with the bare INSERTs behind it through the same driver.

Each round has a user of its own, who previews the file and then imports it; the INSERTs write the same rows once more.
The service reads the file in a process of its own, on the core of the service.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from http import HTTPStatus
from http.client import HTTPConnection
from statistics import median
from time import perf_counter
from typing import Final

from benchmarks.bare_insert import measure_insert
from benchmarks.seeding import CATEGORIES, DAYS, NEWEST, PAYEES, PHRASES, Person, sign_up
from benchmarks.stage import Stage
from benchmarks.verdicts import judge_at_most, write_ms
from benchmarks.workers import Worker, on, run_worker

ROWS: Final = 50_000
TO_BARE: Final = 3.0
"""At most so many times as long as the INSERTs."""
BOUNDARY: Final = "end-of-the-field"
FILES: Final = "multipart/form-data"
"""The media type of a form with a file, which also names the boundary."""


class NotImported(Exception):
    """The import was not answered with all rows as new."""


@dataclass(frozen=True)
class Imports:
    """Medians in seconds, through one driver: of the bare INSERTs, of a preview and of the import."""

    driver: str
    rows: int
    bare: float
    preview: float
    real: float
    grown: int
    """Bytes that the memory of the service has grown by in all imports but the first."""


def measure(stage: Stage, driver: str, rounds: int, rows: int = ROWS) -> Imports:
    """Measure the three in turn, through this driver."""
    stage, statement = stage.through(driver), write_statement(rows)
    with run_worker("main:app", stage.environment, stage.core) as service:
        _measure_round(stage, service, f"{driver}-importer", statement)
        resident = service.resident_bytes
        with on(stage.others):
            turns = [
                _measure_round(stage, service, f"{driver}-importer-{number}", statement) for number in range(rounds)
            ]
        bare, preview, real = (median(seconds) for seconds in zip(*turns, strict=True))
        return Imports(driver, rows, bare, preview, real, service.resident_bytes - resident)


def write_statement(rows: int) -> str:
    """Return a bank's statement: days first, comma as the decimal sign, the oldest row first."""
    oldest = date.fromisoformat(NEWEST) - timedelta(days=DAYS)
    lines = ["Date;Payee;Description;Category;Amount;Currency"]
    for number in range(rows):
        day = oldest + timedelta(days=number * DAYS // rows)
        spent = f"{1 + number * 7919 % 499},{number % 100:02}"
        words = f"Payee {number * 7 % PAYEES};{PHRASES[number % len(PHRASES)]} {number}"
        lines.append(f"{day:%d.%m.%Y};{words};{CATEGORIES[number % len(CATEGORIES)]};-{spent};EUR")
    return "\r\n".join([*lines, ""])


def write_form(statement: str, fields: Mapping[str, str]) -> str:
    """Write the body of a request that imports a statement."""
    parts = {**fields, 'file"; filename="statement.csv': statement}
    start = f"--{BOUNDARY}\r\nContent-Disposition: form-data; name="
    return "".join(f'{start}"{name}"\r\n\r\n{value}\r\n' for name, value in parts.items()) + f"--{BOUNDARY}--\r\n"


def _measure_round(stage: Stage, service: Worker, name: str, statement: str) -> tuple[float, float, float]:
    person = sign_up(service.url, name)
    preview = _send(service.port, person, statement, dry_run=True)
    real = _send(service.port, person, statement, dry_run=False)
    return measure_insert(stage.environment, person.id, stage.core), preview, real


def _send(port: int, person: Person, statement: str, *, dry_run: bool) -> float:
    body = write_form(statement, {"rows": "0", "dry_run": "true" if dry_run else "false"}).encode()
    headers = {
        "Authorization": f"Bearer {person.token}",
        "Content-Type": f"{FILES}; boundary={BOUNDARY}",
    }
    began = perf_counter()
    with closing(HTTPConnection("127.0.0.1", port)) as client:
        client.request("POST", "/imports", body, headers)
        answer = client.getresponse()
        answered = answer.read()
    seconds = perf_counter() - began
    expected = HTTPStatus.OK if dry_run else HTTPStatus.CREATED
    rows = statement.count("\n") - 1
    if answer.status != expected or f'"new":{rows},'.encode() not in answered:
        raise NotImported(answer.status, answered[:500])
    return seconds


def write_imports_table(imports: Imports) -> Iterator[str]:
    """Yield the times of a preview, of an import and of its bare INSERTs, and how many times as long it takes."""
    title = f"ms, {imports.rows:,} rows, {imports.driver}"
    yield ""
    yield f"{title:34}{'INSERTs':>10}{'import':>10}   times as long"
    preview = judge_at_most(imports.preview / imports.bare, TO_BARE)
    yield f"{'  POST /imports, dry_run':34}{write_ms(imports.bare)}{write_ms(imports.preview)}   {preview}"
    real = judge_at_most(imports.real / imports.bare, TO_BARE)
    yield f"{'  POST /imports':34}{write_ms(imports.bare)}{write_ms(imports.real)}   {real}"
    yield f"{'  MB that the service has grown by':44}{imports.grown / (1 << 20):>10.1f}"
