"""The answers to requests that never become one: they are refused while their head or their body is being read.

`infra/http_protocol.py` sends them. They look like the answers of every other problem, and are logged likewise.
"""

import json
import logging
import secrets
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from api.answer_headers import COMMON_HEADERS, CONTENT_POLICY
from api.problem_json import MEDIA_TYPE, get_title, to_members
from infra.log import logger
from problems import HeadTooLarge, MalformedRequest, Problem, RequestTimeout, Unavailable, UriTooLong

_KINDS: Final[Mapping[HTTPStatus, type[Problem]]] = {
    kind.status: kind for kind in (MalformedRequest, RequestTimeout, UriTooLong, HeadTooLarge)
}
_NO_ROOM: Final = "Too many connections are open: close those that you do not use, and repeat it in a moment."


def render_refusal(status: HTTPStatus) -> bytes:
    """Return the answer that refuses a request with this status and ends its connection, and log it."""
    problem = Unavailable(_NO_ROOM) if status == HTTPStatus.SERVICE_UNAVAILABLE else _KINDS[status]()
    request_id = secrets.token_hex(8)
    body = json.dumps(to_members(problem, request_id), ensure_ascii=False, separators=(",", ":")).encode()
    headers = {
        "content-type": MEDIA_TYPE,
        "content-length": str(len(body)),
        "connection": "close",
        "x-request-id": request_id,
        **{name.lower(): value for name, value in problem.headers.items()},
        **{name.decode(): value.decode() for name, value in (*COMMON_HEADERS, CONTENT_POLICY)},
    }
    fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    logger.log(logging.INFO, "refused", extra={"request_id": request_id, "status": status, "code": problem.code})
    return f"HTTP/1.1 {status.value} {get_title(problem)}\r\n{fields}\r\n".encode() + body
