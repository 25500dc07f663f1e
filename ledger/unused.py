"""Deletion of rows that nothing needs any more, some at a time."""

from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, delete, exists, select
from sqlalchemy.orm import InstrumentedAttribute

from ledger.core import Ledger
from ledger.quotas import measure_column, too_many_texts_problem
from models import Expense, Payee, TagSet, TrashedExpense

MAX_NAMES: Final = 1_000
"""At most so many payees, and so many tag sets, are deleted at once."""


class DeletedRows(NamedTuple):
    """How many rows were deleted, and the bytes for which they were counted."""

    rows: int
    size: int


async def delete_some(
    ledger: Ledger, most: int, key: InstrumentedAttribute[Any], size: ColumnElement[int], *where: ColumnElement[bool]
) -> DeletedRows:
    """Delete up to `most` rows that meet the conditions."""
    found = await ledger.fetch_all(select(key, size.label("size")).where(*where).limit(most))
    sizes: dict[Any, int] = {row[0]: row.size for row in found}
    if sizes:
        await ledger.execute_exactly(len(sizes), delete(key.class_).where(*where, key.in_(sizes)))
    return DeletedRows(len(sizes), sum(sizes.values()))


async def delete_unreferenced(
    ledger: Ledger, most: int, key: InstrumentedAttribute[int], size: ColumnElement[int], reference: str
) -> int:
    """Delete up to `most` rows to which no expense refers by a column, live or in the trash; return how many.

    Their texts no longer count towards the quota.
    """
    tables: tuple[type[Expense | TrashedExpense], ...] = (Expense, TrashedExpense)
    used = [exists().where(table.mine(), getattr(table, reference) == key) for table in tables]
    deleted = await delete_some(ledger, most, key, size, key.class_.mine(), *(~it for it in used))
    ledger.count(text_bytes=-deleted.size)
    return deleted.rows


async def delete_unused_names(ledger: Ledger) -> bool:
    """Delete payees and tag sets that no expense has, up to 1,000 of each; return whether all are deleted."""
    payees = await delete_unreferenced(ledger, MAX_NAMES, Payee.id, measure_column(Payee.name_key), "payee_id")
    tag_sets = await delete_unreferenced(ledger, MAX_NAMES, TagSet.id, measure_column(TagSet.names), "tag_set_id")
    return max(payees, tag_sets) < MAX_NAMES


async def refuse_outgrown_quota(ledger: Ledger) -> None:
    """Raise TooMany if the texts outgrow their quota, even without the names that no expense has any more.

    A writer of payees calls this after the expenses: only then is it known whether one has the payee from before.
    """
    are_all_deleted = False
    while ledger.has_outgrown_quota:
        if are_all_deleted:
            raise too_many_texts_problem(ledger.quotas.text_bytes, "/payee")
        are_all_deleted = await delete_unused_names(ledger)
