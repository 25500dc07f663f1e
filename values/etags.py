"""Entity tags (RFC 9110 section 8.8.3) of rows, and the headers If-Match and If-None-Match (section 13)."""

import re
from collections.abc import Sequence
from typing import Annotated, Final

from pydantic import PlainValidator, WithJsonSchema

from values.field_errors import invalid_value

IF_MATCH: Final = "If-Match"
IF_NONE_MATCH: Final = "If-None-Match"
# Section 8.8.3: any visible character but a quote, as Latin-1; section 5.6.1: a list may have empty elements.
_TAG: Final = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_TAGS: Final = re.compile(rf"[ \t,]*{_TAG}(?:[ \t]*,[ \t,]*{_TAG})*[ \t,]*")
# What proxies add to a tag when they compress: nginx puts W/ in front, Apache and Caddy append the coding.
_ADDED: Final = re.compile(r'\AW/|-(?:gzip|br|zstd)(?="\Z)')


def write_row_etag(revision: int) -> str:
    """Return the strong entity tag of a row: its revision in quotes."""
    return f'"{revision}"'


def parse_etags(lines: Sequence[str]) -> frozenset[str]:
    """Parse all lines of If-Match or If-None-Match; raise a validation error if one is malformed."""
    value = ",".join(lines)
    if value.strip(" \t") == "*":
        return frozenset("*")
    if not _TAGS.fullmatch(value):
        raise invalid_value(
            "malformed", 'Send the ETag that you got, with its quotes, like "31"; several with commas between; or *.'
        )
    return frozenset(re.findall(_TAG, value))


ENTITY_TAGS_SCHEMA: Final = {"type": "string", "pattern": rf"^(?:[ \t]*\*[ \t]*|{_TAGS.pattern})$"}
EntityTags = Annotated[frozenset[str], PlainValidator(parse_etags), WithJsonSchema(ENTITY_TAGS_SCHEMA)]
"""The entity tags that were sent, weak ones with their `W/`, or only `*`."""


def is_match(tag: str, tags: frozenset[str]) -> bool:
    """Whether `tag` equals one of the `tags` of a precondition, even if a compressing proxy has rewritten that one.

    This is weak comparison (section 8.8.3.2), also for If-Match: only rows have strong tags, so `W/"31"` is row 31's.
    """
    return "*" in tags or tag in tags or _ADDED.sub("", tag) in {_ADDED.sub("", it) for it in tags}
