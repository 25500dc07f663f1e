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
    a list                                all headers of one name; of a dependency alone
    a dependency                          an async function, which takes the request or headers
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Annotated, Any, Final, NamedTuple, get_args, get_origin

from fastapi import params
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import ImmutableMultiDict
from starlette.responses import Response

from api.requests import StrictRequest

_MISSING: Final = object()
_SEQUENCES: Final = (list, tuple, set, frozenset)
Errors = list[dict[str, Any]]
Values = dict[str, Any]


class UnknownKind(TypeError):
    """An endpoint has a parameter of a kind that this module does not read."""


class _Parameter(NamedTuple):
    """A parameter that is read and validated."""

    name: str
    alias: str
    location: tuple[str, ...]
    """Where it is read from, as errors tell it: `("query",)`, or `("path", "expense_id")`."""
    field: Any
    """FastAPI's `ModelField`."""
    lists: Collection[str] = ()
    """Of a model: the names of its fields that are lists."""

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
        """Take what FastAPI has found out about the signature; raise UnknownKind for what is not read here."""
        for kind in (
            "cookie_params",
            "http_connection_param_name",
            "background_tasks_param_name",
            "websocket_param_name",
        ):
            if getattr(dependant, kind):
                raise UnknownKind(kind)
        if dependant.call is None or len(dependant.body_params) > 1 or len(dependant.query_params) > 1:
            raise UnknownKind(dependant.path)
        self._call: Callable[..., Awaitable[Any]] = dependant.call
        self._dependencies = [(found.name, Arguments(found)) for found in dependant.dependencies]
        self._request_name = dependant.request_param_name
        self._response_name = dependant.response_param_name
        self._path = [_Parameter(it.name, it.alias, ("path", it.alias), it) for it in dependant.path_params]
        self._headers = [_Parameter(it.name, it.alias, ("header", it.alias), it) for it in dependant.header_params]
        if not all(_is_sequence(it.field_info.annotation) for it in dependant.header_params):
            raise UnknownKind(dependant.path)
        self._query = _find_model(dependant.query_params, "query")
        self._body = _find_model(dependant.body_params, "body")
        self._is_form = any(isinstance(it.field_info, params.Form) for it in dependant.body_params)

    async def call(self, request: StrictRequest, response: Response) -> Any:  # noqa: ANN401
        """Call the endpoint with its arguments; raise RequestValidationError with all errors."""
        errors: Errors = []
        body = await self._read_body(request) if self._body else _MISSING
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
            values[self._body.name] = self._body.validate(body, errors)
        if self._request_name:
            values[self._request_name] = request
        if self._response_name:
            values[self._response_name] = response
        return values

    async def _read_body(self, request: StrictRequest) -> object:
        if self._is_form:
            form = _read_fields(await request.form())
            return {name: value for name, value in form.items() if value != ""}
        return await request.json() if await request.body() else _MISSING


def _find_model(fields: Sequence[Any], place: str) -> _Parameter | None:
    if not fields:
        return None
    (field,) = fields
    annotation = field.field_info.annotation
    if not isinstance(annotation, type) or not hasattr(annotation, "model_fields"):
        raise UnknownKind(field.name)
    described = annotation.model_fields.items()
    lists = {info.alias or name for name, info in described if _is_sequence(info.annotation)}
    return _Parameter(field.name, field.alias, (place,), field, lists)


def _is_sequence(annotation: object) -> bool:
    """Whether a type is a sequence, or a union with one."""
    origin = get_origin(annotation) or annotation
    if origin is Annotated:
        return _is_sequence(get_args(annotation)[0])
    is_one = isinstance(origin, type) and issubclass(origin, _SEQUENCES)
    return is_one or (not isinstance(origin, type) and any(map(_is_sequence, get_args(annotation))))


def _read_fields(sent: ImmutableMultiDict[str, Any], lists: Collection[str] = ()) -> Mapping[str, Any]:
    """Return the value of each name, or the list of its values where there are several, or it is a list."""
    values = {name: sent.getlist(name) for name in sent}
    return {name: found if len(found) > 1 or name in lists else found[0] for name, found in values.items()}
