"""Python processes that start quickly: forked from one that has imported the libraries, which takes two seconds.

    tests -- JSON on stdin --> parent --+-- fork --> python main.py      sent: [program, folder, streams, environment]
                                        +-- fork --> python -m uvicorn … answered: its pid
                                                                         sent: a pid; answered: its exit code or null

Each has memory, an environment, a folder and a process group of its own, and runs its program as `__main__`. The
parent imports no module of the service, so that each process imports and configures them itself. `streams` are the
files of the standard input, output and error output; a terminal there controls the process.
"""

import atexit
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

CAN_FORK: Final = sys.platform == "linux"
"""On other systems, libraries of the system may fail after a fork."""
RUN_SECONDS: Final = 60
BECOME: Final = """
import json, os, runpy, sys

def become(program, folder, streams, environment):
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[1:1] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    for number, stream in enumerate(streams):
        opened = os.open(stream, os.O_WRONLY | os.O_APPEND if number else os.O_RDONLY)
        os.dup2(opened, number)
        os.close(opened)
    if program[0] == "-m":
        sys.argv = program[1:]
        runpy.run_module(program[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = program
        sys.path[0] = os.path.dirname(program[0])
        runpy.run_path(program[0], run_name="__main__")
    sys.exit()
"""
PARENT: Final = f"""{BECOME}
import aiomysql, aiosqlite, alembic.command, alembic.config, alembic.script, anyio, fastapi.openapi.utils, gc
import fastapi_offline, filelock, jose.jwt, passlib.context, passlib.handlers.bcrypt, pydantic.v1, pydantic_settings
import pymysql, python_multipart, sqlalchemy.dialects.mysql, sqlalchemy.dialects.sqlite, sqlalchemy.ext.asyncio
import starlette.middleware.cors, uvicorn, zxcvbn

gc.collect()
gc.freeze()

def end_of(pid):
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None

for line in sys.stdin:
    asked = json.loads(line)
    answer = end_of(asked) if isinstance(asked, int) else os.fork() or become(*asked)
    print(json.dumps(answer), flush=True)
"""


class Fork:
    """A forked process, with those methods of `subprocess.Popen` that the tests need."""

    def __init__(
        self, program: Sequence[str], folder: Path, streams: Sequence[Path | str], environment: Mapping[str, str]
    ) -> None:
        self.args = program
        self.pid = int(_ask(_describe(program, folder, streams, environment)))
        self._code: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, if it has ended."""
        if self._code is None:
            self._code = _ask(json.dumps(self.pid))
        return self._code

    def terminate(self) -> None:
        """Ask it to end (SIGTERM)."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGTERM)

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code when it has ended; raise TimeoutExpired if it has not ended in `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            time.sleep(0.01)
        return code


def start(
    program: Sequence[str], folder: Path, streams: Sequence[Path | str], environment: Mapping[str, str]
) -> Fork | subprocess.Popen[bytes]:
    """Start a program for Python: forked, or in a new interpreter on systems that cannot fork."""
    if CAN_FORK:
        return Fork(program, folder, streams, environment)
    become = f"{BECOME}\nbecome(*json.loads(sys.argv[1]))"
    return subprocess.Popen([sys.executable, "-c", become, _describe(program, folder, streams, environment)])


def run(program: Sequence[str], folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a program for Python to its end, without input, and return its exit code and what it printed."""
    with TemporaryDirectory() as printed:
        out, err = Path(printed, "out"), Path(printed, "err")
        out.touch()
        err.touch()
        code = start(program, folder, (os.devnull, out, err), environment).wait(RUN_SECONDS)
        return subprocess.CompletedProcess(program, code, out.read_text(), err.read_text())


def _describe(
    program: Sequence[str], folder: Path, streams: Sequence[Path | str], environment: Mapping[str, str]
) -> str:
    return json.dumps([list(program), str(folder), [*map(str, streams)], dict(environment)])


def _ask(request: str) -> Any:  # noqa: ANN401
    parent = _parent()
    assert parent.stdin
    assert parent.stdout
    parent.stdin.write(f"{request}\n")
    return json.loads(parent.stdout.readline())


@cache
def _parent() -> subprocess.Popen[str]:
    """Start the process from which the others are forked; it ends with this one."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    atexit.register(parent.communicate)
    return parent
