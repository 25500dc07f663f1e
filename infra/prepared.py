"""The most frequent statements: SQLAlchemy compiles them once, and then the driver runs them.

    connection.execute(statement)                        Prepared.fetch_all(connection, parameters)

    look the compiled statement up in a cache            compiled once for each dialect
    events (check of the owner, see ownership)           checked once, when it is compiled
    bind processors                                      bind processors, in the order of the placeholders
    execution context, DB-API cursor that adapts         -
      the asynchronous driver through a greenlet
    driver: aiomysql, asyncmy or aiosqlite               driver: aiomysql, asyncmy or aiosqlite
    CursorResult, Row with attributes                    plain tuples in the order of the columns
    result processors                                    result processors, if the statement has any
    errors wrapped as DBAPIError, connections            the driver's own errors; _send discards the
      invalidated by handle_error                          connection

What is skipped is half of the CPU time of a small statement (decision 16).
"""

import sqlite3
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import aiosqlite
from sqlalchemy import CompoundSelect, Dialect, Insert, Select, Update
from sqlalchemy.ext.asyncio import AsyncConnection

from infra.faults import Fault, classify_fault, is_connection_spoilt
from infra.lost_connections import translate_closed_transport
from infra.ownership import refuse_unowned
from infra.row_counts import refuse_missed_rows

T = TypeVar("T")
TupleRow = tuple[Any, ...]


class Prepared:
    """A statement that SQLAlchemy compiles and the driver runs; rows are tuples in the order of its columns.

    For what most requests need: the caller, the ledger's lock and next revision, single expenses and pages of them.
    """

    def __init__(
        self,
        statement: Select[*tuple[Any, ...]] | CompoundSelect[*tuple[Any, ...]] | Insert | Update,
        columns: Collection[str] | None = None,
    ) -> None:
        """Take a statement with named bind parameters; those of an INSERT are named by `columns`."""
        self._statement = statement
        self._columns = columns
        self._by_dialect: dict[str, _Compiled] = {}

    async def fetch_all(self, connection: AsyncConnection, parameters: Mapping[str, Any]) -> list[TupleRow]:
        """Run a SELECT and return all of its rows."""
        compiled = self._compile(connection.dialect)
        values = compiled.order_values(parameters)
        return compiled.convert_rows(await _send(connection, run_select, compiled.sql, values))

    async def fetch_one(self, connection: AsyncConnection, parameters: Mapping[str, Any]) -> TupleRow | None:
        """Run a SELECT and return its first row, or None."""
        rows = await self.fetch_all(connection, parameters)
        return rows[0] if rows else None

    async def write(self, connection: AsyncConnection, parameters: Mapping[str, Any]) -> int:
        """Run an INSERT or an UPDATE of one row and return the id of the inserted row, or 0.

        Raises RowsMissed if it touches no row, or several.
        """
        compiled = self._compile(connection.dialect)
        written = await _send(connection, run_write, compiled.sql, compiled.order_values(parameters))
        refuse_missed_rows(1, written.rows)
        return written.inserted_id

    async def insert_many(self, connection: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run an INSERT of many rows, which the driver sends together; raise RowsMissed if it inserts fewer."""
        compiled = self._compile(connection.dialect)
        values = [compiled.order_values(row) for row in rows]
        refuse_missed_rows(len(rows), await _send(connection, run_many, compiled.sql, values))

    def _compile(self, dialect: Dialect) -> "_Compiled":
        compiled = self._by_dialect.get(dialect.name)
        if compiled is None:
            compiled = self._by_dialect[dialect.name] = _Compiled(self._statement, dialect, self._columns)
        return compiled


class _Compiled:
    """The statement in one dialect's SQL, with the converters of its parameters and columns."""

    def __init__(
        self,
        statement: Select[*tuple[Any, ...]] | CompoundSelect[*tuple[Any, ...]] | Insert | Update,
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
        # Parameters that the dialect adds, such as SQLite's OFFSET for a LIMIT.
        self._constants: Final = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
        selected = statement.selected_columns if isinstance(statement, Select | CompoundSelect) else ()
        processors = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in selected]
        self._processors: Final = list(enumerate(processors)) if any(processors) else []

    def order_values(self, parameters: Mapping[str, Any]) -> list[Any]:
        """Return the values in the order of the placeholders, converted for the driver."""
        values = {**self._constants, **parameters}
        return [process(values[name]) if process else values[name] for name, process in self._names]

    def convert_rows(self, rows: Sequence[TupleRow]) -> list[TupleRow]:
        """Return the rows with Python values."""
        if not self._processors:
            return list(rows)
        return [tuple(process(row[i]) if process else row[i] for i, process in self._processors) for row in rows]


async def _send(
    connection: AsyncConnection,
    send: Callable[[Any, str, Sequence[Any]], Awaitable[T]],
    sql: str,
    values: Sequence[Any],
) -> T:
    """Run a statement; discard the connection after an error that may have left it unusable."""
    driver = connection.sync_connection.connection.driver_connection  # type: ignore[union-attr]  # it is open
    try:
        return await send(driver, sql, values)
    except BaseException as error:
        lost = translate_closed_transport(error, driver)
        await _discard_if_unusable(connection, lost or error)
        if lost is not None:
            raise lost from error
        raise


async def _discard_if_unusable(connection: AsyncConnection, error: BaseException) -> None:
    """Discard a connection after an error, unless it was a lost race, or one of SQLite that spoils nothing."""
    is_harmless = isinstance(error, sqlite3.Error) or classify_fault(error) is Fault.RETRY
    if is_connection_spoilt(error) or not is_harmless:
        await connection.invalidate(error)


async def run_select(driver: Any, sql: str, values: Sequence[Any]) -> Sequence[TupleRow]:  # noqa: ANN401
    """Run a SELECT on a connection of the driver and return its rows."""
    if isinstance(driver, aiosqlite.Connection):
        return list(await driver.execute_fetchall(sql, values))  # type: ignore[arg-type]
    async with driver.cursor() as cursor:
        await cursor.execute(sql, values)
        rows: Sequence[TupleRow] = await cursor.fetchall()
        return rows


class Written(NamedTuple):
    """What an INSERT or an UPDATE did: the id of the inserted row, or 0, and the number of rows that it touched."""

    inserted_id: int
    rows: int


async def run_write(driver: Any, sql: str, values: Sequence[Any]) -> Written:  # noqa: ANN401
    """Run an INSERT or an UPDATE on a connection of the driver."""
    if isinstance(driver, aiosqlite.Connection):
        # Not closed: that would be another step of the driver's thread, and the statement has run to its end.
        cursor = await driver.execute(sql, values)
        return Written(int(cursor.lastrowid or 0), cursor.rowcount)
    async with driver.cursor() as cursor:
        await cursor.execute(sql, values)
        return Written(int(cursor.lastrowid or 0), cursor.rowcount)


async def run_many(driver: Any, sql: str, rows: Sequence[Sequence[Any]]) -> int:  # noqa: ANN401
    """Run an INSERT for many rows on a connection of the driver; return how many rows were inserted."""
    if isinstance(driver, aiosqlite.Connection):
        return int((await driver.executemany(sql, rows)).rowcount)
    async with driver.cursor() as cursor:
        await cursor.executemany(sql, rows)
        return int(cursor.rowcount)
