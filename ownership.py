"""Ownership: a statement on owned rows says whose they are, or it is not sent."""

from collections.abc import Iterable, Iterator
from typing import Any, Final
from weakref import WeakSet

from sqlalchemy import (
    Alias,
    BinaryExpression,
    BindParameter,
    BooleanClauseList,
    ClauseElement,
    ColumnClause,
    Delete,
    FromClause,
    Insert,
    Join,
    Select,
    TableClause,
    Update,
)
from sqlalchemy.sql import operators, visitors
from sqlalchemy.sql.compiler import Compiled
from sqlalchemy.sql.elements import Grouping

OWNER: Final = "owner_id"
BOUND_AS: Final = frozenset({"owner", OWNER})


class UnownedStatement(RuntimeError):
    """A statement reaches into a table of owned rows without saying whose."""


# Compiled statements are cached by SQLAlchemy and seen again; each is looked at once.
_looked_at: WeakSet[Compiled] = WeakSet()


def refuse_unowned(compiled: Compiled) -> None:
    """Raise UnownedStatement where a statement reaches owned rows and does not say whose, table by table.

    A table says it by `owner_id = :owner` among the conditions that must all hold, or by `owner_id` being that of
    another table which does; an INSERT by the value that it binds, or by the column that it copies.
    """
    statement = compiled.statement
    if statement is not None and not _says_whose(statement, compiled):
        raise UnownedStatement(UnownedStatement.__doc__)


def refuse_unowned_once(*event_arguments: Any) -> None:
    """Listen to `before_cursor_execute` of an engine, and look at each statement the first time that it is sent."""
    compiled = event_arguments[4].compiled
    if compiled is not None and compiled not in _looked_at:
        refuse_unowned(compiled)
        _looked_at.add(compiled)


def _says_whose(statement: ClauseElement, compiled: Compiled) -> bool:
    reached: set[FromClause] = set()
    known: set[FromClause] = set()
    links: list[tuple[FromClause, FromClause]] = []
    for element in visitors.iterate(statement):
        if isinstance(element, Insert):
            if OWNER in element.table.c and not _inserts_owner(element, compiled):
                return False
        elif isinstance(element, ColumnClause):
            reached.update(_owned([element.table]))
        elif isinstance(element, Select | Update | Delete):
            froms = element.get_final_froms() if isinstance(element, Select) else [element.table]
            reached.update(_owned(froms))
            for left, right in _equalities(element.whereclause, *_joined_on(froms)):
                if isinstance(right, BindParameter) and right.key in BOUND_AS:
                    known.update(_owned_by(left))
                links.extend((one, other) for one in _owned_by(left) for other in _owned_by(right))
    return reached <= _connected(known, links)


def _inserts_owner(statement: Insert, compiled: Compiled) -> bool:
    if statement.select is not None:
        return OWNER in statement.select.selected_columns
    return any(name.startswith(OWNER) for name in getattr(compiled, "binds", ()))


def _owned(froms: Iterable[object]) -> Iterator[FromClause]:
    """Yield the tables of owned rows, and their aliases; what selects from them is looked at by itself."""
    for it in froms:
        if isinstance(it, Join):
            yield from _owned([it.left, it.right])
        elif isinstance(it, TableClause | Alias) and OWNER in it.c:
            yield it


def _joined_on(froms: Iterable[object]) -> Iterator[ClauseElement | None]:
    for it in froms:
        if isinstance(it, Join):
            yield it.onclause
            yield from _joined_on([it.left, it.right])


def _equalities(*clauses: object) -> Iterator[tuple[object, object]]:
    """Yield what must be equal, either way round; what stands under an OR or a NOT need not hold."""
    for clause in clauses:
        if isinstance(clause, Grouping):
            yield from _equalities(clause.element)
        elif isinstance(clause, BooleanClauseList) and clause.operator is operators.and_:
            yield from _equalities(*clause.clauses)
        elif isinstance(clause, BinaryExpression) and clause.operator is operators.eq:
            yield from ((clause.left, clause.right), (clause.right, clause.left))


def _owned_by(side: object) -> Iterator[FromClause]:
    table = getattr(side, "table", None)
    if getattr(side, "key", None) == OWNER and table is not None:
        yield table


def _connected(known: set[FromClause], links: list[tuple[FromClause, FromClause]]) -> set[FromClause]:
    """Return what is known already, and what is linked to it however indirectly."""
    more = {other for one, other in links if one in known} - known
    return _connected(known | more, links) if more else known
