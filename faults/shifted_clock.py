"""`python -m faults.shifted_clock`: run the service with its clock shifted by the seconds that a file contains.

The file is read ten times a second, so that the clock can be set while the service runs. Only wall clocks are shifted:
`time.monotonic` and the event loop's clock go on.
"""

import os
import runpy
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Final

import time_machine

from faults import ROOT

FILE: Final = "SHIFTED_CLOCK_FILE"
EVERY: Final = 0.1


def follow(path: Path, clock: time_machine.Traveller) -> None:
    """Shift the clock whenever the file says so."""
    shifted = 0
    while True:
        wanted = int(path.read_text() or shifted)
        if wanted != shifted:
            clock.shift(timedelta(seconds=wanted - shifted))
            shifted = wanted
        time.sleep(EVERY)


def main() -> None:
    """Start the service as `make run` does."""
    clock = time_machine.travel(time.time(), tick=True).start()
    threading.Thread(target=follow, args=(Path(os.environ[FILE]), clock), daemon=True).start()
    runpy.run_path(str(ROOT / "main.py"), run_name="__main__")


if __name__ == "__main__":
    main()
