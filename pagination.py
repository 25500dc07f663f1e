"""Keyset cursors: where a page ended, bound to the query whose page it was."""

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import date
from typing import Final
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from database import LARGEST_ID
from problems import ValidationFailed
from refusals import at_parameter
from spans import Span

CURSOR_LENGTH: Final = 256


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page ended: its last row, and the days that a relative period meant on the first page."""

    query: str
    """Fingerprint of the filters and the sort that the page belongs to."""
    value: date | int
    """The last row's sort value: its day, or its amount in thousandths."""
    row_id: int
    span: Span | None

    def written(self) -> str:
        """Return the cursor as its opaque text."""
        value = self.value.isoformat() if isinstance(self.value, date) else self.value
        days = (self.span.first.isoformat(), self.span.last.isoformat()) if self.span else ()
        plain = json.dumps([self.query, value, self.row_id, *days], separators=(",", ":"))
        return base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")


def fingerprint(asked: object) -> str:
    """Return a short name for what a query asks, the same for the same filters and sort."""
    return hashlib.blake2s(repr(asked).encode(), digest_size=9).hexdigest()


def read_cursor(text: str, query: str, sorted_by: type[date] | type[int]) -> Cursor:
    """Return the cursor that `text` is; raise ValidationFailed where it is broken or belongs to another query."""
    try:
        cursor = _parsed(text)
    except (ValueError, TypeError, RecursionError):
        raise _refused("malformed", "This is no cursor of ours; start again without it.") from None
    if cursor.query != query or type(cursor.value) is not sorted_by:
        raise _refused("not_allowed", "This cursor belongs to other filters or another sort; start again without it.")
    return cursor


def _parsed(text: str) -> Cursor:
    if len(text) > CURSOR_LENGTH:
        raise ValueError
    plain = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    query, value, row_id, *days = json.loads(plain)
    if len(days) not in {0, 2}:
        raise ValueError
    position = date.fromisoformat(value) if isinstance(value, str) else _whole(value)
    return Cursor(query, position, _whole(row_id), Span(*map(date.fromisoformat, days)) if days else None)


def _whole(number: object) -> int:
    if type(number) is not int or abs(number) > LARGEST_ID:
        raise ValueError
    return number


def _refused(code: str, detail: str) -> ValidationFailed:
    return ValidationFailed(errors=[at_parameter("cursor", code, detail)])


def next_link(path: str, query: QueryParams, cursor: str) -> str:
    """Return the Link header of the next page (RFC 8288): a relative reference, as a Host header is anybody's."""
    pairs = [(name, value) for name, value in query.multi_items() if name != "cursor"]
    return f'<{path}?{urlencode([*pairs, ("cursor", cursor)])}>; rel="next"'
