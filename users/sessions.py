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

from auth import AccessTokens, Caller, hash_token
from config import Settings
from database import SESSIONS_LOCK, UnitOfWork, get_inserted_id, now
from infra.log import note_user
from models import RefreshToken, Session, User
from problems import InvalidToken, NotFound, RefreshTokenReused
from users import schemas
from users.client_address import Client
from users.familiar_networks import record_network
from users.schemas import Token

MAX_SESSIONS: Final = 100
SPARE_REFRESHES: Final = 1_000
INVALID_DETAIL: Final = "This refresh token is not valid, or its session has ended: sign in again."
_REFRESH_TOKEN: Final = re.compile("[A-Za-z0-9_-]{43}")
_SUCCESSOR_LABEL: Final = b"the refresh token that follows "

_MINE: Final = Session.owner_id == bindparam("owner")
_MY_TOKENS: Final = RefreshToken.owner_id == bindparam("owner")
_LATEST_FIRST: Final = (
    select(Session.id, Session.expires_at).where(_MINE).order_by(Session.last_used_at.desc(), Session.id.desc())
)
# Whoever knows a token may know whose it is.
_SELECT_REFRESH_TOKEN: Final = select(RefreshToken.owner_id, RefreshToken.session_id, RefreshToken.generation).where(
    RefreshToken.token_hash == bindparam("token_hash")
)
# As with every row that refers to a user, before it is inserted.
_SHARE_USER: Final = select(User.id).where(User.id == bindparam("user_id")).with_for_update(read=True)
_LOCK_SESSION: Final = (
    select(Session.id, Session.owner_id, Session.sid, Session.created_at, Session.expires_at, Session.generation)
    .where(_MINE, Session.id == bindparam("session_id"))
    .with_for_update()
)
_SELECT_NEWEST_HASH: Final = select(RefreshToken.token_hash).where(
    _MY_TOKENS,
    RefreshToken.session_id == bindparam("session_id"),
    RefreshToken.generation == bindparam("generation"),
)
_SELECT_LIVE: Final = (
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
        self._keys = [key.encode() for key in settings.load_signing_keys()]
        self._idle = timedelta(days=settings.session_idle_days)
        self._longest = timedelta(days=settings.session_days)
        # As many as a client can need: its tokens are a row each, and all go at once when it ends.
        self._most_steps = SPARE_REFRESHES + self._longest // timedelta(minutes=settings.access_token_minutes)

    async def open(self, connection: AsyncConnection, owner_id: int, client: Client) -> Token:
        """Open a session and return its first tokens; expired ones are swept, and the least used beyond 100 end."""
        instant, sid, token = now(), secrets.token_hex(16), secrets.token_urlsafe(32)
        await _end_surplus(connection, owner_id, instant)
        await record_network(connection, owner_id, client.network, instant)
        expires_at = self._compute_expiry(instant, instant)
        values = {"owner_id": owner_id, "sid": sid, "created_at": instant, "generation": 0}
        inserted = await connection.execute(insert(Session), values | _build_use_columns(client, instant, expires_at))
        await _store_refresh_token(connection, owner_id, get_inserted_id(inserted), 0, token)
        return self._build_answer(owner_id, sid, token, expires_at)

    async def refresh(self, unit: UnitOfWork, token: str, client: Client) -> Token:
        """Return a session's next tokens; the same refresh token again until that has been used in its turn.

        Raises InvalidToken, or RefreshTokenReused where the token is older: whoever has it, or its successors, has
        stolen one of them, so that the session ends (RFC 9700 section 4.14.2), whatever becomes of the answer.
        """
        shown = await _find_refresh_token(unit, token)
        if shown is None:
            raise InvalidToken(INVALID_DETAIL)
        async with unit.begin_separate(shown.owner_id, SESSIONS_LOCK) as connection:
            answer = await self._exchange(connection, shown, token, client)
        if answer is None:
            raise RefreshTokenReused
        return answer

    async def _exchange(
        self, connection: AsyncConnection, shown: Row[*tuple[Any, ...]], token: str, client: Client
    ) -> Token | None:
        """Return the session's next tokens, or None where it had to be ended."""
        await connection.execute(_SHARE_USER, {"user_id": shown.owner_id})
        this = {"owner": shown.owner_id, "session_id": shown.session_id}
        session = (await connection.execute(_LOCK_SESSION, this)).one_or_none()
        if session is None or session.expires_at <= now() or shown.generation >= self._most_steps:
            raise InvalidToken(INVALID_DETAIL)
        if shown.generation == session.generation:
            return await self._issue_next(connection, session, token, client)
        if shown.generation == session.generation - 1:
            return await self._reissue(connection, session, token)
        await _delete_sessions(connection, session.owner_id, Session.id == session.id)
        # Returned and not raised, so that it is committed.
        return None

    async def _issue_next(
        self, connection: AsyncConnection, session: Row[*tuple[Any, ...]], token: str, client: Client
    ) -> Token:
        instant, successor, generation = now(), next(self._derive_successors(token)), session.generation + 1
        expires_at = self._compute_expiry(session.created_at, instant)
        await _store_refresh_token(connection, session.owner_id, session.id, generation, successor)
        step = {"generation": generation, **_build_use_columns(client, instant, expires_at)}
        this = update(Session).where(_MINE, Session.id == session.id)
        await connection.execute(this.values(step), {"owner": session.owner_id})
        return self._build_answer(session.owner_id, session.sid, successor, expires_at)

    async def _reissue(self, connection: AsyncConnection, session: Row[*tuple[Any, ...]], token: str) -> Token:
        this = {"owner": session.owner_id, "session_id": session.id, "generation": session.generation}
        newest = (await connection.execute(_SELECT_NEWEST_HASH, this)).scalar_one()
        successor = next((it for it in self._derive_successors(token) if hash_token(it) == newest), None)
        if successor is None:
            # It was derived with a key that is gone.
            raise InvalidToken(INVALID_DETAIL)
        return self._build_answer(session.owner_id, session.sid, successor, session.expires_at)

    def _compute_expiry(self, opened_at: datetime, used_at: datetime) -> datetime:
        return min(used_at + self._idle, opened_at + self._longest)

    def _derive_successors(self, token: str) -> Iterator[str]:
        """Yield what follows a token by the key of today, and by the one before."""
        for key in self._keys:
            derived = hmac.digest(key, _SUCCESSOR_LABEL + token.encode(), "sha256")
            yield urlsafe_b64encode(derived).decode().rstrip("=")

    def _build_answer(self, owner_id: int, sid: str, refresh_token: str, expires_at: datetime) -> Token:
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
    rows = await (await unit.connection()).execute(_SELECT_LIVE, {"owner": caller.id, "instant": now()})
    return schemas.SessionList(items=[_build_session(row._asdict(), caller) for row in rows])


def _build_session(session: dict[str, Any], caller: Caller) -> schemas.Session:
    return schemas.Session(current=session.pop("sid") == caller.sid, **session)


async def is_session_live(connection: AsyncConnection, caller: Caller) -> bool:
    """Tell whether the session that the caller signed in with is still there."""
    this = select(Session.id).where(_MINE, Session.sid == caller.sid)
    return (await connection.execute(this, {"owner": caller.id})).scalar() is not None


async def end_session(unit: UnitOfWork, caller: Caller, session_id: int) -> None:
    """End one of the caller's sessions; raise NotFound where there is none of this id."""
    if not await _delete_sessions(
        await unit.begin(), caller.id, and_(Session.id == session_id, Session.expires_at > now())
    ):
        raise NotFound


async def end_other_sessions(unit: UnitOfWork, caller: Caller) -> None:
    """End all sessions of the caller but this one."""
    await end_sessions(await unit.begin(), caller.id, but=caller.sid)


async def log_out(unit: UnitOfWork, token: str) -> None:
    """End the session that a refresh token belongs to; one that belongs to none ends nothing (RFC 7009 section 2.2)."""
    shown = await _find_refresh_token(unit, token)
    if shown is not None:
        await _delete_sessions(await unit.begin(), shown.owner_id, Session.id == shown.session_id)


async def end_sessions(connection: AsyncConnection, owner_id: int, *, but: str | None = None) -> None:
    """End the owner's sessions, save the one of this `sid`."""
    await _delete_sessions(connection, owner_id, true() if but is None else Session.sid != but)


async def _find_refresh_token(unit: UnitOfWork, token: str) -> Row[*tuple[Any, ...]] | None:
    if not _REFRESH_TOKEN.fullmatch(token):
        return None
    shown = (
        await (await unit.connection()).execute(_SELECT_REFRESH_TOKEN, {"token_hash": hash_token(token)})
    ).one_or_none()
    if shown is not None:
        note_user(shown.owner_id)
    return shown


async def _end_surplus(connection: AsyncConnection, owner_id: int, instant: datetime) -> None:
    rows = (await connection.execute(_LATEST_FIRST, {"owner": owner_id})).all()
    live = [row.id for row in rows if row.expires_at > instant]
    over = [row.id for row in rows if row.expires_at <= instant] + live[MAX_SESSIONS - 1 :]
    if over:
        await _delete_sessions(connection, owner_id, Session.id.in_(over))


def _build_use_columns(client: Client, instant: datetime, expires_at: datetime) -> dict[str, object]:
    return {
        "last_used_at": instant,
        "expires_at": expires_at,
        "user_agent": client.user_agent,
        "ip": client.ip,
    }


async def _store_refresh_token(
    connection: AsyncConnection, owner_id: int, session_id: int, generation: int, token: str
) -> None:
    values = {"owner_id": owner_id, "session_id": session_id, "generation": generation, "token_hash": hash_token(token)}
    await connection.execute(insert(RefreshToken), values)


async def _delete_sessions(connection: AsyncConnection, owner_id: int, which: ColumnElement[bool]) -> bool:
    """End the owner's sessions that are meant, and tell whether there were any."""
    # The sessions are locked before their tokens go, so that none is refreshed in between.
    meant = select(Session.id).where(_MINE, which).with_for_update()
    ended = (await connection.execute(meant, {"owner": owner_id})).scalars().all()
    if ended:
        for statement in (
            delete(RefreshToken).where(_MY_TOKENS, RefreshToken.session_id.in_(ended)),
            delete(Session).where(_MINE, Session.id.in_(ended)),
        ):
            await connection.execute(statement, {"owner": owner_id})
    return bool(ended)
