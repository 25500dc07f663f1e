"""Reading: a file's bytes, the options that were sent and the user's currency become a `Reading`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from types import ModuleType
from typing import Any

from ledger.transfer.readers.choices import ReadingChoices
from ledger.transfer.readers.delimited import GridRow, split_table
from ledger.transfer.readers.drafting import draft
from ledger.transfer.readers.drafts import Reading
from ledger.transfer.readers.encodings import decode
from ledger.transfer.readers.entries import Question, Statement
from ledger.transfer.readers.formats import Format
from ledger.transfer.readers.layout import find_layout
from ledger.transfer.readers.ndjson import OWN_OPTIONS, read_ndjson
from ledger.transfer.readers.profiles import OWN, PROFILES, recognize
from ledger.transfer.readers.table import read_table
from values.csv_cells import unguard_cell


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """How a file is to be read."""

    currency: str
    """The user's own, an ISO 4217 code."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Those that were sent, over those of the user's own profile."""
    profile: str | None = None
    """The profile that was named, of ours."""


def read_file(data: bytes, kind: Format, request: Request) -> Reading:
    """Read a file of a format that is no archive; raise UnreadableFile if it is no statement.

    Raises BadOption if an option does not fit it.
    """
    sent = request.options
    if kind in {"csv", "xlsx"}:
        return _read_table(data, kind, sent, request)
    statement, own = _read_records(data, kind, sent, request.currency)
    return draft(statement, ReadingChoices.build(own, sent), request.currency)


def _read_records(
    data: bytes, kind: str, sent: Mapping[str, Any], currency: str
) -> tuple[Statement, Mapping[str, Any]]:
    """Read a file that is no table; return what it says, and the options that its format implies."""
    if kind in {"ofx", "camt", "mt940"}:
        read: Callable[[bytes, Mapping[str, Any]], Statement] = getattr(_load(kind), f"read_{kind}")
        return read(data, sent), {}
    text, encoding = decode(data, sent.get("encoding"), currency)
    said = {"encoding": encoding}
    return (_load("qif").read_qif(text, sent, said), {}) if kind == "qif" else (read_ndjson(text, said), OWN_OPTIONS)


def _load(name: str) -> ModuleType:
    """Return the reader of a format: a process reads one file, and their libraries take long to import."""
    return import_module(f"ledger.transfer.readers.{name}")


def _read_table(data: bytes, kind: str, sent: Mapping[str, Any], request: Request) -> Reading:
    if kind == "xlsx":
        xlsx = _load("xlsx")
        sheets: Mapping[str, Sequence[list[str]]] = xlsx.read_sheets(data)
        name: str | Question = xlsx.choose_sheet(sheets, sent.get("sheet"))
        if isinstance(name, Question):
            return Reading(format=kind, profile=None, source=None, options={}, questions=[name])
        rows = [GridRow(line, cells) for line, cells in enumerate(sheets[name], 1) if any(cells)]
        said = {"sheet": name}
    else:
        text, encoding = decode(data, sent.get("encoding"), request.currency)
        rows, delimiter = split_table(text, sent.get("delimiter"))
        # Blocks of keys and values have none.
        said = {"encoding": encoding} | ({"delimiter": delimiter} if delimiter else {})
    return _read_rows(rows, kind, sent, said, request)


def _read_rows(
    rows: Sequence[GridRow], kind: str, sent: Mapping[str, Any], said: Mapping[str, Any], request: Request
) -> Reading:
    layout = find_layout(rows, sent.get("header_line"))
    profile = PROFILES[request.profile] if request.profile else recognize(layout.headers)
    # In a workbook a text is never run, and has no guard.
    if profile is OWN and kind == "csv":
        layout = replace(layout, body=[_unguard(row) for row in layout.body])
    choices = ReadingChoices.build(profile.list_options(layout.headers) if profile else {}, sent)
    statement = read_table(layout, profile, choices, request.currency, said)
    statement.format = kind
    return draft(statement, choices, request.currency)


def _unguard(row: GridRow) -> GridRow:
    """Return a row of an own export with its texts as they were."""
    return row._replace(cells=[unguard_cell(cell) for cell in row.cells])
