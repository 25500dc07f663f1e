"""XLSX: cells as exact text, which sheet is meant, and workbooks that are made to do harm."""

import io
import zipfile
import zlib
from contextlib import suppress
from datetime import date, datetime, time
from typing import Final

import pytest
import xlsxwriter
from hypothesis import given
from hypothesis import strategies as st

from ledger.transfer.readers.entries import Question, TooManyEntries, UnreadableFile
from ledger.transfer.readers.xlsx import choose_sheet, read_sheets, write_cell
from tests.support.bank_files import broken

SHEET: Final = "xl/worksheets/sheet1.xml"
Cell = str | float | bool | date | datetime | time


def workbook(*rows: list[Cell], **others: list[list[Cell]]) -> bytes:
    """Return a workbook with the rows in its first sheet, and further sheets by name."""
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"in_memory": True}) as book:
        formats = {
            datetime: book.add_format({"num_format": "dd/mm/yyyy hh:mm"}),
            date: book.add_format({"num_format": "dd/mm/yyyy"}),
            time: book.add_format({"num_format": "hh:mm"}),
        }
        for name, cells in {"Sheet1": rows, **others}.items():
            sheet = book.add_worksheet(name)
            for number, row in enumerate(cells):
                for column, cell in enumerate(row):
                    sheet.write(number, column, cell, formats.get(type(cell)))
    return buffer.getvalue()


def replace_member(data: bytes, name: str, old: bytes, new: bytes) -> bytes:
    """Return a workbook with something replaced in one of its members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for member in source.namelist():
            text = source.read(member)
            target.writestr(member, text.replace(old, new) if member == name else text)
    return buffer.getvalue()


def add_member(data: bytes, name: str, text: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a workbook with one more member."""
    buffer = io.BytesIO(data)
    with zipfile.ZipFile(buffer, "a", method) as archive:
        archive.writestr(name, text)
    return buffer.getvalue()


def read(data: bytes) -> list[list[str]]:
    """Return the rows of the one sheet."""
    (rows,) = read_sheets(data).values()
    return rows


SMALL: Final = workbook(["Date", "Amount"], [date(2026, 3, 1), -12.5])

# Cells


def test_a_table_is_read_with_dates_and_numbers_as_text() -> None:
    assert read(SMALL) == [["Date", "Amount"], ["2026-03-01", "-12.5"]]


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        *[(12.5, "12.5"), (3.0, "3"), (-1250.0, "-1250"), (0.1 + 0.2, "0.3"), (1e-7, "0.0000001"), (8.43, "8.43")],
        *[(1234567890123456.0, "1234567890123456"), (1e20, "100000000000000000000"), (12.500000001, "12.500000001")],
        *[(True, "true"), (False, "false"), ("", ""), (" a\nb ", " a\nb "), ("=1+1", "=1+1"), ("007", "007")],
        *[(date(2026, 3, 1), "2026-03-01"), (datetime(2026, 3, 1, 12, 30, 15), "2026-03-01T12:30:15")],  # noqa: DTZ001
        (time(9, 5), "09:05:00"),
    ],
)
def test_a_cell_is_written_exactly(cell: Cell, text: str) -> None:
    assert write_cell(cell) == text


@pytest.mark.parametrize("cell", [12.5, 0.1 + 0.2, -3.0, True, date(2026, 3, 1), time(9, 5), "text"])
def test_a_cell_is_read_as_it_was_written(cell: Cell) -> None:
    assert read(workbook([cell])) == [[write_cell(cell)]]


def test_rows_and_columns_are_counted_from_the_first_of_the_sheet() -> None:
    assert read(workbook([], ["", "a"])) == [["", ""], ["", "a"]]


def test_empty_cells_with_a_format_make_no_sheet_too_wide() -> None:
    data = replace_member(SMALL, SHEET, b"</row><row", b'<c r="XFD1" s="1"/></row><row')

    assert read(data) == [["Date", "Amount"], ["2026-03-01", "-12.5"]]


# Sheets


def test_empty_sheets_and_hidden_ones_are_not_asked_about() -> None:
    data = replace_member(
        workbook(["a"], Empty=[], Hidden=[["b"]]), "xl/workbook.xml", b'name="Hidden"', b'name="Hidden" state="hidden"'
    )

    assert choose_sheet(read_sheets(data), None) == "Sheet1"


def test_several_sheets_are_a_question() -> None:
    question = choose_sheet(read_sheets(workbook(["a"], Card=[["b"]])), None)

    assert isinstance(question, Question)
    assert (question.option, question.choices) == ("sheet", ("Sheet1", "Card"))


def test_the_option_names_the_sheet() -> None:
    assert choose_sheet(read_sheets(workbook(["a"], Card=[["b"]])), "Card") == "Card"


@pytest.mark.parametrize("wanted", ["Other", 7, ["Sheet1"]])
def test_a_sheet_that_is_not_there_is_a_question(wanted: object) -> None:
    assert isinstance(choose_sheet(read_sheets(SMALL), wanted), Question)


def test_a_workbook_without_anything_is_unreadable() -> None:
    with pytest.raises(UnreadableFile, match="No sheet"):
        choose_sheet(read_sheets(workbook()), None)


# Hostile


def test_a_sheet_of_too_many_rows_is_refused() -> None:
    with pytest.raises(TooManyEntries):
        read_sheets(replace_member(SMALL, SHEET, b'r="A2"', b'r="A51001"'))


@pytest.mark.parametrize("place", [b"ALM2", b"XFD2", b"ZZZZZZZ2"])
def test_a_sheet_of_too_many_columns_is_refused(place: bytes) -> None:
    with pytest.raises(UnreadableFile, match="columns"):
        read_sheets(replace_member(SMALL, SHEET, b'r="B2"', b'r="%s"' % place))


def test_too_many_sheets_are_refused() -> None:
    data = replace_member(SMALL, "xl/workbook.xml", b"<sheets>", b"<sheets>" + b'<sheet name="x"/>' * 101)
    with pytest.raises(UnreadableFile, match="more than 100 sheets"):
        read_sheets(data)


def test_two_cells_that_span_too_much_are_refused() -> None:
    data = replace_member(SMALL, SHEET, b'r="A2"', b'r="A50000"')

    with pytest.raises(UnreadableFile, match="3,000,000 cells"):
        read_sheets(replace_member(data, SHEET, b'r="B2"', b'r="CZ2"'))


@pytest.mark.parametrize("cell", [b"""<c x='/>' r = 'XFD2' y="/>">""", b'<c r="XFD2" x="/>">', b'<x:c\nr="XFD2">'])
def test_a_cell_cannot_hide_its_place(cell: bytes) -> None:
    with pytest.raises(UnreadableFile):
        read_sheets(replace_member(SMALL, SHEET, b'<c r="B2">', cell))


def test_cells_without_a_place_are_refused() -> None:
    with pytest.raises(UnreadableFile, match="where they are"):
        read_sheets(replace_member(SMALL, SHEET, b' r="B2"', b""))


@pytest.mark.parametrize("member", [SHEET, "xl/workbook.xml", "xl/sharedStrings.xml", "_rels/.rels"])
def test_a_document_type_is_refused_in_any_part(member: str) -> None:
    with pytest.raises(UnreadableFile, match="document type"):
        read_sheets(replace_member(SMALL, member, b"?>", b'?><!DOCTYPE a [<!ENTITY b "c">]>'))


def test_a_member_that_unpacks_to_too_much_is_refused() -> None:
    with pytest.raises(UnreadableFile, match="more than"):
        read_sheets(add_member(SMALL, "xl/media/big.xml", b" " * 2**25))


def test_a_size_that_is_declared_too_small_does_not_help() -> None:
    data = add_member(SMALL, "big.xml", b" " * 2**25)

    with pytest.raises(UnreadableFile, match="more than"):
        read_sheets(data.replace((2**25).to_bytes(4, "little"), (9).to_bytes(4, "little")))


def test_too_many_members_are_refused() -> None:
    buffer = io.BytesIO(SMALL)
    with zipfile.ZipFile(buffer, "a") as archive:
        for number in range(5001):
            archive.writestr(f"xl/media/{number}.xml", "")

    with pytest.raises(UnreadableFile, match="more than"):
        read_sheets(buffer.getvalue())


def test_a_name_that_occurs_twice_is_refused() -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        data = add_member(SMALL, SHEET, b"<worksheet/>")

    with pytest.raises(UnreadableFile, match="broken"):
        read_sheets(data)


def test_an_encrypted_member_is_refused() -> None:
    data = bytearray(SMALL)
    data[data.rindex(b"PK\x01\x02") + 8] |= 1

    with pytest.raises(UnreadableFile, match="password"):
        read_sheets(bytes(data))


def test_a_method_of_packing_that_is_rare_is_refused() -> None:
    with pytest.raises(UnreadableFile, match="method"):
        read_sheets(add_member(SMALL, "a.xml", b"<a/>", zipfile.ZIP_LZMA))


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", SMALL[:-40], zlib.compress(SMALL)])
def test_a_zip_that_is_broken_is_unreadable(data: bytes) -> None:
    with pytest.raises(UnreadableFile):
        read_sheets(data)


def test_packed_bytes_that_are_damaged_are_unreadable() -> None:
    with zipfile.ZipFile(io.BytesIO(SMALL)) as archive:
        start = archive.getinfo(SHEET).header_offset + 30 + len(SHEET)

    with pytest.raises(UnreadableFile, match="broken"):
        read_sheets(SMALL[:start] + b"\xff" * 20 + SMALL[start + 20 :])


def test_a_directory_that_points_elsewhere_is_unreadable() -> None:
    with zipfile.ZipFile(io.BytesIO(SMALL)) as archive:
        where = archive.getinfo(SHEET).header_offset.to_bytes(4, "little")

    with pytest.raises(UnreadableFile, match="broken"):
        read_sheets(SMALL.replace(where + SHEET.encode(), (len(SMALL) - 4).to_bytes(4, "little") + SHEET.encode()))


def test_a_long_text_in_a_cell_is_read_whole() -> None:
    data = replace_member(workbook(["text"]), "xl/sharedStrings.xml", b"text", b"a" * 2**21)

    assert [len(cell) for cell in read(data)[0]] == [2**21]


@given(st.binary(max_size=200))
def test_no_bytes_do_worse_than_being_unreadable(data: bytes) -> None:
    with suppress(UnreadableFile):
        read_sheets(b"PK\x03\x04" + data)


@given(broken(SMALL))
def test_no_broken_workbook_does_worse_than_being_unreadable(data: bytes) -> None:
    with suppress(UnreadableFile):
        read_sheets(data)


@given(
    broken(
        b'<worksheet><sheetData><row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1"><v>1</v></c></row></sheetData>'
        b"</worksheet>"
    )
)
def test_no_broken_sheet_does_worse_than_being_unreadable(sheet: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(SMALL)) as archive:
        whole = archive.read(SHEET)

    with suppress(UnreadableFile):
        read_sheets(replace_member(SMALL, SHEET, whole, sheet))
