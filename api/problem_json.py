"""Renders problems as application/problem+json (RFC 9457), and documents them as responses of operations."""

import json
import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from infra.request_context import get_request_context
from problems import InternalError, MalformedBody, MethodNotAllowed, NotFound, Problem, ValidationFailed
from values.field_errors import FieldError, translate_errors

EXPECTED: Final = (Problem, RequestValidationError, HTTPException)
"""The exceptions that have a problem of their own; all others are a mistake of ours."""
MEDIA_TYPE: Final = "application/problem+json"
TOKEN_PATH: Final = "/users/token"  # noqa: S105
PROBLEM_REF: Final = {"$ref": "#/components/schemas/Problem"}
Responses = dict[int | str, dict[str, Any]]


def get_title(problem: Problem) -> str:
    """Return the name of a problem's status in RFC 9110; Python 3.12 and older have other names for three of them."""
    names = {413: "Content Too Large", 414: "URI Too Long", 422: "Unprocessable Content"}
    return names.get(problem.status, problem.status.phrase)


def to_problem(error: Exception) -> Problem:
    """Return the problem of an exception: itself, that of a framework's exception, or InternalError."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, RequestValidationError):
        return ValidationFailed(errors=translate_errors(error.errors()))
    if isinstance(error, HTTPException):
        kinds: dict[int, type[Problem]] = {
            HTTPStatus.NOT_FOUND: NotFound,
            HTTPStatus.METHOD_NOT_ALLOWED: MethodNotAllowed,
        }
        # The framework raises 404 only for an unknown path; for a missing row our own code raises NotFound.
        detail = (
            "There is no such path; the documentation of the service lists all paths."
            if error.status_code == HTTPStatus.NOT_FOUND
            else ""
        )
        return kinds.get(error.status_code, MalformedBody)(detail, headers=dict(error.headers or {}))
    return InternalError()


def render_problem(request: Request, problem: Problem) -> Response:
    """Return the response of a problem; at /users/token it has the members of an OAuth2 error too."""
    body = to_members(problem, get_request_context().request_id)
    if request.scope["path"] == TOKEN_PATH:
        body |= _build_oauth_members(problem)
    return Response(
        json.dumps(body, ensure_ascii=False, separators=(",", ":")), problem.status, dict(problem.headers), MEDIA_TYPE
    )


def to_members(problem: Problem, request_id: str) -> dict[str, Any]:
    """Return the JSON members of a problem: those of RFC 9457 section 3.1, and our own."""
    body = {
        "type": "about:blank",
        "title": get_title(problem),
        "status": problem.status.value,
        "detail": problem.detail,
        "code": problem.code,
        "request_id": request_id,
        **problem.members,
    }
    return body | {"errors": [error.to_json() for error in problem.errors]} if problem.errors else body


def _build_oauth_members(problem: Problem) -> dict[str, str]:
    # RFC 6749 sections 5.2 and 4.1.2.1. Swagger UI's Authorize dialog shows only these two members.
    kinds = {
        401: "invalid_grant",
        429: "temporarily_unavailable",
        500: "server_error",
        503: "temporarily_unavailable",
    }
    sentences = [problem.detail, *(f"{_get_field_name(error)}: {error.detail}" for error in problem.errors)]
    return {"error": kinds.get(problem.status, "invalid_request"), "error_description": " ".join(sentences)}


def _get_field_name(error: FieldError) -> str:
    return next(iter(error.location.values())).lstrip("/")


def document_problems(problems: Iterable[Problem], beside: Responses | None = None) -> Responses:
    """Return the OpenAPI responses of these problems, with an example of each, merged with the responses `beside`."""
    responses: Responses = {}
    for problem in problems:
        example = {"summary": problem.detail, "value": to_members(problem, "0b8ff8cd7e6e4a1f")}
        response = responses.setdefault(problem.status.value, {"description": get_title(problem), "content": {}})
        content = response["content"].setdefault(MEDIA_TYPE, {"schema": PROBLEM_REF, "examples": {}})
        content["examples"][problem.code] = example
    for status, response in (beside or {}).items():
        merged = responses.setdefault(status, response)
        if merged is not response and MEDIA_TYPE in response.get("content", {}):
            merged["content"][MEDIA_TYPE]["examples"] |= response["content"][MEDIA_TYPE]["examples"]
    return responses


def answer_error(request: Request, error: Exception) -> Response:
    """Return the answer to an exception: its problem; of a path that lacks only this method, a 405."""
    problem = to_problem(error)
    if isinstance(problem, NotFound) and _is_method_missing(request):
        problem = MethodNotAllowed()
    if isinstance(problem, MethodNotAllowed):
        problem.headers = {**problem.headers, **_build_allow_header(request)}
    return render_problem(request, problem)


def _is_method_missing(request: Request) -> bool:
    """Whether the path has routes, but none with this method, as for `DELETE /budgets/status`.

    Its route is that of `/budgets/{budget_id}`, where `status` is a malformed id.
    """
    methods = _list_methods(request.app).get(request.scope["path"], set())
    return bool(methods) and request.method not in methods


def _list_methods(app: FastAPI) -> dict[str, set[str]]:
    """Return the methods of each path that the document has, without building that: it takes a quarter of a second."""
    methods: dict[str, set[str]] = {}
    for route in app.routes:
        if isinstance(route, APIRoute) and route.include_in_schema:
            methods.setdefault(route.path_format, set()).update(route.methods or ())
    return methods


def _build_allow_header(request: Request) -> dict[str, str]:
    """Return the Allow header of the request's path: the methods of all its routes, not only of the first."""
    path, paths = request.scope["path"], _list_methods(request.app)
    patterns = {template: re.sub(r"{\w+}", "[^/]+", template) for template in paths}
    templates = [path] if path in paths else [name for name, pattern in patterns.items() if re.fullmatch(pattern, path)]
    methods = {method for template in templates for method in paths[template]}
    if "GET" in methods:
        methods.add("HEAD")
    return {"Allow": ", ".join(sorted(methods))} if methods else {}
