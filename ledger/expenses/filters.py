"""The filters of expenses, the same for lists, reports and bulk changes."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import date
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator
from sqlalchemy import ColumnElement, and_, func, literal, or_, select, union_all

from ledger.core import Ledger
from ledger.expenses.filter_ids import (
    MAX_SET_IDS,
    FilterIds,
    Ids,
    select_categories,
    select_payees,
    select_tag_sets,
)
from models import MAX_CATEGORIES, Expense
from problems import ValidationFailed
from values import days, periods
from values.field_errors import invalid_value, parameter_error
from values.fields import (
    CURRENCY_DESCRIPTION,
    LARGEST_ID,
    AmountBound,
    BooleanParameter,
    Currency,
    Day,
    Omittable,
    make_validator,
    parse_whole_number,
)
from values.parse_errors import ParseError
from values.search import MAX_WORDS, SearchWords, split_payee_words, split_words
from values.shapes import PageQuery, RequestModel
from values.spans import Span
from values.text_fields import CategoryName, PayeeName, TagName, make_line_schema, make_line_validator
from values.texts import EXTERNAL_ID_LENGTH, MAX_TAGS_OF_EXPENSE

T = TypeVar("T")

READS: Final = 2
"""How often a read is run before tag sets are found by a subquery."""
SAMPLE_DAY = date(2026, 1, 1)
MAX_START_DAY = 28
MAX_PAYEES: Final = 1_000


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


ImportIdFilter = Annotated[int, Field(ge=1, le=LARGEST_ID), BeforeValidator(parse_whole_number)]


class ExpenseFilter(RequestModel):
    """Filters of expenses: all must match; categories and `uncategorized` are alternatives, and so are payees."""

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
        description="A category's name, which means its children too; can be sent several times. An unknown name "
        "matches nothing.",
    )
    children: BooleanParameter = Field(
        default=True, description="`false`: only the expenses of each `category` itself, not those of its children."
    )
    uncategorized: BooleanParameter = Field(
        default=False, description="Expenses without a category, in addition to those of `category`."
    )
    payee: list[PayeeName] = Field(
        default=[],
        max_length=MAX_PAYEES,
        fail_fast=True,
        description="Who was paid, in any case; can be sent several times.",
    )
    without_payee: BooleanParameter = Field(
        default=False, description="Expenses without a payee, in addition to those of `payee`."
    )
    tag: list[TagName] = Field(
        default=[],
        max_length=MAX_TAGS_OF_EXPENSE,
        fail_fast=True,
        description="A tag's name; sent several times, an expense must have all of these tags.",
    )
    untagged: BooleanParameter = Field(default=False, description="Expenses without a tag; not together with `tag`.")
    currency: Omittable[Currency] = Field(default=None, description=CURRENCY_DESCRIPTION)
    min_amount: Omittable[AmountBound] = Field(default=None, description="At least this number, whatever the currency.")
    max_amount: Omittable[AmountBound] = Field(default=None, description="At most this number, whatever the currency.")
    external_id: Omittable[ExternalIdFilter] = Field(default=None, description="The expense with this `external_id`.")
    import_id: Omittable[ImportIdFilter] = Field(default=None, description="Expenses that this import has brought.")
    q: Omittable[SearchWords] = Field(
        default=None,
        description="Words that the description or the payee contains anywhere, without regard to case or accents; "
        f"all must occur. At most {MAX_WORDS} different ones.",
    )

    @field_validator("untagged")
    @classmethod
    def _check_untagged(cls, untagged: bool, info: ValidationInfo) -> bool:  # noqa: FBT001
        if untagged and info.data.get("tag"):
            raise invalid_value("not_allowed", "Send either `tag` or `untagged`: no expense matches both.")
        return untagged

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

    @property
    def has_reference(self) -> bool:
        """Whether there is a filter by what an expense refers to, or does not."""
        names = self.category or self.payee or self.tag
        return bool(names or self.uncategorized or self.without_payee or self.untagged)

    @property
    def has_selective_filter(self) -> bool:
        """Whether there is a filter that an index of its own answers: category, payee, tag, external id or import."""
        # Not `untagged`: most expenses are, so that the index of the sort order finds them sooner.
        names = self.category or self.payee or self.tag
        return bool(names or self.uncategorized or self.without_payee or self.external_id or self.import_id)

    def clauses(self, span: Span | None, ids: FilterIds) -> Iterator[ColumnElement[bool]]:
        """Yield the conditions for a SELECT, UPDATE or DELETE of expenses that binds the parameter `owner`.

        `ids` are those of `find_filter_ids`.
        """
        if span is not None:
            yield Expense.spent_on.between(span.first, span.last)
        yield from ids.clauses()
        if self.currency is not None:
            yield Expense.currency == self.currency
        if self.min_amount is not None:
            yield Expense.amount >= self.min_amount
        if self.max_amount is not None:
            yield Expense.amount <= self.max_amount
        if self.external_id is not None:
            yield Expense.external_id == self.external_id
        if self.import_id is not None:
            yield Expense.import_id == self.import_id
        for word in split_words(self.q or ""):
            yield _contains(word)


def _contains(word: str) -> ColumnElement[bool]:
    """Return the condition that the description or the payee of an expense has a word of `q`."""
    in_payee = and_(*(func.instr(Expense.payee_key, it) > 0 for it in split_payee_words(word)))
    return or_(func.instr(Expense.description_key, word) > 0, in_payee)


async def read_filtered(ledger: Ledger, query: ExpenseFilter, read: Callable[[FilterIds], Awaitable[T]]) -> T:
    """Run a read, or a bulk change under the lock, with the ids that the filter names.

    Between two statements of a reader a change of tags may give every expense another tag set. So if the ledger has
    another revision after the read, it is run again, and at last with a subquery instead of the ids of tag sets, which
    sees one moment.
    """
    if ledger.is_locked or not query.tag:
        return await read(await find_filter_ids(ledger, query))
    before = ledger.revision
    for _ in range(READS):
        result = await read(await find_filter_ids(ledger, query))
        after = await ledger.read_revision()
        if after == before:
            return result
        before = after
    return await read(await find_filter_ids(ledger, query, sets_by_subquery=True))


async def find_filter_ids(ledger: Ledger, query: ExpenseFilter, *, sets_by_subquery: bool = False) -> FilterIds:
    """Return the ids of the categories with their children, the payees and the tag sets that the filter names.

    If there are more than 1,000 tag sets, or with `sets_by_subquery`, a subquery finds these.
    """
    most_sets = 0 if sets_by_subquery else MAX_SET_IDS
    if not query.has_reference:
        # Most lists: making the statements below would take a tenth of the time of a page.
        return FilterIds()
    tag_sets = select_tag_sets(query.tag)
    asked = {
        "category": select_categories(query.category, with_children=query.children) if query.category else None,
        "payee": select_payees(query.payee) if query.payee else None,
        "tag_set": tag_sets.limit(most_sets + 1) if query.tag else None,
    }
    parts = [it.add_columns(literal(kind).label("kind")).subquery() for kind, it in asked.items() if it is not None]
    found: dict[str, list[int | None]] = {kind: [] for kind in asked}
    if parts:
        for row in await ledger.fetch_all(union_all(*(select(part) for part in parts))):
            found[row.kind].append(row.id)
    is_long = len(found["tag_set"]) > most_sets
    return FilterIds(
        tag_sets if is_long else _join_ids(found["tag_set"], is_asked=bool(query.tag), or_without=query.untagged),
        _join_ids(found["payee"], is_asked=bool(query.payee), or_without=query.without_payee),
        _join_ids(found["category"], is_asked=bool(query.category), or_without=query.uncategorized),
    )


def _join_ids(found: Sequence[int | None], *, is_asked: bool, or_without: bool) -> Ids | None:
    if not (is_asked or or_without):
        return None
    return (*found, None) if or_without else tuple(found)


class ExpenseQuery(PageQuery, ExpenseFilter):
    """A page of a list of expenses."""

    sort: Literal["-date", "date", "-amount", "amount"] = Field(
        default="-date", description="`-` sorts in descending order; amounts are compared as numbers."
    )
    with_totals: BooleanParameter = Field(default=False, description="Also add up all expenses that match.")

    def has_better_index(self, *, deep: bool) -> bool:
        """Whether another index than the sort order's may have fewer rows to read.

        A filter by day or amount counts only on the first page: far into a list many rows match, and walking the index
        of the sort order finds them.
        """
        by_day = self.period is not None or self.from_ is not None or self.to is not None
        by_amount = self.min_amount is not None or self.max_amount is not None
        by_another = by_amount if self.sort in {"date", "-date"} else by_day
        return self.has_selective_filter or (by_another and not deep)

    def dump_filters(self) -> dict[str, Any]:
        """Return the filters and the sort order, to which a cursor is bound."""
        return self.model_dump(exclude={"limit", "cursor", "with_count", "with_totals"})


class BulkQuery(ExpenseFilter):
    """The expenses to change or delete."""

    dry_run: BooleanParameter = Field(default=False, description="Only count the expenses; change nothing.")
