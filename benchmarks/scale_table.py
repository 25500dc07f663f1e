"""The tables of `make bench scale`: what a request costs as its ledger, the users and the workers become more."""

from collections.abc import Iterator, Sequence
from typing import Final

from benchmarks.questions import Answered
from benchmarks.scale import Scale
from benchmarks.second_worker import WORKERS, Shared
from benchmarks.verdicts import write_ms

# The longest that somebody should wait for an answer, in seconds.
PATIENCE: Final = 5.0
# What costs so many times as much at the largest size has grown; less is the noise of the machine.
GROWN: Final = 1.5
BUSY: Final = 0.85


def write_scale_table(measured: Scale) -> Iterator[str]:
    """Yield CPU times as multiples of that at the smallest size, latencies, and why some of them grow.

    What takes too long, and what was not answered, is marked.
    """
    sizes = "".join(f"{size:>12,}" for size in measured.sizes)
    yield ""
    yield f"{measured.title:34}{sizes}"
    yield "CPU of service and database: ms, and then how many times as much"
    for title, answers in measured.answers.items():
        cells = [_write_cpu(answers[0]), *(_write_ratio(answers[0], answer) for answer in answers[1:])]
        yield f"{f'  {title}':34}{''.join(cells)}".rstrip()
    yield "median latency, ms"
    for title, answers in measured.answers.items():
        yield f"{f'  {title}':34}{''.join(map(_write_latency, answers))}".rstrip()
    yield from _explain_growth(measured)


def _explain_growth(measured: Scale) -> Iterator[str]:
    """Yield why the questions that grow must do so; mark those that need not."""
    grown = {title: _compute_growth(answers) for title, answers in measured.answers.items()}
    if not any(growth > GROWN for growth in grown.values()):
        yield f"nothing costs more than {GROWN} times as much at the largest size"
    for title, growth in grown.items():
        if growth > GROWN:
            reason = measured.reasons.get(title)
            why = f"it reads {reason}" if reason else "it need not"
            yield f"{' ' if reason else '!'} {growth:,.1f} times: {title.strip()}: {why}"


def _compute_growth(answers: Sequence[Answered]) -> float:
    first, *_, last = answers
    return last.cpu / first.cpu if first.is_fine and last.is_fine else 0


def write_workers_table(shared: Shared) -> Iterator[str]:
    """Yield requests a second by number of workers, and their ratio."""
    one, two = WORKERS
    yield ""
    yield f"{'requests/s, MariaDB':34}{'1 worker':>12}{'2 workers':>12}{'ratio':>12}{'cores in use':>20}"
    for name, served in shared.of.items():
        ratio = served[two].rate / served[one].rate
        used = " -> ".join(f"{served[number].cores:.2f}" for number in WORKERS)
        yield f"{f'  {name}':34}{served[one].rate:12.0f}{served[two].rate:12.0f}{ratio:12.2f}{used:>20}"
    if any(served[two].cores < BUSY * min(shared.cores, two) for served in shared.of.values()):
        yield "! Two workers did not get their cores: something else runs here, and the ratios say little."
    yield f"  of {shared.cores} cores, which the database and the load use too: a second worker adds what they leave"


def _write_cpu(answered: Answered) -> str:
    return f"{answered.cpu * 1e3:9.2f} ms" if answered.is_fine else _write_statuses(answered)


def _write_ratio(first: Answered, answered: Answered) -> str:
    if not answered.is_fine:
        return _write_statuses(answered)
    return f"{answered.cpu / first.cpu:10.2f}  " if first.is_fine else f"{'?':>10}  "


def _write_latency(answered: Answered) -> str:
    if not answered.is_fine:
        return _write_statuses(answered)
    return write_ms(answered.median) + ("  " if answered.median <= PATIENCE else " !")


def _write_statuses(answered: Answered) -> str:
    return f"{' '.join(f'{number}x{status}' for status, number in answered.statuses.items()):>10} !"
