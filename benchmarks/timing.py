"""Whether the time of a refused sign-in tells if its name is known: an unknown name beside a wrong password.

One is asked at a time, over one connection, at the configured cost of a hash (bcrypt, 12), in pairs of one of each
whose order is drawn; names and passwords are of one length. The throttle counts, under limits that are not reached: its
counting is part of the time. A rank test says how likely ranks so uneven are where both take alike (p), and the goal is
that it does not tell them apart, p >= 0.01.

Where both do take alike, p is below 0.01 in one run of a hundred all the same: that is what p means. So such a run is
made once more, and the answer is NO where both are below: by chance, once in ten thousand. An "ok" does not say that
there is no difference, but that none shows: of 100 each, one of 0.55 standard deviations gives a NO four times in five,
one of half as much once in sixteen. Whoever asks thousands of times sees smaller ones.
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
from benchmarks.workers import on, running

SAMPLES: Final = 100
# The first requests open connections and prepare statements, and are not counted.
WARMING: Final = 2
# Names of one length.
UNKNOWN, KNOWN = "stranger", "somebody"
# What `stage` turns off is on here, with the largest limits: two runs stay below half of them.
COUNTING: Final = {"SIGNIN_PER_NAME": "1000", "SIGNIN_PER_ADDRESS": "1000", "SIGNIN_PER_NAME_DAILY": "1000"}


class NotRefused(Exception):
    """A sign-in was answered otherwise than as a wrong password is."""


@dataclass(frozen=True)
class Comparison:
    """One run: medians in seconds, and how likely ranks so uneven are by chance."""

    samples: int
    """Of each."""
    unknown: float
    known: float
    p: float


def measure(stage: Stage, samples: int, goal: float) -> list[Comparison]:
    """Compare so many of each; where p is below the goal, compare once more."""
    with (
        running("main:app", {**stage.environment, **COUNTING}, stage.core) as service,
        on(stage.others),
        httpx.Client(base_url=service.url, trust_env=False, timeout=30) as client,
    ):
        # And never signed in: who guesses names does so from where their owners were not before.
        register(client, KNOWN)
        _sample(client, WARMING)
        runs = [_compared(_sample(client, samples))]
        if runs[0].p < goal:
            runs.append(_compared(_sample(client, samples)))
    return runs


def _compared(taken: Mapping[str, Sequence[float]]) -> Comparison:
    unknown, known = taken[UNKNOWN], taken[KNOWN]
    return Comparison(len(known), median(unknown), median(known), rank_test(unknown, known))


def _sample(client: httpx.Client, samples: int) -> dict[str, list[float]]:
    """Return how long so many refusals of each name took."""
    taken: dict[str, list[float]] = {UNKNOWN: [], KNOWN: []}
    wrong = secrets.token_urlsafe(12)
    for name in _drawn(samples):
        taken[name].append(_seconds(client, name, wrong))
    return taken


def _drawn(pairs: int) -> Iterator[str]:
    for _ in range(pairs):
        yield from random.sample((UNKNOWN, KNOWN), 2)


def _seconds(client: httpx.Client, name: str, password: str) -> float:
    began = perf_counter()
    answer = client.post("/users/token", data={"username": name, "password": password})
    took = perf_counter() - began
    if answer.status_code != HTTPStatus.UNAUTHORIZED:
        raise NotRefused(answer.status_code, answer.text)
    return took


def rank_test(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the two-sided p of the Mann-Whitney U test: near 0, one of the two tends to be the larger.

    The normal approximation, with the corrections for ties and continuity, as R's `wilcox.test(exact = FALSE)` and
    SciPy's `mannwhitneyu(method="asymptotic")` have it (Hollander and Wolfe, Nonparametric Statistical Methods, 4.1).
    """
    ascending, pairs, total = sorted(other), len(one) * len(other), len(one) + len(other)
    # Of all pairs, in how many the one is the larger; a tie is half a pair.
    larger = sum(bisect_left(ascending, it) + bisect_right(ascending, it) for it in one) / 2
    ties = sum(count**3 - count for count in Counter([*one, *other]).values()) / (total * (total - 1))
    spread = sqrt(pairs / 12 * (total + 1 - ties))
    distance = abs(larger - pairs / 2) - 0.5
    return 2 * NormalDist().cdf(-distance / spread) if distance > 0 else 1.0
