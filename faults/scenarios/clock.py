"""The service's clock is set forth and back."""

import asyncio
from typing import Final

from faults import shifted_clock
from faults.run import Run, in_thread
from faults.scenario import ONE_DATABASE, scenario

HOUR: Final = 3600
DAY: Final = 24 * HOUR
STAY: Final = 1.5


@scenario(*ONE_DATABASE, quick=ONE_DATABASE)
async def clock_jumps(run: Run) -> None:
    """The clock of the service jumps by an hour and by a day, forth and back, and is right again at the end."""
    shift = run.service.folder / "shift"
    shift.write_text("0")
    await in_thread(run.service.stop)
    await in_thread(lambda: run.service.start(["-m", shifted_clock.__name__], **{shifted_clock.FILE: str(shift)}))
    for seconds in (HOUR, 0, -HOUR, 0, DAY, 0, -DAY, 0):
        shift.write_text(str(seconds))
        await asyncio.sleep(STAY)
    run.journal.end_fault()
