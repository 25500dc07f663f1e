"""The throttle: attempts at passwords and registrations, counted in the database before they are looked at."""

import hmac
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Final

from sqlalchemy import Select, bindparam, delete, select
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from config import Settings
from database import UnitOfWork, now
from models import AttemptCounter
from problems import TooManyAttempts, Unavailable

QUARTER_HOUR: Final = 15 * 60
HOUR_SECONDS: Final = 60 * 60
DAY_SECONDS: Final = 24 * HOUR_SECONDS
MAX_SWEPT_AT_ONCE: Final = 20

_SELECT_INSTANTS: Final = select(AttemptCounter.subject, AttemptCounter.instants).where(
    AttemptCounter.subject.in_(bindparam("subjects", expanding=True))
)
# Nobody else counts meanwhile.
_LOCK_INSTANTS: Final = _SELECT_INSTANTS.with_for_update()
_DELETE_SUBJECTS: Final = delete(AttemptCounter).where(
    AttemptCounter.subject.in_(bindparam("subjects", expanding=True))
)
# A row that is not there cannot be locked, and one that was deleted and inserted again slips from under the lock that
# somebody waits for: so a row is made first, if with nothing in it, and only changed until it has expired.
_ON_MYSQL: Final = mysql.insert(AttemptCounter)
_ON_SQLITE: Final = sqlite.insert(AttemptCounter)
_INSERT_MISSING: Final = {
    "mysql": _ON_MYSQL.on_duplicate_key_update(subject=_ON_MYSQL.inserted.subject),
    "sqlite": _ON_SQLITE.on_conflict_do_nothing(),
}
_UPSERT: Final = {
    "mysql": _ON_MYSQL.on_duplicate_key_update(
        instants=_ON_MYSQL.inserted.instants, expires_at=_ON_MYSQL.inserted.expires_at
    ),
    "sqlite": _ON_SQLITE.on_conflict_do_update(
        set_={"instants": _ON_SQLITE.excluded.instants, "expires_at": _ON_SQLITE.excluded.expires_at}
    ),
}
# Answered by the index on expires_at. What somebody else is counting or sweeping just now is left to them.
_SELECT_EXPIRED: Final = (
    select(AttemptCounter.subject)
    .where(AttemptCounter.expires_at < bindparam("instant"))
    .limit(MAX_SWEPT_AT_ONCE)
    .with_for_update(skip_locked=True)
)


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most so many in any span of so many seconds; none at all is no limit."""

    most: int
    seconds: int

    def select_recent(self, instants: Collection[int], at: int) -> list[int]:
        """Return the instants that still count; a clock that was set back keeps nobody out for longer."""
        return [min(it, at) for it in instants if it > at - self.seconds]

    def compute_wait(self, recent: list[int], at: int) -> int:
        """Return the seconds until one more is let through, 0 where it is now."""
        return recent[-self.most] + self.seconds - at if len(recent) >= self.most else 0


@dataclass(frozen=True, slots=True)
class CountedAttempt:
    """An attempt that was counted: when, and against which limits, by the subject."""

    at: int
    limits: Mapping[str, RateLimit]


class Throttle:
    """Counts attempts by name, by address and by both, for all workers of a database and over restarts.

    What is refused is not counted: a flood keeps nobody out for longer than the limit says.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._name_here = RateLimit(settings.signin_per_name, QUARTER_HOUR)
        self._here = RateLimit(settings.signin_per_address, QUARTER_HOUR)
        self._name_elsewhere = RateLimit(settings.signin_per_name_daily, DAY_SECONDS)
        self._registrations = RateLimit(settings.registrations_per_address, HOUR_SECONDS)

    @cached_property
    def _hmac_key(self) -> bytes:
        # Not before it is needed: who resets a password counts nothing, and may not be the one who has the key.
        return self._settings.load_signing_keys()[0].encode()

    @property
    def is_familiarity_needed(self) -> bool:
        """Whether it matters from where somebody has signed in before."""
        return bool(self._name_elsewhere.most)

    async def count_password_attempt(
        self, unit: UnitOfWork, name: str, network: str, *, is_familiar: bool
    ) -> CountedAttempt:
        """Count an attempt at the password of a name, and commit that; raise TooManyAttempts past a limit.

        From a network that is familiar, attempts from elsewhere do not matter, however many they are.
        """
        limits = {
            self._hash_subject("name here", name, network): self._name_here,
            self._hash_subject("here", network): self._here,
        }
        if not is_familiar:
            limits[self._hash_subject("name elsewhere", name)] = self._name_elsewhere
        return await _count(unit, limits)

    async def count_registration(self, unit: UnitOfWork, network: str) -> CountedAttempt:
        """Count a registration, and commit that; raise TooManyAttempts past the limit."""
        return await _count(unit, {self._hash_subject("registration", network): self._registrations})

    def _hash_subject(self, *parts: str) -> str:
        # With the key, because whoever reads the table could try names and addresses otherwise.
        return hmac.digest(self._hmac_key, "\0".join(parts).encode(errors="surrogatepass"), "sha256").hex()


@asynccontextmanager
async def take_back_if_unavailable(unit: UnitOfWork, attempt: CountedAttempt) -> AsyncIterator[None]:
    """Take an attempt back that could not be looked at."""
    try:
        yield
    except Unavailable:
        await take_back(unit, attempt)
        raise


async def take_back(unit: UnitOfWork, attempt: CountedAttempt) -> None:
    """Forget an attempt, and commit that: it was no failure."""
    if not attempt.limits:
        return
    async with unit.begin_separate() as connection:
        counted = await _load_instants(connection, _LOCK_INSTANTS, attempt.limits)
        for instants in counted.values():
            if attempt.at in instants:
                instants.remove(attempt.at)
            elif instants:
                # A worker whose clock is behind has set it back.
                instants.pop()
        await _store_instants(connection, attempt.limits, counted, attempt.at)


async def _count(unit: UnitOfWork, limits: Mapping[str, RateLimit]) -> CountedAttempt:
    # In one order for all, so that no two wait for each other.
    limits = {it: limits[it] for it in sorted(limits) if limits[it].most}
    if not limits:
        return CountedAttempt(0, limits)
    # Where the limit is met already, nobody is kept waiting for it to be said.
    known = await _load_instants(await unit.connection(), _SELECT_INSTANTS, limits)
    at = int(now().timestamp())
    wait = _compute_wait(limits, known, at)
    if wait and not _is_ahead(known, at):
        raise _too_many_attempts_problem(wait)
    async with unit.begin_separate() as connection:
        await _insert_missing(connection, limits)
        counted = await _load_instants(connection, _LOCK_INSTANTS, limits)
        instant = now()
        at = int(instant.timestamp())
        recent = {it: limit.select_recent(counted[it], at) for it, limit in limits.items()}
        wait = _compute_wait(limits, counted, at)
        if wait and not _is_ahead(counted, at):
            raise _too_many_attempts_problem(wait)
        # Where the clock was set back, so is what was counted, or it would stay ahead for as long.
        new = [] if wait else [at]
        await _store_instants(connection, limits, {it: [*instants, *new] for it, instants in recent.items()}, at)
        await _delete_expired(connection, instant)
    if wait:
        raise _too_many_attempts_problem(wait)
    return CountedAttempt(at, limits)


def _compute_wait(limits: Mapping[str, RateLimit], counted: Mapping[str, Collection[int]], at: int) -> int:
    return max(limit.compute_wait(limit.select_recent(counted[it], at), at) for it, limit in limits.items())


def _is_ahead(counted: Mapping[str, Collection[int]], at: int) -> bool:
    """Whether the clock was set back since something was counted."""
    return any(max(instants, default=at) > at for instants in counted.values())


def _too_many_attempts_problem(wait: int) -> TooManyAttempts:
    return TooManyAttempts(f"Too many attempts: try again in {wait} seconds.", headers={"Retry-After": str(wait)})


async def _load_instants(
    connection: AsyncConnection, of: "Select[str, str]", subjects: Collection[str]
) -> dict[str, list[int]]:
    """Return what was counted against each subject."""
    rows = await connection.execute(of, {"subjects": list(subjects)})
    known = {row.subject: [int(it) for it in row.instants.split()] for row in rows}
    return {subject: known.get(subject, []) for subject in subjects}


async def _insert_missing(connection: AsyncConnection, subjects: Collection[str]) -> None:
    # Whether a subject was known or not, the database is asked the same: the time it takes tells nobody of a name.
    rows = [{"subject": it, "instants": "", "expires_at": now()} for it in subjects]
    await connection.execute(_INSERT_MISSING[connection.dialect.name], rows)


async def _store_instants(
    connection: AsyncConnection, limits: Mapping[str, RateLimit], counted: Mapping[str, Collection[int]], at: int
) -> None:
    rows = [
        {
            "subject": it,
            "instants": " ".join(map(str, instants)),
            "expires_at": _compute_row_expiry(max(instants, default=at - limits[it].seconds), limits[it]),
        }
        for it, instants in counted.items()
    ]
    await connection.execute(_UPSERT[connection.dialect.name], rows)


def _compute_row_expiry(latest: int, limit: RateLimit) -> datetime:
    return datetime.fromtimestamp(latest, UTC) + timedelta(seconds=limit.seconds)


async def _delete_expired(connection: AsyncConnection, instant: datetime) -> None:
    expired = (await connection.execute(_SELECT_EXPIRED, {"instant": instant})).scalars().all()
    if expired:
        await connection.execute(_DELETE_SUBJECTS, {"subjects": expired})
