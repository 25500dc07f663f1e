"""The ownership check: a statement on owned rows must name their owner, or it is refused before it is sent.

A table is owned if it has a column `owner_id`. Each SELECT, UPDATE and DELETE, nested ones too, is checked for the
tables that it brings in itself:

    accepted   WHERE owner_id = :owner AND …            also :owner_id, +owner_id; on the same level as other ANDs
               WHERE token_hash = :token_hash           holding the token proves ownership
               JOIN b ON b.owner_id = a.owner_id        if the owner of `a` is named
               (subquery) a.owner_id = outer.owner_id   if the owner of `outer` is named
               INSERT … owner_id bound                  or copied by INSERT … SELECT
    refused    WHERE id = :id                           no owner
               WHERE owner_id = :owner OR …             need not hold; likewise under NOT
               WHERE owner_id = 7                       a constant, or another parameter
               LEFT JOIN b ON …                         as the only proof of the left side's owner

Statements of text() are not checked, because SQLAlchemy does not know their tables.
"""

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
    ColumnElement,
    Delete,
    Insert,
    Join,
    Select,
    TableClause,
    UnaryExpression,
    Update,
)
from sqlalchemy.sql import operators
from sqlalchemy.sql.compiler import Compiled
from sqlalchemy.sql.elements import Grouping
from sqlalchemy.sql.selectable import AliasedReturnsRows
from sqlalchemy.sql.visitors import ExternallyTraversible

OWNER_COLUMN: Final = "owner_id"
# Finding a row by this column proves ownership, because only the owner has the token.
HASH_COLUMN: Final = "token_hash"
UNARY_PLUS: Final = operators.custom_op[Any]("+")
"""Before a column: SQLite looks for no index of it."""
OWNER_PARAMETERS: Final = frozenset({"owner", OWNER_COLUMN})

Tables = frozenset[object]
NO_TABLES: Final[Tables] = frozenset()


class UnownedStatement(RuntimeError):
    """A statement uses a table of owned rows without naming the owner."""


# SQLAlchemy caches compiled statements and sends them again; each is checked once.
_checked: WeakSet[Compiled] = WeakSet()


def refuse_unowned(compiled: Compiled) -> None:
    """Raise UnownedStatement if a statement uses owned rows and does not name their owner."""
    statement = compiled.statement
    if statement is not None and not _is_owner_named(statement, compiled):
        raise UnownedStatement(UnownedStatement.__doc__)


def refuse_unowned_once(*event_arguments: Any) -> None:
    """Check each compiled statement the first time that it is sent; a listener of `before_cursor_execute`."""
    compiled = event_arguments[4].compiled
    if compiled is not None and compiled not in _checked:
        refuse_unowned(compiled)
        _checked.add(compiled)


@dataclass(frozen=True, slots=True)
class _Scope:
    """What a nested statement can refer to: the tables around it, and those of them whose owner is named."""

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
        # A subquery in FROM does not see the statement around it.
        around = _Scope()
    return all(_is_owned(child, around) for child in element.get_children())


def _build_scope(statement: "Select[Any] | Update | Delete", around: _Scope) -> _Scope | None:
    """Return the scope of nested statements, or None if this one does not name the owner of a table of its own."""
    froms = statement.get_final_froms() if isinstance(statement, Select) else [statement.table]
    tables = frozenset(_list_tables(froms)) | (
        NO_TABLES if isinstance(statement, Select) else _find_mentioned_tables(statement)
    )
    # A table of the outer statement too is a correlated reference, as long as there is another table to select from.
    outer = tables & around.tables if tables - around.tables else NO_TABLES
    links = [*_find_owner_equalities(statement.whereclause), *_find_join_equalities(froms)]
    known = _expand_owned(around.known & outer, links)
    if any(OWNER_COLUMN in table.c and table not in known for table in tables - outer):  # type: ignore[attr-defined]  # a table
        return None
    return _Scope(around.tables | tables, around.known | known)


def _list_tables(froms: Iterable[object]) -> Iterator[object]:
    """Yield the tables and aliases of a FROM; subqueries are checked on their own."""
    for element in froms:
        if isinstance(element, Join):
            yield from _list_tables([element.left, element.right])
        elif isinstance(element, TableClause | Alias):
            yield element


def _find_mentioned_tables(element: ExternallyTraversible) -> Tables:
    """Return the tables whose columns an UPDATE or a DELETE uses outside of its subqueries."""
    if isinstance(element, ColumnClause):
        return frozenset(_list_tables([element.table]))
    inner = (child for child in element.get_children() if not isinstance(child, Select))
    return NO_TABLES.union(*(_find_mentioned_tables(child) for child in inner))


def _find_owner_equalities(clause: object) -> Iterator[tuple[object, object]]:
    """Yield pairs (source, table): the table is the owner's if the source is, or always if the source is None.

    Conditions under OR or NOT are skipped, because they need not hold.
    """
    if isinstance(clause, Grouping):
        yield from _find_owner_equalities(clause.element)
    elif isinstance(clause, BooleanClauseList) and clause.operator is operators.and_:
        for part in clause.clauses:
            yield from _find_owner_equalities(part)
    elif isinstance(clause, BinaryExpression) and clause.operator is operators.eq:
        left, right = _strip_plus(clause.left), _strip_plus(clause.right)
        for one, other in ((left, right), (right, left)):
            if _is_owner_column(one) and isinstance(other, BindParameter) and other.key in OWNER_PARAMETERS:
                yield None, one.table
            elif _is_owner_column(one) and _is_owner_column(other):
                yield other.table, one.table
            elif _is_hash_column(one) and isinstance(other, BindParameter) and other.key == HASH_COLUMN:
                yield None, one.table


def _strip_plus(side: ColumnElement[Any]) -> ColumnElement[Any]:
    inner = side.element if isinstance(side, Grouping) else side
    return inner.element if isinstance(inner, UnaryExpression) and inner.operator == UNARY_PLUS else side


def _is_owner_column(side: object) -> bool:
    return getattr(side, "key", None) == OWNER_COLUMN and getattr(side, "table", None) is not None


def _is_hash_column(side: object) -> bool:
    return getattr(side, "key", None) == HASH_COLUMN and getattr(side, "table", None) is not None


def _find_join_equalities(froms: Iterable[object]) -> Iterator[tuple[object, object]]:
    """Yield the same pairs of ON clauses; those of an outer join count only for the table on its right side."""
    for element in froms:
        if isinstance(element, Join):
            may_be_missing = frozenset(_list_tables([element.right]))
            links = _find_owner_equalities(element.onclause)
            yield from (link for link in links if not (element.isouter or element.full) or link[1] in may_be_missing)
            yield from _find_join_equalities([element.left, element.right])


def _expand_owned(known: Tables, links: Iterable[tuple[object, object]]) -> Tables:
    """Return `known` and all tables that follow from it through the pairs, in any number of steps."""
    links = list(links)
    more = {table for source, table in links if source is None or source in known} - known
    return _expand_owned(known | more, links) if more else known
