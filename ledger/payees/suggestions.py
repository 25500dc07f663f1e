"""Payees for autocompletion: those of the last year, most used first, then the others.

1. with words   the payees whose names have them, by an index of their search keys
2. count        in the newest 10,000 expenses, by the index of reports alone, so that it takes as long for a million
3. too few?     the others of 1 that have an expense, by name
4. last         how each was spelt, and its day and category, in its last expense
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Row, Select, bindparam, case, func, select

from ledger.core import Ledger
from ledger.payees.names import load_latest
from ledger.payees.schemas import COUNTED_EXPENSES, PayeeQuery
from ledger.payees.schemas import Payee as PayeeAnswer
from models import Expense, Payee
from values.search import split_words
from values.texts import make_name_key

YEAR: Final = timedelta(days=365)
MAX_IDS: Final = 1_000
"""If the words occur in more names, their ids are not read: a subquery finds them."""

_COUNTED: Final = (
    select(Expense.payee_id, Expense.spent_on)
    .where(Expense.mine())
    .order_by(Expense.spent_on.desc())
    .limit(COUNTED_EXPENSES)
    .with_hint(Expense, "FORCE INDEX (ix_expenses_for_reports)", "mysql")
    .subquery()
)
_USED: Final = func.count().label("uses")
_RECENTLY: Final = func.count(case((_COUNTED.c.spent_on > bindparam("year_ago"), 1)))
_MOST_USED: Final = (
    select(_COUNTED.c.payee_id, _USED)
    .where(_COUNTED.c.payee_id.is_not(None))
    .group_by(_COUNTED.c.payee_id)
    .order_by(_RECENTLY.desc(), _USED.desc(), func.max(_COUNTED.c.spent_on).desc(), _COUNTED.c.payee_id.desc())
    .limit(bindparam("limit"))
)
# Not EXISTS: MySQL would find the payees of all expenses first.
_ONE_EXPENSE: Final = select(Expense.id).where(Expense.mine(), Expense.payee_id == Payee.id).limit(1).correlate(Payee)
_OTHERS: Final = (
    select(Payee.id)
    .where(Payee.mine(), _ONE_EXPENSE.scalar_subquery().is_not(None))
    .order_by(Payee.search_key, Payee.id)
    .limit(bindparam("limit"))
)


async def list_payees(ledger: Ledger, query: PayeeQuery) -> list[PayeeAnswer]:
    """Return the payees whose name has all words of the query."""
    # The search key is made of the name's key, in which a wide letter is a plain one.
    words = split_words(make_name_key(query.q or ""))
    matching = await _find_matching(ledger, words) if query.q else None
    if matching == []:
        return []
    uses = await _load_uses(ledger, matching, year_ago=ledger.today - YEAR, limit=query.limit)
    if len(uses) < query.limit:
        # Every payee that was counted is among the uses.
        others = _OTHERS.where(Payee.id.not_in(list(uses)))
        if matching is not None:
            others = others.where(Payee.id.in_(matching))
        uses |= {row.id: 0 for row in await ledger.fetch_all(others, limit=query.limit - len(uses))}
    latest = await load_latest(ledger, uses)
    return [_build_payee(latest[payee_id], count) for payee_id, count in uses.items() if payee_id in latest]


async def _find_matching(ledger: Ledger, words: Sequence[str]) -> Sequence[int] | Select[int]:
    """Return the ids of the payees whose name has all words, or the statement that selects them if they are many."""
    if not words:
        return []
    matching = select(Payee.id).where(Payee.mine(), *(func.instr(Payee.search_key, word) > 0 for word in words))
    found = [row.id for row in await ledger.fetch_all(matching.limit(MAX_IDS + 1))]
    return matching if len(found) > MAX_IDS else found


async def _load_uses(ledger: Ledger, matching: Sequence[int] | Select[int] | None, **parameters: Any) -> dict[int, int]:
    """Return the number of uses of the matching payees that are used most, in the order of the answer."""
    statement: Select[Any] = _MOST_USED
    if matching is not None:
        statement = statement.where(_COUNTED.c.payee_id.in_(matching))
    return {row.payee_id: row.uses for row in await ledger.fetch_all(statement, **parameters)}


def _build_payee(latest: Row[Any], count: int) -> PayeeAnswer:
    return PayeeAnswer(name=latest.name, count=count, last_used=latest.spent_on, last_category=latest.category)
