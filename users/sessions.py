"""Sessions: one for each sign-in, kept going by refresh tokens that are each good for one step."""

import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, and_, bindparam, delete, insert, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from auth import AccessTokens, Caller, hashed
from config import Settings
from database import SESSIONS, UnitOfWork, inserted_id, now
from infra.log import note_user
from models import RefreshToken, Session, User
from problems import InvalidToken, NotFound, RefreshTokenReused
from users import schemas
from users.client_address import Visitor
from users.familiar_networks import make_familiar
from users.schemas import Token

MOST_SESSIONS: Final = 100
SPARE_STEPS: Final = 1_000
NOT_GOOD: Final = "This refresh token is not valid, or its session has ended: sign in again."
_REFRESH_TOKEN: Final = re.compile("[A-Za-z0-9_-]{43}")
_DERIVED: Final = b"the refresh token that follows "

_MINE: Final = Session.owner_id == bindparam("owner")
_OF_MINE: Final = RefreshToken.owner_id == bindparam("owner")
_LATEST_FIRST: Final = (
    select(Session.id, Session.expires_at).where(_MINE).order_by(Session.last_used_at.desc(), Session.id.desc())
)
# Whoever knows a token may know whose it is.
_SHOWN: Final = select(RefreshToken.owner_id, RefreshToken.session_id, RefreshToken.generation).where(
    RefreshToken.token_hash == bindparam("token_hash")
)
# As with every row that refers to a user, before it is inserted.
_USER: Final = select(User.id).where(User.id == bindparam("user_id")).with_for_update(read=True)
_HELD: Final = (
    select(Session.id, Session.owner_id, Session.sid, Session.created_at, Session.expires_at, Session.generation)
    .where(_MINE, Session.id == bindparam("session_id"))
    .with_for_update()
)
_NEWEST: Final = select(RefreshToken.token_hash).where(
    _OF_MINE,
    RefreshToken.session_id == bindparam("session_id"),
    RefreshToken.generation == bindparam("generation"),
)
_LIVE: Final = (
    select(
        Session.id,
        Session.created_at,
        Session.last_used_at,
        Session.user_agent,
        Session.ip,
        Session.sid,
    )
    .where(_MINE, Session.expires_at > bindparam("instant"))
    .order_by(Session.id.desc())
)


class Sessions:
    """Opens sessions and keeps them going.

    A refresh token's successor is derived from it with the service's key, so that it can be given again although
    nothing is stored of it but its hash (decision 0023).
    """

    def __init__(self, settings: Settings, tokens: AccessTokens) -> None:
        self._tokens = tokens
        self._keys = [key.encode() for key in settings.signing_keys()]
        self._idle = timedelta(days=settings.session_idle_days)
        self._longest = timedelta(days=settings.session_days)
        # As many as a client can need: its tokens are a row each, and all go at once when it ends.
        self._most_steps = SPARE_STEPS + self._longest // timedelta(minutes=settings.access_token_minutes)

    async def open(self, connection: AsyncConnection, owner_id: int, visitor: Visitor) -> Token:
        """Open a session and return its first tokens; expired ones are swept, and the least used beyond 100 end."""
        instant, sid, token = now(), secrets.token_hex(16), secrets.token_urlsafe(32)
        await _make_room(connection, owner_id, instant)
        await make_familiar(connection, owner_id, visitor.network, instant)
        expires_at = self._end_of(instant, instant)
        values = {"owner_id": owner_id, "sid": sid, "created_at": instant, "generation": 0}
        inserted = await connection.execute(insert(Session), values | _used(visitor, instant, expires_at))
        await _keep(connection, owner_id, inserted_id(inserted), 0, token)
        return self._token(owner_id, sid, token, expires_at)

    async def refresh(self, unit: UnitOfWork, token: str, visitor: Visitor) -> Token:
        """Return a session's next tokens; the same refresh token again until that has been used in its turn.

        Raises InvalidToken, or RefreshTokenReused where the token is older: whoever has it, or its successors, has
        stolen one of them, so that the session ends (RFC 9700 section 4.14.2), whatever becomes of the answer.
        """
        shown = await _shown(unit, token)
        if shown is None:
            raise InvalidToken(NOT_GOOD)
        async with unit.lasting(shown.owner_id, SESSIONS) as connection:
            answer = await self._step(connection, shown, token, visitor)
        if answer is None:
            raise RefreshTokenReused
        return answer

    async def _step(
        self, connection: AsyncConnection, shown: Row[*tuple[Any, ...]], token: str, visitor: Visitor
    ) -> Token | None:
        """Return the session's next tokens, or None where it had to be ended."""
        await connection.execute(_USER, {"user_id": shown.owner_id})
        this = {"owner": shown.owner_id, "session_id": shown.session_id}
        session = (await connection.execute(_HELD, this)).one_or_none()
        if session is None or session.expires_at <= now() or shown.generation >= self._most_steps:
            raise InvalidToken(NOT_GOOD)
        if shown.generation == session.generation:
            return await self._advance(connection, session, token, visitor)
        if shown.generation == session.generation - 1:
            return await self._repeat(connection, session, token)
        await _end(connection, session.owner_id, Session.id == session.id)
        # Returned and not raised, so that it is committed.
        return None

    async def _advance(
        self, connection: AsyncConnection, session: Row[*tuple[Any, ...]], token: str, visitor: Visitor
    ) -> Token:
        instant, successor, generation = now(), next(self._successors(token)), session.generation + 1
        expires_at = self._end_of(session.created_at, instant)
        await _keep(connection, session.owner_id, session.id, generation, successor)
        step = {"generation": generation, **_used(visitor, instant, expires_at)}
        this = update(Session).where(_MINE, Session.id == session.id)
        await connection.execute(this.values(step), {"owner": session.owner_id})
        return self._token(session.owner_id, session.sid, successor, expires_at)

    async def _repeat(self, connection: AsyncConnection, session: Row[*tuple[Any, ...]], token: str) -> Token:
        this = {"owner": session.owner_id, "session_id": session.id, "generation": session.generation}
        newest = (await connection.execute(_NEWEST, this)).scalar_one()
        successor = next((it for it in self._successors(token) if hashed(it) == newest), None)
        if successor is None:
            # It was derived with a key that is gone.
            raise InvalidToken(NOT_GOOD)
        return self._token(session.owner_id, session.sid, successor, session.expires_at)

    def _end_of(self, opened_at: datetime, used_at: datetime) -> datetime:
        return min(used_at + self._idle, opened_at + self._longest)

    def _successors(self, token: str) -> Iterator[str]:
        """Yield what follows a token by the key of today, and by the one before."""
        for key in self._keys:
            derived = hmac.digest(key, _DERIVED + token.encode(), "sha256")
            yield urlsafe_b64encode(derived).decode().rstrip("=")

    def _token(self, owner_id: int, sid: str, refresh_token: str, expires_at: datetime) -> Token:
        # An access token ends with its session at the latest.
        seconds = min(self._tokens.seconds, int((expires_at - now()).total_seconds()))
        access_token = self._tokens.issue(owner_id, sid, seconds)
        return Token(
            access_token=access_token,
            token_type="bearer",  # noqa: S106
            expires_in=seconds,
            refresh_token=refresh_token,
        )


async def list_sessions(unit: UnitOfWork, caller: Caller) -> schemas.SessionList:
    """Return the caller's live sessions, the newest first."""
    rows = await (await unit.connection()).execute(_LIVE, {"owner": caller.id, "instant": now()})
    return schemas.SessionList(items=[_as_listed(row._asdict(), caller) for row in rows])


def _as_listed(session: dict[str, Any], caller: Caller) -> schemas.Session:
    return schemas.Session(current=session.pop("sid") == caller.sid, **session)


async def is_live(connection: AsyncConnection, caller: Caller) -> bool:
    """Tell whether the session that the caller signed in with is still there."""
    this = select(Session.id).where(_MINE, Session.sid == caller.sid)
    return (await connection.execute(this, {"owner": caller.id})).scalar() is not None


async def end_session(unit: UnitOfWork, caller: Caller, session_id: int) -> None:
    """End one of the caller's sessions; raise NotFound where there is none of this id."""
    if not await _end(await unit.begin(), caller.id, and_(Session.id == session_id, Session.expires_at > now())):
        raise NotFound


async def end_others(unit: UnitOfWork, caller: Caller) -> None:
    """End all sessions of the caller but this one."""
    await end_sessions(await unit.begin(), caller.id, but=caller.sid)


async def log_out(unit: UnitOfWork, token: str) -> None:
    """End the session that a refresh token belongs to; one that belongs to none ends nothing (RFC 7009 section 2.2)."""
    shown = await _shown(unit, token)
    if shown is not None:
        await _end(await unit.begin(), shown.owner_id, Session.id == shown.session_id)


async def end_sessions(connection: AsyncConnection, owner_id: int, *, but: str | None = None) -> None:
    """End the owner's sessions, save the one of this `sid`."""
    await _end(connection, owner_id, true() if but is None else Session.sid != but)


async def _shown(unit: UnitOfWork, token: str) -> Row[*tuple[Any, ...]] | None:
    if not _REFRESH_TOKEN.fullmatch(token):
        return None
    shown = (await (await unit.connection()).execute(_SHOWN, {"token_hash": hashed(token)})).one_or_none()
    if shown is not None:
        note_user(shown.owner_id)
    return shown


async def _make_room(connection: AsyncConnection, owner_id: int, instant: datetime) -> None:
    rows = (await connection.execute(_LATEST_FIRST, {"owner": owner_id})).all()
    live = [row.id for row in rows if row.expires_at > instant]
    over = [row.id for row in rows if row.expires_at <= instant] + live[MOST_SESSIONS - 1 :]
    if over:
        await _end(connection, owner_id, Session.id.in_(over))


def _used(visitor: Visitor, instant: datetime, expires_at: datetime) -> dict[str, object]:
    return {
        "last_used_at": instant,
        "expires_at": expires_at,
        "user_agent": visitor.user_agent,
        "ip": visitor.ip,
    }


async def _keep(connection: AsyncConnection, owner_id: int, session_id: int, generation: int, token: str) -> None:
    values = {"owner_id": owner_id, "session_id": session_id, "generation": generation, "token_hash": hashed(token)}
    await connection.execute(insert(RefreshToken), values)


async def _end(connection: AsyncConnection, owner_id: int, which: ColumnElement[bool]) -> bool:
    """End the owner's sessions that are meant, and tell whether there were any."""
    # The sessions are locked before their tokens go, so that none is refreshed in between.
    meant = select(Session.id).where(_MINE, which).with_for_update()
    ended = (await connection.execute(meant, {"owner": owner_id})).scalars().all()
    if ended:
        for statement in (
            delete(RefreshToken).where(_OF_MINE, RefreshToken.session_id.in_(ended)),
            delete(Session).where(_MINE, Session.id.in_(ended)),
        ):
            await connection.execute(statement, {"owner": owner_id})
    return bool(ended)
