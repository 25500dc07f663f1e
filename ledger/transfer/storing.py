"""Stores the expenses of imports, whether a statement or an archive brings them: 250 in a statement of SQL."""

from collections.abc import AsyncIterator, Iterable
from typing import Final

from sqlalchemy import bindparam, insert, select

from infra.prepared import Prepared
from infra.slices import iterate_in_slices
from ledger.core import ROWS_PER_STATEMENT, Ledger
from ledger.expenses.references import Columns
from ledger.expenses.rows import build_columns
from ledger.transfer.checking import ImportedExpense
from models import Expense, ImportedRow

FILE: Final = "/file"
"""The field that texts are blamed on, because no row alone is too much."""
_NEW_EXPENSES: Final = (
    select(Expense.id).where(Expense.mine(), Expense.revision == bindparam("revision")).order_by(Expense.id)
)

# The driver sends rows of these without what SQLAlchemy does for each of them, which takes as long again.
_INSERT_EXPENSES, INSERT_KNOWN = (
    Prepared(insert(table).inline(), [column.key for column in table.__table__.columns if column.key != "id"])
    for table in (Expense, ImportedRow)
)


def build_expense_columns(
    ledger: Ledger, body: ImportedExpense, category: str | None, tags: str | None, *, edited: bool
) -> Columns:
    """Return the columns of a new expense, with the stored names of its category and tags, which are yet to resolve."""
    return {
        **build_columns({"payee": body.payee, "description": body.description, "date": body.day}),
        "amount": body.amount,
        "currency": body.currency,
        "external_id": body.external_id,
        "edited": edited,
        **ledger.new_row_instants,
        "category": category,
        "tags": tags,
    }


async def insert_expenses(ledger: Ledger, rows: Iterable[Columns], revision: int) -> list[int]:
    """Insert expenses of a revision that has no other live ones yet, and return their ids in order.

    Only those of one statement are built at a time.
    """
    async for some in batch_in_slices(rows):
        await ledger.insert_prepared(_INSERT_EXPENSES, some)
    return [row.id for row in await ledger.fetch_in_slices(_NEW_EXPENSES, revision=revision)]


async def batch_in_slices(rows: Iterable[Columns]) -> AsyncIterator[list[Columns]]:
    """Yield rows in lists for a statement each; other requests are served while they are computed."""
    some: list[Columns] = []
    async for row in iterate_in_slices(rows):
        some.append(row)
        if len(some) == ROWS_PER_STATEMENT:
            yield some
            some = []
    if some:
        yield some
