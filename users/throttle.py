"""The throttle: counts attempts at passwords and registrations in the database before they are processed.

    what is counted                     against which subject      limit (0: none)              per
    sign-in, current password           name at a network          SIGNIN_PER_NAME              15 minutes
                                        network                    SIGNIN_PER_ADDRESS           15 minutes
      from an unfamiliar network also   name, from all of them     SIGNIN_PER_NAME_DAILY        24 hours
                                        IPv6 /56, /48              2 and 4 times as many        15 minutes
    registration, new name or e-mail    network                    REGISTRATIONS_PER_ADDRESS    1 hour
                                        IPv6 /56, /48              2 and 4 times as many        1 hour

How an attempt is counted, in a transaction of its own that is committed before the password is looked at:

    read the counters --> limit reached? -- yes --> 429, nothing is counted
         |
    insert missing rows, lock all rows in the order of their subjects
         |
    drop instants that are too old --> limit reached? -- yes --> 429, nothing is counted
         |
    add this instant to each subject, delete up to 20 expired rows, commit
         |
    verify the password --> right, or not verified (429, 503): the instant is removed again
                        --> wrong: the instant stays, as it does for every registration that was not a 503

So parallel attempts on any number of workers cannot exceed a limit, and refused attempts do not extend it. A window
slides: an attempt is possible again when the oldest of the last N has left it. A network is an IPv4 address or an IPv6
/64 (client_address). Subjects are stored as HMACs, so that the table reveals neither names nor addresses.
"""

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
from infra.signing_keys import load_signing_keys
from models import AttemptCounter
from problems import TooManyAttempts, TooManyRequests, Unavailable
from users.client_address import SITE_BITS, widen_network

QUARTER_HOUR: Final = 15 * 60
HOUR_SECONDS: Final = 60 * 60
DAY_SECONDS: Final = 24 * HOUR_SECONDS
MAX_SWEPT_AT_ONCE: Final = 20
# Many providers give a customer 256 or 65,536 networks /64 (RFC 6177). Others share a /56 or /48 among customers, so
# these have a multiple of a network's limit.
_WIDER_LIMITS: Final = {56: 2, SITE_BITS: 4}

_SELECT_INSTANTS: Final = select(AttemptCounter.subject, AttemptCounter.instants).where(
    AttemptCounter.subject.in_(bindparam("subjects", expanding=True))
)
# Locked, so that nobody else counts meanwhile.
_LOCK_INSTANTS: Final = _SELECT_INSTANTS.with_for_update()
_DELETE_SUBJECTS: Final = delete(AttemptCounter).where(
    AttemptCounter.subject.in_(bindparam("subjects", expanding=True))
)
# A missing row cannot be locked, and a row that is deleted and inserted again escapes a lock that somebody waits for.
# So an empty row is inserted first, and it is only updated until it expires.
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
# Answered by the index on expires_at. Rows that another request has locked are skipped.
_SELECT_EXPIRED: Final = (
    select(AttemptCounter.subject)
    .where(AttemptCounter.expires_at < bindparam("instant"))
    .limit(MAX_SWEPT_AT_ONCE)
    .with_for_update(skip_locked=True)
)


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `most` attempts in any `seconds` seconds; 0 means no limit."""

    most: int
    seconds: int

    def select_recent(self, instants: Collection[int], at: int) -> list[int]:
        """Return the instants in the window before `at`; future ones (the clock was set back) become `at`."""
        return [min(instant, at) for instant in instants if instant > at - self.seconds]

    def compute_wait(self, recent: list[int], at: int) -> int:
        """Return the seconds until another attempt is allowed, 0 if it is allowed now."""
        return recent[-self.most] + self.seconds - at if len(recent) >= self.most else 0


@dataclass(frozen=True, slots=True)
class CountedAttempt:
    """An attempt that was counted: its instant, and the limits by subject that it counts against."""

    at: int
    limits: Mapping[str, RateLimit]


class Throttle:
    """Counts attempts by name, by network and by both, for all workers on one database; restarts do not reset it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._name_here = RateLimit(settings.signin_per_name, QUARTER_HOUR)
        self._here = RateLimit(settings.signin_per_address, QUARTER_HOUR)
        self._name_elsewhere = RateLimit(settings.signin_per_name_daily, DAY_SECONDS)
        self._registrations = RateLimit(settings.registrations_per_address, HOUR_SECONDS)

    @cached_property
    def _hmac_key(self) -> bytes:
        # Loaded when first needed: `make password` counts nothing, and may run without access to the key.
        return load_signing_keys(self._settings)[0].encode()

    @property
    def is_familiarity_needed(self) -> bool:
        """Whether there is a limit that applies to unfamiliar networks only."""
        return bool(self._name_elsewhere.most or self._here.most)

    async def count_password_attempt(
        self, unit: UnitOfWork, name: str, network: str, *, is_familiar: bool
    ) -> CountedAttempt:
        """Count an attempt at the password of a name, and commit that; raise TooManyAttempts if a limit is reached.

        The daily limit of a name, and those of the wider networks, do not apply to a familiar network, so attempts from
        elsewhere do not block it.
        """
        limits = {
            self._hash_subject("name here", name, network): self._name_here,
            self._hash_subject("here", network): self._here,
        }
        if not is_familiar:
            limits[self._hash_subject("name elsewhere", name)] = self._name_elsewhere
            limits |= self._limit_wider_networks("here", network, self._here)
        return await _count(unit, limits)

    async def count_registration(self, unit: UnitOfWork, network: str) -> CountedAttempt:
        """Count a registration, and commit that; raise TooManyAttempts if the limit is reached."""
        wider = self._limit_wider_networks("registration", network, self._registrations)
        return await _count(unit, {self._hash_subject("registration", network): self._registrations, **wider})

    def _limit_wider_networks(self, kind: str, network: str, limit: RateLimit) -> dict[str, RateLimit]:
        """Return the limits, by subject, of the larger IPv6 networks around a network; none for IPv4."""
        return {
            self._hash_subject(kind, wider): RateLimit(limit.most * factor, limit.seconds)
            for bits, factor in _WIDER_LIMITS.items()
            if (wider := widen_network(network, bits))
        }

    def _hash_subject(self, *parts: str) -> str:
        # Keyed: with a plain hash, a reader of the table could find names and addresses by trying them.
        return hmac.digest(self._hmac_key, "\0".join(parts).encode(errors="surrogatepass"), "sha256").hex()


@asynccontextmanager
async def take_back_if_unavailable(unit: UnitOfWork, attempt: CountedAttempt) -> AsyncIterator[None]:
    """Remove the attempt if the password was not looked at, because too many wait for a hash."""
    try:
        yield
    except (TooManyRequests, Unavailable):
        await take_back(unit, attempt)
        raise


async def take_back(unit: UnitOfWork, attempt: CountedAttempt) -> None:
    """Remove an attempt, which was not a failure, and commit that."""
    if not attempt.limits:
        return
    async with unit.begin_separate() as connection:
        counted = await _load_instants(connection, _LOCK_INSTANTS, attempt.limits)
        for instants in counted.values():
            if attempt.at in instants:
                instants.remove(attempt.at)
            elif instants:
                # A worker whose clock is behind has changed the instant to an earlier one.
                instants.pop()
        await _store_instants(connection, attempt.limits, counted, attempt.at)


async def _count(unit: UnitOfWork, limits: Mapping[str, RateLimit]) -> CountedAttempt:
    # Sorted, so that two requests never wait for each other's rows.
    limits = {subject: limits[subject] for subject in sorted(limits) if limits[subject].most}
    if not limits:
        return CountedAttempt(0, limits)
    # Refuse without waiting for locks if the limit is reached already.
    known = await _load_instants(await unit.connection(), _SELECT_INSTANTS, limits)
    at = int(now().timestamp())
    wait = _compute_wait(limits, known, at)
    if wait and not _is_ahead(known, at):
        raise too_many_attempts_problem(wait)
    async with unit.begin_separate() as connection:
        await _insert_missing(connection, limits)
        counted = await _load_instants(connection, _LOCK_INSTANTS, limits)
        instant = now()
        at = int(instant.timestamp())
        recent = {subject: limit.select_recent(counted[subject], at) for subject, limit in limits.items()}
        wait = _compute_wait(limits, counted, at)
        if wait and not _is_ahead(counted, at):
            raise too_many_attempts_problem(wait)
        # If the clock was set back, stored instants are set back too (`recent`); otherwise they would count for longer.
        new = [] if wait else [at]
        await _store_instants(connection, limits, {key: [*instants, *new] for key, instants in recent.items()}, at)
        await _delete_expired(connection, instant)
    if wait:
        raise too_many_attempts_problem(wait)
    return CountedAttempt(at, limits)


def _compute_wait(limits: Mapping[str, RateLimit], counted: Mapping[str, Collection[int]], at: int) -> int:
    return max(limit.compute_wait(limit.select_recent(counted[key], at), at) for key, limit in limits.items())


def _is_ahead(counted: Mapping[str, Collection[int]], at: int) -> bool:
    """Whether a stored instant is in the future, because the clock was set back."""
    return any(max(instants, default=at) > at for instants in counted.values())


def too_many_attempts_problem(wait: int) -> TooManyAttempts:
    """Return the problem of an attempt that would be accepted after `wait` seconds."""
    return TooManyAttempts(f"Too many attempts: try again in {wait} seconds.", headers={"Retry-After": str(wait)})


async def _load_instants(
    connection: AsyncConnection, statement: "Select[str, str]", subjects: Collection[str]
) -> dict[str, list[int]]:
    """Return the counted instants of each subject."""
    rows = await connection.execute(statement, {"subjects": list(subjects)})
    known = {row.subject: [int(instant) for instant in row.instants.split()] for row in rows}
    return {subject: known.get(subject, []) for subject in subjects}


async def _insert_missing(connection: AsyncConnection, subjects: Collection[str]) -> None:
    # Inserted also if they exist: the same statements run for known and unknown names, so their time reveals nothing.
    rows = [{"subject": subject, "instants": "", "expires_at": now()} for subject in subjects]
    await connection.execute(_INSERT_MISSING[connection.dialect.name], rows)


async def _store_instants(
    connection: AsyncConnection, limits: Mapping[str, RateLimit], counted: Mapping[str, Collection[int]], at: int
) -> None:
    rows = [
        {
            "subject": subject,
            "instants": " ".join(map(str, instants)),
            "expires_at": _compute_row_expiry(max(instants, default=at - limits[subject].seconds), limits[subject]),
        }
        for subject, instants in counted.items()
    ]
    await connection.execute(_UPSERT[connection.dialect.name], rows)


def _compute_row_expiry(latest: int, limit: RateLimit) -> datetime:
    return datetime.fromtimestamp(latest, UTC) + timedelta(seconds=limit.seconds)


async def _delete_expired(connection: AsyncConnection, instant: datetime) -> None:
    expired = (await connection.execute(_SELECT_EXPIRED, {"instant": instant})).scalars().all()
    if expired:
        await connection.execute(_DELETE_SUBJECTS, {"subjects": expired})
