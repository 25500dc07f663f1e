"""Row counts: a statement that must touch a number of rows is believed only if the database says that number.

MariaDB answers OK, with fewer rows or none, to a DELETE that KILL QUERY or max_statement_time has ended early (measured
with 10.11.19; an INSERT, UPDATE or SELECT that is ended so fails with error 1317 or 1969). If nobody compared the
number, the transaction would go on, and commit half of what it says.
"""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import CursorResult, Executable
from sqlalchemy.ext.asyncio import AsyncConnection

from infra.faults import RowsMissed

# SQLAlchemy keeps the count of UPDATE and DELETE alone unless it is asked to; an INSERT from a SELECT has one too.
_COUNTED: Final = {"preserve_rowcount": True}


async def execute_exactly(
    connection: AsyncConnection, rows: int, statement: Executable, parameters: Mapping[str, Any] | None = None
) -> CursorResult[Any]:
    """Run a DELETE, UPDATE or INSERT; raise RowsMissed unless it touches exactly this number of rows.

    An UPDATE counts the rows that it finds, also those that have the new values already.
    """
    result = await connection.execute(statement, parameters, execution_options=_COUNTED)
    refuse_missed_rows(rows, result.rowcount)
    return result


def refuse_missed_rows(rows: int, touched: int) -> None:
    """Raise RowsMissed if a statement that must touch `rows` rows touched another number."""
    if touched != rows:
        raise RowsMissed(rows, touched)
