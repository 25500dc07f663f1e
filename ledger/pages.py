"""Keyset cursors: where a page ended, bound to the query whose page it was."""

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sqlalchemy import BindParameter, ColumnElement, Integer, bindparam
from sqlalchemy.orm import InstrumentedAttribute

from problems import ValidationFailed
from values.field_errors import parameter_error
from values.fields import LARGEST_ID
from values.spans import Span

CURSOR_LENGTH: Final = 256

# Each order of a list is an index with the owner first and the id last, read from one end or the other. The position
# after a cursor has one form because both databases walk the index for it: an OR alone scans on SQLite, a row
# constructor on MySQL, and without the equality MySQL skips the rows of the cursor's own value one by one.
CURSOR_VALUE: Final[BindParameter[Any]] = bindparam("value")
CURSOR_ROW_ID: Final[BindParameter[Any]] = bindparam("row_id")
PAGE_SIZE: Final = bindparam("limit", type_=Integer)
Column = InstrumentedAttribute[Any]


def build_before_condition(column: Column, row_id: Column) -> ColumnElement[bool]:
    """Return the condition on rows that lie before the cursor's, in an order by this column and the id."""
    return (column <= CURSOR_VALUE) & ((column < CURSOR_VALUE) | ((column == CURSOR_VALUE) & (row_id < CURSOR_ROW_ID)))


def build_after_condition(column: Column, row_id: Column) -> ColumnElement[bool]:
    """Return the condition on rows that lie behind the cursor's, in an order by this column and the id."""
    return (column >= CURSOR_VALUE) & ((column > CURSOR_VALUE) | ((column == CURSOR_VALUE) & (row_id > CURSOR_ROW_ID)))


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page ended: its last row, and the days that a relative period meant on the first page."""

    query: str
    """Fingerprint of the filters and the sort that the page belongs to."""
    value: date | int
    """The last row's sort value: its day, or its amount in thousandths."""
    row_id: int
    span: Span | None

    def encode(self) -> str:
        """Return the cursor as its opaque text."""
        value = self.value.isoformat() if isinstance(self.value, date) else self.value
        days = (self.span.first.isoformat(), self.span.last.isoformat()) if self.span else ()
        return encode_parts(self.query, value, self.row_id, *days)


def encode_parts(*parts: str | int) -> str:
    """Return the text of a cursor with these parts."""
    plain = json.dumps(parts, separators=(",", ":"))
    return base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")


def decode_parts(text: str) -> list[Any]:
    """Return the parts of a cursor's text; raise ValueError, TypeError or RecursionError where it is none of ours."""
    if len(text) > CURSOR_LENGTH:
        raise ValueError
    return list(json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)))


def fingerprint_query(asked: object) -> str:
    """Return a short name for what a query asks, the same for the same filters and sort."""
    return hashlib.blake2s(repr(asked).encode(), digest_size=9).hexdigest()


def parse_cursor(text: str, query: str, sorted_by: type[date] | type[int]) -> Cursor:
    """Return the cursor that `text` is; raise ValidationFailed where it is broken or belongs to another query."""
    try:
        cursor = _parse_parts(text)
    except (ValueError, TypeError, RecursionError):
        raise malformed_cursor_problem() from None
    if cursor.query != query or type(cursor.value) is not sorted_by:
        raise foreign_cursor_problem()
    return cursor


def _parse_parts(text: str) -> Cursor:
    query, value, row_id, *days = decode_parts(text)
    if len(days) not in {0, 2}:
        raise ValueError
    position = date.fromisoformat(value) if isinstance(value, str) else check_integer(value)
    return Cursor(query, position, check_integer(row_id), Span(*map(date.fromisoformat, days)) if days else None)


def check_integer(number: object) -> int:
    """Return a part of a cursor that must be a number which the database can compare; raise ValueError otherwise."""
    if type(number) is not int or abs(number) > LARGEST_ID:
        raise ValueError
    return number


def malformed_cursor_problem() -> ValidationFailed:
    """Return the refusal of a cursor that is none."""
    detail = "This is no cursor of ours; start again without it."
    return ValidationFailed(errors=[parameter_error("cursor", "malformed", detail)])


def foreign_cursor_problem() -> ValidationFailed:
    """Return the refusal of a cursor that another query answered."""
    detail = "This cursor belongs to other filters or another sort; start again without it."
    return ValidationFailed(errors=[parameter_error("cursor", "not_allowed", detail)])
