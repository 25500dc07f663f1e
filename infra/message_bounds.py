"""Where the head and the body of a request end, and whether they are too long, as far as they have come.

    state   what is awaited                                   what is too much
    ------  ------------------------------------------------  -------------------------------------------------
    IDLE    the first byte of a request
    HEAD    the rest of its head                              32 KiB; 100 fields
    BODY    the rest of its body and, if that is chunked,     of all that is not the body, the sizes of chunks
            its trailers                                      too: 32 KiB more than a quarter of it; 100 trailers

The protocol counts each piece before and after it is fed to the parser.
"""

from enum import Enum, auto
from http import HTTPStatus
from typing import Final

MAX_HEAD_BYTES: Final = 32 * 1024
MAX_FIELDS: Final = 100
# A chunk has five bytes around it, or more: a long body of small ones takes a hundred times as long to parse.
_BODY_PER_FRAMING: Final = 4
_MAX_CHUNKED_PIECE: Final = 4 * 1024
END: Final = b"\r\n\r\n"
"""The end of a head, and of a chunked body."""


class State(Enum):
    """What is awaited."""

    IDLE = auto()
    HEAD = auto()
    BODY = auto()


class TooManyFields(Exception):
    """A head, or the trailers of a body, have more fields than are taken."""


class MessageBounds:
    """Counts one request after the other, in the pieces that its protocol feeds to the parser."""

    def __init__(self) -> None:
        self.state = State.IDLE
        self._tail = b""
        """The last bytes fed of an unfinished head or body: its end may lie across two pieces."""
        self._head_bytes = 0
        self._is_line_complete = False
        self._trailers = 0
        self._length = 0
        """The Content-Length that the head announces."""
        self.body_left = 0
        """Bytes that are missing of such a body."""
        self._framing = 0

    @property
    def is_chunked(self) -> bool:
        """Whether a body is awaited whose length is not known."""
        return self.state is State.BODY and not self.body_left

    def find_end(self, data: bytes, at: int) -> int:
        """Return where the piece ends that begins at `at`: at the end of the head or the body at the latest."""
        if self.body_left:
            return at + self.body_left
        longest = at + _MAX_CHUNKED_PIECE if self.state is State.BODY else len(data)
        if self._tail:
            across = (self._tail + data[at : at + len(END) - 1]).find(END)
            if across >= 0:
                return at + across + len(END) - len(self._tail)
        found = data.find(END, at, longest)
        return found + len(END) if found >= 0 else longest

    def count(self, piece: bytes) -> HTTPStatus | None:
        """Count a piece before it is fed; return the status with which it is refused instead, or None."""
        if self.body_left:
            self.body_left -= len(piece)
        elif self.state is State.BODY:
            self._framing = max(self._framing, 0) + len(piece) * _BODY_PER_FRAMING
        elif self._head_bytes + len(piece) > MAX_HEAD_BYTES:
            taken = piece[: MAX_HEAD_BYTES - self._head_bytes]
            has_line = self._is_line_complete or _has_line(taken)
            return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE if has_line else HTTPStatus.REQUEST_URI_TOO_LONG
        else:
            self._head_bytes += len(piece)
        return None

    def note_fed(self, piece: bytes) -> HTTPStatus | None:
        """Note what the parser has been fed; return the status with which the rest is refused, or None."""
        if self.state is State.IDLE:
            return None
        self._tail = (self._tail + piece)[1 - len(END) :]
        if self.state is State.HEAD:
            self._is_line_complete = self._is_line_complete or _has_line(piece)
        elif self._framing > MAX_HEAD_BYTES * _BODY_PER_FRAMING:
            return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        return None

    def begin_head(self) -> None:
        """Note that a request begins."""
        self.state = State.HEAD
        self._length = 0

    def add_trailer(self) -> None:
        """Count a trailer; raise TooManyFields."""
        self._trailers += 1
        if self._trailers > MAX_FIELDS:
            raise TooManyFields

    def announce_body(self, length: int) -> None:
        """Note the Content-Length, in bytes."""
        self._length = length

    def end_head(self) -> None:
        """Note that the body begins; there may be none."""
        self.state = State.BODY
        self._head_bytes, self._tail, self._is_line_complete = 0, b"", False
        self.body_left = self._length

    def add_body(self, size: int) -> None:
        """Note that so many bytes of a body have come: they may have a quarter of that around them."""
        self._framing -= (_BODY_PER_FRAMING + 1) * size

    def end(self) -> None:
        """Note that the request has come as a whole."""
        self.state = State.IDLE
        self._tail, self.body_left, self._framing, self._trailers = b"", 0, 0, 0


def _has_line(piece: bytes) -> bool:
    return b"\n" in piece.lstrip(b"\r\n")
