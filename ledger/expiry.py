"""Expiry: the first writes of a day delete the ledger's expired rows of the trash and of stored answers.

They also delete the payees and tag sets that no expense has any more. So does the write that empties the trash.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import func, select

from ledger.core import Ledger
from ledger.idempotency import KEY_HEADER, KEY_LIFETIME
from ledger.quotas import ANSWER_BYTES, measure_texts
from ledger.unused import delete_some, delete_unused_names
from models import RememberedAnswer, TrashedExpense
from problems import TooManyRequests
from values.field_errors import header_error
from values.sizes import write_size

# The rest is left to the next writers of the day, so that none waits for a million rows or a gigabyte.
MAX_EXPENSES_SWEPT: Final = 1_000
MAX_ANSWERS_SWEPT: Final = 50

# Answered by the index on (owner_id, created_at).
_OLDEST: Final = select(func.min(RememberedAnswer.created_at)).where(RememberedAnswer.mine())


async def sweep(ledger: Ledger) -> None:
    """Delete expired rows, and payees and tag sets without expenses; nobody saw them, so no revision is taken."""
    expired = TrashedExpense.mine(), TrashedExpense.deleted_at < ledger.trash_start
    size = measure_texts(TrashedExpense)
    expenses = await delete_some(ledger, MAX_EXPENSES_SWEPT, TrashedExpense.id, size, *expired)
    ledger.count(trashed=-expenses.rows, text_bytes=-expenses.size)
    answers = await _forget_some(ledger)
    are_names_deleted = await delete_unused_names(ledger)
    if expenses.rows < MAX_EXPENSES_SWEPT and answers < MAX_ANSWERS_SWEPT and are_names_deleted:
        ledger.record_sweep()


async def make_room(ledger: Ledger) -> None:
    """Delete expired answers if there is no room for another one; raise TooManyRequests if that makes none."""
    while ledger.is_answer_quota_reached:
        if not await _forget_some(ledger):
            raise answer_quota_problem(ledger, (await ledger.execute(_OLDEST)).scalar_one())


def answer_quota_problem(ledger: Ledger, oldest: datetime) -> TooManyRequests:
    """Return the problem of an Idempotency-Key for whose answer there is no room until the `oldest` answer expires."""
    room_at = oldest + KEY_LIFETIME
    wait = int((room_at - ledger.instant).total_seconds()) + 1
    most = write_size(ledger.quotas.remembered_bytes)
    detail = (
        f"The remembered answers to your requests with an {KEY_HEADER} take {most}, which is the most: send this "
        f"request without the key, or again after {room_at:%Y-%m-%dT%H:%M:%SZ}, when the first of them is forgotten."
    )
    error = header_error(KEY_HEADER, "not_allowed", "There is no room for another answer now.")
    return TooManyRequests(detail, errors=[error], headers={"Retry-After": str(wait)})


async def _forget_some(ledger: Ledger) -> int:
    """Delete up to 50 expired answers; return how many."""
    expired = RememberedAnswer.mine(), RememberedAnswer.created_at < ledger.instant - KEY_LIFETIME
    answers = await delete_some(ledger, MAX_ANSWERS_SWEPT, RememberedAnswer.key, ANSWER_BYTES, *expired)
    ledger.count(answer_bytes=-answers.size)
    return answers.rows
