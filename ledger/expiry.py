"""What a ledger keeps for a while only, the trash and remembered answers; the sweep clears it out in passing."""

from typing import Any, Final

from sqlalchemy import ColumnElement, bindparam, delete, select, update
from sqlalchemy.orm import InstrumentedAttribute

from infra.prepared import Prepared
from ledger.core import Ledger
from ledger.idempotency import KEY_LIFETIME
from models import LedgerState, RememberedAnswer, TrashedExpense

# More are left to the next writers of the day, so that none of them waits for a million rows, or for a gigabyte.
MAX_EXPENSES_SWEPT: Final = 1_000
MAX_ANSWERS_SWEPT: Final = 50

_RECORD_SWEEP: Final = Prepared(
    update(LedgerState).where(LedgerState.owner_id == bindparam("owner")).values(swept_on=bindparam("day"))
)


async def sweep(ledger: Ledger) -> None:
    """Clear out what has expired; it takes no revision, since nothing of it was to be seen any more."""
    mine = TrashedExpense.owner_id == bindparam("owner"), TrashedExpense.deleted_at < ledger.trash_start
    expenses = await _delete_some(ledger, MAX_EXPENSES_SWEPT, TrashedExpense.id, *mine)
    forgotten = RememberedAnswer.created_at < ledger.instant - KEY_LIFETIME
    mine = RememberedAnswer.owner_id == bindparam("owner"), forgotten
    answers = await _delete_some(ledger, MAX_ANSWERS_SWEPT, RememberedAnswer.key, *mine)
    if expenses < MAX_EXPENSES_SWEPT and answers < MAX_ANSWERS_SWEPT:
        await ledger.write_prepared(_RECORD_SWEEP, day=ledger.instant.date())


async def _delete_some(ledger: Ledger, most: int, key: InstrumentedAttribute[Any], *which: ColumnElement[bool]) -> int:
    """Delete rows that meet the conditions, not all if there are too many, and return how many."""
    keys = [row[0] for row in await ledger.fetch_all(select(key).where(*which).limit(most))]
    if keys:
        await ledger.execute(delete(key.class_).where(*which, key.in_(keys)))
    return len(keys)
