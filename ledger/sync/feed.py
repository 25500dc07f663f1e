"""Changes: the feed from which a client's copy of a ledger becomes what the ledger is.

It has whatever bears a revision after `since`, up to the one that the first page found the ledger at. Rows only ever
move to revisions beyond that, and revisions commit in order: so the pages, and the statements of one page, may be of
different moments. A row that moved on meanwhile comes with the next call.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import BindParameter, Row, Select, bindparam, select

from database import LARGEST_ID
from ledger import categories
from ledger.budgets import budgets
from ledger.core import Ledger
from ledger.expenses.rows import answer, reading
from ledger.pages import LIMIT, ROW_ID, VALUE, behind, broken_cursor, foreign_cursor, opaque, parts_of, whole
from ledger.sync.schemas import Changes, ChangesQuery, Deleted
from models import Budget, Category, Expense, Tombstone
from problems import ResyncRequired
from values.field_errors import at_parameter

_UNTIL: Final[BindParameter[Any]] = bindparam("until")
_KIND: Final[BindParameter[Any]] = bindparam("kind")
# Two tombstones of one change may have one id: a category's, and a budget's that ended with it.
_BEHIND_TOMBSTONE: Final = (Tombstone.revision >= VALUE) & (
    (Tombstone.revision > VALUE)
    | (
        (Tombstone.revision == VALUE)
        & ((Tombstone.row_id > ROW_ID) | ((Tombstone.row_id == ROW_ID) & (Tombstone.kind > _KIND)))
    )
)


def _changed(rows: Select[*tuple[Any, ...]], table: type[Budget | Category | Expense]) -> Select[*tuple[Any, ...]]:
    # Walks the index on (owner_id, revision, id), and MySQL is told so: it takes to reading all that an owner has.
    index = f"FORCE INDEX (ix_{table.__tablename__}_owner_id_revision_id)"
    part = rows.with_hint(table, index, "mysql").where(behind(table.revision, table.id), table.revision <= _UNTIL)
    return part.order_by(table.revision, table.id).limit(LIMIT)


# In the order that changes of one revision have.
KINDS: Final[Sequence[Select[*tuple[Any, ...]]]] = (
    _changed(budgets.READING, Budget),
    _changed(categories.READING, Category),
    _changed(reading(Expense), Expense),
    select(Tombstone.row_id.label("id"), Tombstone.revision, Tombstone.kind)
    .with_hint(Tombstone, "FORCE INDEX (ix_tombstones_owner_id_revision_row_id)", "mysql")
    .where(Tombstone.owner_id == bindparam("owner"), _BEHIND_TOMBSTONE, Tombstone.revision <= _UNTIL)
    .order_by(Tombstone.revision, Tombstone.row_id, Tombstone.kind)
    .limit(LIMIT),
)
BUDGETS, CATEGORIES, EXPENSES, TOMBSTONES = range(len(KINDS))
LAST_KIND: Final = "~"
OF: Final = ("", "budget", "category", "expense")


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Where a change stands in the order of the feed; `of` is what a tombstone is of."""

    revision: int
    kind: int
    row_id: int
    of: str = ""

    def behind(self, kind: int) -> dict[str, Any]:
        """Return what to bind so that a kind's rows behind this position are found."""
        if kind == self.kind:
            return {"value": self.revision, "row_id": self.row_id, "kind": self.of}
        if kind < self.kind:
            return {"value": self.revision, "row_id": LARGEST_ID, "kind": LAST_KIND}
        return {"value": self.revision, "row_id": 0, "kind": ""}


@dataclass(frozen=True, slots=True)
class Reach:
    """Which changes a client asks for: those after `since` up to `revision`, from a position on."""

    since: int
    revision: int
    position: Position

    def written(self, position: Position) -> str:
        """Return the cursor of the page that begins behind a position."""
        return opaque("changes", self.since, self.revision, *_parts(position))


def reach_of(ledger: Ledger, query: ChangesQuery) -> Reach:
    """Return which changes are asked for; raise ResyncRequired where the client is ahead of this server."""
    reach = _reach(query, ledger.revision)
    if max(reach.since, reach.revision) > ledger.revision:
        raise ahead()
    return reach


async def read_changes(ledger: Ledger, reach: Reach, limit: int) -> Changes:
    """Return one page of what changed."""
    found = await _found(ledger, reach, limit + 1)
    page = found[:limit]
    kinds = [[row for position, row in page if position.kind == kind] for kind in range(len(KINDS))]
    return Changes(
        revision=reach.revision,
        next_cursor=reach.written(page[-1][0]) if len(found) > limit else None,
        expenses=[answer(tuple(row)) for row in kinds[EXPENSES]],
        categories=[categories.answer(row) for row in kinds[CATEGORIES]],
        budgets=[budgets.answer(row._asdict()) for row in kinds[BUDGETS]],
        deleted=[Deleted(kind=row.kind, id=row.id, revision=row.revision) for row in kinds[TOMBSTONES]],
    )


def ahead() -> ResyncRequired:
    """Return the refusal of a copy that has seen more than this server has."""
    entry = at_parameter("since", "out_of_range", "The ledger has not come that far.")
    return ResyncRequired(errors=[entry])


async def _found(ledger: Ledger, reach: Reach, limit: int) -> list[tuple[Position, Row[Any]]]:
    """Return the first changes of all kinds, in order; there may be more of each beyond the first `limit` of all."""
    found, until = [], reach.revision
    # Those of which there may be most come first, and spare the others what is not of this page.
    for kind, statement in reversed(list(enumerate(KINDS))):
        rows = await ledger.rows(statement, **reach.position.behind(kind), until=until, limit=limit)
        found += [(_position(kind, row), row) for row in rows]
        if len(rows) == limit:
            # What lies behind all of these is not of this page.
            until = rows[-1].revision
    return sorted(found, key=lambda it: it[0])[:limit]


def _position(kind: int, row: Row[Any]) -> Position:
    return Position(row.revision, kind, row.id, row.kind if kind == TOMBSTONES else "")


def _parts(position: Position) -> tuple[int, int, int, str]:
    return position.revision, position.kind, position.row_id, position.of


def _reach(query: ChangesQuery, revision: int) -> Reach:
    """Return what is asked for, the first time up to the revision that the ledger is at."""
    if query.cursor is None:
        since = query.since or 0
        return Reach(since, revision, Position(since, len(KINDS), LARGEST_ID))
    try:
        name, since, bound, at, kind, row_id, of = parts_of(query.cursor)
        reach = Reach(whole(since), whole(bound), Position(whole(at), whole(kind), whole(row_id), str(of)))
    except (ValueError, TypeError, RecursionError):
        raise broken_cursor() from None
    if of not in OF or not 0 <= reach.since <= reach.revision:
        raise broken_cursor()
    if name != "changes" or query.since not in {None, reach.since}:
        raise foreign_cursor()
    return reach
