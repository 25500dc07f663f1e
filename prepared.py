"""Hot reads: compiled once by SQLAlchemy, then run by the driver itself."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import aiosqlite
from sqlalchemy import Dialect, Select
from sqlalchemy.ext.asyncio import AsyncConnection

from database import refuse_unowned
from faults import Fault, fault_of

Line = tuple[Any, ...]
Convert = Callable[[Any], Any]


class Prepared:
    """A read that is written with SQLAlchemy and sent without it.

    Of the CPU time of a small read two thirds are the layers that can run any statement on any database; who is
    calling, the ledger's lock, one expense and a page of them go past them. The rows are plain tuples, in the order of
    the statement's columns.
    """

    def __init__(self, statement: Select[*tuple[Any, ...]]) -> None:
        self._statement = statement
        self._texts: dict[str, _Text] = {}

    async def rows(self, connection: AsyncConnection, parameters: Mapping[str, Any]) -> list[Line]:
        """Return all rows; a connection on which this fails is thrown away, save after a lost race."""
        text = self._texts.get(connection.dialect.name) or self._compile(connection.dialect)
        driver = connection.sync_connection.connection.driver_connection  # type: ignore[union-attr]
        try:
            return text.converted(await send(driver, text.sql, text.values(parameters)))
        except BaseException as error:
            if fault_of(error) is not Fault.AGAIN:
                await connection.invalidate()
            raise

    async def row(self, connection: AsyncConnection, parameters: Mapping[str, Any]) -> Line | None:
        """Return the first row, or None."""
        rows = await self.rows(connection, parameters)
        return rows[0] if rows else None

    def _compile(self, dialect: Dialect) -> "_Text":
        text = self._texts[dialect.name] = _Text(self._statement, dialect)
        return text


class _Text:
    """A statement as one dialect writes it, and how values go in and come out."""

    def __init__(self, statement: Select[*tuple[Any, ...]], dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        refuse_unowned(compiled)
        self.sql: Final = str(compiled)
        self._names: Final = [
            (name, compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect))
            for name in compiled.positiontup or ()
        ]
        # What the dialect adds by itself, such as SQLite's OFFSET beside a LIMIT.
        self._constants: Final = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
        processors = [
            column.type.dialect_impl(dialect).result_processor(dialect, None) for column in statement.selected_columns
        ]
        self._processors: Final = list(enumerate(processors)) if any(processors) else []

    def values(self, parameters: Mapping[str, Any]) -> list[Any]:
        """Return the values in the order of their places."""
        given = {**self._constants, **parameters}
        return [process(given[name]) if process else given[name] for name, process in self._names]

    def converted(self, rows: Sequence[Line]) -> list[Line]:
        """Return the rows as Python has them."""
        if not self._processors:
            return list(rows)
        return [tuple(process(row[i]) if process else row[i] for i, process in self._processors) for row in rows]


async def send(driver: Any, sql: str, values: Sequence[Any]) -> Sequence[Line]:  # noqa: ANN401
    """Run a statement on a connection of aiomysql or aiosqlite and return its rows."""
    if isinstance(driver, aiosqlite.Connection):
        return list(await driver.execute_fetchall(sql, values))  # type: ignore[arg-type]
    async with driver.cursor() as cursor:
        await cursor.execute(sql, values)
        rows: Sequence[Line] = await cursor.fetchall()
        return rows
