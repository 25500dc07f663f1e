"""What a ledger keeps for a while only, the trash and remembered answers; the sweep clears it out in passing."""

from typing import Any, Final

from sqlalchemy import ColumnElement, bindparam, delete, select, update
from sqlalchemy.orm import InstrumentedAttribute

from infra.prepared import Prepared
from ledger.core import Ledger
from ledger.idempotency import REMEMBERED
from models import LedgerState, RememberedAnswer, TrashedExpense

# More are left to the next writers of the day, so that none of them waits for a million rows, or for a gigabyte.
MOST_EXPENSES: Final = 1_000
MOST_ANSWERS: Final = 50

_SWEPT: Final = Prepared(
    update(LedgerState).where(LedgerState.owner_id == bindparam("owner")).values(swept_on=bindparam("day"))
)


async def sweep(ledger: Ledger) -> None:
    """Clear out what has expired; it takes no revision, since nothing of it was to be seen any more."""
    mine = TrashedExpense.owner_id == bindparam("owner"), TrashedExpense.deleted_at < ledger.kept_since
    expenses = await _clear(ledger, MOST_EXPENSES, TrashedExpense.id, *mine)
    forgotten = RememberedAnswer.created_at < ledger.instant - REMEMBERED
    mine = RememberedAnswer.owner_id == bindparam("owner"), forgotten
    answers = await _clear(ledger, MOST_ANSWERS, RememberedAnswer.key, *mine)
    if expenses < MOST_EXPENSES and answers < MOST_ANSWERS:
        await ledger.write(_SWEPT, day=ledger.instant.date())


async def _clear(ledger: Ledger, most: int, key: InstrumentedAttribute[Any], *which: ColumnElement[bool]) -> int:
    """Delete rows that meet the conditions, not all if there are too many, and return how many."""
    keys = [row[0] for row in await ledger.rows(select(key).where(*which).limit(most))]
    if keys:
        await ledger.execute(delete(key.class_).where(*which, key.in_(keys)))
    return len(keys)
