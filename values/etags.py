"""Entity tags of rows, and the headers If-Match and If-None-Match (RFC 9110 sections 8.8.3 and 13).

    "31"                            a row at revision 31: a strong tag
    W/"31", "31-gzip", W/"31-br"    the same after a proxy has compressed the answer; each matches "31"
    W/"1-7-31-EUR-1"                a list or report, which depends on the whole ledger: a weak tag (api/headers.py)

In a request header, `*` matches every row.
"""

import re
from collections.abc import Sequence
from typing import Annotated, Final

from pydantic import PlainValidator, WithJsonSchema

from values.field_errors import invalid_value

IF_MATCH: Final = "If-Match"
IF_NONE_MATCH: Final = "If-None-Match"
# Section 8.8.3: a tag contains visible characters of Latin-1 except quotes. Section 5.6.1: a list may have empty
# elements.
_TAG: Final = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_TAGS: Final = re.compile(rf"[ \t,]*{_TAG}(?:[ \t]*,[ \t,]*{_TAG})*[ \t,]*")
# Proxies that compress rewrite tags: nginx puts W/ in front, Apache and Caddy append the name of the coding.
_ADDED: Final = re.compile(r'\AW/|-(?:gzip|br|zstd)(?="\Z)')


def write_row_etag(revision: int) -> str:
    """Return the strong entity tag of a row: its revision in quotes."""
    return f'"{revision}"'


def parse_etags(values: Sequence[str]) -> frozenset[str]:
    """Parse all values of If-Match or If-None-Match; raise a validation error if one is malformed."""
    value = ",".join(values)
    if value.strip(" \t") == "*":
        return frozenset("*")
    if not _TAGS.fullmatch(value):
        raise invalid_value(
            "malformed", 'Send the ETag that you got, with its quotes, like "31"; several with commas between; or *.'
        )
    return frozenset(re.findall(_TAG, value))


ENTITY_TAGS_SCHEMA: Final = {"type": "string", "pattern": rf"^(?:[ \t]*\*[ \t]*|{_TAGS.pattern})$"}
EntityTags = Annotated[frozenset[str], PlainValidator(parse_etags), WithJsonSchema(ENTITY_TAGS_SCHEMA)]
"""The entity tags of a request header, weak ones with their `W/`, or only `*`."""


def is_match(tag: str, tags: frozenset[str]) -> bool:
    """Whether `tag` equals one of the `tags` of a precondition, even if a compressing proxy has rewritten that one.

    The comparison is weak (section 8.8.3.2), also for If-Match. It is safe, because no tag of a list equals a row's:
    `W/"31"` can only be the rewritten tag of a row at revision 31.
    """
    return "*" in tags or tag in tags or _ADDED.sub("", tag) in {_ADDED.sub("", sent) for sent in tags}
