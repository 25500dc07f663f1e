"""Workbooks: expenses as a sheet with real dates and numbers, written in a thread into a file without a name.

A sheet has room for 1,048,576 rows, more than a ledger has expenses. The rows go to the disk as they come, so that the
memory does not grow with them.
"""

import asyncio
from collections.abc import Sequence
from datetime import date
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, Any, Final, Self

from xlsxwriter import Workbook
from xlsxwriter.exceptions import XlsxFileError

from ledger.tags.sets import split_names
from values.csv_cells import join_tags
from values.money import DECIMALS, SCALE

Cells = tuple[Any, ...]
"""Day, thousandths, currency, category, payee, description, names of tags, external id, id."""
FIRST_COMMON_DAY: Final = date(1900, 3, 1)
"""Of earlier days programs disagree, because Excel has a 29 February 1900; so these are texts."""
_OPTIONS: Final = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}
_WIDTHS: Final = (11, 12, 9, 18, 24, 40, 20, 16, 10)


class ExpenseWorkbook:
    """A workbook that is being written; leaving it deletes its files."""

    def __init__(self, columns: Sequence[str]) -> None:
        """Begin with a row that names the columns, and stays on the screen."""
        self._folder = TemporaryDirectory(prefix="expenses-export-", ignore_cleanup_errors=True)
        self._file: IO[bytes] = TemporaryFile()  # noqa: SIM115  # closed by __exit__
        self._workbook = Workbook(self._file, _OPTIONS | {"tmpdir": self._folder.name})
        self._day = self._workbook.add_format({"num_format": "yyyy-mm-dd"})
        self._amounts = {
            decimals: self._workbook.add_format({"num_format": f"0.{'0' * decimals}".removesuffix(".")})
            for decimals in set(DECIMALS.values())
        }
        self._sheet = self._workbook.add_worksheet("Expenses")
        for place, width in enumerate(_WIDTHS):
            self._sheet.set_column(place, place, width)
        self._sheet.freeze_panes(1, 0)
        self._sheet.write_row(0, 0, columns, self._workbook.add_format({"bold": True}))
        self._count = 1
        self._is_finished = False

    def __enter__(self) -> Self:
        """Return the workbook."""
        return self

    def __exit__(self, *_: object) -> None:
        """Delete the files."""
        if not self._is_finished:
            # The library closes its file of the rows only when it completes the workbook.
            self._sheet.row_data_fh.close()
        self._file.close()
        self._folder.cleanup()

    async def add(self, rows: Sequence[Cells]) -> None:
        """Add rows."""
        await asyncio.to_thread(self._write_rows, rows)

    async def finish(self) -> IO[bytes]:
        """Complete the workbook and return its file, at its beginning; raise OSError if the disk is full."""
        try:
            await asyncio.to_thread(self._workbook.close)
        except XlsxFileError as error:
            raise OSError("the workbook cannot be written") from error
        self._is_finished = True
        self._file.seek(0)
        return self._file

    def _write_rows(self, rows: Sequence[Cells]) -> None:
        for row in rows:
            self._write_row(self._count, row)
            self._count += 1

    def _write_row(self, number: int, row: Cells) -> None:
        spent_on, amount, currency, category, payee, description, tags, external_id, row_id = row
        sheet = self._sheet
        if spent_on >= FIRST_COMMON_DAY:
            sheet.write_datetime(number, 0, spent_on, self._day)
        else:
            sheet.write_string(number, 0, spent_on.isoformat())
        sheet.write_number(number, 1, amount / SCALE, self._amounts[DECIMALS[currency]])
        texts = (currency, category, payee, description, tags and join_tags(split_names(tags)), external_id)
        for place, text in enumerate(texts, 2):
            if text is not None:
                sheet.write_string(number, place, text)
        sheet.write_number(number, 8, row_id)
