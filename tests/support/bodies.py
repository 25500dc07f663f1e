"""Validates request bodies by their schemas, without an app."""

from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from api.problem_json import to_problem

# All codes of field errors: the contract promises clients that there are no others.
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
    """Return the exception that FastAPI raises for a body, with the errors of its schema; without errors if valid."""
    try:
        shape.model_validate(sent)
    except ValidationError as error:
        return RequestValidationError([{**details, "loc": ("body", *details["loc"])} for details in error.errors()])
    return RequestValidationError([])


USER: dict[str, Any] = {"username": "ada", "email": "ada@example.com", "password": "a walk along the sea"}
EXPENSE: dict[str, Any] = {"amount": "12.50"}


def taken(shape: type[BaseModel], **fields: object) -> dict[str, Any]:
    """Return the values that a schema parses from these fields."""
    return shape.model_validate(fields).model_dump()


def blamed(shape: type[BaseModel], **fields: object) -> dict[str, str]:
    """Return the fields that a schema refuses, with the code of each error; empty if all are valid."""
    return {error.location["pointer"][1:]: error.code for error in to_problem(refused(shape, fields)).errors}
