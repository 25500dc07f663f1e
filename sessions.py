"""Sessions: one for each sign-in; an access token is good while its session is there."""

import secrets
from datetime import timedelta
from typing import Final

from sqlalchemy import bindparam, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from database import now
from models import Session

MOST_SESSIONS: Final = 100

_MINE: Final = Session.owner_id == bindparam("owner")
_EXPIRED: Final = delete(Session).where(_MINE, Session.expires_at < bindparam("instant"))
# The ones beyond the newest, which make room for one more.
_SURPLUS: Final = select(Session.id).where(_MINE).order_by(Session.id.desc()).offset(MOST_SESSIONS - 1)


async def open_session(connection: AsyncConnection, owner_id: int, seconds: int) -> str:
    """Open a session of so many seconds and return its `sid`; expired ones are swept, and the oldest beyond 100 end."""
    instant, sid = now(), secrets.token_hex(16)
    await connection.execute(_EXPIRED, {"owner": owner_id, "instant": instant})
    surplus = (await connection.execute(_SURPLUS.limit(MOST_SESSIONS), {"owner": owner_id})).scalars().all()
    if surplus:
        await connection.execute(delete(Session).where(_MINE, Session.id.in_(surplus)), {"owner": owner_id})
    expires_at = instant + timedelta(seconds=seconds)
    values = {"owner_id": owner_id, "sid": sid, "created_at": instant, "expires_at": expires_at}
    await connection.execute(insert(Session), values)
    return sid


async def end_sessions(connection: AsyncConnection, owner_id: int, *, but: str | None = None) -> None:
    """End the owner's sessions, save the one of this `sid`."""
    statement = delete(Session).where(_MINE)
    if but is not None:
        statement = statement.where(Session.sid != but)
    await connection.execute(statement, {"owner": owner_id})
