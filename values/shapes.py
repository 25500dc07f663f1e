"""Base classes of the schemas.

    RequestModel                    types are strict, and unknown fields are refused
        WithAmount                  an amount and a currency, whose decimals the amount must fit
        WithIgnoredFields           `id`, `created_at` and `updated_at` may be sent back, and are ignored
            WithReadOnlyFields      `revision` may be sent back too, and must then equal the row's
        WithManyItems               is validated in slices
        PageQuery                   `limit`, `cursor` and `with_count`
    ResponseModel                   every field is present, unless the class has OMITS_DEFAULTS

So a client can change a row as it has read it, and send all of it back.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Final

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationInfo, field_validator

from values import money
from values.field_errors import FieldError, field_error
from values.fields import BooleanParameter, CursorText, IgnoredField, Omittable, WholeNumber, make_validator


def with_example(**fields: JsonValue) -> ConfigDict:
    """Return a model_config that gives the schema these fields as its example in the OpenAPI document."""
    return ConfigDict(json_schema_extra={"example": fields})


class RequestModel(BaseModel):
    """The base of what a client sends: types are strict and unknown fields are refused."""

    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)

    def dump_sent(self) -> dict[str, Any]:
        """Return the fields that were sent, by name."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class WithAmount(RequestModel):
    """A body with an amount and a currency; the currency is declared first, so that it is known by then."""

    @field_validator("amount", check_fields=False)
    @classmethod
    def _fits_its_currency(cls, amount: Decimal, info: ValidationInfo) -> Decimal:
        if currency := info.data.get("currency"):
            make_validator(lambda value: money.to_thousandths(value, currency))(amount)
        return amount

    @classmethod
    def takes_default_currency(cls, body: Mapping[str, Any]) -> bool:  # noqa: ARG003
        """Whether the amount of this body is in the account's currency if the body names none."""
        return False

    @classmethod
    def list_unfit_amounts(cls, body: object, default: str, errors: Collection[FieldError]) -> list[FieldError]:
        """Return the error of the amount that the `errors` of an invalid body without a currency lack, if any.

        Validation does not know the account's `default` currency, whose decimals the amount must have. It also looks at
        no field of a body with a key that is not Unicode.
        """
        pointers = {error.location.get("pointer") for error in errors}
        if not isinstance(body, dict) or "currency" in body or "/amount" in pointers or "amount" not in body:
            return []
        try:
            amount = money.parse_amount(body["amount"])
            if cls.takes_default_currency(body):
                money.to_thousandths(amount, default)
        except money.AmountError as error:
            return [field_error("/amount", error.code, str(error))]
        return []


class WithIgnoredFields(RequestModel):
    """A request that may repeat the fields that only the service sets; they are ignored."""

    id: IgnoredField = None
    created_at: IgnoredField = None
    updated_at: IgnoredField = None

    read_only: ClassVar[frozenset[str]] = frozenset({"id", "created_at", "updated_at"})

    def dump_sent(self) -> dict[str, Any]:
        """Return the fields that were sent and can change, by name."""
        return {name: value for name, value in super().dump_sent().items() if name not in self.read_only}

    def dump_writable(self) -> dict[str, Any]:
        """Return all fields that can change, with null or the default for those that were not sent."""
        return {name: getattr(self, name) for name in type(self).model_fields if name not in self.read_only}


class WithReadOnlyFields(WithIgnoredFields):
    """The same of a row of the ledger, whose `revision` must be current if it is sent."""

    revision: Omittable[
        Annotated[int, Field(description="If it is sent and is not the row's current revision, the answer is 412.")]
    ] = None

    read_only: ClassVar[frozenset[str]] = WithIgnoredFields.read_only | {"revision"}


class WithManyItems(RequestModel, ABC):
    """A body with so many items that they are validated in slices first; validating the body takes them as they are."""

    @classmethod
    @abstractmethod
    async def parse_items(cls, body: object) -> object:
        """Return the JSON of a body with its items validated; other requests are served in between."""


class PageQuery(RequestModel):
    """A page of a list."""

    limit: WholeNumber = Field(default=50, ge=1, le=200, description="Number of rows in a page: 1 to 200.")
    cursor: Omittable[CursorText] = Field(
        default=None, description="The `next_cursor` of the previous page; send the same filters."
    )
    with_count: BooleanParameter = Field(default=False, description="Also count all rows that match.")


class ResponseModel(BaseModel):
    """The base of what a client gets: every field is always present."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)


OMITS_DEFAULTS: Final = ConfigDict(json_schema_serialization_defaults_required=False)
"""The model_config of answers in which a field that has a default may be absent."""
