"""Answers that are made and sent in pieces, such as a file of all expenses.

    wait             until the client has fewer than two others under way; what is made as a whole, such as a workbook,
                       also waits for its turn among all clients
    first piece      made before the answer begins, so that an error until then is answered with a problem
    other pieces     each is made when the client has read most of the piece before
    an error         breaks the transfer off, so that a client cannot take a part of a file for the whole

If the client has gone, the answer ends with the next read, and nothing of it is left.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from http import HTTPStatus
from typing import Any, Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.answer_headers import HEAD_KEY
from api.later_reads import ClientGone, LaterReads
from api.problem_json import EXPECTED, Responses
from api.request_log import get_log_context
from infra.faults import describe_error
from infra.log import logger
from problems import Unavailable

WHOLE_SECONDS: Final = 600
"""How long making a whole file may take."""


BINARY: Final = {"type": "string", "format": "binary"}
"""The schema of a file that is no text."""
_ATTACHMENT: Final = {
    "Content-Disposition": {
        "description": 'What to save it as, such as `attachment; filename="expenses.csv"`.',
        "required": True,
        "schema": {"type": "string"},
    }
}


class TransferBroken(Exception):
    """An answer could not be completed after it had begun; the server closes the connection."""


class StreamedAnswer(Response):
    """A file that is sent as an attachment, piece by piece."""

    def __init__(
        self, later: LaterReads, pieces: AsyncGenerator[bytes], media_type: str, file_name: str, *, is_whole: bool
    ) -> None:
        """`is_whole` says that all of the file is made before its first piece is there."""
        self.status_code = HTTPStatus.OK
        self.media_type = media_type
        self.background = None
        self._later = later
        self._pieces = pieces
        self._is_whole = is_whole
        self.init_headers({"Content-Disposition": f'attachment; filename="{file_name}"'})

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        """Send the answer; to HEAD only what stands before the file."""
        if scope.get(HEAD_KEY):
            await self._begin(send)
            await send({"type": "http.response.body", "body": b""})
            return
        try:
            async with self._later.request.turn.hold_export(), aclosing(self._pieces) as pieces:
                await self._send_pieces(pieces, send)
        except ClientGone:
            pass
        except Exception as error:
            if not self._later.has_begun:
                raise
            log = logger.warning if isinstance(error, EXPECTED) else logger.exception
            log("broke off an answer: %s", describe_error(error), extra=get_log_context(scope))
            raise TransferBroken from None

    async def _send_pieces(self, pieces: AsyncIterator[bytes], send: Send) -> None:
        async with self._hold_whole():
            first = await anext(pieces, b"")
        await self._begin(send)
        self._later.has_begun = True
        await send({"type": "http.response.body", "body": first, "more_body": True})
        async for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    @asynccontextmanager
    async def _hold_whole(self) -> AsyncIterator[None]:
        if not self._is_whole:
            yield
            return
        try:
            async with self._later.request.turn.hold_whole_file(), asyncio.timeout(WHOLE_SECONDS):
                yield
        except OSError as error:
            # It takes too long, or the disk is full.
            logger.warning(
                "did not make a file: %s", describe_error(error), extra=get_log_context(self._later.request.scope)
            )
            raise Unavailable from None

    async def _begin(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})


def document_file(description: str, content: Mapping[str, Any]) -> Responses:
    """Return the OpenAPI response of a streamed file; `content` has a schema for each of its media types."""
    return {HTTPStatus.OK.value: {"description": description, "content": content, "headers": _ATTACHMENT}}
