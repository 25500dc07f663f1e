"""Budgets: how much a user means to spend, and how far they are."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

from sqlalchemy import bindparam, delete, func, select, update

import money
from analysis import Budget as BudgetAnswer
from analysis import BudgetCreate, BudgetState, BudgetStatus, BudgetUpdate, Days, State, Unbudgeted
from categories import category_named
from database import inserted_id, now
from ledger import Ledger
from models import MOST_BUDGETS, Budget, Category, Expense, Tombstone
from problems import AlreadyExists, NotFound, TooMany
from refusals import at
from reports import spending
from rows import money_columns, refuse_moved_on, thousandths
from spans import UNITS, Span

# A budget is nearly used up from this part of its amount on.
NEAR: Final = (4, 5)

_MINE: Final = Budget.owner_id == bindparam("owner")
_THIS: Final = Budget.id == bindparam("row_id")
_BUDGETS: Final = (
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
# Both databases put nulls first: all spending. The unique index answers, and there are a thousand at most.
_ALL: Final = _BUDGETS.order_by(Category.name_key, Budget.currency, Budget.id)
_ONE: Final = _BUDGETS.where(_THIS)
_COUNT: Final = select(func.count()).select_from(Budget).where(_MINE)
_SAME: Final = select(Budget.id).where(
    _MINE,
    Budget.category_id.is_not_distinct_from(bindparam("category_id")),
    Budget.currency == bindparam("currency"),
    Budget.period == bindparam("period"),
)


async def list_budgets(ledger: Ledger) -> list[BudgetAnswer]:
    """Return all budgets."""
    return [_answer(row) for row in await _rows(ledger)]


async def read_budget(ledger: Ledger, budget_id: int) -> BudgetAnswer:
    """Return one budget."""
    return _answer(await _row(ledger, budget_id))


async def create_budget(ledger: Ledger, data: BudgetCreate) -> BudgetAnswer:
    """Make a budget; raise AlreadyExists where there is one for the same category, currency and period."""
    if (await ledger.execute(_COUNT)).scalar_one() >= MOST_BUDGETS:
        raise TooMany(f"An account holds at most {MOST_BUDGETS:,} budgets.")
    currency = data.currency or ledger.owner.currency
    amount = thousandths(data.amount, currency)
    category_id, _ = await category_named(ledger, data.category)
    values = {"category_id": category_id, "currency": currency, "period": data.period}
    await _refuse_taken(ledger, values)
    revision = await ledger.next_revision()
    return await read_budget(
        ledger, inserted_id(await ledger.insert(Budget, amount=amount, revision=revision, **values))
    )


async def change_budget(ledger: Ledger, budget_id: int, change: BudgetUpdate) -> BudgetAnswer:
    """Change the fields sent; the same values change nothing and take no revision."""
    row = await _row(ledger, budget_id)
    refuse_moved_on(change.revision, row["revision"])
    fields = change.given()
    values = money_columns(row, fields)
    if "period" in fields:
        values["period"] = fields["period"]
    if "category" in fields:
        values["category_id"], _ = await category_named(ledger, fields["category"])
    changed = {name: value for name, value in values.items() if value != row[name]}
    if not changed:
        return _answer(row)
    if changed.keys() - {"amount"}:
        await _refuse_taken(ledger, {name: (row | values)[name] for name in ("category_id", "currency", "period")})
    changed |= {"revision": await ledger.next_revision(), "updated_at": now()}
    await ledger.execute(update(Budget).where(_MINE, _THIS).values(changed), row_id=budget_id)
    return await read_budget(ledger, budget_id)


async def delete_budget(ledger: Ledger, budget_id: int) -> None:
    """Delete a budget and leave a tombstone."""
    if (await ledger.execute(delete(Budget).where(_MINE, _THIS), row_id=budget_id)).rowcount == 0:
        raise NotFound
    revision = await ledger.next_revision()
    await ledger.insert(Tombstone, kind="budget", row_id=budget_id, revision=revision)


async def read_status(ledger: Ledger, on: date) -> BudgetStatus:
    """Tell how all budgets stand on a day: in two statements, however many there are."""
    budgets = await _rows(ledger)
    # The month is looked at in any case, for what has no budget.
    units = list(dict.fromkeys(["month", *(budget["period"] for budget in budgets)]))
    windows = {unit: UNITS[unit][0](on, ledger.owner.month_start_day) for unit in units}
    parts = [[Expense.spent_on.between(window.first, window.last)] for window in windows.values()]
    spent = {
        (units[row.part], row.category_id, row.currency): row.total
        for row in await ledger.rows(spending(parts, by_category=True))
    }
    return BudgetStatus(
        on=on,
        items=[_state(budget, windows[budget["period"]], on, _spent(budget, spent)) for budget in budgets],
        unbudgeted=_unbudgeted(budgets, spent, ledger.owner.currency),
    )


Spent = Mapping[tuple[str, int | None, str], int]
"""Thousandths by unit of time, category (None: without one) and currency."""


def _spent(budget: Mapping[str, Any], spent: Spent) -> int:
    period, category_id, currency = budget["period"], budget["category_id"], budget["currency"]
    if category_id is not None:
        return spent.get((period, category_id, currency), 0)
    return sum(total for (unit, _, code), total in spent.items() if (unit, code) == (period, currency))


def _unbudgeted(budgets: Sequence[Mapping[str, Any]], spent: Spent, own: str) -> list[Unbudgeted]:
    watched = {(it["category_id"], it["currency"]) for it in budgets if it["category_id"] is not None}
    totals: dict[str, int] = defaultdict(int)
    for (unit, category_id, currency), total in spent.items():
        if unit == "month" and (category_id, currency) not in watched:
            totals[currency] += total
    own_first = sorted(totals, key=lambda it: (it != own, it))
    return [Unbudgeted(currency=it, total=money.written(totals[it], it)) for it in own_first]


def _state(budget: Mapping[str, Any], window: Span, on: date, spent: int) -> BudgetState:
    amount, currency = budget["amount"], budget["currency"]
    elapsed, left = Span(window.first, on).days, Span(on, window.last).days
    projected = money.divided(spent * window.days, elapsed, currency)
    return BudgetState(
        budget=_answer(budget),
        window=Days(from_=window.first, to=window.last),
        spent=money.written(spent, currency),
        remaining=money.written(amount - spent, currency),
        percent_used=money.percent(spent, amount) or 0.0,
        days_left=left,
        per_day_left=money.written(money.divided_down(max(amount - spent, 0), left, currency), currency),
        projected=money.written(projected, currency),
        state=_named(spent, projected, amount),
    )


def _named(spent: int, projected: int, amount: int) -> State:
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


async def _refuse_taken(ledger: Ledger, target: Mapping[str, Any]) -> None:
    if taken := await ledger.row(_SAME, **target):
        entry = at("/category", "already_exists", "You have a budget for this category, currency and period.")
        raise AlreadyExists(errors=[entry], members={"existing_id": taken[0]})


def _answer(row: Mapping[str, Any]) -> BudgetAnswer:
    shown = {name: value for name, value in row.items() if name != "category_id"}
    return BudgetAnswer(**shown | {"amount": money.written(row["amount"], row["currency"])})
