"""What an attacker can do to another user: the attacks of `benchmarks.attacks`, and what the other user sees meanwhile.

The service runs as `make run` starts it, one worker on a core of its own and with all its limits; MariaDB and the load
share the other cores. The other user reads, records expenses and signs in all the time, over one connection each from
127.0.0.1, with a small pause after each answer. An attack comes from an address of its own, over connections without a
pause. It lasts until the other user has had ENOUGH answers, for at most 8 seconds. The next attack begins when the
other user is answered as before and the service has nothing else to do; if that takes longer than SETTLING_SECONDS, the
service is started again.

Quiet is measured twice, before and after all attacks. The time with more answers a second counts, because less has
disturbed it. The CPU time of an attack leaves out what the other user's requests cost, which is estimated from the
quiet time. The bytes that are kept include what the other user wrote, less than a megabyte.
"""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cache
from http.client import HTTPConnection, HTTPException
from math import inf
from typing import Final

import bcrypt
from sqlalchemy import delete
from sqlalchemy.exc import OperationalError

from benchmarks import ledgers
from benchmarks.attacks import ATTACKS, FORM, GUESSED, Attack, Attacker, write
from benchmarks.crowd import WAITING, Crowd, Group, Outcome, Plan, Silent
from benchmarks.grounds import Ground, open_ground
from benchmarks.seeding import PASSWORD, Person, sign_up
from benchmarks.workers import on
from models import AttemptCounter

KINDS: Final = ("GET", "POST", "sign-in")
# Quiet is measured for so many seconds; and only once, and for less, if a few attacks are asked for.
QUIET_SECONDS, BRIEF_SECONDS = 15, 6
FEW: Final = 4
# An attack lasts so long, and at most twice as long.
LEAST_SECONDS: Final = 4
ENOUGH: Final = 200
PAUSE: Final = 0.008
SIGN_IN_PACE: Final = 1.0
PATIENCE: Final = 10
# The attack is under way when the other user begins.
HEAD_START_SECONDS: Final = 0.3
# The attackers are told when to end; they also end with this process.
NEVER_SECONDS: Final = 120
# Hashes of an attack may wait for ten seconds after it.
SETTLING_SECONDS: Final = 15
IDLE_SECONDS: Final = 0.2
IDLE_SHARE: Final = 0.1
CALM_SECONDS: Final = 0.1
CALM_ANSWERS: Final = 5
SETUP_ADDRESS: Final = "127.0.0.3"
CREATED: Final = {"amount": "12.50", "currency": "EUR", "date": "2020-02-02", "description": "Apples and bread"}


@dataclass(frozen=True)
class Seen:
    """What the other user saw, and what the service used meanwhile."""

    of: Mapping[str, Outcome]
    cpu_seconds: float

    @property
    def answers(self) -> int:
        """How many requests were answered, sign-ins aside."""
        return sum(len(self.of[kind].latencies) for kind in ("GET", "POST"))

    @property
    def rate(self) -> float:
        """How many of these were answered in a second."""
        return self.answers / self.of["GET"].seconds

    @property
    def sign_ins(self) -> int:
        """How many sign-ins were successful: only these have certainly cost a hash."""
        return self.of["sign-in"].answers["200"]

    def estimate_cpu(self, other: "Seen") -> float:
        """Return the CPU seconds that the requests of another time would have taken at this one."""
        a_hash = measure_hash()
        rest = max(0.0, self.cpu_seconds - a_hash * self.sign_ins) / max(1, self.answers)
        return a_hash * other.sign_ins + rest * other.answers


@cache
def measure_hash() -> float:
    """Return the CPU seconds of a password's hash, by far the most of a sign-in."""
    before = time.thread_time()
    bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(12))
    return time.thread_time() - before


@dataclass(frozen=True)
class Row:
    """One attack: what the attacker got, what it cost, and what the other user saw."""

    name: str
    bound: str
    """What keeps it from spoiling the service for others."""
    attacker: Outcome
    seen: Seen
    database_cpu_seconds: float
    kept_bytes: int
    memory_bytes: int
    is_restarted: bool
    """Whether the service had to be started again after it."""

    @property
    def failures(self) -> Counter[str]:
        """What the other user got that is no success; what still waits at the end counts by its time."""
        seen = sum((outcome.answers for outcome in self.seen.of.values()), Counter[str]())
        return Counter({it: number for it, number in seen.items() if not it.startswith("2") and it != WAITING})


@dataclass(frozen=True)
class Measured:
    """All attacks on one database."""

    title: str
    quiet: Seen
    when: str
    """When it was quiet."""
    load: float
    """How many processes wanted a core in the minute before the first database: others, not these."""
    rows: Sequence[Row]

    def find_ratios(self, row: Row) -> dict[str, float]:
        """Return the 99th percentiles of a row divided by those of the quiet time; infinite if nothing was answered."""
        seen = row.seen.of
        return {it: seen[it].p99 / self.quiet.of[it].p99 if seen[it].latencies else inf for it in KINDS}


@dataclass(frozen=True)
class OtherUser:
    """The user who is not to notice an attack. A second account signs in: each sign-in may end an older session."""

    person: Person
    row: int
    signs_in_as: Person

    def plan(self, port: int, seconds: float, longest: float) -> Plan:
        """Plan a time of reading, writing and signing in."""
        token = self.person.token
        reads = [write("GET", f"/expenses/{self.row}", token), write("GET", "/expenses?limit=50", token)]
        form = f"username={self.signs_in_as.name}&password={PASSWORD}"
        sign_in = write("POST", "/users/token", body=form, media_type=FORM)
        groups = {
            "GET": Group([reads], pause=PAUSE, patience=PATIENCE, enough=ENOUGH),
            "POST": Group([[self.create]], pause=PAUSE, patience=PATIENCE, enough=ENOUGH),
            "sign-in": Group([[sign_in]], pace=SIGN_IN_PACE, patience=PATIENCE),
        }
        return Plan(port, seconds, longest, groups)

    @property
    def create(self) -> str:
        """The request that records an expense."""
        return write("POST", "/expenses", self.person.token, CREATED)


@dataclass
class Scene:
    """The service, the other user, and the attackers' accounts by the kind of their ledgers."""

    ground: Ground
    other: OtherUser
    attackers: dict[str, list[Attacker]] = field(default_factory=dict)
    calm_seconds: float = CALM_SECONDS
    """What a read and a write together take at most when it is quiet."""

    def watch(self, seconds: float) -> Seen:
        """Let the other user work so many seconds, up to twice as many if they see little; return what they saw."""
        before = self.ground.target.cpu_seconds
        seen = Crowd(self.other.plan(self.ground.target.port, seconds, 2 * seconds)).wait()
        return Seen(seen, self.ground.target.cpu_seconds - before)

    def suffer(self, attack: Attack, source: str) -> Row:
        """Let the other user work during an attack, and return what it was like."""
        ground, target = self.ground, self.ground.target
        people = self.attackers.get(attack.ledger, [Attacker()])[: attack.accounts]
        requests = [attack.write(person) for person in people]
        copies = attack.connections // len(people)
        group = replace(attack.behaviour, connections=requests, copies=copies, source=source)
        kept, memory, database = ground.kept_bytes, target.begin_peak(), ground.database_cpu_seconds
        began = target.cpu_seconds
        attacker = Outcome(seconds=1)
        with _run(Plan(target.port, NEVER_SECONDS, NEVER_SECONDS, {"": group})) as attackers:
            time.sleep(HEAD_START_SECONDS)
            seen = self.watch(LEAST_SECONDS)
            used = target.cpu_seconds - began
            database = ground.database_cpu_seconds - database
            grown = max(0, target.read_peak() - memory)
            with suppress(Silent):
                attacker = attackers.end()[""]
        is_restarted = not self.settle()
        return Row(
            attack.name,
            attack.bound,
            attacker,
            Seen(seen.of, used),
            database,
            max(0, ground.kept_bytes - kept),
            grown,
            is_restarted,
        )

    def settle(self) -> bool:
        """Wait until the other user is answered as before; else start the service again, and return False."""
        is_calm = self._is_calm_soon()
        if not is_calm:
            self.ground.target.start()
            self._is_calm_soon()
        # A sign-in that was cut off, by the end of an attack or of the service, counts as a wrong one.
        with suppress(OperationalError), self.ground.engine.begin() as connection:
            connection.execute(delete(AttemptCounter))
        return is_calm

    def _is_calm_soon(self) -> bool:
        calm, deadline = 0, time.monotonic() + SETTLING_SECONDS
        while time.monotonic() < deadline:
            began = time.monotonic()
            is_calm = self._is_answered() and time.monotonic() - began < self.calm_seconds
            calm = calm + 1 if is_calm else 0
            if calm >= CALM_ANSWERS and self._is_idle():
                return True
            time.sleep(0.02)
        return False

    def _is_idle(self) -> bool:
        used = self.ground.target.cpu_seconds
        time.sleep(IDLE_SECONDS)
        return self.ground.target.cpu_seconds - used < IDLE_SHARE * IDLE_SECONDS

    def _is_answered(self) -> bool:
        token = {"Authorization": f"Bearer {self.other.person.token}"}
        with suppress(OSError, HTTPException), closing(HTTPConnection("127.0.0.1", self.ground.target.port, 2)) as it:
            it.request("GET", "/expenses?limit=50", headers=token)
            read = it.getresponse()
            read.read()
            # One that is empty changes nothing, and waits for its turn to write as any other.
            it.request("PATCH", f"/expenses/{self.other.row}", b"{}", token | {"Content-Type": "application/json"})
            return read.status == it.getresponse().status == 200
        return False


@cache
def measure_load() -> float:
    """Return how many processes wanted a core in the minute before this was first asked."""
    return os.getloadavg()[0]


def choose(names: Sequence[str]) -> list[Attack]:
    """Return the attacks whose names contain one of these, all of them if there are none."""
    return [it for it in ATTACKS if not names or any(name.casefold() in it.name.casefold() for name in names)]


def find_quietest(times: Mapping[str, Seen]) -> str:
    """Return the name of the time with the most answers a second."""
    return max(times, key=lambda when: times[when].rate)


def measure(database: str, attacks: Sequence[Attack], show: Callable[[Measured, Row], None]) -> Measured:
    """Measure these attacks on a fresh database, and show each of them at once, compared with the time before."""
    load = measure_load()
    with open_ground(database) as ground, on(ground.others):
        at = _settle_in(ground, attacks)
        is_brief = len(attacks) <= FEW
        quiet = {"before": at.watch(BRIEF_SECONDS if is_brief else QUIET_SECONDS)}
        at.calm_seconds = max(CALM_SECONDS, sum(quiet["before"].of[kind].p99 for kind in ("GET", "POST")))
        rows = list[Row]()
        for number, attack in enumerate(attacks, start=1):
            # Each from an address of its own: what one has used up, the next has not.
            rows.append(at.suffer(attack, f"127.0.1.{number}"))
            show(Measured(ground.title, quiet["before"], "before", load, rows), rows[-1])
        if not is_brief:
            at.settle()
            quiet["after"] = at.watch(QUIET_SECONDS)
        when = find_quietest(quiet)
        return Measured(ground.title, quiet[when], when, load, rows)


def _settle_in(ground: Ground, attacks: Sequence[Attack]) -> Scene:
    """Sign up the other user and the attackers, with their ledgers."""
    url = ground.target.url
    person = sign_up(url, "resident", SETUP_ADDRESS)
    row = ledgers.fill(ground.engine, person.id, "small")
    at = Scene(ground, OtherUser(person, row, sign_up(url, GUESSED, SETUP_ADDRESS)))
    for kind in dict.fromkeys(attack.ledger for attack in attacks if attack.ledger):
        count = max(attack.accounts for attack in attacks if attack.ledger == kind)
        # From other addresses, since only so many accounts may be opened from one.
        first, *others = (sign_up(url, f"{kind}{n}", f"127.0.2.{n + 1}") for n in range(count))
        rows = [ledgers.fill(ground.engine, first.id, kind)]
        rows += [ledgers.copy(ground.engine, first.id, other.id) for other in others]
        at.attackers[kind] = [Attacker(it.token, row) for it, row in zip([first, *others], rows, strict=True)]
    return at


@contextmanager
def _run(plan: Plan) -> Iterator[Crowd]:
    crowd = Crowd(plan)
    try:
        yield crowd
    finally:
        crowd.kill()
