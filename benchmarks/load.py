"""The load: keep-alive connections that each wait for an answer before they ask again.

It runs as a process of its own (`python -m benchmarks.load`, a plan on stdin, what it saw on stdout), so that it can be
kept off the server's core. One request costs it some 10 µs, a hundredth of what it costs the server.
"""

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import cycle, islice
from time import perf_counter
from typing import Final, cast
from urllib.parse import urlencode

import uvloop

from benchmarks import ROOT

WARMING_SECONDS: Final = 0.3
LONGEST_RUN: Final = 120
HEAD_END: Final = b"\r\n\r\n"


@dataclass(frozen=True)
class Requests:
    """What some connections ask: each its own requests, in turn, over and over or so many times."""

    connections: Sequence[Sequence[str]]
    """The requests of each connection, as they go over the wire."""
    pace: float = 0
    """Least seconds between two requests of one connection: 0 is as fast as the answers come."""
    times: int = 0
    """Requests that each connection sends; 0 is until the time is over. The run ends with the last of such requests."""


@dataclass(frozen=True)
class Plan:
    """One run: several kinds of requests at once against one server."""

    port: int
    seconds: float
    requests: Mapping[str, Requests]


@dataclass
class Seen:
    """What was seen of one kind of requests; latencies are of those that began after the warming up."""

    total: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Outcome:
    """What one kind of requests came to: seconds for latencies, requests a second for the rate."""

    total: int
    """All that were answered, those of the warming up too."""
    statuses: Mapping[str, int]
    rate: float
    latencies: Sequence[float]
    """In ascending order."""

    @property
    def median(self) -> float:
        """The latency that half of the requests stayed below."""
        return quantile(self.latencies, 0.5)

    @property
    def p99(self) -> float:
        """The latency that 99 of 100 requests stayed below."""
        return quantile(self.latencies, 0.99)


def quantile(ascending: Sequence[float], share: float) -> float:
    """Return the value that this share of the others stays below; nothing has no quantile (NaN)."""
    return ascending[min(int(len(ascending) * share), len(ascending) - 1)] if ascending else float("nan")


def get(path: str, token: str = "") -> str:
    """Write a GET request."""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{_bearer(token)}\r\n"


def post_json(path: str, token: str, body: object) -> str:
    """Write a POST request with a JSON body."""
    return _post(path, "application/json", json.dumps(body), token)


def post_form(path: str, fields: Mapping[str, str]) -> str:
    """Write a POST request with a form."""
    return _post(path, "application/x-www-form-urlencoded", urlencode(fields), "")


def _post(path: str, media_type: str, body: str, token: str) -> str:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media_type}\r\n{_bearer(token)}"
    return f"{head}Content-Length: {len(body.encode())}\r\n\r\n{body}"


def _bearer(token: str) -> str:
    return f"Authorization: Bearer {token}\r\n" if token else ""


def run(plan: Plan) -> dict[str, Outcome]:
    """Run a plan in a process of its own, on the cores of this one, and return what it saw of each kind."""
    child = subprocess.run(
        [sys.executable, "-m", "benchmarks.load"],
        input=json.dumps(asdict(plan)),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=LONGEST_RUN + plan.seconds,
    )
    return {name: Outcome(**outcome) for name, outcome in json.loads(child.stdout).items()}


# --- Inside the process -----------------------------------------------------------------------------------------------


class Connection(asyncio.Protocol):
    """One client: asks, reads the whole answer, asks again."""

    def __init__(self, requests: Iterable[bytes], pace: float, begin: float, seen: Seen) -> None:
        self._requests = iter(requests)
        self._pace = pace
        self._begin = begin
        self._seen = seen
        self._received = b""
        self._sent_at = 0.0
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.WriteTransport | None = None
        self.done = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the first time."""
        self._transport = cast("asyncio.WriteTransport", transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Read on; once the answer is whole, take its time and ask again."""
        self._received += data
        end = self._received.find(HEAD_END)
        if end < 0 or len(self._received) < end + len(HEAD_END) + _content_length(self._received[:end]):
            return
        now = perf_counter()
        self._seen.total += 1
        if self._sent_at >= self._begin:
            self._seen.statuses[self._received[9:12].decode()] += 1
            self._seen.latencies.append(now - self._sent_at)
        self._received = b""
        wait = self._sent_at + self._pace - now
        if wait > 0:
            self._loop.call_later(wait, self._ask)
        else:
            self._ask()

    def connection_lost(self, _: Exception | None) -> None:
        """Count a server that hung up as an answer that nobody wants to see."""
        if not self.done.done():
            self._seen.statuses["lost"] += 1
            self.done.set_result(None)

    def close(self) -> None:
        """Hang up."""
        if not self.done.done():
            self.done.set_result(None)
        if self._transport:
            self._transport.close()

    def _ask(self) -> None:
        if self.done.done() or self._transport is None:
            return
        request = next(self._requests, None)
        if request is None:
            self.done.set_result(None)
            return
        self._sent_at = perf_counter()
        self._transport.write(request)


def _content_length(head: bytes) -> int:
    _, _, rest = head.lower().partition(b"\r\ncontent-length:")
    return int(rest.partition(b"\r\n")[0] or 0)


async def carry_out(plan: Plan) -> dict[str, Outcome]:
    """Carry a plan out: for its time, or until those requests that are counted have been answered."""
    begin = perf_counter() + WARMING_SECONDS
    seen = {name: Seen() for name in plan.requests}
    clients = {name: await _connect(plan.port, it, begin, seen[name]) for name, it in plan.requests.items()}
    counted = [client.done for name, it in plan.requests.items() if it.times for client in clients[name]]
    if counted:
        await asyncio.wait(counted, timeout=LONGEST_RUN)
    else:
        await asyncio.sleep(WARMING_SECONDS + plan.seconds)
    elapsed = perf_counter() - begin
    for client in [client for group in clients.values() for client in group]:
        client.close()
    return {name: _outcome(it, elapsed) for name, it in seen.items()}


async def _connect(port: int, requests: Requests, begin: float, seen: Seen) -> list[Connection]:
    loop = asyncio.get_running_loop()
    # Requests that are counted are not warming up: each of them matters.
    since = 0 if requests.times else begin
    clients = []
    for texts in requests.connections:
        encoded = cycle([text.encode() for text in texts])
        turns = islice(encoded, requests.times) if requests.times else encoded
        client = Connection(turns, requests.pace, since, seen)
        await loop.create_connection(lambda client=client: client, "127.0.0.1", port)  # type: ignore[misc]  # mypy#15459
        clients.append(client)
    return clients


def _outcome(seen: Seen, elapsed: float) -> Outcome:
    return Outcome(seen.total, dict(seen.statuses), len(seen.latencies) / elapsed, sorted(seen.latencies))


def main() -> None:
    """Read a plan, carry it out, print what came of it."""
    given = json.load(sys.stdin)
    requests = {name: Requests(**it) for name, it in given.pop("requests").items()}
    outcomes = uvloop.run(carry_out(Plan(**given, requests=requests)))
    json.dump({name: asdict(outcome) for name, outcome in outcomes.items()}, sys.stdout)


if __name__ == "__main__":
    main()
