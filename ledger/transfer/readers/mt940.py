"""MT940 and MT942 of SWIFT: lines with tags, `:61:` for each movement and `:86:` for what the bank says about it.

Lines are split and `:61:` is read here and not by the library mt-940; decision 52 says which files it reads wrongly.

- The day is the first of `:61:` (the value date); if there is no such day, as 30 February in 30/360 interest, it is the
  entry date.
- `RC` takes a credit back, so that money goes out; `RD` brings it back.
- The bank's id is the reference after `//`. The one before it is the customer's, and many banks write a code there that
  is the same in every file.

Source: SWIFT, Category 9 messages, MT940, fields 25, 60a, 61 and 86.
"""

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Final

from ledger.transfer.readers.bank_fields import (
    Days,
    join_texts,
    name_account,
    parse_day,
    read_bank_id,
)
from ledger.transfer.readers.bank_statements import BankAccount, EntryWithDays, build_statement
from ledger.transfer.readers.encodings import decode
from ledger.transfer.readers.entries import MAX_ENTRIES, Entry, RowError, Statement, TooManyEntries, UnreadableFile
from ledger.transfer.readers.mt940_details import read_details

# The tags of MT940 and MT942. A line of :86: may begin with a colon, too (`:KO:NR:`).
_TAG: Final = re.compile(r":(13D?|20|21|25P?|28C?|34F|6[024][FM]?|61|65F?|86|90[CD]):")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_LINE_61: Final = re.compile(
    r"([0-9]{2})([0-9]{2})([0-9]{2})"  # value date
    r"(?:([0-9]{2})([0-9]{2})|\ {1,4})?"  # entry date; some banks fill it with blanks
    r"(R?[CD]|E[CD])[A-Z]?\ ?"  # mark, and the third letter of the currency
    r"([0-9]{1,15})(?:,([0-9]{0,9})|\.([0-9]{1,2}))?\ ?"
    r"([A-Z][A-Z0-9\ ]{3})(.*)"
)
_SIGNS: Final = {"C": 1, "D": -1, "RC": -1, "RD": 1, "EC": 1, "ED": -1}
_EXPECTED: Final = {"EC", "ED"}
_CURRENCY: Final = re.compile(r"[CD]?[0-9]{6}([A-Z]{3})")
_MAX_LINES: Final = 500
_FIRST_YEAR: Final = 1970
_HALF_YEAR: Final = 6


@dataclass(slots=True)
class _Field:
    """A tag with its lines."""

    line: int
    tag: str
    lines: list[str]


@dataclass(slots=True)
class _Movement:
    """A field 61 and the fields 86 that follow it."""

    head: _Field
    account: BankAccount
    """That of its message."""
    details: list[str] = field(default_factory=list)


def read_mt940(data: bytes, options: Mapping[str, Any]) -> Statement:
    """Read a file of MT940 messages; of the options only `encoding` counts."""
    text, encoding = decode(data, options.get("encoding"))
    text = _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    accounts, movements = _group_fields(_split_fields(text))
    if not accounts:
        raise UnreadableFile("This MT940 file has no message that begins with :20: or :25:; download it again.")
    read = [_read_movement(it) for it in movements]
    return build_statement("mt940", accounts, read, day_column=":61:", options={"encoding": encoding})


def _split_fields(text: str) -> Iterator[_Field]:
    """Yield the tags of all messages; what stands between messages is left out."""
    current: _Field | None = None
    for number, raw in enumerate(io.StringIO(text), start=1):
        line = raw.removesuffix("\n")
        # The blocks before the text of a message: {1:F01BANKXX…}{2:I940…}{4:
        line = line.rpartition("{4:")[2] if line.startswith("{1:") else line
        if tag := _TAG.match(line):
            if current:
                yield current
            current = _Field(number, tag[1], [line[tag.end() :]])
        elif line.rstrip() == "-" or line.startswith("-}"):
            if current:
                yield current
            current = None
        elif current and line.strip():
            current.lines.append(line)
            if len(current.lines) > _MAX_LINES:
                raise UnreadableFile("A field of MT940 has a few lines, and one of this file has more than 500.")
    if current:
        yield current


def _group_fields(fields: Iterator[_Field]) -> tuple[list[BankAccount], list[_Movement]]:
    """Return the account of each message, and all movements."""
    accounts: list[BankAccount] = []
    movements: list[_Movement] = []
    latest: _Movement | None = None
    for it in fields:
        if it.tag == "20" or not accounts or (it.tag[:2] == "25" and accounts[-1].name):
            accounts.append(BankAccount())
        account = accounts[-1]
        if it.tag == "61":
            latest = _Movement(it, account)
            movements.append(latest)
        elif it.tag == "86":
            if latest and len(latest.details) < _MAX_LINES:
                latest.details.extend(it.lines)
        else:
            # An 86 that follows a balance is about the whole message.
            latest = None
            _describe_account(account, it)
        if max(len(accounts), len(movements)) > MAX_ENTRIES:
            raise TooManyEntries
    return accounts, movements


def _describe_account(account: BankAccount, it: _Field) -> None:
    if it.tag[:2] == "25":
        account.name = name_account(it.lines[0])
    elif it.tag[:2] in {"60", "62"} and (match := _CURRENCY.match(it.lines[0])):
        account.currency = account.currency or match[1]


def _read_movement(movement: _Movement) -> EntryWithDays:
    first, *supplementary = movement.head.lines
    entry = Entry(
        line=movement.head.line,
        currency=movement.account.currency,
        account=movement.account.name,
        texts=tuple(it for it in (*supplementary, *movement.details) if it.strip()),
    )
    payee, description = read_details(movement.details)
    # References are digits; what a bank says in words belongs to the description.
    words = (it for it in supplementary if any(letter.isalpha() for letter in it))
    entry.payee, entry.description = payee, join_texts([description, *words])
    match = _LINE_61.fullmatch(first.rstrip())
    if match is None:
        entry.errors.append(RowError(":61:", "malformed", "The line must hold date, C or D, amount, and type."))
        return entry, Days()
    _read_line(entry, match)
    return entry, Days(booking=_read_day(match))


def _read_line(entry: Entry, match: re.Match[str]) -> None:
    """Put into an entry what its line 61 says."""
    mark, whole, decimals, other_decimals, kind, references = match.groups()[5:]
    entry.amount = _SIGNS[mark] * Decimal(f"{whole}.{decimals or other_decimals or ''}")
    own, _, banks = references.partition("//")
    entry.bank_id = read_bank_id(banks)
    entry.texts = (f"{kind}{own}".strip(), *entry.texts)
    if mark in _EXPECTED:
        entry.skip = "pending"
    elif entry.amount == 0:
        entry.skip = "zero"


def _read_day(match: re.Match[str]) -> date | None:
    """Return the value date, or the entry date if there is no such day."""
    short_year, month, day = (int(it) for it in match.groups()[:3])
    year = 2000 + short_year if 2000 + short_year < _FIRST_YEAR + 100 else 1900 + short_year
    if value_date := parse_day(year, month, day):
        return value_date
    if match[4] is None:
        return None
    entry_month, entry_day = int(match[4]), int(match[5])
    # It has no year: it is the one in which it is nearest.
    if entry_month - month > _HALF_YEAR:
        year -= 1
    elif month - entry_month > _HALF_YEAR:
        year += 1
    return parse_day(year, entry_month, entry_day)
