"""Suggests known names for unknown query parameters, so that a client sees a typo at once."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any, Final

from fastapi import Request

from values.field_errors import FieldError

# Finding the nearest name takes time, and a query can contain thousands of unknown ones.
MAX_SUGGESTIONS: Final = 20
LIKENESS: Final = 0.7


def suggest_parameters(errors: Sequence[FieldError], request: Request) -> list[FieldError]:
    """Return the errors; those of the first 20 unknown parameters say what to write instead."""
    unknown = [error for error in errors if error.code == "unknown" and "parameter" in error.location]
    if not unknown:
        return [*errors]
    known, explained = _list_parameters(request), unknown[:MAX_SUGGESTIONS]
    return [
        replace(error, detail=describe_unknown(error.location["parameter"], known)) if error in explained else error
        for error in errors
    ]


def describe_unknown(name: str, known: Mapping[str, bool]) -> str:
    """Return a sentence that says what to write instead of `name`.

    `known` has the names of the operation's parameters, and for each whether it may be repeated.
    """
    bare, bracket, _ = name.partition("[")
    if bracket and bare in known:
        return f"Write {bare}=a&{bare}=b." if known[bare] else f"Write {bare} without brackets, once."
    if not known:
        return "There is no such parameter here; this address takes none."
    if near := get_close_matches(name.lower(), known, 1, LIKENESS):
        return f"There is no such parameter here; did you mean {near[0]}?"
    return f"There is no such parameter here; there are: {', '.join(known)}."


def _list_parameters(request: Request) -> dict[str, bool]:
    paths = request.app.openapi()["paths"]
    operation = paths[request.scope["route"].path_format][request.method.lower()]
    parameters: list[dict[str, Any]] = operation.get("parameters", [])
    query_parameters = (parameter for parameter in parameters if parameter["in"] == "query")
    return {parameter["name"]: parameter["schema"].get("type") == "array" for parameter in query_parameters}
