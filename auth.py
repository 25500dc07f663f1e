"""Authentication by access token: a signed JWT names the user and the session, and the session's row must exist.

    Authorization: Bearer eyJ…  -->  AccessTokens.read  -->  Claims(user_id, sid)  -->  load_caller  -->  Caller

An access token is not stored: it is valid until it expires or its session's row is deleted.
"""

import base64
import hashlib
import json
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from jose import jwk, jws, jwt
from jose.exceptions import JOSEError
from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from infra.prepared import Prepared
from models import LedgerState, Session, User
from problems import InvalidToken, TokenExpired

ALGORITHM: Final = "HS256"
ISSUER: Final = "expense-tracker"
AUDIENCE: Final = "expense-tracker-api"
MAX_TOKEN_LENGTH: Final = 1024
# Seconds by which the clocks of two hosts of ours may differ.
CLOCK_SKEW: Final = 30
# Seconds by which a clock may be set back. Time zones lie up to 26 hours apart, and one may be taken for another.
MAX_CLOCK_SET_BACK: Final = 26 * 60 * 60
TOKEN_CACHE_SIZE: Final = 1024
# Header, claims and signature in base64url without padding. The signature has 32 bytes: 42 letters, and a last one of
# which two bits are unused and must be 0, so that no token has two spellings.
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")
_SID: Final = re.compile("[0-9a-f]{32}")
_USER_ID: Final = re.compile("[1-9][0-9]{0,17}")
ALLOWED_HEADER_KEYS: Final = frozenset({"alg", "typ", "kid"})
# `AccessTokens.read` compares the times each time a token is read. `require_exp` is absent, since it sets `verify_exp`.
_DECODE_OPTIONS: Final = {
    "verify_exp": False,
    **{f"require_{claim}": True for claim in ("aud", "iat", "iss", "sub", "jti")},
}


# --- Access tokens ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of a valid access token: the user, the session, and when it was issued and expires (Unix time)."""

    user_id: int
    sid: str
    issued: int
    expires: int


class AccessTokens:
    """Issues and verifies access tokens: JWT (RFC 7519) with the precautions of RFC 8725."""

    def __init__(self, keys: Sequence[str], minutes: int) -> None:
        """Take the keys, of which the first signs and all verify, and the lifetime in minutes."""
        self._keys = [_construct_key(key) for key in keys]
        self.seconds = minutes * 60
        # The same token comes with each request of a session; verifying it takes 1/15 of the time of reading a row.
        self._verify_cached = lru_cache(TOKEN_CACHE_SIZE)(self._verify_except_times)

    def issue(self, user_id: int, sid: str, seconds: int) -> str:
        """Return a token for this session that expires in `seconds`, at most the configured lifetime."""
        issued = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(user_id),
            "sid": sid,
            "iat": issued,
            "exp": issued + seconds,
            "jti": secrets.token_hex(16),
        }
        return _sign(claims, self._keys[0])

    def read(self, token: str) -> Claims:
        """Return the claims of a token; raise TokenExpired or InvalidToken.

        A token of ours from the near future means that our clock was set back since. It counts as expired, so that
        clients refresh it instead of signing their user out.
        """
        claims = self._verify_cached(token)
        now = int(time.time())
        if claims.issued > now + MAX_CLOCK_SET_BACK:
            raise InvalidToken
        if claims.expires <= now or claims.issued > now + CLOCK_SKEW:
            raise TokenExpired
        if claims.expires - claims.issued > self.seconds:
            raise InvalidToken
        return claims

    def _verify_except_times(self, token: str) -> Claims:
        """Verify everything except the times.

        python-jose accepts what RFC 8725 forbids: unknown critical headers, a future `iat`, an `exp` as text.
        """
        if len(token) > MAX_TOKEN_LENGTH or not _TOKEN.fullmatch(token):
            raise InvalidToken
        claims = _verify(token, self._keys)
        issued, expires, user_id, sid = (claims.get(name) for name in ("iat", "exp", "sub", "sid"))
        if not (type(issued) is int and type(expires) is int and isinstance(user_id, str) and isinstance(sid, str)):
            raise InvalidToken
        if not (_SID.fullmatch(sid) and _USER_ID.fullmatch(user_id)):
            raise InvalidToken
        return Claims(int(user_id), sid, issued, expires)


# --- The only functions that call python-jose -------------------------------------------------------------------------


def _construct_key(key: str) -> Any:  # noqa: ANN401
    return jwk.construct(key, ALGORITHM)


def _sign(claims: Mapping[str, Any], key: Any) -> str:  # noqa: ANN401
    return str(jwt.encode(dict(claims), key, algorithm=ALGORITHM))


@lru_cache
def _has_allowed_keys(header: str) -> bool:
    # All our tokens have the same header, so the result is cached.
    return ALLOWED_HEADER_KEYS.issuperset(json.loads(base64.urlsafe_b64decode(f"{header}==")))


def _verify(token: str, keys: Sequence[Any]) -> dict[str, Any]:
    try:
        if not _has_allowed_keys(token.split(".", 1)[0]):
            raise InvalidToken
        key = next((key for key in keys[:-1] if _is_signed(token, key)), keys[-1])
        return jwt.decode(token, key, algorithms=[ALGORITHM], audience=AUDIENCE, issuer=ISSUER, options=_DECODE_OPTIONS)
    except (JOSEError, RecursionError, ValueError, TypeError, AttributeError, OverflowError):
        raise InvalidToken from None


def _is_signed(token: str, key: Any) -> bool:  # noqa: ANN401
    try:
        jws.verify(token, key, [ALGORITHM])
    except JOSEError:
        return False
    return True


# --- Stored tokens: refresh tokens and personal tokens ----------------------------------------------------------------


def hash_token(token: str) -> str:
    """Return the SHA-256 that is stored of a token, which is too random to be found by trying."""
    return hashlib.sha256(token.encode()).hexdigest()


# --- The caller -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Caller:
    """The user of a request: id, session, default currency, time zone, start of months, and ledger's revision."""

    id: int
    sid: str | None
    """The session's id in tokens; None if the request has a personal access token."""
    currency: str
    timezone: str
    month_start_day: int
    revision: int
    """The ledger's revision, read before any other row, so that an ETag can only be too old."""


# Answered by the unique index on sessions.sid and the primary keys of users and ledgers.
_CALLER: Final = Prepared(
    select(User.currency, User.timezone, User.month_start_day, LedgerState.revision)
    .join(Session, Session.owner_id == User.id)
    .join(LedgerState, LedgerState.owner_id == Session.owner_id)
    .where(Session.sid == bindparam("sid"), Session.mine())
)


async def load_caller(connection: AsyncConnection, claims: Claims) -> Caller:
    """Load the caller; raise InvalidToken if the session has ended or the account is deleted."""
    row = await _CALLER.fetch_one(connection, {"owner": claims.user_id, "sid": claims.sid})
    if row is None:
        raise InvalidToken
    return Caller(claims.user_id, claims.sid, *row)
