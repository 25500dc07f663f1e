"""Child processes: whatever a child does, the service goes on, and nothing of the child is left."""

import asyncio
import re
import signal
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pytest

from infra.child_process import (
    USUAL,
    ChildEnded,
    ChildFailed,
    ChildLimits,
    ChildProcesses,
    ChildTooLarge,
    ChildTooSlow,
    describe_errors,
)
from infra.faults import OwnQueueFull

MODULE = "tests.support.child"
SHORT = ChildLimits(seconds=0.5)
SECRET = "Tr0ub4dor-and-3"


@pytest.fixture
def children() -> Iterator[ChildProcesses]:
    children = ChildProcesses(slots=2)
    yield children
    children.close()


@pytest.fixture
def statement() -> Iterator[int]:
    with TemporaryFile() as file:
        file.write(b"date;amount\r\n")
        file.flush()
        yield file.fileno()


@pytest.fixture
def started(tmp_path: Path) -> Path:
    """Where a child that sleeps writes its id."""
    return tmp_path / "started"


async def run(
    children: ChildProcesses, statement: int, deed: str, argument: object = None, limits: ChildLimits = USUAL
) -> list[Any]:
    """Return all that a child answers."""
    async with children.run(MODULE, statement, [deed, argument], "a client", limits) as lines:
        return [line async for line in lines]


def cancel(tasks: Iterable[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()


async def wait_for(path: Path) -> int:
    """Return the id that a child writes to a file."""
    assert await settled(lambda: read_id(path) is not None)
    return read_id(path) or 0


def read_id(path: Path) -> int | None:
    text = path.read_text() if path.exists() else ""
    return int(text) if text else None


async def settled(is_so: Callable[[], bool]) -> bool:
    """Whether something becomes so within five seconds: no event of this process tells."""
    async with asyncio.timeout(5):
        while not is_so():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return True


def is_gone(process: int) -> bool:
    """Whether a process has ended, and is no zombie."""
    return not Path(f"/proc/{process}").exists()


def has_ended(process: int) -> bool:
    """Whether a process has ended, also if it is not our child, and whoever must take note of that has not yet."""
    return is_gone(process) or Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].startswith("Z")


def count_files() -> int:
    """Return how many files this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


# What it is given


async def test_a_child_reads_the_file_from_its_beginning_each_time(children: ChildProcesses, statement: int) -> None:
    answers = [await run(children, statement, "read") for _ in range(2)]

    assert answers == [[{"size": 13, "first": "64"}]] * 2


@pytest.mark.parametrize("argument", [None, {"Ä": ["\ud800", "\0", 1.5]}, pytest.param("x" * 131_072, id="128 KiB")])
async def test_a_child_gets_its_arguments(children: ChildProcesses, statement: int, argument: object) -> None:
    assert await run(children, statement, "write", argument) == [argument]


async def test_a_child_knows_no_secret_and_holds_no_file_of_the_service(
    children: ChildProcesses, statement: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ASVS 5.0 13.3.2, 15.2.5: what reads files of strangers has nothing that is worth stealing."""
    for name in ("SECRET_KEY", "SECRET_KEY_PREVIOUS", "DATABASE_URL", "PYTHONPATH", "PYTHONSTARTUP"):
        monkeypatch.setenv(name, SECRET)

    [found] = await run(children, statement, "describe", SECRET)

    assert found["environment"].keys() <= {"PATH", "LC_ALL", "PYTHONUTF8", "LD_LIBRARY_PATH", "TMPDIR"}
    # The three standard ones, and the one by which they are listed: the one with the arguments is closed by then.
    assert (found["arguments"], len(found["files"])) == ([], 4)


async def test_a_child_stands_back_and_leaves_no_core_dump(children: ChildProcesses, statement: int) -> None:
    [found] = await run(children, statement, "describe")

    assert (found["nice"] >= 10, found["leads"], found["core"]) == (True, True, 0)


async def test_a_child_is_started_in_little_time_and_memory(children: ChildProcesses, statement: int) -> None:
    began = asyncio.get_running_loop().time()
    [found] = await run(children, statement, "describe")
    seconds, [kib] = asyncio.get_running_loop().time() - began, re.findall(r"VmHWM:\s+(\d+) kB", found["memory"])

    assert (seconds < 1.5, int(kib) < 40_000) == (True, True)


# What it may use


async def test_a_child_that_sleeps_is_killed(children: ChildProcesses, statement: int, started: Path) -> None:
    with pytest.raises(ChildTooSlow):
        await run(children, statement, "sleep", str(started), ChildLimits(seconds=1))

    process = await wait_for(started)
    assert await settled(lambda: is_gone(process))


async def test_what_a_child_has_started_is_killed_with_it(
    children: ChildProcesses, statement: int, started: Path
) -> None:
    running = asyncio.ensure_future(run(children, statement, "sleep_in_another", str(started)))
    process = await wait_for(started)
    running.cancel()

    assert await settled(lambda: has_ended(process))


async def test_a_child_that_computes_for_ever_is_killed(children: ChildProcesses, statement: int) -> None:
    with pytest.raises(ChildTooSlow):
        await run(children, statement, "compute", limits=SHORT)


@pytest.mark.parametrize("deed", ["compute", "sleep"])
async def test_a_child_that_nobody_kills_ends_by_itself(
    children: ChildProcesses, statement: int, started: Path, monkeypatch: pytest.MonkeyPatch, deed: str
) -> None:
    """As it must when the service itself was killed."""
    monkeypatch.setattr(asyncio, "timeout", lambda _: asyncio.Timeout(None))

    with pytest.raises(ChildTooSlow):
        await run(children, statement, deed, str(started), SHORT)


async def test_a_child_that_eats_memory_is_too_large(children: ChildProcesses, statement: int) -> None:
    with pytest.raises(ChildTooLarge):
        await run(children, statement, "eat", limits=ChildLimits(memory_bytes=128 * 2**20))


async def test_an_answer_that_is_too_long_is_not_read(children: ChildProcesses, statement: int) -> None:
    with pytest.raises(ChildEnded):
        await run(children, statement, "repeat", 5_000, ChildLimits(answer_bytes=2**20))


async def test_a_line_that_is_too_long_is_not_read(children: ChildProcesses, statement: int) -> None:
    with pytest.raises(ChildEnded):
        await run(children, statement, "write", "x" * 1_000, ChildLimits(line_bytes=500))


# How it ends


@pytest.mark.parametrize(
    ("deed", "argument", "failure"),
    [
        ("fail", "x", ChildEnded),
        ("die", signal.SIGSEGV, ChildEnded),
        ("die", signal.SIGTERM, ChildEnded),
        ("die", signal.SIGKILL, ChildTooLarge),
        ("die", signal.SIGXCPU, ChildTooSlow),
        ("abort", "memory allocation of 8 bytes failed", ChildTooLarge),
        ("abort", "index out of range", ChildEnded),
        ("print_text", "no JSON\n", ChildEnded),
        ("print_text", '{"a": 1}', ChildEnded),
        ("print_text", "\n", ChildEnded),
        ("print_text", "\udcff\n", ChildEnded),
        ("print_long", 300_000, ChildEnded),
    ],
)
async def test_a_child_that_fails_is_told_by_how_it_ended(
    children: ChildProcesses, statement: int, deed: str, argument: object, failure: type[ChildFailed]
) -> None:
    with pytest.raises(failure) as caught:
        await run(children, statement, deed, argument)

    assert caught.type is failure


async def test_a_child_that_writes_nothing_answers_nothing(children: ChildProcesses, statement: int) -> None:
    assert await run(children, statement, "print_text", "") == []


async def test_a_module_that_is_not_there_is_a_failure(children: ChildProcesses, statement: int) -> None:
    with pytest.raises(ChildEnded):
        async with children.run("tests.support.nobody", statement, None, "a client"):
            pass


async def test_the_log_tells_where_a_child_failed_and_no_value(
    children: ChildProcesses, statement: int, caplog: pytest.LogCaptureFixture
) -> None:
    """ASVS 5.0 16.2.5."""
    with pytest.raises(ChildEnded):
        await run(children, statement, "fail", f"{SECRET}\n" * 1_000)

    assert "exit code 1: ChildEnded, ValueError at " in caplog.text
    assert ("tests/support/child.py:" in caplog.text, SECRET in caplog.text) == (True, False)


@pytest.mark.parametrize("errors", [b"", b"a panic at 12.50", b"\xff\n" * 1_000, b"ValueError\n", b'  File "'])
def test_errors_that_are_none_of_python_are_not_logged(errors: bytes) -> None:
    assert describe_errors(errors) == ""


# When nobody waits for it


async def test_a_child_of_a_request_that_was_cancelled_is_killed(
    children: ChildProcesses, statement: int, started: Path
) -> None:
    running = asyncio.ensure_future(run(children, statement, "sleep", str(started)))
    process = await wait_for(started)
    running.cancel()

    assert await settled(lambda: is_gone(process))
    assert await run(children, statement, "write", 1) == [1]


async def test_a_child_that_is_just_being_started_is_killed_too(children: ChildProcesses, statement: int) -> None:
    running = asyncio.ensure_future(run(children, statement, "compute"))
    await asyncio.sleep(0)
    running.cancel()
    children.close()

    assert await settled(lambda: not children._running)


async def test_a_service_that_stops_kills_its_children(statement: int, started: Path) -> None:
    children = ChildProcesses(slots=1)
    running = asyncio.ensure_future(run(children, statement, "sleep", str(started)))
    process = await wait_for(started)
    children.close()

    assert is_gone(process)
    running.cancel()


async def test_no_file_is_left_open(children: ChildProcesses, statement: int) -> None:
    await run(children, statement, "write", 1)
    before = count_files()

    await run(children, statement, "repeat", 1_000)
    with pytest.raises(ChildEnded):
        await run(children, statement, "fail", "x")
    with pytest.raises(ChildTooSlow):
        await run(children, statement, "compute", limits=SHORT)
    children.close()

    assert await settled(lambda: count_files() <= before)


async def test_a_system_without_room_is_no_fault_of_the_file(
    children: ChildProcesses, statement: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")

    with pytest.raises(OSError, match="/nowhere"):
        await run(children, statement, "write", 1)


async def test_a_file_that_is_closed_takes_no_turn(children: ChildProcesses, statement: int) -> None:
    failures = await asyncio.gather(*[run(children, -1, "read") for _ in range(3)], return_exceptions=True)

    assert [type(it) for it in failures] == [OSError] * 3
    assert await run(children, statement, "write", 1) == [1]


# How many


async def test_a_client_leaves_half_of_the_processes_to_others(
    children: ChildProcesses, statement: int, started: Path
) -> None:
    """ASVS 5.0 15.2.2."""
    slow = [asyncio.ensure_future(run(children, statement, "sleep", str(started))) for _ in range(5)]
    await wait_for(started)

    async with children.run(MODULE, statement, ["write", 1], "another client") as lines:
        answer = [line async for line in lines]

    cancel(slow)
    assert answer == [1]


async def test_only_so_many_wait(statement: int, started: Path) -> None:
    children = ChildProcesses(slots=1, most_waiting=1)
    waiting = [asyncio.ensure_future(run(children, statement, "sleep", str(started))) for _ in range(3)]
    await wait_for(started)
    done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    children.close()

    assert [type(it.exception()) for it in done] == [OwnQueueFull]
    cancel(waiting)


# What others notice


async def test_a_long_answer_lets_others_be_served(children: ChildProcesses, statement: int) -> None:
    reading = asyncio.ensure_future(run(children, statement, "repeat", 50_000))
    gaps = [await measure_gap() for _ in iter(reading.done, True)]

    assert (len(reading.result()), max(gaps) < 0.1) == (50_000, True)


async def measure_gap() -> float:
    """Return how long a step on the event loop waits for its turn."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    await asyncio.sleep(0.001)
    return loop.time() - began - 0.001
