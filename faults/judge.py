"""The judge: compares the ledgers, read through the API and by SQL, with what the journal says must be in them.

    lost      an acknowledged write that is not there
    doubled   an expense that is there twice, or live and in the trash at once
    lied      a write of which the service said that it was refused, or that nothing happened, and that is there

Whatever else is wrong becomes a sentence in the journal: revisions, counts, sums, copies, orphans, sessions.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, Engine, text

from faults.client import Account
from faults.feed import Copy
from faults.journal import Journal, Outcome, State, Write
from faults.workload import Workload

PAGE: Final = 200
YEAR: Final = {"from": "2026-01-01", "to": "2026-12-31"}
EXPENSES: Final = (
    "SELECT users.username, expenses.description, expenses.amount, 0 AS trashed FROM expenses "
    "JOIN users ON users.id = expenses.owner_id UNION ALL "
    "SELECT users.username, trash.description, trash.amount, 1 FROM trash JOIN users ON users.id = trash.owner_id"
)
LEDGERS: Final = "SELECT users.username, revision, expense_count FROM ledgers JOIN users ON users.id = owner_id"
# What must be empty, by what it would mean. Written anew although `admin.invariants` has most of it: the judge does not
# read what `commands check` reads, or a fault of that check would hide itself.
ORPHANS: Final = {
    "expenses that are live and in the trash": "SELECT COUNT(*) FROM expenses JOIN trash ON trash.id = expenses.id",
    "ledgers with a wrong expense_count": (
        "SELECT COUNT(*) FROM ledgers WHERE expense_count <> "
        "(SELECT COUNT(*) FROM expenses WHERE expenses.owner_id = ledgers.owner_id)"
    ),
    "ledgers with a wrong trash_count": (
        "SELECT COUNT(*) FROM ledgers WHERE trash_count <> "
        "(SELECT COUNT(*) FROM trash WHERE trash.owner_id = ledgers.owner_id)"
    ),
    "expenses with a revision that their ledger has not reached": (
        "SELECT COUNT(*) FROM expenses JOIN ledgers ON ledgers.owner_id = expenses.owner_id "
        "WHERE expenses.revision > ledgers.revision"
    ),
    "users without a ledger": (
        "SELECT COUNT(*) FROM users LEFT JOIN ledgers ON ledgers.owner_id = users.id WHERE ledgers.owner_id IS NULL"
    ),
    "expenses without their category": (
        "SELECT COUNT(*) FROM expenses LEFT JOIN categories ON categories.id = expenses.category_id "
        "AND categories.owner_id = expenses.owner_id WHERE expenses.category_id IS NOT NULL AND categories.id IS NULL"
    ),
    "deleted expenses without a tombstone": (
        "SELECT COUNT(*) FROM trash LEFT JOIN tombstones ON tombstones.owner_id = trash.owner_id "
        "AND tombstones.kind = 'expense' AND tombstones.row_id = trash.id WHERE tombstones.row_id IS NULL"
    ),
    "live expenses with a tombstone": (
        "SELECT COUNT(*) FROM expenses JOIN tombstones ON tombstones.owner_id = expenses.owner_id "
        "AND tombstones.kind = 'expense' AND tombstones.row_id = expenses.id"
    ),
    "refresh tokens without a session": (
        "SELECT COUNT(*) FROM refresh_tokens LEFT JOIN sessions ON sessions.id = session_id WHERE sessions.id IS NULL"
    ),
}


@dataclass
class Verdict:
    """The expenses, and the accounts, that are not as the answers said, by their descriptions and names."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    lied: list[str] = field(default_factory=list)


def judge_states(writes: Iterable[Write], found: Mapping[str, Sequence[State]]) -> Verdict:
    """Compare what is there of each expense with what its writes must have made of it."""
    verdict = Verdict()
    by_mark: dict[str, list[Write]] = defaultdict(list)
    for write in writes:
        for mark in write.effects:
            by_mark[mark].append(write)
    for mark in by_mark.keys() | found.keys():
        rows, history = found.get(mark, ()), by_mark.get(mark, [])
        actual = rows[0] if rows else None
        if len(rows) > 1:
            verdict.doubled.append(mark)
        elif actual not in _list_expected(mark, history):
            refused = {write.effects[mark] for write in history if write.outcome is Outcome.REFUSED}
            (verdict.lied if actual in refused or not history else verdict.lost).append(mark)
    return verdict


def _list_expected(mark: str, history: Sequence[Write]) -> list[State | None]:
    """Return the states in which an expense may be: one, or more if a write was never answered."""
    states: list[State | None] = [None]
    for write in history:
        if write.outcome is Outcome.ACKNOWLEDGED:
            states = [write.effects[mark]]
        elif write.outcome is Outcome.UNKNOWN:
            states.append(write.effects[mark])
    return states


class Judge:
    """Judges the ledgers of a run after its writers have stopped."""

    def __init__(self, workload: Workload, engine: Engine) -> None:
        self._workload = workload
        self._journal = workload.journal
        self._engine = engine

    async def judge(self) -> Verdict:
        """Return what was lost, doubled or lied about, and complain of everything else in the journal."""
        with self._engine.connect() as connection:
            found = _read_expenses(connection)
            verdict = judge_states(self._journal.writes, found)
            _judge_accounts(connection, self._journal, verdict)
            self._complain_of_orphans(connection)
            self._complain_of_revisions(connection, verdict)
            self._complain_of_sessions(connection)
        for account in self._workload.accounts:
            await self._complain_of_answers(account, found)
        return verdict

    def _complain_of_orphans(self, connection: Connection) -> None:
        for meaning, query in ORPHANS.items():
            if number := connection.execute(text(query)).scalar_one():
                self._journal.complain(f"{number} {meaning}")

    def _complain_of_revisions(self, connection: Connection, verdict: Verdict) -> None:
        """Each write that happened took one revision, so a ledger's revision is their number."""
        if verdict.lost or verdict.lied or self._journal.unknown():
            return
        done = Counter(it.owner for it in self._journal.writes if it.outcome is Outcome.ACKNOWLEDGED)
        for row in connection.execute(text(LEDGERS)):
            if row.revision != done[row.username]:
                self._journal.complain(f"revision {row.revision} after {done[row.username]} writes of {row.username}")

    def _complain_of_sessions(self, connection: Connection) -> None:
        rows = connection.execute(text("SELECT sid, username FROM sessions JOIN users ON users.id = owner_id"))
        there: dict[str, set[str]] = defaultdict(set)
        for row in rows:
            there[row.username].add(row.sid)
        for name, known in self._journal.sessions.items():
            if missing := len(known.open - there[name]):
                self._journal.complain(f"{missing} acknowledged sessions of {name} are not there")
            if left := len(known.ended & there[name]):
                self._journal.complain(f"{left} sessions of {name} are there, whose end was acknowledged")
            if len(there[name]) > known.opened + known.unknown:
                self._journal.complain(f"{name} has more sessions than were opened")

    async def _complain_of_answers(self, account: Account, found: Mapping[str, Sequence[State]]) -> None:
        """Compare list, sum, trash and change feed, as the API answers them, with each other and with the rows."""
        listed, copy, name = await _read_list(account, "/expenses"), self._workload.copies[account.name], account.name
        fresh = Copy()
        if not (await copy.catch_up(account) and await fresh.catch_up(account)):
            self._journal.complain(f"the changes of {name} cannot be read")
        elif listed != fresh.expenses() or listed != copy.expenses() or fresh.rows != copy.rows:
            kept = len(copy.expenses())
            self._journal.complain(
                f"the copies of {name} differ: {len(listed)} listed, {len(fresh.expenses())} anew, {kept} kept"
            )
        live = [state for mark, states in found.items() if _owns(name, mark) for state in states if not state.trashed]
        total = sum((Decimal(state.amount) for state in live), Decimal())
        if len(listed) != len(live) or await _read_total(account) != total:
            self._journal.complain(f"list or report of {name} do not have the rows and the sum of the table")
        trashed = [it for mark, states in found.items() if _owns(name, mark) for it in states if it.trashed]
        if len(await _read_list(account, "/expenses/trash")) != len(trashed):
            self._journal.complain(f"the trash of {name} is not that of the table")


def _owns(name: str, mark: str) -> bool:
    return mark.startswith((f"{name}-", f"{name} "))


def _read_expenses(connection: Connection) -> dict[str, list[State]]:
    found: dict[str, list[State]] = defaultdict(list)
    for row in connection.execute(text(EXPENSES)):
        found[row.description].append(State(f"{Decimal(row.amount) / 1000:.2f}", bool(row.trashed)))
    return found


def _judge_accounts(connection: Connection, journal: Journal, verdict: Verdict) -> None:
    there = Counter(row.username for row in connection.execute(text("SELECT username FROM users")))
    for name, outcome in journal.registered.items():
        if there[name] > 1:
            verdict.doubled.append(name)
        if outcome is Outcome.ACKNOWLEDGED and not there[name]:
            verdict.lost.append(name)
        if outcome is Outcome.REFUSED and there[name]:
            verdict.lied.append(name)


async def _read_list(account: Account, path: str) -> dict[int, dict[str, Any]]:
    rows, query = dict[int, dict[str, Any]](), dict[str, Any](limit=PAGE)
    while True:
        answer = await account.read(path, **query)
        if answer.outcome is not Outcome.ACKNOWLEDGED:
            account.journal.complain(f"GET {path} of {account.name}: {answer.status} {answer.code}")
            return rows
        rows |= {row["id"]: row for row in answer.body["items"]}
        query["cursor"] = answer.body["next_cursor"]
        if query["cursor"] is None:
            return rows


async def _read_total(account: Account) -> Decimal | None:
    answer = await account.read("/reports/spending", **YEAR)
    if answer.outcome is not Outcome.ACKNOWLEDGED:
        return None
    return next((Decimal(total["total"]) for total in answer.body["totals"]), Decimal())
