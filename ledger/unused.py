"""Deletion of rows that nothing needs any more, some at a time."""

from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, delete, exists, select
from sqlalchemy.orm import InstrumentedAttribute

from ledger.core import Ledger
from models import Expense, TrashedExpense


class Deleted(NamedTuple):
    """How many rows were deleted, and the bytes for which they were counted."""

    rows: int
    size: int


async def delete_some(
    ledger: Ledger, most: int, key: InstrumentedAttribute[Any], size: ColumnElement[int], *where: ColumnElement[bool]
) -> Deleted:
    """Delete up to `most` rows that meet the conditions."""
    found = await ledger.fetch_all(select(key, size.label("size")).where(*where).limit(most))
    sizes: dict[Any, int] = {row[0]: row.size for row in found}
    if sizes:
        await ledger.execute_exactly(len(sizes), delete(key.class_).where(*where, key.in_(sizes)))
    return Deleted(len(sizes), sum(sizes.values()))


async def delete_unreferenced(
    ledger: Ledger, most: int, key: InstrumentedAttribute[int], size: ColumnElement[int], reference: str
) -> int:
    """Delete up to `most` rows to which no expense refers by a column, live or in the trash; return how many."""
    tables: tuple[type[Expense | TrashedExpense], ...] = (Expense, TrashedExpense)
    used = [exists().where(table.mine(), getattr(table, reference) == key) for table in tables]
    deleted = await delete_some(ledger, most, key, size, key.class_.mine(), *(~it for it in used))
    ledger.count(text_bytes=-deleted.size)
    return deleted.rows
