"""Field errors: which field of a request is wrong and why, and the translation from pydantic's errors.

    pydantic   {"type": "missing", "loc": ("body", "amount"), …}
    here       FieldError(location={"pointer": "/amount"}, code="required", detail="This is required.")
    answer     "errors": [{"pointer": "/amount", "code": "required", "detail": "This is required."}]

The location is a JSON Pointer into the body, the name of a query parameter, or the name of a header.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError

FieldErrorCode = Literal[
    "required",
    "unknown",
    "wrong_type",
    "malformed",
    "too_short",
    "too_long",
    "out_of_range",
    "not_allowed",
    "already_exists",
    "not_found",
    "precondition_failed",
]
"""The codes of field errors; a client may rely on this list being complete."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """An error of one field: its location in the request, a code for programs, a sentence for people."""

    location: Mapping[str, str]
    code: str
    detail: str

    def to_json(self) -> dict[str, str]:
        """Return the error as an element of the problem's `errors`."""
        return {**self.location, "code": self.code, "detail": self.detail}


def field_error(pointer: str, code: str, detail: str) -> FieldError:
    """Return the error of a field of the body, located by a JSON Pointer (RFC 6901)."""
    return FieldError({"pointer": pointer}, code, detail)


def parameter_error(name: str, code: str, detail: str) -> FieldError:
    """Return the error of a query parameter."""
    return FieldError({"parameter": name}, code, detail)


def header_error(name: str, code: str, detail: str) -> FieldError:
    """Return the error of a request header."""
    return FieldError({"header": name}, code, detail)


def invalid_value(code: str, detail: str, *, of_several: bool = False) -> PydanticCustomError:
    """Return the exception with which a validator reports a field error; `of_several`: the value may be a list."""
    return PydanticCustomError(code, "{detail}", {"detail": detail, "of_several": of_several})


def invalid_element(index: int, code: str, detail: str) -> ValidationError:
    """Return the exception with which a validator of a list reports the field error of one of its elements."""
    error = InitErrorDetails(type=invalid_value(code, detail), loc=(index,), input=None)
    return ValidationError.from_exception_data("list", [error], hide_input=True)


def to_field_error(pointer: str, error: PydanticCustomError) -> FieldError:
    """Convert an error that one of our validators raised outside of a schema."""
    return field_error(pointer, error.type, error.message())


# Our code and sentence for each error type of pydantic and FastAPI; the braces are filled from the error's context.
_MESSAGES: Final[Mapping[str, tuple[FieldErrorCode, str]]] = {
    "missing": ("required", "This is required."),
    "extra_forbidden": ("unknown", "There is no such field."),
    "string_type": ("wrong_type", "Send a text."),
    "string_unicode": ("malformed", "This is not valid Unicode text."),
    "string_too_short": ("too_short", "Send at least {min_length} characters."),
    "string_too_long": ("too_long", "Send at most {max_length} characters."),
    "too_short": ("too_short", "Send at least {min_length} of these."),
    "too_long": ("too_long", "Send at most {max_length} of these."),
    "list_type": ("wrong_type", "Send a list."),
    "bool_type": ("wrong_type", "Send true or false."),
    "int_type": ("wrong_type", "Send a whole number."),
    "greater_than_equal": ("out_of_range", "Send at least {ge}."),
    "less_than_equal": ("out_of_range", "Send at most {le}."),
    "union_tag_not_found": ("required", "This is required."),
    "union_tag_invalid": ("not_allowed", "Send one of {expected_tags}."),
    "literal_error": ("not_allowed", "Send one of {expected}."),
    "model_type": ("wrong_type", "Send a JSON object."),
    "model_attributes_type": ("wrong_type", "Send a JSON object."),
}
MAX_ECHOED_NAME: Final = 64
# A problem lists so many errors. Nobody reads more, and each of them takes time.
MAX_FIELD_ERRORS: Final = 100


def translate_errors(errors: Sequence[Mapping[str, Any]]) -> list[FieldError]:
    """Translate the errors of FastAPI or pydantic, the first 101; no value that was sent is repeated.

    One more than a problem lists, so that the problem says that there are more.
    """
    return [_translate_error(error) for error in errors[: MAX_FIELD_ERRORS + 1]]


def _translate_error(error: Mapping[str, Any]) -> FieldError:
    where, *path = error["loc"]
    kind, location, context = error["type"], _locate(where, path), error.get("ctx", {})
    of_several = kind == "too_long" or context.get("of_several", False)
    if where == "query" and kind == "extra_forbidden":
        return FieldError(location, "unknown", "There is no such parameter here.")
    if where == "query" and len(path) == 1 and isinstance(error.get("input"), list) and not of_several:
        return FieldError(location, "not_allowed", "Send this only once.")
    if own_detail := context.get("detail"):
        return FieldError(location, kind, own_detail)
    if kind == "missing" and not path:
        return FieldError(location, "required", "Send a JSON object as the body.")
    code, sentence = _MESSAGES.get(kind, ("wrong_type", "Send another kind of value."))
    if kind in {"literal_error", "union_tag_invalid"} and not isinstance(error.get("input"), str):
        code = "wrong_type"
    return FieldError(location, code, sentence.format_map(context))


def _locate(where: str, path: Sequence[str | int]) -> Mapping[str, str]:
    # A client can invent any name: it is cut to 64 characters, and lone surrogates, which UTF-8 lacks, become `?`.
    names = [str(part)[:MAX_ECHOED_NAME].encode("utf-8", "replace").decode() for part in path]
    if where == "body":
        return {"pointer": "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in names)}
    return {"header" if where == "header" else "parameter": names[0] if names else ""}
