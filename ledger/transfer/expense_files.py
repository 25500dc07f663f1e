"""Files of expenses: how pages of rows become the bytes of a CSV, NDJSON or XLSX file.

    csv       UTF-8 without a byte order mark, CRLF (RFC 4180); texts that a spreadsheet would run are guarded
    ndjson    an `Expense`, as lists answer it, on each line
    xlsx      a workbook, which is made as a whole before its first byte is there (ledger/transfer/workbooks.py)

There is no byte order mark because it would be a part of the first column's name for most programs; of those that need
it to read UTF-8, Excel is the one that people use, and for it there is xlsx.
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Final, NamedTuple, TypeVar

from pydantic import TypeAdapter

from infra.prepared import TupleRow
from infra.slices import batched, pause
from ledger.expenses.rows import build_expense, make_column_getter
from ledger.tags.sets import split_names
from ledger.transfer.exports import FormatName, Page, Pages
from ledger.transfer.workbooks import ExpenseWorkbook
from schemas import Expense
from values.csv_cells import join_tags, write_cell
from values.money import write_amount

T = TypeVar("T")

COLUMNS: Final = ("date", "amount", "currency", "category", "payee", "description", "tags", "external_id", "id")
"""The columns of a CSV file and of a workbook."""
PIECE_BYTES: Final = 64 * 1024
"""The length of a piece of a workbook."""
LINE_END: Final = "\r\n"
ROWS_AT_ONCE: Final = 50
"""Rows that are written without a pause, in a third of a millisecond."""
_EXPENSE: Final = TypeAdapter(Expense)
_get_cells: Final = make_column_getter("spent_on", *COLUMNS[1:])


class FileFormat(NamedTuple):
    """A format of files of expenses."""

    media_type: str
    write: Callable[[Pages], AsyncGenerator[bytes]]
    """Yields the file in pieces."""
    needs_instants: bool = False
    """Whether it has `created_at` and `updated_at`."""
    is_made_whole: bool = False
    """Whether the whole file is made before its first piece is there."""


async def write_csv(pages: Pages) -> AsyncGenerator[bytes]:
    """Yield a CSV file, a piece for each page."""
    head = ",".join(COLUMNS) + LINE_END
    async with aclosing(pages):
        async for page in pages:
            yield (head + "".join(await _map_in_slices(_write_line, page))).encode()
            head = ""


async def write_ndjson(pages: Pages) -> AsyncGenerator[bytes]:
    """Yield a line of JSON for each expense, a piece for each page."""
    async with aclosing(pages):
        async for page in pages:
            yield b"".join(await _map_in_slices(_write_object, page))


async def write_xlsx(pages: Pages) -> AsyncGenerator[bytes]:
    """Yield a workbook, once it is complete; what is written computes in a thread."""
    with ExpenseWorkbook(COLUMNS) as workbook:
        async with aclosing(pages):
            async for page in pages:
                await workbook.add([_get_cells(row) for row in page])
        file = await workbook.finish()
        while piece := file.read(PIECE_BYTES):
            yield piece


FORMATS: Final[Mapping[FormatName, FileFormat]] = {
    "csv": FileFormat("text/csv", write_csv),
    "ndjson": FileFormat("application/x-ndjson", write_ndjson, needs_instants=True),
    "xlsx": FileFormat(
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", write_xlsx, is_made_whole=True
    ),
}


async def _map_in_slices(write: Callable[[TupleRow], T], rows: Page) -> list[T]:
    """Return what the rows are written as; other requests are served in between."""
    written: list[T] = []
    for some in batched(rows, ROWS_AT_ONCE):
        written += map(write, some)
        await pause()
    return written


def _write_line(row: TupleRow) -> str:
    spent_on, amount, currency, category, payee, description, tags, external_id, row_id = _get_cells(row)
    cells = (
        spent_on.isoformat(),
        write_amount(amount, currency),
        currency,
        write_cell(category),
        write_cell(payee),
        write_cell(description),
        write_cell(tags and join_tags(split_names(tags))),
        write_cell(external_id),
        str(row_id),
    )
    return ",".join(cells) + LINE_END


def _write_object(row: TupleRow) -> bytes:
    return _EXPENSE.dump_json(build_expense(row)) + b"\n"
