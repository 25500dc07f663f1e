"""Sessions: one for each sign-in, extended by refresh tokens that can each be exchanged once.

The states of a session:

    sign-in --> live --+-- refresh: lasts for SESSION_IDLE_DAYS from now, at most SESSION_DAYS in all --> live
                       |
                       +-- signed out, or ended by the user
                       +-- the password was changed or reset, or the account deleted        --> row deleted,
                       +-- at a sign-in: the least recently used beyond 100                     with its tokens
                       +-- an old refresh token was used
                       +-- expired, or refreshed too often: tokens are refused, the row is deleted at a later sign-in

Its refresh tokens are numbered by `generation`; the session's row has the number of the newest, here 5:

    generation   0 .. 3        4                            5                   6
    state        used up       exchanged                    newest              does not exist yet
    when used    ends the      the same token 5 is          issues token 6
                 session:      returned again (the answer
                 it was        may have been lost)
                 stolen

Only hashes are stored. Token 5 can be returned again because it is HMAC(key, token 4): the service derives it anew
(decision 23). If it was derived with a key that is neither the current nor the previous one, the user signs in again.
"""

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
from database import UnitOfWork, get_inserted_id, now
from infra.pools import SESSIONS_LOCK
from infra.request_context import note_user
from infra.row_counts import execute_exactly
from infra.signing_keys import load_signing_keys
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

_LATEST_FIRST: Final = (
    select(Session.id, Session.expires_at)
    .where(Session.mine())
    .order_by(Session.last_used_at.desc(), Session.id.desc())
)
# Looked up by hash alone: holding the token proves ownership.
_SELECT_REFRESH_TOKEN: Final = select(RefreshToken.owner_id, RefreshToken.session_id, RefreshToken.generation).where(
    RefreshToken.token_hash == bindparam("token_hash")
)
# The shared lock that the foreign key of an inserted row takes anyway, taken before the session is locked.
_SHARE_USER: Final = select(User.id).where(User.id == bindparam("user_id")).with_for_update(read=True)
_LOCK_SESSION: Final = (
    select(Session.id, Session.owner_id, Session.sid, Session.created_at, Session.expires_at, Session.generation)
    .where(Session.mine(), Session.id == bindparam("session_id"))
    .with_for_update()
)
_SELECT_NEWEST_HASH: Final = select(RefreshToken.token_hash).where(
    RefreshToken.mine(),
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
    .where(Session.mine(), Session.expires_at > bindparam("instant"))
    .order_by(Session.id.desc())
)


class Sessions:
    """Opens and refreshes sessions.

    A refresh token's successor is derived from it with the service's key, so that it can be returned again although
    only its hash is stored (decision 23).
    """

    def __init__(self, settings: Settings, tokens: AccessTokens) -> None:
        self._tokens = tokens
        self._keys = [key.encode() for key in load_signing_keys(settings)]
        self._idle = timedelta(days=settings.session_idle_days)
        self._longest = timedelta(days=settings.session_days)
        # More than any client needs; limited because each refresh stores a row, and all are deleted at once.
        self._most_steps = SPARE_REFRESHES + self._longest // timedelta(minutes=settings.access_token_minutes)

    async def open(self, connection: AsyncConnection, owner_id: int, client: Client) -> Token:
        """Open a session and return its first tokens; delete expired sessions, and the least recent beyond 100."""
        instant, sid, token = now(), secrets.token_hex(16), secrets.token_urlsafe(32)
        await _end_surplus(connection, owner_id, instant)
        await record_network(connection, owner_id, client.network, instant)
        expires_at = self._compute_expiry(instant, instant)
        values = {"owner_id": owner_id, "sid": sid, "created_at": instant, "generation": 0}
        inserted = await connection.execute(insert(Session), values | _build_use_columns(client, instant, expires_at))
        await _store_refresh_token(connection, owner_id, get_inserted_id(inserted), 0, token)
        return self._build_answer(owner_id, sid, token, expires_at)

    async def refresh(self, unit: UnitOfWork, token: str, client: Client) -> Token:
        """Exchange a refresh token for the next one; the last but one gets the same answer again.

        Raises RefreshTokenReused if the token is older: it may have been stolen, so the session is ended, in a
        transaction of its own that is committed in any case (RFC 9700 section 4.14.2). Raises InvalidToken if the
        token is unknown or its session has ended.
        """
        stored = await _find_refresh_token(unit, token)
        if stored is None:
            raise InvalidToken(INVALID_DETAIL)
        async with unit.begin_separate(stored.owner_id, SESSIONS_LOCK) as connection:
            answer = await self._exchange(connection, stored, token, client)
        if answer is None:
            raise RefreshTokenReused
        return answer

    async def _exchange(
        self, connection: AsyncConnection, stored: Row[*tuple[Any, ...]], token: str, client: Client
    ) -> Token | None:
        """Return the session's next tokens, or None if the session was ended because of an old token."""
        await connection.execute(_SHARE_USER, {"user_id": stored.owner_id})
        parameters = {"owner": stored.owner_id, "session_id": stored.session_id}
        session = (await connection.execute(_LOCK_SESSION, parameters)).one_or_none()
        if session is None or session.expires_at <= now() or stored.generation >= self._most_steps:
            raise InvalidToken(INVALID_DETAIL)
        if stored.generation == session.generation:
            return await self._issue_next(connection, session, token, client)
        if stored.generation == session.generation - 1:
            return await self._reissue(connection, session, token)
        await _delete_sessions(connection, session.owner_id, Session.id == session.id)
        # Returned instead of raised, so that the end of the session is committed.
        return None

    async def _issue_next(
        self, connection: AsyncConnection, session: Row[*tuple[Any, ...]], token: str, client: Client
    ) -> Token:
        instant, successor, generation = now(), next(self._derive_successors(token)), session.generation + 1
        expires_at = self._compute_expiry(session.created_at, instant)
        await _store_refresh_token(connection, session.owner_id, session.id, generation, successor)
        values = {"generation": generation, **_build_use_columns(client, instant, expires_at)}
        statement = update(Session).where(Session.mine(), Session.id == session.id)
        await execute_exactly(connection, 1, statement.values(values), {"owner": session.owner_id})
        return self._build_answer(session.owner_id, session.sid, successor, expires_at)

    async def _reissue(self, connection: AsyncConnection, session: Row[*tuple[Any, ...]], token: str) -> Token:
        parameters = {"owner": session.owner_id, "session_id": session.id, "generation": session.generation}
        newest_hash = (await connection.execute(_SELECT_NEWEST_HASH, parameters)).scalar_one()
        successor = next((new for new in self._derive_successors(token) if hash_token(new) == newest_hash), None)
        if successor is None:
            # The newest token was derived with a key that is no longer configured.
            raise InvalidToken(INVALID_DETAIL)
        return self._build_answer(session.owner_id, session.sid, successor, session.expires_at)

    def _compute_expiry(self, opened_at: datetime, used_at: datetime) -> datetime:
        return min(used_at + self._idle, opened_at + self._longest)

    def _derive_successors(self, token: str) -> Iterator[str]:
        """Yield the successor of a token by the current key, then by the previous one."""
        for key in self._keys:
            derived = hmac.digest(key, _SUCCESSOR_LABEL + token.encode(), "sha256")
            yield urlsafe_b64encode(derived).decode().rstrip("=")

    def _build_answer(self, owner_id: int, sid: str, refresh_token: str, expires_at: datetime) -> Token:
        # An access token does not outlive its session.
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
    """Whether the caller's session still exists."""
    statement = select(Session.id).where(Session.mine(), Session.sid == caller.sid)
    return (await connection.execute(statement, {"owner": caller.id})).scalar() is not None


async def end_session(unit: UnitOfWork, caller: Caller, session_id: int) -> None:
    """End one of the caller's sessions; raise NotFound if none that is live has this id."""
    if not await _delete_sessions(
        await unit.begin(), caller.id, and_(Session.id == session_id, Session.expires_at > now())
    ):
        raise NotFound


async def end_other_sessions(unit: UnitOfWork, caller: Caller) -> None:
    """End all sessions of the caller except the current one."""
    await end_sessions(await unit.begin(), caller.id, but=caller.sid)


async def log_out(unit: UnitOfWork, token: str) -> None:
    """End the session of a refresh token; do nothing if the token is unknown (RFC 7009 section 2.2)."""
    stored = await _find_refresh_token(unit, token)
    if stored is not None:
        await _delete_sessions(await unit.begin(), stored.owner_id, Session.id == stored.session_id)


async def end_sessions(connection: AsyncConnection, owner_id: int, *, but: str | None = None) -> None:
    """End the owner's sessions, except the one with the `sid` in `but`."""
    await _delete_sessions(connection, owner_id, true() if but is None else Session.sid != but)


async def _find_refresh_token(unit: UnitOfWork, token: str) -> Row[*tuple[Any, ...]] | None:
    if not _REFRESH_TOKEN.fullmatch(token):
        return None
    stored = (
        await (await unit.connection()).execute(_SELECT_REFRESH_TOKEN, {"token_hash": hash_token(token)})
    ).one_or_none()
    if stored is not None:
        note_user(stored.owner_id)
    return stored


async def _end_surplus(connection: AsyncConnection, owner_id: int, instant: datetime) -> None:
    rows = (await connection.execute(_LATEST_FIRST, {"owner": owner_id})).all()
    live = [row.id for row in rows if row.expires_at > instant]
    surplus = [row.id for row in rows if row.expires_at <= instant] + live[MAX_SESSIONS - 1 :]
    if surplus:
        await _delete_sessions(connection, owner_id, Session.id.in_(surplus))


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


async def _delete_sessions(connection: AsyncConnection, owner_id: int, condition: ColumnElement[bool]) -> bool:
    """Delete the owner's sessions that meet a condition, with their tokens; return whether there were any."""
    # Sessions are locked before their tokens are deleted, so that none is refreshed meanwhile.
    locked = select(Session.id).where(Session.mine(), condition).with_for_update()
    session_ids = (await connection.execute(locked, {"owner": owner_id})).scalars().all()
    if session_ids:
        owner = {"owner": owner_id}
        tokens = RefreshToken.mine(), RefreshToken.session_id.in_(session_ids)
        # How many tokens there are is not known; if one were left, its foreign key would keep its session.
        await connection.execute(delete(RefreshToken).where(*tokens), owner)
        sessions = Session.mine(), Session.id.in_(session_ids)
        await execute_exactly(connection, len(session_ids), delete(Session).where(*sessions), owner)
    return bool(session_ids)
