"""Sends one request to an app as messages of ASGI."""

import anyio
from starlette.types import ASGIApp, Message, Scope


async def exchange(app: ASGIApp, method: str, path: str, *messages: Message) -> list[Message]:
    """Return all messages that an app sends after it has received these; httpx would hide wrong ones."""
    arriving = iter(messages or [{"type": "http.request", "body": b"", "more_body": False}])
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
