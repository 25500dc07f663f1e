"""Hot statements: compiled once by SQLAlchemy, then run by the driver itself."""

import sqlite3
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

import aiosqlite
from sqlalchemy import Dialect, Insert, Select, Update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from infra.faults import Fault, classify_fault
from infra.ownership import refuse_unowned

T = TypeVar("T")
TupleRow = tuple[Any, ...]


class Prepared:
    """A statement that is written with SQLAlchemy and sent without it.

    Half of the CPU time of a small statement goes to the layers that can run any statement on any database; who is
    calling, the ledger's lock and its next revision, and expenses one by one or by the page go past them. Rows are
    plain tuples, in the order of the statement's columns.
    """

    def __init__(
        self, statement: Select[*tuple[Any, ...]] | Insert | Update, columns: Collection[str] | None = None
    ) -> None:
        """Take a statement whose values are all named; an INSERT's are the `columns`."""
        self._statement = statement
        self._columns = columns
        self._texts: dict[str, _Compiled] = {}

    async def fetch_all(self, connection: AsyncConnection, parameters: Mapping[str, Any]) -> list[TupleRow]:
        """Run a SELECT and return all of its rows."""
        text = self._compile(connection.dialect)
        return text.convert_rows(await _send(connection, run_select, text, parameters))

    async def fetch_one(self, connection: AsyncConnection, parameters: Mapping[str, Any]) -> TupleRow | None:
        """Run a SELECT and return its first row, or None."""
        rows = await self.fetch_all(connection, parameters)
        return rows[0] if rows else None

    async def write(self, connection: AsyncConnection, parameters: Mapping[str, Any]) -> int:
        """Run an INSERT or an UPDATE and return the id of the row that was inserted, or 0."""
        return await _send(connection, run_write, self._compile(connection.dialect), parameters)

    def _compile(self, dialect: Dialect) -> "_Compiled":
        text = self._texts.get(dialect.name)
        if text is None:
            text = self._texts[dialect.name] = _Compiled(self._statement, dialect, self._columns)
        return text


class _Compiled:
    """A statement as one dialect writes it, and how values go in and come out."""

    def __init__(
        self,
        statement: Select[*tuple[Any, ...]] | Insert | Update,
        dialect: Dialect,
        columns: Collection[str] | None,
    ) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=columns and list(columns))
        refuse_unowned(compiled)
        self.sql: Final = str(compiled)
        self._names: Final = [
            (name, compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect))
            for name in compiled.positiontup or ()
        ]
        # What the dialect adds by itself, such as SQLite's OFFSET beside a LIMIT.
        self._constants: Final = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
        selected = statement.selected_columns if isinstance(statement, Select) else ()
        processors = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in selected]
        self._processors: Final = list(enumerate(processors)) if any(processors) else []

    def order_values(self, parameters: Mapping[str, Any]) -> list[Any]:
        """Return the values in the order of their places."""
        given = {**self._constants, **parameters}
        return [process(given[name]) if process else given[name] for name, process in self._names]

    def convert_rows(self, rows: Sequence[TupleRow]) -> list[TupleRow]:
        """Return the rows as Python has them."""
        if not self._processors:
            return list(rows)
        return [tuple(process(row[i]) if process else row[i] for i, process in self._processors) for row in rows]


async def _send(
    connection: AsyncConnection,
    send: Callable[[Any, str, Sequence[Any]], Awaitable[T]],
    text: _Compiled,
    parameters: Mapping[str, Any],
) -> T:
    """Send a statement; a connection on which that fails is thrown away, save after a lost race, and on SQLite."""
    driver = connection.sync_connection.connection.driver_connection  # type: ignore[union-attr]  # it is open
    try:
        return await send(driver, text.sql, text.order_values(parameters))
    except BaseException as error:
        fault = classify_fault(error)
        if fault is Fault.DISCONNECTED:
            # Let SQLAlchemy see for itself: it then throws away the whole pool, which is as dead as this one.
            with suppress(DBAPIError):
                await connection.exec_driver_sql("SELECT 1")
        if fault is not Fault.RETRY and not isinstance(error, sqlite3.Error):
            await connection.invalidate()
        raise


async def run_select(driver: Any, sql: str, values: Sequence[Any]) -> Sequence[TupleRow]:  # noqa: ANN401
    """Run a SELECT on a connection of aiomysql or aiosqlite and return its rows."""
    if isinstance(driver, aiosqlite.Connection):
        return list(await driver.execute_fetchall(sql, values))  # type: ignore[arg-type]
    async with driver.cursor() as cursor:
        await cursor.execute(sql, values)
        rows: Sequence[TupleRow] = await cursor.fetchall()
        return rows


async def run_write(driver: Any, sql: str, values: Sequence[Any]) -> int:  # noqa: ANN401
    """Run an INSERT or an UPDATE on a connection of aiomysql or aiosqlite and return the id inserted, or 0."""
    if isinstance(driver, aiosqlite.Connection):
        async with driver.execute(sql, values) as cursor:
            return int(cursor.lastrowid or 0)
    async with driver.cursor() as cursor:
        await cursor.execute(sql, values)
        return int(cursor.lastrowid or 0)
