"""Ownership: a statement on owned rows says whose they are, or it is not sent."""

from typing import Any
from weakref import WeakSet

from sqlalchemy.sql.compiler import Compiled
from sqlalchemy.sql.util import find_tables


class UnownedStatement(RuntimeError):
    """A statement reaches into a table of owned rows without saying whose."""


# Compiled statements are cached by SQLAlchemy and seen again; each is looked at once.
_owned: WeakSet[Compiled] = WeakSet()


def refuse_unowned(compiled: Compiled) -> None:
    """Raise UnownedStatement where a statement reaches owned rows and does not bind their owner."""
    if not _says_whose(compiled):
        raise UnownedStatement(UnownedStatement.__doc__)


def _says_whose(compiled: Compiled) -> bool:
    if compiled.statement is None:
        return True
    tables = find_tables(compiled.statement, include_joins=True, include_selects=True, include_crud=True)
    is_owned = any("owner_id" in getattr(table, "c", ()) for table in tables)
    return not is_owned or not {"owner", "owner_id"}.isdisjoint(getattr(compiled, "binds", ()))


def refuse_unowned_once(*event_arguments: Any) -> None:
    """Listen to `before_cursor_execute` of an engine, and look at each statement the first time that it is sent."""
    compiled = event_arguments[4].compiled
    if compiled is not None and compiled not in _owned:
        refuse_unowned(compiled)
        _owned.add(compiled)
