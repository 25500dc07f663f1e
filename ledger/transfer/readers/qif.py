"""QIF, the Quicken Interchange Format: records of lines that begin with a letter, ended by a caret.

    !Type:Bank          a section; those of lists, securities and investments have no movements of money
    D29/12/10           the day; one late date proves the order of all of them
    T-1,234.56          the amount; money out is negative
    PMarket hall        the payee; M is the memo, L the category or [the account] of a transfer
    SFood  $-5.00       parts: category, memo (E) and amount of each
    ^

Source: the description of the format by Intuit, as far as files follow it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice
from typing import Any, Final

from ledger.transfer.readers.choices import ReadingChoices
from ledger.transfer.readers.dates import identify_day, read_shape
from ledger.transfer.readers.days import DayReader, build_day_reader
from ledger.transfer.readers.delimited import iterate_lines
from ledger.transfer.readers.entries import (
    MAX_ENTRIES,
    Entry,
    Question,
    Reason,
    RowError,
    Split,
    Statement,
    TooManyEntries,
    UnreadableFile,
)
from ledger.transfer.readers.numbers import DecimalSign, Written, decide_decimal, identify_number, read_number
from ledger.transfer.readers.words import ROWS, make_word

_MONEY_SECTIONS: Final = frozenset({"bank", "cash", "ccard", "oth a", "oth l"})
_SPLIT_CODES: Final = "SE$%"
MAX_LINE: Final = 10_000
MAX_PARTS: Final = 1_000
MAX_REPEATED: Final = 20
"""Lines of one letter in a record, such as those of an address."""


@dataclass(slots=True)
class _Record:
    line: int
    account: str | None
    fields: dict[str, list[str]] = field(default_factory=dict)
    splits: list[dict[str, str]] = field(default_factory=list)

    def get(self, code: str) -> str:
        """Return the first value of a code, or nothing."""
        return self.fields.get(code, [""])[0]


def read_qif(text: str, sent: Mapping[str, Any], said: Mapping[str, Any]) -> Statement:
    """Read the records of money of a QIF file; `said` are the options by which the text was found."""
    choices = ReadingChoices.build(sent)
    records = list(islice(_iterate_records(text), MAX_ENTRIES + 1))
    if len(records) > MAX_ENTRIES:
        raise TooManyEntries
    days = build_day_reader((record.get("D") for record in records), [], choices)
    numbers = [number for record in records for cell in _list_amounts(record) if (number := _read_amount(cell))]
    decimal = choices.decimal or decide_decimal(numbers)
    told = {"decimal": decimal, "date_order": days.order, "year": days.year}
    return Statement(
        format="qif",
        entries=[_build_entry(record, days, decimal) for record in records],
        accounts=list(dict.fromkeys(record.account for record in records if record.account)),
        options={**said, **{name: value for name, value in told.items() if value is not None}},
        questions=[*days.questions, *_ask_decimal(numbers, decimal)],
    )


def _iterate_records(text: str) -> Iterator[_Record]:
    """Yield the records of sections of money that are not empty."""
    section, account = "bank", None
    record = _Record(1, None)
    for number, raw in enumerate(iterate_lines(text.replace("\r\n", "\n").replace("\r", "\n")), 1):
        line = raw.strip().lstrip("\ufeff")[:MAX_LINE]
        if line.startswith("!"):
            section = _read_section(line) or section
            record = _Record(number + 1, account)
        elif line.startswith("^"):
            if section == "account":
                account = record.get("N") or account
            elif section in _MONEY_SECTIONS and record.fields:
                yield record
            record = _Record(number + 1, account)
        elif line:
            _add_line(record, line)
            if len(record.splits) > MAX_PARTS:
                raise UnreadableFile(f"A record has more than {MAX_PARTS:,} parts.")
    if section in _MONEY_SECTIONS and record.get("D"):
        yield record


def _read_section(line: str) -> str | None:
    """Return the section that a line begins; None for an option, which begins none."""
    kind, _, name = line[1:].partition(":")
    if kind.strip().casefold() == "type":
        return name.strip().casefold()
    return "account" if kind.strip().casefold() == "account" else None


def _add_line(record: _Record, line: str) -> None:
    code, value = line[0], line[1:].strip()
    if code == "S":
        record.splits.append({})
    if code in _SPLIT_CODES and record.splits:
        record.splits[-1].setdefault(code, value)
    elif record.splits and code == "D":
        # A part has no day of its own; some programs write one.
        return
    else:
        values = record.fields.setdefault(code.upper(), [])
        if len(values) < MAX_REPEATED:
            values.append(value)


def _list_amounts(record: _Record) -> list[str]:
    return [record.get("T") or record.get("U"), *(split.get("$", "") for split in record.splits)]


def _read_amount(cell: str) -> Written | None:
    return read_number(cell.lstrip("="))


def _ask_decimal(numbers: Sequence[Written], decimal: DecimalSign | None) -> list[Question]:
    unclear = [it.core for it in numbers if it.shows == "unclear"]
    if decimal is not None or not unclear:
        return []
    return [Question("decimal", [".", ","], f"No number in this file tells whether {unclear[0]} has decimals.")]


def _build_entry(record: _Record, days: DayReader, decimal: DecimalSign | None) -> Entry:
    label, _, tag = record.get("L").partition("/")
    category, _, subcategory = label.partition(":")
    is_transfer = label.startswith("[")
    entry = Entry(
        line=record.line,
        payee=record.get("P") or None,
        description=record.get("M") or None,
        category=None if is_transfer else category or None,
        subcategory=None if is_transfer else subcategory or None,
        tags=[tag] if tag else [],
        account=record.account,
        splits=[_build_split(split, decimal) for split in record.splits],
        texts=[value for code in "PMLN" for value in record.fields.get(code, ()) if value],
    )
    _read_money(entry, record, decimal)
    entry.skip = _find_skip(entry, record, is_transfer=is_transfer)
    entry.day = days.read(record.get("D"))
    entry.said_day = identify_day(record.get("D"), entry.day.year if entry.day else None)
    if entry.day is None and not (days.is_open and read_shape(record.get("D"))):
        code = "malformed" if record.get("D") else "required"
        entry.errors.append(RowError("D", code, "This is no day that exists." if record.get("D") else "It has no day."))
    return entry


def _read_money(entry: Entry, record: _Record, decimal: DecimalSign | None) -> None:
    cell = record.get("T") or record.get("U")
    number = _read_amount(cell)
    if number is None:
        code = "malformed" if cell else "required"
        entry.errors.append(RowError("T", code, "This is no amount: write it like 12.50."))
        return
    entry.amount, entry.said_number = number.read(decimal), identify_number(cell.lstrip("="))
    entry.currency = number.unit


def _find_skip(entry: Entry, record: _Record, *, is_transfer: bool) -> Reason | None:
    if any(ROWS.get(make_word(text)) == "balance" for text in (record.get("P"), record.get("M"))):
        return "balance"
    if entry.amount == 0:
        return "zero"
    return "transfer" if is_transfer else None


def _build_split(split: Mapping[str, str], decimal: DecimalSign | None) -> Split:
    label = split.get("S", "").partition("/")[0]
    category, _, subcategory = ("", "", "") if label.startswith("[") else label.partition(":")
    number = _read_amount(split.get("$", ""))
    amount: Decimal | None = number.read(decimal) if number else None
    return Split(amount, category or None, subcategory or None, split.get("E") or None)
