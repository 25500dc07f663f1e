"""Addresses with every kind of answer to a GET, and what a page of another origin may read of them."""

from typing import Final

PAGE: Final = "http://localhost:5173"
EXPOSED: Final = {
    "Location",
    "Link",
    "ETag",
    "X-Request-ID",
    "WWW-Authenticate",
    "Retry-After",
    "Idempotency-Replayed",
    "Content-Disposition",
}
"""The headers that a page may read."""
TO_READ: Final = [
    "/",
    "/health",
    "/ready",
    "/currencies",
    "/docs",
    "/redoc",
    "/openapi.json",
    "/users/me",
    "/categories",
    "/categories/1",
    "/expenses",
    "/expenses?limit=1&with_count=true",
    "/expenses?limit=0",
    "/expenses/1",
    "/nowhere",
    "/users/register",
    "/assets/swagger-ui.css",
]


def words(header: str) -> set[str]:
    """Return the members of a header that is a list."""
    return {member.strip() for member in header.split(",")}
