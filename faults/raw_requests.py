"""Requests as bytes, for clients that do not behave: they send a part, do not read, or go away."""

import asyncio
import json
from contextlib import suppress
from urllib.parse import urlsplit

from faults.client import Account
from faults.journal import Write


def write_request(account: Account, write: Write) -> bytes:
    """Return a write as the bytes that its account sends."""
    # As the account's own client writes it: another text under the same key would be another request.
    body = json.dumps(write.body, separators=(",", ":")).encode()
    head = (
        f"{write.method} {write.path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {account.authorization}\r\n"
        f"Idempotency-Key: {write.key}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def send(account: Account, request: bytes, stay: float = 0.0) -> None:
    """Send bytes, stay for some seconds without reading, and go away."""
    with suppress(OSError):
        _, writer = await asyncio.open_connection(urlsplit(account.url).hostname, urlsplit(account.url).port)
        writer.write(request)
        with suppress(TimeoutError):
            await asyncio.wait_for(writer.drain(), 1.0)
        await asyncio.sleep(stay)
        writer.transport.abort()
