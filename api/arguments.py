"""The arguments of an endpoint, read from a request.

FastAPI looks at the signature of an endpoint once, and writes down what it finds (a `Dependant`). But then it decides
for every request again which parameter is read from where. Here that is decided once for each route, for the kinds of
parameters that endpoints of this service have; a route with another kind is refused when it is made.

    parameter                             where it is read from
    Request, Response                     the request itself; the answer, for its status and headers
    an id                                 the path
    Annotated[SomeQuery, Query()]         the query, as a model; a field that is a list takes every value of its name
    SomeBody                              the JSON body, as a model
    Annotated[SomeForm, Form()]           the form, as a model; an empty field counts as missing, as in FastAPI
    … Form(media_type=UPLOAD_TYPE)        the form with files that was read already (api/uploads.py)
    a list                                all headers of one name
    a dependency                          an async function, which has no dependency and no body of its own
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from inspect import iscoroutinefunction
from types import UnionType
from typing import Annotated, Any, Final, NamedTuple, Union, get_args, get_origin

from fastapi import params
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import ImmutableMultiDict
from starlette.responses import Response

from api.requests import StrictRequest
from api.uploads import Upload

_MISSING: Final = object()
_UNKNOWN_KINDS: Final = (
    "cookie_params",
    "http_connection_param_name",
    "background_tasks_param_name",
    "websocket_param_name",
    "security_scopes_param_name",
)
_SEQUENCES: Final = (list, tuple, set, frozenset)
Errors = list[dict[str, Any]]
Values = dict[str, Any]


class UnsupportedEndpoint(TypeError):
    """An endpoint has a parameter, or an answer, of a kind that is not served here."""


class _Parameter(NamedTuple):
    """A parameter that is read and validated."""

    name: str
    alias: str
    location: tuple[str, ...]
    """Where it is read from, as errors tell it: `("query",)`, or `("path", "expense_id")`."""
    field: Any
    """FastAPI's `ModelField`."""
    names: Collection[str] = ()
    """Of a model: the names of its fields."""
    lists: Collection[str] = ()
    """Of a model: the names of those that are lists."""

    def validate(self, value: object, errors: Errors) -> Any:  # noqa: ANN401
        """Return the validated value; add what is wrong with it to the errors."""
        if value is _MISSING:
            if not self.field.field_info.is_required():
                return self.field.default
            errors.append({"type": "missing", "loc": self.location, "msg": "Field required", "input": None})
            return None
        validated, found = self.field.validate(value, {}, loc=self.location)
        errors += found
        return validated


class Arguments:
    """The arguments of one endpoint, or of one dependency."""

    def __init__(self, dependant: Dependant) -> None:
        """Take what FastAPI has found out about the signature; raise UnsupportedEndpoint for what is not read here."""
        _refuse_unknown_kinds(dependant)
        self._call: Callable[..., Awaitable[Any]] = dependant.call  # type: ignore[assignment]  # an async function
        self._dependencies = [(found.name, Arguments(found)) for found in dependant.dependencies]
        self._request_name = dependant.request_param_name
        self._response_name = dependant.response_param_name
        self._path = [_Parameter(it.name, it.alias, ("path", it.alias), it) for it in dependant.path_params]
        self._headers = [_Parameter(it.name, it.alias, ("header", it.alias), it) for it in dependant.header_params]
        self._query = _find_model(dependant.query_params, "query")
        self._body = _find_model(dependant.body_params, "body")
        self._is_form = any(isinstance(it.field_info, params.Form) for it in dependant.body_params)

    async def call(self, request: StrictRequest, response: Response) -> Any:  # noqa: ANN401
        """Call the endpoint with its arguments; raise RequestValidationError with all errors."""
        errors: Errors = []
        body = await self._read_body(request, self._body) if self._body and not request.upload else _MISSING
        values = await self._read(request, response, body, errors)
        if errors:
            raise RequestValidationError(errors, body=None if body is _MISSING else body)
        return await self._call(**values)

    async def _read(self, request: StrictRequest, response: Response, body: object, errors: Errors) -> Values:
        values: Values = {}
        for name, dependency in self._dependencies:
            before = len(errors)
            taken = await dependency._read(request, response, _MISSING, errors)  # noqa: SLF001  # of this class
            if len(errors) == before:
                solved = await dependency._call(**taken)  # noqa: SLF001
                if name is not None:
                    values[name] = solved
        for parameter in self._path:
            values[parameter.name] = parameter.validate(request.path_params[parameter.alias], errors)
        if self._query:
            found = _read_fields(request.query_params, self._query.lists)
            values[self._query.name] = self._query.validate(found, errors)
        for parameter in self._headers:
            sent = request.headers.getlist(parameter.alias)
            values[parameter.name] = parameter.validate(sent or _MISSING, errors)
        if self._body:
            values[self._body.name] = _validate_body(self._body, body, request.upload, errors)
        if self._request_name:
            values[self._request_name] = request
        if self._response_name:
            values[self._response_name] = response
        return values

    async def _read_body(self, request: StrictRequest, body: _Parameter) -> object:
        sent = await request.body()
        if self._is_form:
            form = _read_fields(await request.form())
            return {name: value for name, value in form.items() if value != "" or name not in body.names}
        return await request.json() if sent else _MISSING


def _validate_body(parameter: _Parameter, body: object, upload: Upload | None, errors: Errors) -> Any:  # noqa: ANN401
    """Return the validated body, or the form with files, which was validated when it was read; add what is wrong."""
    if upload is None:
        return parameter.validate(body, errors)
    errors += upload.errors
    return upload.form


def _refuse_unknown_kinds(dependant: Dependant) -> None:
    calls = [it.call for it in dependant.dependencies]
    # A header is named as it is sent: FastAPI would also write - for _.
    headers = [_is_sequence(it.field_info.annotation) and "_" not in it.alias for it in dependant.header_params]
    is_known = (
        _is_async(dependant.call)
        and all(map(_is_async, calls))
        and len({*map(id, calls)}) == len(calls)  # FastAPI would call the same one once
        and not any(it.body_params or it.dependencies for it in dependant.dependencies)
        and not any(getattr(dependant, kind) for kind in _UNKNOWN_KINDS)
        and len(dependant.body_params) <= 1
        and len(dependant.query_params) <= 1
        and all(headers)
    )
    if not is_known:
        raise UnsupportedEndpoint(dependant.path)


def _is_async(call: Callable[..., Any] | None) -> bool:
    return iscoroutinefunction(call) or iscoroutinefunction(getattr(call, "__call__", None))  # noqa: B004  # of an object


def _find_model(fields: Sequence[Any], place: str) -> _Parameter | None:
    if not fields:
        return None
    (field,) = fields
    annotation = field.field_info.annotation
    if not isinstance(annotation, type) or not hasattr(annotation, "model_fields"):
        raise UnsupportedEndpoint(field.name)
    kinds = {info.validation_alias or name: info.annotation for name, info in annotation.model_fields.items()}
    lists = {name for name, kind in kinds.items() if _is_sequence(kind)}
    return _Parameter(field.name, field.alias, (place,), field, kinds.keys(), lists)


def _is_sequence(annotation: object) -> bool:
    """Whether a type is a sequence, or a union with one."""
    origin = get_origin(annotation) or annotation
    if origin is Annotated:
        return _is_sequence(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return any(map(_is_sequence, get_args(annotation)))
    return isinstance(origin, type) and issubclass(origin, _SEQUENCES)


def _read_fields(sent: ImmutableMultiDict[str, Any], lists: Collection[str] = ()) -> Mapping[str, Any]:
    """Return the value of each name, or the list of its values where there are several, or it is a list."""
    values = {name: sent.getlist(name) for name in sent}
    return {name: found if len(found) > 1 or name in lists else found[0] for name, found in values.items()}
