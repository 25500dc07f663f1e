"""The load: keep-alive connections, each of which waits for the answer before it sends the next request.

It runs as a process of its own, so that it can be kept off the server's core: `python -m benchmarks.load` reads a plan
from stdin and writes the outcome to stdout. A request costs it about 10 µs, a hundredth of what it costs the server.
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
    """The requests of a group of connections: each sends its own in turn, for ever or `times` in all."""

    connections: Sequence[Sequence[str]]
    """The requests of each connection, as HTTP/1.1 text."""
    pace: float = 0
    """The least seconds between two requests of a connection; 0: the next follows the answer at once."""
    times: int = 0
    """Requests that each connection sends, and the run ends with the last one; 0: until the time is over."""


@dataclass(frozen=True)
class Plan:
    """One run: several groups of requests at once, by name, against one server."""

    port: int
    seconds: float
    requests: Mapping[str, Requests]


@dataclass
class Seen:
    """The counts of one group while it runs; statuses and latencies only of requests sent after the warm-up."""

    total: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Outcome:
    """The result of one group: latencies in seconds, the rate in requests a second."""

    total: int
    """The number of answers, including the warm-up."""
    statuses: Mapping[str, int]
    rate: float
    latencies: Sequence[float]
    """In ascending order."""

    @property
    def median(self) -> float:
        """The median latency."""
        return find_quantile(self.latencies, 0.5)

    @property
    def p99(self) -> float:
        """The 99th percentile of the latencies."""
        return find_quantile(self.latencies, 0.99)


def find_quantile(ascending: Sequence[float], share: float) -> float:
    """Return the quantile of sorted values, NaN if there are none."""
    return ascending[min(int(len(ascending) * share), len(ascending) - 1)] if ascending else float("nan")


def write_get(path: str, token: str = "") -> str:
    """Write a GET request."""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{_write_bearer(token)}\r\n"


def write_post_json(path: str, token: str, body: object) -> str:
    """Write a POST request with a JSON body."""
    return _write_post(path, "application/json", json.dumps(body), token)


def write_post_form(path: str, fields: Mapping[str, str]) -> str:
    """Write a POST request with a form."""
    return _write_post(path, "application/x-www-form-urlencoded", urlencode(fields), "")


def _write_post(path: str, media_type: str, body: str, token: str) -> str:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media_type}\r\n{_write_bearer(token)}"
    return f"{head}Content-Length: {len(body.encode())}\r\n\r\n{body}"


def _write_bearer(token: str) -> str:
    return f"Authorization: Bearer {token}\r\n" if token else ""


def run(plan: Plan) -> dict[str, Outcome]:
    """Run a plan in a process on the same cores as this one; return the outcome of each group."""
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
    """One client: sends a request, reads the whole answer, sends the next."""

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
        """Send the first request."""
        self._transport = cast("asyncio.WriteTransport", transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Collect the answer; once it is complete, record its latency and send the next request."""
        self._received += data
        end = self._received.find(HEAD_END)
        if end < 0 or len(self._received) < end + len(HEAD_END) + _read_content_length(self._received[:end]):
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
        """Count a connection that the server closed as the status `lost`."""
        if not self.done.done():
            self._seen.statuses["lost"] += 1
            self.done.set_result(None)

    def close(self) -> None:
        """Close the connection."""
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


def _read_content_length(head: bytes) -> int:
    _, _, rest = head.lower().partition(b"\r\ncontent-length:")
    return int(rest.partition(b"\r\n")[0] or 0)


async def carry_out(plan: Plan) -> dict[str, Outcome]:
    """Run a plan for its time, or until the groups with `times` are done."""
    begin = perf_counter() + WARMING_SECONDS
    seen = {name: Seen() for name in plan.requests}
    clients = {name: await _connect(plan.port, group, begin, seen[name]) for name, group in plan.requests.items()}
    counted = [client.done for name, group in plan.requests.items() if group.times for client in clients[name]]
    if counted:
        await asyncio.wait(counted, timeout=LONGEST_RUN)
    else:
        await asyncio.sleep(WARMING_SECONDS + plan.seconds)
    elapsed = perf_counter() - begin
    for client in [client for group in clients.values() for client in group]:
        client.close()
    return {name: _build_outcome(counts, elapsed) for name, counts in seen.items()}


async def _connect(port: int, requests: Requests, begin: float, seen: Seen) -> list[Connection]:
    loop = asyncio.get_running_loop()
    # Groups with `times` have no warm-up: each request counts.
    since = 0 if requests.times else begin
    clients = []
    for texts in requests.connections:
        encoded = cycle([text.encode() for text in texts])
        turns = islice(encoded, requests.times) if requests.times else encoded
        client = Connection(turns, requests.pace, since, seen)
        await loop.create_connection(lambda client=client: client, "127.0.0.1", port)  # type: ignore[misc]  # mypy#15459
        clients.append(client)
    return clients


def _build_outcome(seen: Seen, elapsed: float) -> Outcome:
    return Outcome(seen.total, dict(seen.statuses), len(seen.latencies) / elapsed, sorted(seen.latencies))


def main() -> None:
    """Read a plan, run it, print the outcomes."""
    plan = json.load(sys.stdin)
    requests = {name: Requests(**group) for name, group in plan.pop("requests").items()}
    outcomes = uvloop.run(carry_out(Plan(**plan, requests=requests)))
    json.dump({name: asdict(outcome) for name, outcome in outcomes.items()}, sys.stdout)


if __name__ == "__main__":
    main()
