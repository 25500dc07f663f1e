"""The service's own processes are killed or stopped."""

import asyncio
from typing import Final

from faults.journal import NO_ANSWER
from faults.run import STOP_SECONDS, Run, in_thread
from faults.scenario import EVERYWHERE, ONE_DATABASE, scenario

KILLS: Final = 3
BETWEEN: Final = 1.5
DOWN: Final = 1.0
# A request that began so shortly before SIGTERM may meet a connection that is just being closed.
JUST_SENT: Final = 0.1


@scenario(*EVERYWHERE, quick=ONE_DATABASE, workers=2)
async def kill_worker(run: Run) -> None:
    """One of two workers is killed, three times; it must be started again by itself."""
    for _ in range(KILLS):
        run.service.kill_worker()
        await asyncio.sleep(BETWEEN)
    run.journal.end_fault()


@scenario(*EVERYWHERE, quick=ONE_DATABASE)
async def kill_service(run: Run) -> None:
    """The whole service is killed and started again, three times."""
    for _ in range(KILLS):
        await in_thread(run.service.kill)
        await asyncio.sleep(DOWN * run.random.random())
        await in_thread(run.service.start)
        await asyncio.sleep(DOWN * run.random.random())
    run.journal.end_fault()


@scenario(*ONE_DATABASE, quick=ONE_DATABASE)
async def sigterm_under_load(run: Run) -> None:
    """The service is stopped by SIGTERM: it answers what it has got, and ends with 0 within 10 s."""
    told = asyncio.get_running_loop().time()
    code, seconds = await in_thread(run.service.stop)
    if code != 0 or seconds > STOP_SECONDS:
        run.journal.complain(f"SIGTERM under load took {seconds:.1f} s and ended with {code}")
    cut = [it for it in run.journal.answers if it.began < told - JUST_SENT and told < it.ended]
    if lost := sum(answer.status == NO_ANSWER for answer in cut):
        run.journal.complain(f"{lost} of {len(cut)} requests in flight at SIGTERM were not answered")
    await in_thread(run.service.start)
    run.journal.end_fault()


@scenario(*ONE_DATABASE, quick=ONE_DATABASE, services=2)
async def two_services(run: Run) -> None:
    """Two services write to one database, each account through both, and one of them is killed meanwhile."""
    await asyncio.sleep(BETWEEN)
    await in_thread(run.services[1].kill)
    await asyncio.sleep(DOWN)
    await in_thread(run.services[1].start)
    run.journal.end_fault()
    await asyncio.sleep(BETWEEN)
