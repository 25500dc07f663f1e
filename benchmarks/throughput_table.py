"""The table of the most frequent operations: the service beside the floor and the textbook, through one driver."""

from collections.abc import Callable, Iterator, Sequence
from statistics import median
from typing import Final

from benchmarks.throughput import APPLICATIONS, Compared, Throughput, Turns
from benchmarks.verdicts import judge_at_least

# At least this share of the floor's requests a second, by driver and operation.
OF_FLOOR: Final = {
    "aiomysql": {"page": 0.72, "one": 0.68, "create": 0.55},
    "asyncmy": {"page": 0.60, "one": 0.55, "create": 0.45},
}
# At least so many times the textbook's.
OF_TEXTBOOK: Final = {"page": 1.6, "one": 2.0, "create": 1.8}
RATIOS: Final = ("of floor", "x textbook")
BUSY: Final = 0.85
PAGE: Final = 50
MEGABYTE: Final = 1 << 20

Write = Callable[[Turns], str]


def write_throughput_table(compared: Compared) -> Iterator[str]:
    """Yield requests a second and CPU time with their ratios to the yardsticks, latencies, statements and memory."""
    rows = compared.rows
    alone = [row for row in rows if row.operation.part != "writers"]
    yield ""
    yield _format_heading(f"requests/s, {compared.driver}", RATIOS)
    for row in rows:
        yield _format_row(row, lambda turns: f"{median(turns.rates):.0f}", _judge(compared.driver, row))
    yield _format_heading("CPU of a request, us", RATIOS)
    for row in rows:
        ratios = [f"{row.cpu_ratio(of):.2f}" for of in ("floor", "textbook")]
        yield _format_row(row, lambda turns: f"{median(turns.cpu):.0f}", ratios)
    yield from _write_block("median latency, ms", rows, lambda turns: f"{median(turns.medians) * 1e3:.2f}")
    yield from _write_block("p99 of latency, ms", rows, lambda turns: f"{median(turns.p99) * 1e3:.2f}")
    yield from _write_block("statements of a request", alone, lambda turns: f"{turns.statements:g}")
    yield from _write_block("the worker had its core", rows, lambda turns: f"{median(turns.busy):.0%}")
    yield _format_heading("memory after the run")
    yield _format("  MB resident", [f"{compared.resident[name] / MEGABYTE:.0f}" for name in APPLICATIONS])
    yield from _write_sum(alone)
    if any(median(turns.busy) < BUSY for row in alone for turns in row.of.values()):
        yield (
            "! A worker did not have its core all the time: the database, the load or another program held it up. "
            "CPU of a request says more here than requests a second."
        )
    if compared.differences:
        yield f"! The floor does not answer as the service does, and has to follow: {'; '.join(compared.differences)}"


def _judge(driver: str, row: Throughput) -> list[str]:
    """Write the ratios of requests a second, with the goals of those operations that have any."""
    name, of_floor, of_textbook = row.operation.title, row.ratio("floor"), row.ratio("textbook")
    if name not in OF_TEXTBOOK:
        return [f"{of_floor:.2f}", f"{of_textbook:.2f}"]
    return [judge_at_least(of_floor, OF_FLOOR[driver][name]), judge_at_least(of_textbook, OF_TEXTBOOK[name])]


def _write_block(title: str, rows: Sequence[Throughput], write_figure: Write) -> Iterator[str]:
    if rows:
        yield _format_heading(title)
    for row in rows:
        yield _format_row(row, write_figure)


def _write_sum(rows: Sequence[Throughput]) -> Iterator[str]:
    """Yield what one core serves in a second."""
    rates = {row.operation.title: median(row.of["service"].rates) for row in rows}
    served = []
    if "page" in rates:
        served += [f"{rates['page']:,.0f} pages", f"{rates['page'] * PAGE:,.0f} rows"]
    if "create" in rates:
        served.append(f"{rates['create']:,.0f} creates")
    if served:
        yield f"one core serves {', '.join(served)} a second"


def _format_heading(title: str, ratios: Sequence[str] = ()) -> str:
    return _format(title, list(APPLICATIONS), ratios)


def _format_row(row: Throughput, write_figure: Write, ratios: Sequence[str] = ()) -> str:
    return _format(f"  {row.operation.title}", [write_figure(row.of[name]) for name in APPLICATIONS], ratios)


def _format(title: str, figures: Sequence[str], ratios: Sequence[str] = ()) -> str:
    return (
        f"{title:26}" + "".join(f"{it:>10}" for it in figures) + "".join(f"   {ratio:15}" for ratio in ratios)
    ).rstrip()
