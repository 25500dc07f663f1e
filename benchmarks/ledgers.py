"""The ledgers in `make bench abuse`, filled by SQL that both databases understand."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Engine, func, insert, literal, select, update

from benchmarks.attacks import LETTERS
from benchmarks.seeding import CATEGORIES, NEWEST, PHRASES
from database import get_inserted_id
from models import Budget, Category, Expense, LedgerState

CHUNK: Final = 10_000
DAYS: Final = 730
LONGEST: Final = 500
_WHEN: Final = datetime(2026, 6, 30, tzinfo=UTC)
_COPIED: Final = [it for it in Expense.__table__.columns if it.key not in {"id", "owner_id", "category_id"}]
_COUNT: Final = select(func.count()).select_from(Expense).where(Expense.mine())
_SET_COUNT: Final = update(LedgerState).where(LedgerState.mine())
_NEWEST_ID: Final = select(func.max(Expense.id)).where(Expense.mine())


@dataclass(frozen=True)
class Kind:
    """How many expenses a ledger has, and what they look like."""

    rows: int
    describe: Callable[[int], str]
    has_external_ids: bool = False


def _say(n: int) -> str:
    return f"{PHRASES[n % len(PHRASES)]} {n}"


KINDS: Final[Mapping[str, Kind]] = {
    "small": Kind(100, _say),
    "medium": Kind(10_000, _say),
    "large": Kind(50_000, _say),
    "long": Kind(5_000, lambda n: f"{n:x<{LONGEST - len(LETTERS)}}{LETTERS}"),
    "known": Kind(1_000, lambda _: "\U0001f9fe" * LONGEST, has_external_ids=True),
}


def fill(engine: Engine, owner: int, kind: str) -> int:
    """Fill an empty ledger with ten categories, ten budgets and the expenses of its kind; return an expense's id."""
    with engine.begin() as connection:
        categories = [_add_category(connection, owner, name) for name in CATEGORIES]
        rows = KINDS[kind].rows
        for start in range(0, rows, CHUNK):
            chunk = [_build_row(KINDS[kind], n, owner, categories) for n in range(start, min(rows, start + CHUNK))]
            connection.execute(insert(Expense), chunk)
        return _finish(connection, owner)


def copy(engine: Engine, source: int, owner: int) -> int:
    """Copy the expenses of another account, without their categories; return an expense's id."""
    rows = select(literal(owner), *_COPIED).where(Expense.mine())
    with engine.begin() as connection:
        names = ["owner_id", *(column.key for column in _COPIED)]
        connection.execute(insert(Expense).from_select(names, rows), {"owner": source})
        return _finish(connection, owner)


def _add_category(connection: Connection, owner: int, name: str) -> int:
    times = {"created_at": _WHEN, "updated_at": _WHEN, "revision": 1, "owner_id": owner}
    added = connection.execute(insert(Category).values(name=name, name_key=name.casefold(), **times))
    budget = {"category_id": get_inserted_id(added), "amount": 4_000_000, "currency": "EUR", "period": "month"}
    connection.execute(insert(Budget).values(**budget, **times))
    return get_inserted_id(added)


def _build_row(kind: Kind, n: int, owner: int, categories: list[int]) -> dict[str, Any]:
    # Days and amounts are spread by factors that have no common divisor with their ranges.
    text = kind.describe(n)
    return {
        "owner_id": owner,
        "category_id": categories[n % len(categories)],
        "amount": 10 * (1 + n * 7919 % 49_999),
        "currency": "EUR",
        "spent_on": date.fromisoformat(NEWEST) - timedelta(days=n * 37 % DAYS),
        "description": text,
        "description_key": text.casefold(),
        "external_id": f"x{n}" if kind.has_external_ids else None,
        "revision": 1,
        "created_at": _WHEN,
        "updated_at": _WHEN,
    }


def _finish(connection: Connection, owner: int) -> int:
    count = connection.execute(_COUNT, {"owner": owner}).scalar_one()
    connection.execute(_SET_COUNT.values(revision=1, expense_count=count), {"owner": owner})
    return int(connection.execute(_NEWEST_ID, {"owner": owner}).scalar_one())
