"""A small application served through the protocol of `make run`, and clients that send it bytes as they like."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from ipaddress import IPv4Network, IPv6Network
from typing import Final, Self

import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from api.refusals import render_refusal
from infra.connections import Bounds, Connections
from infra.http_protocol import BoundedProtocol

BOUNDS: Final = {"in_all": 100, "per_address": 100, "keep_alive": 30}
LARGE: Final = 1 << 20


class Client:
    """A connection whose bytes the test chooses."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, *texts: str) -> Self:
        """Send texts."""
        self.writer.write("".join(texts).encode())
        return self

    async def read_all(self) -> str:
        """Return what comes until the connection is closed."""
        parts = []
        with suppress(ConnectionError):
            while part := await self.reader.read(LARGE):
                parts.append(part)
        return b"".join(parts).decode()

    async def read_answer(self) -> str:
        """Return the next answer, head and body."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
        return (head + await self.reader.readexactly(length)).decode()


class Served:
    """The application: it answers with the path and the body.

    `/wait…` is answered when it is told, `/large` with 1 MiB, and `/early` before its body has come.
    """

    def __init__(self, bounds: Bounds, trusted: Sequence[IPv4Network | IPv6Network] = ()) -> None:
        self.state = ServerState()
        self.told = asyncio.Event()
        self.begun = list[str]()
        self.gone = 0
        self.headers = list[bytes]()
        self.connections = Connections(bounds, render_refusal, trusted)
        self._clients = list[Client]()
        self._config = uvicorn.Config(self._answer, interface="asgi3", proxy_headers=False, log_config=None, ws="none")

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        self.begun.append(path)
        body, more = b"", path != "/early"
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.gone += 1
                return
            body, more = body + message["body"], message["more_body"]
        self.headers = [name for name, _ in scope["headers"]]
        if path.startswith("/wait"):
            await self.told.wait()
        text = b"x" * LARGE if path == "/large" else path.encode() + b" " + body
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(text))]})
        await send({"type": "http.response.body", "body": text})

    async def start(self) -> asyncio.Server:
        """Listen on a free port."""
        loop = asyncio.get_running_loop()
        make = partial(BoundedProtocol, self.connections, self._config, self.state, {})
        server = await loop.create_server(make, "127.0.0.1", 0)
        self.port: int = server.sockets[0].getsockname()[1]
        self.connections.watch(loop)
        return server

    async def connect(self, host: str = "127.0.0.1") -> Client:
        """Connect from an address of the loopback network."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=2**12, local_addr=(host, 0))
        self._clients.append(Client(reader, writer))
        return self._clients[-1]

    async def ask(self, *texts: str) -> str:
        """Send texts on a connection of their own, and return what comes until it is closed."""
        client = await self.connect()
        return await client.send(*texts).read_all()

    @property
    def only(self) -> BoundedProtocol:
        """The server's end of the only connection."""
        (protocol,) = self.state.connections
        assert isinstance(protocol, BoundedProtocol)
        return protocol

    def close(self) -> None:
        """Let all requests end, and close the connections."""
        self.told.set()
        for client in self._clients:
            client.writer.transport.abort()
        for protocol in list(self.state.connections):
            protocol.transport.abort()


@asynccontextmanager
async def serve(trusted: Sequence[IPv4Network | IPv6Network] = (), /, **bounds: float) -> AsyncIterator[Served]:
    """Serve the application with these bounds."""
    served = Served(Bounds(**BOUNDS | bounds), trusted)  # type: ignore[arg-type]  # each has its type
    server = await served.start()
    try:
        yield served
    finally:
        served.close()
        server.close()
        served.connections.stop()


def get(path: str = "/", *fields: str) -> str:
    """Return a GET request."""
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: localhost", *fields, "", ""])


def post(body: str, path: str = "/", *fields: str) -> str:
    """Return a POST request whose body has a Content-Length."""
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", *fields, "", body])


def post_chunked(*chunks: str, trailers: Sequence[str] = (), extension: str = "") -> str:
    """Return a POST request whose body comes in chunks."""
    coded = [f"{len(chunk):x}{extension}\r\n{chunk}\r\n" for chunk in chunks]
    head = "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    return "".join([head, *coded, "0\r\n", *(f"{trailer}\r\n" for trailer in trailers), "\r\n"])
