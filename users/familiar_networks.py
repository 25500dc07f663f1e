"""Familiar networks: from which a user has signed in. Failed attempts from elsewhere do not block sign-ins there."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from models import FamiliarNetwork

MAX_NETWORKS: Final = 1_000
# A network without a sign-in for so long is deleted when the user signs in from a new one.
FAMILIAR_DAYS: Final = 400

_THIS: Final = (FamiliarNetwork.mine(), FamiliarNetwork.network == bindparam("this"))
_SELECT_SEEN_AT: Final = select(FamiliarNetwork.seen_at).where(*_THIS)
_OLDEST_KEPT: Final = (
    select(FamiliarNetwork.seen_at)
    .where(FamiliarNetwork.mine())
    .order_by(FamiliarNetwork.seen_at.desc())
    .limit(1)
    .offset(MAX_NETWORKS - 2)
    # MySQL cannot select from the table of the DELETE, except in a derived table.
    .subquery()
)
_DELETE_OLD: Final = delete(FamiliarNetwork).where(
    FamiliarNetwork.mine(),
    or_(
        FamiliarNetwork.seen_at < bindparam("forgotten"),
        FamiliarNetwork.seen_at < select(_OLDEST_KEPT.c.seen_at).scalar_subquery(),
    ),
)


async def is_familiar(connection: AsyncConnection, owner_id: int, network: str) -> bool:
    """Whether the user has signed in from this network before."""
    return (await connection.execute(_SELECT_SEEN_AT, {"owner": owner_id, "this": network})).scalar() is not None


async def record_network(connection: AsyncConnection, owner_id: int, network: str, instant: datetime) -> None:
    """Record a sign-in from this network, at most once in 24 hours; delete old networks if it is a new one."""
    parameters = {"owner": owner_id, "this": network}
    seen_at = (await connection.execute(_SELECT_SEEN_AT, parameters)).scalar()
    if seen_at is None:
        forgotten = instant - timedelta(days=FAMILIAR_DAYS)
        await connection.execute(_DELETE_OLD, {"owner": owner_id, "forgotten": forgotten})
        row = {"owner_id": owner_id, "network": network, "seen_at": instant}
        await connection.execute(insert(FamiliarNetwork), row)
    elif seen_at < instant - timedelta(days=1):
        await connection.execute(update(FamiliarNetwork).where(*_THIS).values(seen_at=instant), parameters)
