"""Clients that do not give up: they come from an address of their own, connect again, and wait no longer than they say.

As `benchmarks.load` it is a process of its own. `python -m benchmarks.crowd` reads a plan from the first line of stdin,
writes `ready`, and at its end the outcome. It ends when the plan says so, or when stdin ends, as it does with the
process that has started it.
"""

import asyncio
import json
import os
import re
import resource
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from itertools import count, cycle
from math import inf
from threading import Timer
from time import perf_counter
from typing import IO, Final, cast

import uvloop

from benchmarks import ROOT
from benchmarks.load import HEAD_END, find_quantile

# What a request may contain: a number that nobody has sent before, and the revision of the last answer that had one.
# What replaces them has the same length, so that Content-Length stays right.
NUMBER: Final = "{number}"
REVISION: Final = "{revision}"
# How long a request may have no answer before it counts as one that waits, when the time is over.
WAITING_SECONDS: Final = 1.0
CONNECT_SECONDS: Final = 5.0
SWEEP_SECONDS: Final = 0.1
LOST, UNREACHABLE, TIMEOUT, WAITING = "lost", "unreachable", "timeout", "waiting"
# A connection that breaks does so at once, and would make the others look faster.
IN_NO_TIME: Final = (LOST, UNREACHABLE)
LAST_CHUNK: Final = b"\r\n0\r\n\r\n"
"""An empty chunk, after the end of the one before."""
READY: Final = "ready\n"
# How long it may take to say what it has seen.
LAST_SECONDS: Final = 15
_UNREACHABLE_SECONDS: Final = 0.1
_KEPT_BYTES: Final = 8192
_CODE: Final = re.compile(rb'"code": ?"(\w+)"')
_ANSWERED_REVISION: Final = re.compile(rb'"revision": ?(\d+)')
_NUMBER, _REVISION = NUMBER.encode(), REVISION.encode()
# Larger for each process, so that two attacks of one run send different numbers.
_numbers: Final = count(os.getpid() * 1_000 % 90_000_000)


@dataclass(frozen=True)
class Group:
    """Connections that do the same."""

    connections: Sequence[Sequence[str]]
    """The requests of each connection, as HTTP/1.1 text, sent in turn and for ever."""
    copies: int = 1
    """How many connections send each of these."""
    source: str = "127.0.0.1"
    """The address from which they come."""
    filler: tuple[str, int] = ("", 0)
    """A text that stands so many times at the end of each request."""
    reads: bool = True
    """Whether answers are read."""
    patience: float = 10
    """Seconds that a connection waits for an answer before it is given up; 0: for ever."""
    pause: float = 0
    """Seconds between an answer and the next request."""
    pace: float = 0
    """The least seconds between two requests of a connection."""
    again: float = 0.01
    """Seconds between a lost connection and the next one."""
    enough: int = 0
    """The answers with which the group has seen enough."""


@dataclass(frozen=True)
class Plan:
    """The groups by name; they end after `seconds` if all have seen enough, else after `longest`."""

    port: int
    seconds: float
    longest: float
    groups: Mapping[str, Group]


@dataclass
class Outcome:
    """What a group has seen: requests sent, answers by status and code, latencies in seconds."""

    sent: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    """By `200`, `429 too_many_attempts`, and of what got no answer `lost`, `timeout`, `unreachable`, `waiting`."""
    latencies: list[float] = field(default_factory=list)
    """Of what got an answer, and of what waited in vain."""
    seconds: float = 0

    def note(self, answer: str, latency: float) -> None:
        """Count an answer, or what came instead."""
        self.answers[answer] += 1
        if answer not in IN_NO_TIME:
            self.latencies.append(latency)

    @property
    def p99(self) -> float:
        """The 99th percentile of the latencies, what got no answer included."""
        return find_quantile(sorted(self.latencies), 0.99)


class Silent(Exception):
    """A crowd has not said in time what it has seen."""


class Crowd:
    """A crowd at work, in a process on the same cores as this one."""

    def __init__(self, plan: Plan) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.crowd"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,
        )
        self._longest = plan.longest
        self._stdin, self._stdout = cast("IO[str]", self._child.stdin), cast("IO[str]", self._child.stdout)
        self._stdin.write(f"{json.dumps(asdict(plan), ensure_ascii=False)}\n")
        self._stdin.flush()
        if self._stdout.readline() != READY:
            self.kill()
            raise Silent

    def wait(self) -> dict[str, Outcome]:
        """Wait for the end that was planned, and return what each group has seen."""
        return self._listen(self._longest + LAST_SECONDS)

    def end(self) -> dict[str, Outcome]:
        """End it now, and return what each group has seen."""
        self._stdin.close()
        return self._listen(LAST_SECONDS)

    def kill(self) -> None:
        """Kill it if it still runs."""
        self._child.kill()
        self._child.wait()
        self._stdin.close()
        self._stdout.close()

    def _listen(self, seconds: float) -> dict[str, Outcome]:
        watchdog = Timer(seconds, self._child.kill)
        watchdog.start()
        try:
            told = self._stdout.read()
        finally:
            watchdog.cancel()
            self.kill()
        if not told:
            raise Silent
        return {
            name: Outcome(**outcome | {"answers": Counter(outcome["answers"])})
            for name, outcome in json.loads(told).items()
        }


# --- Inside the process -----------------------------------------------------------------------------------------------


class Client(asyncio.Protocol):
    """One connection after another: sends a request, reads the whole answer, sends the next."""

    def __init__(self, port: int, group: Group, requests: Sequence[bytes], seen: Outcome) -> None:
        self._requests = cycle(requests)
        self._port = port
        self._group = group
        self._seen = seen
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._revision = b"1"
        self._kept, self._length, self._expected, self._end = bytearray(), 0, 0.0, b""
        self._sent_at = 0.0
        self._is_over = False

    def start(self) -> None:
        """Connect, and begin."""
        if not self._is_over:
            self._connecting = self._loop.create_task(self._connect())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self._transport = cast("asyncio.Transport", transport)
        if not self._group.reads:
            self._transport.pause_reading()
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Collect the answer; once it is complete, note it and send the next request."""
        if not self._group.reads:
            return
        self._length += len(data)
        self._end = (self._end + data)[-len(LAST_CHUNK) :]
        if len(self._kept) < _KEPT_BYTES:
            self._kept += data
            if not self._expected and (end := self._kept.find(HEAD_END)) >= 0:
                self._expected = end + len(HEAD_END) + read_content_length(bytes(self._kept[:end]))
        is_complete = self._length >= self._expected if self._expected < inf else self._end == LAST_CHUNK
        if self._expected and is_complete and self._sent_at:
            self._take_answer()

    def connection_lost(self, _: Exception | None) -> None:
        """Note a request that got no answer, and connect again."""
        self._transport = None
        if self._is_over:
            return
        if self._sent_at:
            self._note(LOST)
        self._loop.call_later(self._group.again, self.start)

    def sweep(self) -> None:
        """Give up a request that has waited for too long."""
        if self._sent_at and self._group.patience and perf_counter() - self._sent_at > self._group.patience:
            self._note(TIMEOUT)
            if self._transport:
                self._transport.abort()

    def close(self) -> None:
        """Close the connection; note a request that waits."""
        self._is_over = True
        if self._sent_at and perf_counter() - self._sent_at > WAITING_SECONDS:
            self._note(WAITING)
        if self._transport:
            self._transport.abort()

    async def _connect(self) -> None:
        connecting = self._loop.create_connection(
            lambda: self, "127.0.0.1", self._port, local_addr=(self._group.source, 0)
        )
        began = perf_counter()
        try:
            await asyncio.wait_for(connecting, CONNECT_SECONDS)
        except (OSError, TimeoutError):
            self._seen.note(UNREACHABLE, perf_counter() - began)
            self._loop.call_later(max(self._group.again, _UNREACHABLE_SECONDS), self.start)

    def _ask(self) -> None:
        if self._transport is None or self._is_over:
            return
        self._kept.clear()
        self._length, self._expected, self._end = 0, 0.0, b""
        self._sent_at = perf_counter()
        self._seen.sent += 1
        self._transport.write(fill_in(next(self._requests), next(_numbers), self._revision))

    def _take_answer(self) -> None:
        sent_at, kept = self._sent_at, bytes(self._kept)
        self._note(read_answer(kept))
        if found := _ANSWERED_REVISION.search(kept):
            self._revision = found[1]
        wait = max(self._group.pause, sent_at + self._group.pace - perf_counter())
        if b"connection: close" in kept.lower():
            # The next request comes with the next connection.
            return
        if wait > 0:
            self._loop.call_later(wait, self._ask)
        else:
            self._ask()

    def _note(self, answer: str) -> None:
        self._seen.note(answer, perf_counter() - self._sent_at)
        self._sent_at = 0.0


def fill_in(request: bytes, number: int, revision: bytes) -> bytes:
    """Return a request with the number and the revision in their places."""
    return request.replace(_NUMBER, b"%08d" % number).replace(_REVISION, revision.ljust(len(_REVISION)))


def read_content_length(head: bytes) -> float:
    """Return the length of the body that belongs to this head; infinite if it comes in chunks."""
    if b"\r\ntransfer-encoding: chunked" in head.lower():
        return inf
    _, _, rest = head.lower().partition(b"\r\ncontent-length:")
    return int(rest.partition(b"\r\n")[0] or 0)


def read_answer(answer: bytes) -> str:
    """Return the status of an answer, and the code of its problem if it is one."""
    status = answer[9:12].decode(errors="replace")
    code = _CODE.search(answer) if status >= "4" else None
    return f"{status} {code[1].decode()}" if code else status


async def carry_out(plan: Plan) -> dict[str, Outcome]:
    """Carry out a plan until it ends, or until stdin does."""
    loop = asyncio.get_running_loop()
    seen = {name: Outcome() for name in plan.groups}
    clients = [
        Client(plan.port, group, requests, seen[name])
        for name, group in plan.groups.items()
        for requests in _encode(group)
        for _ in range(group.copies)
    ]
    is_told_to_end = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), is_told_to_end.set)
    began = perf_counter()
    for client in clients:
        client.start()
    sys.stdout.write(READY)
    sys.stdout.flush()
    while not is_told_to_end.is_set() and not _is_done(plan, seen, perf_counter() - began):
        with suppress(TimeoutError):
            await asyncio.wait_for(is_told_to_end.wait(), SWEEP_SECONDS)
        for client in clients:
            client.sweep()
    for client in clients:
        client.close()
    for outcome in seen.values():
        outcome.seconds = perf_counter() - began
    return seen


def _encode(group: Group) -> list[list[bytes]]:
    filler, times = group.filler
    return [[request.encode() + filler.encode() * times for request in requests] for requests in group.connections]


def _is_done(plan: Plan, seen: Mapping[str, Outcome], elapsed: float) -> bool:
    if elapsed >= plan.longest:
        return True
    return elapsed >= plan.seconds and all(
        len(seen[name].latencies) >= group.enough for name, group in plan.groups.items()
    )


def main() -> None:
    """Read a plan, carry it out, print the outcomes."""
    plan = json.loads(sys.stdin.buffer.readline())
    groups = {name: Group(**group) for name, group in plan.pop("groups").items()}
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    outcomes = uvloop.run(carry_out(Plan(**plan, groups=groups)))
    json.dump({name: vars(outcome) for name, outcome in outcomes.items()}, sys.stdout)


if __name__ == "__main__":
    main()
