"""Files that clients have sent: they lie in unnamed temporary files, which the system deletes when they are closed."""

import asyncio
import hashlib
import threading
from collections.abc import Sequence
from tempfile import TemporaryFile
from typing import Any, Final, Self

from pydantic import GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from values.field_errors import invalid_value

NO_FILE: Final = "Send a file, as `curl -F file=@statement.csv` does: with the @ before its name."


class UploadedFile:
    """A file that a client has sent, with its size and its hash; as a field of a schema it is a file of a form."""

    def __init__(self) -> None:
        # Without a buffer, so that what was written is in the file, and is read at any descriptor of it.
        self._file = TemporaryFile(buffering=0)  # noqa: SIM115  # it outlives this function
        self._hash = hashlib.sha256()
        # A thread cannot be cancelled: it may still write for a request that has ended.
        self._lock = threading.Lock()
        self._unwritten: list[bytes] = []
        self.size = self.unwritten_size = 0

    @property
    def sha256(self) -> str:
        """The SHA-256 of what is in the file, in hexadecimal."""
        return self._hash.hexdigest()

    def fileno(self) -> int:
        """Return the descriptor; its position may be anywhere."""
        return self._file.fileno()

    def add(self, piece: bytes) -> None:
        """Add a piece to the end; it is in the file after the next `flush`."""
        self._unwritten.append(piece)
        self.size += len(piece)
        self.unwritten_size += len(piece)

    async def flush(self) -> None:
        """Write what was added, in a thread; raise OSError if there is no room for it."""
        if self._unwritten:
            pieces, self._unwritten, self.unwritten_size = self._unwritten, [], 0
            await asyncio.to_thread(self._write, pieces)

    def _write(self, pieces: Sequence[bytes]) -> None:
        content = b"".join(pieces)
        with self._lock:
            rest = memoryview(content)
            while rest and not self._file.closed:
                rest = rest[self._file.write(rest) :]
            self._hash.update(content)

    def close(self) -> None:
        """Delete the file, in a thread: freeing its blocks takes time."""
        asyncio.get_running_loop().run_in_executor(None, self._close)

    def _close(self) -> None:
        with self._lock:
            self._file.close()

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: object) -> CoreSchema:
        """Accept nothing but a file."""
        return core_schema.no_info_plain_validator_function(cls._require_file)

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Describe it as pages of documentation know a file to choose."""
        return {"type": "string", "format": "binary"}

    @classmethod
    def _require_file(cls, value: Any) -> Self:  # noqa: ANN401
        if not isinstance(value, cls):
            raise invalid_value("wrong_type", NO_FILE)
        return value
