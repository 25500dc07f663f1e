"""Who is calling: access tokens, and the session behind one."""

import base64
import json
import re
import secrets
import time
from dataclasses import dataclass
from typing import Any, Final

from jose import jwk, jwt
from jose.exceptions import ExpiredSignatureError, JOSEError
from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from models import Session, User
from prepared import Prepared
from problems import InvalidToken, TokenExpired

ALGORITHM: Final = "HS256"
ISSUER: Final = "expense-tracker"
AUDIENCE: Final = "expense-tracker-api"
TOKEN_LENGTH: Final = 1024
CLOCK_SKEW: Final = 30
_SID: Final = re.compile("[0-9a-f]{32}")
_USER_ID: Final = re.compile("[1-9][0-9]{0,17}")
HEADER_KEYS: Final = frozenset({"alg", "typ", "kid"})
_REQUIRED: Final = {f"require_{claim}": True for claim in ("aud", "iat", "exp", "iss", "sub", "jti")}


# --- Access tokens ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Claims:
    """What a good access token says: whose it is, and of which session."""

    user_id: int
    sid: str


class AccessTokens:
    """Issues and reads the access tokens: JWT (RFC 7519) under RFC 8725's advice.

    The one place that knows the JOSE library: another one would change `issue` and `_verify` and nothing else.
    """

    def __init__(self, key: str, minutes: int) -> None:
        self._key = jwk.construct(key, ALGORITHM)
        self.seconds = minutes * 60

    def issue(self, user_id: int, sid: str) -> str:
        """Return a token for this session, good from now for the configured time."""
        issued = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(user_id),
            "sid": sid,
            "iat": issued,
            "exp": issued + self.seconds,
            "jti": secrets.token_hex(16),
        }
        return str(jwt.encode(claims, self._key, algorithm=ALGORITHM))

    def read(self, token: str) -> Claims:
        """Return what a token says; raise TokenExpired or InvalidToken.

        The library lets pass what RFC 8725 does not: unknown critical headers, a future `iat`, an `exp` as text.
        """
        if len(token) > TOKEN_LENGTH or not token.isascii():
            raise InvalidToken
        try:
            claims = self._verify(token)
            issued, expires, user_id, sid = claims["iat"], claims["exp"], claims["sub"], claims["sid"]
        except ExpiredSignatureError:
            raise TokenExpired from None
        except (JOSEError, RecursionError, ValueError, KeyError, TypeError, AttributeError):
            raise InvalidToken from None
        sane = (
            type(issued) is int
            and type(expires) is int
            and isinstance(sid, str)
            and _SID.fullmatch(sid)
            and _USER_ID.fullmatch(user_id)
        )
        if not sane or issued > time.time() + CLOCK_SKEW or expires - issued > self.seconds:
            raise InvalidToken
        return Claims(int(user_id), sid)

    def _verify(self, token: str) -> dict[str, Any]:
        header = json.loads(base64.urlsafe_b64decode(token.split(".", 1)[0] + "=="))
        if not HEADER_KEYS.issuperset(header):
            raise InvalidToken
        return jwt.decode(token, self._key, algorithms=[ALGORITHM], audience=AUDIENCE, issuer=ISSUER, options=_REQUIRED)


# --- Who is calling ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Caller:
    """The signed-in user: the id that owns the rows, and what amounts, days and months mean to them."""

    id: int
    sid: str
    currency: str
    timezone: str
    month_start_day: int


# Answered by the unique index on sessions.sid and the primary key of users.
_CALLER: Final = Prepared(
    select(User.currency, User.timezone, User.month_start_day)
    .join(Session, Session.owner_id == User.id)
    .where(Session.sid == bindparam("sid"), Session.owner_id == bindparam("owner"))
)


async def caller_of(connection: AsyncConnection, claims: Claims) -> Caller:
    """Return whose token this is; raise InvalidToken where the session has ended or the account is gone."""
    row = await _CALLER.row(connection, {"owner": claims.user_id, "sid": claims.sid})
    if row is None:
        raise InvalidToken
    return Caller(claims.user_id, claims.sid, *row)
