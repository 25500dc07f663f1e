"""Where the service spends its time: py-spy samples its worker while that answers one operation again and again.

A sample is the stack of the thread that runs. It counts for the function at its top, so also what that function calls
in C, such as `int` or a compiled driver. Threads that wait are left out.
"""

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks import ROOT
from benchmarks.load import Plan, Requests, run
from benchmarks.stage import Stage
from benchmarks.throughput import PEOPLE, QUICK_HASHES, BadAnswer, sign_up_people, write_requests
from benchmarks.workers import Worker, on, run_worker

SAMPLER: Final = Path(sys.executable).with_name("py-spy")
PER_SECOND: Final = 500
# The sampler takes a moment until it reads the first stack.
STARTING_SECONDS: Final = 1
WRITING_SECONDS: Final = 60
SHOWN: Final = 10
# What is left away of the path of a file.
_FOLDERS: Final = re.compile(rf"^({re.escape(str(ROOT))}/(?!\.venv/)|.*/site-packages/|.*/lib/python3\.\d+/)")
# A thread of a pool that waits for work, in C: py-spy believes that it runs.
_IDLE: Final = re.compile(r"_worker \(.*concurrent/futures/thread\.py:\d+\)")
_FRAME: Final = re.compile(r"(?P<name>.*) \((?P<file>.*)\)")


class NoSamples(Exception):
    """py-spy could not sample the worker; the message is what it said."""


@dataclass(frozen=True)
class Profile:
    """How many samples each function of the service had at the top of the stack, for one operation."""

    operation: str
    driver: str
    own: Counter[tuple[str, str]]
    """By function and file."""


def measure(stage: Stage, driver: str, operations: Sequence[str], seconds: int) -> Iterator[Profile]:
    """Sample each of these operations for so many seconds."""
    environment = {**stage.through(driver).environment, **QUICK_HASHES}
    with run_worker("main:app", environment, stage.core) as service:
        requests = write_requests(stage, sign_up_people(stage, service, f"{driver}-profile"))
        for operation in operations:
            with on(stage.others):
                stacks = _sample(service, requests[operation][:PEOPLE], seconds)
            yield Profile(operation, driver, count_own_samples(stacks))


def _sample(service: Worker, requests: Sequence[str], seconds: int) -> str:
    """Return the stacks of the service while it answers these requests, a line for each: frames and their number."""
    with TemporaryDirectory(prefix="expenses-bench-") as folder:
        stacks = Path(folder, "stacks")
        how = ["--format", "raw", "--function", "--full-filenames", "--rate", str(PER_SECOND)]
        what = ["--pid", str(service.process_id), "--duration", str(seconds), "--output", str(stacks)]
        command = [str(SAMPLER), "record", *how, *what]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as sampler:
            outcome = run(Plan(service.port, seconds + STARTING_SECONDS, {"": Requests([[text] for text in requests])}))
            said, _ = sampler.communicate(timeout=WRITING_SECONDS)
        if not all(status.startswith("2") for status in outcome[""].statuses):
            raise BadAnswer(outcome[""].statuses)
        if sampler.returncode or not stacks.exists():
            raise NoSamples(said)
        return stacks.read_text()


def count_own_samples(stacks: str) -> Counter[tuple[str, str]]:
    """Count the samples in which a function was at the top of the stack, which is the last frame of a line."""
    own = Counter[tuple[str, str]]()
    for line in stacks.splitlines():
        stack, _, number = line.rpartition(" ")
        top = stack.rpartition(";")[2]
        frame = _FRAME.fullmatch(top)
        if frame and not _IDLE.fullmatch(top):
            own[frame["name"], _FOLDERS.sub("", frame["file"])] += int(number)
    return own


def write_profile(profile: Profile) -> Iterator[str]:
    """Yield the costliest functions by their own time, with its share of all samples."""
    total = profile.own.total()
    yield ""
    yield f"own time of the service, {profile.operation}, {profile.driver}, costliest of {len(profile.own)} functions"
    for (name, file), number in profile.own.most_common(SHOWN):
        yield f"  {number / total:6.1%}  {name:48} {file}"
