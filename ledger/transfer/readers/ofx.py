"""OFX 1 (SGML), OFX 2 (XML) and QFX: statements of banks, cards and, of their bank transactions, of brokers.

Every file is read as SGML, whatever version its header names: files that say XML hold SGML. The header's character set
counts only where the bytes prove none, because many files have another one than they claim.

- The payee is NAME, or EXTDNAME or PAYEE's NAME. If it is missing or has no letter (some banks put an account's number
  there), it is MEMO. What is not the payee is the description.
- The sign of TRNAMT decides whether money came in, whatever TRNTYPE says.
- A row without an amount is none if its text says that it is a balance.

Source: OFX 2.3, chapters 3, 11 and 13.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from ledger.transfer.readers.bank_fields import (
    Days,
    blame_amount,
    join_texts,
    name_account,
    parse_day,
    read_bank_id,
    tidy,
)
from ledger.transfer.readers.bank_statements import BankAccount, build_statement
from ledger.transfer.readers.charsets import find_codec, is_unicode
from ledger.transfer.readers.encodings import decode
from ledger.transfer.readers.entries import (
    MAX_ENTRIES,
    BadOption,
    Entry,
    Question,
    RowError,
    Statement,
    TooManyEntries,
    UnreadableFile,
)
from ledger.transfer.readers.numbers import DecimalSign, Written, decide_decimal, read_number
from ledger.transfer.readers.sgml import Token, iterate_tokens, unescape
from values.money import DECIMALS, MAX_DECIMALS

_CHARSET: Final = re.compile(r"(?:CHARSET:|<\?xml[^>]{0,40}encoding=[\"'])[ \t]*([A-Za-z0-9_.-]{1,20})", re.IGNORECASE)
_DAY: Final = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})")
# The standard allows either decimal mark and no thousands marks, and banks write those, too; it has no room for a
# currency, for CR and DR, or for a minus behind the digits.
_AMOUNT: Final = re.compile(r"[+-]?[0-9.,]+")
_BALANCE: Final = re.compile(r"\b(?:saldo|balance|solde|kontostand)\b", re.IGNORECASE)

_MAX_VALUES: Final = 100
"""More than the standard has for one movement."""
_STATEMENTS: Final = {"STMTRS", "CCSTMTRS", "INVSTMTRS"}
_ACCOUNTS: Final = {"BANKACCTFROM", "CCACCTFROM", "INVACCTFROM"}
_ROWS: Final = {"STMTTRN": False, "STMTTRNP": True}
"""The aggregates of one movement, and whether it is pending."""
_NESTED: Final = {
    "CURRENCY": {"CURRATE", "CURSYM"},
    "ORIGCURRENCY": {"CURRATE", "CURSYM"},
    "PAYEE": {"NAME", "ADDR1", "ADDR2", "ADDR3", "CITY", "STATE", "POSTALCODE", "COUNTRY", "PHONE"},
    "BANKACCTTO": {"BANKID", "BRANCHID", "ACCTID", "ACCTTYPE", "ACCTKEY"},
    "CCACCTTO": {"ACCTID", "ACCTKEY"},
}
_NO_TEXTS: Final = {
    *("DTPOSTED", "DTUSER", "DTAVAIL", "DTTRAN", "DTEXPIRE", "TRNAMT", "FITID", "SRVRTID"),
    *("CORRECTFITID", "CORRECTACTION", "CURRENCY/CURRATE", "CURRENCY/CURSYM"),
    *("ORIGCURRENCY/CURRATE", "ORIGCURRENCY/CURSYM"),
}


MAX_TAGS: Final = 40 * MAX_ENTRIES
"""More than 50,000 transactions have: one has twenty, each of which may be closed."""


@dataclass(slots=True)
class _Row:
    """One movement as the file says it: the value of each tag, by its name below the movement."""

    line: int
    account: BankAccount
    is_pending: bool
    is_complete: bool = False
    values: dict[str, str] = field(default_factory=dict)

    def get(self, *names: str) -> str:
        """Return the first value that is not empty."""
        return next((value for name in names if (value := self.values.get(name))), "")

    def read_amount(self) -> Written | None:
        """Return the amount as it is written; None if there is none, or it is no number."""
        return _read_amount(self.get("TRNAMT"))

    def find_currency(self) -> str | None:
        """Return the amount's currency; ORIGCURRENCY names another, from which the amount was converted."""
        return (self.get("CURRENCY/CURSYM") or self.account.currency or "").strip().upper() or None


@dataclass(slots=True)
class _Collector:
    """Collects accounts, rows and balances from the tags, without relying on end tags."""

    accounts: list[BankAccount] = field(default_factory=list)
    rows: list[_Row] = field(default_factory=list)
    balances: list[tuple[str, str | None]] = field(default_factory=list)
    """Amounts with their currencies."""
    row: _Row | None = None
    block: str = ""

    def start(self, token: Token) -> None:
        """Take a start tag and its text."""
        if token.name in _STATEMENTS:
            self._start_account()
        elif token.name in _ROWS:
            self._start_row(token)
        elif token.name in _ACCOUNTS or token.name in _NESTED:
            self.block = token.name
        elif self.row is not None:
            self._take_value(self.row, token)
        else:
            self._take_account(token)

    def end(self, token: Token) -> None:
        """Take an end tag."""
        if token.name in _ROWS and self.row is not None:
            self.row.is_complete = True
            self.row = None
        elif token.name == self.block:
            self.block = ""

    def _start_account(self) -> None:
        if len(self.accounts) >= MAX_ENTRIES:
            raise TooManyEntries
        self.accounts.append(BankAccount())
        self.row = None

    def _start_row(self, token: Token) -> None:
        if len(self.rows) >= MAX_ENTRIES:
            raise TooManyEntries
        if self.row is not None:
            self.row.is_complete = True
        if not self.accounts:
            self._start_account()
        self.row = _Row(token.line, self.accounts[-1], _ROWS[token.name])
        self.rows.append(self.row)
        self.block = ""

    def _take_value(self, row: _Row, token: Token) -> None:
        name = f"{self.block}/{token.name}" if token.name in _NESTED.get(self.block, ()) else token.name
        if len(row.values) < _MAX_VALUES:
            row.values.setdefault(name, unescape(token.text))

    def _take_account(self, token: Token) -> None:
        if not self.accounts:
            return
        account = self.accounts[-1]
        if token.name == "CURDEF":
            account.currency = token.text[:3]
        elif token.name == "ACCTID" and self.block in _ACCOUNTS:
            account.name = account.name or name_account(unescape(token.text))
        elif token.name == "BALAMT" and len(self.balances) < MAX_ENTRIES:
            self.balances.append((token.text, account.currency))


def read_ofx(data: bytes, options: Mapping[str, Any]) -> Statement:
    """Read a file of OFX; of the options `encoding` and `decimal` count, where the file does not prove them."""
    text, encoding = _decode(data, options.get("encoding"))
    collector = _collect(text)
    if not collector.accounts:
        message = "This OFX file has no statement of an account; download the transactions of an account."
        raise UnreadableFile(message)
    rows = collector.rows
    decimal = options.get("decimal")
    if decimal not in {".", ","}:
        decimal = _decide_decimal([*((it.get("TRNAMT"), it.find_currency()) for it in rows), *collector.balances])
    return build_statement(
        "ofx",
        collector.accounts,
        [(_build_entry(row, decimal), _read_days(row)) for row in rows],
        day_column="DTPOSTED",
        options={"encoding": encoding} | ({"decimal": decimal} if decimal else {}),
        questions=_ask_for_decimal(rows) if decimal is None else [],
    )


def _decode(data: bytes, encoding: str | None) -> tuple[str, str]:
    """Decode a file as the option says, else as the bytes prove, else as its header says, and name the encoding."""
    if encoding is None and not is_unicode(data):
        charset = _CHARSET.search(data[:2000].decode("latin-1"))
        encoding = find_codec(charset[1]) if charset else None
        with suppress(BadOption):
            return decode(data, encoding)
        encoding = None
    return decode(data, encoding)


def _collect(text: str) -> _Collector:
    collector = _Collector()
    for number, token in enumerate(iterate_tokens(text.replace("\r\n", "\n").replace("\r", "\n"))):
        if number > MAX_TAGS:
            raise TooManyEntries
        if token.is_end:
            collector.end(token)
        else:
            collector.start(token)
    return collector


def _read_amount(text: str) -> Written | None:
    text = text.strip()
    return read_number(text) if _AMOUNT.fullmatch(text) else None


def _is_blank(text: str) -> bool:
    """Return whether an amount has no digit at all, as banks write it on lines that are no movements."""
    return not any(letter.isalnum() for letter in text)


def _decide_decimal(amounts: Iterable[tuple[str, str | None]]) -> DecimalSign | None:
    """Return the decimal mark that amounts with their currencies prove; None if none does, or they differ."""
    numbers = [(number, currency) for text, currency in amounts if (number := _read_amount(text))]
    if any(number.shows in {".", ","} for number, _ in numbers):
        return decide_decimal(number for number, _ in numbers)
    # By the standard every mark is a decimal one, and these currencies are written with three decimals.
    unclear = [it for it, code in numbers if it.shows == "unclear" and DECIMALS.get(code or "") == MAX_DECIMALS]
    marks: set[DecimalSign] = {"," if "," in number.core else "." for number in unclear}
    return marks.pop() if len(marks) == 1 else None


def _ask_for_decimal(rows: Sequence[_Row]) -> list[Question]:
    if not any(number.shows == "unclear" for row in rows if (number := row.read_amount())):
        return []
    detail = "No amount in this file tells whether 1.450 is one thousand four hundred and fifty or has three decimals."
    return [Question("decimal", (".", ","), detail)]


def _build_entry(row: _Row, decimal: DecimalSign | None) -> Entry:
    payee, description = _read_texts(row)
    number = row.read_amount()
    entry = Entry(
        line=row.line,
        amount=number.read(decimal) if number else None,
        currency=row.find_currency(),
        payee=payee,
        description=description,
        account=row.account.name,
        bank_id=read_bank_id(row.get("FITID")),
        texts=tuple(value for name, value in row.values.items() if value and name not in _NO_TEXTS),
    )
    if row.is_pending:
        entry.skip = "pending"
    elif entry.amount == 0:
        entry.skip = "zero"
    elif _is_blank(row.get("TRNAMT")) and any(_BALANCE.search(it) for it in entry.texts):
        entry.skip = "balance"
    else:
        entry.errors.extend(_find_errors(row, number))
    return entry


def _find_errors(row: _Row, number: Written | None) -> Iterator[RowError]:
    if not row.is_complete:
        yield RowError(None, "malformed", "The file ends within this row; download it again.")
    elif number is None:
        yield blame_amount("TRNAMT", None if _is_blank(row.get("TRNAMT")) else row.get("TRNAMT"))


def _read_texts(row: _Row) -> tuple[str | None, str | None]:
    """Return payee and description."""
    name, memo = row.get("EXTDNAME", "NAME", "PAYEE/NAME"), row.get("MEMO")
    if not any(letter.isalpha() for letter in name) and memo:
        return tidy(memo), tidy(name)
    described = join_texts([name, memo])
    payee = tidy(name)
    return payee, (tidy(memo) if described != payee else None)


def _read_days(row: _Row) -> Days:
    posted = row.get("DTPOSTED", "DTTRAN")
    return Days(
        transaction=_parse_ofx_day(row.get("DTUSER")),
        booking=_parse_ofx_day(posted),
        value=None if posted else _parse_ofx_day(row.get("DTAVAIL")),
    )


def _parse_ofx_day(text: str) -> date | None:
    """Return the day as it is written, whatever time and zone follow it."""
    match = _DAY.match(text.strip())
    return parse_day(*map(int, match.groups())) if match else None
