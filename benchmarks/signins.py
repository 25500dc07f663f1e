"""How long reads and /health take while 50 people at once sign in with a wrong password.

Nothing is pinned to a core: hash threads (bcrypt at the configured cost, 12), requests, the database and the load share
the whole machine. The readers leave the cores unsaturated: eight connections each read a page every 40 ms, 200 pages a
second in all, and one requests /health every 10 ms. On a saturated core requests would queue without sign-ins too, and
hide what the hashing adds. Runs without sign-ins and with them alternate.
"""

from dataclasses import dataclass
from statistics import median
from typing import Final

from benchmarks.load import Outcome, Plan, Requests, run, write_get, write_post_form
from benchmarks.seeding import Person, fill, sign_up
from benchmarks.stage import Stage
from benchmarks.workers import pin, run_worker

SIGN_INS: Final = 50
READERS: Final = 8
READ_PACE: Final = 0.04
HEALTH_PACE: Final = 0.01
ROWS: Final = 2_000
QUIET_SECONDS: Final = 6


@dataclass(frozen=True)
class Waits:
    """99th percentiles of the latencies in seconds; of these the median of the rounds."""

    read_quiet: float
    read_busy: float
    health_quiet: float
    health_busy: float
    sign_in: float
    """The longest wait for the answer to a sign-in."""
    answers: str
    """The statuses of the sign-ins, all 401 if each password was verified."""


def measure(stage: Stage, rounds: int, quiet_seconds: float = QUIET_SECONDS) -> Waits:
    """Measure without and with sign-ins in turns."""
    everything = {*stage.core, *stage.others}
    with run_worker("main:app", stage.environment, everything) as service:
        people = [sign_up(service.url, f"reader{number}") for number in range(READERS)]
        for person in people:
            fill(stage.engine, person, ROWS)
        pin(stage.mariadb.process.pid, everything)
        try:
            turns = [
                (_measure_quiet(service.port, people, quiet_seconds), _measure_busy(service.port, people))
                for _ in range(rounds)
            ]
        finally:
            pin(stage.mariadb.process.pid, stage.others)
    return Waits(
        read_quiet=median(quiet["read"].p99 for quiet, _ in turns),
        read_busy=median(busy["read"].p99 for _, busy in turns),
        health_quiet=median(quiet["health"].p99 for quiet, _ in turns),
        health_busy=median(busy["health"].p99 for _, busy in turns),
        sign_in=median(busy["sign-in"].latencies[-1] for _, busy in turns),
        answers=", ".join(sorted({_count_outcome(busy["sign-in"]) for _, busy in turns})),
    )


def _measure_quiet(port: int, people: list[Person], seconds: float) -> dict[str, Outcome]:
    return run(Plan(port, seconds, _plan_reading(people)))


def _measure_busy(port: int, people: list[Person]) -> dict[str, Outcome]:
    wrong = [
        [write_post_form("/users/token", {"username": f"nobody{n}", "password": "wrong"})] for n in range(SIGN_INS)
    ]
    return run(Plan(port, 0, {**_plan_reading(people), "sign-in": Requests(wrong, times=1)}))


def _plan_reading(people: list[Person]) -> dict[str, Requests]:
    pages = [[write_get("/expenses?limit=50", person.token)] for person in people]
    return {"read": Requests(pages, READ_PACE), "health": Requests([[write_get("/health")]], HEALTH_PACE)}


def _count_outcome(outcome: Outcome) -> str:
    return " + ".join(f"{count} x {status}" for status, count in sorted(outcome.statuses.items()))
