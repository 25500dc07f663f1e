"""Schemas of budgets and their status."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from ledger.reports.schemas import Days
from values.fields import (
    BudgetAmount,
    Currency,
    CurrencyCode,
    Day,
    Omittable,
    PositiveAmountText,
    RevisionNumber,
    TotalText,
)
from values.shapes import (
    RequestModel,
    ResponseModel,
    WithAmount,
    WithReadOnlyFields,
    with_example,
)
from values.text_fields import CategoryName, NullableLine

BudgetPeriod = Literal["week", "month", "quarter", "year"]
PeriodField = Annotated[
    BudgetPeriod,
    Field(
        description="The length of a window. A month begins on your `month_start_day`; weeks (ISO 8601, Monday to "
        "Sunday), quarters and years follow the calendar."
    ),
]
CategoryField = Annotated[
    NullableLine[CategoryName],
    Field(
        description="A category's name, which means its children too; the category is created if there is none. Null "
        "or empty: all spending."
    ),
]


class BudgetCreate(WithAmount):
    """A new budget; the default currency is yours."""

    currency: Omittable[Currency] = None
    category: CategoryField = None
    amount: BudgetAmount
    period: PeriodField

    model_config = with_example(category="Groceries", amount="200.00", currency="EUR", period="month")

    @classmethod
    def takes_default_currency(cls, body: Mapping[str, Any]) -> bool:  # noqa: ARG003
        """Whether it is a new budget: always."""
        return True


class BudgetUpdate(WithReadOnlyFields, WithAmount):
    """The fields to change; with `category` null it is for all spending, with `currency` alone the amount stays."""

    currency: Omittable[Currency] = None
    category: CategoryField = None
    amount: Omittable[BudgetAmount] = None
    period: Omittable[PeriodField] = None

    model_config = with_example(amount="220.00")


class Budget(ResponseModel):
    """A limit for your spending in each week, month, quarter or year."""

    id: int
    category: str | None = Field(description="Null: all spending.")
    amount: PositiveAmountText
    currency: CurrencyCode
    period: BudgetPeriod
    revision: RevisionNumber
    created_at: datetime
    updated_at: datetime

    model_config = with_example(
        id=3,
        category="Groceries",
        amount="200.00",
        currency="EUR",
        period="month",
        revision=32,
        created_at="2026-11-22T13:23:00Z",
        updated_at="2026-11-22T13:23:00Z",
    )


class BudgetList(ResponseModel):
    """All budgets, sorted by category, currency and age; those for all spending come first."""

    items: list[Budget]
    next_cursor: None = None


BudgetStateName = Literal["over", "near", "at_risk", "ok"]


class StatusQuery(RequestModel):
    """The day for which the status is computed."""

    on: Omittable[Day] = Field(default=None, description="Default: today in your time zone.")


class BudgetState(ResponseModel):
    """How much of a budget is used in the window that contains the day."""

    budget: Budget
    window: Days = Field(description="The week, month, quarter or year of the budget that contains the day.")
    spent: TotalText = Field(description="In the whole window, including expenses dated after the day.")
    remaining: TotalText = Field(description="Negative if more is spent than the amount.")
    percent_used: float = Field(description="`spent` in percent of the amount, rounded half to even to one decimal.")
    days_left: int = Field(description="Including the day itself.")
    per_day_left: TotalText = Field(description="`remaining` / `days_left`, rounded down; zero if nothing remains.")
    projected: TotalText = Field(
        description="`spent`, plus the remaining days at the daily average up to the day. If no expense is dated "
        "later, that is `spent` divided by the days elapsed, times the days of the window."
    )
    state: BudgetStateName = Field(
        description="The first that applies: `over`, `spent` is more than the amount; `near`, at least 80 % of it; "
        "`at_risk`, `projected` is more than it; `ok`."
    )


class Unbudgeted(ResponseModel):
    """Spending of the month that no category's budget covers, in one currency."""

    currency: CurrencyCode
    total: TotalText


class BudgetStatus(ResponseModel):
    """The status of all budgets on a day."""

    on: date
    items: list[BudgetState]
    unbudgeted: list[Unbudgeted] = Field(
        description="Spending in your month that contains the day, without a category, or in a category that has no "
        "budget in that currency, and whose parent has none either; a budget for all spending does not count. One row "
        "per currency, your own first."
    )

    model_config = with_example(
        on="2026-11-22",
        items=[
            {
                "budget": Budget.model_config["json_schema_extra"]["example"],  # type: ignore[index]  # it has one
                "window": {"from": "2026-11-01", "to": "2026-11-30"},
                "spent": "120.00",
                "remaining": "80.00",
                "percent_used": 60.0,
                "days_left": 9,
                "per_day_left": "8.88",
                "projected": "163.64",
                "state": "ok",
            }
        ],
        unbudgeted=[{"currency": "EUR", "total": "55.10"}],
    )
