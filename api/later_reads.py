"""Reads of a ledger after the endpoint has returned, while its answer is sent: for answers that are made in pieces.

    each read        takes the request's turn, opens a unit of work with the deadline of a read, runs again after a
                       lost race or a lost connection, as every request does; then all of this is given back
    of one moment    only where reads one by one cannot do: a snapshot of the database, and its connection to the end
    between reads    nothing is held, however slowly the client reads
    once the answer  a read that fails with 429 or 503 is tried again for a minute: a database that is started anew
      has begun        delays the answer and does not break it off

The caller was authenticated when the request began; a session that ends meanwhile does not end the answer.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from fastapi import Response

from api.dependencies import build_ledger
from api.peers import is_gone
from api.requests import StrictRequest
from api.route import run_with_deadline
from infra.engines import READ_DEADLINE
from ledger.core import Ledger
from problems import TooManyRequests, Unavailable

T = TypeVar("T")

PATIENCE_SECONDS: Final = 60
PAUSE_SECONDS: Final = 0.5
MOMENT_SECONDS: Final = 300
"""How long a read of one moment may take."""


class ClientGone(Exception):
    """The client has closed its connection: nobody reads the answer."""


class LaterReads:
    """Runs reads of the ledger of the caller of a request."""

    def __init__(self, request: StrictRequest, ledger: Ledger) -> None:
        self.request = request
        self._caller = ledger.owner
        self.has_begun = False
        """Whether the answer has begun, so that its status cannot tell of an error any more."""

    async def read(self, read: Callable[[Ledger], Awaitable[T]]) -> T:
        """Run a read and return its result; raise ClientGone, TooManyRequests or Unavailable."""
        loop = asyncio.get_running_loop()
        end = loop.time() + PATIENCE_SECONDS
        while True:
            try:
                return await self._read_once(read)
            except (TooManyRequests, Unavailable):
                if not self.has_begun or loop.time() >= end:
                    raise
            await asyncio.sleep(PAUSE_SECONDS)

    async def read_at_one_moment(self, read: Callable[[Ledger], Awaitable[T]]) -> T:
        """Run a read all of whose statements see the same moment; it may take minutes, and holds a connection."""
        return await self._read_once(read, MOMENT_SECONDS, is_of_one_moment=True)

    async def _read_once(
        self, read: Callable[[Ledger], Awaitable[T]], seconds: float = READ_DEADLINE, *, is_of_one_moment: bool = False
    ) -> T:
        request, found = self.request, list[T]()
        if is_gone(request.receive):
            raise ClientGone

        async def handle(request: StrictRequest) -> Response:
            if is_of_one_moment:
                await request.unit.begin_snapshot()
            found.append(await read(build_ledger(request, self._caller)))
            return Response()

        request.turn.late = 0
        try:
            await request.turn.take()
            await run_with_deadline(seconds, handle, request)
        finally:
            request.turn.give_away()
        return found[-1]
