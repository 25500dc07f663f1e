"""A child process that does what its arguments say: `python -m tests.support.child`."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from infra.child_limits import begin


def write(value: object) -> None:
    sys.stdout.write(json.dumps(value) + "\n")


def read(_: object) -> None:
    content = sys.stdin.buffer.read()
    write({"size": len(content), "first": content[:1].hex()})


def repeat(times: int) -> None:
    line = json.dumps({"number": 1, "text": "x" * 480})
    sys.stdout.writelines(f"{line}\n" for _ in range(times))


def describe(_: object) -> None:
    write(
        {
            "environment": dict(os.environ),
            "arguments": sys.argv[2:],
            "files": [it.name for it in Path("/proc/self/fd").iterdir()],
            "nice": os.nice(0),
            "leads": os.getsid(0) == os.getpid(),
            "core": resource.getrlimit(resource.RLIMIT_CORE)[0],
            "memory": Path("/proc/self/status").read_text(encoding="ascii"),
        }
    )


def sleep(path: str) -> None:
    """Sleep for long, after the id of this process was written to a file."""
    Path(path).write_text(str(os.getpid()), encoding="ascii")
    time.sleep(60)


def sleep_in_another(path: str) -> None:
    """Sleep in a process of its own."""
    subprocess.run([sys.executable, "-c", f"import tests.support.child as c; c.sleep({path!r})"], check=False)


def compute(_: object) -> None:
    while True:
        pass


def eat(_: object) -> None:
    eaten = []
    while True:
        eaten.append(bytearray(2**20))


def fail(message: str) -> None:
    sys.stderr.write(f"{message}\n")
    raise ValueError(message)


def die(number: int) -> None:
    os.kill(os.getpid(), number)


def abort(message: str) -> None:
    sys.stderr.write(f"{message}\n")
    os.kill(os.getpid(), signal.SIGABRT)


def print_text(text: str) -> None:
    sys.stdout.write(text)


def print_long(size: int) -> None:
    sys.stdout.write("x" * size)


DEEDS: Final[dict[str, Callable[[Any], None]]] = {
    it.__name__: it for it in (read, write, repeat, describe, sleep, sleep_in_another, compute, eat, fail, die, abort)
} | {it.__name__: it for it in (print_text, print_long)}

if __name__ == "__main__":
    deed, argument = begin()
    DEEDS[deed](argument)
