"""Budgets: how much a user means to spend, and how far they are."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Final, NamedTuple

from sqlalchemy import Row, bindparam, delete, func, select, update

from database import get_inserted_id
from ledger.budgets.schemas import Budget as BudgetAnswer
from ledger.budgets.schemas import (
    BudgetCreate,
    BudgetState,
    BudgetStateName,
    BudgetStatus,
    BudgetUpdate,
    Days,
    Unbudgeted,
)
from ledger.categories import find_or_create_category
from ledger.core import Ledger
from ledger.expenses.rows import build_money_columns, convert_amount, refuse_changed_row
from ledger.reports.spending import select_spending
from models import MAX_BUDGETS, Budget, Category, Expense, Tombstone
from problems import AlreadyExists, NotFound, TooMany
from values import money
from values.etags import Precondition
from values.field_errors import field_error
from values.spans import CALENDAR_UNITS, ONE_DAY, Span

# A budget is nearly used up from this part of its amount on.
NEAR_FRACTION: Final = (4, 5)

_MINE: Final = Budget.owner_id == bindparam("owner")
_THIS: Final = Budget.id == bindparam("row_id")
SELECT_BUDGETS: Final = (
    select(
        Budget.id,
        Category.name.label("category"),
        Budget.amount,
        Budget.currency,
        Budget.period,
        Budget.revision,
        Budget.created_at,
        Budget.updated_at,
        Budget.category_id,
    )
    .outerjoin(Category, (Category.owner_id == Budget.owner_id) & (Category.id == Budget.category_id))
    .where(_MINE)
)
# Both databases put nulls first: all spending. There are a thousand at most.
_ALL: Final = SELECT_BUDGETS.order_by(Category.name_key, Budget.currency, Budget.id)
_ONE: Final = SELECT_BUDGETS.where(_THIS)
_COUNT: Final = select(func.count()).select_from(Budget).where(_MINE)
_SELECT_SAME_KIND: Final = select(Budget.id).where(
    _MINE,
    Budget.category_id.is_not_distinct_from(bindparam("category_id")),
    Budget.currency == bindparam("currency"),
    Budget.period == bindparam("period"),
)


async def list_budgets(ledger: Ledger) -> list[BudgetAnswer]:
    """Return all budgets."""
    return [build_budget(row) for row in await _load_budgets(ledger)]


async def read_budget(ledger: Ledger, budget_id: int) -> BudgetAnswer:
    """Return one budget."""
    return build_budget(await _load_budget(ledger, budget_id))


def budget_exists_problem(fields: Collection[str], existing_id: int) -> AlreadyExists:
    """Return the refusal of a second budget of a kind, for which it blames the first of the fields that make one."""
    blamed = next(name for name in ("category", "currency", "period") if name in fields)
    detail = "You have a budget for this category (or for all spending), currency and period: change that one."
    return AlreadyExists(
        errors=[field_error(f"/{blamed}", "already_exists", detail)], members={"existing_id": existing_id}
    )


async def create_budget(ledger: Ledger, data: BudgetCreate) -> BudgetAnswer:
    """Make a budget; raise AlreadyExists where there is one for the same category, currency and period."""
    if (await ledger.execute(_COUNT)).scalar_one() >= MAX_BUDGETS:
        raise TooMany(f"An account holds at most {MAX_BUDGETS:,} budgets.")
    currency = data.currency or ledger.owner.currency
    amount = convert_amount(data.amount, currency)
    category_id, _ = await find_or_create_category(ledger, data.category)
    values = {"category_id": category_id, "currency": currency, "period": data.period}
    await _refuse_same_kind(ledger, values, data.model_fields_set)
    revision = await ledger.take_revision()
    return await read_budget(
        ledger, get_inserted_id(await ledger.insert(Budget, amount=amount, revision=revision, **values))
    )


async def change_budget(ledger: Ledger, budget_id: int, change: BudgetUpdate, condition: Precondition) -> BudgetAnswer:
    """Change the fields sent; the same values change nothing and take no revision."""
    row = await _load_budget(ledger, budget_id)
    refuse_changed_row(row["revision"], condition, change.revision)
    fields = change.dump_sent()
    values = build_money_columns(row, fields)
    if "period" in fields:
        values["period"] = fields["period"]
    if "category" in fields:
        values["category_id"], _ = await find_or_create_category(ledger, fields["category"])
    changed = {name: value for name, value in values.items() if value != row[name]}
    if not changed:
        return build_budget(row)
    if changed.keys() - {"amount"}:
        kind = {name: (row | values)[name] for name in ("category_id", "currency", "period")}
        await _refuse_same_kind(ledger, kind, {name.removesuffix("_id") for name in changed})
    changed |= {"revision": await ledger.take_revision(), "updated_at": ledger.instant}
    await ledger.execute(update(Budget).where(_MINE, _THIS).values(changed), row_id=budget_id)
    return await read_budget(ledger, budget_id)


async def delete_budget(ledger: Ledger, budget_id: int, condition: Precondition) -> None:
    """Delete a budget and leave a tombstone."""
    refuse_changed_row((await _load_budget(ledger, budget_id))["revision"], condition)
    await ledger.execute(delete(Budget).where(_MINE, _THIS), row_id=budget_id)
    revision = await ledger.take_revision()
    await ledger.insert(Tombstone, kind="budget", row_id=budget_id, revision=revision)


async def read_status(ledger: Ledger, on: date) -> BudgetStatus:
    """Tell how all budgets stand on a day: in two statements, however many there are."""
    budgets = await _load_budgets(ledger)
    # The month is looked at in any case, for what has no budget.
    periods = {"month", *(budget["period"] for budget in budgets)}
    # In an order of their own, so that the same periods make the same statement.
    windows = {period: CALENDAR_UNITS[period].find(on, ledger.owner.month_start_day) for period in sorted(periods)}
    parts = [part for period, window in windows.items() for part in _split_window(period, window, on)]
    rows = await ledger.fetch_all(
        select_spending([[Expense.spent_on.between(it.span.first, it.span.last)] for it in parts], by_category=True)
    )
    tally = _tally_rows(parts, rows)
    month = [row for row in rows if parts[row.part].period == "month"]
    return BudgetStatus(
        on=on,
        items=[_build_state(budget, windows[budget["period"]], on, tally) for budget in budgets],
        unbudgeted=_build_unbudgeted(budgets, month, ledger.owner.currency),
    )


class WindowPart(NamedTuple):
    """A part of a budget's window: up to the day that was asked about, or what is dated later."""

    period: str
    is_later: bool
    span: Span


SpentTally = Counter[tuple[str, bool, int | None, str]]
"""Thousandths by period, whether they are dated later than the day, category (None: all spending) and currency."""


def _split_window(period: str, window: Span, on: date) -> Iterator[WindowPart]:
    yield WindowPart(period, is_later=False, span=Span(window.first, on))
    if on < window.last:
        yield WindowPart(period, is_later=True, span=Span(on + ONE_DAY, window.last))


def _tally_rows(parts: Sequence[WindowPart], rows: Iterable[Row[Any]]) -> SpentTally:
    tally: SpentTally = Counter()
    for row in rows:
        period, is_later, _ = parts[row.part]
        for category_id in {row.category_id, None}:
            tally[period, is_later, category_id, row.currency] += row.total
    return tally


def _build_unbudgeted(budgets: Sequence[Mapping[str, Any]], month: Iterable[Row[Any]], own: str) -> list[Unbudgeted]:
    watched = {(it["category_id"], it["currency"]) for it in budgets if it["category_id"] is not None}
    totals: Counter[str] = Counter()
    for row in month:
        if (row.category_id, row.currency) not in watched:
            totals[row.currency] += row.total
    return [
        Unbudgeted(currency=it, total=money.write_amount(totals[it], it)) for it in money.sort_own_first(totals, own)
    ]


def _build_state(budget: Mapping[str, Any], window: Span, on: date, tally: SpentTally) -> BudgetState:
    amount, currency = budget["amount"], budget["currency"]
    elapsed, left = Span(window.first, on).days, Span(on, window.last).days
    so_far, later = (tally[budget["period"], is_later, budget["category_id"], currency] for is_later in (False, True))
    spent = so_far + later
    # The days to come at the pace of those elapsed; what is dated later is known, and no pace.
    projected = money.divide(so_far * window.days + later * elapsed, elapsed, currency)
    return BudgetState(
        budget=build_budget(budget),
        window=Days(from_=window.first, to=window.last),
        spent=money.write_amount(spent, currency),
        remaining=money.write_amount(amount - spent, currency),
        percent_used=money.compute_percent(spent, amount),
        days_left=left,
        per_day_left=money.write_amount(money.divide_down(max(amount - spent, 0), left, currency), currency),
        projected=money.write_amount(projected, currency),
        state=_judge(spent, projected, amount),
    )


def _judge(spent: int, projected: int, amount: int) -> BudgetStateName:
    if spent > amount:
        return "over"
    if spent * NEAR_FRACTION[1] >= amount * NEAR_FRACTION[0]:
        return "near"
    return "at_risk" if projected > amount else "ok"


async def _load_budgets(ledger: Ledger) -> list[dict[str, Any]]:
    return [row._asdict() for row in await ledger.fetch_all(_ALL)]


async def _load_budget(ledger: Ledger, budget_id: int) -> dict[str, Any]:
    row = await ledger.fetch_one(_ONE, row_id=budget_id)
    if row is None:
        raise NotFound
    return row._asdict()


async def _refuse_same_kind(ledger: Ledger, kind: Mapping[str, Any], fields: Collection[str]) -> None:
    if standing := await ledger.fetch_one(_SELECT_SAME_KIND, **kind):
        raise budget_exists_problem(fields, standing[0])


def build_budget(row: Mapping[str, Any]) -> BudgetAnswer:
    """Return the budget of a row that was read by READING."""
    shown = {name: value for name, value in row.items() if name != "category_id"}
    return BudgetAnswer(**shown | {"amount": money.write_amount(row["amount"], row["currency"])})
