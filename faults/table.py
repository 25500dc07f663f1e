"""The table: a row for each fault; a cell that is wrong is marked with !, and explained below the row."""

from collections.abc import Callable, Iterator
from typing import Final

from faults.journal import Outcome
from faults.run import Row

HEALED_SECONDS: Final = 10.0
FINE: Final = "503 unavailable", "503 outcome_unknown"
MARK: Final = "!"
SHOWN: Final = 5
LINE: Final = 300

Cell = tuple[str, bool]
"""What stands in a cell, and whether it is as it should be."""


def _show_lost(row: Row) -> Cell:
    return str(len(row.verdict.lost)), not row.verdict.lost


def _show_doubled(row: Row) -> Cell:
    return str(len(row.verdict.doubled)), not row.verdict.doubled


def _show_lied(row: Row) -> Cell:
    return str(len(row.verdict.lied)), not row.verdict.lied


def _show_server_errors(row: Row) -> Cell:
    errors = row.journal.server_errors()
    short = {"503 unavailable": "503", "503 outcome_unknown": "503 unknown"}
    text = ", ".join(f"{short.get(name, name)} x{number}" for name, number in sorted(errors.items()))
    return text or "none", errors.keys() <= set(FINE)


def _show_longest(row: Row) -> Cell:
    late = row.journal.late()
    return f"{max((it.seconds for it in late), default=row.longest):.1f}", not late


def _show_healed(row: Row) -> Cell:
    return ("never", False) if row.healed is None else (f"{row.healed:.1f}", row.healed <= HEALED_SECONDS)


COLUMNS: Final[dict[str, tuple[int, Callable[[Row], Cell]]]] = {
    "acked": (7, lambda row: (str(row.journal.count(Outcome.ACKNOWLEDGED)), True)),
    "refused": (8, lambda row: (str(row.journal.count(Outcome.REFUSED)), True)),
    "unknown": (8, lambda row: (str(row.unknown), True)),
    "happened": (9, lambda row: (str(row.happened), True)),
    "lost": (6, _show_lost),
    "doubled": (8, _show_doubled),
    "lied": (6, _show_lied),
    "hang s": (7, _show_longest),
    "healed s": (9, _show_healed),
    "left": (7, lambda row: (row.left_open, row.is_left_clean)),
    "check": (9, lambda row: ("ok", True) if row.check == "ok" else ("wrong", False)),
    "5xx": (0, _show_server_errors),
}
NAME_WIDTH: Final = 28


def write_heading(database: str) -> Iterator[str]:
    """Yield the lines above the rows of one database."""
    yield ""
    yield database
    yield f"  {'fault':{NAME_WIDTH}}" + "".join(f"{name:>{width}} " for name, (width, _) in COLUMNS.items())


def write_row(row: Row) -> Iterator[str]:
    """Yield the row, and below it a line for each thing that is wrong."""
    cells = [(width, *show(row)) for width, show in COLUMNS.values()]
    shown = "".join(f"{text:>{width}}{' ' if is_fine else MARK}" for width, text, is_fine in cells)
    yield f"{MARK if is_wrong(row) else ' '} {row.fault:{NAME_WIDTH}}{shown}".rstrip()
    if is_wrong(row):
        yield from (f"      {line[:LINE]}" for line in explain(row))


def is_wrong(row: Row) -> bool:
    """Whether a cell, or anything else, is not as it should be."""
    return bool(row.journal.problems) or not all(show(row)[1] for _, show in COLUMNS.values())


def explain(row: Row) -> Iterator[str]:
    """Yield what is wrong in sentences, with the seed that repeats the run and the service's own errors."""
    yield f"seed {row.seed}"
    for name, marks in (("lost", row.verdict.lost), ("doubled", row.verdict.doubled), ("lied", row.verdict.lied)):
        if marks:
            yield f"{name}: {', '.join(sorted(marks)[:SHOWN])}{' …' if len(marks) > SHOWN else ''}"
    late = sorted(row.journal.late(), key=lambda answer: answer.seconds)[-SHOWN:]
    yield from (f"a {it.kind} took {it.seconds:.1f} s: {it.status} {it.code}" for it in late)
    if row.check != "ok":
        yield f"check: {row.check}"
    yield from row.journal.problems[: 2 * SHOWN]
    yield from row.log
