"""Schemas of budgets and their status."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from ledger.reports.schemas import Days
from values.fields import (
    BudgetAmount,
    CategoryName,
    Currency,
    Day,
    NullableText,
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

BudgetPeriod = Literal["week", "month", "quarter", "year"]
PeriodField = Annotated[
    BudgetPeriod,
    Field(
        description="How long a window is: a month is your own and begins on your `month_start_day`; weeks (ISO 8601, "
        "Monday to Sunday), quarters and years are the calendar's."
    ),
]
CategoryField = Annotated[
    NullableText[CategoryName],
    Field(description="A category's name; a new one makes the category; null or empty is all spending."),
]


class BudgetCreate(WithAmount):
    """A new budget; without a currency it is in the user's."""

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
    """The fields to change; a `category` of null makes it one for all spending, a `currency` alone keeps the amount."""

    currency: Omittable[Currency] = None
    category: CategoryField = None
    amount: Omittable[BudgetAmount] = None
    period: Omittable[PeriodField] = None

    model_config = with_example(amount="220.00")


class Budget(ResponseModel):
    """How much you mean to spend in each week, month, quarter or year."""

    id: int
    category: str | None = Field(description="Null is all spending.")
    amount: PositiveAmountText
    currency: str
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
    """All budgets, by category and currency, the oldest first; those for all spending come before all others."""

    items: list[Budget]
    next_cursor: None = None


BudgetStateName = Literal["over", "near", "at_risk", "ok"]


class StatusQuery(RequestModel):
    """The day to look from."""

    on: Omittable[Day] = Field(default=None, description="Today in your time zone, unless given.")


class BudgetState(ResponseModel):
    """How far a budget is used in the window that holds the day."""

    budget: Budget
    window: Days = Field(description="The week, month, quarter or year of the budget that holds the day.")
    spent: TotalText = Field(description="In the whole window, what is dated after the day included.")
    remaining: TotalText = Field(description="Below zero when it is overspent.")
    percent_used: float = Field(description="Of the amount, half to even to one decimal.")
    days_left: int = Field(description="The day itself counts.")
    per_day_left: TotalText = Field(description="Rounded down; zero when nothing is left.")
    projected: TotalText = Field(
        description="`spent`, and on top the days after the day at the pace of those up to it. Where nothing is dated "
        "later, that is `spent` divided by the days elapsed, times the days of the window."
    )
    state: BudgetStateName = Field(
        description="The first of these that holds: `over`, more is spent than the amount; `near`, at least 80 % of "
        "it; `at_risk`, more is projected; `ok`."
    )


class Unbudgeted(ResponseModel):
    """What no budget of its own watches, in one currency."""

    currency: str
    total: TotalText


class BudgetStatus(ResponseModel):
    """How all budgets stand on a day."""

    on: date
    items: list[BudgetState]
    unbudgeted: list[Unbudgeted] = Field(
        description="What is spent, in the user's month that holds the day, without a category and in categories "
        "without a budget of their own in that currency; a budget for all spending does not count. A row a currency, "
        "your own first."
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
