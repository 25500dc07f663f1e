"""The SQL that the app runs: the type of the fixture that records it, and what happens before a transaction begins."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from unittest import mock

import aiosqlite

Statements = Callable[[], AbstractContextManager[list[str]]]


@contextmanager
def before_begin(act: Callable[[], object]) -> Iterator[None]:
    """Call a function before each BEGIN that SQLite is sent; it goes to the driver past SQLAlchemy's cursors."""
    execute = aiosqlite.Connection.execute

    def act_and_execute(connection: aiosqlite.Connection, sql: str, *arguments: object) -> object:
        if sql.startswith("BEGIN"):
            act()
        return execute(connection, sql, *arguments)

    with mock.patch.object(aiosqlite.Connection, "execute", act_and_execute):
        yield
