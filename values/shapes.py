"""What goes over the wire and belongs to no noun: the bases of all shapes, the problem, the service itself."""

from collections.abc import Mapping
from contextvars import ContextVar
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Final

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationInfo, field_validator

from values import money
from values.fields import BooleanParameter, CursorText, IgnoredField, Omittable, WholeNumber, make_validator


def with_example(**fields: JsonValue) -> ConfigDict:
    """Show a shape with these fields wherever the document describes it."""
    return ConfigDict(json_schema_extra={"example": fields})


class RequestModel(BaseModel):
    """What a client sends: types are strict and unknown fields are refused."""

    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)

    def dump_sent(self) -> dict[str, Any]:
        """Return just the fields that were sent."""
        return {name: getattr(self, name) for name in self.model_fields_set}


callers_currency: ContextVar[str | None] = ContextVar("callers_currency", default=None)
"""What a new amount is in that names no currency: the edge says it of each writer, before the body is looked at.

Validators see nothing but the body, and without it a wrong amount would be told only after all else was mended.
"""


class WithAmount(RequestModel):
    """What has an amount and a currency; the currency is declared first, so that it is known by then."""

    @field_validator("amount", check_fields=False)
    @classmethod
    def _fits_the_currency(cls, amount: Decimal, info: ValidationInfo) -> Decimal:
        # Of a currency that was refused nothing more is said.
        currency = info.data.get("currency") or ("currency" in info.data and cls._implied_currency(info.data))
        if currency:
            make_validator(lambda value: money.to_thousandths(value, currency))(amount)
        return amount

    @classmethod
    def _implied_currency(cls, sent: Mapping[str, Any]) -> str | None:  # noqa: ARG003
        """Return the currency of an amount that was sent without one, where it is known already."""
        return None


class WithReadOnlyFields(RequestModel):
    """What a row was read with may be sent back: these are ignored, save for a revision that has moved on."""

    id: IgnoredField = None
    created_at: IgnoredField = None
    updated_at: IgnoredField = None
    revision: Omittable[Annotated[int, Field(description="If sent, must be the row's, else 412.")]] = None

    read_only: ClassVar[frozenset[str]] = frozenset({"id", "created_at", "updated_at", "revision"})

    def dump_sent(self) -> dict[str, Any]:
        """Return just the fields that were sent and can change."""
        return {name: value for name, value in super().dump_sent().items() if name not in self.read_only}


class PageQuery(RequestModel):
    """A page of a list."""

    limit: WholeNumber = Field(default=50, ge=1, le=200, description="Rows of a page.")
    cursor: Omittable[CursorText] = Field(
        default=None, description="`next_cursor` of the page before, with the same filters."
    )
    with_count: BooleanParameter = Field(default=False, description="Also count all that match.")


class ResponseModel(BaseModel):
    """What a client gets: every field is always there."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)


OMITS_DEFAULTS: Final = ConfigDict(json_schema_serialization_defaults_required=False)
"""For an answer whose fields with a default are there only when asked for."""
