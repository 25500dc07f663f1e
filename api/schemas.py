"""Schemas of problems, currencies, and the service itself."""

from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from api.problem_codes import list_codes
from values.field_errors import FieldErrorCode
from values.fields import CurrencyCode
from values.shapes import OMITS_DEFAULTS, ResponseModel


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
    code: str = Field(json_schema_extra={"enum": [*list_codes()]})
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

    code: CurrencyCode
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
