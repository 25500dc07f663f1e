"""The child's side of `infra/child_process.py`: a process limits itself before it looks at what may be hostile.

It imports little, because the process starts for each file that is read.
"""

import json
import math
import os
import resource
import signal
import sys
import traceback
from contextlib import suppress
from types import TracebackType
from typing import Any, Final

OUT_OF_MEMORY: Final = 77
"""The exit code of a process that has used up its memory."""
# The parent ends its child first; the child ends itself only if the parent was killed.
_GRACE_SECONDS: Final = 1


def begin() -> Any:  # noqa: ANN401
    """Limit this process as its parent says, and return the arguments that the parent has sent.

    Without a parent, as `python -m module < file` runs it, there are no limits, and the arguments are None.
    """
    if len(sys.argv) < 2:  # noqa: PLR2004  # the name of the program comes first
        return None
    with os.fdopen(int(sys.argv[1]), encoding="utf-8") as file:
        job = json.load(file)
    limit_resources(job["memory_bytes"], job["seconds"], job["answer_bytes"])
    return job["arguments"]


def limit_resources(memory_bytes: int, seconds: float, file_bytes: int | None = None) -> None:
    """Limit the memory, the time and the size of the files of this process; it leaves no core dump.

    A system that does not know one of the limits, as macOS that of memory, goes without.
    """
    # Each second of the processor's counts, of each of its threads.
    processor_seconds = math.ceil(seconds) + _GRACE_SECONDS
    _limit(resource.RLIMIT_CPU, processor_seconds)
    _limit(resource.RLIMIT_AS, memory_bytes)
    _limit(resource.RLIMIT_CORE, 0)
    if file_bytes is not None:
        _limit(resource.RLIMIT_FSIZE, file_bytes)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds + _GRACE_SECONDS)
    sys.excepthook = _end_with_error


def _limit(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
    with suppress(OSError, ValueError):
        resource.setrlimit(kind, (allowed, allowed))


def _end_with_error(kind: type[BaseException], _: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, MemoryError):
        # At once: nothing can be relied on.
        os._exit(OUT_OF_MEMORY)
    # The last line is the type of the error: its message may repeat what is in the file.
    traceback.print_tb(trace)
    print(kind.__name__, file=sys.stderr)  # noqa: T201
