"""Text in rows of cells: CSV and its kin, and blocks of `Key: value` lines."""

import csv
import re
from collections import deque
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Final, NamedTuple

from ledger.transfer.readers.dates import read_shape
from ledger.transfer.readers.entries import MAX_ENTRIES, TooManyEntries, UnreadableFile
from ledger.transfer.readers.numbers import read_number
from ledger.transfer.readers.words import find_column

DELIMITERS: Final = (",", ";", "\t", "|")
MAX_CELL_LENGTH: Final = 100_000
MAX_LINE_LENGTH: Final = 1_000_000
MAX_COLUMNS: Final = 300
MAX_CELLS: Final = 2_000_000
MAX_OTHER_ROWS: Final = 5_000
"""Rows beside those that are imported: a preamble, repeated headers, texts that go on."""
MAX_LINES_OF_BLOCK: Final = 50
_DAY_ROLES: Final = frozenset({"date", "transaction_date", "booking_date"})
_AMOUNT_ROLES: Final = frozenset({"amount", "debit"})
SAMPLE_CHARACTERS: Final = 16_384
SAMPLE_ROWS: Final = 200
_LONG_CELL: Final = f"A cell has more than {MAX_CELL_LENGTH:,} characters."
MAX_LINES_OF_CELL: Final = 200
MAX_BROKEN_ROWS: Final = 100
END: Final = "\x00"
"""A line that no text has, because NULs are taken out."""
_KEY_LINE: Final = re.compile(r"([^\W\d_][^:\n]{0,40}):[ \t\xa0]*(.*)")


Record = tuple[int, list[str], bool]
"""The line at which a record begins, its cells, and whether a quote of it is not closed."""


class GridRow(NamedTuple):
    """One row of a table: the line at which it begins, and its cells without blanks around them."""

    line: int
    cells: list[str]
    is_broken: bool = False
    """Whether it has a quote that nothing closes, so that nobody knows where its cells end."""


def split_table(text: str, delimiter: str | None = None) -> tuple[list[GridRow], str | None]:
    """Return the rows of a text and the delimiter of its cells; None if its rows are blocks of `Key: value` lines."""
    unified = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    if delimiter is None and (blocks := _read_blocks(unified)):
        return blocks, None
    found = delimiter or _find_delimiter(unified)
    return _read_rows(unified, found), found


def _find_delimiter(text: str) -> str:
    """Return the delimiter with which most cells are a day, a number or a known header."""
    sample = text[:SAMPLE_CHARACTERS]
    if len(text) > SAMPLE_CHARACTERS:
        sample = sample.rpartition("\n")[0]
    return max(DELIMITERS, key=lambda delimiter: _count_known_cells(sample, delimiter))


def _count_known_cells(sample: str, delimiter: str) -> tuple[int, int]:
    rows = _read_sample(sample, delimiter)
    known = sum(_is_known(cell) for row in rows for cell in row.cells if cell)
    return known, sum(len(row.cells) > 1 for row in rows)


def _read_sample(sample: str, delimiter: str) -> list[GridRow]:
    try:
        return list(islice(_iterate_rows(sample, delimiter, MAX_ENTRIES), SAMPLE_ROWS))
    except UnreadableFile:
        return []


def _is_known(cell: str) -> bool:
    return bool(read_shape(cell) or read_number(cell) or find_column(cell)[0])


def _read_rows(text: str, delimiter: str) -> list[GridRow]:
    """Return the rows that are not blank; they are counted while they are read, so that no more are kept."""
    rows: list[GridRow] = []
    cells = 0
    for row in _iterate_rows(text, delimiter, MAX_ENTRIES + MAX_OTHER_ROWS):
        cells += len(row.cells)
        if cells > MAX_CELLS:
            raise UnreadableFile(f"The file has more than {MAX_CELLS:,} cells: leave out columns, or split it.")
        rows.append(row)
    return rows


def _iterate_rows(text: str, delimiter: str, most: int) -> Iterator[GridRow]:
    csv.field_size_limit(MAX_CELL_LENGTH)
    records = _parse_strictly(text, delimiter) if _is_strict(text, delimiter, most) else _parse_laxly(text, delimiter)
    found = 0
    for line, cells, is_broken in records:
        if len(cells) > MAX_COLUMNS:
            raise UnreadableFile(f"The file has more than {MAX_COLUMNS:,} columns: leave out what is not needed.")
        if any(not cell.isspace() for cell in cells if cell):
            found += 1
            if found > most:
                raise TooManyEntries
            yield GridRow(line, [cell.strip() for cell in cells], is_broken)


def _is_strict(text: str, delimiter: str, most: int) -> bool:
    """Whether all quotes of the rows that may be read fit."""
    if '"' not in text:
        return True
    try:
        for _ in islice(_parse_strictly(text, delimiter), most * 2):
            pass
    except csv.Error:
        return False
    return True


def _parse_strictly(text: str, delimiter: str) -> Iterator[Record]:
    reader = csv.reader(iterate_lines(text), delimiter=delimiter, skipinitialspace=True, strict=True)
    line = 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "limit" in str(error):
                raise UnreadableFile(_LONG_CELL) from None
            raise
        yield line, cells, False
        line = reader.line_num + 1


def iterate_lines(text: str) -> Iterator[str]:
    """Yield the lines with their ends; unlike in a `StringIO`, nothing is copied at four bytes a character."""
    start = 0
    while start < len(text):
        end = text.find("\n", start) + 1 or len(text)
        if end - start > MAX_LINE_LENGTH:
            raise UnreadableFile(f"A line has more than {MAX_LINE_LENGTH:,} characters.")
        yield text[start:end]
        start = end


def _parse_laxly(text: str, delimiter: str) -> Iterator[Record]:
    """Yield the records of a text with quotes that do not fit.

    A record of one line may have them anywhere. A cell of several lines must be closed before its delimiter; if it is
    not, its first line is a broken row.
    """
    following = iterate_lines(text)
    # So many as a cell may have, and no more: they may be millions.
    ahead = deque(islice(following, MAX_LINES_OF_CELL))
    at, broken = 1, 0
    while ahead:
        lines = [line.removesuffix("\n") for line in ahead] if '"' in ahead[0] else [ahead[0].removesuffix("\n")]
        taken, cells = _parse_record(lines, delimiter)
        if cells is None:
            broken += 1
            if broken > MAX_BROKEN_ROWS:
                raise UnreadableFile("Many rows have a quote that nothing closes.")
            cells = lines[0].split(delimiter)
        yield at, cells, taken == 0
        at += taken or 1
        for _ in range(taken or 1):
            ahead.popleft()
        ahead.extend(islice(following, taken or 1))


def _parse_record(lines: list[str], delimiter: str) -> tuple[int, list[str] | None]:
    """Return how many lines the first record takes, and its cells; 0 and None if it has no end."""
    first = _parse_one(lines[:1], delimiter, strict=False)
    if first is not None:
        return 1, first
    for end in range(2, len(lines) + 1):
        if '"' in lines[end - 1] and (cells := _parse_one(lines[:end], delimiter, strict=True)) is not None:
            return end, cells
    return 0, None


def _parse_one(lines: list[str], delimiter: str, *, strict: bool) -> list[str] | None:
    """Return the cells of the one record that these lines are; None if it is not closed at their end."""
    ended = [*(f"{line}\n" for line in lines), END]
    try:
        records = list(csv.reader(ended, delimiter=delimiter, skipinitialspace=True, strict=strict))
    except csv.Error:
        return None
    return records[0] if len(records) == 2 and records[1] == [END] else None  # noqa: PLR2004  # the record and the end


def _read_blocks(text: str) -> list[GridRow]:
    """Return blocks of `Key: value` lines as a table, with the keys as its header; none if there are no such blocks."""
    if not _list_records(text[:SAMPLE_CHARACTERS]):
        return []
    body = _list_records(text)
    if not body:
        return []
    keys = list(dict.fromkeys(key for _, block in body for key in block))
    first = body[0][0]
    above = islice(iterate_lines(text), first - 1)
    preamble = [GridRow(number, [line.strip()]) for number, line in enumerate(above, 1) if line.strip()]
    rows = [GridRow(line, [block.get(key, "") for key in keys]) for line, block in body]
    return [*preamble, GridRow(first, keys), *rows]


def _list_records(text: str) -> list[tuple[int, dict[str, str]]]:
    """Return the blocks with a key for a day, if there are two at least, and one with a key for an amount."""
    records: list[tuple[int, dict[str, str]]] = []
    for line, lines in _iterate_paragraphs(text):
        block = _read_block(line, lines)
        if block and len(block[1]) > 1:
            records.append(block)
        if len(records) > MAX_ENTRIES:
            raise TooManyEntries
    dated = [(line, block) for line, block in records if _has_role(block, _DAY_ROLES)]
    return dated if len(dated) > 1 and any(_has_role(block, _AMOUNT_ROLES) for _, block in dated) else []


def _has_role(block: Mapping[str, str], roles: frozenset[str]) -> bool:
    return any(find_column(key)[0] in roles for key in block)


def _read_block(line: int, lines: list[str]) -> tuple[int, dict[str, str]] | None:
    if len(lines) > MAX_LINES_OF_BLOCK:
        return None
    found = [_KEY_LINE.fullmatch(it.strip()) for it in lines]
    pairs = {it[1].strip(): it[2].strip() for it in found if it}
    return (line, pairs) if pairs and all(found) and len(pairs) == len(lines) else None


def _iterate_paragraphs(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the lines between blank ones, with the number of the first; of a long paragraph not all."""
    lines: list[str] = []
    start = 1
    for number, line in enumerate(iterate_lines(text), 1):
        if not line.strip():
            if lines:
                yield start, lines
            lines = []
        elif len(lines) <= MAX_LINES_OF_BLOCK:
            start = start if lines else number
            lines.append(line)
    if lines:
        yield start, lines
