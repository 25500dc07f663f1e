"""Request reading: query, form and body are parsed strictly, and limited in size and time."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import Any, Final
from urllib.parse import parse_qsl

from fastapi import Request, Response
from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData, QueryParams
from starlette.requests import ClientDisconnect

from api.body_sizes import MAX_BODY_BYTES, MAX_BYTES_BESIDE_FILE, body_too_large_problem
from api.deadlines import Deadline
from api.services import Services, get_services
from api.strict_json import MAX_MEMBERS, parse_strict_json, refuse_many_parts
from api.turns import TURN_KEY, RequestTurn
from api.uploads import UPLOAD_EXPECTED, UPLOAD_SECONDS, Upload, UploadReader
from auth import Caller
from database import UnitOfWork
from problems import MalformedBody, UnsupportedMediaType, ValidationFailed
from values.field_errors import parameter_error, translate_errors
from values.shapes import RequestModel, WithManyItems

JSON_TYPE: Final = "application/json"
FORM_TYPE: Final = "application/x-www-form-urlencoded"
BODY_SECONDS: Final = 30
# A query may name every category of an account, 1,000 of them, beside its other parameters.
MAX_PARAMETERS: Final = 1_100
FORM_EXPECTED: Final = f"Send a form, with the header Content-Type: {FORM_TYPE}: username=…&password=…"


Conclusion = Callable[[Response], Awaitable[None]]


NO_QUERY: Final = QueryParams()


class NoFields(RequestModel):
    """The schema of an empty query, or of an empty body."""


class StrictRequest(Request):
    """A request with a strictly parsed, limited body, and with the state of its current try.

    `api/route.py` starts each try with a new unit of work.
    """

    deadline: Deadline
    """When the request is given up, and before that its statements."""
    unit: UnitOfWork
    """The unit of work of this try."""
    caller: Caller | None = None
    """The caller; None until a dependency has authenticated them."""
    conclusion: Conclusion | None = None
    """Called with the response before the commit; a write sets it when it locks its ledger."""
    upload: Upload | None = None
    """The form with files, if the endpoint takes one."""
    remembered_body: str | None = None
    """What is stored of the answer for an Idempotency-Key, if the endpoint says so."""
    file_read: object = None
    """What was read of the uploaded file of an import: once, however often the unit of work is run."""

    def start_try(self, unit: UnitOfWork) -> None:
        """Start a try in `unit`, and drop the caller and the conclusion of the try before."""
        self.unit = unit
        unit.act_for(self.turn.key)
        self.caller = None
        self.conclusion = None
        self.remembered_body = None

    @cached_property
    def services(self) -> Services:
        """The services of the application."""
        return get_services(self.app)

    @cached_property
    def turn(self) -> RequestTurn:
        """The turn of the request."""
        turn: RequestTurn = self.scope[TURN_KEY]
        return turn

    async def wait_for_turn(self) -> None:
        """Give the turn away and wait for one of the client that the request counts for."""
        self.turn.give_away()
        with self.deadline.extended(self.unit, self.turn.patience):
            await self.turn.take()

    @property
    def query_params(self) -> QueryParams:
        """The query, with repeated parameters as lists."""
        if not hasattr(self, "_query_params"):
            self._query_params = parse_query(self.scope["query_string"])
        return self._query_params

    @property
    def is_dry_run(self) -> bool:
        """Whether the query, or a form with files, says `dry_run=true`, to an operation that knows it."""
        if self.upload:
            return self.upload.sent.get("dry_run") == "true"
        return self.query_params.getlist("dry_run") == ["true"]

    async def read_body(self, media_type: str | None, most: int = MAX_BODY_BYTES) -> None:
        """Read the body; raise a problem if it is longer than `most` bytes, malformed or of another media type.

        With None as media type it must contain no fields: they would be ignored, and more rows deleted than meant.
        """
        self.turn.give_away()
        chunks: list[bytes] = []

        async def keep(chunk: bytes) -> None:
            chunks.append(chunk)

        await self._take_body(keep, most, BODY_SECONDS)
        # Starlette's `body()` and `json()`, which `Arguments` calls, return `_body` and `_json` if these are set.
        self._body = b"".join(chunks)
        # A batch stays bytes while another one of the client is under way: parsed, it takes several times as much.
        await (self.turn.take_batch() if most > MAX_BODY_BYTES else self.turn.take())
        if media_type is None:
            refuse_fields(self._body)
            self._body = b""
        if not self._body:
            return
        if "content-encoding" in self.headers or self._parse_media_type() != media_type:
            raise UnsupportedMediaType(FORM_EXPECTED if media_type == FORM_TYPE else "")
        if media_type == JSON_TYPE:
            if most == MAX_BODY_BYTES:
                refuse_many_parts(self._body)
            # A large body is parsed in a thread, so that other requests are served meanwhile.
            large = len(self._body) > MAX_BODY_BYTES
            self._json = (
                await asyncio.to_thread(parse_strict_json, self._body) if large else parse_strict_json(self._body)
            )
        else:
            refuse_malformed_form(self._body)

    async def read_upload(self, schema: type[BaseModel], max_file_bytes: int) -> None:
        """Read a form with files into `upload`; raise a problem if it cannot be read.

        Of one client one is received at a time, so that it fills the disk with no more than that.
        """
        if self._is_empty:
            self.upload = Upload()
            self.upload.validate(schema, {})
            return
        if "content-encoding" in self.headers:
            raise UnsupportedMediaType(UPLOAD_EXPECTED)
        reader = UploadReader(self.headers.get("content-type", ""), schema, max_file_bytes)
        self.upload = reader.upload
        try:
            await self.turn.take_upload()
            await self._take_body(reader.feed, max_file_bytes + MAX_BYTES_BESIDE_FILE, UPLOAD_SECONDS)
            await reader.finish()
        finally:
            reader.end()
        await self.turn.take_batch()

    def end(self) -> None:
        """Let go of what refers to the request, which so would be kept until garbage is collected, and of its files."""
        self.conclusion = None
        if self.upload:
            self.upload.close()

    async def parse_items(self, schema: type[WithManyItems]) -> None:
        """Validate the items of a long body in slices, before a ledger is locked for it."""
        if self._body:
            self._json = await schema.parse_items(self._json)

    async def form(self, **_: Any) -> FormData:  # type: ignore[override]
        """Return the form; unlike in Starlette's, non-ASCII letters may be unescaped UTF-8."""
        return FormData([*parse_pairs(self._body)])

    def compute_fingerprint(self) -> str:
        """Return the SHA-256 of method, path, query and body: equal only for a repeated request.

        Of a form with files its fields count and the hashes of its files, because each time it has another boundary.
        """
        parts = (
            self.method.encode(),
            self.scope["path"].encode(),
            self.scope["query_string"],
            self.upload.describe() if self.upload else getattr(self, "_body", b""),
        )
        # Each part is preceded by its length, so that different parts never give the same bytes.
        return hashlib.sha256(b"".join(b"%d:%b" % (len(part), part) for part in parts)).hexdigest()

    @property
    def _is_empty(self) -> bool:
        """Whether the headers say that there is no body."""
        length = self.headers.get("content-length")
        is_bare = "transfer-encoding" not in self.headers and "content-type" not in self.headers
        return length == "0" or (length is None and is_bare)

    async def _take_body(self, keep: Callable[[bytes], Awaitable[None]], most: int, seconds: float) -> None:
        length = self.headers.get("content-length", "0")
        if length.isdecimal() and int(length[:12]) > most:
            raise body_too_large_problem(most)
        size = 0
        try:
            async with asyncio.timeout(seconds):
                async for chunk in self.stream():
                    size += len(chunk)
                    if size > most:
                        raise body_too_large_problem(most)
                    await keep(chunk)
        except ClientDisconnect:
            raise MalformedBody("The body ended too early.") from None
        except TimeoutError:
            raise MalformedBody(f"The body did not come within {seconds} seconds.") from None

    def _parse_media_type(self) -> str:
        media_type, _, parameters = self.headers.get("content-type", "").partition(";")
        charset = parameters.strip("; \t").lower().replace('"', "")
        return media_type.strip().lower() if charset in {"", "charset=utf-8", "charset=utf8"} else ""


def parse_pairs(encoded: bytes) -> list[tuple[str, str]]:
    """Parse a query or a form (application/x-www-form-urlencoded) into its names and values.

    Invalid UTF-8 becomes surrogates, which every text field refuses, instead of replacement characters.
    """
    return parse_qsl(
        encoded.decode(errors="surrogateescape"), keep_blank_values=True, encoding="utf-8", errors="surrogateescape"
    )


def parse_query(encoded: bytes) -> QueryParams:
    """Parse a query; raise ValidationFailed if it has more than 1,100 parameters, or more than 100 different ones.

    They are counted first, because parsing and reporting each of many takes time.
    """
    if not encoded:
        return NO_QUERY
    query = None if encoded.count(b"&") >= MAX_PARAMETERS else QueryParams(parse_pairs(encoded))
    if query is None or len(query) > MAX_MEMBERS:
        detail = f"Send at most {MAX_PARAMETERS:,} parameters, and at most {MAX_MEMBERS} different ones."
        raise ValidationFailed(errors=[parameter_error("", "too_long", detail)])
    return query


def refuse_fields(body: bytes) -> None:
    """Raise ValidationFailed if a JSON body has any field; an empty body, `{}` and `null` have none."""
    refuse_many_parts(body)
    value = parse_strict_json(body) if body.strip() else None
    if value is None:
        return
    try:
        NoFields.model_validate(value)
    except ValidationError as error:
        errors = [{**details, "loc": ("body", *details["loc"])} for details in error.errors()]
        raise ValidationFailed(errors=translate_errors(errors)) from None


def refuse_malformed_form(form: bytes) -> None:
    """Raise MalformedBody if a form has more than 100 fields, or is not in UTF-8."""
    if form.count(b"&") >= MAX_MEMBERS:
        raise MalformedBody(f"The form has too many fields: at most {MAX_MEMBERS}. {FORM_EXPECTED}")
    try:
        form.decode()
    except UnicodeDecodeError:
        raise MalformedBody(f"The form is not in UTF-8. {FORM_EXPECTED}") from None
