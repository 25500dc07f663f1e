"""What goes over the wire: one family of shapes per noun, strict on the way in, complete on the way out."""

import re
import unicodedata
from collections.abc import Callable, Collection
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Final, TypeVar

from email_validator import EmailNotValidError, validate_email
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from pydantic.json_schema import JsonSchemaValue, SkipJsonSchema
from pydantic_core import CoreSchema, PydanticCustomError

import money
import periods
from database import LARGEST_ID
from models import DESCRIPTION_LENGTH, EMAIL_LENGTH, EXTERNAL_ID_LENGTH, KEY_GROWTH, NAME_LENGTH, name_key, text_key
from problems import NotFound

T = TypeVar("T")

# --- Vocabulary -------------------------------------------------------------------------------------------------------

# Control characters of C0 save tab and newline: invisible, and poison to logs, CSV files and terminals.
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f]")
# JSON can spell half of a character; UTF-8 cannot, and so neither can the database.
_SURROGATES: Final = re.compile(r"[\ud800-\udfff]")
SHORTEST_PASSWORD: Final = 8
LONGEST_PASSWORD: Final = 128
_USERNAME: Final = re.compile(r"[A-Za-z0-9._-]*")
_COLOR: Final = re.compile(r"#[0-9A-Fa-f]{6}")
_ROW_ID: Final = re.compile(r"[1-9][0-9]{0,18}")
_WHOLE: Final = re.compile(r"0|-?[1-9][0-9]{0,15}")


def refusal(code: str, detail: str) -> PydanticCustomError:
    """Return what a validator raises to become one entry of the problem."""
    return PydanticCustomError(code, "{detail}", {"detail": detail})


def refusing(read: Callable[[Any], T]) -> Callable[[Any], T]:
    """Let a reader of money or of periods be a validator: what it refuses becomes an entry."""

    def reading(value: object) -> T:
        try:
            return read(value)
        except (money.AmountError, periods.PeriodError) as error:
            raise refusal(error.code, str(error)) from None

    return reading


def _unicode(value: str) -> str:
    if _SURROGATES.search(value):
        raise refusal("malformed", "This is no valid Unicode text.")
    return value


def text(shortest: int, longest: int, key: Callable[[str], str] | None = None) -> Callable[[str], str]:
    """Make the validator of a text: trimmed, in NFC, of so many characters, with a `key` that its column can hold."""

    def read(value: str) -> str:
        trimmed = unicodedata.normalize("NFC", _unicode(value)).strip()
        if _CONTROLS.search(value):
            raise refusal("malformed", "Leave out control characters.")
        if len(trimmed) < shortest:
            raise refusal("too_short", f"Send at least {shortest} character{'s' * (shortest > 1)}.")
        # A few characters fold to as many as eighteen: a text of them has no key that its column could hold.
        if len(trimmed) > longest or (key and len(key(trimmed)) > longest * KEY_GROWTH):
            raise refusal("too_long", f"Send at most {longest} characters.")
        return trimmed

    return read


def _username(value: str) -> str:
    if not _USERNAME.fullmatch(value):
        raise refusal("malformed", "Use ASCII letters, digits, dots, underscores and hyphens.")
    return value


def _color(value: str) -> str:
    if not _COLOR.fullmatch(value):
        raise refusal("malformed", "Write a colour like #2a9d8f.")
    return value.lower()


def _normal_password(value: str) -> str:
    return unicodedata.normalize("NFKC", _unicode(value))


def new_password(value: str) -> str:
    """Return a password as it is hashed (NFKC), or refuse its length; auth.check_password says which are too common."""
    password = _normal_password(value)
    if len(password) < SHORTEST_PASSWORD:
        raise refusal("too_short", f"Send at least {SHORTEST_PASSWORD} characters.")
    if len(password) > LONGEST_PASSWORD:
        raise refusal("too_long", f"Send at most {LONGEST_PASSWORD} characters.")
    return password


def _email(value: str) -> str:
    try:
        email = validate_email(_unicode(value), check_deliverability=False).normalized
    except EmailNotValidError:
        # The library's own sentences quote the address.
        raise refusal("malformed", "This is not an e-mail address.") from None
    if len(name_key(email)) > EMAIL_LENGTH * KEY_GROWTH:
        raise refusal("too_long", f"Send at most {EMAIL_LENGTH} characters.")
    return email


def _null_if_empty(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() and not _CONTROLS.search(value) else value


def _never_null(value: object) -> object:
    if value is None:
        raise refusal("wrong_type", "This cannot be null; leave it out instead.")
    return value


class NotNullable:
    """Marks a field whose None means that it was not sent, and which the document therefore does not call nullable."""

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Take the null out of the choices."""
        described = handler(schema)
        choices = [choice for choice in described.pop("anyOf", []) if choice != {"type": "null"}]
        return described | (choices[0] if len(choices) == 1 else {"anyOf": choices})


def _row_id(value: object) -> int:
    # What is no id is no row: the same answer as for a stranger's.
    if not isinstance(value, str) or not _ROW_ID.fullmatch(value) or int(value) > LARGEST_ID:
        raise NotFound
    return int(value)


def _whole_number(value: object) -> object:
    return int(value) if isinstance(value, str) and _WHOLE.fullmatch(value) else value


def _flag(value: object) -> object:
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


def _bound(value: object) -> int:
    return money.read_bound(value if isinstance(value, str) else "")


_DECIMAL = r"^-?[0-9]{1,12}(\.[0-9]{1,3})?$"

RowId = Annotated[int, Field(ge=1, le=LARGEST_ID), BeforeValidator(_row_id)]
WholeNumber = Annotated[int, BeforeValidator(_whole_number)]
"""An integer in a query string."""
Flag = Annotated[bool, BeforeValidator(_flag)]
"""`true` or `false` in a query string."""
Amount = Annotated[
    Decimal,
    BeforeValidator(refusing(money.read_amount)),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": _DECIMAL}, {"type": "number"}], "examples": ["12.50"]}),
]
AmountBound = Annotated[int, BeforeValidator(refusing(_bound)), WithJsonSchema({"type": "string", "pattern": _DECIMAL})]
"""A filter's bound, in thousandths."""
Money = Annotated[str, WithJsonSchema({"type": "string", "pattern": _DECIMAL})]
Currency = Annotated[
    str,
    BeforeValidator(refusing(money.read_currency)),
    WithJsonSchema({"type": "string", "pattern": "^[A-Za-z]{3}$", "description": "ISO 4217 code, in any case."}),
]
Day = Annotated[date, BeforeValidator(refusing(periods.read_day)), WithJsonSchema({"type": "string", "format": "date"})]
Email = Annotated[str, AfterValidator(_email), WithJsonSchema({"type": "string", "format": "email", "maxLength": 254})]
Timezone = Annotated[
    str,
    BeforeValidator(refusing(periods.read_timezone)),
    WithJsonSchema({"type": "string", "description": "IANA time zone name."}),
]
CategoryName = Annotated[
    str,
    AfterValidator(text(1, NAME_LENGTH, name_key)),
    Field(json_schema_extra={"minLength": 1, "maxLength": NAME_LENGTH}),
]
Description = Annotated[
    str,
    AfterValidator(text(0, DESCRIPTION_LENGTH, text_key)),
    Field(json_schema_extra={"maxLength": DESCRIPTION_LENGTH}),
]
ExternalId = Annotated[
    str, AfterValidator(text(0, EXTERNAL_ID_LENGTH)), Field(json_schema_extra={"maxLength": EXTERNAL_ID_LENGTH})
]
Optional = Annotated[T | None, BeforeValidator(_null_if_empty)]
"""A text that may be null; an empty one is."""
Given = Annotated[T | None, BeforeValidator(_never_null), NotNullable]
"""A field that may be left out but not be null."""
Color = Annotated[str, AfterValidator(_color), WithJsonSchema({"type": "string", "pattern": "^#[0-9A-Fa-f]{6}$"})]
Username = Annotated[
    str,
    Field(min_length=3, max_length=NAME_LENGTH),
    AfterValidator(_username),
    Field(json_schema_extra={"pattern": "^[A-Za-z0-9._-]+$"}),
]
NewPassword = Annotated[
    str,
    AfterValidator(new_password),
    WithJsonSchema(
        {"type": "string", "format": "password", "minLength": SHORTEST_PASSWORD, "maxLength": LONGEST_PASSWORD}
    ),
]
GivenPassword = Annotated[
    str, Field(max_length=1024, json_schema_extra={"format": "password"}), AfterValidator(_normal_password)
]
Ignored = Annotated[Any, Field(description="Ignored.")]
MonthStartDay = Annotated[int, Field(ge=1, le=28, description="The day on which the user's months begin.")]


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


class Problem(Answer):
    """What went wrong, as RFC 9457 says it; `code` is for programs, `detail` for people."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[dict[str, str]] | SkipJsonSchema[None] = Field(
        default=None,
        description="Each field to blame: a JSON `pointer`, a `parameter` or a `header`; a `code`; a `detail`.",
    )

    model_config = SOME_LEFT_OUT


# --- Users ------------------------------------------------------------------------------------------------------------


class UserCreate(Shape):
    """A new account."""

    username: Username
    email: Email
    password: NewPassword
    currency: Currency = "EUR"
    timezone: Timezone = "UTC"
    month_start_day: MonthStartDay = 1

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "username": "ada",
                "email": "ada@example.com",
                "password": "correct horse battery",
                "currency": "EUR",
                "timezone": "Europe/London",
            }
        }
    )


class UserUpdate(Shape):
    """What may change of an account; a new name or e-mail needs the current password too."""

    username: Given[Username] = None
    email: Given[Email] = None
    currency: Given[Currency] = None
    timezone: Given[Timezone] = None
    month_start_day: Given[MonthStartDay] = None
    current_password: Given[GivenPassword] = None

    model_config = ConfigDict(json_schema_extra={"example": {"currency": "EUR", "month_start_day": 25}})


class User(Answer):
    """An account, as its owner sees it."""

    id: int
    username: str
    email: str
    currency: str
    timezone: str
    month_start_day: int
    created_at: datetime
    updated_at: datetime

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": 1,
                "username": "ada",
                "email": "ada@example.com",
                "currency": "EUR",
                "timezone": "Europe/London",
                "month_start_day": 1,
                "created_at": "2026-11-22T13:23:00Z",
                "updated_at": "2026-11-22T13:23:00Z",
            }
        }
    )


class PasswordChange(Shape):
    """The password that was, and the one that shall be."""

    current_password: GivenPassword
    new_password: NewPassword

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"current_password": "correct horse battery", "new_password": "staple of the horse"}
        }
    )


class AccountDeletion(Shape):
    """The password again, because nothing brings the account back."""

    current_password: GivenPassword

    model_config = ConfigDict(json_schema_extra={"example": {"current_password": "correct horse battery"}})


class SignIn(Shape):
    """The password form of OAuth2 (RFC 6749 section 4.3); its other fields are ignored."""

    username: Annotated[str, Field(max_length=254, description="The user name or the e-mail.")]
    password: GivenPassword
    grant_type: SkipJsonSchema[str | None] = None
    scope: SkipJsonSchema[str | None] = None
    client_id: SkipJsonSchema[str | None] = None
    client_secret: SkipJsonSchema[str | None] = None

    model_config = ConfigDict(json_schema_extra={"example": {"username": "ada", "password": "correct horse battery"}})


class Token(Answer):
    """A bearer token (RFC 6750) and how many seconds it is good for."""

    access_token: str
    token_type: str
    expires_in: int


# --- Categories -------------------------------------------------------------------------------------------------------


class CategoryCreate(Shape):
    """A new category."""

    name: CategoryName
    color: Optional[Color] = None

    model_config = ConfigDict(json_schema_extra={"example": {"name": "Groceries", "color": "#2a9d8f"}})


class CategoryUpdate(Shape):
    """What may change of a category; a new name is read on all its expenses."""

    name: Given[CategoryName] = None
    color: Optional[Color] = None
    archived: Given[bool] = None

    model_config = ConfigDict(json_schema_extra={"example": {"color": "#e76f51"}})


class Category(Answer):
    """A name that a user sorts expenses under."""

    id: int
    name: str
    color: str | None
    archived: bool
    revision: int
    created_at: datetime
    updated_at: datetime

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": 3,
                "name": "Groceries",
                "color": "#2a9d8f",
                "archived": False,
                "revision": 12,
                "created_at": "2026-11-22T13:23:00Z",
                "updated_at": "2026-11-22T13:23:00Z",
            }
        }
    )


class CategoryWithUsage(Category):
    """A category, and with `with_usage=true` how it is used."""

    expense_count: int | SkipJsonSchema[None] = Field(
        default=None, description="Live expenses under it; only with `with_usage=true`."
    )
    last_used: date | None = Field(default=None, description="Its latest expense's date; only with `with_usage=true`.")

    model_config = SOME_LEFT_OUT


class CategoryList(Answer):
    """All categories, by name."""

    items: list[CategoryWithUsage]
    next_cursor: None = None


# --- Expenses ---------------------------------------------------------------------------------------------------------


callers_currency: ContextVar[str | None] = ContextVar("callers_currency", default=None)
"""What a new expense is in that names no currency, so that its amount is judged together with the rest of the body."""


class _ExpenseFields(Shape):
    is_new: ClassVar[bool] = False

    # The currency comes first so that it is known when the amount is looked at.
    currency: Given[Currency] = None
    amount: Amount
    category: Optional[CategoryName] = None
    description: Optional[Description] = None
    external_id: Optional[ExternalId] = None

    @field_validator("amount", check_fields=False)
    @classmethod
    def _fits_the_currency(cls, amount: Decimal, info: ValidationInfo) -> Decimal:
        # Of a currency that was refused nothing more is said.
        currency = info.data.get("currency") or (
            callers_currency.get() if cls.is_new and "currency" in info.data else None
        )
        if currency is not None:
            refusing(lambda value: money.thousandths(value, currency))(amount)
        return amount


class ExpenseCreate(_ExpenseFields):
    """A new expense; without a currency it is in the user's, without a date it is today's."""

    is_new: ClassVar[bool] = True

    date: Given[Day] = None

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "amount": "12.50",
                "currency": "EUR",
                "date": "2026-11-22",
                "category": "Groceries",
                "description": "Apples and bread",
            }
        }
    )


class _ReadBack(Shape):
    """What an expense was read with may be sent back: these are ignored, save for a revision that has moved on."""

    id: Ignored = None
    created_at: Ignored = None
    updated_at: Ignored = None
    deleted_at: Ignored = None
    revision: Given[Annotated[int, Field(description="If sent, must be the row's, else 412.")]] = None

    ignored: ClassVar[Collection[str]] = frozenset({"id", "created_at", "updated_at", "deleted_at", "revision"})

    def given(self) -> dict[str, Any]:
        """Return just the fields that were sent and can change."""
        return {name: value for name, value in super().given().items() if name not in self.ignored}


class ExpenseReplace(_ReadBack, _ExpenseFields):
    """A whole expense; what is left out becomes null."""

    currency: Currency
    amount: Amount
    date: Day

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"amount": "13.00", "currency": "EUR", "date": "2026-11-22", "category": "Groceries"}
        }
    )


class ExpenseUpdate(_ReadBack, _ExpenseFields):
    """The fields to change; null clears `category`, `description` and `external_id`."""

    amount: Given[Amount] = None  # type: ignore[assignment]  # here it may be left out
    date: Given[Day] = None

    model_config = ConfigDict(json_schema_extra={"example": {"amount": "13.00"}})


@dataclass(slots=True)
class Expense:
    """An expense; a negative amount is a refund."""

    # A dataclass, because a page makes up to 200 of these: a model takes eight times as long to make.
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(
        json_schema_serialization_defaults_required=True,
        json_schema_extra={
            "example": {
                "id": 7,
                "amount": "12.50",
                "currency": "EUR",
                "date": "2026-11-22",
                "category": "Groceries",
                "description": "Apples and bread",
                "external_id": None,
                "revision": 31,
                "created_at": "2026-11-22T13:23:00Z",
                "updated_at": "2026-11-22T13:23:00Z",
                "deleted_at": None,
            }
        },
    )

    id: int
    amount: Money
    currency: str
    date: date
    category: str | None
    description: str | None
    external_id: str | None
    revision: int
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None


class ExpenseList(Answer):
    """One page of expenses; `next_cursor` is null on the last."""

    items: list[Expense]
    next_cursor: str | None
    count: int | SkipJsonSchema[None] = Field(default=None, description="All that match; only with `with_count=true`.")

    model_config = SOME_LEFT_OUT


# --- The service ------------------------------------------------------------------------------------------------------


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
