"""Bodies against the schemas that read them, without an app."""

from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from api.problem_json import to_problem

# The words of the contract: a client may switch on these and no others.
ENTRY_CODES = {
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
}


def refused(shape: type[BaseModel], sent: object) -> RequestValidationError:
    """Return what FastAPI tells the edge of a body that a shape does not take."""
    try:
        shape.model_validate(sent)
    except ValidationError as error:
        return RequestValidationError([{**it, "loc": ("body", *it["loc"])} for it in error.errors()])
    return RequestValidationError([])


USER: dict[str, Any] = {"username": "ada", "email": "ada@example.com", "password": "a walk along the sea"}
EXPENSE: dict[str, Any] = {"amount": "12.50"}


def taken(shape: type[BaseModel], **fields: object) -> dict[str, Any]:
    """Return what a shape makes of these fields."""
    return shape.model_validate(fields).model_dump()


def blamed(shape: type[BaseModel], **fields: object) -> dict[str, str]:
    """Return which fields a shape refuses, and what for; nothing where it takes them."""
    return {entry.location["pointer"][1:]: entry.code for entry in to_problem(refused(shape, fields)).errors}
