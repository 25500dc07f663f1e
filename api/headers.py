"""Response headers: entity tags of lists and reports, an early 304, and the link to the next page."""

from datetime import date
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

from fastapi import Request, Response
from pydantic_core import PydanticCustomError
from starlette.datastructures import QueryParams

from auth import Caller
from problems import ValidationFailed
from values.etags import IF_NONE_MATCH, is_match, parse_etags
from values.field_errors import header_error

REPRESENTATION_VERSION: Final = 1
"""Raised whenever the same rows are answered in another form: clients then have nothing yet."""


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


class EarlyResponse(Exception):
    """There is no need to go on: this is the answer."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


def answer_304_if_current(request: Request, response: Response, tag: str) -> None:
    """Tag the answer, and end here with a 304 where the client has it already (RFC 9110 section 13.1.2)."""
    response.headers["ETag"] = tag
    lines = request.headers.getlist(IF_NONE_MATCH)
    if not lines:
        return
    try:
        seen = parse_etags(lines)
    except PydanticCustomError as refused:
        raise ValidationFailed(errors=[header_error(IF_NONE_MATCH, refused.type, refused.message())]) from None
    if is_match(tag, seen):
        raise EarlyResponse(Response(status_code=HTTPStatus.NOT_MODIFIED, headers={"ETag": tag}))


def write_next_link(path: str, query: QueryParams, cursor: str) -> str:
    """Return the Link header of the next page (RFC 8288): a relative reference, as a Host header is anybody's."""
    pairs = [(name, value) for name, value in query.multi_items() if name != "cursor"]
    return f'<{path}?{urlencode([*pairs, ("cursor", cursor)])}>; rel="next"'
