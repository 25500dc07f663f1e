"""Conditions (RFC 9110 section 13): which version of a row a change is for, and which answer a client has already."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Final

from pydantic import PlainValidator, WithJsonSchema

from auth import Caller
from values.field_errors import FieldError, header_error, invalid_value

REPRESENTATION_VERSION: Final = 1
"""Raised whenever the same rows are answered in another form: clients then have nothing yet."""

IF_MATCH: Final = "If-Match"
IF_NONE_MATCH: Final = "If-None-Match"
# Section 8.8.3: any visible character but a quote, as Latin-1; section 5.6.1: a list may have empty elements.
_TAG: Final = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_TAGS: Final = re.compile(rf"[ \t,]*{_TAG}(?:[ \t]*,[ \t,]*{_TAG})*[ \t,]*")


def write_row_etag(revision: int) -> str:
    """Return the entity tag of a row, a strong one: its revision."""
    return f'"{revision}"'


def write_ledger_etag(owner: Caller, day: date | None = None) -> str:
    """Return the entity tag of an answer made of a whole ledger, a weak one; `day` is one that the answer depends on.

    It says whose ledger it is, since a browser asks for one user whether another one's answer still holds; and what of
    the profile an answer depends on, since changing that is no change of the ledger.
    """
    parts = (
        REPRESENTATION_VERSION,
        owner.id,
        owner.revision,
        owner.currency,
        owner.month_start_day,
        *([day] if day else []),
    )
    return f'W/"{"-".join(map(str, parts))}"'


def parse_etags(lines: Sequence[str]) -> frozenset[str]:
    """Parse If-Match or If-None-Match, on however many lines it was sent, or refuse it where it is broken."""
    value = ",".join(lines)
    if value.strip(" \t") == "*":
        return frozenset("*")
    if not _TAGS.fullmatch(value):
        raise invalid_value(
            "malformed", 'Send the ETag that you got, with its quotes, like "31"; several with commas between; or *.'
        )
    return frozenset(re.findall(_TAG, value))


ETAG_CHANGED: Final = "The row's ETag is another now; a weak one (W/) never matches."
NO_ETAG_FOR_MANY: Final = "Many rows have no ETag that could match: send *, or leave it out."

ENTITY_TAGS_SCHEMA: Final = {"type": "string", "pattern": rf"^(?:[ \t]*\*[ \t]*|{_TAGS.pattern})$"}
EntityTags = Annotated[frozenset[str], PlainValidator(parse_etags), WithJsonSchema(ENTITY_TAGS_SCHEMA)]
"""Entity tags as they were sent, weak ones with their `W/`; or `*` alone."""


def is_weak_match(tag: str, tags: frozenset[str]) -> bool:
    """Whether a tag is among those of If-None-Match: by weak comparison (section 8.8.3.2)."""
    return "*" in tags or tag.removeprefix("W/") in {it.removeprefix("W/") for it in tags}


@dataclass(frozen=True, slots=True)
class Precondition:
    """What must be so of the row that a change is for."""

    if_match: frozenset[str] | None = None
    if_none_match: frozenset[str] | None = None

    def list_failures(self, revision: int | None) -> list[FieldError]:
        """Return what of it is not so of a row at this revision; of many rows at once (None) no tag is the tag."""
        tag = "" if revision is None else write_row_etag(revision)
        entries = []
        if self.if_match is not None and "*" not in self.if_match and tag not in self.if_match:
            entries.append(
                header_error(IF_MATCH, "precondition_failed", NO_ETAG_FOR_MANY if revision is None else ETAG_CHANGED)
            )
        if self.if_none_match is not None and is_weak_match(tag, self.if_none_match):
            entries.append(header_error(IF_NONE_MATCH, "precondition_failed", "There is such a row."))
        return entries
