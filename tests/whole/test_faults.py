"""The harness of `make faults`: its judge finds what is wrong in a ledger, and its table marks it."""

import asyncio
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Final, NoReturn

import pytest
from sqlalchemy import make_url

from faults.__main__ import main
from faults.client import write_once
from faults.databases import MARIADB, SQLITE, Database, SqliteFile
from faults.journal import BULK, READ, WRITE, Answer, Journal, Outcome, State, Write
from faults.judge import Verdict, judge_states
from faults.run import Row, Run
from faults.scenario import SCENARIOS
from faults.service import Vanished
from faults.stages import Stages
from faults.table import is_wrong, write_row
from faults.workload import Workload
from tests.support.servers import NoServer, free_port

AMOUNT: Final = State("1.00")
CHANGED: Final = State("2.00")
DELETED: Final = State("1.00", trashed=True)


def write(state: State, outcome: Outcome) -> Write:
    return Write("ada", "key", WRITE, "POST", "/expenses", None, {"lunch": state}, outcome=outcome)


CREATED: Final = write(AMOUNT, Outcome.ACKNOWLEDGED)

# The writes of one expense, what is there, and what the judge says of it.
CASES: Final[dict[str, tuple[list[Write], list[State], Verdict]]] = {
    "acknowledged and there": ([CREATED], [AMOUNT], Verdict()),
    "acknowledged and not there": ([CREATED], [], Verdict(lost=["lunch"])),
    "twice": ([CREATED], [AMOUNT, AMOUNT], Verdict(doubled=["lunch"])),
    "live and in the trash": (
        [CREATED, write(DELETED, Outcome.ACKNOWLEDGED)],
        [AMOUNT, DELETED],
        Verdict(doubled=["lunch"]),
    ),
    "refused and not there": ([write(AMOUNT, Outcome.REFUSED)], [], Verdict()),
    "refused and there": ([write(AMOUNT, Outcome.REFUSED)], [AMOUNT], Verdict(lied=["lunch"])),
    "an edit that was refused and happened": (
        [CREATED, write(CHANGED, Outcome.REFUSED)],
        [CHANGED],
        Verdict(lied=["lunch"]),
    ),
    "an edit that was acknowledged and did not happen": (
        [CREATED, write(CHANGED, Outcome.ACKNOWLEDGED)],
        [AMOUNT],
        Verdict(lost=["lunch"]),
    ),
    "unknown and there": ([write(AMOUNT, Outcome.UNKNOWN)], [AMOUNT], Verdict()),
    "unknown and not there": ([write(AMOUNT, Outcome.UNKNOWN)], [], Verdict()),
    "asked for by nobody": ([], [AMOUNT], Verdict(lied=["lunch"])),
}


@pytest.mark.parametrize(("writes", "there", "verdict"), CASES.values(), ids=CASES)
def test_the_judge_says_of_an_expense(writes: list[Write], there: list[State], verdict: Verdict) -> None:
    assert judge_states(writes, {"lunch": there} if there else {}) == verdict


def answer(status: int, code: str = "", seconds: float = 0.1, kind: str = WRITE) -> Answer:
    return Answer(kind, "ada", 0.0, seconds, status, None, code)


@pytest.mark.parametrize(
    ("given", "outcome"),
    [
        (answer(201), Outcome.ACKNOWLEDGED),
        (answer(412, "precondition_failed"), Outcome.REFUSED),
        (answer(503, "unavailable"), Outcome.REFUSED),
        (answer(503, "outcome_unknown"), Outcome.UNKNOWN),
        (answer(500, "internal_error"), Outcome.UNKNOWN),
        (answer(0, "ReadError"), Outcome.UNKNOWN),
        (answer(0, "ConnectError"), Outcome.REFUSED),
    ],
)
def test_an_answer_makes_a_write(given: Answer, outcome: Outcome) -> None:
    assert given.outcome is outcome


def test_nothing_happened_says_nothing_of_an_earlier_try() -> None:
    unknown = write(AMOUNT, Outcome.UNKNOWN)
    unknown.note(answer(503, "outcome_unknown"))
    unknown.note(answer(503, "unavailable"))
    assert unknown.outcome is Outcome.UNKNOWN


def test_healed_is_when_nothing_fails_any_more_and_every_owner_has_written() -> None:
    journal = Journal()
    journal.fault_ended = 10.0
    journal.answers += [
        Answer(WRITE, "ada", 10.1, 10.2, 201),
        Answer(WRITE, "ada", 10.5, 11.0, 503, None, "unavailable"),
        Answer(WRITE, "ada", 11.1, 11.5, 201),
        Answer(WRITE, "bob", 11.1, 12.0, 201),
        Answer(WRITE, "a newcomer", 19.0, 20.0, 204),
    ]
    assert journal.healed_after({"ada", "bob"}) == 2.0
    assert journal.healed_after({"ada", "bob", "cleo"}) is None


# --- the table --------------------------------------------------------------------------------------------------------


def row(
    *answers: Answer,
    verdict: Verdict | None = None,
    healed: float | None = 1.0,
    is_left_clean: bool = True,
    check: str = "ok",
) -> Row:
    journal = Journal()
    journal.answers.extend(answers)
    return Row("kill-worker", 7, journal, verdict or Verdict(), 0, healed, "none", is_left_clean, check, [])


def test_a_row_with_plain_503s_is_as_it_should_be() -> None:
    fine = row(answer(201), answer(503, "unavailable"), answer(503, "outcome_unknown"), answer(200, "", 50, BULK))
    assert not is_wrong(fine)
    assert len([*write_row(fine)]) == 1


WRONG: Final = {
    "1!": row(verdict=Verdict(lost=["lunch"])),
    "500 internal_error x1!": row(answer(500, "internal_error")),
    "6.1!": row(answer(200, "", 6.1, READ)),
    "11.5!": row(answer(201, "", 11.5)),
    "never!": row(healed=None),
    "10.5!": row(healed=10.5),
    "none!": row(is_left_clean=False),
    "wrong!": row(check="exit 1, problems ['a sum']"),
}


@pytest.mark.parametrize(("mark", "wrong"), WRONG.items(), ids=WRONG)
def test_a_wrong_cell_is_marked_and_the_seed_named(mark: str, wrong: Row) -> None:
    lines = [*write_row(wrong)]
    assert mark in lines[0]
    assert lines[0].startswith("! kill-worker")
    assert "seed 7" in lines[1]


# --- what is played, on which database --------------------------------------------------------------------------------

# Nobody listens there.
SERVER: Final = "mysql://root@127.0.0.1:1"


def exit_status(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["faults", *arguments])
    return main()


def test_a_run_that_plays_nothing_exits_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_status(monkeypatch, "--only", "kill-database", "--on", "sqlite") == 2
    assert "NOTHING WAS PLAYED" in capsys.readouterr().err


def test_a_server_given_by_its_url_need_not_be_installed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def find_nothing(*_: str) -> NoReturn:
        raise NoServer("it is not installed")

    monkeypatch.setattr("faults.__main__.find_program", find_nothing)
    assert exit_status(monkeypatch, "--only", "kill-worker", "--url", SERVER) == 1
    assert "Can't connect to MySQL server" in capsys.readouterr().out


def test_a_server_given_by_its_url_is_never_stopped_locked_or_reconfigured() -> None:
    played = {it.name for it in SCENARIOS if Stages(MARIADB, SERVER).can_play(it)}
    assert "connections-killed" in played
    assert played.isdisjoint({"kill-database", "server-read-only", "too-many-connections", "tables-locked"})


def open_and_fail(opened: list[Database]) -> None:
    with Stages(SQLITE).open(SCENARIOS[0]) as database:
        opened.append(database)
        raise LookupError("the first error")


def test_a_scenario_that_fails_leaves_no_database() -> None:
    opened: list[Database] = []
    with pytest.raises(LookupError):
        open_and_fail(opened)
    assert not Path(make_url(opened[0].urls[0]).database or "").parent.exists()


def test_a_database_that_cannot_be_closed_does_not_hide_why_its_scenario_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    closed = SqliteFile.close

    def close(file: SqliteFile) -> NoReturn:
        closed(file)
        raise OSError("the second error")

    monkeypatch.setattr(SqliteFile, "close", close)
    with pytest.raises(LookupError, match="the first error"):
        open_and_fail([])


async def test_the_writers_have_ended_when_their_connections_are_closed() -> None:
    before = asyncio.all_tasks()
    workload = Workload(Journal(), Random(7), [f"http://127.0.0.1:{free_port()}"], "w7")
    await workload.start()
    await asyncio.sleep(0)
    await workload.close()
    assert asyncio.all_tasks() == before


# --- one run, from the first write to the verdict ---------------------------------------------------------------------

COPY_ONE: Final = (
    "INSERT INTO expenses (owner_id, amount, currency, spent_on, description, revision, created_at, updated_at) "
    "SELECT owner_id, amount, currency, spent_on, description, revision, created_at, updated_at FROM expenses "
    "ORDER BY id LIMIT 1"
)
DELETE_ONE: Final = "DELETE FROM expenses WHERE id = (SELECT id FROM expenses ORDER BY id LIMIT 1 OFFSET 1)"
RENAME_ONE: Final = "UPDATE expenses SET description = ?, amount = 0 WHERE id = (SELECT MAX(id) FROM expenses)"
DELETE_UNDONE: Final = "INSERT INTO tombstones SELECT owner_id, 'expense', id, revision FROM expenses LIMIT 1"


@pytest.fixture
def database() -> Iterator[SqliteFile]:
    file = SqliteFile()
    yield file
    file.close()


async def write_for_a_while(run: Run) -> None:
    async with asyncio.timeout(60):
        while run.journal.count(Outcome.ACKNOWLEDGED) < 40:  # noqa: ASYNC110  # writers signal nobody
            await asyncio.sleep(0.05)


async def test_a_doctored_ledger_is_seen_through(database: SqliteFile) -> None:
    run = Run(database, seed=7)
    async with run.open():
        await write_for_a_while(run)
        await run.workload.stop()
        account = run.workload.accounts[0]
        refused = write_once(account, "refused", f"{account.name}-refused", "0.00")
        await account.try_write(refused)
        with closing(sqlite3.connect(database.path)) as connection, connection:
            for statement in (COPY_ONE, DELETE_ONE, DELETE_UNDONE, COPY_ONE):
                connection.execute(statement)
            connection.execute(RENAME_ONE, [f"{account.name}-refused"])
        row = await run.conclude("doctored", healed=0.0)
    assert (len(row.verdict.lost), len(row.verdict.doubled)) == (1, 1)
    assert row.verdict.lied == [f"{account.name}-refused"]
    assert "1 live expenses with a tombstone" in row.journal.problems
    assert any("wrong expense_count" in problem for problem in row.journal.problems)
    assert any("copies" in problem for problem in row.journal.problems)
    assert is_wrong(row)


async def test_a_service_that_is_killed_loses_nothing(database: SqliteFile) -> None:
    async def kill(run: Run) -> None:
        await write_for_a_while(run)
        await asyncio.to_thread(run.service.kill)
        await asyncio.to_thread(run.service.start)

    row = await Run(database, seed=7).play("killed", kill)
    assert (row.verdict, row.journal.problems, row.left_open) == (Verdict(), [], "none")
    assert row.healed is not None
    assert row.check == "ok"


async def test_a_service_that_vanishes_fails_the_run_with_its_exit_code(database: SqliteFile) -> None:
    async def kill(run: Run) -> None:
        await asyncio.to_thread(run.service.kill)

    with pytest.raises(Vanished, match="the service has ended with -9; its log ends with"):
        await Run(database, seed=7).play("vanished", kill)
