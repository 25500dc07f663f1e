"""Schemas of payees."""

from datetime import date
from typing import Final

from pydantic import Field

from values.fields import Omittable, WholeNumber
from values.search import SearchWords
from values.shapes import RequestModel, ResponseModel, with_example

COUNTED_EXPENSES: Final = 10_000
"""Expenses in which the uses of payees are counted."""


class PayeeQuery(RequestModel):
    """What somebody has typed so far."""

    q: Omittable[SearchWords] = Field(
        default=None,
        description="Words that the name contains anywhere, without regard to case or accents; all must occur.",
    )
    limit: WholeNumber = Field(default=50, ge=1, le=200, description="Number of payees: 1 to 200.")


class Payee(ResponseModel):
    """Who was paid, spelt as in the last of the expenses."""

    name: str
    count: int = Field(description=f"Number of its expenses, among the newest {COUNTED_EXPENSES:,} of your ledger.")
    last_used: date = Field(description="Date of its last expense.")
    last_category: str | None = Field(description="Category of its last expense.")

    model_config = with_example(name="Market hall", count=12, last_used="2026-11-22", last_category="Groceries")


class PayeeList(ResponseModel):
    """Payees, those that are used most first."""

    items: list[Payee]
    next_cursor: None = None
