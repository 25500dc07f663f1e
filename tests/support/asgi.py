"""One request by the messages of ASGI."""

import anyio
from fastapi import FastAPI
from starlette.types import Message, Scope


async def exchange(app: FastAPI, method: str, path: str, *coming: Message) -> list[Message]:
    """Return all that a service sends when these messages come: httpx hides what it should not have sent."""
    arriving = iter(coming or [{"type": "http.request", "body": b"", "more_body": False}])
    sent: list[Message] = []

    async def receive() -> Message:
        for message in arriving:
            return message
        await anyio.sleep_forever()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {
        "type": "http",
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
    }
    await app(scope, receive, send)
    return sent
