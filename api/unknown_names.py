"""Suggests known names for unknown query parameters and fields, so that a client sees a typo at once."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any, Final, get_args

from fastapi import Request
from pydantic import BaseModel

from values.field_errors import FieldError
from values.fields import IGNORED

# Finding the nearest name takes time, and a query or a body can contain a hundred unknown ones.
MAX_SUGGESTIONS: Final = 20
LIKENESS: Final = 0.7


def suggest_names(errors: Sequence[FieldError], request: Request, body: type[BaseModel] | None) -> list[FieldError]:
    """Return the errors; those of the first 20 unknown names say what to write instead. `body` is the body's schema."""
    unknown = [index for index, error in enumerate(errors) if error.code == "unknown"][:MAX_SUGGESTIONS]
    is_parameter_unknown = any("parameter" in errors[index].location for index in unknown)
    parameters = _list_parameters(request) if is_parameter_unknown else {}
    suggested = [*errors]
    for index in unknown:
        suggested[index] = _suggest(errors[index], parameters, body)
    return suggested


def _suggest(error: FieldError, parameters: Mapping[str, bool], body: type[BaseModel] | None) -> FieldError:
    if "parameter" in error.location:
        return replace(error, detail=describe_unknown_parameter(error.location["parameter"], parameters))
    *outer, name = error.location["pointer"].split("/")[1:]
    return replace(error, detail=describe_unknown_field(name, _list_fields(_find_schema(body, outer))))


def describe_unknown_parameter(name: str, known: Mapping[str, bool]) -> str:
    """Return a sentence that says what to write instead of `name`.

    `known` has the names of the operation's parameters, and for each whether it may be repeated.
    """
    bare, bracket, _ = name.partition("[")
    if bracket and bare in known:
        return f"Write {bare}=a&{bare}=b." if known[bare] else f"Write {bare} without brackets, once."
    if not known:
        return "There is no such parameter here; this address takes none."
    return f"There is no such parameter here; {_describe_known(name, known)}"


def describe_unknown_field(name: str, known: Collection[str]) -> str:
    """Return a sentence that says what to write instead of the field `name`."""
    return f"There is no such field; {_describe_known(name, known)}" if known else "There is no such field."


def _describe_known(name: str, known: Collection[str]) -> str:
    near = get_close_matches(name.lower(), known, 1, LIKENESS)
    return f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}."


def _list_parameters(request: Request) -> dict[str, bool]:
    paths = request.app.openapi()["paths"]
    operation = paths[request.scope["route"].path_format][request.method.lower()]
    parameters: list[dict[str, Any]] = operation.get("parameters", [])
    query_parameters = (parameter for parameter in parameters if parameter["in"] == "query")
    return {parameter["name"]: parameter["schema"].get("type") == "array" for parameter in query_parameters}


def _find_schema(body: type[BaseModel] | None, path: Sequence[str]) -> type[BaseModel] | None:
    """Return the schema of a field of a field of a body; None if it is not one schema."""
    for name in path:
        field = body.model_fields.get(name) if body else None
        annotations = get_args(field.annotation) or (field.annotation,) if field else ()
        body = next((it for it in annotations if isinstance(it, type) and issubclass(it, BaseModel)), None)
    return body


def _list_fields(body: type[BaseModel] | None) -> list[str]:
    fields = body.model_fields.items() if body else ()
    return [field.alias or name for name, field in fields if field.description != IGNORED]
