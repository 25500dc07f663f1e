"""The status of budgets on a day: what was spent in each budget's window, what is left, and what is projected.

    window (month)   11-01 ............. on = 11-22 ............. 11-30
                     spent so far (22 days elapsed)   dated later (bills)
    spent            so far + later
    projected        so far / 22 * 30 + later         only expenses up to `on` set the daily average (decision 19)
    per day left     (amount - spent) / 9             `on` itself is one of the days left

The state is the first that holds: `over`, spent > amount; `near`, spent >= 4/5 of it; `at_risk`, projected > amount.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Final, NamedTuple

from sqlalchemy import Row

from ledger.budgets.budgets import build_budget, load_budgets
from ledger.budgets.schemas import BudgetState, BudgetStateName, BudgetStatus, Unbudgeted
from ledger.core import Ledger
from ledger.reports.schemas import Days
from ledger.reports.totals import CATEGORY_ID, PARENT_ID, select_spending
from models import Expense
from values import money
from values.spans import CALENDAR_UNITS, ONE_DAY, Span

# A budget is `near` its limit from 4/5 of its amount.
NEAR_FRACTION: Final = (4, 5)
SpentTally = Counter[tuple[str, bool, int | None, str]]
"""Thousandths by (period, whether dated after `on`, category id or None for all spending, currency)."""


async def read_status(ledger: Ledger, on: date) -> BudgetStatus:
    """Compute the status of all budgets on a day, in two statements."""
    budgets = await load_budgets(ledger)
    # `unbudgeted` needs the month even if no budget has it.
    periods = {"month", *(budget["period"] for budget in budgets)}
    # Sorted, so that the same set of periods always gives the same statement.
    windows = {period: CALENDAR_UNITS[period].find(on, ledger.owner.month_start_day) for period in sorted(periods)}
    parts = [part for period, window in windows.items() for part in _split_window(period, window, on)]
    rows = await ledger.fetch_all(
        select_spending(
            [[Expense.spent_on.between(one.span.first, one.span.last)] for one in parts],
            {"category_id": CATEGORY_ID, "parent_id": PARENT_ID},
        )
    )
    tally = _tally_rows(parts, rows)
    month = [row for row in rows if parts[row.part].period == "month"]
    return BudgetStatus(
        on=on,
        items=[_build_state(budget, windows[budget["period"]], on, tally) for budget in budgets],
        unbudgeted=_build_unbudgeted(budgets, month, ledger.owner.currency),
    )


class WindowPart(NamedTuple):
    """A part of a budget's window: up to `on`, or after it."""

    period: str
    is_later: bool
    span: Span


def _split_window(period: str, window: Span, on: date) -> Iterator[WindowPart]:
    yield WindowPart(period, is_later=False, span=Span(window.first, on))
    if on < window.last:
        yield WindowPart(period, is_later=True, span=Span(on + ONE_DAY, window.last))


def _tally_rows(parts: Sequence[WindowPart], rows: Iterable[Row[Any]]) -> SpentTally:
    tally: SpentTally = Counter()
    for row in rows:
        period, is_later, _ = parts[row.part]
        # It counts for its category, for that one's parent, and for all spending.
        for category_id in {row.category_id, row.parent_id, None}:
            tally[period, is_later, category_id, row.currency] += row.total
    return tally


def _build_unbudgeted(budgets: Sequence[Mapping[str, Any]], month: Iterable[Row[Any]], own: str) -> list[Unbudgeted]:
    budgeted = {(row["category_id"], row["currency"]) for row in budgets if row["category_id"] is not None}
    totals: Counter[str] = Counter()
    for row in month:
        if budgeted.isdisjoint({(row.category_id, row.currency), (row.parent_id, row.currency)}):
            totals[row.currency] += row.total
    return [
        Unbudgeted(currency=currency, total=money.write_amount(totals[currency], currency))
        for currency in money.sort_own_first(totals, own)
    ]


def _build_state(budget: Mapping[str, Any], window: Span, on: date, tally: SpentTally) -> BudgetState:
    amount, currency = budget["amount"], budget["currency"]
    elapsed, days_left = Span(window.first, on).days, Span(on, window.last).days
    so_far, later = (tally[budget["period"], is_later, budget["category_id"], currency] for is_later in (False, True))
    spent = so_far + later
    # Expenses up to `on` set the daily average of the whole window; later ones are known and added as they are.
    projected = money.divide(so_far * window.days + later * elapsed, elapsed, currency)
    return BudgetState(
        budget=build_budget(budget),
        window=Days(from_=window.first, to=window.last),
        spent=money.write_amount(spent, currency),
        remaining=money.write_amount(amount - spent, currency),
        percent_used=money.compute_percent(spent, amount),
        days_left=days_left,
        per_day_left=money.write_amount(money.divide_down(max(amount - spent, 0), days_left, currency), currency),
        projected=money.write_amount(projected, currency),
        state=_judge(spent, projected, amount),
    )


def _judge(spent: int, projected: int, amount: int) -> BudgetStateName:
    if spent > amount:
        return "over"
    if spent * NEAR_FRACTION[1] >= amount * NEAR_FRACTION[0]:
        return "near"
    return "at_risk" if projected > amount else "ok"
