"""Uploads: bodies of multipart/form-data (RFC 7578), whose files go to the disk while they arrive.

    the form's schema        `file: UploadedFile`              a file: a part with a file name
                             a schema, or a mapping            a text that is strict JSON
                             anything else                     a text
    UploadReader             is fed with the body, and keeps what the schema names; what it does not name is dropped
    Upload                   the validated form, or what is wrong with it

An empty text, and a file without name and content, count as missing: browsers, and Swagger UI, send these for what was
left blank.
"""

import asyncio
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, MultipartState, parse_options_header

from api.body_sizes import body_too_large_problem
from api.strict_json import parse_strict_json, refuse_many_parts
from infra.log import logger
from infra.slices import iterate_in_slices
from infra.uploaded_files import UploadedFile
from problems import MalformedBody, Unavailable, UnsupportedMediaType

UPLOAD_TYPE: Final = "multipart/form-data"
UPLOAD_SECONDS: Final = 60
UPLOAD_EXPECTED: Final = (
    f"Send the file in a form, with the header Content-Type: {UPLOAD_TYPE}; boundary=… and no Content-Encoding, as "
    "`curl -F file=@statement.csv` does; most tools add that header by themselves if you do not set it."
)
MALFORMED_UPLOAD: Final = (
    f"The form is broken, or ends too early. {UPLOAD_EXPECTED} Leave making the boundary to your tool."
)
NO_STRICT_JSON: Final = (
    "Send strict JSON (RFC 7493): UTF-8, no key twice, no NaN, at most 32 levels deep, and 2,000 members of an object."
)
MAX_PARTS: Final = 20
MAX_CONTENT_TYPE: Final = 256
MAX_FIELD_BYTES: Final = 64 * 1024
MAX_PART_HEADERS: Final = 8
MAX_PART_HEADER_BYTES: Final = 2 * 1024
# The lines of a file, say, for each of which the client has decided something.
MAX_JSON_MEMBERS: Final = 2_000
MAX_STRUCTURAL_CHARACTERS: Final = 5_000
# In pieces of this size, a hostile body makes no step of the parser longer than a slice.
PIECE_BYTES: Final = 4 * 1024
# So many bytes are written in one go: each takes a thread.
WRITTEN_BYTES: Final = 256 * 1024
# RFC 2046 section 5.1.1; not all of these characters need quotes, and not all tools use them.
_BOUNDARY: Final = re.compile(rb"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_TRIVIAL_ENCODINGS: Final = {b"", b"7bit", b"8bit", b"binary"}

# It would log parts of bodies.
logging.getLogger("python_multipart").setLevel(logging.CRITICAL)


class _UploadSchema:
    """The schema of a form with files, and how the parts are read that it names."""

    def __init__(self, form: type[BaseModel]) -> None:
        self.form = form
        kinds = {info.alias or name: info.annotation for name, info in form.model_fields.items()}
        self.names = frozenset(kinds)
        self.files = frozenset(name for name, kind in kinds.items() if _has_kind(kind, UploadedFile))
        self.json = frozenset(name for name, kind in kinds.items() if _has_kind(kind, BaseModel, Mapping))


def _has_kind(annotation: object, *kinds: type) -> bool:
    """Whether a type is one of these kinds, or a union with one."""
    origin = get_origin(annotation) or annotation
    if origin is Annotated:
        return _has_kind(get_args(annotation)[0], *kinds)
    if origin in (Union, UnionType):
        return any(_has_kind(one, *kinds) for one in get_args(annotation))
    return isinstance(origin, type) and issubclass(origin, kinds)


@lru_cache
def _read_schema(form: type[BaseModel]) -> _UploadSchema:
    return _UploadSchema(form)


class Upload:
    """A form with files that was read: it is read once, however often the unit of work is run."""

    def __init__(self) -> None:
        self.form: BaseModel | None = None
        """The validated form; None if there are errors."""
        self.errors: list[dict[str, Any]] = []
        """What is wrong, as pydantic tells it."""
        self.sent: dict[str, str | UploadedFile] = {}
        """The fields as they were sent; of unknown ones only the names."""
        self.unread: dict[str, tuple[str, str]] = {}
        """The fields that were not read as the schema needs them: a code and a sentence for each."""

    def validate(self, schema: type[BaseModel], values: Mapping[str, object]) -> None:
        """Set the form, or the errors; of a field that was not read as the schema needs it, why not."""
        errors: list[dict[str, Any]] = [
            {"type": code, "loc": ("body", name), "ctx": {"detail": detail}}
            for name, (code, detail) in self.unread.items()
        ]
        try:
            form = schema.model_validate(values)
        except ValidationError as error:
            found = [it for it in error.errors(include_url=False) if not self.unread.keys() & it["loc"][:1]]
            errors += [{**it, "loc": ("body", *it["loc"])} for it in found]
        self.form, self.errors = None if errors else form, errors

    def describe(self) -> bytes:
        """Return the fields and the hashes of the files: equal for the same form, whatever its boundary is."""
        fields = [
            (name, "file" if isinstance(value, UploadedFile) else "text", _write_identity(value))
            for name, value in sorted(self.sent.items())
        ]
        return repr((fields, sorted(self.unread))).encode()

    def close(self) -> None:
        """Delete the files."""
        for value in self.sent.values():
            if isinstance(value, UploadedFile):
                value.close()


def _write_identity(value: str | UploadedFile) -> str:
    return value.sha256 if isinstance(value, UploadedFile) else value


class UploadReader:
    """Reads the body of one form; raises a problem as soon as it cannot be read."""

    def __init__(self, content_type: str, schema: type[BaseModel], max_file_bytes: int) -> None:
        self.upload = Upload()
        self._schema = _read_schema(schema)
        self._max_file_bytes = max_file_bytes
        self._parser = MultipartParser(
            parse_boundary(content_type),
            {
                "on_part_begin": self._begin_part,
                "on_header_begin": self._begin_header,
                "on_header_field": self._take_header_name,
                "on_header_value": self._take_header_value,
                "on_headers_finished": self._begin_content,
                "on_part_data": self._take_content,
                "on_part_end": self._end_part,
            },
            max_header_count=MAX_PART_HEADERS,
            max_header_size=MAX_PART_HEADER_BYTES,
        )
        self._has_begun = False
        self._count = 0
        self._headers: list[tuple[bytearray, bytearray]] = []
        self._name = ""
        self._text: bytearray | None = None
        self._file: UploadedFile | None = None
        self._is_file_named = False
        self._files: list[UploadedFile] = []

    async def feed(self, chunk: bytes) -> None:
        """Read a piece of the body; others are served in between."""
        if not self._has_begun:
            # The parser would skip what follows line ends, as far as the piece goes that it gets.
            chunk = chunk.lstrip(b"\r\n")
            self._has_begun = bool(chunk)
        with _translating():
            async for piece in iterate_in_slices(_cut(chunk)):
                self._parser.write(piece)
                for file in self._files:
                    if file.unwritten_size >= WRITTEN_BYTES:
                        await file.flush()

    async def finish(self) -> None:
        """Validate the form, after the whole body was fed."""
        if self._parser.state != MultipartState.END:
            raise MalformedBody(MALFORMED_UPLOAD)
        with _translating():
            for file in self._files:
                await file.flush()
        values: dict[str, object] = {**self.upload.sent}
        for name in self._schema.json & values.keys() - self.upload.unread.keys():
            values[name] = await self._parse_json(name, str(values[name]))
        self.upload.validate(self._schema.form, values)

    def end(self) -> None:
        """Let go of the parser: it refers to the reader, so that both would be kept until garbage is collected."""
        self._parser.callbacks = {}

    async def _parse_json(self, name: str, text: str) -> object:
        try:
            encoded = text.encode()
            refuse_many_parts(encoded, MAX_STRUCTURAL_CHARACTERS)
            return await asyncio.to_thread(parse_strict_json, encoded, MAX_JSON_MEMBERS)
        except (UnicodeEncodeError, MalformedBody):
            self.upload.unread[name] = ("malformed", NO_STRICT_JSON)
            return None

    # --- what the parser calls ----------------------------------------------------------------------------------------

    def _begin_part(self) -> None:
        self._count += 1
        if self._count > MAX_PARTS:
            raise MalformedBody(f"The form has too many parts: at most {MAX_PARTS}.")
        self._headers = []

    def _begin_header(self) -> None:
        self._headers.append((bytearray(), bytearray()))

    def _take_header_name(self, data: bytes, start: int, end: int) -> None:
        self._headers[-1][0].extend(data[start:end])

    def _take_header_value(self, data: bytes, start: int, end: int) -> None:
        self._headers[-1][1].extend(data[start:end])

    def _begin_content(self) -> None:
        headers = {bytes(name).lower(): bytes(value).strip() for name, value in self._headers}
        if headers.get(b"content-transfer-encoding", b"").lower() not in _TRIVIAL_ENCODINGS:
            raise UnsupportedMediaType(f"Send each part as it is, without Content-Transfer-Encoding. {UPLOAD_EXPECTED}")
        disposition = headers.get(b"content-disposition", b"")
        kind, parameters = parse_options_header(disposition)
        if kind != b"form-data" or b"name" not in parameters:
            raise MalformedBody(MALFORMED_UPLOAD)
        self._name = parameters[b"name"].decode(errors="replace")
        # Some libraries write a name that is not ASCII in another way (RFC 5987).
        self._is_file_named = bool(parameters.get(b"filename")) or b"filename*=" in disposition.lower()
        self._choose_place(is_file=self._is_file_named or b"filename" in parameters)

    def _choose_place(self, *, is_file: bool) -> None:
        """Decide where the content of a part goes: into a file, a text, or nowhere."""
        self._text = self._file = None
        if self._name not in self._schema.names:
            # Kept for the errors, which name unknown fields, and to compare requests.
            self.upload.sent[self._name] = ""
        elif self._name in self.upload.sent:
            self.upload.unread[self._name] = ("not_allowed", "Send this only once.")
        elif is_file and self._name in self._schema.files:
            self._file = self.upload.sent[self._name] = UploadedFile()
            self._files.append(self._file)
        else:
            self._text = bytearray()

    def _take_content(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.add(data[start:end])
            if self._file.size > self._max_file_bytes:
                raise body_too_large_problem(self._max_file_bytes)
        elif self._text is not None:
            self._text += data[start : min(end, start + MAX_FIELD_BYTES + 1 - len(self._text))]

    def _end_part(self) -> None:
        if self._text is not None:
            if len(self._text) > MAX_FIELD_BYTES:
                self.upload.unread[self._name] = ("too_long", f"Send at most {MAX_FIELD_BYTES // 1024} KiB here.")
            if self._text:
                self.upload.sent[self._name] = self._text.decode(errors="surrogateescape")
        elif self._file is not None and not self._is_file_named and not self._file.size:
            del self.upload.sent[self._name]
            self._file.close()


@contextmanager
def _translating() -> Iterator[None]:
    """Raise a problem for what the parser or the disk refuses."""
    try:
        yield
    except FormParserError:
        raise MalformedBody(MALFORMED_UPLOAD) from None
    except OSError as error:
        logger.warning("an upload cannot be kept: error %s of the system", error.errno)
        raise Unavailable from None


def _cut(chunk: bytes) -> Iterator[bytes]:
    return (chunk[start : start + PIECE_BYTES] for start in range(0, len(chunk), PIECE_BYTES))


def parse_boundary(content_type: str) -> bytes:
    """Return the boundary that a Content-Type names; raise UnsupportedMediaType or MalformedBody."""
    media_type, parameters = parse_options_header(content_type[:MAX_CONTENT_TYPE])
    if media_type.strip() != UPLOAD_TYPE.encode():
        raise UnsupportedMediaType(UPLOAD_EXPECTED)
    boundary = parameters.get(b"boundary", b"")
    if not _BOUNDARY.fullmatch(boundary):
        raise MalformedBody(f"The header Content-Type names no boundary of 1 to 70 characters. {UPLOAD_EXPECTED}")
    return boundary
