"""Files of expenses: how pages of rows become the bytes of a CSV, NDJSON or XLSX file.

csv       UTF-8 without a byte order mark, CRLF (RFC 4180); texts that a spreadsheet would run are guarded
ndjson    an `Expense`, as lists answer it, on each line
xlsx      a workbook, which is made as a whole before its first byte is there (ledger/transfer/workbooks.py)

There is no byte order mark because it would be a part of the first column's name for most programs; of those that need
it to read UTF-8, Excel is the one that people use, and for it there is xlsx.
"""

import csv
import io
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Final, Literal, NamedTuple

from pydantic import TypeAdapter

from infra.prepared import TupleRow
from infra.slices import iterate_in_slices
from ledger.expenses.rows import build_expense, make_column_getter
from ledger.tags.sets import split_names
from ledger.transfer.exports import Pages
from ledger.transfer.workbooks import ExpenseWorkbook
from schemas import Expense
from values.csv_cells import guard_cell, join_tags
from values.money import write_amount

FileName = Literal["csv", "ndjson", "xlsx"]
COLUMNS: Final = ("date", "amount", "currency", "category", "payee", "description", "tags", "external_id", "id")
"""The columns of a CSV file and of a workbook."""
PIECE_BYTES: Final = 64 * 1024
"""The length of a piece of a workbook."""
_EXPENSE: Final = TypeAdapter(Expense)
_get_cells: Final = make_column_getter("spent_on", *COLUMNS[1:])


class FileFormat(NamedTuple):
    """A format of files of expenses."""

    media_type: str
    write: Callable[[Pages], AsyncGenerator[bytes]]
    """Yields the file in pieces."""
    is_made_whole: bool = False
    """Whether the whole file is made before its first piece is there."""


async def write_csv(pages: Pages) -> AsyncGenerator[bytes]:
    """Yield a CSV file, a piece for each page."""
    head = _write_lines([COLUMNS])
    async for page in pages:
        yield head + _write_lines([_write_cells(row) async for row in iterate_in_slices(page)])
        head = b""


async def write_ndjson(pages: Pages) -> AsyncGenerator[bytes]:
    """Yield a line of JSON for each expense, a piece for each page."""
    async for page in pages:
        lines = [_EXPENSE.dump_json(build_expense(row)) async for row in iterate_in_slices(page)]
        yield b"".join(line + b"\n" for line in lines)


async def write_xlsx(pages: Pages) -> AsyncGenerator[bytes]:
    """Yield a workbook, once it is complete; what is written computes in a thread."""
    with ExpenseWorkbook(COLUMNS) as workbook:
        async for page in pages:
            await workbook.add([_get_cells(row) for row in page])
        file = await workbook.finish()
        while piece := file.read(PIECE_BYTES):
            yield piece


FORMATS: Final[Mapping[FileName, FileFormat]] = {
    "csv": FileFormat("text/csv", write_csv),
    "ndjson": FileFormat("application/x-ndjson", write_ndjson),
    "xlsx": FileFormat(
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", write_xlsx, is_made_whole=True
    ),
}


def _write_lines(rows: list[tuple[object, ...]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _write_cells(row: TupleRow) -> tuple[object, ...]:
    spent_on, amount, currency, category, payee, description, tags, external_id, row_id = _get_cells(row)
    return (
        spent_on.isoformat(),
        write_amount(amount, currency),
        currency,
        category and guard_cell(category),
        payee and guard_cell(payee),
        description and guard_cell(description),
        tags and guard_cell(join_tags(split_names(tags))),
        external_id and guard_cell(external_id),
        row_id,
    )
