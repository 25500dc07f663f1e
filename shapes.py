"""What goes over the wire and belongs to no noun: the bases of all shapes, the problem, the service itself."""

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic.json_schema import SkipJsonSchema

from refusals import EntryCode


def example(**fields: JsonValue) -> ConfigDict:
    """Show a shape with these fields wherever the document describes it."""
    return ConfigDict(json_schema_extra={"example": fields})


class Shape(BaseModel):
    """What a client sends: types are strict and unknown fields are refused."""

    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)

    def given(self) -> dict[str, Any]:
        """Return just the fields that were sent."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class Answer(BaseModel):
    """What a client gets: every field is always there."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)


SOME_LEFT_OUT: Final = ConfigDict(json_schema_serialization_defaults_required=False)
"""For an answer whose fields with a default are there only when asked for."""


class ProblemEntry(Answer):
    """One field to blame: by `pointer`, `parameter` or `header`, whichever it is."""

    pointer: str | SkipJsonSchema[None] = Field(
        default=None, description="A field of the body, as a JSON Pointer (RFC 6901)."
    )
    parameter: str | SkipJsonSchema[None] = Field(default=None, description="A parameter of the query.")
    header: str | SkipJsonSchema[None] = Field(default=None, description="A header.")
    code: EntryCode = Field(description="For programs.")
    detail: str = Field(description="For people: what to do about it.")

    model_config = SOME_LEFT_OUT


class Problem(Answer):
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

    model_config = SOME_LEFT_OUT


class CurrencyInfo(Answer):
    """A currency and how many decimals its amounts are written with."""

    code: str
    decimals: int


class CurrencyList(Answer):
    """Every currency that an expense can be in."""

    items: list[CurrencyInfo]
    next_cursor: None = None


class Service(Answer):
    """What answers here, and where its documentation is."""

    service: str
    version: str
    docs: str
    openapi: str


class Health(Answer):
    """That the process lives."""

    status: str


class Readiness(Answer):
    """Whether the service can do its work, check by check."""

    status: str
    checks: dict[str, str]
