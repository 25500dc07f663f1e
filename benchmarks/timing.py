"""Whether the time of a failed sign-in reveals if the user name exists: unknown names against wrong passwords.

Sign-ins run one at a time over one connection, at the configured cost of a hash (bcrypt, 12), in pairs of one unknown
and one known name in random order. Names and passwords have the same length. The throttle counts, with limits that are
not reached, because counting is part of the time. A rank test computes p: how likely such uneven ranks are if both
take the same time. The goal is p >= 0.01.

If both take the same time, p is still below 0.01 in 1 run of 100. So such a run is repeated, and the result is NO only
if both are below: by chance in 1 of 10,000. An "ok" does not prove that there is no difference: with 100 sign-ins of
each, a difference of 0.55 standard deviations gives NO in 4 of 5 runs, and half of it in 1 of 16. With thousands of
sign-ins smaller differences can be measured.
"""

import random
import secrets
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from math import sqrt
from statistics import NormalDist, median
from time import perf_counter
from typing import Final

import httpx

from benchmarks.seeding import register
from benchmarks.stage import Stage
from benchmarks.workers import on, run_worker

SAMPLES: Final = 100
# The first requests open connections and prepare statements, so they are not measured.
WARMING: Final = 2
# Names of the same length.
UNKNOWN, KNOWN = "stranger", "somebody"
# The throttle, which `stage` turns off, is on, with the highest limits: two runs use less than half of them.
COUNTING: Final = {"SIGNIN_PER_NAME": "1000", "SIGNIN_PER_ADDRESS": "1000", "SIGNIN_PER_NAME_DAILY": "1000"}


class NotRefused(Exception):
    """A sign-in was not answered with 401."""


@dataclass(frozen=True)
class Comparison:
    """One run: medians in seconds, and the p of the rank test."""

    samples: int
    """Sign-ins with each of the two names."""
    unknown: float
    known: float
    p: float


def measure(stage: Stage, samples: int, goal: float) -> list[Comparison]:
    """Compare `samples` sign-ins of each name; if p is below the goal, repeat the run once."""
    with (
        run_worker("main:app", {**stage.environment, **COUNTING}, stage.core) as service,
        on(stage.others),
        httpx.Client(base_url=service.url, trust_env=False, timeout=30) as client,
    ):
        # The user never signs in: guesses of names come from networks that are not familiar.
        register(client, KNOWN)
        _sample(client, WARMING)
        runs = [_compare(_sample(client, samples))]
        if runs[0].p < goal:
            runs.append(_compare(_sample(client, samples)))
    return runs


def _compare(taken: Mapping[str, Sequence[float]]) -> Comparison:
    unknown, known = taken[UNKNOWN], taken[KNOWN]
    return Comparison(len(known), median(unknown), median(known), rank_test(unknown, known))


def _sample(client: httpx.Client, samples: int) -> dict[str, list[float]]:
    """Return the times of `samples` failed sign-ins with each name."""
    taken: dict[str, list[float]] = {UNKNOWN: [], KNOWN: []}
    wrong = secrets.token_urlsafe(12)
    for name in _draw_pairs(samples):
        taken[name].append(_time_request(client, name, wrong))
    return taken


def _draw_pairs(pairs: int) -> Iterator[str]:
    for _ in range(pairs):
        yield from random.sample((UNKNOWN, KNOWN), 2)


def _time_request(client: httpx.Client, name: str, password: str) -> float:
    began = perf_counter()
    answer = client.post("/users/token", data={"username": name, "password": password})
    took = perf_counter() - began
    if answer.status_code != HTTPStatus.UNAUTHORIZED:
        raise NotRefused(answer.status_code, answer.text)
    return took


def rank_test(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the two-sided p of the Mann-Whitney U test; near 0, the values of one sample tend to be larger.

    The normal approximation, with the corrections for ties and continuity, as R's `wilcox.test(exact = FALSE)` and
    SciPy's `mannwhitneyu(method="asymptotic")` have it (Hollander and Wolfe, Nonparametric Statistical Methods, 4.1).
    """
    ascending, pairs, total = sorted(other), len(one) * len(other), len(one) + len(other)
    # The number of pairs in which the value of `one` is larger; a tie counts as half.
    larger = sum(bisect_left(ascending, value) + bisect_right(ascending, value) for value in one) / 2
    ties = sum(count**3 - count for count in Counter([*one, *other]).values()) / (total * (total - 1))
    spread = sqrt(pairs / 12 * (total + 1 - ties))
    distance = abs(larger - pairs / 2) - 0.5
    return 2 * NormalDist().cdf(-distance / spread) if distance > 0 else 1.0
