"""Payees by their names: find them, and create those that are used for the first time.

An expense has the name as it was written, and the id of its payee, which is the same whatever the case. So expenses are
filtered and grouped by the id. A payee that no expense has any more is deleted by the daily sweep, or when its room
is needed: whoever creates payees calls `ledger.unused.refuse_outgrown_quota` when the expenses are written.
"""

from collections.abc import Collection, Iterable
from collections.abc import Set as AbstractSet
from typing import Any, Final

from sqlalchemy import Row, bindparam, select
from sqlalchemy.orm import aliased

from database import get_inserted_id
from infra.slices import batched
from ledger.core import ROWS_PER_STATEMENT, Ledger
from models import Category, Expense, Payee
from values.sizes import measure
from values.texts import make_name_key, make_payee_key

# Answered by the unique index on (owner_id, name_key).
_SELECT_BY_NAME: Final = select(Payee.id).where(Payee.mine(), Payee.name_key == bindparam("payee_key"))
_SELECT_KEYS: Final = select(Payee.id, Payee.name_key).where(Payee.mine())
_LATER: Final = aliased(Expense)
# Of each payee the last expense, by day and then by id: one look into the index on (owner_id, payee_id, spent_on, id).
_LATEST_ID: Final = (
    select(_LATER.id)
    .where(_LATER.mine(), _LATER.payee_id == Payee.id)
    .order_by(_LATER.spent_on.desc(), _LATER.id.desc())
    .limit(1)
    .correlate(Payee)
    .scalar_subquery()
)
_SELECT_LATEST: Final = (
    select(Payee.id.label("payee_id"), Expense.payee.label("name"), Expense.spent_on, Category.name.label("category"))
    .select_from(Payee)
    .join(Expense, (Expense.owner_id == Payee.owner_id) & (Expense.id == _LATEST_ID))
    .outerjoin(Category, (Category.owner_id == Expense.owner_id) & (Category.id == Expense.category_id))
    .where(Payee.mine())
)
"""The last expense of each payee: how the name was written there, and its day and category."""


async def find_payees(ledger: Ledger, keys: Collection[str]) -> dict[str, int]:
    """Return the ids of the payees that exist, by the key of their name."""
    rows = await ledger.fetch_in(_SELECT_KEYS, Payee.name_key, keys)
    return {row.name_key: row.id for row in rows}


async def create_payees(ledger: Ledger, keys: Collection[str]) -> dict[str, int]:
    """Create payees, and return them like find_payees."""
    ledger.count(text_bytes=measure(*keys))
    await ledger.insert_all(Payee, [_build_columns(key) for key in keys])
    return await find_payees(ledger, keys)


async def find_or_create_payees(ledger: Ledger, keys: AbstractSet[str]) -> dict[str, int]:
    """Return payees like find_payees, creating those that do not exist; others are served after every 250 of them."""
    payees = await find_payees(ledger, keys)
    for missing in batched(sorted(keys - payees.keys()), ROWS_PER_STATEMENT):
        payees |= await create_payees(ledger, missing)
    return payees


async def find_or_create_payee(ledger: Ledger, name: str) -> int:
    """Return the id of the payee of this name, creating it if there is none."""
    key = make_name_key(name)
    row = await ledger.fetch_one(_SELECT_BY_NAME, payee_key=key)
    return int(row[0]) if row else await insert_payee(ledger, key)


async def insert_payee(ledger: Ledger, key: str) -> int:
    """Create the payee whose name has this key, and return its id."""
    ledger.count(text_bytes=measure(key))
    return get_inserted_id(await ledger.insert(Payee, **_build_columns(key)))


async def load_latest(ledger: Ledger, payee_ids: Iterable[int]) -> dict[int, Row[Any]]:
    """Return the last expense of each payee: how the name was written there, and its day and category.

    A payee whose expenses were deleted meanwhile has none.
    """
    return {row.payee_id: row for row in await ledger.fetch_in(_SELECT_LATEST, Payee.id, payee_ids)}


def _build_columns(key: str) -> dict[str, str]:
    return {"name_key": key, "search_key": make_payee_key(key)}
