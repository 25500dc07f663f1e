"""Schemas of users, categories and expenses: requests are strict, answers are complete.

Each noun has a family of them: X is the answer, XCreate a POST, XReplace a PUT, XUpdate a PATCH, XList a list.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field, ValidationInfo, field_validator
from pydantic.json_schema import SkipJsonSchema

from values.field_errors import invalid_value
from values.fields import (
    CURRENCY_DESCRIPTION,
    Amount,
    AmountText,
    Archived,
    BooleanParameter,
    Currency,
    CurrencyCode,
    Day,
    IgnoredField,
    MonthStartDay,
    Omittable,
    RevisionNumber,
    Timezone,
    TotalText,
)
from values.passwords import EnteredPassword, NewPassword
from values.shapes import (
    OMITS_DEFAULTS,
    RequestModel,
    ResponseModel,
    WithAmount,
    WithIgnoredFields,
    WithReadOnlyFields,
    with_example,
)
from values.text_fields import (
    CategoryName,
    Color,
    Description,
    Email,
    ExternalId,
    InviteCode,
    NullableLine,
    NullableText,
    PayeeName,
    Tags,
    UniqueName,
    Username,
)
from values.texts import MAX_TAGS_OF_EXPENSE

# --- Users ------------------------------------------------------------------------------------------------------------


class UserCreate(RequestModel):
    """A new account."""

    username: Username
    email: Email
    password: NewPassword
    currency: Currency = Field(default="EUR", description=f"EUR unless given. {CURRENCY_DESCRIPTION}")
    timezone: Timezone = Field(default="UTC", description="IANA time zone name; UTC unless given.")
    month_start_day: MonthStartDay = Field(
        default=1,
        description="The day on which your months begin; 1 unless given. Weeks, quarters and years stay the "
        "calendar's.",
    )
    invite: NullableLine[InviteCode] = Field(
        default=None,
        description="The code from the operator, if this service asks for one; none unless given.",
    )

    model_config = with_example(
        username="ada",
        email="ada@example.com",
        password="a walk along the sea",  # noqa: S106
        currency="EUR",
        timezone="Europe/London",
    )


class UserUpdate(WithIgnoredFields):
    """The fields of an account to change; a new user name or e-mail needs the current password too."""

    username: Omittable[Username] = None
    email: Omittable[Email] = None
    currency: Omittable[Currency] = None
    timezone: Omittable[Timezone] = None
    month_start_day: Omittable[MonthStartDay] = None
    current_password: Omittable[EnteredPassword] = None

    model_config = with_example(currency="EUR", timezone="Europe/London")


class User(ResponseModel):
    """An account, as its owner sees it."""

    id: int
    username: str
    email: str
    currency: CurrencyCode
    timezone: str
    month_start_day: int
    created_at: datetime
    updated_at: datetime

    model_config = with_example(
        id=1,
        username="ada",
        email="ada@example.com",
        currency="EUR",
        timezone="Europe/London",
        month_start_day=1,
        created_at="2026-11-22T13:23:00Z",
        updated_at="2026-11-22T13:23:00Z",
    )


class PasswordChange(RequestModel):
    """The current password and the new one."""

    current_password: EnteredPassword
    new_password: NewPassword

    model_config = with_example(current_password="your current password", new_password="a walk in the mountains")  # noqa: S106


class AccountDeletion(RequestModel):
    """The current password, because a deleted account cannot be restored."""

    current_password: EnteredPassword

    model_config = with_example(current_password="your current password")  # noqa: S106


# --- Categories -------------------------------------------------------------------------------------------------------


ParentField = Annotated[
    NullableLine[CategoryName],
    Field(
        description="Name of the category that this one is a part of, which is created if it does not exist; empty "
        "means null. There is one level: a parent has no parent itself."
    ),
]


class CategoryCreate(RequestModel):
    """A new category."""

    name: UniqueName
    parent: ParentField = None
    color: NullableLine[Color] = None

    model_config = with_example(name="Museums", parent="Travel", color="#2a9d8f")


class CategoryUpdate(WithReadOnlyFields):
    """The fields of a category to change; its expenses, budgets and children show a new name too."""

    expense_count: IgnoredField = None
    last_used: IgnoredField = None

    name: Omittable[UniqueName] = None
    parent: ParentField = None
    color: NullableLine[Color] = None
    archived: Omittable[Archived] = None

    read_only: ClassVar[frozenset[str]] = WithReadOnlyFields.read_only | {"expense_count", "last_used"}

    model_config = with_example(color="#e76f51")


class Category(ResponseModel):
    """A category: a name by which you group expenses."""

    id: int
    name: str
    parent: str | None = Field(description="Name of the category that this one is a part of, or null.")
    color: str | None
    archived: Archived
    revision: RevisionNumber
    created_at: datetime
    updated_at: datetime

    model_config = with_example(
        id=3,
        name="Groceries",
        parent="Food",
        color="#2a9d8f",
        archived=False,
        revision=12,
        created_at="2026-11-22T13:23:00Z",
        updated_at="2026-11-22T13:23:00Z",
    )


class CategoryWithUsage(Category):
    """A category; with `with_usage=true` also the number of its expenses and the date of the latest."""

    expense_count: int | SkipJsonSchema[None] = Field(
        default=None, description="Number of its expenses, without deleted ones; only with `with_usage=true`."
    )
    last_used: date | None = Field(default=None, description="Date of its latest expense; only with `with_usage=true`.")

    model_config = OMITS_DEFAULTS


class CategoryList(ResponseModel):
    """All categories, by name."""

    items: list[CategoryWithUsage]
    next_cursor: None = None


class CategoryQuery(RequestModel):
    """The query of the list of categories."""

    with_usage: BooleanParameter = Field(default=False, description="Add `expense_count` and `last_used`.")


class CategoryDeleteQuery(RequestModel):
    """What becomes of the expenses, budgets and children of a deleted category."""

    move_to: Omittable[CategoryName] = Field(
        default=None,
        description="Name of the category that gets its expenses and budgets, and its children if it has no parent.",
    )
    uncategorized: BooleanParameter = Field(
        default=False, description="Leave its expenses without a category, and delete its budgets."
    )

    @field_validator("uncategorized")
    @classmethod
    def _refuse_both(cls, uncategorized: bool, info: ValidationInfo) -> bool:  # noqa: FBT001
        if uncategorized and info.data.get("move_to") is not None:
            raise invalid_value("not_allowed", "Give either move_to or uncategorized.")
        return uncategorized


# --- Expenses ---------------------------------------------------------------------------------------------------------


class _ExpenseFields(WithAmount):
    # The currency comes first, so that it is known when the amount is validated.
    currency: Omittable[Currency] = None
    external_id: NullableLine[ExternalId] = Field(
        default=None, description="Your own id of the expense, unique in your account; empty means null."
    )
    amount: Amount
    category: NullableLine[CategoryName] = Field(
        default=None, description="Name of the category, which is created if it does not exist; empty means null."
    )
    payee: NullableLine[PayeeName] = Field(default=None, description="Who was paid; empty means null.")
    description: NullableText[Description] = Field(default=None, description="Empty means null.")
    tags: Omittable[Tags] = Field(
        default=None,
        description=f"Up to {MAX_TAGS_OF_EXPENSE} names; a tag that does not exist is created. Names that differ "
        "only in case are the same.",
    )


class ExpenseCreate(_ExpenseFields):
    """A new expense; the default currency is that of your account, the default date is today."""

    date: Omittable[Day] = None

    model_config = with_example(
        amount="12.50",
        currency="EUR",
        date="2026-11-22",
        category="Groceries",
        payee="Market hall",
        description="Apples and bread",
        tags=["shared"],
    )

    @classmethod
    def takes_default_currency(cls, body: Mapping[str, Any]) -> bool:
        """Whether it has no `external_id`: that may belong to an existing expense in another currency."""
        external_id = body.get("external_id")
        return not (isinstance(external_id, str) and external_id.strip())


class _WithReadOnlyExpenseFields(WithReadOnlyFields):
    deleted_at: IgnoredField = None
    import_id: IgnoredField = None

    read_only: ClassVar[frozenset[str]] = WithReadOnlyFields.read_only | {"deleted_at", "import_id"}


class ExpenseReplace(_WithReadOnlyExpenseFields, _ExpenseFields):
    """A whole expense; fields that are left out become null, and `tags` empty."""

    currency: Currency
    amount: Amount
    date: Day

    model_config = with_example(
        amount="13.00",
        currency="EUR",
        date="2026-11-22",
        category="Groceries",
        payee="Market hall",
        description="Apples, bread and cheese",
        tags=["shared"],
    )


class ExpenseUpdate(_WithReadOnlyExpenseFields, _ExpenseFields):
    """The fields to change; null clears `category`, `payee`, `description` and `external_id`, and `[]` the tags."""

    amount: Omittable[Amount] = None  # type: ignore[assignment]  # here it may be left out
    date: Omittable[Day] = None

    model_config = with_example(amount="13.00")


@dataclass(slots=True)
class Expense:
    """An expense; a negative amount is a refund."""

    # A dataclass, because a page has up to 200 of these, and a pydantic model takes eight times as long to build.
    __pydantic_config__: ClassVar[ConfigDict] = with_example(
        id=7,
        amount="12.50",
        currency="EUR",
        date="2026-11-22",
        category="Groceries",
        payee="Market hall",
        description="Apples and bread",
        tags=["shared"],
        external_id=None,
        import_id=None,
        revision=31,
        created_at="2026-11-22T13:23:00Z",
        updated_at="2026-11-22T13:23:00Z",
        deleted_at=None,
    ) | ConfigDict(json_schema_serialization_defaults_required=True)

    id: int
    amount: AmountText
    currency: CurrencyCode
    date: date
    category: str | None
    payee: str | None
    description: str | None
    tags: Annotated[list[str], Field(description="Names of its tags, sorted by name.")]
    external_id: str | None
    import_id: Annotated[int | None, Field(description="The import that has brought it, or null.")]
    revision: RevisionNumber
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None


class ListTotal(ResponseModel):
    """What the expenses of a list add up to in one currency."""

    currency: CurrencyCode
    total: TotalText
    count: int


class ExpenseList(ResponseModel):
    """One page of expenses; `next_cursor` is null on the last."""

    items: list[Expense]
    next_cursor: str | None
    count: int | SkipJsonSchema[None] = Field(
        default=None, description="Number of all expenses that match; only with `with_count=true`."
    )
    totals: list[ListTotal] | SkipJsonSchema[None] = Field(
        default=None,
        description="Sums of all expenses that match, a row for each currency that occurs, your own first; only with "
        "`with_totals=true`.",
    )

    model_config = OMITS_DEFAULTS
