"""What the columns of a table hold: days, numbers or texts, counted in a sample of the rows."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ledger.transfer.readers.dates import read_shape
from ledger.transfer.readers.delimited import GridRow
from ledger.transfer.readers.layout import Layout
from ledger.transfer.readers.numbers import read_number
from ledger.transfer.readers.words import find_column, make_word

SAMPLE_ROWS: Final = 400
MOST: Final = 0.5
"""The share of a column's cells that must be days, or numbers, for it to be a column of them."""
FEW: Final = 5
"""Of fewer cells nobody can tell whether they differ."""
_LETTER: Final = re.compile(r"[^\W\d_]")


@dataclass(slots=True)
class Column:
    """One column: its header, and what its cells hold, counted in the sample."""

    index: int
    header: str
    role: str | None
    currency: str | None
    """The currency that the header names."""
    seen: int = 0
    """The rows of the sample; the counts below are of those in which the cell is filled."""
    filled: int = 0
    days: int = 0
    numbers: int = 0
    exact: int = 0
    """Numbers with decimals or a currency, as amounts mostly have."""
    negative: int = 0
    zero: int = 0
    texts: int = 0
    words: set[str] = field(default_factory=set)

    @property
    def holds_days(self) -> bool:
        """Whether most cells are days."""
        return self.days > self.filled * MOST

    @property
    def is_mixed(self) -> bool:
        """Whether its words are mostly different, as those of texts are and those of kinds are not."""
        return self.filled >= FEW and len(self.words) > self.filled * MOST

    def has_only(self, known: Mapping[str, str]) -> bool:
        """Whether all words of the column are known ones."""
        return bool(self.words) and all(word in known for word in self.words)


def measure(layout: Layout) -> list[Column]:
    """Return the columns of a table, measured."""
    columns = [
        Column(index, header, *(find_column(header) if header else (None, None)))
        for index, header in enumerate(layout.headers)
    ]
    # Rows without a day are totals, texts that go on, and remarks below.
    dated = [row for row in layout.body if any(cell and read_shape(cell) for cell in row.cells)]
    rows, seen = dated or layout.body, 0
    for row in rows[:: max(1, len(rows) // SAMPLE_ROWS)]:
        if not layout.is_header(row):
            _count_cells(columns, row)
            seen += 1
    for column in columns:
        column.seen = seen
    return columns


def _count_cells(columns: Sequence[Column], row: GridRow) -> None:
    for column, cell in zip(columns, row.cells, strict=False):
        if not cell:
            continue
        column.filled += 1
        if len(column.words) < SAMPLE_ROWS:
            column.words.add(make_word(cell))
        if read_shape(cell):
            column.days += 1
            # Eight digits may be both.
            continue
        number = read_number(cell)
        if number:
            column.numbers += 1
            column.exact += number.shows != "plain" or number.unit is not None
            column.negative += number.sign == "-"
            column.zero += not number.core.strip("0.,' ")
        else:
            column.texts += _LETTER.search(cell) is not None
