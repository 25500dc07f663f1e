"""The intake: how a request is read, strictly and within bounds, so that it means the same to every reader."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from http import HTTPMethod
from typing import Any, Final
from urllib.parse import parse_qsl

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.datastructures import FormData, QueryParams
from starlette.requests import ClientDisconnect

from api.services import Services, get_services
from api.strict_json import parse_strict_json
from auth import Caller
from database import UnitOfWork
from problems import BodyTooLarge, MalformedBody, UnsupportedMediaType, ValidationFailed
from values.field_errors import translate_errors
from values.shapes import RequestModel

JSON_TYPE: Final = "application/json"
FORM_TYPE: Final = "application/x-www-form-urlencoded"
MAX_BODY_BYTES: Final = 64 * 1024
BODY_SECONDS: Final = 30
FORM_EXPECTED: Final = f"Send a form, with the header Content-Type: {FORM_TYPE}: username=…&password=…"


Conclusion = Callable[[Response], Awaitable[None]]


class _RepeatsAsList:
    """Makes what is given twice a list, and so of the wrong type wherever one value is wanted."""

    def get(self, key: str, default: object = None) -> object:
        """Return the value, or all of them."""
        values = self.getlist(key)  # type: ignore[attr-defined]  # of the multidict that this is mixed into
        return values if len(values) > 1 else values[0] if values else default


class StrictQuery(_RepeatsAsList, QueryParams):  # type: ignore[misc]  # a list is what `get` does not say it returns
    """A query that shows when a parameter is given twice."""


class StrictForm(_RepeatsAsList, FormData):  # type: ignore[misc]  # as above
    """A form that shows when a field is given twice."""


class NoFields(RequestModel):
    """The query, or the body, of an operation that takes none."""


class StrictRequest(Request):
    """A request whose body is read within bounds, and what running it as one unit of work needs to know.

    The JSON of the body has one meaning only. `api/route.py` sets the unit of work anew for each try.
    """

    unit: UnitOfWork
    """The unit of work that this try is run in."""
    caller: Caller | None = None
    """The caller, once a dependency has authenticated them."""
    conclusion: Conclusion | None = None
    """What a write does with its response before the commit, once its ledger is locked."""

    def start_try(self, unit: UnitOfWork) -> None:
        """Forget what an earlier try of this request found out, and run the next one in `unit`."""
        self.unit = unit
        self.caller = None
        self.conclusion = None

    @property
    def services(self) -> Services:
        """The services of the application."""
        return get_services(self.app)

    @property
    def query_params(self) -> QueryParams:
        """Return the query."""
        if not hasattr(self, "_query_params"):
            self._query_params = StrictQuery(parse_pairs(self.scope["query_string"]))
        return self._query_params

    async def read_body(self, media_type: str | None, most: int = MAX_BODY_BYTES) -> None:
        """Read the body, which must be of this media type and not too long, before anything else happens.

        With None it must say nothing: what it names would be ignored, and more be deleted than that.
        """
        self._body = await self._read_bytes(most)
        if media_type is None:
            refuse_fields(self._body)
            self._body = b""
        if not self._body:
            return
        if "content-encoding" in self.headers or self._parse_media_type() != media_type:
            raise UnsupportedMediaType(FORM_EXPECTED if media_type == FORM_TYPE else "")
        if media_type == JSON_TYPE:
            # A large one in a thread, so that others are served meanwhile.
            large = len(self._body) > MAX_BODY_BYTES
            self._json = (
                await asyncio.to_thread(parse_strict_json, self._body) if large else parse_strict_json(self._body)
            )
        else:
            refuse_other_encodings(self._body)

    async def form(self, **_: Any) -> FormData:  # type: ignore[override]
        """Return the form that was read; unlike Starlette's, letters beyond ASCII need not be escaped."""
        return StrictForm([*parse_pairs(self._body)])

    def compute_fingerprint(self) -> str:
        """Return what a request and its repetition have in common, and no others: method, address, and body if any."""
        parts = (
            self.method.encode(),
            self.scope["path"].encode(),
            self.scope["query_string"],
            getattr(self, "_body", b""),
        )
        # Each with its length, so that where one ends and the next begins makes a difference.
        return hashlib.sha256(b"".join(b"%d:%b" % (len(part), part) for part in parts)).hexdigest()

    async def _read_bytes(self, most: int) -> bytes:
        length = self.headers.get("content-length", "0")
        if length.isdecimal() and int(length[:12]) > most:
            raise body_too_large_problem(most)
        chunks, size = [], 0
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for chunk in self.stream():
                    size += len(chunk)
                    if size > most:
                        raise body_too_large_problem(most)
                    chunks.append(chunk)
        except ClientDisconnect:
            raise MalformedBody("The body ended too early.") from None
        except TimeoutError:
            raise MalformedBody(f"The body did not come within {BODY_SECONDS} seconds.") from None
        return b"".join(chunks)

    def _parse_media_type(self) -> str:
        media_type, _, parameters = self.headers.get("content-type", "").partition(";")
        charset = parameters.strip().lower().replace('"', "")
        return media_type.strip().lower() if charset in {"", "charset=utf-8", "charset=utf8"} else ""


def is_bulk_delete(route: APIRoute) -> bool:
    """Tell whether a route deletes more than the row that its path names, so that a body could seem to say which."""
    return route.methods == {HTTPMethod.DELETE} and "{" not in route.path


def body_too_large_problem(most: int) -> BodyTooLarge:
    """Return the refusal of a body of more bytes than an address takes."""
    return BodyTooLarge(f"The body is too large: this address takes at most {most // 1024} KiB.")


def parse_pairs(written: bytes) -> list[tuple[str, str]]:
    """Parse a query or a form (application/x-www-form-urlencoded) into its names and values.

    What is no UTF-8 becomes half a character, which every text refuses, and not a mark of replacement.
    """
    return parse_qsl(
        written.decode(errors="surrogateescape"), keep_blank_values=True, encoding="utf-8", errors="surrogateescape"
    )


def refuse_fields(body: bytes) -> None:
    """Raise ValidationFailed where JSON says anything; `{}` and `null` say nothing."""
    said = parse_strict_json(body) if body.strip() else None
    if said is None:
        return
    try:
        NoFields.model_validate(said)
    except ValidationError as refused:
        found = [{**it, "loc": ("body", *it["loc"])} for it in refused.errors()]
        raise ValidationFailed(errors=translate_errors(found)) from None


def refuse_other_encodings(form: bytes) -> None:
    """Raise MalformedBody where a form is not written in UTF-8."""
    try:
        form.decode()
    except UnicodeDecodeError:
        raise MalformedBody(f"The form is not in UTF-8. {FORM_EXPECTED}") from None
