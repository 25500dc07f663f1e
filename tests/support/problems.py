"""Requests that are refused, and what their problems say."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Refusal:
    """A request that is refused before anybody has signed in, and what it is refused as."""

    status: int
    code: str
    method: str
    path: str
    sent: Mapping[str, Any] = field(default_factory=dict)

    async def meet(self, client: httpx.AsyncClient) -> httpx.Response:
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
AS_REFUSED = pytest.mark.parametrize("refusal", REFUSALS, ids=lambda it: f"{it.status}-{it.method}-{it.path}-{it.code}")


def blamed(answer: httpx.Response) -> dict[str, str]:
    """Return who is to blame for a problem, and for what: {"/amount": "out_of_range", "limit": "wrong_type"}."""
    assert answer.headers["Content-Type"] == "application/problem+json", answer.text
    return {entry.get("pointer", entry.get("parameter")): entry["code"] for entry in answer.json()["errors"]}


def advice(answer: httpx.Response, place: str) -> str:
    """Return the sentence that a problem says about one pointer or parameter."""
    [entry] = [it for it in answer.json()["errors"] if place in (it.get("pointer"), it.get("parameter"))]
    return str(entry["detail"])
