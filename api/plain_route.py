"""The route class below `LedgerRoute`: FastAPI's, without what this service has no use for.

    FastAPI's APIRoute, for each request                  PlainRoute
    matches the path twice, by way of the router          matches it once
      that was included
    two exit stacks, for dependencies with `yield`        -
    looks for handlers of exceptions, and for             - (api/middleware.py answers all exceptions)
      telemetry
    goes through the parameters of the endpoint           decided once for the route (api/arguments.py)
    validates the answer, and puts it into a second       renders it into the response whose headers
      response                                              the endpoint has set; a response of the endpoint's
                                                            own gets those headers too

The document is FastAPI's own: it is built from the same attributes of the route.
"""

import inspect
from collections.abc import Callable, Coroutine, Mapping
from http import HTTPMethod, HTTPStatus
from typing import Any, Final

from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from api.arguments import Arguments, UnsupportedEndpoint
from api.openapi import name_operation
from api.requests import JSON_TYPE, StrictRequest

Handler = Callable[[Any], Coroutine[Any, Any, Response]]

# FastAPI's options of an answer that are not read here, and their defaults.
_UNREAD_OPTIONS: Final[Mapping[str, Any]] = {
    "response_model_include": None,
    "response_model_exclude": None,
    "response_model_by_alias": True,
    "response_model_exclude_defaults": False,
    "response_model_exclude_none": False,
}


class Answer(Response):
    """A response whose status and headers are set by the endpoint, and whose body comes last."""

    def __init__(self, status: int) -> None:
        self.status_code = status
        self.background = None
        self.body = b""
        self.raw_headers: list[tuple[bytes, bytes]] = []

    def fill(self, body: bytes) -> None:
        """Set the body, which is JSON."""
        self.body = body
        self.raw_headers += [
            (b"content-length", str(len(body)).encode()),
            (b"content-type", JSON_TYPE.encode()),
        ]


class PlainRoute(APIRoute):
    """A route whose endpoint is called with its arguments, and whose answer is rendered as JSON."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        """Take FastAPI's options of a route."""
        super().__init__(path, endpoint, **options | {"generate_unique_id_function": name_operation})
        # The answer to a write is stored for its Idempotency-Key, so that it must be there as a whole.
        makes_response = self.methods == {HTTPMethod.GET} and _returns_response(endpoint)
        is_silent = self.status_code == HTTPStatus.NO_CONTENT or makes_response
        answers_nothing = self.response_field is None and not is_silent
        unread = [name for name, default in _UNREAD_OPTIONS.items() if options.get(name, default) != default]
        if answers_nothing or unread:
            reason = unread or "an endpoint returns a schema, or its status is 204; a GET may return a response"
            raise UnsupportedEndpoint(f"{path}: {reason}")

    def get_route_handler(self) -> Handler:
        """Return the function that answers a request; the constructor of FastAPI's route calls this once."""
        self.respond = self.build_responder()
        return self.respond

    def build_responder(self) -> Handler:
        """Build the function that answers a request."""
        arguments, field = Arguments(self.dependant), self.response_field
        status = self.status_code or HTTPStatus.OK
        exclude_unset = self.response_model_exclude_unset

        async def respond(request: StrictRequest) -> Response:
            answer = Answer(status)
            result = await arguments.call(request, answer)
            if field is not None:
                answer.fill(field.serialize_json(result, exclude_unset=exclude_unset))
            elif isinstance(result, Response):
                result.raw_headers += answer.raw_headers
                return result
            return answer

        return respond

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return whether this route serves the path and the method, and what it adds to the scope."""
        match = self.path_regex.fullmatch(scope["path"])
        if match is None or scope["type"] != "http":
            return Match.NONE, {}
        convertors = self.param_convertors
        found = {name: convertors[name].convert(value) for name, value in match.groupdict().items()}
        added = {"endpoint": self.endpoint, "path_params": found, "route": self}
        return Match.FULL if scope["method"] in (self.methods or ()) else Match.PARTIAL, added

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; raise HTTPException if the path has no such method."""
        if scope["method"] not in (self.methods or ()):
            raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED)
        response = await self.respond(StrictRequest(scope, receive))
        await response(scope, receive, send)


def _returns_response(endpoint: Callable[..., Any]) -> bool:
    annotation = inspect.signature(endpoint).return_annotation
    return isinstance(annotation, type) and issubclass(annotation, Response)
