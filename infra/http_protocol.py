"""uvicorn's HTTP protocol with bounds on what a client can send before its request is answered.

    state   what is awaited                      too much              too late
    ------  -----------------------------------  --------------------  -----------------------------------
    IDLE    the first byte of a request                                closed after KEEP_ALIVE, no answer
    HEAD    the rest of its head                 431, or 414 if the    408
                                                 URL goes on
    BODY    the rest of its body and, if that    431 (trailers and     the application's answer; closed if
            is chunked, its trailers             chunk extensions)     the request is answered already

httptools keeps whatever it is fed, so bytes are counted before it gets them. It is fed in pieces that end where a head
or a body ends. So, a request that would be the ninth without an answer, and the body of one whose turn has not come,
stay in one buffer, and nothing more is read from the client meanwhile.

What is refused is answered after the requests before it, and nothing of that connection is read any more.
"""

import asyncio
from enum import Enum, auto
from functools import partial
from http import HTTPStatus
from typing import Any, Final

import httptools
from uvicorn import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from infra.connections import Connections, Peers

MAX_HEAD_BYTES: Final = 32 * 1024
MAX_FIELDS: Final = 100
MAX_UNANSWERED: Final = 8
# A chunk of one byte has five bytes around it.
_FRAMING_PER_BYTE: Final = 16
_MAX_CHUNKED_PIECE: Final = 16 * 1024
_END: Final = b"\r\n\r\n"


class _State(Enum):
    IDLE = auto()
    HEAD = auto()
    BODY = auto()


_IDLE, _HEAD, _BODY = _State


class _TooManyFields(Exception):
    """A head, or the trailers of a body, have more fields than are taken."""


class _HeldFlow(FlowControl):
    """Lets nobody resume reading while bytes that were read already wait for their turn."""

    is_held = False

    def resume_reading(self) -> None:
        """Read on, unless bytes wait."""
        if not self.is_held:
            super().resume_reading()


class BoundedProtocol(HttpToolsProtocol):
    """One connection of a client."""

    flow: _HeldFlow
    peers: Peers

    def __init__(
        self,
        connections: Connections,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._open = connections
        self._bounds = connections.bounds
        self.waits_since = self.loop.time()
        self._state = _IDLE
        self._running: RequestResponseCycle | None = None
        """The request that the application answers."""
        self._refusal: HTTPStatus | None = None
        self._is_deaf = False
        """Whether what comes is thrown away."""
        self._held, self._held_at = b"", 0
        """What was read and is not fed yet, and from where on."""
        self._tail = b""
        """The last bytes fed of an unfinished head or body: its end may lie across two pieces."""
        self._head_bytes = 0
        self._head_since = 0.0
        self._is_line_complete = False
        self._length = 0
        """The Content-Length that the head announces."""
        self._body_left = 0
        """Bytes that are missing of such a body."""
        self._framing = 0
        self._trailers = 0
        self._unsent = 0
        self._progress_at = self.waits_since

    # --- the connection -----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn declares it
        """Take the connection, or refuse it if there are too many."""
        super().connection_made(transport)
        self.flow = _HeldFlow(transport)
        if not self._open.admit(self, self.client[0] if self.client else None):
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell every request of the connection, not only the last one, that its client is gone."""
        self._open.discard(self)
        self._stop_listening()
        for cycle in (self._running, *(cycle for cycle, _ in self.pipeline)):
            if cycle:
                _tell_gone(cycle)
        self.pipeline.clear()
        super().connection_lost(exc)

    def abort(self) -> None:
        """End the connection at once."""
        self._stop_listening()
        self.transport.abort()

    def shutdown(self) -> None:
        """End the connection after the answer that is being made: what is pipelined behind it is not begun."""
        self._refusal = None
        if self._state is not _BODY or self.cycle is not self._running:
            self._stop_listening()
        self.pipeline.clear()
        if self._running:
            self._running.keep_alive = False
        else:
            self.transport.close()

    def check(self, now: float) -> None:
        """End the connection if its client has let it wait for too long."""
        self._check_progress(now)
        if self.transport.is_closing():
            return
        if self._running:
            if not self._waits_for_client(now):
                self.peers.waiting.pop(self, None)
            elif self in self.peers.connections:
                self.peers.waiting.setdefault(self)
        elif self._state is _IDLE:
            if now - self.waits_since >= self._bounds.keep_alive:
                self._close()
        elif now - max(self.waits_since, self._head_since) >= self._bounds.head_seconds:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)

    def _check_progress(self, now: float) -> None:
        unsent = self.transport.get_write_buffer_size()
        if not unsent or unsent < self._unsent:
            self._progress_at = now
        self._unsent = unsent
        bounds = self._bounds
        if now - self._progress_at >= (bounds.stall_seconds_at_end if self._open.is_ending else bounds.stall_seconds):
            self.abort()

    def _waits_for_client(self, now: float) -> bool:
        """Whether the client has sent nothing more of a body, or read nothing of its answer, for a while."""
        since = self._head_since if self._state is _BODY and self.cycle is self._running else self._progress_at
        return now - since >= self._bounds.head_seconds

    def _close(self) -> None:
        self._stop_listening()
        self.transport.close()

    def _stop_listening(self) -> None:
        self._is_deaf = True
        self._held, self._held_at = b"", 0

    # --- what comes ---------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Feed the parser, as far as the bounds let it."""
        if self._is_deaf:
            return
        if not self._held and not self._running and self._state is _IDLE and data.find(_END) == len(data) - len(_END):
            # A whole head and nothing else, as most requests come.
            self._take(data)
            return
        self._held, self._held_at = (self._held[self._held_at :] + data if self._held else data), 0
        self._feed()

    def _feed(self) -> None:
        data, at = self._held, self._held_at
        while at < len(data) and not self._is_deaf:
            if self._running and self._has_to_wait():
                self._held_at = at
                self.flow.is_held = True
                self.flow.pause_reading()
                return
            end = self._find_end(data, at)
            self._take(data[at:end])
            at = end
        self._held, self._held_at = b"", 0
        self.flow.is_held = False

    def _has_to_wait(self) -> bool:
        if self._state is _BODY:
            return self.cycle is not self._running
        return len(self.pipeline) >= MAX_UNANSWERED - 1

    def _find_end(self, data: bytes, at: int) -> int:
        """Return where a piece ends: at the end of the head or the body at the latest."""
        if self._body_left:
            return at + self._body_left
        longest = at + _MAX_CHUNKED_PIECE if self._state is _BODY else len(data)
        if self._tail:
            across = (self._tail + data[at : at + len(_END) - 1]).find(_END)
            if across >= 0:
                return at + across + len(_END) - len(self._tail)
        found = data.find(_END, at, longest)
        return found + len(_END) if found >= 0 else longest

    def _take(self, piece: bytes) -> None:
        if self._body_left:
            self._body_left -= len(piece)
        elif self._state is _BODY:
            self._framing = max(self._framing, 0) + len(piece)
        elif self._head_bytes + len(piece) > MAX_HEAD_BYTES:
            self._refuse_head(piece)
            return
        else:
            self._head_bytes += len(piece)
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            # No other protocol is spoken here. The parser takes a body of this request for the next one, so that it
            # must be the last.
            if any(name in {b"content-length", b"transfer-encoding"} for name, _ in self.headers):
                self.cycle.keep_alive = False
                self._stop_listening()
        except httptools.HttpParserError as error:
            is_too_large = isinstance(error.__context__, _TooManyFields)
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE if is_too_large else HTTPStatus.BAD_REQUEST)
        else:
            self._note_taken(piece)

    def _note_taken(self, piece: bytes) -> None:
        if self._state is _IDLE:
            return
        self._tail = (self._tail + piece)[1 - len(_END) :]
        if self._state is _HEAD:
            self._is_line_complete = self._is_line_complete or b"\n" in piece.lstrip(b"\r\n")
        elif self._framing > MAX_HEAD_BYTES:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def _refuse_head(self, piece: bytes) -> None:
        taken = piece[: MAX_HEAD_BYTES - self._head_bytes]
        has_line = self._is_line_complete or b"\n" in taken.lstrip(b"\r\n")
        self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE if has_line else HTTPStatus.REQUEST_URI_TOO_LONG)

    # --- what the parser finds ----------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Begin a head."""
        super().on_message_begin()
        self._state = _HEAD
        self._length = 0
        self._head_since = self.loop.time()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a field of a head; those of trailers are counted and dropped (RFC 9110 section 6.5.1)."""
        if self._state is _BODY:
            self._trailers += 1
            if self._trailers > MAX_FIELDS:
                raise _TooManyFields
            return
        if len(self.headers) >= MAX_FIELDS:
            raise _TooManyFields
        name = name.lower()
        if name == b"content-length":
            self._length = int(value)
        elif name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Start to answer the request, or queue it."""
        super().on_headers_complete()
        self._state = _BODY
        self._head_bytes, self._tail, self._is_line_complete = 0, b"", False
        self._body_left = self._length

    def on_body(self, body: bytes) -> None:
        """Pass a part of the body on."""
        self._framing -= _FRAMING_PER_BYTE * len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request; if it is the last of its connection, so is what the client sends."""
        super().on_message_complete()
        self._state = _IDLE
        self._tail, self._body_left, self._framing, self._trailers = b"", 0, 0, 0
        if not self.cycle.keep_alive:
            self._is_deaf = True

    # --- what is answered ---------------------------------------------------------------------------------------------

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:  # noqa: ANN401  # as uvicorn declares it
        self._running = cycle
        self.peers.waiting.pop(self, None)
        self.peers.start_in_turn(self.loop, partial(self._start_unless_gone, cycle, app))

    def _start_unless_gone(self, cycle: RequestResponseCycle, app: Any) -> bool:  # noqa: ANN401  # as uvicorn declares it
        if self.transport.is_closing():
            return False
        super()._start_asgi_task(cycle, app)
        return True

    def on_response_complete(self) -> None:
        """Start to answer the next request, or wait for one."""
        self.server_state.total_requests += 1
        self._running = None
        if self.transport.is_closing():
            return
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self.waits_since = self.loop.time()
            self.peers.waiting.pop(self, None)
            self.peers.waiting[self] = None
            if self._refusal:
                self._answer_refusal(self._refusal)
                return
        if self._held:
            self._feed()
        self.flow.resume_reading()

    def _refuse(self, status: HTTPStatus) -> None:
        """Read nothing more of the client, and tell it why as soon as the requests before are answered."""
        self._stop_listening()
        if self._state is _BODY and not self._drop_request():
            self._close()
        elif self._running:
            self._refusal = status
        else:
            self._answer_refusal(status)

    def _drop_request(self) -> bool:
        """Drop the request whose body is refused; return False if its answer has begun."""
        if self.cycle.response_started:
            return False
        _tell_gone(self.cycle)
        if self.cycle is self._running:
            self._running = None
        else:
            self.pipeline.popleft()
        return True

    def _answer_refusal(self, status: HTTPStatus) -> None:
        self.flow.is_held = False
        self.flow.resume_reading()
        self.transport.write(self._open.render_refusal(status))
        # The client may still be sending: if the connection were closed now, it could lose the answer.
        self.transport.write_eof()
        self._open.let_linger(self, self.loop.time())


def _tell_gone(cycle: RequestResponseCycle) -> None:
    if not cycle.response_complete:
        cycle.disconnected = True
    cycle.message_event.set()
