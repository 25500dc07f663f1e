"""Child processes: each reads one file that may be hostile, in bounded time and memory.

    parent (this module)                                 child (`python -m MODULE`, infra/child_limits.py)
    waits for a turn: as many run as there are cores
    starts it, in a session of its own, at low           calls `begin`: limits itself, takes its arguments
      priority, with an environment without secrets      reads the file at its standard input
    kills it after a few seconds, if the request was     writes lines of JSON to its standard output
      cancelled, or when the service ends
    reads the lines, in slices                           has ended

Arguments, output and errors are unnamed temporary files. So there is no pipe to be read in time, the turn ends with the
process, and the lines can be read as slowly as the event loop likes.

    ChildFailed
        ChildTooSlow            it was killed at its deadline, or has used up its time
        ChildTooLarge           it has used up its memory
        ChildEnded              it ended in another way, or its answer is not what was agreed
"""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Final

from infra.child_limits import OUT_OF_MEMORY
from infra.fair_turns import FairTurns
from infra.log import logger, shorten_path
from infra.slices import iterate_in_slices

ROOT: Final = Path(__file__).parent.parent
NICENESS: Final = 10
MAX_WAIT_SECONDS: Final = 30
"""How long a request waits for its turn: as long as a long file of somebody else's takes."""
MAX_WAITING: Final = 100
_MIB: Final = 1024 * 1024
_ERROR_BYTES: Final = 2 * 1024
"""So much of the end of what a child writes to its standard error is looked at."""
_READ_BYTES: Final = 64 * 1024
_FRAME: Final = re.compile(r'^  File "([^"\n]+)", line (\d+), in ([\w.<>]+)$', re.MULTILINE)
_KIND: Final = re.compile(r"^([A-Za-z_][\w.]*)$", re.MULTILINE)
# What starting a program may need. Settings, and so secrets, are in none of these.
_KEPT_VARIABLES: Final = ("PATH", "LD_LIBRARY_PATH", "TMPDIR")


class ChildFailed(Exception):
    """A child process gave no answer."""


class ChildTooSlow(ChildFailed):
    """It was not ready in time."""


class ChildTooLarge(ChildFailed):
    """It needed more memory than it may use."""


class ChildEnded(ChildFailed):
    """It ended unexpectedly, or its answer is not what was agreed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildLimits:
    """What a child process may use."""

    seconds: float = 3
    """From its start to its end."""
    memory_bytes: int = 512 * _MIB
    answer_bytes: int = 64 * _MIB
    line_bytes: int = 256 * 1024


USUAL: Final = ChildLimits()


class ChildProcesses:
    """Runs child processes, as many at once as the machine has cores, and half of them for one client."""

    def __init__(self, slots: int | None = None, most_waiting: int = MAX_WAITING) -> None:
        slots = slots or os.cpu_count() or 1
        self._turns = FairTurns(slots, most_waiting, share=max(1, slots // 2))
        self._threads = ThreadPoolExecutor(slots, "child")
        self._running = set[_Child]()

    @asynccontextmanager
    async def run(
        self, module: str, file: int, arguments: object, client: Hashable, limits: ChildLimits = USUAL
    ) -> AsyncIterator[AsyncIterator[Any]]:
        """Run a module on a file, given by its descriptor, and yield the values of the lines that it has written.

        The arguments are JSON. Raises ChildFailed, also while the lines are read; QueueFull or OwnQueueFull if too many
        wait; OSError if the system has no room for a file or a process.
        """
        turn = await self._turns.acquire(client, MAX_WAIT_SECONDS)
        try:
            child = _Child(module, os.dup(file), arguments, limits)
            running = asyncio.get_running_loop().run_in_executor(self._threads, child.run)
        except BaseException:
            turn.release()
            raise
        self._running.add(child)
        # The turn ends with the process, also where nobody waits for that any more.
        running.add_done_callback(lambda _: turn.release())
        running.add_done_callback(lambda _: self._running.discard(child))
        try:
            await _wait(running, limits.seconds)
            yield child.read_answer()
        finally:
            child.end()

    def close(self) -> None:
        """Kill all child processes, and wait for their end."""
        for child in [*self._running]:
            child.end()
        self._threads.shutdown()


async def _wait(running: "asyncio.Future[None]", seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await asyncio.shield(running)
    except TimeoutError:
        logger.warning("a child process was not ready within %s seconds", seconds)
        raise ChildTooSlow from None


class _Child:
    """One process, and the files that it reads and writes."""

    def __init__(self, module: str, file: int, arguments: object, limits: ChildLimits) -> None:
        self._module = module
        self._file = file
        self._arguments = arguments
        self._limits = limits
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._is_running = True
        self._is_over = False
        self._answer: IO[bytes] | None = None

    # --- in a thread --------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Start the process, and wait until it has ended; raise ChildFailed, or OSError, unless it ended well."""
        try:
            self._answer = TemporaryFile(buffering=_READ_BYTES)  # noqa: SIM115  # it is read later
            with TemporaryFile() as job, TemporaryFile() as errors:
                job.write(self._write_job())
                job.seek(0)
                os.lseek(self._file, 0, os.SEEK_SET)
                code = self._run_process(job.fileno(), errors.fileno())
                if code and not self._is_over:
                    self._fail(code, _read_end(errors))
        finally:
            with self._lock:
                self._is_running = False
                if self._is_over:
                    self._close_files()

    def _write_job(self) -> bytes:
        limits = self._limits
        job = {
            "seconds": limits.seconds,
            "memory_bytes": limits.memory_bytes,
            "answer_bytes": limits.answer_bytes,
            "arguments": self._arguments,
        }
        return json.dumps(job).encode()

    def _run_process(self, job: int, errors: int) -> int:
        # No value that a client sent is in the arguments of the command, which every account of the machine can read.
        process = subprocess.Popen(  # noqa: S603  # a module of ours
            [sys.executable, "-s", "-m", self._module, str(job)],
            stdin=self._file,
            stdout=self._answer,
            stderr=errors,
            cwd=ROOT,
            env=_build_environment(),
            pass_fds=(job,),
            start_new_session=True,
        )
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
        with self._lock:
            self._process = process
            if self._is_over:
                self._kill()
        return process.wait()

    def _fail(self, code: int, errors: bytes) -> None:
        failure = _classify(code, errors)
        logger.warning(
            "the process of %s ended with %s: %s%s",
            self._module,
            f"exit code {code}" if code > 0 else f"signal {-code}",
            failure.__name__,
            describe_errors(errors),
        )
        raise failure

    # --- in the event loop --------------------------------------------------------------------------------------------

    def end(self) -> None:
        """Kill the process if it runs, and close its files."""
        with self._lock:
            if self._is_over:
                return
            self._is_over = True
            if self._is_running:
                self._kill()
            else:
                # Freeing the blocks of a long answer takes time.
                threading.Thread(target=self._close_files).start()

    def _kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                # With all that it may have started: it is the first process of its session.
                os.killpg(self._process.pid, signal.SIGKILL)

    def _close_files(self) -> None:
        os.close(self._file)
        if self._answer is not None:
            self._answer.close()

    def read_answer(self) -> AsyncIterator[Any]:
        """Iterate over the values of the lines that the process has written; others are served in between."""
        return iterate_in_slices(self._decode_lines())

    def _decode_lines(self) -> Iterator[Any]:
        file = self._answer
        if file is None:
            return
        if os.fstat(file.fileno()).st_size > self._limits.answer_bytes:
            raise ChildEnded
        file.seek(0)
        while line := file.readline(self._limits.line_bytes + 1):
            if not line.endswith(b"\n"):
                raise ChildEnded
            try:
                yield json.loads(line)
            except ValueError:
                raise ChildEnded from None


def _build_environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    return {"LC_ALL": "C.UTF-8", "PYTHONUTF8": "1", **kept}


def _read_end(file: IO[bytes]) -> bytes:
    size = os.fstat(file.fileno()).st_size
    return os.pread(file.fileno(), _ERROR_BYTES, max(0, size - _ERROR_BYTES))


def _classify(code: int, errors: bytes) -> type[ChildFailed]:
    # Libraries that are not written in Python abort where memory is missing, and the system kills.
    is_out_of_memory = code == -signal.SIGABRT and b"memory allocation" in errors
    if code in {OUT_OF_MEMORY, -signal.SIGKILL} or is_out_of_memory:
        return ChildTooLarge
    return ChildTooSlow if code in {-signal.SIGXCPU, -signal.SIGALRM} else ChildEnded


def describe_errors(errors: bytes) -> str:
    """Return the type and the frames of the error that ended a process, and nothing else that it has written."""
    text = errors.decode(errors="replace")
    frames = [f"{shorten_path(file)}:{line} {function}" for file, line, function in _FRAME.findall(text)]
    kinds = _KIND.findall(text)
    return f", {kinds[-1]} at {', '.join(frames)}" if kinds and frames else ""
