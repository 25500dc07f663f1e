"""The turn of a request: how many requests of one address, or of one account, are worked on at once in this process.

    arrives             counts for the client's address (IPv6: its /48); waits if that has its share already
    is authenticated    counts for the account, from however many networks
    waits               for its body, for the hash of a password or for the lock of a ledger: gives the turn away
    answers             gives the turn away before the answer is sent, however slowly that is read

So the requests of one client, however many it sends and whatever they cost, delay those of others by a few turns.
A client that is alone has half of all turns, beside others it has one: what it computes in a round of the event loop is
what others wait for at each of their steps. Writers need no turn after they have waited for their lock, which lets one
at a time through. A batch has a second turn, from before it is parsed until it is answered: a client has one at a time.
An upload has one more, from before its body is read until it is answered: they lie on the disk meanwhile.
An export has one until its file is sent, of which a client has two, and waits for its turn as a request for each page.
"""

import math
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from starlette.types import Scope

from api.request_log import POLLED_PATHS
from config import Settings
from infra.fair_turns import FairTurns, Turn
from infra.faults import OwnQueueFull, QueueFull
from problems import TooManyRequests, Unavailable
from users.client_address import find_site

TURN_KEY: Final = "expense_tracker.turn"
"""The name of the request's turn in its scope."""
MAX_WAIT_SECONDS: Final = 4
"""How long a request waits for its turn; it is less than the deadline of a read."""
MAX_LONG_BODY_WAIT_SECONDS: Final = 30
"""How long a batch, or an upload, waits for those of its client before it."""
EXPORTS_OF_ONE: Final = 2
"""How many files of one client are sent at once."""
WHOLE_FILES: Final = 2
"""How many files are made at once that are made as a whole, one of a client."""
MAX_WHOLE_FILE_WAIT_SECONDS: Final = 30
"""How long such a file waits for others."""
SECONDS_PER_TURN: Final = 0.05
"""For each request of its client before it, a request may wait so long without losing time of its deadline."""
MAX_UPLOADS: Final = 32
"""How many uploads may lie on the disk at once, in each process; they take 20 MiB at most."""
SECONDS_ALONE: Final = 2
"""A client is alone once nobody else was answered for so long."""


class RequestTurn:
    """The turn of one request; it may be given away, and taken again, while the request lasts."""

    def __init__(self, turns: FairTurns, long: "LongTurns", site: str) -> None:
        self.turns = turns
        self._long = long
        self.key: str | int = site
        """The client: a site until the request is authenticated, then an account."""
        self._held: Turn | None = None
        self._batch: Turn | None = None
        self._upload: Turn | None = None
        self.late = 0.0
        """Seconds that it has waited beyond its patience: the next deadline is shorter by them."""

    @property
    def patience(self) -> float:
        """Seconds that the others of the client should need at most until it is the request's turn."""
        return self._compute_patience(self.turns)

    def _compute_patience(self, turns: FairTurns) -> float:
        return SECONDS_PER_TURN * turns.count(self.key)

    async def take(self) -> None:
        """Wait for the turn; raise TooManyRequests or Unavailable if that takes too long, or too many wait."""
        if self._held is None:
            self._held = await self._wait(self.turns, MAX_WAIT_SECONDS)

    async def take_batch(self) -> None:
        """Wait until no other batch of the client is under way, and let its next one wait until `end`."""
        self.give_away()
        self._batch = await self._wait(self._long.batches, MAX_LONG_BODY_WAIT_SECONDS)
        await self.take()

    async def take_upload(self) -> None:
        """Wait until no other upload of the client is under way, and let its next one wait until `end`."""
        self.give_away()
        self._upload = await self._wait(self._long.uploads, MAX_LONG_BODY_WAIT_SECONDS)

    @asynccontextmanager
    async def hold_export(self) -> AsyncIterator[None]:
        """Wait until the client has fewer than two other exports under way, and have one, until its file is sent."""
        self.give_away()
        turn = await self._wait(self._long.exports, MAX_WAIT_SECONDS)
        try:
            yield
        finally:
            turn.release()

    @asynccontextmanager
    async def hold_whole_file(self) -> AsyncIterator[None]:
        """Wait for the turn to make a whole file, which computes in a thread for long, until it is made."""
        turn = await self._wait(self._long.whole_files, MAX_WHOLE_FILE_WAIT_SECONDS)
        try:
            yield
        finally:
            turn.release()

    async def _wait(self, turns: FairTurns, seconds: float) -> Turn:
        end = time.monotonic() + self._compute_patience(turns)
        try:
            return await turns.acquire(self.key, seconds)
        except OwnQueueFull:
            raise TooManyRequests from None
        except QueueFull:
            raise Unavailable from None
        finally:
            self.late += max(0, time.monotonic() - end)

    def end(self) -> None:
        """Give everything away, because the request is being answered."""
        self.give_away()
        for turn in (self._batch, self._upload):
            if turn is not None:
                turn.release()
        self._batch = self._upload = None

    def give_away(self) -> None:
        """Let the next request have the turn."""
        if self._held is not None:
            self._held.release()
            self._held = None

    def count_for(self, account: int) -> bool:
        """Count for this account from now on; return False if it has its share: then the turn is to be taken again."""
        self.key = account
        return self._held is None or self._held.move_to(account)


class LongTurns:
    """The turns of what takes long, beside those of requests."""

    def __init__(self, most_waiting: int) -> None:
        self.batches = FairTurns(sys.maxsize, most_waiting, share=1)
        self.uploads = FairTurns(MAX_UPLOADS, most_waiting, share=1)
        self.exports = FairTurns(sys.maxsize, most_waiting, share=EXPORTS_OF_ONE)
        self.whole_files = FairTurns(WHOLE_FILES, most_waiting, share=1)


class RequestTurns:
    """Gives each request its turn.

    As many requests are worked on at once as the pool of readers has connections: decision 43.
    """

    def __init__(self, settings: Settings) -> None:
        self._turns = FairTurns(settings.pool_size, settings.queue_limit)
        self._unlimited = FairTurns(sys.maxsize, 0)
        self._long = LongTurns(settings.queue_limit)
        self._share_alone = max(1, settings.pool_size // 2)
        self._last_client: str | int | None = None
        self._last_at = self._alone_from = -math.inf
        self._turns.share = self._share_alone

    def assign(self, scope: Scope) -> RequestTurn:
        """Put the turn of a request, which is yet to be taken, into its scope, and return it."""
        # Whoever watches the service must not wait for its users.
        turns = self._unlimited if scope["path"] in POLLED_PATHS else self._turns
        client = scope.get("client")
        turn = scope[TURN_KEY] = RequestTurn(turns, self._long, find_site(client and client[0]))
        return turn

    def note_answer(self, turn: RequestTurn) -> None:
        """Note whose request was answered: it tells whether a client is alone."""
        if turn.turns is self._unlimited:
            return
        now = time.monotonic()
        if turn.key != self._last_client:
            self._last_client, self._alone_from = turn.key, self._last_at + SECONDS_ALONE
        self._last_at = now
        self._turns.share = 1 if now < self._alone_from else self._share_alone
