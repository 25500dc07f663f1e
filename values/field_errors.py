"""What was refused of a request: entries that each name one field to blame, and how validation tells of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic_core import PydanticCustomError

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
"""What may be wrong with a field; a client may switch on these and no others."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field that is to blame: where it is, a code for programs, a sentence for people."""

    location: Mapping[str, str]
    code: str
    detail: str

    def to_json(self) -> dict[str, str]:
        """Return the entry as a member of `errors`."""
        return {**self.location, "code": self.code, "detail": self.detail}


def field_error(pointer: str, code: str, detail: str) -> FieldError:
    """Blame a field of the body, by JSON Pointer (RFC 6901)."""
    return FieldError({"pointer": pointer}, code, detail)


def parameter_error(name: str, code: str, detail: str) -> FieldError:
    """Blame a parameter of the query."""
    return FieldError({"parameter": name}, code, detail)


def header_error(name: str, code: str, detail: str) -> FieldError:
    """Blame a header."""
    return FieldError({"header": name}, code, detail)


def invalid_value(code: str, detail: str, *, of_several: bool = False) -> PydanticCustomError:
    """Return what a validator raises to become one entry of the problem; `of_several` values that may be many."""
    return PydanticCustomError(code, "{detail}", {"detail": detail, "of_several": of_several})


def to_field_error(pointer: str, refused: PydanticCustomError) -> FieldError:
    """Blame a field of the body for what a validator of ours raised elsewhere than in a shape."""
    return field_error(pointer, refused.type, refused.message())


# What pydantic and FastAPI call a refusal: our code for it, and our sentence with the bound that was passed.
_MESSAGES: Final[Mapping[str, tuple[FieldErrorCode, str]]] = {
    "missing": ("required", "This is required."),
    "extra_forbidden": ("unknown", "There is no such field."),
    "string_type": ("wrong_type", "Send a text."),
    "string_unicode": ("malformed", "This is no valid Unicode text."),
    "string_too_short": ("too_short", "Send at least {min_length} characters."),
    "string_too_long": ("too_long", "Send at most {max_length} characters."),
    "too_short": ("too_short", "Give at least {min_length} of these."),
    "too_long": ("too_long", "Give at most {max_length} of these."),
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
# A body can hold six thousand made-up keys; not all of them need be told.
MAX_FIELD_ERRORS: Final = 1_000


def translate_errors(refused: Sequence[Mapping[str, Any]]) -> list[FieldError]:
    """Return what FastAPI or pydantic refused as entries, without echoing any value."""
    return [_translate_error(it) for it in refused[:MAX_FIELD_ERRORS]]


def _translate_error(refused: Mapping[str, Any]) -> FieldError:
    where, *path = refused["loc"]
    kind, place, context = refused["type"], _locate(where, path), refused.get("ctx", {})
    of_several = kind == "too_long" or context.get("of_several", False)
    if where == "query" and kind == "extra_forbidden":
        return FieldError(place, "unknown", "There is no such parameter here.")
    if where == "query" and len(path) == 1 and isinstance(refused.get("input"), list) and not of_several:
        return FieldError(place, "not_allowed", "Give this once.")
    if own := context.get("detail"):
        return FieldError(place, kind, own)
    if kind == "missing" and not path:
        return FieldError(place, "required", "Send a JSON object as the body.")
    code, sentence = _MESSAGES.get(kind, ("wrong_type", "Send another kind of value."))
    if kind in {"literal_error", "union_tag_invalid"} and not isinstance(refused.get("input"), str):
        code = "wrong_type"
    return FieldError(place, code, sentence.format_map(context))


def _locate(where: str, path: Sequence[str | int]) -> Mapping[str, str]:
    # A name that the client made up may be anything: shown short and printable, as JSON cannot carry lone surrogates.
    names = [str(part)[:MAX_ECHOED_NAME].encode("utf-8", "replace").decode() for part in path]
    if where == "body":
        return {"pointer": "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in names)}
    return {"header" if where == "header" else "parameter": names[0] if names else ""}
