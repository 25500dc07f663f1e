"""A relay between a service and its MySQL server, which can reset all connections at once."""

import asyncio
import socket
import struct
from contextlib import suppress
from typing import Final, Self

from sqlalchemy import URL

CHUNK: Final = 64 * 1024
# With this option a closed socket sends RST instead of FIN: linger on, for 0 s.
RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class Relay:
    """Forwards the bytes of both sides."""

    def __init__(self, database: URL) -> None:
        """Forward to the server of this URL."""
        self._database = database
        self._listener: asyncio.Server | None = None
        self._ends: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        """The URL of the same database through the relay."""
        if not self._listener:
            raise RuntimeError("the relay listens only inside `async with`")
        port = self._listener.sockets[0].getsockname()[1]
        return self._database.set(host="127.0.0.1", port=port).render_as_string(hide_password=False)

    def reset(self) -> None:
        """Reset all open connections, on both sides."""
        for end in list(self._ends):
            with suppress(OSError):
                end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            end.transport.abort()

    async def __aenter__(self) -> Self:
        """Listen on a loopback port of its own."""
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections."""
        if self._listener:
            self._listener.close()
        self.reset()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(self._database.host, self._database.port or 3306)
        ends = {writer, far_writer}
        self._ends |= ends
        pumps = [asyncio.create_task(_pass(reader, far_writer)), asyncio.create_task(_pass(far_reader, writer))]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.transport.abort()
        await asyncio.gather(*pumps)
        self._ends -= ends


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(CHUNK):
            writer.write(chunk)
            await writer.drain()
