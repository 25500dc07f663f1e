"""XLSX: the sheets of a workbook as rows of text, for the table reader.

The zip is measured and the cells' places are looked at before python-calamine opens it: that library takes memory for
the whole rectangle that the places span, so that two cells could ask for all there is.

A number is text with the digits that Excel keeps, which are 15: 0.1 + 0.2 is 0.3 and not 0.30000000000000004. Whole
numbers keep all of theirs, since they may be ids. A cell with an error is empty.
"""

import io
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Final

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from ledger.transfer.readers.encodings import refuse_marks
from ledger.transfer.readers.entries import MAX_ENTRIES, Question, TooManyEntries, UnreadableFile
from ledger.transfer.readers.zip_members import check_members, iterate_pieces

_MAX_ROWS: Final = MAX_ENTRIES + 1000
"""With what stands above and below the table."""
_MAX_COLUMNS: Final = 300
_MAX_CELLS: Final = 3_000_000
_MAX_SHEETS: Final = 100
_LETTERS: Final = 26
_EXACT_WHOLE: Final = 2**53

# An empty cell with a format does not count: `<c r="XFD1" s="2"/>`. What follows the place must be attributes in
# quotes, so that no `/>` within one of them hides a cell.
_PLACE: Final = re.compile(
    rb"""\sr\s*+=\s*+["']([A-Za-z]*+)([0-9]++)["']((?:\s++[\w:]++\s*+=\s*+(?:"[^"<]*+"|'[^'<]*+'))*+\s*+/>)?"""
)
_SHEET: Final = re.compile(rb"<(?:\w++:)?sheet[\s/>]")
_CELL: Final = re.compile(rb"<(?:\w++:)?c[\s/>]")
_DOCTYPES: Final = (b"<!DOCTYPE", "<!DOCTYPE".encode("utf-16-le"), "<!DOCTYPE".encode("utf-16-be"))

Cell = int | float | str | bool | time | date | datetime | timedelta


def read_sheets(data: bytes) -> dict[str, list[list[str]]]:
    """Return the visible sheets that hold anything, in their order: all rows from the first, all cells as text.

    Raises UnreadableFile for a broken or hostile file, and TooManyEntries for a sheet of more than 51,000 rows.
    """
    for member in check_members(data):
        _check_part(data, member)
    try:
        with CalamineWorkbook.from_filelike(io.BytesIO(data)) as workbook:
            names = [
                it.name
                for it in workbook.sheets_metadata
                if it.typ == SheetTypeEnum.WorkSheet and it.visible == SheetVisibleEnum.Visible
            ]
            sheets = {name: _read_rows(workbook.get_sheet_by_name(name)) for name in names}
    except (CalamineError, ValueError, OSError):
        raise UnreadableFile("This Excel file is broken; save it again as XLSX, or as CSV.") from None
    return {name: rows for name, rows in sheets.items() if rows}


def choose_sheet(sheets: Mapping[str, Sequence[Sequence[str]]], wanted: object) -> str | Question:
    """Return the name of the sheet to read: the one that is wanted or the only one; else ask.

    Raises UnreadableFile if no sheet holds anything.
    """
    if not sheets:
        raise UnreadableFile("No sheet of this Excel file holds anything.")
    if isinstance(wanted, str) and wanted in sheets:
        return wanted
    if len(sheets) == 1 and wanted is None:
        return next(iter(sheets))
    return Question("sheet", tuple(sheets), "This file has several sheets; name the one with the transactions.")


def write_cell(value: Cell) -> str:
    """Write a cell as text: 12.5, 2026-03-01, 2026-03-01T12:30:00, true."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return _write_number(value)
    if isinstance(value, datetime | time):
        return value.isoformat(timespec="seconds")
    return str(value)


def _check_part(data: bytes, member: zipfile.ZipInfo) -> None:
    """Refuse a part with a document type, and a sheet whose cells span too much or do not say where they are."""
    is_sheet, rows, columns, unplaced, sheets = False, 1, 1, 0, 0
    for markup in _iterate_markup(data, member):
        if any(it in markup for it in _DOCTYPES):
            raise UnreadableFile("This Excel file holds a document type, which Excel never writes; save it again.")
        is_sheet = is_sheet or b"sheetData" in markup
        sheets += len(_SHEET.findall(markup))
        if sheets > _MAX_SHEETS:
            raise UnreadableFile(f"This Excel file has more than {_MAX_SHEETS} sheets: leave out the others.")
        places = _PLACE.findall(markup)
        unplaced += len(_CELL.findall(markup)) - sum(1 for letters, _, _ in places if letters)
        held = {(letters, digits) for letters, digits, is_empty in places if not is_empty}
        rows = max(rows, *(int(digits[:9]) for _, digits in held), 1)
        columns = max(columns, *(_count_columns(letters) for letters in {letters for letters, _ in held}), 1)
    if is_sheet:
        _check_span(rows, columns, unplaced)


def _check_span(rows: int, columns: int, unplaced: int) -> None:
    if rows > _MAX_ROWS:
        raise TooManyEntries
    if columns > _MAX_COLUMNS or rows * columns > _MAX_CELLS:
        raise UnreadableFile("A sheet has at most 300 columns and 3,000,000 cells; delete what is no transaction.")
    if unplaced > 0:
        raise UnreadableFile("The cells of this file do not say where they are; open and save it in Excel.")


def _iterate_markup(data: bytes, member: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yield what a member holds in pieces that do not end within a tag."""
    rest: list[bytes] = []
    for piece in iterate_pieces(data, member):
        whole, begins, after = piece.rpartition(b"<")
        if begins:
            yield b"".join([*rest, whole])
            rest = [begins + after]
        else:
            rest.append(piece)
    yield b"".join(rest)


def _count_columns(letters: bytes) -> int:
    """Return the number of a column: 1 for A, 27 for AA."""
    number = 0
    for letter in letters[:4].upper():
        number = number * _LETTERS + letter - ord("A") + 1
    return number


def _read_rows(sheet: CalamineSheet) -> list[list[str]]:
    """Return all rows of a sheet, with the empty ones above and the empty columns before its first cell."""
    before = [""] * (sheet.start[1] if sheet.start else 0)
    rows = [before + [write_cell(cell) for cell in row] for row in sheet.iter_rows()]
    for row in rows:
        for cell in row:
            refuse_marks(cell)
    return rows


def _write_number(number: float) -> str:
    if number.is_integer() and abs(number) < _EXACT_WHOLE:
        return str(int(number))
    return f"{Decimal(f'{number:.15g}'):f}"
