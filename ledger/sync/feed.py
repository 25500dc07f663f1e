"""The change feed: every row with a revision after `since`, so that a client can update its copy of a ledger.

Changes are sorted by revision, within a revision by kind, within a kind by id. A Position is a place in this order, and
a page begins after one. The kinds, in order, with the indexes of FEED_STATEMENTS:

    revision 31   0 budgets   1 categories   2 tags   3 expenses   4 tombstones (of all these)
    revision 32   0 budgets   …

    first page    Position(since, 5, LARGEST_ID): after everything of revision `since`
    next pages    the position of the last row of the page before, such as Position(31, 3, 7): after expense 7;
                  tombstones are still to come, budgets, categories and tags of revision 31 are not
    cursor        ["changes-2", since, revision of the ledger at the first page, *position]

All pages end at the revision that the ledger had at the first page. Pages, and the statements of one page, may read at
different moments: a row that changes moves to a later revision, so the next call with the new `since` returns it, and
revisions commit in order, so no row with an earlier revision appears later.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import BindParameter, Row, Select, bindparam, select

from infra.slices import iterate_in_slices
from ledger.budgets import budgets
from ledger.categories import categories
from ledger.core import Ledger
from ledger.editing import KINDS
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
from ledger.tags import tags
from models import Budget, Category, Expense, Tag, Tombstone
from problems import ResyncRequired
from values.field_errors import parameter_error
from values.fields import LARGEST_ID

_UNTIL: Final[BindParameter[Any]] = bindparam("until")
_KIND: Final[BindParameter[Any]] = bindparam("kind")
# One change can leave two tombstones with the same id: of a category and of a budget that was deleted with it.
_AFTER_TOMBSTONE: Final = (Tombstone.revision >= CURSOR_VALUE) & (
    (Tombstone.revision > CURSOR_VALUE)
    | (
        (Tombstone.revision == CURSOR_VALUE)
        & ((Tombstone.row_id > CURSOR_ROW_ID) | ((Tombstone.row_id == CURSOR_ROW_ID) & (Tombstone.kind > _KIND)))
    )
)


def _select_changed(
    rows: Select[*tuple[Any, ...]], table: type[Budget | Category | Tag | Expense]
) -> Select[*tuple[Any, ...]]:
    # MySQL needs the hint to use this index: without it, it reads all rows of the owner.
    index = f"FORCE INDEX (ix_{table.__tablename__}_owner_id_revision_id)"
    statement = rows.with_hint(table, index, "mysql").where(
        build_after_condition(table.revision, table.id), table.revision <= _UNTIL
    )
    return statement.order_by(table.revision, table.id).limit(PAGE_SIZE)


# Within one revision the rows come in the order of these statements.
FEED_STATEMENTS: Final[Sequence[Select[*tuple[Any, ...]]]] = (
    _select_changed(budgets.SELECT_BUDGETS, Budget),
    _select_changed(categories.SELECT_CATEGORIES, Category),
    _select_changed(tags.SELECT_TAGS, Tag),
    _select_changed(select_expenses(Expense), Expense),
    select(Tombstone.row_id.label("id"), Tombstone.revision, Tombstone.kind)
    .with_hint(Tombstone, "FORCE INDEX (ix_tombstones_owner_id_revision_row_id)", "mysql")
    .where(Tombstone.mine(), _AFTER_TOMBSTONE, Tombstone.revision <= _UNTIL)
    .order_by(Tombstone.revision, Tombstone.row_id, Tombstone.kind)
    .limit(PAGE_SIZE),
)
BUDGETS, CATEGORIES, TAGS, EXPENSES, TOMBSTONES = range(len(FEED_STATEMENTS))
AFTER_ALL_KINDS: Final = "~"
TOMBSTONE_KINDS: Final = ("", *sorted(KINDS.values()))
# Another number when FEED_STATEMENTS change, whose indexes a cursor has.
CURSOR_NAME: Final = "changes-2"


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in the order of the feed: `statement` is an index of FEED_STATEMENTS.

    `tombstone_kind` is the kind of row whose deletion a tombstone records.
    """

    revision: int
    statement: int
    row_id: int
    tombstone_kind: str = ""

    def bind_after(self, statement: int) -> dict[str, Any]:
        """Return the bind parameters with which a statement finds its rows after this position."""
        if statement == self.statement:
            return {"value": self.revision, "row_id": self.row_id, "kind": self.tombstone_kind}
        if statement < self.statement:
            return {"value": self.revision, "row_id": LARGEST_ID, "kind": AFTER_ALL_KINDS}
        return {"value": self.revision, "row_id": 0, "kind": ""}


@dataclass(frozen=True, slots=True)
class FeedRange:
    """The changes that a request asks for: after `since`, up to `revision`, beginning after `position`."""

    since: int
    revision: int
    position: Position

    def encode_cursor(self, position: Position) -> str:
        """Return the cursor of the page that begins after a position."""
        return encode_parts(CURSOR_NAME, self.since, self.revision, *_list_parts(position))


def build_range(ledger: Ledger, query: ChangesQuery) -> FeedRange:
    """Return the changes that a request asks for; raise ResyncRequired if the copy is newer than the ledger."""
    feed_range = _parse_range(query, ledger.revision)
    if max(feed_range.since, feed_range.revision) > ledger.revision:
        raise copy_ahead_problem()
    return feed_range


async def read_changes(ledger: Ledger, feed_range: FeedRange, limit: int) -> Changes:
    """Return one page of changes."""
    changes = await _load_rows(ledger, feed_range, limit + 1)
    page = changes[:limit]
    found = [[row for position, row in page if position.statement == index] for index in range(len(FEED_STATEMENTS))]
    return Changes(
        revision=feed_range.revision,
        next_cursor=feed_range.encode_cursor(page[-1][0]) if len(changes) > limit else None,
        expenses=[build_expense(tuple(row)) async for row in iterate_in_slices(found[EXPENSES])],
        categories=[categories.build_category(row) for row in found[CATEGORIES]],
        tags=[tags.build_tag(row) for row in found[TAGS]],
        budgets=[budgets.build_budget(row._asdict()) for row in found[BUDGETS]],
        deleted=[
            Deleted(kind=row.kind, id=row.id, revision=row.revision)
            async for row in iterate_in_slices(found[TOMBSTONES])
        ],
    )


def copy_ahead_problem() -> ResyncRequired:
    """Return the problem of a client whose copy is newer than the ledger."""
    error = parameter_error("since", "out_of_range", "The ledger's revision is lower than this.")
    return ResyncRequired(errors=[error])


async def _load_rows(ledger: Ledger, feed_range: FeedRange, limit: int) -> list[tuple[Position, Row[Any]]]:
    """Return the first `limit` changes of all tables, in order."""
    changes, until = [], feed_range.revision
    # Those with most rows first: once one has `limit` rows, the others need no later revision than its last row's.
    for index, statement in reversed(list(enumerate(FEED_STATEMENTS))):
        after = feed_range.position.bind_after(index)
        rows = await ledger.fetch_in_slices(statement, **after, until=until, limit=limit)
        changes += [(_find_position(index, row), row) async for row in iterate_in_slices(rows)]
        if len(rows) == limit:
            # Rows of a later revision than these are not part of this page.
            until = rows[-1].revision
    return sorted(changes, key=lambda change: change[0])[:limit]


def _find_position(statement: int, row: Row[Any]) -> Position:
    return Position(row.revision, statement, row.id, row.kind if statement == TOMBSTONES else "")


def _list_parts(position: Position) -> tuple[int, int, int, str]:
    return position.revision, position.statement, position.row_id, position.tombstone_kind


def _parse_range(query: ChangesQuery, revision: int) -> FeedRange:
    """Return the range of a cursor; without one, from `since` up to `revision`, the ledger's."""
    if query.cursor is None:
        since = query.since or 0
        return FeedRange(since, revision, Position(since, len(FEED_STATEMENTS), LARGEST_ID))
    try:
        name, since, until, reached, statement, row_id, tombstone_kind = decode_parts(query.cursor)
        feed_range = FeedRange(
            check_integer(since),
            check_integer(until),
            Position(check_integer(reached), check_integer(statement), check_integer(row_id), str(tombstone_kind)),
        )
    except (ValueError, TypeError, RecursionError):
        raise malformed_cursor_problem() from None
    if tombstone_kind not in TOMBSTONE_KINDS or not 0 <= feed_range.since <= feed_range.revision:
        raise malformed_cursor_problem()
    if name != CURSOR_NAME or query.since not in {None, feed_range.since}:
        raise foreign_cursor_problem()
    return feed_range
