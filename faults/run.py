"""One run of one scenario: database, services, writers, the fault, the healing, and the verdict."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Any, Final, TypeVar

from faults.client import repeat_until_answered
from faults.databases import Database
from faults.journal import Journal
from faults.judge import Judge, Verdict
from faults.service import Service
from faults.workload import Workload

# Seconds: writing before the fault; nothing may fail for so long to count as healed; until this is given up; and until
# the unknown writes must be answered.
BEFORE: Final = 1.0
CALM: Final = 1.5
GIVE_UP: Final = 20.0
REPEAT: Final = 30.0
STOP_SECONDS: Final = 10.0
LOG_LINES: Final = 4
FRAMES: Final = 2

Result = TypeVar("Result")


@dataclass(frozen=True)
class Row:
    """What a run came to."""

    fault: str
    seed: int
    journal: Journal
    verdict: Verdict
    unknown: int
    healed: float | None
    left_open: str
    is_left_clean: bool
    check: str
    log: list[str]

    @property
    def happened(self) -> int:
        """How many of the unknown writes had happened."""
        return sum(write.happened for write in self.journal.writes)

    @property
    def longest(self) -> float:
        """The seconds that the slowest answer took."""
        return max((answer.seconds for answer in self.journal.answers), default=0.0)


class Run:
    """The stage of one scenario, which breaks and mends what is on it."""

    def __init__(self, database: Database, seed: int, *, workers: int = 1, services: int = 1) -> None:
        self.seed = seed
        self.random = Random(seed)
        self.journal = Journal()
        self.database = database
        key = ""
        self.services: list[Service] = []
        for number in range(services):
            self.services.append(Service(database.urls[number % len(database.urls)], key, workers=workers))
            key = self.services[0].secret_key
        self.workload = Workload(self.journal, self.random, [it.url for it in self.services], f"w{seed}")
        self.resources = AsyncExitStack()
        """What a scenario needs until the end of the run."""

    @property
    def service(self) -> Service:
        """The service, or the first of two."""
        return self.services[0]

    async def play(self, name: str, scenario: Callable[["Run"], Awaitable[None]]) -> Row:
        """Let the writers write, bring the fault about, wait until the service has healed, and judge."""
        async with self.open():
            await asyncio.sleep(BEFORE)
            await scenario(self)
            if self.journal.fault_ended is None:
                self.journal.end_fault()
            return await self.conclude(name, await self._wait_until_healed())

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Migrate, start the services, and let the writers begin; end all of them."""
        try:
            await in_thread(self.database.migrate)
            for service in self.services:
                await in_thread(service.start)
            await self.workload.register()
            await self.workload.start()
            yield
        finally:
            await self.workload.close()
            await self.resources.aclose()
            for service in self.services:
                service.close()

    async def _wait_until_healed(self) -> float | None:
        loop = asyncio.get_running_loop()
        ended = self.journal.fault_ended or loop.time()
        while loop.time() < ended + GIVE_UP:
            for service in self.services:
                service.refuse_vanished()
            healed = self.journal.healed_after(self.workload.owners)
            if healed is not None and loop.time() > ended + healed + CALM:
                return healed
            await asyncio.sleep(0.1)
        return None

    async def conclude(self, name: str, healed: float | None) -> Row:
        """Let the writers stop, repeat what is unknown until it is answered, and judge."""
        await self.workload.stop()
        unknown = sum(it.was_unknown for it in self.journal.writes)
        for write in self.journal.unknown():
            await repeat_until_answered(self.workload.find_account(write.owner), write, REPEAT)
        await self.workload.register_again(REPEAT)
        if left := len(self.journal.unknown()):
            self.journal.complain(f"{left} writes are still unknown after {REPEAT:.0f} s of repeating")
        engine = self.database.open_engine()
        verdict = await Judge(self.workload, engine).judge()
        engine.dispose()
        left_open, is_clean = await in_thread(lambda: self.database.find_left_open(len(self.services)))
        check = await in_thread(lambda: run_check(self.service, self.database.urls[0]))
        await self._stop()
        log = [line for service in self.services for line in _find_errors(service.log)]
        return Row(name, self.seed, self.journal, verdict, unknown, healed, left_open, is_clean, check, log)

    async def _stop(self) -> None:
        for service in self.services:
            code, seconds = await in_thread(service.stop)
            if code != 0 or seconds > STOP_SECONDS:
                self.journal.complain(f"after the run, SIGTERM took {seconds:.1f} s and ended with {code}")


async def in_thread(work: Callable[[], Result]) -> Result:
    """Run what blocks, while the writers go on."""
    return await asyncio.to_thread(work)


def run_check(service: Service, database_url: str) -> str:
    """Run `python -m commands check --json` on a database, and return "ok" or what is wrong."""
    # The service may reach it through a proxy, which understands no TLS; commands use it where a server offers it.
    done = service.run_command("check", "--json", DATABASE_URL=database_url)
    problems: Any = None
    if done.stdout.strip().startswith("{"):
        problems = json.loads(done.stdout).get("problems")
    return "ok" if done.returncode == 0 and problems == [] else f"exit {done.returncode}, problems {problems}"


def _find_errors(log: str) -> Iterator[str]:
    """Yield the last lines of a service's log that say what was not foreseen, and its most frequent warnings."""
    entries = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    errors = [entry for entry in entries if entry["level"] in {"ERROR", "CRITICAL"}]
    yield from map(_shorten, errors[-LOG_LINES:])
    warnings = Counter(entry["message"] for entry in entries if entry["level"] == "WARNING")
    yield from (f"{number} x {message}" for message, number in warnings.most_common(LOG_LINES))


def _shorten(entry: dict[str, Any]) -> str:
    """Return time, message, route and the errors with their innermost frames of a line of the log."""
    errors = [f"{it['type']} at {' '.join(it['frames'][-FRAMES:])}" for it in entry.get("error", [])]
    route = f"{entry.get('method', '')} {entry.get('route', '')}".strip()
    return "  ".join(filter(None, [entry["time"], entry["message"], route, *errors]))
