"""What a ledger keeps for a while only, the trash and remembered answers; the sweep clears it out in passing."""

from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, bindparam, delete, select, update
from sqlalchemy.orm import InstrumentedAttribute

from database import now
from ledger import Ledger
from models import LedgerState, RememberedAnswer, TrashedExpense
from prepared import Prepared

REMEMBERED: Final = timedelta(hours=24)
# More are left to the next writers of the day, so that none of them waits for a million rows.
SWEPT_AT_ONCE: Final = 1_000

_SWEPT: Final = Prepared(
    update(LedgerState).where(LedgerState.owner_id == bindparam("owner")).values(swept_on=bindparam("day"))
)


def kept_since(instant: datetime, days: int) -> datetime:
    """Return when the oldest deletion was that the trash still shows: a midnight (UTC), which changes once a day."""
    return instant.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days)


async def sweep(ledger: Ledger, trash_days: int) -> None:
    """Clear out what has expired; it takes no revision, since nothing of it was to be seen any more."""
    instant = now()
    trash = TrashedExpense.deleted_at < kept_since(instant, trash_days)
    is_done = [
        await _clear(ledger, TrashedExpense.id, TrashedExpense.owner_id == bindparam("owner"), trash),
        await _clear(
            ledger,
            RememberedAnswer.key,
            RememberedAnswer.owner_id == bindparam("owner"),
            RememberedAnswer.created_at < instant - REMEMBERED,
        ),
    ]
    if all(is_done):
        await ledger.write(_SWEPT, day=instant.date())


async def _clear(ledger: Ledger, key: InstrumentedAttribute[Any], *which: ColumnElement[bool]) -> bool:
    """Delete the rows that meet the conditions, at most SWEPT_AT_ONCE, and return whether these were all."""
    keys = [row[0] for row in await ledger.rows(select(key).where(*which).limit(SWEPT_AT_ONCE))]
    if keys:
        await ledger.execute(delete(key.class_).where(*which, key.in_(keys)))
    return len(keys) < SWEPT_AT_ONCE
