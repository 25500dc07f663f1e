"""Schemas of reports."""

from datetime import date
from typing import Annotated, Final, Literal, NotRequired, get_args

from pydantic import BeforeValidator, Field, field_validator
from pydantic.json_schema import SkipJsonSchema
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from ledger.expenses.filters import ExpenseFilter
from values.field_errors import invalid_value
from values.fields import AmountText, CurrencyCode, Omittable, TotalText
from values.periods import Comparison
from values.shapes import OMITS_DEFAULTS, ResponseModel, with_example

NameDimension = Literal["category", "parent", "payee", "tag"]
TimeDimension = Literal["day", "week", "month", "quarter", "year", "weekday"]
Dimension = Literal[NameDimension, TimeDimension]
NAME_DIMENSIONS: Final = frozenset(get_args(NameDimension))


class Days(ResponseModel):
    """A span of days, both ends included."""

    from_: date = Field(serialization_alias="from")
    to: date


# A report has up to 10,000 groups: dictionaries are made and written faster than models, and need no validation.


class _Bucket(TypedDict):
    day: NotRequired[
        Annotated[
            str,
            Field(
                description="Send it as `period` to list the expenses of this day. A week, month, quarter or year can "
                "be sent too, and lists all of its expenses, even where the report's span contains only a part of it."
            ),
        ]
    ]
    week: NotRequired[str]
    month: NotRequired[str]
    quarter: NotRequired[str]
    year: NotRequired[str]
    weekday: NotRequired[Annotated[int, Field(description="1 (Monday) to 7 (ISO 8601).")]]
    category: NotRequired[
        Annotated[str | None, Field(description="Null: without a category. Absent unless grouped by category.")]
    ]
    parent: NotRequired[
        Annotated[str | None, Field(description="The parent of the category, or the category itself if it has none.")]
    ]
    payee: NotRequired[
        Annotated[
            str | None,
            Field(
                description="Spelt as in its last expense; payees that differ only in case are one. Null: without one."
            ),
        ]
    ]
    tag: NotRequired[Annotated[str | None, Field(description="Null: without any tag.")]]


class Figures(TypedDict):
    """What was spent in one currency, compared with the other span if there is one."""

    currency: CurrencyCode
    total: TotalText
    count: int
    average: Annotated[TotalText | None, Field(description="Null if there are no expenses, like `min` and `max`.")]
    min: AmountText | None
    max: AmountText | None
    previous_total: NotRequired[Annotated[TotalText, Field(description="Only with `compare`.")]]
    change: NotRequired[Annotated[TotalText, Field(description="`total` minus `previous_total`; only with `compare`.")]]
    change_percent: NotRequired[
        Annotated[
            float | None,
            Field(
                description="`change` in percent of `previous_total`, to one decimal; null unless that is positive; "
                "only with `compare`."
            ),
        ]
    ]


class SpendingTotal(Figures):
    """What was spent in one currency in the whole span."""

    per_day: Annotated[TotalText, Field(description="`total` divided by the number of days in the span.")]


class SpendingGroup(_Bucket, Figures):
    """What was spent in one bucket and currency; the fields of `group_by` name the bucket."""

    share_percent: Annotated[
        float | None,
        Field(description="`total` in percent of the currency's total, to one decimal; null unless that is positive."),
    ]


class SpendingReport(ResponseModel):
    """Spending by currency; amounts of different currencies are never added up."""

    period: Days
    compared_to: Days | SkipJsonSchema[None] = Field(default=None, description="Only with `compare`.")
    group_by: list[Dimension]
    overlapping: bool | SkipJsonSchema[None] = Field(
        default=None,
        description="`true` if grouped by tag: an expense with two tags is in two groups, which add up to more than "
        "the totals. Otherwise absent.",
    )
    totals: list[SpendingTotal] = Field(description="One row per currency; your own is always present and comes first.")
    groups: list[SpendingGroup] = Field(
        description="One row per bucket and currency, in the order of `group_by`; empty without it. Buckets of time "
        "cover the whole span, with zeros, for each currency and category, parent or tag that occurs in it or in the "
        "compared span; with `payee` there are only buckets in which the payee occurs. "
        "Those at its ends contain only their days inside the span. With `compare`, a bucket is compared with the one "
        "at the same position of the other span, whatever their lengths, and a weekday with the same weekday; further "
        "buckets of the other span count only in `totals`."
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


def _refuse_commas(value: object) -> object:
    if isinstance(value, str) and "," in value:
        raise invalid_value("not_allowed", "Send one parameter for each: group_by=month&group_by=category.")
    return value


GroupByField = Annotated[Dimension, BeforeValidator(_refuse_commas)]


class SpendingQuery(ExpenseFilter):
    """Filters, grouping and comparison of a spending report; without dates it is about the current month."""

    group_by: list[GroupByField] = Field(
        default=[],
        max_length=2,
        json_schema_extra={
            "uniqueItems": True,
            "contains": {"enum": [*get_args(TimeDimension)]},
            "minContains": 0,
            "maxContains": 1,
        },
        description="None, one or two of `category`, `parent` (a category counts for its parent), `payee`, `tag`, "
        "`day`, `week`, `month`, `quarter`, `year`, `weekday`; at most one of them a time. Send two as "
        "`group_by=month&group_by=category`.",
    )
    compare: Omittable[Comparison] = Field(
        default=None,
        description="`previous`: the span just before, of equal length. A whole month, quarter, year or "
        "`last-N-months` is compared with as many whole months, `month-to-date` and `year-to-date` with the same "
        "days of the previous month or year. `last-year`: the same months, week or days one year earlier (week 52 if "
        "that year has no week 53; 28 February for a 29 February at an end of the span).",
    )

    @field_validator("group_by")
    @classmethod
    def _check_group_by(cls, group_by: list[str]) -> list[str]:
        if len(set(group_by)) < len(group_by):
            raise invalid_value("not_allowed", "Group by each of these once.", of_several=True)
        if len(times := set(group_by) - NAME_DIMENSIONS) > 1:
            raise invalid_value(
                "not_allowed", f"Group by only one unit of time: {' or '.join(sorted(times))}.", of_several=True
            )
        return group_by

    @property
    def time_unit(self) -> str | None:
        """The unit of time in `group_by`, or None."""
        return next((name for name in self.group_by if name not in NAME_DIMENSIONS), None)

    @property
    def names(self) -> list[str]:
        """What `group_by` has beside a unit of time."""
        return [name for name in self.group_by if name in NAME_DIMENSIONS]

    @property
    def depends_on_today(self) -> bool:
        """Whether the report may mean other days tomorrow: this month does, and an open end may."""
        return super().depends_on_today or self.has_open_end or (self.from_ is None and self.period is None)

    @property
    def has_open_end(self) -> bool:
        """Whether only one of `from` and `to` was sent."""
        return (self.from_ is None) != (self.to is None)
