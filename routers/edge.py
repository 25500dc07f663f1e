"""The edge: one route class that reads strictly, runs a request as one unit of work, and commits before it answers."""

import asyncio
import inspect
import json
import random
import re
from collections.abc import Callable, Coroutine
from http import HTTPMethod
from typing import Annotated, Any, Final, TypeVar

from fastapi import Query, Request, Response, Security, params
from fastapi.exceptions import RequestValidationError
from fastapi.params import Depends
from fastapi.routing import APIRoute
from fastapi.security import OAuth2PasswordBearer
from starlette.datastructures import FormData, QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection

from auth import Caller, Claims, caller_of
from database import Database, UnitOfWork
from faults import CommitLost, Fault, fault_of
from ledger import Ledger
from problems import (
    TOKEN_PATH,
    BodyTooLarge,
    InternalError,
    MalformedBody,
    NotAuthenticated,
    OutcomeUnknown,
    Problem,
    Unavailable,
    UnsupportedMediaType,
    ValidationFailed,
    documented,
)
from schemas import Shape

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
MOST_BYTES: Final = 64 * 1024
DEEPEST: Final = 32
LONGEST_NUMBER: Final = 40

TRIES: Final = {Fault.AGAIN: 4, Fault.LOST: 2}
READ_SECONDS: Final = 5
WRITE_SECONDS: Final = 10
LONG_SECONDS: Final = 60

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
Answer = Callable[[Request], Coroutine[Any, Any, Response]]


# --- Reading strictly -------------------------------------------------------------------------------------------------


class _Once:
    """Makes what is given twice a list, and so of the wrong type wherever one value is wanted."""

    def get(self, key: str, default: object = None) -> object:
        """Return the value, or all of them."""
        values = self.getlist(key)  # type: ignore[attr-defined]  # of the multidict that this is mixed into
        return values if len(values) > 1 else values[0] if values else default


class StrictQuery(_Once, QueryParams):  # type: ignore[misc]  # a list is what `get` does not say it returns
    """A query that shows when a parameter is given twice."""


class StrictForm(_Once, FormData):  # type: ignore[misc]  # as above
    """A form that shows when a field is given twice."""


class StrictRequest(Request):
    """A request whose body was read within bounds, and whose JSON means the same to every reader."""

    @property
    def query_params(self) -> QueryParams:
        """Return the query."""
        if not hasattr(self, "_query_params"):
            self._query_params = StrictQuery(self.scope["query_string"])
        return self._query_params

    async def read(self, media_type: str) -> None:
        """Read the body, which must be of this media type, before anything else happens."""
        self._body = await self._bytes()
        if not self._body:
            return
        if "content-encoding" in self.headers or self._media_type() != media_type:
            raise UnsupportedMediaType(f"Send a form as {FORM}: username=…&password=…" if media_type == FORM else "")
        if media_type == JSON:
            self._json = strict_json(self._body)
        else:
            await self._read_form()

    async def _read_form(self) -> None:
        try:
            await super().form()
        except HTTPException:
            raise MalformedBody("The form cannot be read: send username=…&password=…") from None

    async def form(self, **limits: Any) -> FormData:  # type: ignore[override]
        """Return the form."""
        return StrictForm((await super().form(**limits)).multi_items())

    async def _bytes(self) -> bytes:
        length = self.headers.get("content-length", "0")
        if length.isdecimal() and int(length[:12]) > MOST_BYTES:
            raise BodyTooLarge
        chunks, size = [], 0
        try:
            async for chunk in self.stream():
                size += len(chunk)
                if size > MOST_BYTES:
                    raise BodyTooLarge
                chunks.append(chunk)
        except ClientDisconnect:
            raise MalformedBody("The body ended too early.") from None
        return b"".join(chunks)

    def _media_type(self) -> str:
        media_type, _, parameters = self.headers.get("content-type", "").partition(";")
        charset = parameters.strip().lower().replace('"', "")
        return media_type.strip().lower() if charset in {"", "charset=utf-8", "charset=utf8"} else ""


def strict_json(body: bytes) -> object:
    """Parse JSON (RFC 8259) as I-JSON (RFC 7493) wants it; raise MalformedBody.

    Refused are other encodings than UTF-8, a key given twice, NaN and Infinity, and nesting deeper than 32.
    """
    try:
        value = _DECODER.decode(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise MalformedBody from None
    if _is_deeper(value, DEEPEST):
        raise MalformedBody(f"The body is nested too deeply: at most {DEEPEST} levels.")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise MalformedBody("The body has a key twice.")
    return members


def _whole(digits: str) -> int | float:
    # Python refuses to read thousands of digits; as a double such a number is out of anybody's range, and says so.
    return int(digits) if len(digits) <= LONGEST_NUMBER else float(digits)


def _no_constant(_: str) -> None:
    raise MalformedBody("NaN and Infinity are not JSON.")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_int=_whole, parse_constant=_no_constant)


def _is_deeper(value: object, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(item, levels - 1) for item in inner)


class NoParameters(Shape):
    """The query of an operation that takes none."""


async def refuse_parameters(_: Annotated[NoParameters, Query()]) -> None:
    """Refuse every query parameter: a typo must not be ignored."""


def _takes_query(endpoint: Callable[..., Any]) -> bool:
    annotations = (parameter.annotation for parameter in inspect.signature(endpoint).parameters.values())
    return any(isinstance(mark, params.Query) for it in annotations for mark in getattr(it, "__metadata__", ()))


# --- One unit of work -------------------------------------------------------------------------------------------------


def takes_long(endpoint: Endpoint) -> Endpoint:
    """Give an endpoint the time that hashing a password, or changing every row of a ledger, may take."""
    endpoint.seconds = LONG_SECONDS  # type: ignore[attr-defined]
    return endpoint


class LedgerRoute(APIRoute):
    """Runs an endpoint as one unit of work: commits before the answer leaves, and runs it again after a lost race."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        """Refuse unknown query parameters too where the endpoint takes none, and document what every route can say."""
        if not _takes_query(endpoint):
            options["dependencies"] = [*(options.get("dependencies") or ()), Depends(refuse_parameters)]
        options["responses"] = documented(self._problems(endpoint)) | (options.get("responses") or {})
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Answer:
        """Wrap FastAPI's own handler."""
        handle = super().get_route_handler()
        field = self.body_field
        media_type = None if field is None else FORM if isinstance(field.field_info, params.Form) else JSON

        is_read = self.methods == {HTTPMethod.GET}
        seconds = getattr(self.endpoint, "seconds", READ_SECONDS if is_read else WRITE_SECONDS)

        async def answer(request: Request) -> Response:
            strict = StrictRequest(request.scope, request.receive)
            if media_type:
                await strict.read(media_type)
            try:
                async with asyncio.timeout(seconds):
                    return await _run(handle, strict, request.app.state.database)
            except TimeoutError:
                raise Unavailable from None

        return answer

    @staticmethod
    def _problems(endpoint: Callable[..., Any]) -> list[type[Problem]]:
        annotations = [parameter.annotation for parameter in inspect.signature(endpoint).parameters.values()]
        signed_in = any(annotation is door for annotation in annotations for door in (Reader, Writer, SignedIn))
        return [*([NotAuthenticated] if signed_in else []), ValidationFailed, InternalError, Unavailable]


async def _run(handle: Answer, request: StrictRequest, database: Database) -> Response:
    tries = 0
    while True:
        tries += 1
        try:
            async with database.unit() as unit:
                request.scope["unit"] = unit
                response = await handle(request)
                await unit.commit()
                return response
        except CommitLost as lost:
            raise OutcomeUnknown from lost
        except (Problem, RequestValidationError):
            raise
        except Exception as error:
            fault = fault_of(error)
            if fault is None:
                raise
            if tries >= TRIES.get(fault, 1):
                raise Unavailable from error
        await asyncio.sleep(random.uniform(0, 0.02) * 2**tries)  # noqa: S311


def allow(request: Request) -> dict[str, str]:
    """Return the Allow header of the request's path: the methods of all its routes, not just the first's."""
    methods: set[str] = set()
    for template, operations in request.app.openapi()["paths"].items():
        if re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), request.scope["path"]):
            methods |= {method.upper() for method in operations}
    if "GET" in methods:
        methods.add("HEAD")
    return {"Allow": ", ".join(sorted(methods))} if methods else {}


# --- Who may ----------------------------------------------------------------------------------------------------------


class Door(OAuth2PasswordBearer):
    """A dependency that lets in who bears a good access token, and a security scheme in the document."""

    def __init__(self, opened: Callable[[Claims, UnitOfWork], Coroutine[Any, Any, Any]]) -> None:
        """Make what lies behind the door with `opened`."""
        description = "Your user name or e-mail, and your password."
        super().__init__(TOKEN_PATH, scheme_name="SignIn", description=description)
        self._opened = opened

    async def __call__(self, request: HTTPConnection) -> Any:  # noqa: ANN401
        """Verify the token, find its session, and open."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise NotAuthenticated
        return await self._opened(request.app.state.tokens.read(token.strip()), request.scope["unit"])


async def _to_read(claims: Claims, unit: UnitOfWork) -> Ledger:
    return Ledger(await caller_of(await unit.reader(), claims), unit)


async def _to_write(claims: Claims, unit: UnitOfWork) -> Ledger:
    # The token says whose turn to wait for, so that one connection serves from the first query to the commit.
    connection = await unit.begin(claims.user_id)
    ledger = Ledger(await caller_of(connection, claims), unit)
    await ledger.lock()
    return ledger


async def _to_know(claims: Claims, unit: UnitOfWork) -> Caller:
    return await caller_of(await unit.reader(), claims)


async def unit_of_work(request: Request) -> UnitOfWork:
    """Return the request's unit of work."""
    unit: UnitOfWork = request.scope["unit"]
    return unit


Reader = Annotated[Ledger, Security(Door(_to_read))]
"""The caller's ledger, to read."""
Writer = Annotated[Ledger, Security(Door(_to_write))]
"""The caller's ledger, locked, to change."""
SignedIn = Annotated[Caller, Security(Door(_to_know))]
"""The caller."""
Unit = Annotated[UnitOfWork, Depends(unit_of_work)]
"""The request's unit of work, for what belongs to no ledger."""
