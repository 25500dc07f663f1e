"""Networks: from where a user has signed in before, so that a flood from elsewhere does not keep them out there."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from models import FamiliarNetwork

MAX_NETWORKS: Final = 1_000
# A network that nobody has signed in from for so long is forgotten once there is a new one.
FAMILIAR_DAYS: Final = 400

_MINE: Final = FamiliarNetwork.owner_id == bindparam("owner")
_THIS: Final = (_MINE, FamiliarNetwork.network == bindparam("this"))
_SELECT_SEEN_AT: Final = select(FamiliarNetwork.seen_at).where(*_THIS)
_OLDEST_KEPT: Final = (
    select(FamiliarNetwork.seen_at)
    .where(_MINE)
    .order_by(FamiliarNetwork.seen_at.desc())
    .limit(1)
    .offset(MAX_NETWORKS - 2)
    # MySQL reads no table that it is deleting from, but what was read of it before.
    .subquery()
)
_DELETE_OLD: Final = delete(FamiliarNetwork).where(
    _MINE,
    or_(
        FamiliarNetwork.seen_at < bindparam("forgotten"),
        FamiliarNetwork.seen_at < select(_OLDEST_KEPT.c.seen_at).scalar_subquery(),
    ),
)


async def is_familiar(connection: AsyncConnection, owner_id: int, network: str) -> bool:
    """Tell whether the user has signed in from this network before."""
    return (await connection.execute(_SELECT_SEEN_AT, {"owner": owner_id, "this": network})).scalar() is not None


async def record_network(connection: AsyncConnection, owner_id: int, network: str, instant: datetime) -> None:
    """Note that the user has signed in from this network, to the day; forget old ones where it is new."""
    this = {"owner": owner_id, "this": network}
    seen_at = (await connection.execute(_SELECT_SEEN_AT, this)).scalar()
    if seen_at is None:
        forgotten = instant - timedelta(days=FAMILIAR_DAYS)
        await connection.execute(_DELETE_OLD, {"owner": owner_id, "forgotten": forgotten})
        row = {"owner_id": owner_id, "network": network, "seen_at": instant}
        await connection.execute(insert(FamiliarNetwork), row)
    elif seen_at < instant - timedelta(days=1):
        await connection.execute(update(FamiliarNetwork).where(*_THIS).values(seen_at=instant), this)
