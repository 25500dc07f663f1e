"""Response headers: ETag of lists and reports, the 304 answer, and Link to the next page."""

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

REPRESENTATION_VERSION: Final = 3
"""Increase it when the form of answers changes: then no cached answer of a client matches any more."""


def write_ledger_etag(owner: Caller, day: date | None = None) -> str:
    """Return the weak entity tag of an answer that depends on a whole ledger, and on `day` if it is given.

    It contains the owner, because two users of one browser share its cache. It contains the parts of the profile on
    which answers depend, because changing them takes no revision of the ledger.
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
    """Ends the request early with this response: a 304, or the answer stored for an Idempotency-Key."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


def answer_304_if_current(request: Request, response: Response, tag: str) -> None:
    """Set the ETag; raise EarlyResponse with a 304 if If-None-Match contains it (RFC 9110 section 13.1.2)."""
    response.headers["ETag"] = tag
    values = request.headers.getlist(IF_NONE_MATCH)
    if not values:
        return
    try:
        tags = parse_etags(values)
    except PydanticCustomError as error:
        raise ValidationFailed(errors=[header_error(IF_NONE_MATCH, error.type, error.message())]) from None
    if is_match(tag, tags):
        raise EarlyResponse(Response(status_code=HTTPStatus.NOT_MODIFIED, headers={"ETag": tag}))


def link_next_page(response: Response, path: str, query: QueryParams, cursor: str | None) -> None:
    """Set the Link header (RFC 8288) to the next page, if there is one.

    It has no host, because any client can make up a Host header.
    """
    if cursor:
        pairs = [(name, value) for name, value in query.multi_items() if name != "cursor"]
        response.headers["Link"] = f'<{path}?{urlencode([*pairs, ("cursor", cursor)])}>; rel="next"'
