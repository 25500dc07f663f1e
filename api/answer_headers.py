"""The headers that every answer has, whoever made it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

Header = tuple[bytes, bytes]

CONTENT_POLICY: Final = (
    b"content-security-policy",
    b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
)
COMMON_HEADERS: Final = ((b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer"))
NO_STORE: Final = (b"cache-control", b"no-store")
NO_CACHE: Final = (b"cache-control", b"private, no-cache")
VARY: Final = (b"vary", b"Origin")
VARY_BY_CALLER: Final = (b"vary", b"Authorization, Origin")
REQUEST_ID: Final = b"x-request-id"
HEAD_KEY: Final = "expense_tracker.is_head"
"""The key in the scope that tells whether a GET was sent as HEAD, so that only the head of the answer is sent."""


@dataclass(frozen=True, slots=True)
class AnswerHeaders:
    """Headers that an answer gets beside its own."""

    always: tuple[Header, ...]
    """Also in the place of its own."""
    unless_own: tuple[Header, ...]
    """Where it has none of its own: a page has its own Content-Security-Policy, a preflight its own Vary."""

    def add_to(self, own: Iterable[Header], request_id: bytes) -> list[Header]:
        """Return an answer's own headers with these."""
        always = ((REQUEST_ID, request_id), *COMMON_HEADERS, *self.always)
        replaced = {name for name, _ in always}
        kept = [header for header in own if header[0] not in replaced]
        names = {name for name, _ in kept}
        return [*kept, *always, *(header for header in self.unless_own if header[0] not in names)]


_OF_ANYBODY: Final = AnswerHeaders((), (CONTENT_POLICY, VARY))
_OF_CALLERS: Final = AnswerHeaders((NO_CACHE,), (CONTENT_POLICY, VARY_BY_CALLER))
_OF_ACCOUNTS: Final = AnswerHeaders((NO_STORE,), (CONTENT_POLICY, VARY))
_OF_CALLERS_ACCOUNTS: Final = AnswerHeaders((NO_STORE,), (CONTENT_POLICY, VARY_BY_CALLER))


def choose_headers(path: str, *, is_signed_in: bool) -> AnswerHeaders:
    """Return the headers of the answer to a request; what is about accounts is never stored."""
    if path.startswith("/users"):
        return _OF_CALLERS_ACCOUNTS if is_signed_in else _OF_ACCOUNTS
    return _OF_CALLERS if is_signed_in else _OF_ANYBODY
