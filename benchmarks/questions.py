"""What `make bench scale` asks: requests of one user, and what each costs the service and the database."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Final
from urllib.parse import urlencode

from benchmarks.load import Outcome, Plan, Requests, run, write_get, write_post_form, write_post_json
from benchmarks.seeding import CATEGORIES, NEWEST, Person, write_sign_in
from benchmarks.workers import Worker, read_cpu_seconds

ALL_YEARS: Final = {"from": "2016-07-01", "to": NEWEST, "group_by": ["month", "category"]}
ONE_YEAR: Final = {**ALL_YEARS, "from": "2025-07-01"}
ONE_MONTH: Final = {"period": "2026-05", "group_by": "category"}
BY_PAYEE: Final = {**ONE_MONTH, "group_by": "payee"}
BY_TAG: Final = {**ONE_MONTH, "group_by": "tag"}
# Nothing is found, so every payee and description is looked at.
NOWHERE: Final = {"q": "zeppelin"}
EXPENSE: Final = {"amount": "12.50", "currency": "EUR", "date": NEWEST, "category": CATEGORIES[0]}
SIGN_IN: Final = "a sign-in, with a hash of cost 4"

# A question is asked once, and then in batches of about so many seconds.
BATCHES: Final = 3
BATCH_SECONDS: Final = 0.3
MOST: Final = 100
# The 101st sign-in of a user, on both databases together, would end the session that asks the other questions.
MOST_SIGN_INS: Final = 10


@dataclass(frozen=True)
class Asker:
    """A user, and one of that user's expenses."""

    person: Person
    expense: int


@dataclass(frozen=True)
class Question:
    """A request, and how many clients of the account send it at once."""

    title: str
    path: str
    query: Mapping[str, object]
    clients: int = 1
    body: Mapping[str, str] | None = None
    reads: str = ""
    """What it has to read more of in a larger ledger; empty: nothing, so its cost should stay."""

    def write(self, asker: Asker) -> str:
        """Write the request as HTTP/1.1 text."""
        person = asker.person
        if self.title == SIGN_IN:
            return write_post_form(self.path, write_sign_in(person.name))
        if self.body:
            return write_post_json(self.path, person.token, self.body)
        path = self.path.format(expense=asker.expense)
        return write_get(f"{path}?{urlencode(self.query, doseq=True)}", person.token)


QUESTIONS: Final = (
    Question("a page of the list", "/expenses", {"limit": 50}),
    Question("one expense", "/expenses/{expense}", {}),
    Question("a new expense", "/expenses", {}, body=EXPENSE),
    Question("a page of one payee", "/expenses", {"limit": 50, "payee": "payee 7"}),
    Question("the payees used most", "/payees", {}, reads="the newest 10,000 expenses"),
    Question("payees with two letters", "/payees", {"q": "99"}, reads="the newest 10,000 expenses, all payees' names"),
    Question("a page of the changes", "/changes", {"since": 0}),
    Question(SIGN_IN, "/users/token", {}),
    Question("the status of ten budgets", "/budgets/status", {"on": NEWEST}, reads="all expenses of the month"),
    Question("a month by category", "/reports/spending", ONE_MONTH, reads="all expenses of the month"),
    Question("a month by payee", "/reports/spending", BY_PAYEE, reads="all expenses of the month, its payees"),
    Question("a month by tag", "/reports/spending", BY_TAG, reads="all expenses of the month"),
    Question("a year by month, category", "/reports/spending", ONE_YEAR, reads="all expenses of the year"),
    Question("ten years by month, category", "/reports/spending", ALL_YEARS, reads="all expenses of the ten years"),
    Question("  and five of these at once", "/reports/spending", ALL_YEARS, 5, reads="all expenses of the ten years"),
    Question("a search that finds nothing", "/expenses", NOWHERE, reads="all texts: a part of a word is in no index"),
)


@dataclass(frozen=True)
class Answered:
    """The median latency and the CPU time of a request in seconds, and how many answers had which status."""

    median: float
    cpu: float
    """Of the service and the database together."""
    statuses: Mapping[str, int]

    @property
    def is_fine(self) -> bool:
        """Whether every answer was a success."""
        return all(status.startswith("2") for status in self.statuses)


def ask(service: Worker, database: int, question: Question, asker: Asker) -> Answered:
    """Ask a question in batches; `database` is the process of the database, or 0 if it is in that of the service."""
    first, cpu = _ask(service, database, question, asker, 1)
    outcomes, costs = [first], [cpu]
    if Answered(first.median, cpu, first.statuses).is_fine:
        most = MOST_SIGN_INS if question.title == SIGN_IN else MOST
        times = min(max(1, int(BATCH_SECONDS / first.median)), most)
        batches = [_ask(service, database, question, asker, times) for _ in range(BATCHES)]
        outcomes += [outcome for outcome, _ in batches]
        costs = [cost for _, cost in batches]
    latencies = [latency for outcome in outcomes for latency in outcome.latencies]
    statuses = {status: sum(it.statuses.get(status, 0) for it in outcomes) for it in outcomes for status in it.statuses}
    return Answered(median(latencies) if latencies else float("nan"), median(costs), statuses)


def _ask(service: Worker, database: int, question: Question, asker: Asker, times: int) -> tuple[Outcome, float]:
    """Return what each client got, and the CPU time of a request."""
    group = Requests([[question.write(asker)]] * question.clients, times=times)
    before = _read_cpu(service, database)
    outcome = run(Plan(service.port, 0, {"": group}))[""]
    return outcome, (_read_cpu(service, database) - before) / max(1, outcome.total)


def _read_cpu(service: Worker, database: int) -> float:
    return service.cpu_seconds + (read_cpu_seconds(database) if database else 0)
