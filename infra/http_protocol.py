"""uvicorn's HTTP protocol with bounds on what a client can send before its request is answered.

    what is awaited                     too much                         too late
    ----------------------------------  -------------------------------  -----------------------------------
    the first byte of a request                                          closed after KEEP_ALIVE, no answer
    the rest of its head                431, or 414 if the URL goes on   408
    the rest of its body and, if that   431 (trailers, and what stands   the application's answer; closed if
    is chunked, its trailers            around the chunks)               the request is answered already

What is too much is counted by infra/message_bounds.py. httptools keeps whatever it is fed, so bytes are counted before
it gets them. It is fed in pieces that end where a head or a body ends. So, a request that would be the ninth without an
answer, and the body of one whose turn has not come, stay in one buffer, and nothing more is read from the client
meanwhile.

What is refused is answered after the requests before it, and nothing of that connection is read any more.
"""

import asyncio
from http import HTTPStatus
from typing import Any, Final

import httptools
from uvicorn import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from infra.connections import Connections, Peers
from infra.message_bounds import END, MAX_FIELDS, MessageBounds, State, TooManyFields

MAX_UNANSWERED: Final = 8
# Of a body whose request is answered already.
MAX_UNUSED_BYTES: Final = 64 * 1024


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
        self._connections = connections
        self._bounds = connections.bounds
        self.waits_since = self.loop.time()
        self._message = MessageBounds()
        self._running: RequestResponseCycle | None = None
        """The request that the application answers."""
        self._refusal: HTTPStatus | None = None
        self._ignores_input = False
        """Whether what comes is thrown away."""
        self._held, self._held_at = b"", 0
        """What was read and is not fed yet, and from where on."""
        self._head_since = 0.0
        self._unsent = 0
        self._progress_at = self.waits_since

    # --- the connection -----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn declares it
        """Take the connection, or refuse it if there are too many."""
        super().connection_made(transport)
        self.flow = _HeldFlow(transport)
        if not self._connections.admit(self, self.client[0] if self.client else None):
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell every request of the connection, not only the last one, that its client is gone."""
        self._connections.discard(self)
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
        if self._message.state is not State.BODY or self.cycle is not self._running:
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
        elif self._message.state is State.IDLE:
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
        if now - self._progress_at >= (
            bounds.stall_seconds_at_end if self._connections.is_ending else bounds.stall_seconds
        ):
            self.abort()

    def _waits_for_client(self, now: float) -> bool:
        """Whether the client has sent nothing more of a body, or read nothing of its answer, for a while."""
        is_coming = self._message.state is State.BODY and self.cycle is self._running
        since = self._head_since if is_coming else self._progress_at
        return now - since >= self._bounds.head_seconds

    def _close(self) -> None:
        self._stop_listening()
        self.transport.close()

    def _stop_listening(self) -> None:
        self._ignores_input = True
        self._held, self._held_at = b"", 0

    # --- what comes ---------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Feed the parser, as far as the bounds let it."""
        if self._ignores_input:
            return
        is_awaited = not self._held and not self._running and self._message.state is State.IDLE
        if is_awaited and data.find(END) == len(data) - len(END):
            # A whole head and nothing else, as most requests come.
            self._take(data)
            return
        self._held, self._held_at = (self._held[self._held_at :] + data if self._held else data), 0
        self._feed()

    def _feed(self) -> None:
        data, at = self._held, self._held_at
        while at < len(data) and not self._ignores_input:
            if self._running and self._has_to_wait():
                self._hold(at)
                return
            if at > self._held_at and self._message.is_chunked:
                # Others come first: small chunks can be sent faster than they are parsed.
                self._hold(at)
                self.loop.call_soon(self._feed_more)
                return
            end = self._message.find_end(data, at)
            self._take(data[at:end])
            at = end
        self._held, self._held_at = b"", 0
        self.flow.is_held = False

    def _hold(self, at: int) -> None:
        """Read nothing more until what is held is fed, from here on."""
        self._held_at = at
        self.flow.is_held = True
        self.flow.pause_reading()

    def _feed_more(self) -> None:
        if self._held and not self.transport.is_closing():
            self._feed()
            # Otherwise the application resumes it, once it has taken what has come of the body.
            if len(self.cycle.body) <= HIGH_WATER_LIMIT:
                self.flow.resume_reading()

    def _has_to_wait(self) -> bool:
        if self._message.state is State.BODY:
            return self.cycle is not self._running
        return len(self.pipeline) >= MAX_UNANSWERED - 1

    def _take(self, piece: bytes) -> None:
        if refusal := self._message.count(piece):
            self._refuse(refusal)
            return
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            # No other protocol is spoken here. The parser takes a body of this request for the next one, so that it
            # must be the last.
            if any(name in {b"content-length", b"transfer-encoding"} for name, _ in self.headers):
                self.cycle.keep_alive = False
                self._stop_listening()
        except httptools.HttpParserError as error:
            is_too_large = isinstance(error.__context__, TooManyFields)
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE if is_too_large else HTTPStatus.BAD_REQUEST)
        else:
            if refusal := self._message.note_fed(piece):
                self._refuse(refusal)

    # --- what the parser finds ----------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Begin a head."""
        super().on_message_begin()
        self._message.begin_head()
        self._head_since = self.loop.time()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a field of a head; those of trailers are counted and dropped (RFC 9110 section 6.5.1)."""
        if self._message.state is State.BODY:
            self._message.add_trailer()
            return
        if len(self.headers) >= MAX_FIELDS:
            raise TooManyFields
        name = name.lower()
        if name == b"content-length":
            self._message.announce_body(int(value))
        elif name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Start to answer the request, or queue it."""
        super().on_headers_complete()
        self._message.end_head()

    def on_body(self, body: bytes) -> None:
        """Pass a part of the body on."""
        self._message.add_body(len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request; if it is the last of its connection, so is what the client sends."""
        super().on_message_complete()
        self._message.end()
        if not self.cycle.keep_alive:
            self._ignores_input = True

    # --- what is answered ---------------------------------------------------------------------------------------------

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:  # noqa: ANN401  # as uvicorn declares it
        self._running = cycle
        self.peers.waiting.pop(self, None)
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """Start to answer the next request, or wait for one."""
        self.server_state.total_requests += 1
        answered, self._running = self._running, None
        if self.transport.is_closing():
            return
        if self.cycle is answered and self._is_rest_too_long():
            self._let_read_the_answer()
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
        if self._message.state is State.BODY and not self._drop_request():
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

    def _is_rest_too_long(self) -> bool:
        """Whether more of a body is to come than is read for nothing, so that the connection can be used again."""
        if self._message.state is not State.BODY:
            return False
        return self._message.is_chunked or self._message.body_left > MAX_UNUSED_BYTES

    def _answer_refusal(self, status: HTTPStatus) -> None:
        self.transport.write(self._connections.render_refusal(status))
        self._let_read_the_answer()

    def _let_read_the_answer(self) -> None:
        """End the connection after a moment; what the client sends meanwhile is thrown away."""
        self._stop_listening()
        self.flow.is_held = False
        self.flow.resume_reading()
        # The client may still be sending: if the connection were closed now, it could lose the answer.
        self.transport.write_eof()
        self._connections.let_linger(self, self.loop.time())


def _tell_gone(cycle: RequestResponseCycle) -> None:
    if not cycle.response_complete:
        cycle.disconnected = True
    cycle.message_event.set()
