"""Field types of the API: how each kind of value is parsed, checked and described, wherever it is sent."""

import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Final, TypeVar

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, WithJsonSchema
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from typing_extensions import TypeAliasType

from values import days, money
from values.field_errors import invalid_value
from values.parse_errors import ParseError

T = TypeVar("T")

LARGEST_ID: Final = 2**63 - 1
_WHOLE: Final = re.compile(r"0|-?[1-9][0-9]{0,39}")


def make_validator(parse: Callable[[Any], T]) -> Callable[[Any], T]:
    """Make a pydantic validator from a parser: its ParseErrors become field errors."""

    def validate(value: object) -> T:
        try:
            return parse(value)
        except ParseError as error:
            raise invalid_value(error.code, str(error)) from None

    return validate


def _refuse_null(value: object) -> object:
    if value is None:
        raise invalid_value("wrong_type", "This cannot be null; leave it out instead.")
    return value


class OmittableSchema:
    """For a field that may be left out but not be null: removes null from its JSON Schema."""

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Remove null from `anyOf`."""
        json_schema = handler(schema)
        choices = [choice for choice in json_schema.pop("anyOf", []) if choice != {"type": "null"}]
        return json_schema | (choices[0] if len(choices) == 1 else {"anyOf": choices})


def parse_whole_number(value: object) -> object:
    """Return digits of a query string as an integer, and any other value unchanged, so that pydantic refuses it."""
    return int(value) if isinstance(value, str) and _WHOLE.fullmatch(value) else value


def _parse_flag(value: object) -> object:
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


def _parse_amount_bound(value: object) -> int:
    return money.parse_amount_bound(value if isinstance(value, str) else "")


_DECIMAL: Final = r"^-?[0-9]{1,12}(\.[0-9]{1,3})?$"
_NOT_ZERO: Final = r"^(?!-?0+(\.0+)?$)"
_AMOUNT_LIMIT: Final = 10**money.MAX_WHOLE_DIGITS

WholeNumber = Annotated[int, BeforeValidator(parse_whole_number)]
"""An integer in a query string."""
CursorText = Annotated[str, Field(json_schema_extra={"pattern": "^[A-Za-z0-9_-]+$"})]
"""The cursor of a page in a query string."""
BooleanParameter = Annotated[bool, BeforeValidator(_parse_flag)]
"""`true` or `false` in a query string."""
Amount = Annotated[
    Decimal,
    BeforeValidator(make_validator(money.parse_amount)),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": _DECIMAL.replace("^", _NOT_ZERO)},
                {
                    "type": "number",
                    "exclusiveMinimum": -_AMOUNT_LIMIT,
                    "exclusiveMaximum": _AMOUNT_LIMIT,
                    "not": {"const": 0},
                },
            ],
            "description": "Not zero, with at most the currency's decimals; a negative one is a refund.",
            "examples": ["12.50"],
        }
    ),
]
BudgetAmount = Annotated[
    Decimal,
    BeforeValidator(make_validator(money.parse_budget_amount)),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": _DECIMAL.replace("^-?", _NOT_ZERO)},
                {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": _AMOUNT_LIMIT},
            ],
            "description": "More than zero, with at most the currency's decimals.",
            "examples": ["200.00"],
        }
    ),
]
"""The amount of a budget."""
AmountBound = Annotated[
    int, BeforeValidator(make_validator(_parse_amount_bound)), WithJsonSchema({"type": "string", "pattern": _DECIMAL})
]
"""The bound of a filter by amount, in thousandths."""
AmountText = Annotated[str, WithJsonSchema({"type": "string", "pattern": _DECIMAL})]
PositiveAmountText = Annotated[str, WithJsonSchema({"type": "string", "pattern": _DECIMAL.replace("-?", "")})]
"""The amount of a budget in an answer."""
TotalText = Annotated[str, WithJsonSchema({"type": "string", "pattern": _DECIMAL.replace("{1,12}", "+")})]
"""A sum in an answer, which may have more digits than a single amount."""
CURRENCY_DESCRIPTION: Final = "ISO 4217 code, in any case; [`GET /currencies`](currencies) lists them."
"""The link is relative, so that it works from /docs and /redoc also below a root path."""
Currency = TypeAliasType(
    "Currency",
    Annotated[
        str,
        BeforeValidator(make_validator(money.parse_currency)),
        WithJsonSchema({"type": "string", "pattern": "^[A-Za-z]{3}$", "description": CURRENCY_DESCRIPTION}),
    ],
)
"""A currency in a request.

The document has no enum of the codes: the currency of an answer is a plain string, which a typed client could not send
back.
"""
CurrencyCode = Annotated[str, WithJsonSchema({"type": "string", "pattern": "^[A-Z]{3}$"})]
"""A currency in an answer."""
Day = Annotated[
    date,
    BeforeValidator(make_validator(days.parse_day)),
    WithJsonSchema(
        {
            "type": "string",
            "format": "date",
            "pattern": days.DAY_PATTERN,
            "description": "A day from 1900-01-01 to 2199-12-31.",
        }
    ),
]
Instant = Annotated[
    datetime,
    BeforeValidator(make_validator(days.parse_instant)),
    WithJsonSchema(
        {
            "type": "string",
            "format": "date-time",
            "pattern": days.INSTANT_PATTERN,
            "description": "An instant (RFC 3339) before 2200.",
        }
    ),
]
Timezone = Annotated[
    str,
    BeforeValidator(make_validator(days.parse_timezone)),
    WithJsonSchema({"type": "string", "pattern": "^[A-Za-z0-9_+/-]+$", "description": "IANA time zone name."}),
]
Omittable = Annotated[T | None, BeforeValidator(_refuse_null), OmittableSchema]
"""A field that may be left out but not be null."""
IGNORED: Final = "Ignored."
IgnoredField = Annotated[Any, Field(description=IGNORED)]
MonthStartDay = Annotated[
    int,
    Field(
        ge=1,
        le=28,
        description="The day on which your months begin; weeks, quarters and years follow the calendar.",
    ),
]
RevisionNumber = Annotated[
    int, Field(description="Number of the row's last change; all changes in an account are numbered in one sequence.")
]
Archived = Annotated[
    bool, Field(description="Whether apps should not offer it for new expenses; it has no other effect.")
]
