"""The journal: what the writers asked for and what they were told, by which the ledger is judged.

An answer makes a write acknowledged, refused or unknown:

    2xx                                   acknowledged: it must be there, once
    4xx, 503 `unavailable`, no service    refused: it must not be there
    503 `outcome_unknown`, 500, no answer unknown: it is repeated under its Idempotency-Key until it is one of the above
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Final

# The deadlines in seconds that the service promises, by the kind of request.
READ, WRITE, BULK, ACCOUNT = "read", "write", "bulk", "account"
DEADLINES: Final = {READ: 5.0, WRITE: 10.0, BULK: 60.0, ACCOUNT: 20.0}
# What a busy machine may add to a deadline, in seconds.
SLACK: Final = 1.0
NO_ANSWER: Final = 0
# The client's error if it found no service, so that nothing was sent.
NOT_SENT: Final = "ConnectError"


class Outcome(Enum):
    """What an answer says of a write."""

    ACKNOWLEDGED = auto()
    REFUSED = auto()
    UNKNOWN = auto()


@dataclass(frozen=True)
class Answer:
    """The answer to a request, or that there was none; times are those of the event loop, in seconds."""

    kind: str
    owner: str
    began: float
    ended: float
    status: int = NO_ANSWER
    body: Any = None
    code: str = ""
    """The problem's code; for no answer, the name of the client's error."""
    replayed: bool = False

    @property
    def outcome(self) -> Outcome:
        """What it says of a write."""
        if 200 <= self.status < 300:
            return Outcome.ACKNOWLEDGED
        if 400 <= self.status < 500 or self.code in {"unavailable", NOT_SENT}:
            return Outcome.REFUSED
        return Outcome.UNKNOWN

    @property
    def is_failure(self) -> bool:
        """Whether a client would say that the service is down."""
        return self.status == NO_ANSWER or self.status >= 500

    @property
    def seconds(self) -> float:
        """How long the client waited."""
        return self.ended - self.began

    @property
    def is_late(self) -> bool:
        """Whether it came after the deadline of its kind."""
        return self.seconds > DEADLINES[self.kind] + SLACK


@dataclass(frozen=True)
class State:
    """An expense at one moment: its amount, which is another after each write, and whether it is in the trash."""

    amount: str
    trashed: bool = False


@dataclass
class Write:
    """A write of a ledger under an Idempotency-Key, with the state of each of its expenses after it."""

    owner: str
    key: str
    kind: str
    method: str
    path: str
    body: Any
    """What is sent as JSON, or the text of a statement, which is sent as a file."""
    effects: Mapping[str, State]
    """By the expense's description, which is unique and never changes."""
    if_match: int | None = None
    outcome: Outcome = Outcome.UNKNOWN
    was_unknown: bool = False
    happened: bool = False
    """Whether an answer proved that an unknown write had happened."""

    def note(self, answer: Answer) -> None:
        """Learn from an answer; one that did not look at the key says nothing of an earlier, unknown try."""
        outcome = answer.outcome
        if outcome is Outcome.REFUSED and answer.status in {NO_ANSWER, 401, 429, 503} and self.was_unknown:
            outcome = Outcome.UNKNOWN
        self.was_unknown |= outcome is Outcome.UNKNOWN
        self.happened |= self.was_unknown and answer.replayed
        self.outcome = outcome


@dataclass
class Sessions:
    """What is known of an account's sessions: how many were opened, and the ids that must be there or be gone."""

    opened: int = 0
    unknown: int = 0
    open: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)


class Journal:
    """All writes and answers of a run, and when the fault began and ended."""

    def __init__(self) -> None:
        self.writes: list[Write] = []
        self.answers: list[Answer] = []
        self.registered: dict[str, Outcome] = {}
        self.sessions: dict[str, Sessions] = {}
        self.problems: list[str] = []
        self.fault_ended: float | None = None

    def end_fault(self) -> None:
        """Note that the fault has ended: from now on the service has to heal."""
        self.fault_ended = asyncio.get_running_loop().time()

    def complain(self, problem: str) -> None:
        """Note something else that is wrong, in a sentence; once, however often it is met."""
        if problem not in self.problems:
            self.problems.append(problem)

    def unknown(self) -> list[Write]:
        """Return the writes whose outcome is still unknown."""
        return [write for write in self.writes if write.outcome is Outcome.UNKNOWN]

    def count(self, outcome: Outcome) -> int:
        """Return how many writes, of ledgers and of accounts, have this outcome."""
        return sum(write.outcome is outcome for write in self.writes) + list(self.registered.values()).count(outcome)

    def server_errors(self) -> Counter[str]:
        """Count the answers of the server that are no client's mistake, by status and code."""
        return Counter(f"{it.status} {it.code}" for it in self.answers if it.status >= 500)

    def late(self) -> list[Answer]:
        """Return the answers that came after their deadline."""
        return [answer for answer in self.answers if answer.is_late]

    def healed_after(self, owners: set[str]) -> float | None:
        """Return after how many seconds every owner's writes were acknowledged and nothing failed any more, or None."""
        if self.fault_ended is None:
            return None
        later = list(self._answers_since(self.fault_ended))
        failed = max((answer.ended for answer in later if answer.is_failure), default=self.fault_ended)
        first: dict[str, float] = {}
        for answer in later:
            is_write = answer.kind == WRITE and answer.outcome is Outcome.ACKNOWLEDGED
            if is_write and answer.owner in owners and answer.ended >= failed:
                first.setdefault(answer.owner, answer.ended)
        return max(failed, *first.values()) - self.fault_ended if owners == first.keys() else None

    def _answers_since(self, instant: float) -> Iterator[Answer]:
        return (answer for answer in self.answers if answer.began >= instant)
