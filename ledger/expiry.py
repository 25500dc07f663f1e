"""Expiry: the first writes of a day delete the ledger's expired rows of the trash and of stored answers."""

from typing import Any, Final

from sqlalchemy import ColumnElement, bindparam, delete, select, update
from sqlalchemy.orm import InstrumentedAttribute

from infra.prepared import Prepared
from ledger.core import Ledger
from ledger.idempotency import KEY_LIFETIME
from models import LedgerState, RememberedAnswer, TrashedExpense

# The rest is left to the next writers of the day, so that none waits for a million rows or a gigabyte.
MAX_EXPENSES_SWEPT: Final = 1_000
MAX_ANSWERS_SWEPT: Final = 50

_RECORD_SWEEP: Final = Prepared(update(LedgerState).where(LedgerState.mine()).values(swept_on=bindparam("day")))


async def sweep(ledger: Ledger) -> None:
    """Delete expired rows; no revision is taken, because they were invisible already."""
    expired_expenses = TrashedExpense.mine(), TrashedExpense.deleted_at < ledger.trash_start
    expenses = await _delete_some(ledger, MAX_EXPENSES_SWEPT, TrashedExpense.id, *expired_expenses)
    expired_answers = RememberedAnswer.mine(), RememberedAnswer.created_at < ledger.instant - KEY_LIFETIME
    answers = await _delete_some(ledger, MAX_ANSWERS_SWEPT, RememberedAnswer.key, *expired_answers)
    if expenses < MAX_EXPENSES_SWEPT and answers < MAX_ANSWERS_SWEPT:
        await ledger.write_prepared(_RECORD_SWEEP, day=ledger.instant.date())


async def _delete_some(ledger: Ledger, most: int, key: InstrumentedAttribute[Any], *where: ColumnElement[bool]) -> int:
    """Delete up to `most` rows that meet the conditions; return how many."""
    keys = [row[0] for row in await ledger.fetch_all(select(key).where(*where).limit(most))]
    if keys:
        await ledger.execute_exactly(len(keys), delete(key.class_).where(*where, key.in_(keys)))
    return len(keys)
