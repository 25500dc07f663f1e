"""Budgets: how much a user means to spend, and how far they are."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Final, NamedTuple

from sqlalchemy import Row, bindparam, delete, func, select, update

from database import inserted_id
from ledger.budgets.schemas import Budget as BudgetAnswer
from ledger.budgets.schemas import BudgetCreate, BudgetState, BudgetStatus, BudgetUpdate, Days, State, Unbudgeted
from ledger.categories import category_named
from ledger.core import Ledger
from ledger.expenses.rows import money_columns, refuse_moved_on, thousandths
from ledger.reports.spending import spending
from models import MOST_BUDGETS, Budget, Category, Expense, Tombstone
from problems import AlreadyExists, NotFound, TooMany
from values import money
from values.etags import Precondition
from values.field_errors import at
from values.spans import ONE_DAY, UNITS, Span

# A budget is nearly used up from this part of its amount on.
NEAR: Final = (4, 5)

_MINE: Final = Budget.owner_id == bindparam("owner")
_THIS: Final = Budget.id == bindparam("row_id")
READING: Final = (
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
_ALL: Final = READING.order_by(Category.name_key, Budget.currency, Budget.id)
_ONE: Final = READING.where(_THIS)
_COUNT: Final = select(func.count()).select_from(Budget).where(_MINE)
_SAME: Final = select(Budget.id).where(
    _MINE,
    Budget.category_id.is_not_distinct_from(bindparam("category_id")),
    Budget.currency == bindparam("currency"),
    Budget.period == bindparam("period"),
)


async def list_budgets(ledger: Ledger) -> list[BudgetAnswer]:
    """Return all budgets."""
    return [answer(row) for row in await _rows(ledger)]


async def read_budget(ledger: Ledger, budget_id: int) -> BudgetAnswer:
    """Return one budget."""
    return answer(await _row(ledger, budget_id))


def taken(fields: Collection[str], existing_id: int) -> AlreadyExists:
    """Return the refusal of a second budget of a kind, for which it blames the first of the fields that make one."""
    blamed = next(name for name in ("category", "currency", "period") if name in fields)
    detail = "You have a budget for this category (or for all spending), currency and period: change that one."
    return AlreadyExists(errors=[at(f"/{blamed}", "already_exists", detail)], members={"existing_id": existing_id})


async def create_budget(ledger: Ledger, data: BudgetCreate) -> BudgetAnswer:
    """Make a budget; raise AlreadyExists where there is one for the same category, currency and period."""
    if (await ledger.execute(_COUNT)).scalar_one() >= MOST_BUDGETS:
        raise TooMany(f"An account holds at most {MOST_BUDGETS:,} budgets.")
    currency = data.currency or ledger.owner.currency
    amount = thousandths(data.amount, currency)
    category_id, _ = await category_named(ledger, data.category)
    values = {"category_id": category_id, "currency": currency, "period": data.period}
    await _refuse_taken(ledger, values, data.model_fields_set)
    revision = await ledger.next_revision()
    return await read_budget(
        ledger, inserted_id(await ledger.insert(Budget, amount=amount, revision=revision, **values))
    )


async def change_budget(ledger: Ledger, budget_id: int, change: BudgetUpdate, condition: Precondition) -> BudgetAnswer:
    """Change the fields sent; the same values change nothing and take no revision."""
    row = await _row(ledger, budget_id)
    refuse_moved_on(row["revision"], condition, change.revision)
    fields = change.given()
    values = money_columns(row, fields)
    if "period" in fields:
        values["period"] = fields["period"]
    if "category" in fields:
        values["category_id"], _ = await category_named(ledger, fields["category"])
    changed = {name: value for name, value in values.items() if value != row[name]}
    if not changed:
        return answer(row)
    if changed.keys() - {"amount"}:
        kind = {name: (row | values)[name] for name in ("category_id", "currency", "period")}
        await _refuse_taken(ledger, kind, {name.removesuffix("_id") for name in changed})
    changed |= {"revision": await ledger.next_revision(), "updated_at": ledger.instant}
    await ledger.execute(update(Budget).where(_MINE, _THIS).values(changed), row_id=budget_id)
    return await read_budget(ledger, budget_id)


async def delete_budget(ledger: Ledger, budget_id: int, condition: Precondition) -> None:
    """Delete a budget and leave a tombstone."""
    refuse_moved_on((await _row(ledger, budget_id))["revision"], condition)
    await ledger.execute(delete(Budget).where(_MINE, _THIS), row_id=budget_id)
    revision = await ledger.next_revision()
    await ledger.insert(Tombstone, kind="budget", row_id=budget_id, revision=revision)


async def read_status(ledger: Ledger, on: date) -> BudgetStatus:
    """Tell how all budgets stand on a day: in two statements, however many there are."""
    budgets = await _rows(ledger)
    # The month is looked at in any case, for what has no budget.
    periods = {"month", *(budget["period"] for budget in budgets)}
    # In an order of their own, so that the same periods make the same statement.
    windows = {period: UNITS[period].holding(on, ledger.owner.month_start_day) for period in sorted(periods)}
    parts = [part for period, window in windows.items() for part in _parts(period, window, on)]
    rows = await ledger.rows(
        spending([[Expense.spent_on.between(it.span.first, it.span.last)] for it in parts], by_category=True)
    )
    tally = _tally(parts, rows)
    month = [row for row in rows if parts[row.part].period == "month"]
    return BudgetStatus(
        on=on,
        items=[_state(budget, windows[budget["period"]], on, tally) for budget in budgets],
        unbudgeted=_unbudgeted(budgets, month, ledger.owner.currency),
    )


class Part(NamedTuple):
    """A part of a budget's window: up to the day that was asked about, or what is dated later."""

    period: str
    is_later: bool
    span: Span


Tally = Counter[tuple[str, bool, int | None, str]]
"""Thousandths by period, whether they are dated later than the day, category (None: all spending) and currency."""


def _parts(period: str, window: Span, on: date) -> Iterator[Part]:
    yield Part(period, is_later=False, span=Span(window.first, on))
    if on < window.last:
        yield Part(period, is_later=True, span=Span(on + ONE_DAY, window.last))


def _tally(parts: Sequence[Part], rows: Iterable[Row[Any]]) -> Tally:
    tally: Tally = Counter()
    for row in rows:
        period, is_later, _ = parts[row.part]
        for category_id in {row.category_id, None}:
            tally[period, is_later, category_id, row.currency] += row.total
    return tally


def _unbudgeted(budgets: Sequence[Mapping[str, Any]], month: Iterable[Row[Any]], own: str) -> list[Unbudgeted]:
    watched = {(it["category_id"], it["currency"]) for it in budgets if it["category_id"] is not None}
    totals: Counter[str] = Counter()
    for row in month:
        if (row.category_id, row.currency) not in watched:
            totals[row.currency] += row.total
    return [Unbudgeted(currency=it, total=money.written(totals[it], it)) for it in money.own_first(totals, own)]


def _state(budget: Mapping[str, Any], window: Span, on: date, tally: Tally) -> BudgetState:
    amount, currency = budget["amount"], budget["currency"]
    elapsed, left = Span(window.first, on).days, Span(on, window.last).days
    so_far, later = (tally[budget["period"], is_later, budget["category_id"], currency] for is_later in (False, True))
    spent = so_far + later
    # The days to come at the pace of those elapsed; what is dated later is known, and no pace.
    projected = money.divided(so_far * window.days + later * elapsed, elapsed, currency)
    return BudgetState(
        budget=answer(budget),
        window=Days(from_=window.first, to=window.last),
        spent=money.written(spent, currency),
        remaining=money.written(amount - spent, currency),
        percent_used=money.percent(spent, amount),
        days_left=left,
        per_day_left=money.written(money.divided_down(max(amount - spent, 0), left, currency), currency),
        projected=money.written(projected, currency),
        state=_judge(spent, projected, amount),
    )


def _judge(spent: int, projected: int, amount: int) -> State:
    if spent > amount:
        return "over"
    if spent * NEAR[1] >= amount * NEAR[0]:
        return "near"
    return "at_risk" if projected > amount else "ok"


async def _rows(ledger: Ledger) -> list[dict[str, Any]]:
    return [row._asdict() for row in await ledger.rows(_ALL)]


async def _row(ledger: Ledger, budget_id: int) -> dict[str, Any]:
    row = await ledger.row(_ONE, row_id=budget_id)
    if row is None:
        raise NotFound
    return row._asdict()


async def _refuse_taken(ledger: Ledger, kind: Mapping[str, Any], fields: Collection[str]) -> None:
    if standing := await ledger.row(_SAME, **kind):
        raise taken(fields, standing[0])


def answer(row: Mapping[str, Any]) -> BudgetAnswer:
    """Return the budget of a row that was read by READING."""
    shown = {name: value for name, value in row.items() if name != "category_id"}
    return BudgetAnswer(**shown | {"amount": money.written(row["amount"], row["currency"])})
