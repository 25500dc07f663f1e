"""Clients that go away, stop in the middle, or are slow, beside those that behave."""

import asyncio
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

from faults.client import Account, write_once
from faults.journal import State, Write
from faults.raw_requests import send, write_request
from faults.run import Run
from faults.scenario import ONE_DATABASE, scenario

MANY: Final = 500
GONE: Final = 200
STAY: Final = 8.0


@scenario(*ONE_DATABASE, quick=ONE_DATABASE)
async def clients_gone(run: Run) -> None:
    """200 clients send a write and go away without waiting for its answer; each of them is unknown."""
    for number in range(GONE):
        account = run.random.choice(run.workload.accounts)
        mark = f"{account.name}-gone {number}"
        write = write_once(account, f"{account.name}-gone-{number}", mark, f"7.{number % 100:02}")
        write.was_unknown = True
        await send(account, write_request(account, write))
    run.journal.end_fault()


@scenario(*ONE_DATABASE, quick=ONE_DATABASE)
async def half_sent_bodies(run: Run) -> None:
    """500 clients send half of a write and wait, and go away after 8 s; none of these may be there."""
    waiting = []
    for number in range(MANY):
        account = run.random.choice(run.workload.accounts)
        # Not in the journal: what nobody asked for as a whole, the judge takes for a lie if it is there.
        body = {"amount": "9.99", "currency": "EUR", "date": "2026-01-31", "description": f"half {number}"}
        half = Write(account.name, f"half-{number}", "write", "POST", "/expenses", body, {"half": State("9.99")})
        request = write_request(account, half)
        waiting.append(send(account, request[:-20], stay=STAY))
    await asyncio.gather(*waiting)
    run.journal.end_fault()


@scenario(*ONE_DATABASE)
async def slow_clients(run: Run) -> None:
    """500 clients: half of them send a byte of a write every half second, the others never read their answers."""
    waiting = []
    for number in range(MANY):
        account = run.random.choice(run.workload.accounts)
        if number % 2:
            head = (
                f"GET /expenses?limit=200 HTTP/1.1\r\nHost: localhost\r\nAuthorization: {account.authorization}\r\n\r\n"
            )
            waiting.append(send(account, head.encode() * 20, stay=STAY))
        else:
            mark = f"{account.name}-slow {number}"
            write = write_once(account, f"{account.name}-slow-{number}", mark, f"8.{number % 100:02}")
            write.was_unknown = True
            waiting.append(_drip(account, write_request(account, write)))
    await asyncio.gather(*waiting)
    run.journal.end_fault()


async def _drip(account: Account, request: bytes) -> None:
    """Send all but the last bytes at once, those one by one every half second, and go away."""
    with suppress(OSError):
        _, writer = await asyncio.open_connection(urlsplit(account.url).hostname, urlsplit(account.url).port)
        slowly = round(STAY / 0.5)
        writer.write(request[:-slowly])
        for byte in request[-slowly:]:
            await asyncio.sleep(0.5)
            writer.write(bytes([byte]))
        await writer.drain()
        writer.transport.abort()
