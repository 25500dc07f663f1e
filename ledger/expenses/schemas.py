"""Schemas of bulk changes and of the restoration of a deletion."""

from typing import Annotated

from pydantic import Field

from values.fields import LARGEST_ID, CategoryName, Description, NullableText
from values.shapes import RequestModel, ResponseModel, with_example


class ExpenseChange(RequestModel):
    """What to change of many expenses; null clears, what is left out stays."""

    category: NullableText[CategoryName] = Field(
        default=None, description="A new name makes the category; empty is null."
    )
    description: NullableText[Description] = Field(default=None, description="Empty is null.")

    model_config = with_example(category="Groceries")


class BulkChange(ResponseModel):
    """What became of many expenses at once."""

    matched: int = Field(description="How many expenses it is about.")
    revision: int | None = Field(
        description="The `revision` that those it changed now bear, deleted ones in the trash; null where nothing was."
    )

    model_config = with_example(matched=12, revision=32)


class Deletion(RequestModel):
    """Which deletion to undo: by the revision that it took, which its expenses bear in the trash."""

    revision: Annotated[int, Field(ge=1, le=LARGEST_ID)]

    model_config = with_example(revision=31)
