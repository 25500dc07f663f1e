"""The filters of expenses, the same for lists, reports and bulk changes."""

from collections.abc import Iterator
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator
from sqlalchemy import ColumnElement, func, or_, select

from models import MAX_CATEGORIES, Category, Expense
from problems import ValidationFailed
from values import days, periods
from values.field_errors import ParseError, invalid_value, parameter_error
from values.fields import CURRENCY_DESCRIPTION, AmountBound, BooleanParameter, Currency, Day, Omittable, make_validator
from values.shapes import PageQuery, RequestModel
from values.spans import Span
from values.text_fields import (
    NON_BLANK_TEXT_PATTERN,
    CategoryName,
    make_line_schema,
    make_line_validator,
    make_text_validator,
)
from values.texts import DESCRIPTION_LENGTH, EXTERNAL_ID_LENGTH, make_name_key, make_text_key

SAMPLE_DAY = date(2026, 1, 1)
MAX_START_DAY = 28
MAX_WORDS = 10


def _check_period(value: str) -> str:
    # Only the spelling is checked here; the days depend on the user's today and on the day on which their months begin.
    make_validator(lambda period: periods.resolve_period(period, SAMPLE_DAY, MAX_START_DAY))(value)
    return value


Period = Annotated[
    str,
    Field(max_length=32, json_schema_extra={"pattern": periods.PERIOD_PATTERN}),
    AfterValidator(_check_period),
]


ExternalIdFilter = Annotated[
    str,
    AfterValidator(make_line_validator(1, EXTERNAL_ID_LENGTH)),
    Field(json_schema_extra=make_line_schema(EXTERNAL_ID_LENGTH)),
]


def _split_words(text: str) -> list[str]:
    """Return the keys of the words of a text, each once."""
    return list(dict.fromkeys(make_text_key(text).split()))


def _check_words(value: str) -> str:
    # Each word is looked for in every description.
    if len(_split_words(value)) > MAX_WORDS:
        raise invalid_value("too_long", f"Send at most {MAX_WORDS} different words.")
    return value


SearchWords = Annotated[
    str,
    AfterValidator(make_text_validator(1, DESCRIPTION_LENGTH)),
    AfterValidator(_check_words),
    Field(json_schema_extra={"pattern": NON_BLANK_TEXT_PATTERN, "minLength": 1, "maxLength": DESCRIPTION_LENGTH}),
]


class ExpenseFilter(RequestModel):
    """Filters of expenses: all must match; several categories, and `uncategorized`, are alternatives."""

    from_: Omittable[Day] = Field(default=None, alias="from", description="The first day, inclusive.")
    to: Omittable[Day] = Field(default=None, description="The last day, inclusive.")
    period: Omittable[Period] = Field(
        default=None,
        description="Instead of `from` and `to`: `2026`, `2026-Q4`, `2026-11`, `2026-W47`, `2026-11-22`, `today`, "
        "`this-week`, `this-month`, `this-quarter`, `this-year`, `last-week`, `last-month`, `last-quarter`, "
        "`last-year`, `month-to-date`, `year-to-date`, `last-N-days`, `last-N-months` (both count the current one). "
        "A month begins on your `month_start_day` and is named after the calendar month in which it begins (from the "
        "25th on, `2026-11` is 25 November to 24 December). Weeks, quarters and years follow the calendar.",
    )
    category: list[CategoryName] = Field(
        default=[],
        max_length=MAX_CATEGORIES,
        # One error names the parameter; those of the other 999 names would only take time.
        fail_fast=True,
        description="A category's name; can be sent several times. An unknown name matches nothing.",
    )
    uncategorized: BooleanParameter = Field(
        default=False, description="Expenses without a category, in addition to those of `category`."
    )
    currency: Omittable[Currency] = Field(default=None, description=CURRENCY_DESCRIPTION)
    min_amount: Omittable[AmountBound] = Field(default=None, description="At least this number, whatever the currency.")
    max_amount: Omittable[AmountBound] = Field(default=None, description="At most this number, whatever the currency.")
    external_id: Omittable[ExternalIdFilter] = Field(default=None, description="The expense with this `external_id`.")
    q: Omittable[SearchWords] = Field(
        default=None,
        description="Words that the description contains anywhere, in any case; all must occur. At most "
        f"{MAX_WORDS} different ones.",
    )

    @field_validator("to")
    @classmethod
    def _check_to(cls, to: date | None, info: ValidationInfo) -> date | None:
        first = info.data.get("from_")
        if to is not None and first is not None and to < first:
            raise invalid_value("out_of_range", "This is before `from`.")
        return to

    @field_validator("period")
    @classmethod
    def _check_period_alone(cls, period: str | None, info: ValidationInfo) -> str | None:
        if info.data.get("from_") is not None or info.data.get("to") is not None:
            raise invalid_value("not_allowed", "Give either a period, or from and to.")
        return period

    @field_validator("max_amount")
    @classmethod
    def _check_max_amount(cls, most: int | None, info: ValidationInfo) -> int | None:
        least = info.data.get("min_amount")
        if most is not None and least is not None and most < least:
            raise invalid_value("out_of_range", "This is below `min_amount`.")
        return most

    def resolve_span(self, today: date, month_start_day: int) -> Span | None:
        """Return the days of the filter, None for all; raise ValidationFailed if none is within 1900 to 2199."""
        if self.period is not None:
            try:
                return periods.resolve_period(self.period, today, month_start_day)
            except ParseError as error:
                raise ValidationFailed(errors=[parameter_error("period", error.code, str(error))]) from None
        if self.from_ is None and self.to is None:
            return None
        return Span(self.from_ or days.EARLIEST, self.to or days.LATEST)

    @property
    def depends_on_today(self) -> bool:
        """Whether the filter means other days tomorrow."""
        return self.period is not None and periods.is_relative(self.period)

    def clauses(self, span: Span | None) -> Iterator[ColumnElement[bool]]:
        """Yield the conditions for a SELECT, UPDATE or DELETE of expenses that binds the parameter `owner`."""
        if span is not None:
            yield Expense.spent_on.between(span.first, span.last)
        if self.category or self.uncategorized:
            yield or_(*self._build_category_clauses())
        if self.currency is not None:
            yield Expense.currency == self.currency
        if self.min_amount is not None:
            yield Expense.amount >= self.min_amount
        if self.max_amount is not None:
            yield Expense.amount <= self.max_amount
        if self.external_id is not None:
            yield Expense.external_id == self.external_id
        for word in _split_words(self.q or ""):
            yield func.instr(Expense.description_key, word) > 0

    def _build_category_clauses(self) -> Iterator[ColumnElement[bool]]:
        owned = select(Category.id).where(Category.mine())
        if len(self.category) == 1:
            # One value, not IN: so the index on (owner_id, category_id, spent_on, id) also gives the order by date.
            yield (
                Expense.category_id
                == owned.where(Category.name_key == make_name_key(self.category[0])).scalar_subquery()
            )
        elif self.category:
            yield Expense.category_id.in_(
                owned.where(Category.name_key.in_([make_name_key(name) for name in self.category]))
            )
        if self.uncategorized:
            yield Expense.category_id.is_(None)


class ExpenseQuery(PageQuery, ExpenseFilter):
    """A page of a list of expenses."""

    sort: Literal["-date", "date", "-amount", "amount"] = Field(
        default="-date", description="`-` sorts in descending order; amounts are compared as numbers."
    )

    def has_better_index(self, *, deep: bool) -> bool:
        """Whether another index than the sort order's may have fewer rows to read.

        A filter by day or amount counts only on the first page: far into a list many rows match, and walking the index
        of the sort order finds them.
        """
        by_day = self.period is not None or self.from_ is not None or self.to is not None
        by_amount = self.min_amount is not None or self.max_amount is not None
        by_another = by_amount if self.sort in {"date", "-date"} else by_day
        return bool(self.category or self.uncategorized or self.external_id is not None or (by_another and not deep))

    def dump_filters(self) -> dict[str, Any]:
        """Return the filters and the sort order, to which a cursor is bound."""
        return self.model_dump(exclude={"limit", "cursor", "with_count"})


class BulkQuery(ExpenseFilter):
    """The expenses to change or delete."""

    dry_run: BooleanParameter = Field(default=False, description="Only count the expenses; change nothing.")
