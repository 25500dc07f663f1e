"""How long reads and /health take while fifty people at once sign in with a wrong password.

Nothing is pinned here: the service has the whole machine, as it normally has, and its hash threads (bcrypt at the
configured cost, 12) share the cores with its own requests, the database and the load. The readers are a steady company
rather than a crowd: eight connections that each read a page every 40 ms, some 200 pages a second, and one that asks for
/health every 10 ms. A saturated core would have a queue in front of it when it is quiet too, and hide what is asked
here: what the hashing adds. The quiet run lasts as long as the one before it, and they take turns.
"""

from dataclasses import dataclass
from statistics import median
from typing import Final

from benchmarks.load import Outcome, Plan, Requests, get, post_form, run
from benchmarks.seeding import Person, fill, sign_up
from benchmarks.stage import Stage
from benchmarks.workers import pin, running

SIGN_INS: Final = 50
READERS: Final = 8
READ_PACE: Final = 0.04
HEALTH_PACE: Final = 0.01
ROWS: Final = 2_000
QUIET_SECONDS: Final = 6


@dataclass(frozen=True)
class Waits:
    """99th percentiles of the latencies, in seconds, medians of the rounds."""

    read_quiet: float
    read_busy: float
    health_quiet: float
    health_busy: float
    sign_in: float
    """The longest wait for the answer to a sign-in."""
    answers: str
    """What the sign-ins were answered: 401 where each was looked at."""


def measure(stage: Stage, rounds: int) -> Waits:
    """Measure quiet and busy in turns."""
    everything = {*stage.core, *stage.others}
    with running("main:app", stage.environment, everything) as service:
        people = [sign_up(service.url, f"reader{number}") for number in range(READERS)]
        for person in people:
            fill(stage.engine, person, ROWS)
        pin(stage.mariadb.process.pid, everything)
        try:
            turns = [(_quiet(service.port, people), _busy(service.port, people)) for _ in range(rounds)]
        finally:
            pin(stage.mariadb.process.pid, stage.others)
    return Waits(
        read_quiet=median(quiet["read"].p99 for quiet, _ in turns),
        read_busy=median(busy["read"].p99 for _, busy in turns),
        health_quiet=median(quiet["health"].p99 for quiet, _ in turns),
        health_busy=median(busy["health"].p99 for _, busy in turns),
        sign_in=median(busy["sign-in"].latencies[-1] for _, busy in turns),
        answers=", ".join(sorted({_counted(busy["sign-in"]) for _, busy in turns})),
    )


def _quiet(port: int, people: list[Person]) -> dict[str, Outcome]:
    return run(Plan(port, QUIET_SECONDS, _reading(people)))


def _busy(port: int, people: list[Person]) -> dict[str, Outcome]:
    wrong = [[post_form("/users/token", {"username": f"nobody{n}", "password": "wrong"})] for n in range(SIGN_INS)]
    return run(Plan(port, 0, {**_reading(people), "sign-in": Requests(wrong, times=1)}))


def _reading(people: list[Person]) -> dict[str, Requests]:
    pages = [[get("/expenses?limit=50", person.token)] for person in people]
    return {"read": Requests(pages, READ_PACE), "health": Requests([[get("/health")]], HEALTH_PACE)}


def _counted(outcome: Outcome) -> str:
    return " + ".join(f"{count} x {status}" for status, count in sorted(outcome.statuses.items()))
