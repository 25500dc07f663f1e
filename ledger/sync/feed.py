"""Changes: the feed from which a client's copy of a ledger becomes what the ledger is.

It has whatever bears a revision after `since`, up to the one that the first page found the ledger at. Rows only ever
move to revisions beyond that, and revisions commit in order: so the pages, and the statements of one page, may be of
different moments. A row that moved on meanwhile comes with the next call.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import BindParameter, Row, Select, bindparam, select

from ledger import categories
from ledger.budgets import budgets
from ledger.core import Ledger
from ledger.expenses.rows import build_expense, select_expenses
from ledger.pages import (
    CURSOR_ROW_ID,
    CURSOR_VALUE,
    PAGE_SIZE,
    build_after_condition,
    check_integer,
    decode_parts,
    encode_parts,
    foreign_cursor_problem,
    malformed_cursor_problem,
)
from ledger.sync.schemas import Changes, ChangesQuery, Deleted
from models import Budget, Category, Expense, Tombstone
from problems import ResyncRequired
from values.field_errors import parameter_error
from values.fields import LARGEST_ID

_UNTIL: Final[BindParameter[Any]] = bindparam("until")
_KIND: Final[BindParameter[Any]] = bindparam("kind")
# Two tombstones of one change may have one id: a category's, and a budget's that ended with it.
_AFTER_TOMBSTONE: Final = (Tombstone.revision >= CURSOR_VALUE) & (
    (Tombstone.revision > CURSOR_VALUE)
    | (
        (Tombstone.revision == CURSOR_VALUE)
        & ((Tombstone.row_id > CURSOR_ROW_ID) | ((Tombstone.row_id == CURSOR_ROW_ID) & (Tombstone.kind > _KIND)))
    )
)


def _select_changed(
    rows: Select[*tuple[Any, ...]], table: type[Budget | Category | Expense]
) -> Select[*tuple[Any, ...]]:
    # Walks the index on (owner_id, revision, id), and MySQL is told so: it takes to reading all that an owner has.
    index = f"FORCE INDEX (ix_{table.__tablename__}_owner_id_revision_id)"
    part = rows.with_hint(table, index, "mysql").where(
        build_after_condition(table.revision, table.id), table.revision <= _UNTIL
    )
    return part.order_by(table.revision, table.id).limit(PAGE_SIZE)


# In the order that changes of one revision have.
FEED_STATEMENTS: Final[Sequence[Select[*tuple[Any, ...]]]] = (
    _select_changed(budgets.SELECT_BUDGETS, Budget),
    _select_changed(categories.SELECT_CATEGORIES, Category),
    _select_changed(select_expenses(Expense), Expense),
    select(Tombstone.row_id.label("id"), Tombstone.revision, Tombstone.kind)
    .with_hint(Tombstone, "FORCE INDEX (ix_tombstones_owner_id_revision_row_id)", "mysql")
    .where(Tombstone.owner_id == bindparam("owner"), _AFTER_TOMBSTONE, Tombstone.revision <= _UNTIL)
    .order_by(Tombstone.revision, Tombstone.row_id, Tombstone.kind)
    .limit(PAGE_SIZE),
)
BUDGETS, CATEGORIES, EXPENSES, TOMBSTONES = range(len(FEED_STATEMENTS))
AFTER_ALL_KINDS: Final = "~"
TOMBSTONE_KINDS: Final = ("", "budget", "category", "expense")


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Where a change stands in the order of the feed; `of` is what a tombstone is of."""

    revision: int
    kind: int
    row_id: int
    tombstone_kind: str = ""

    def bind_after(self, kind: int) -> dict[str, Any]:
        """Return what to bind so that a kind's rows behind this position are found."""
        if kind == self.kind:
            return {"value": self.revision, "row_id": self.row_id, "kind": self.tombstone_kind}
        if kind < self.kind:
            return {"value": self.revision, "row_id": LARGEST_ID, "kind": AFTER_ALL_KINDS}
        return {"value": self.revision, "row_id": 0, "kind": ""}


@dataclass(frozen=True, slots=True)
class FeedRange:
    """Which changes a client asks for: those after `since` up to `revision`, from a position on."""

    since: int
    revision: int
    position: Position

    def encode_cursor(self, position: Position) -> str:
        """Return the cursor of the page that begins behind a position."""
        return encode_parts("changes", self.since, self.revision, *_list_parts(position))


def read_range(ledger: Ledger, query: ChangesQuery) -> FeedRange:
    """Return which changes are asked for; raise ResyncRequired where the client is ahead of this server."""
    reach = _parse_range(query, ledger.revision)
    if max(reach.since, reach.revision) > ledger.revision:
        raise copy_ahead_problem()
    return reach


async def read_changes(ledger: Ledger, reach: FeedRange, limit: int) -> Changes:
    """Return one page of what changed."""
    found = await _load_rows(ledger, reach, limit + 1)
    page = found[:limit]
    kinds = [[row for position, row in page if position.kind == kind] for kind in range(len(FEED_STATEMENTS))]
    return Changes(
        revision=reach.revision,
        next_cursor=reach.encode_cursor(page[-1][0]) if len(found) > limit else None,
        expenses=[build_expense(tuple(row)) for row in kinds[EXPENSES]],
        categories=[categories.build_category(row) for row in kinds[CATEGORIES]],
        budgets=[budgets.build_budget(row._asdict()) for row in kinds[BUDGETS]],
        deleted=[Deleted(kind=row.kind, id=row.id, revision=row.revision) for row in kinds[TOMBSTONES]],
    )


def copy_ahead_problem() -> ResyncRequired:
    """Return the refusal of a copy that has seen more than this server has."""
    entry = parameter_error("since", "out_of_range", "The ledger has not come that far.")
    return ResyncRequired(errors=[entry])


async def _load_rows(ledger: Ledger, reach: FeedRange, limit: int) -> list[tuple[Position, Row[Any]]]:
    """Return the first changes of all kinds, in order; there may be more of each beyond the first `limit` of all."""
    found, until = [], reach.revision
    # Those of which there may be most come first, and spare the others what is not of this page.
    for kind, statement in reversed(list(enumerate(FEED_STATEMENTS))):
        rows = await ledger.fetch_all(statement, **reach.position.bind_after(kind), until=until, limit=limit)
        found += [(_find_position(kind, row), row) for row in rows]
        if len(rows) == limit:
            # What lies behind all of these is not of this page.
            until = rows[-1].revision
    return sorted(found, key=lambda it: it[0])[:limit]


def _find_position(kind: int, row: Row[Any]) -> Position:
    return Position(row.revision, kind, row.id, row.kind if kind == TOMBSTONES else "")


def _list_parts(position: Position) -> tuple[int, int, int, str]:
    return position.revision, position.kind, position.row_id, position.tombstone_kind


def _parse_range(query: ChangesQuery, revision: int) -> FeedRange:
    """Return what is asked for, the first time up to the revision that the ledger is at."""
    if query.cursor is None:
        since = query.since or 0
        return FeedRange(since, revision, Position(since, len(FEED_STATEMENTS), LARGEST_ID))
    try:
        name, since, bound, at, kind, row_id, of = decode_parts(query.cursor)
        reach = FeedRange(
            check_integer(since),
            check_integer(bound),
            Position(check_integer(at), check_integer(kind), check_integer(row_id), str(of)),
        )
    except (ValueError, TypeError, RecursionError):
        raise malformed_cursor_problem() from None
    if of not in TOMBSTONE_KINDS or not 0 <= reach.since <= reach.revision:
        raise malformed_cursor_problem()
    if name != "changes" or query.since not in {None, reach.since}:
        raise foreign_cursor_problem()
    return reach
