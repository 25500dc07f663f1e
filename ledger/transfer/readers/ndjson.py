"""This service's own export as NDJSON: a line for each expense, as lists answer it."""

import json
from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from ledger.transfer.readers.entries import MAX_ENTRIES, Entry, RowError, Statement, TooManyEntries
from ledger.transfer.readers.fingerprints import EXPENSE_TEXTS, list_expense_texts
from ledger.transfer.readers.numbers import read_number

OWN_OPTIONS: Final = {"incoming": "refund"}
"""In an export of expenses, money in is a refund."""


def read_ndjson(text: str, said: Mapping[str, Any]) -> Statement:
    """Read the lines of an export; a broken line is an error of that row."""
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if len(lines) > MAX_ENTRIES:
        raise TooManyEntries
    return Statement(format="ndjson", entries=[_read_line(*it) for it in lines], options=dict(said))


def _read_line(number: int, line: str) -> Entry:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        row = None
    if not isinstance(row, dict):
        return Entry(line=number, errors=[RowError(None, "malformed", "This line is no JSON object.")])
    entry = Entry(line=number)
    _read_money(entry, row)
    _read_texts(entry, row)
    own_id = row.get("id")
    entry.own_id = own_id if isinstance(own_id, int) and not isinstance(own_id, bool) else None
    return entry


def _read_money(entry: Entry, row: Mapping[str, Any]) -> None:
    written = read_number(str(row.get("amount")))
    amount = written.read(".") if written and written.shows in {".", "plain", "unclear"} else None
    if amount is None:
        entry.errors.append(RowError("amount", "malformed", "This is no amount: write it like 12.50."))
    else:
        entry.amount = -amount
        entry.skip = None if amount else "zero"
    entry.currency = str(row["currency"]).upper() if row.get("currency") else None
    try:
        entry.day = date.fromisoformat(str(row.get("date")))
    except ValueError:
        entry.errors.append(RowError("date", "malformed", "This is no day: write it like 2026-11-22."))


def _read_texts(entry: Entry, row: Mapping[str, Any]) -> None:
    texts = {name: row[name] for name in EXPENSE_TEXTS if row.get(name)}
    tags = row.get("tags") or []
    wrong = [name for name, value in texts.items() if not isinstance(value, str)]
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        wrong.append("tags")
    entry.errors += [RowError(name, "wrong_type", "This is no text.") for name in wrong]
    if not wrong:
        entry.category, entry.payee = texts.get("category"), texts.get("payee")
        entry.description, entry.external_id = texts.get("description"), texts.get("external_id")
        entry.tags = tags
        entry.texts = list_expense_texts(row, tags)
