"""Keyset cursors: the position after the last row of a page, valid only for the query of that page.

    first page      ORDER BY spent_on DESC, id DESC LIMIT 51      the 51st row says that there is a next page
    cursor          base64url of [fingerprint of filters and sort, "2026-11-20", 7] and, if the query has a
                    relative period, the days that it meant on the first page
    next page       … WHERE spent_on <= '2026-11-20' AND (spent_on < '2026-11-20' OR spent_on = '2026-11-20' AND id < 7)

So a page costs the same wherever it is in the list, and rows that are added or deleted meanwhile do not shift it.
"""

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

# Each sort order has an index, with the owner first and the id last. The condition has this form because both databases
# answer it by a range of the index: an OR alone scans on SQLite, and a row constructor on MySQL. Without
# `column = :value` MySQL skips the rows of the cursor's own value one by one.
CURSOR_VALUE: Final[BindParameter[Any]] = bindparam("value")
CURSOR_ROW_ID: Final[BindParameter[Any]] = bindparam("row_id")
PAGE_SIZE: Final = bindparam("limit", type_=Integer)
Column = InstrumentedAttribute[Any]


def build_before_condition(column: Column, row_id: Column) -> ColumnElement[bool]:
    """Return the condition for rows with a smaller (column, id) than the cursor's row."""
    return (column <= CURSOR_VALUE) & ((column < CURSOR_VALUE) | ((column == CURSOR_VALUE) & (row_id < CURSOR_ROW_ID)))


def build_after_condition(column: Column, row_id: Column) -> ColumnElement[bool]:
    """Return the condition for rows with a greater (column, id) than the cursor's row."""
    return (column >= CURSOR_VALUE) & ((column > CURSOR_VALUE) | ((column == CURSOR_VALUE) & (row_id > CURSOR_ROW_ID)))


@dataclass(frozen=True, slots=True)
class Cursor:
    """The position after a page: its last row, and the days that a relative period meant on the first page."""

    query: str
    """The fingerprint of the page's filters and sort."""
    value: date | int
    """The last row's sort value: its day, its amount in thousandths, or in the trash its revision."""
    row_id: int
    span: Span | None

    def encode(self) -> str:
        """Return the text of the cursor, opaque to clients."""
        value = self.value.isoformat() if isinstance(self.value, date) else self.value
        days = (self.span.first.isoformat(), self.span.last.isoformat()) if self.span else ()
        return encode_parts(self.query, value, self.row_id, *days)


def encode_parts(*parts: str | int) -> str:
    """Return the text of a cursor: its parts as JSON in base64url."""
    text = json.dumps(parts, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_parts(text: str) -> list[Any]:
    """Return the parts of a cursor's text; raise ValueError, TypeError or RecursionError if it is malformed."""
    if len(text) > CURSOR_LENGTH:
        raise ValueError
    return list(json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)))


def fingerprint_query(query: object) -> str:
    """Return a short hash of a query, equal for equal filters and sort."""
    return hashlib.blake2s(repr(query).encode(), digest_size=9).hexdigest()


def parse_cursor(text: str, query: str, sorted_by: type[date] | type[int]) -> Cursor:
    """Parse a cursor; raise ValidationFailed if it is malformed or belongs to another query."""
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
    """Return a part of a cursor; raise ValueError if it is not an integer within the database's range."""
    if type(number) is not int or abs(number) > LARGEST_ID:
        raise ValueError
    return number


def malformed_cursor_problem() -> ValidationFailed:
    """Return the problem of a malformed cursor."""
    detail = "This is not a valid cursor; start again without it."
    return ValidationFailed(errors=[parameter_error("cursor", "malformed", detail)])


def foreign_cursor_problem() -> ValidationFailed:
    """Return the problem of a cursor that belongs to another query."""
    detail = "This cursor belongs to other filters or another sort; start again without it."
    return ValidationFailed(errors=[parameter_error("cursor", "not_allowed", detail)])
