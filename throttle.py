"""The throttle: attempts at passwords and registrations, counted in the database before they are looked at."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from config import Settings
from database import Database, now
from models import Attempts
from problems import TooManyAttempts

QUARTER: Final = 15 * 60
HOUR: Final = 60 * 60
DAY: Final = 24 * HOUR
SWEPT_AT_ONCE: Final = 20

_COUNTED: Final = select(Attempts.subject, Attempts.instants).where(
    Attempts.subject.in_(bindparam("subjects", expanding=True))
)
_FORGET: Final = delete(Attempts).where(Attempts.subject.in_(bindparam("subjects", expanding=True)))
# Answered by the index on expires_at. What somebody else is counting or sweeping just now is left to them.
_EXPIRED: Final = (
    select(Attempts.subject)
    .where(Attempts.expires_at < bindparam("instant"))
    .limit(SWEPT_AT_ONCE)
    .with_for_update(skip_locked=True)
)


@dataclass(frozen=True, slots=True)
class Limit:
    """At most so many in any span of so many seconds; none at all is no limit."""

    most: int
    seconds: int

    def recent(self, instants: Collection[int], at: int) -> list[int]:
        """Return the instants that still count; a clock that was set back keeps nobody out for longer."""
        return [min(it, at) for it in instants if it > at - self.seconds]

    def wait(self, recent: list[int], at: int) -> int:
        """Return the seconds until one more is let through, 0 where it is now."""
        return recent[-self.most] + self.seconds - at if len(recent) >= self.most else 0


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that was counted: when, and against which limits, by the subject."""

    at: int
    limits: Mapping[str, Limit]


class Throttle:
    """Counts attempts by name, by address and by both, exactly, for all workers of a database and over restarts.

    What is refused is not counted: a flood keeps nobody out for longer than the limit says.
    """

    def __init__(self, settings: Settings, database: Database) -> None:
        self._database = database
        self._name_here = Limit(settings.signin_per_name, QUARTER)
        self._here = Limit(settings.signin_per_address, QUARTER)
        self._name_elsewhere = Limit(settings.signin_per_name_daily, DAY)
        self._registrations = Limit(settings.registrations_per_address, HOUR)

    async def try_password(self, name: str, network: str, *, is_familiar: bool) -> Attempt:
        """Count an attempt at the password of a name, and commit that; raise TooManyAttempts past a limit.

        From a network that is familiar, attempts from elsewhere do not matter, however many they are.
        """
        limits = {_subject("name here", name, network): self._name_here, _subject("here", network): self._here}
        if not is_familiar:
            limits[_subject("name elsewhere", name)] = self._name_elsewhere
        return await self._count(limits)

    async def try_registration(self, network: str) -> Attempt:
        """Count a registration, and commit that; raise TooManyAttempts past the limit."""
        return await self._count({_subject("registration", network): self._registrations})

    async def take_back(self, attempt: Attempt) -> None:
        """Forget an attempt, and commit that: it was no failure."""
        if not attempt.limits:
            return
        async with self._database.lasting() as connection:
            counted = await _counted(connection, attempt.limits)
            for instants in counted.values():
                if attempt.at in instants:
                    instants.remove(attempt.at)
            await _store(connection, attempt.limits, counted)

    async def _count(self, limits: Mapping[str, Limit]) -> Attempt:
        # In one order for all, so that no two wait for each other.
        attempt = Attempt(int(now().timestamp()), {it: limits[it] for it in sorted(limits) if limits[it].most})
        if not attempt.limits:
            return attempt
        async with self._database.lasting() as connection:
            counted = await _counted(connection, attempt.limits)
            recent = {it: limit.recent(counted[it], attempt.at) for it, limit in attempt.limits.items()}
            wait = max(limit.wait(recent[it], attempt.at) for it, limit in attempt.limits.items())
            if wait:
                raise TooManyAttempts(headers={"Retry-After": str(wait)})
            await _store(connection, attempt.limits, {it: [*instants, attempt.at] for it, instants in recent.items()})
            await _sweep(connection, now())
        return attempt


def _subject(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest()


async def _counted(connection: AsyncConnection, subjects: Collection[str]) -> dict[str, list[int]]:
    """Lock what was counted against each subject, so that nobody else counts meanwhile, and return it."""
    rows = await connection.execute(_COUNTED.with_for_update(), {"subjects": list(subjects)})
    known = {row.subject: [int(it) for it in row.instants.split()] for row in rows}
    return {subject: known.get(subject, []) for subject in subjects}


async def _store(
    connection: AsyncConnection, limits: Mapping[str, Limit], counted: Mapping[str, Collection[int]]
) -> None:
    # Whether a subject was known or not, the database is asked the same: the time it takes tells nobody of a name.
    await connection.execute(_FORGET, {"subjects": list(limits)})
    rows = [
        {"subject": it, "instants": " ".join(map(str, instants)), "expires_at": _expiry(max(instants), limits[it])}
        for it, instants in counted.items()
        if instants
    ]
    if rows:
        await connection.execute(insert(Attempts), rows)


def _expiry(latest: int, limit: Limit) -> datetime:
    return datetime.fromtimestamp(latest, UTC) + timedelta(seconds=limit.seconds)


async def _sweep(connection: AsyncConnection, instant: datetime) -> None:
    expired = (await connection.execute(_EXPIRED, {"instant": instant})).scalars().all()
    if expired:
        await connection.execute(_FORGET, {"subjects": expired})
