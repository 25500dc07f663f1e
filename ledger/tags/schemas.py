"""Schemas of tags."""

from datetime import date, datetime
from typing import ClassVar

from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from values.fields import BooleanParameter, IgnoredField, Omittable, RevisionNumber
from values.shapes import OMITS_DEFAULTS, RequestModel, ResponseModel, WithReadOnlyFields, with_example
from values.text_fields import TagName, UniqueName


class TagUpdate(WithReadOnlyFields):
    """The new name of a tag; its expenses show it too."""

    expense_count: IgnoredField = None
    last_used: IgnoredField = None

    name: Omittable[UniqueName] = None

    read_only: ClassVar[frozenset[str]] = WithReadOnlyFields.read_only | {"expense_count", "last_used"}

    model_config = with_example(name="holiday 2026")


class Tag(ResponseModel):
    """A tag: a word on any number of expenses."""

    id: int
    name: str
    revision: RevisionNumber
    created_at: datetime
    updated_at: datetime

    model_config = with_example(
        id=4,
        name="holiday",
        revision=12,
        created_at="2026-11-22T13:23:00Z",
        updated_at="2026-11-22T13:23:00Z",
    )


class TagWithUsage(Tag):
    """A tag; with `with_usage=true` also the number of its expenses and the date of the latest."""

    expense_count: int | SkipJsonSchema[None] = Field(
        default=None, description="Number of its expenses, without deleted ones; only with `with_usage=true`."
    )
    last_used: date | None = Field(default=None, description="Date of its latest expense; only with `with_usage=true`.")

    model_config = OMITS_DEFAULTS


class TagList(ResponseModel):
    """All tags, by name."""

    items: list[TagWithUsage]
    next_cursor: None = None


class TagQuery(RequestModel):
    """The query of the list of tags."""

    with_usage: BooleanParameter = Field(default=False, description="Add `expense_count` and `last_used`.")


class TagDeleteQuery(RequestModel):
    """What becomes of the expenses of a deleted tag."""

    move_to: Omittable[TagName] = Field(
        default=None, description="Name of the tag that its expenses get instead; without it they lose the tag."
    )
