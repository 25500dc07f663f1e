"""The service's own processes are killed or stopped."""

import asyncio
from typing import Final, cast

from faults.databases import MARIADB, Server
from faults.journal import NO_ANSWER, WRITE, Write
from faults.raw_requests import send, write_request
from faults.run import STOP_SECONDS, Run, in_thread
from faults.scenario import EVERYWHERE, ONE_DATABASE, scenario

KILLS: Final = 3
BETWEEN: Final = 1.5
DOWN: Final = 1.0
# A request that began so shortly before SIGTERM may meet a connection that is just being closed.
JUST_SENT: Final = 0.1
SLOW: Final = 30
STAY: Final = 25.0


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
    await _stop(run)
    run.journal.end_fault()


@scenario(*ONE_DATABASE)
async def sigterm_with_slow_clients(run: Run) -> None:
    """SIGTERM comes while 30 clients have sent half a body, and one does not read the answers to 30 requests."""
    account = run.workload.accounts[0]
    body = {"amount": "9.99", "currency": "EUR", "date": "2026-01-31", "description": "half"}
    half = write_request(account, Write(account.name, "half", WRITE, "POST", "/expenses", body, {}))[:-20]
    unread = f"GET /expenses?limit=200 HTTP/1.1\r\nHost: localhost\r\nAuthorization: {account.authorization}\r\n\r\n"
    clients = [send(account, half, stay=STAY) for _ in range(SLOW)] + [send(account, unread.encode() * SLOW, stay=STAY)]
    waiting = asyncio.gather(*clients)
    await asyncio.sleep(DOWN)
    await _stop(run)
    run.journal.end_fault()
    await waiting


@scenario(MARIADB, needs_process=True)
async def sigterm_while_frozen(run: Run) -> None:
    """SIGTERM comes while the database is suspended: what waits for it is given up."""
    process = cast("Server", run.database).process
    try:
        process.freeze()
        await asyncio.sleep(DOWN)
        await _stop(run, answers_all=False)
    finally:
        process.thaw()
    run.journal.end_fault()


async def _stop(run: Run, *, answers_all: bool = True) -> None:
    """Stop the service by SIGTERM and start it again; complain if it ends badly or leaves requests unanswered."""
    told = asyncio.get_running_loop().time()
    code, seconds = await in_thread(run.service.stop)
    if code != 0 or seconds > STOP_SECONDS:
        run.journal.complain(f"SIGTERM took {seconds:.1f} s and ended with {code}")
    cut = [it for it in run.journal.answers if it.began < told - JUST_SENT and told < it.ended]
    lost = sum(answer.status == NO_ANSWER for answer in cut)
    if lost and answers_all:
        run.journal.complain(f"{lost} of {len(cut)} requests in flight at SIGTERM were not answered")
    await in_thread(run.service.start)


@scenario(*ONE_DATABASE, quick=ONE_DATABASE, services=2)
async def two_services(run: Run) -> None:
    """Two services write to one database, each account through both, and one of them is killed meanwhile."""
    await asyncio.sleep(BETWEEN)
    await in_thread(run.services[1].kill)
    await asyncio.sleep(DOWN)
    await in_thread(run.services[1].start)
    run.journal.end_fault()
    await asyncio.sleep(BETWEEN)
