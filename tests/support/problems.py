"""Requests that are refused without a token, and readers of problems."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Refusal:
    """A request without a valid token that is refused, with the status and code of its problem."""

    status: int
    code: str
    method: str
    path: str
    sent: Mapping[str, Any] = field(default_factory=dict)

    async def provoke(self, client: httpx.AsyncClient) -> httpx.Response:
        return await client.request(self.method, self.path, **self.sent)


WRONG_SIGN_IN = {"data": {"username": "nobody", "password": "a walk along the sea"}}
OVERSIZED = {"content": b" " * 65_537, "headers": JSON}
REFUSALS = [
    Refusal(400, "malformed_body", "POST", "/users/register", {"content": b"{", "headers": JSON}),
    Refusal(401, "not_authenticated", "GET", "/expenses"),
    Refusal(401, "invalid_token", "GET", "/expenses", {"headers": {"Authorization": "Bearer x"}}),
    Refusal(401, "invalid_credentials", "POST", "/users/token", WRONG_SIGN_IN),
    Refusal(404, "not_found", "GET", "/nowhere"),
    Refusal(404, "not_found", "GET", "/assets/nothing.js"),
    Refusal(405, "method_not_allowed", "PUT", "/expenses"),
    Refusal(405, "method_not_allowed", "POST", "/assets/swagger-ui.css"),
    Refusal(413, "body_too_large", "POST", "/users/register", OVERSIZED),
    Refusal(415, "unsupported_media_type", "POST", "/users/register", {"content": b"{}"}),
    Refusal(422, "validation_failed", "POST", "/users/register", {"json": {}}),
]
AS_REFUSED = pytest.mark.parametrize(
    "refusal", REFUSALS, ids=lambda refusal: f"{refusal.status}-{refusal.method}-{refusal.path}-{refusal.code}"
)


def blamed(answer: httpx.Response) -> dict[str, str]:
    """Return the code of each field error by its field: {"/amount": "out_of_range", "limit": "wrong_type"}."""
    assert answer.headers["Content-Type"] == "application/problem+json", answer.text
    return {error.get("pointer", error.get("parameter")): error["code"] for error in answer.json()["errors"]}


def advice(answer: httpx.Response, place: str) -> str:
    """Return the `detail` of the field error of one pointer or parameter."""
    errors = answer.json()["errors"]
    [error] = [error for error in errors if place in (error.get("pointer"), error.get("parameter"))]
    return str(error["detail"])
