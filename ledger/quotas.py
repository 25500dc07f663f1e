"""Quotas: how much an account may keep, and how it is measured, in Python and in SQL alike.

The measures are those of `ledgers.text_bytes` and `ledgers.answer_bytes`. The search keys of texts are left out: each
is made of its text, about as long, and has at most three times as many characters.
"""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, LargeBinary, cast, func, literal
from sqlalchemy.orm import InstrumentedAttribute

from models import Expense, RememberedAnswer, TrashedExpense
from problems import TooMany
from values.field_errors import field_error
from values.sizes import measure, write_size

EXPENSE_TEXTS: Final = ("payee", "description", "external_id")
# Roughly what the other columns of a stored answer take, and its place in the indexes.
ANSWER_ROW_BYTES: Final = 200


@dataclass(frozen=True, slots=True)
class Quotas:
    """How much an account may keep; 0: no limit."""

    text_bytes: int = 0
    """Bytes of payees, descriptions, tags and external ids, those in the trash included."""
    trash_rows: int = 0
    """Expenses in the trash."""
    remembered_bytes: int = 0
    """Bytes of the answers that are stored for an Idempotency-Key."""


NO_QUOTAS: Final = Quotas()


def too_many_texts_problem(most: int, pointer: str) -> TooMany:
    """Return the problem of texts that would take more than `most` bytes; `pointer` is the field of the new text."""
    detail = (
        f"The payees, descriptions, tags and external ids of an account take at most {write_size(most)}, those in the "
        "trash included: shorten some, or delete expenses and empty the trash."
    )
    return TooMany(detail, errors=[field_error(pointer, "not_allowed", detail)])


def measure_answer(key: str, body: str) -> int:
    """Return what the stored answer for a key takes."""
    return ANSWER_ROW_BYTES + measure(key, body)


def measure_column(column: InstrumentedAttribute[Any]) -> ColumnElement[int]:
    """Return the SQL for the bytes of a text, on SQLite too, whose LENGTH of a text counts characters; 0 for null."""
    return func.coalesce(func.length(cast(column, LargeBinary)), 0)


def measure_texts(table: type[Expense | TrashedExpense]) -> ColumnElement[int]:
    """Return the SQL for the bytes of an expense's texts."""
    return sum((measure_column(getattr(table, name)) for name in EXPENSE_TEXTS), literal(0))


ANSWER_BYTES: Final = ANSWER_ROW_BYTES + measure_column(RememberedAnswer.key) + measure_column(RememberedAnswer.body)
"""The SQL for what a stored answer takes."""
