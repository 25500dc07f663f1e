"""Who is calling: access tokens, and the session behind one."""

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
from jose.exceptions import ExpiredSignatureError, JOSEError
from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from infra.prepared import Prepared
from models import LedgerState, Session, User
from problems import InvalidToken, TokenExpired

ALGORITHM: Final = "HS256"
ISSUER: Final = "expense-tracker"
AUDIENCE: Final = "expense-tracker-api"
MAX_TOKEN_LENGTH: Final = 1024
CLOCK_SKEW: Final = 30
TOKEN_CACHE_SIZE: Final = 1024
# Header, claims and 32 bytes of signature in base64url without padding, whose last letter has no bits to spare.
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")
_SID: Final = re.compile("[0-9a-f]{32}")
_USER_ID: Final = re.compile("[1-9][0-9]{0,17}")
ALLOWED_HEADER_KEYS: Final = frozenset({"alg", "typ", "kid"})
_DECODE_OPTIONS: Final = {f"require_{claim}": True for claim in ("aud", "iat", "exp", "iss", "sub", "jti")}


# --- Access tokens ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Claims:
    """What a good access token says: whose it is, and of which session."""

    user_id: int
    sid: str
    issued: int
    expires: int


class AccessTokens:
    """Issues and reads the access tokens: JWT (RFC 7519) under RFC 8725's advice."""

    def __init__(self, keys: Sequence[str], minutes: int) -> None:
        """Take the key that signs, then those that still verify (RFC 8725 section 3.5), and the lifetime."""
        self._keys = [_construct_key(key) for key in keys]
        self.seconds = minutes * 60
        # A token comes with every request of its session, and verifying it is a fifteenth of the time of reading a row.
        self._verify_cached = lru_cache(TOKEN_CACHE_SIZE)(self._verify_except_times)

    def issue(self, user_id: int, sid: str, seconds: int) -> str:
        """Return a token for this session, good from now for so many seconds, which must be no more than configured."""
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
        """Return what a token says; raise TokenExpired or InvalidToken."""
        claims = self._verify_cached(token)
        now = int(time.time())
        if claims.expires <= now:
            raise TokenExpired
        if claims.issued > now + CLOCK_SKEW:
            raise InvalidToken
        return claims

    def _verify_except_times(self, token: str) -> Claims:
        """Verify what time does not change.

        The library lets pass what RFC 8725 does not: unknown critical headers, a future `iat`, an `exp` as text.
        """
        if len(token) > MAX_TOKEN_LENGTH or not _TOKEN.fullmatch(token):
            raise InvalidToken
        claims = _verify(token, self._keys)
        issued, expires, user_id, sid = (claims.get(name) for name in ("iat", "exp", "sub", "sid"))
        if not (type(issued) is int and type(expires) is int and isinstance(user_id, str) and isinstance(sid, str)):
            raise InvalidToken
        if not (_SID.fullmatch(sid) and _USER_ID.fullmatch(user_id)):
            raise InvalidToken
        if expires - issued > self.seconds:
            raise InvalidToken
        return Claims(int(user_id), sid, issued, expires)


# --- The JOSE library, which these few alone know ---------------------------------------------------------------------


def _construct_key(key: str) -> Any:  # noqa: ANN401
    return jwk.construct(key, ALGORITHM)


def _sign(claims: Mapping[str, Any], key: Any) -> str:  # noqa: ANN401
    return str(jwt.encode(dict(claims), key, algorithm=ALGORITHM))


@lru_cache
def _has_allowed_keys(header: str) -> bool:
    # All tokens of ours have one and the same.
    return ALLOWED_HEADER_KEYS.issuperset(json.loads(base64.urlsafe_b64decode(f"{header}==")))


def _verify(token: str, keys: Sequence[Any]) -> dict[str, Any]:
    try:
        if not _has_allowed_keys(token.split(".", 1)[0]):
            raise InvalidToken
        key = next((key for key in keys[:-1] if _is_signed(token, key)), keys[-1])
        return jwt.decode(token, key, algorithms=[ALGORITHM], audience=AUDIENCE, issuer=ISSUER, options=_DECODE_OPTIONS)
    except ExpiredSignatureError:
        raise TokenExpired from None
    except (JOSEError, RecursionError, ValueError, TypeError, AttributeError, OverflowError):
        raise InvalidToken from None


def _is_signed(token: str, key: Any) -> bool:  # noqa: ANN401
    try:
        jws.verify(token, key, [ALGORITHM])
    except JOSEError:
        return False
    return True


# --- The tokens that are stored ---------------------------------------------------------------------------------------


def hash_token(token: str) -> str:
    """Return what is stored of a token: it is random enough for nobody to find it by its hash."""
    return hashlib.sha256(token.encode()).hexdigest()


# --- Who is calling ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Caller:
    """The signed-in user: whose rows they are, what amounts, days and months mean to them, and where the ledger is."""

    id: int
    sid: str | None
    """The session's; None where a personal access token was sent instead."""
    currency: str
    timezone: str
    month_start_day: int
    revision: int
    """The ledger's, read before anything else."""


# Answered by the unique index on sessions.sid and the primary keys of users and ledgers.
_CALLER: Final = Prepared(
    select(User.currency, User.timezone, User.month_start_day, LedgerState.revision)
    .join(Session, Session.owner_id == User.id)
    .join(LedgerState, LedgerState.owner_id == Session.owner_id)
    .where(Session.sid == bindparam("sid"), Session.owner_id == bindparam("owner"))
)


async def load_caller(connection: AsyncConnection, claims: Claims) -> Caller:
    """Return whose token this is; raise InvalidToken where the session has ended or the account is gone."""
    row = await _CALLER.fetch_one(connection, {"owner": claims.user_id, "sid": claims.sid})
    if row is None:
        raise InvalidToken
    return Caller(claims.user_id, claims.sid, *row)
