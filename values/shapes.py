"""What goes over the wire and belongs to no noun: the bases of all shapes, the problem, the service itself."""

from collections.abc import Mapping
from contextvars import ContextVar
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Final

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationInfo, field_validator
from pydantic.json_schema import SkipJsonSchema

from values import money
from values.field_errors import FieldErrorCode
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


class ProblemEntry(ResponseModel):
    """One field to blame: by `pointer`, `parameter` or `header`, whichever it is."""

    pointer: str | SkipJsonSchema[None] = Field(
        default=None, description="A field of the body, as a JSON Pointer (RFC 6901)."
    )
    parameter: str | SkipJsonSchema[None] = Field(default=None, description="A parameter of the query.")
    header: str | SkipJsonSchema[None] = Field(default=None, description="A header.")
    code: FieldErrorCode = Field(description="For programs.")
    detail: str = Field(description="For people: what to do about it.")

    model_config = OMITS_DEFAULTS


class Problem(ResponseModel):
    """What went wrong, as RFC 9457 says it; `code` is for programs, `detail` for people."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[ProblemEntry] | SkipJsonSchema[None] = Field(default=None, description="Each field to blame.")
    existing_id: int | SkipJsonSchema[None] = Field(
        default=None, description="With `already_exists`: the row of yours that is in the way."
    )
    error: str | SkipJsonSchema[None] = Field(
        default=None, description="At `/users/token` only: the problem in OAuth2's words (RFC 6749 section 5.2)."
    )
    error_description: str | SkipJsonSchema[None] = Field(
        default=None, description="At `/users/token` only: `detail` and `errors` in one sentence."
    )

    model_config = OMITS_DEFAULTS


class CurrencyInfo(ResponseModel):
    """A currency and how many decimals its amounts are written with."""

    code: str
    decimals: int


class CurrencyList(ResponseModel):
    """Every currency that an expense can be in."""

    items: list[CurrencyInfo]
    next_cursor: None = None


class Service(ResponseModel):
    """What answers here, and where its documentation is."""

    service: str
    version: str
    docs: str
    openapi: str


class Health(ResponseModel):
    """That the process lives."""

    status: str


class Readiness(ResponseModel):
    """Whether the service can do its work, check by check."""

    status: str
    checks: dict[str, str]
