"""Ownership: a statement on owned rows says whose they are, or it is not sent."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakSet

from sqlalchemy import (
    Alias,
    BinaryExpression,
    BindParameter,
    BooleanClauseList,
    ColumnClause,
    Delete,
    Insert,
    Join,
    Select,
    TableClause,
    Update,
)
from sqlalchemy.sql import operators
from sqlalchemy.sql.compiler import Compiled
from sqlalchemy.sql.elements import Grouping
from sqlalchemy.sql.selectable import AliasedReturnsRows
from sqlalchemy.sql.visitors import ExternallyTraversible

OWNER_COLUMN: Final = "owner_id"
# The column that a secret is found by, which nobody but the owner has.
HASH_COLUMN: Final = "token_hash"
OWNER_PARAMETERS: Final = frozenset({"owner", OWNER_COLUMN})

Tables = frozenset[object]
NO_TABLES: Final[Tables] = frozenset()


class UnownedStatement(RuntimeError):
    """A statement reaches into a table of owned rows without saying whose."""


# Compiled statements are cached by SQLAlchemy and seen again; each is looked at once.
_checked: WeakSet[Compiled] = WeakSet()


def refuse_unowned(compiled: Compiled) -> None:
    """Raise UnownedStatement where a statement reaches owned rows and does not say whose.

    Each SELECT, UPDATE and DELETE in it answers for the tables that it brings in itself: by `owner_id = :owner` among
    its conditions that must all hold, by `owner_id` being that of a table which is known to be the owner's, or by
    `token_hash = :token_hash`, since whoever has the token is the owner. An INSERT says it by the value that it binds,
    or by the column that it copies.
    """
    statement = compiled.statement
    if statement is not None and not _is_owner_named(statement, compiled):
        raise UnownedStatement(UnownedStatement.__doc__)


def refuse_unowned_once(*event_arguments: Any) -> None:
    """Listen to `before_cursor_execute` of an engine, and look at each statement the first time that it is sent."""
    compiled = event_arguments[4].compiled
    if compiled is not None and compiled not in _checked:
        refuse_unowned(compiled)
        _checked.add(compiled)


@dataclass(frozen=True, slots=True)
class _Scope:
    """What a statement inside of another can refer to: the tables around it, and which are known to be the owner's."""

    tables: Tables = NO_TABLES
    known: Tables = NO_TABLES


def _is_owner_named(statement: ExternallyTraversible, compiled: Compiled) -> bool:
    if (
        isinstance(statement, Insert)
        and OWNER_COLUMN in statement.table.c
        and not _is_owner_inserted(statement, compiled)
    ):
        return False
    return _is_owned(statement, _Scope())


def _is_owner_inserted(statement: Insert, compiled: Compiled) -> bool:
    if statement.select is not None:
        return OWNER_COLUMN in statement.select.selected_columns
    return any(name in OWNER_PARAMETERS or name.startswith(OWNER_COLUMN) for name in getattr(compiled, "binds", ()))


def _is_owned(element: ExternallyTraversible, around: _Scope) -> bool:
    if isinstance(element, Select | Update | Delete):
        inner = _build_scope(element, around)
        if inner is None:
            return False
        around = inner
    elif isinstance(element, AliasedReturnsRows):
        # What is selected from stands by itself: it sees nothing of the statement around it.
        around = _Scope()
    return all(_is_owned(child, around) for child in element.get_children())


def _build_scope(statement: "Select[Any] | Update | Delete", around: _Scope) -> _Scope | None:
    """Return what the statement knows, or None where it brings in a table of owned rows and does not say whose."""
    froms = statement.get_final_froms() if isinstance(statement, Select) else [statement.table]
    tables = frozenset(_list_tables(froms)) | (
        NO_TABLES if isinstance(statement, Select) else _find_mentioned_tables(statement)
    )
    # A table of the statement around it is that very row, as long as there is another one to select from.
    outer = tables & around.tables if tables - around.tables else NO_TABLES
    links = [*_find_owner_equalities(statement.whereclause), *_find_join_equalities(froms)]
    known = _expand_owned(around.known & outer, links)
    if any(OWNER_COLUMN in table.c and table not in known for table in tables - outer):  # type: ignore[attr-defined]  # a table
        return None
    return _Scope(around.tables | tables, around.known | known)


def _list_tables(froms: Iterable[object]) -> Iterator[object]:
    """Yield the tables, and their aliases, that rows come from; a subquery is looked at by itself."""
    for it in froms:
        if isinstance(it, Join):
            yield from _list_tables([it.left, it.right])
        elif isinstance(it, TableClause | Alias):
            yield it


def _find_mentioned_tables(element: ExternallyTraversible) -> Tables:
    """Return the tables whose columns an UPDATE or a DELETE names outside of its subqueries."""
    if isinstance(element, ColumnClause):
        return frozenset(_list_tables([element.table]))
    inner = (child for child in element.get_children() if not isinstance(child, Select))
    return NO_TABLES.union(*(_find_mentioned_tables(child) for child in inner))


def _find_owner_equalities(clause: object) -> Iterator[tuple[object, object]]:
    """Yield what must be equal: the owner (None) or a table whose owner is known, and the table that then is known.

    What stands under an OR or a NOT need not hold.
    """
    if isinstance(clause, Grouping):
        yield from _find_owner_equalities(clause.element)
    elif isinstance(clause, BooleanClauseList) and clause.operator is operators.and_:
        for part in clause.clauses:
            yield from _find_owner_equalities(part)
    elif isinstance(clause, BinaryExpression) and clause.operator is operators.eq:
        for one, other in ((clause.left, clause.right), (clause.right, clause.left)):
            if _is_owner_column(one) and isinstance(other, BindParameter) and other.key in OWNER_PARAMETERS:
                yield None, one.table
            elif _is_owner_column(one) and _is_owner_column(other):
                yield other.table, one.table
            elif _is_hash_column(one) and isinstance(other, BindParameter) and other.key == HASH_COLUMN:
                yield None, one.table


def _is_owner_column(side: object) -> bool:
    return getattr(side, "key", None) == OWNER_COLUMN and getattr(side, "table", None) is not None


def _is_hash_column(side: object) -> bool:
    return getattr(side, "key", None) == HASH_COLUMN and getattr(side, "table", None) is not None


def _find_join_equalities(froms: Iterable[object]) -> Iterator[tuple[object, object]]:
    """Yield what joins make equal; an outer one answers only for the side that may be missing."""
    for it in froms:
        if isinstance(it, Join):
            may_be_missing = frozenset(_list_tables([it.right]))
            links = _find_owner_equalities(it.onclause)
            yield from (link for link in links if not (it.isouter or it.full) or link[1] in may_be_missing)
            yield from _find_join_equalities([it.left, it.right])


def _expand_owned(known: Tables, links: Iterable[tuple[object, object]]) -> Tables:
    """Return what is known already, and what is linked to it however indirectly."""
    links = list(links)
    more = {table for source, table in links if source is None or source in known} - known
    return _expand_owned(known | more, links) if more else known
