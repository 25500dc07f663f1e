"""The open connections of this process: how many there may be, and which of them ends when there are too many.

    reached                        who makes room
    -----------------------------  -----------------------------------------------------------------------
    `per_address`                  of that address, the connection that has waited longest for its client
    `in_all`                       the same of the address with most connections; of trusted proxies last
    and no connection waits        nobody: the newcomer is refused

A connection waits for its client if it has no request to answer, whether nothing or half a head has come, or if the
client has neither sent the rest of a body nor read any of an answer for `head_seconds`.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import IPv4Network, IPv6Network
from typing import Final, Protocol

from values.hosts import find_network, parse_address

TICK_SECONDS: Final = 0.25
MAX_LINGERING: Final = 32

Network = IPv4Network | IPv6Network
RenderRefusal = Callable[[HTTPStatus], bytes]
"""Returns the whole answer, head and body, that refuses a request with this status."""


@dataclass(frozen=True)
class Bounds:
    """How many connections there may be, and how long each may wait."""

    in_all: int
    per_address: int
    keep_alive: float
    """Seconds after which a connection is closed on which nothing of a request has come."""
    head_seconds: float = 10
    """Seconds for a head once it has begun, and for the rest of a body whose request is answered already."""
    stall_seconds: float = 30
    """Seconds after which a connection is ended whose client reads nothing of what it is sent."""
    stall_seconds_at_end: float = 2
    """The same while the service ends."""
    linger_seconds: float = 2
    """Seconds for which what a refused client still sends is thrown away, so that it can read the answer."""


class Connection(Protocol):
    """What is asked of a connection."""

    waits_since: float
    """Since when it has no request to answer; an instant of the event loop's clock."""
    peers: "Peers"

    def check(self, now: float) -> None:
        """End the connection if its client has let it wait for too long."""

    def abort(self) -> None:
        """End the connection at once."""


class Peers:
    """The connections of one address, and those of them that wait for their client, the longest first."""

    def __init__(self, key: str, *, is_trusted: bool) -> None:
        self.key = key
        self.is_trusted = is_trusted
        self.connections = dict[Connection, None]()
        self.waiting = dict[Connection, None]()

    def measure_share(self) -> tuple[int, float]:
        """Return what is larger, the sooner these make room: how many they are, and for how long the first waits."""
        first = next(iter(self.waiting))
        return 0 if self.is_trusted else len(self.connections), -first.waits_since


class Connections:
    """The open connections of this process."""

    def __init__(self, bounds: Bounds, render_refusal: RenderRefusal, trusted: Sequence[Network] = ()) -> None:
        self.bounds = bounds
        self.render_refusal = render_refusal
        self.is_ending = False
        """Whether the service ends."""
        self._trusted = trusted
        self._peers = dict[str, Peers]()
        self._count = 0
        # Those that were refused, and until when they may read the answer. They count no more.
        self._lingering = deque[tuple[float, Connection]]()
        self._tick: asyncio.TimerHandle | None = None

    def admit(self, connection: Connection, host: str | None) -> bool:
        """Count a connection from `host`; return False if there is no room for it."""
        peers = connection.peers = self._find_peers(host)
        if not peers.is_trusted and len(peers.connections) >= self.bounds.per_address:
            has_room = self._make_room(peers)
        else:
            has_room = self._count < self.bounds.in_all or self._make_room(self._find_largest())
        if has_room:
            self._peers[peers.key] = peers
            peers.connections[connection] = peers.waiting[connection] = None
            self._count += 1
        return has_room

    def _find_peers(self, host: str | None) -> Peers:
        address = parse_address(host or "")
        is_trusted = any(address in network for network in self._trusted)
        key = str(address) if is_trusted or address is None else find_network(address)
        return self._peers.get(key) or Peers(key, is_trusted=is_trusted)

    def _find_largest(self) -> Peers | None:
        return max((peers for peers in self._peers.values() if peers.waiting), key=Peers.measure_share, default=None)

    def _make_room(self, peers: Peers | None) -> bool:
        if peers is None or not peers.waiting:
            return False
        longest = next(iter(peers.waiting))
        self.discard(longest)
        longest.abort()
        return True

    def discard(self, connection: Connection) -> None:
        """Count a connection no more."""
        peers = connection.peers
        if connection in peers.connections:
            del peers.connections[connection]
            peers.waiting.pop(connection, None)
            self._count -= 1
            if not peers.connections:
                del self._peers[peers.key]

    def let_linger(self, connection: Connection, now: float) -> None:
        """Keep a connection that was refused for a moment, so that its client can read why."""
        self.discard(connection)
        self._lingering.append((now + self.bounds.linger_seconds, connection))
        if len(self._lingering) > MAX_LINGERING:
            self._lingering.popleft()[1].abort()

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """End, from now on, the connections whose clients let them wait for too long."""
        self._tick = loop.call_later(TICK_SECONDS, self.watch, loop)
        now = loop.time()
        for peers in list(self._peers.values()):
            for connection in list(peers.connections):
                connection.check(now)
        while self._lingering and self._lingering[0][0] <= now:
            self._lingering.popleft()[1].abort()

    def stop(self) -> None:
        """End the watch."""
        if self._tick:
            self._tick.cancel()
