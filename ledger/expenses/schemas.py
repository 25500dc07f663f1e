"""Schemas of bulk changes and of the restoration of a deletion."""

from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from values.field_errors import invalid_element
from values.fields import LARGEST_ID, Omittable
from values.shapes import RequestModel, ResponseModel, with_example
from values.text_fields import (
    CategoryName,
    Description,
    NullableLine,
    NullableText,
    PayeeName,
    Tags,
)
from values.texts import make_name_key


class ExpenseChange(RequestModel):
    """The fields to change of all matching expenses; null clears a field."""

    category: NullableLine[CategoryName] = Field(
        default=None, description="The category is created if there is none; empty is null."
    )
    payee: NullableLine[PayeeName] = Field(default=None, description="Empty is null.")
    description: NullableText[Description] = Field(default=None, description="Empty is null.")
    add_tags: Omittable[Tags] = Field(
        default=None, description="Tags that the expenses get; those that do not exist are created."
    )
    remove_tags: Omittable[Tags] = Field(default=None, description="Tags that the expenses lose, if they have them.")

    model_config = with_example(category="Groceries", add_tags=["shared"])

    @field_validator("remove_tags")
    @classmethod
    def _refuse_added_tags(cls, removed: list[str] | None, info: ValidationInfo) -> list[str] | None:
        added = {make_name_key(name) for name in info.data.get("add_tags") or ()}
        for index, name in enumerate(removed or ()):
            if make_name_key(name) in added:
                raise invalid_element(index, "not_allowed", "This tag is to be added as well: send it once.")
        return removed


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
