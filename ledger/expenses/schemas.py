"""Schemas of bulk changes and of the restoration of a deletion."""

from typing import Annotated

from pydantic import Field

from values.fields import LARGEST_ID
from values.shapes import RequestModel, ResponseModel, with_example
from values.text_fields import CategoryName, Description, NullableLine, NullableText


class ExpenseChange(RequestModel):
    """The fields to change of all matching expenses; null clears a field."""

    category: NullableLine[CategoryName] = Field(
        default=None, description="The category is created if there is none; empty is null."
    )
    description: NullableText[Description] = Field(default=None, description="Empty is null.")

    model_config = with_example(category="Groceries")


class BulkChange(ResponseModel):
    """The result of changing, deleting or restoring many expenses."""

    matched: int = Field(description="How many expenses match, or were restored.")
    revision: int | None = Field(
        description="The new `revision` of the expenses that were changed, deleted ones included; null if none was."
    )

    model_config = with_example(matched=12, revision=32)


class Deletion(RequestModel):
    """The deletion to undo: the `revision` that its expenses show in the trash."""

    revision: Annotated[int, Field(ge=1, le=LARGEST_ID)]

    model_config = with_example(revision=31)
