"""What goes over the wire of looking where the money goes: reports and budgets."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from values.fields import (
    AmountText,
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
    OMITS_DEFAULTS,
    RequestModel,
    ResponseModel,
    WithAmount,
    WithReadOnlyFields,
    callers_currency,
    with_example,
)

# --- Reports ----------------------------------------------------------------------------------------------------------

Dimension = Literal["category", "day", "week", "month", "quarter", "year", "weekday"]
OnlyCompared = TotalText | SkipJsonSchema[None]
"""Of what is there only in a comparison."""


class Days(ResponseModel):
    """A span of days; both belong to it."""

    from_: date = Field(serialization_alias="from")
    to: date


class _Bucket(ResponseModel):
    day: str | SkipJsonSchema[None] = Field(
        default=None,
        description="Like the name of each time but a weekday, a `period` by which to list it: all of it, even where "
        "the report's span cuts it off.",
    )
    week: str | SkipJsonSchema[None] = None
    month: str | SkipJsonSchema[None] = None
    quarter: str | SkipJsonSchema[None] = None
    year: str | SkipJsonSchema[None] = None
    weekday: int | SkipJsonSchema[None] = Field(default=None, description="1 (Monday) to 7 (ISO 8601).")
    category: str | None = Field(
        default=None, description="Null: what has no category. Absent unless grouped by category."
    )

    model_config = OMITS_DEFAULTS


class _Spending(ResponseModel):
    currency: str
    total: TotalText
    count: int
    average: TotalText | None = Field(description="Null where there are no expenses, as are `min` and `max`.")
    min: AmountText | None
    max: AmountText | None
    previous_total: OnlyCompared = Field(default=None, description="Only with `compare`.")
    change: OnlyCompared = Field(default=None, description="`total` less `previous_total`; only with `compare`.")
    change_percent: float | None = Field(
        default=None,
        description="Of `previous_total`, to one decimal; null where that is not positive; only with `compare`.",
    )

    model_config = OMITS_DEFAULTS


class SpendingTotal(_Spending):
    """What was spent in one currency in the whole span."""

    per_day: TotalText = Field(description="`total` by all days of the span.")


class SpendingGroup(_Spending, _Bucket):
    """What was spent in one bucket and currency; it is named by what was grouped by."""

    share_percent: float | None = Field(
        description="Of the total in its currency, to one decimal; null where that is not positive."
    )


class SpendingReport(ResponseModel):
    """Where the money went, currency by currency: sums of different ones are never added up."""

    period: Days
    compared_to: Days | SkipJsonSchema[None] = Field(default=None, description="Only with `compare`.")
    group_by: list[Dimension]
    totals: list[SpendingTotal] = Field(description="A row a currency; your own is always there, and comes first.")
    groups: list[SpendingGroup] = Field(
        description="A row a bucket and currency, in the order of `group_by`; empty without it. Buckets of time are "
        "there over the whole span, with zeros, for each currency and category that occurs in it or in what it is "
        "compared with. Those at its ends hold only their days inside it. With `compare`, the first is set beside the "
        "first of the other span, the second beside the second, and so on, however long they are, and weekdays beside "
        "their like; what the other span has beyond that is in `totals` alone."
    )

    model_config = OMITS_DEFAULTS | with_example(
        period={"from": "2026-11-01", "to": "2026-11-30"},
        compared_to={"from": "2026-10-01", "to": "2026-10-31"},
        group_by=["month", "category"],
        totals=[
            {
                "currency": "EUR",
                "total": "412.30",
                "count": 31,
                "average": "13.30",
                "min": "1.20",
                "max": "89.00",
                "previous_total": "380.00",
                "change": "32.30",
                "change_percent": 8.5,
                "per_day": "13.74",
            }
        ],
        groups=[
            {
                "month": "2026-11",
                "category": "Groceries",
                "currency": "EUR",
                "total": "120.00",
                "count": 9,
                "average": "13.33",
                "min": "3.10",
                "max": "42.00",
                "previous_total": "110.00",
                "change": "10.00",
                "change_percent": 9.1,
                "share_percent": 29.1,
            },
            {
                "month": "2026-11",
                "category": None,
                "currency": "EUR",
                "total": "0.00",
                "count": 0,
                "average": None,
                "min": None,
                "max": None,
                "previous_total": "15.00",
                "change": "-15.00",
                "change_percent": -100.0,
                "share_percent": 0.0,
            },
        ],
    )


# --- Budgets ----------------------------------------------------------------------------------------------------------

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
    def _implied_currency(cls, sent: Mapping[str, Any]) -> str | None:  # noqa: ARG003
        return callers_currency.get()


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
