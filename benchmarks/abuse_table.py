"""The table of `make bench abuse`."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from benchmarks.abuse import KINDS, Measured, Row

MOST_RATIO: Final = 5.0
IDLE_LOAD: Final = 0.5
SHOWN: Final = 3
MEGABYTE: Final = 1 << 20
HEADING: Final = (
    f"{'  attack':38}{'answers':44}{'req/s':>7}{'CPU ms':>9}{'db ms':>9}{'kept MB':>9}{'RSS MB':>8}"
    f"{'GET':>7}{'POST':>8}{'sign-in':>11}   {'what bounds it':48}the other user's failures"
)


def write_abuse_table(measured: Measured) -> Iterator[str]:
    """Yield what each attack did, and at the end which of them did too much."""
    p99 = ", ".join(f"{kind} {measured.quiet.of[kind].p99 * 1e3:.1f}" for kind in KINDS)
    counts = ", ".join(f"{len(measured.quiet.of[kind].latencies)}" for kind in KINDS)
    yield ""
    yield f"{measured.title}: p99 in ms when it is quiet, {measured.when} the attacks: {p99} (of {counts})"
    if measured.load > IDLE_LOAD:
        yield f"! Something else runs here (load {measured.load:.1f} before): what is slow may be so for that."
    yield HEADING
    for row in measured.rows:
        yield write_row(measured, row)
    worst, kind, name = max(
        (ratio, kind, row.name) for row in measured.rows for kind, ratio in measured.find_ratios(row).items()
    )
    bad = [row.name for row in measured.rows if is_bad(measured, row)]
    yield f"  the worst: {worst:.1f} x, {kind} during: {name}"
    listed = f": {', '.join(bad)}" if bad else ""
    yield f"  over {MOST_RATIO:g} x or with a failure: {len(bad)} of {len(measured.rows)}{listed}"


def is_bad(measured: Measured, row: Row) -> bool:
    """Whether an attack did too much to the other user."""
    return bool(row.failures) or max(measured.find_ratios(row).values()) > MOST_RATIO


def write_row(measured: Measured, row: Row) -> str:
    """Write one attack: what the attacker got, what it cost, and the other user's p99 as multiples of quiet."""
    sent = max(1, row.attacker.sent)
    cpu = max(0.0, row.seen.cpu_seconds - measured.quiet.estimate_cpu(row.seen))
    rate, database = row.attacker.sent / row.attacker.seconds, row.database_cpu_seconds
    figures = (
        f"{rate:7.0f}{cpu / sent * 1e3:9.2f}{database / sent * 1e3:9.2f}"
        f"{row.kept_bytes / MEGABYTE:9.1f}{row.memory_bytes / MEGABYTE:8.0f}"
    )
    rated = "".join(f"{ratio:{len(kind) + 4}.1f}" for kind, ratio in measured.find_ratios(row).items())
    failures = ", ".join(f"{number} x {name}" for name, number in row.failures.most_common())
    mark = " !" if is_bad(measured, row) else "  "
    again = " (started again)" if row.is_restarted else ""
    answers = write_answers(row.attacker.answers)
    return f"  {row.name:36}{answers:44}{figures}{rated}{mark} {row.bound:48}{failures or '-'}{again}"


def write_answers(answers: Counter[str]) -> str:
    """Write the most frequent statuses with their counts, and the code of the most frequent problem."""
    statuses, problems = Counter[str](), Counter[str]()
    for answer, number in answers.items():
        status, _, code = answer.partition(" ")
        statuses[status] += number
        if code:
            problems[code] += number
    counts = " ".join(f"{number}x{status}" for status, number in statuses.most_common(SHOWN))
    return " ".join([counts or "none", *(code for code, _ in problems.most_common(1))])
