"""A proxy between an app and its MariaDB (or MySQL) that cuts a connection at a chosen statement.

cut_at("COMMIT", arrives=False)     app -- COMMIT --> proxy  X          server    never gets it
cut_at("COMMIT", arrives=True)      app -- COMMIT --> proxy -- COMMIT --> server  commits
                                    app  X            proxy <---- OK ---- server  the app gets no answer
"""

import asyncio
import socket
import struct
from contextlib import suppress
from typing import Final, Self

from sqlalchemy import URL

HEADER_BYTES: Final = 4
COM_QUERY: Final = 0x03
CHUNK: Final = 64 * 1024


class Proxy:
    """Forwards all bytes of both sides, until the statement comes at which it must cut the connection.

    Other connections, and later ones, are not affected. Connections must not be encrypted, because the proxy reads the
    statements.
    """

    def __init__(self, database: URL) -> None:
        """Forward to the server of this URL."""
        self._database = database
        self._listener: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self._ends: set[asyncio.StreamWriter] = set()
        self._cut: tuple[bytes, bool] | None = None

    @property
    def url(self) -> str:
        """The URL of the same database through the proxy."""
        assert self._listener, "the proxy listens only inside `async with`"
        port = self._listener.sockets[0].getsockname()[1]
        return self._database.set(host="127.0.0.1", port=port).render_as_string(hide_password=False)

    @property
    def has_cut(self) -> bool:
        """Whether the connection was cut."""
        return self._cut is None

    def cut_at(self, statement: str, *, arrives: bool) -> None:
        """Cut the connection of the next statement that begins with `statement`, once.

        If it `arrives`, the server executes it, and the connection is cut instead of forwarding the answer. Otherwise
        the server never gets it.
        """
        self._cut = statement.encode(), arrives

    def reset(self) -> None:
        """Reset all connections of both sides (RST), as a firewall or a peer that was restarted does."""
        for end in self._ends:
            no_farewell = struct.pack("ii", 1, 0)
            with suppress(OSError):  # it is closed already
                end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_farewell)
            end.transport.abort()

    def hang_up(self) -> None:
        """Close all connections of both sides (FIN), as a server does with those that idle for `wait_timeout`."""
        for end in self._ends:
            end.transport.close()

    async def __aenter__(self) -> Self:
        """Listen on a loopback port of its own."""
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Cut all open connections."""
        assert self._listener
        self._listener.close()
        for end in self._ends:
            end.transport.abort()
        await asyncio.gather(*self._serving)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._serving.add(task)
        far_reader, far_writer = await asyncio.open_connection(self._database.host, self._database.port or 3306)
        ends = {writer, far_writer}
        self._ends |= ends
        swallowing = asyncio.Event()
        pumps = [
            asyncio.create_task(self._pass_commands(reader, far_writer, swallowing)),
            asyncio.create_task(_pass_answers(far_reader, writer, swallowing)),
        ]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.transport.abort()
        await asyncio.gather(*pumps)
        for end in ends:
            with suppress(OSError):
                await end.wait_closed()
        self._ends -= ends
        self._serving.discard(task)

    async def _pass_commands(
        self, reader: asyncio.StreamReader, server: asyncio.StreamWriter, swallowing: asyncio.Event
    ) -> None:
        # A packet has a header and a content: the length of the content in three bytes, little-endian, and a sequence
        # number, which is 0 for each command. The content of a statement is 0x03 and its text.
        with suppress(EOFError, OSError):
            while True:
                header = await reader.readexactly(HEADER_BYTES)
                content = await reader.readexactly(int.from_bytes(header[:3], "little"))
                is_statement = header[3] == 0 and content[:1] == bytes([COM_QUERY])
                if self._cut and is_statement and content[1:].startswith(self._cut[0]):
                    (_, arrives), self._cut = self._cut, None
                    if not arrives:
                        return
                    swallowing.set()
                server.write(header + content)
                await server.drain()


async def _pass_answers(reader: asyncio.StreamReader, client: asyncio.StreamWriter, swallowing: asyncio.Event) -> None:
    with suppress(OSError):
        while (chunk := await reader.read(CHUNK)) and not swallowing.is_set():
            client.write(chunk)
            await client.drain()
