"""The writers: each owns the expenses that it has made, and does one thing after another with them.

Nobody else touches a writer's expenses, so it knows which state each must be in. An expense is left alone as soon as
an answer gives reason for doubt: an unknown write is repeated once the service has healed, and some of the writes of
which the service said that nothing happened are never repeated, so that a lie stays visible.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Any, Final

from faults.client import Account, write_once
from faults.feed import Copy
from faults.journal import BULK, NOT_SENT, WRITE, Answer, Journal, Outcome, State, Write

ACCOUNTS: Final = 4
WRITERS_PER_ACCOUNT: Final = 2
PAUSE: Final = 0.02
PAUSE_AFTER_FAILURE: Final = 0.2
FOLLOW_EVERY: Final = 0.5
# How long writers that end may wait for the answers to what they have sent.
LAST_ANSWERS: Final = 5.0
# How often a writer does what, out of 100.
SHARES: Final = {"create": 38, "edit": 18, "delete": 20, "batch": 10, "import": 4, "read": 5, "newcomer": 5}
# A write of which the service says that nothing happened is repeated in this share of the cases, else left alone.
REPEATED: Final = 0.5


@dataclass
class Known:
    """An expense as its writer knows it."""

    mark: str
    amount: str
    id: int
    revision: int


class Writer:
    """One client of an account, which waits for each answer before it sends the next request."""

    def __init__(self, account: Account, number: int, random: Random, stopping: asyncio.Event) -> None:
        self._account = account
        self._stopping = stopping
        self._name = f"{account.name}-{number}"
        self._random = random
        self._known: list[Known] = []
        self._numbers = count(1)
        self._journal = account.journal
        self._actions: dict[str, Callable[[], Awaitable[Answer | None]]] = {
            "create": self._create,
            "edit": self._edit,
            "delete": self._delete,
            "batch": self._batch,
            "import": self._import,
            "read": self._read,
            "newcomer": self._register,
        }

    async def work(self) -> None:
        """Write until it is told to stop."""
        while not self._stopping.is_set():
            action = self._random.choices([*SHARES], [*SHARES.values()])[0]
            answer = await self._actions[action]()
            await asyncio.sleep(PAUSE_AFTER_FAILURE if answer and answer.is_failure else PAUSE)

    async def _create(self) -> Answer:
        number = next(self._numbers)
        write = write_once(self._account, f"{self._name}-{number}", self._mark(number), self._amount(number))
        answer = await self._try(write)
        if write.outcome is Outcome.ACKNOWLEDGED:
            self._learn(self._mark(number), answer.body)
        return answer

    async def _edit(self) -> Answer:
        if not (known := self._take()):
            return await self._create()
        amount = self._amount(next(self._numbers))
        write = self._write(WRITE, "PATCH", f"/expenses/{known.id}", {"amount": amount}, {known.mark: State(amount)})
        write.if_match = known.revision
        answer = await self._try(write)
        if write.outcome is Outcome.ACKNOWLEDGED:
            self._learn(known.mark, answer.body)
        return answer

    async def _delete(self) -> Answer:
        if not (known := self._take()):
            return await self._create()
        effects = {known.mark: State(known.amount, trashed=True)}
        write = self._write(WRITE, "DELETE", f"/expenses/{known.id}", None, effects)
        write.if_match = known.revision
        return await self._try(write)

    async def _batch(self) -> Answer:
        operations, effects = list[Any](), dict[str, State]()
        numbers = [next(self._numbers) for _ in range(3)]
        for number in numbers[:2]:
            data = {"amount": self._amount(number), "currency": "EUR", "date": "2026-01-31"}
            operations.append({"op": "create", "data": data | {"description": self._mark(number)}})
            effects[self._mark(number)] = State(self._amount(number))
        if edited := self._take():
            data = {"amount": self._amount(numbers[2])}
            operations.append({"op": "update", "id": edited.id, "revision": edited.revision, "data": data})
            effects[edited.mark] = State(self._amount(numbers[2]))
        if deleted := self._take():
            operations.append({"op": "delete", "id": deleted.id, "revision": deleted.revision})
            effects[deleted.mark] = State(deleted.amount, trashed=True)
        write = self._write(BULK, "POST", "/expenses/batch", {"operations": operations}, effects)
        answer = await self._try(write)
        if write.outcome is Outcome.ACKNOWLEDGED:
            self._learn_all(effects, answer.body["results"])
        return answer

    async def _import(self) -> Answer:
        """Import a statement of two rows, which is not touched again."""
        numbers = [next(self._numbers) for _ in range(2)]
        rows = [f"2026-01-31,{self._mark(number)},-{self._amount(number)},EUR\n" for number in numbers]
        effects = {self._mark(number): State(self._amount(number)) for number in numbers}
        statement = "".join(["Date,Description,Amount,Currency\n", *rows])
        return await self._try(self._write(BULK, "POST", "/imports", statement, effects))

    async def _read(self) -> Answer:
        return await self._account.read("/expenses", limit=50)

    async def _register(self) -> None:
        """Register somebody new, who signs in and mostly out again; unknown registrations are repeated at the end."""
        somebody = Account(f"{self._name}-{next(self._numbers)}", self._account.url, self._journal)
        try:
            if await somebody.register() is Outcome.ACKNOWLEDGED and await somebody.sign_in() is Outcome.ACKNOWLEDGED:
                await somebody.read("/users/me")
                if self._random.random() < 0.8:
                    await somebody.sign_out()
        finally:
            await somebody.close()

    async def _try(self, write: Write) -> Answer:
        """Send a write; repeat it, as a client would, in a part of the cases in which nothing happened."""
        answer = await self._account.try_write(write)
        while answer.code == NOT_SENT and not self._stopping.is_set():
            # Nothing was sent: the service is not there.
            await asyncio.sleep(PAUSE_AFTER_FAILURE)
            answer = await self._account.try_write(write)
        while answer.status == 503 and write.outcome is Outcome.REFUSED and self._random.random() < REPEATED:
            await asyncio.sleep(PAUSE_AFTER_FAILURE)
            answer = await self._account.try_write(write)
        return answer

    def _write(self, kind: str, method: str, path: str, body: Any, effects: dict[str, State]) -> Write:  # noqa: ANN401
        key = f"{self._name}-{next(self._numbers)}"
        write = Write(self._account.name, key, kind, method, path, body, effects)
        self._journal.writes.append(write)
        return write

    def _take(self) -> Known | None:
        """Return one of the known expenses, which is known again when its write is acknowledged."""
        return self._known.pop(self._random.randrange(len(self._known))) if self._known else None

    def _learn(self, mark: str, expense: dict[str, Any]) -> None:
        self._known.append(Known(mark, expense["amount"], expense["id"], expense["revision"]))

    def _learn_all(self, effects: dict[str, State], results: Sequence[dict[str, Any]]) -> None:
        for mark, result in zip(effects, results, strict=True):
            if result["expense"]:
                self._learn(mark, result["expense"])

    def _mark(self, number: int) -> str:
        return f"{self._name} {number}"

    def _amount(self, number: int) -> str:
        return f"{number // 100}.{number % 100:02}"


class Workload:
    """The accounts with their writers, and for each a client that keeps a copy of its ledger by the change feed."""

    def __init__(self, journal: Journal, random: Random, urls: Sequence[str], name: str) -> None:
        self.journal = journal
        # Each account's first writer asks one service, and its second the next one, if there are two.
        self.accounts = [Account(f"{name}-{number}", urls[number % len(urls)], journal) for number in range(ACCOUNTS)]
        self.copies = {account.name: Copy() for account in self.accounts}
        self._others: list[Account] = []
        self._urls = urls
        self._random = random
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def owners(self) -> set[str]:
        """The names of the accounts."""
        return {account.name for account in self.accounts}

    async def register(self) -> None:
        """Create the accounts, before anything is broken."""
        for account in self.accounts:
            await account.register()
            if await account.sign_in() is not Outcome.ACKNOWLEDGED:
                raise RuntimeError(f"{account.name} cannot sign in before the fault: {self.journal.answers[-1]}")

    async def start(self) -> None:
        """Let the writers write."""
        for account in self.accounts:
            for number, client in enumerate(await self._open_clients(account)):
                writer = Writer(client, number, Random(self._random.random()), self._stopping)
                self._tasks.append(asyncio.create_task(writer.work()))
            self._tasks.append(asyncio.create_task(self._follow(account)))

    def move_to(self, url: str) -> None:
        """Let all writers ask one service from now on."""
        for account in [*self.accounts, *self._others]:
            account.move_to(url)

    async def stop(self) -> None:
        """Let the writers end what they have begun."""
        self._stopping.set()
        await asyncio.gather(*self._tasks)

    async def close(self) -> None:
        """End the writers, in the middle of a request if that takes long, and close all connections."""
        self._stopping.set()
        # A request that is cancelled while it connects would leave its socket open.
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=LAST_ANSWERS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for account in [*self.accounts, *self._others]:
            await account.close()

    def find_account(self, name: str) -> Account:
        """Return the account of this name."""
        return next(account for account in self.accounts if account.name == name)

    async def register_again(self, seconds: float) -> None:
        """Repeat the registrations whose outcome is unknown, until an answer says what became of them."""
        deadline = asyncio.get_running_loop().time() + seconds
        for name in list(self.journal.registered):
            account = Account(name, self._urls[0], self.journal)
            while self.journal.registered[name] is Outcome.UNKNOWN and asyncio.get_running_loop().time() < deadline:
                await account.register()
            await account.close()

    async def _open_clients(self, account: Account) -> list[Account]:
        """Return a client for each writer of an account, each with a session of its own, on one service or another."""
        place = self._urls.index(account.url)
        clients = [account]
        for number in range(1, WRITERS_PER_ACCOUNT):
            url = self._urls[(place + number) % len(self._urls)]
            other = Account(account.name, url, self.journal)
            await other.sign_in()
            self._others.append(other)
            clients.append(other)
        return clients

    async def _follow(self, account: Account) -> None:
        copy = self.copies[account.name]
        while not self._stopping.is_set():
            await copy.catch_up(account)
            await asyncio.sleep(FOLLOW_EVERY)
