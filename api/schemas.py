"""Schemas of problems, currencies, and the service itself."""

from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from api.problem_codes import list_codes
from values.field_errors import FieldErrorCode
from values.fields import CurrencyCode
from values.shapes import OMITS_DEFAULTS, ResponseModel


class ProblemEntry(ResponseModel):
    """A field of the request that is wrong, named by `pointer`, `parameter` or `header`."""

    pointer: str | SkipJsonSchema[None] = Field(
        default=None, description="A field of the body, as a JSON Pointer (RFC 6901)."
    )
    parameter: str | SkipJsonSchema[None] = Field(default=None, description="A parameter of the query.")
    header: str | SkipJsonSchema[None] = Field(default=None, description="A header.")
    code: FieldErrorCode = Field(description="What is wrong, for programs.")
    detail: str = Field(description="For people: what to do about it.")

    model_config = OMITS_DEFAULTS


class Problem(ResponseModel):
    """An error (RFC 9457); `code` is for programs, `detail` for people."""

    type: str
    title: str
    status: int
    detail: str
    code: str = Field(json_schema_extra={"enum": [*list_codes()]})
    request_id: str
    errors: list[ProblemEntry] | SkipJsonSchema[None] = Field(
        default=None, description="The fields of the request that are wrong, the first 100 of them."
    )
    existing_id: int | SkipJsonSchema[None] = Field(
        default=None, description="With `already_exists`: the id of your row that has the value already."
    )
    error: str | SkipJsonSchema[None] = Field(
        default=None, description="At `/users/token` only: the error code of OAuth2 (RFC 6749 section 5.2)."
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
    """Name and version of the service, and the paths of its documentation."""

    service: str
    version: str
    docs: str
    openapi: str


class Health(ResponseModel):
    """The process is running."""

    status: str


class Readiness(ResponseModel):
    """Whether the service can work, with the result of each check."""

    status: str
    checks: dict[str, str]
