"""Who is calling: passwords and their hashes, access tokens, and the session behind a token."""

import asyncio
import base64
import json
import os
import re
import secrets
import sys
import threading
import time
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, TypeVar

from jose import jwk, jwt
from jose.exceptions import ExpiredSignatureError, JOSEError
from passlib.context import CryptContext
from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from fields import refusal
from models import Session, User, name_key
from prepared import Prepared
from problems import InvalidToken, TokenExpired, Unavailable
from schemas import callers_currency

T = TypeVar("T")

ALGORITHM: Final = "HS256"
ISSUER: Final = "expense-tracker"
AUDIENCE: Final = "expense-tracker-api"
TOKEN_LENGTH: Final = 1024
CLOCK_SKEW: Final = 30
_SID: Final = re.compile("[0-9a-f]{32}")
_USER_ID: Final = re.compile("[1-9][0-9]{0,17}")
HEADER_KEYS: Final = frozenset({"alg", "typ", "kid"})
_REQUIRED: Final = {f"require_{claim}": True for claim in ("aud", "iat", "exp", "iss", "sub", "jti")}

COMMON_PASSWORDS: Final = 3_000
# What two cores hash in ten seconds; who comes later is told to come again.
HASH_QUEUE: Final = 64
HASH_NICENESS: Final = 10


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
    callers_currency.set(row[0])
    return Caller(claims.user_id, claims.sid, *row)


# --- Passwords --------------------------------------------------------------------------------------------------------


class Passwords:
    """Hashes and verifies passwords with bcrypt, in threads that give way to requests, as many at once as cores."""

    def __init__(self, rounds: int) -> None:
        # bcrypt_sha256 first: plain bcrypt ends at 72 bytes; it is still read, and hashed anew at the next sign-in.
        self._context = CryptContext(
            schemes=["bcrypt_sha256", "bcrypt"],
            deprecated=["bcrypt"],
            bcrypt_sha256__rounds=rounds,
            bcrypt__rounds=rounds,
        )
        self._threads = ThreadPoolExecutor(os.cpu_count(), "hash", initializer=_be_nice)
        self._waiting = 0
        self._nobody = self._context.hash(secrets.token_hex(16))

    async def hash(self, password: str) -> str:
        """Return the hash to store."""
        return await self._in_thread(lambda: self._context.hash(_normal(password)))

    async def verify(self, password: str, stored: str | None) -> bool:
        """Tell whether the password is right; for an unknown user (None) it takes as long and is always wrong."""
        right = await self._in_thread(lambda: self._matches(_normal(password), stored or self._nobody))
        return right and stored is not None

    def is_outdated(self, stored: str) -> bool:
        """Tell whether a hash is of an older scheme or another cost than today's."""
        return self._context.needs_update(stored)

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown()

    def _matches(self, password: str, stored: str) -> bool:
        try:
            return bool(self._context.verify(password, stored))
        except ValueError:
            # Plain bcrypt takes neither a NUL nor more than 72 bytes, so such a password cannot be the one it hashed.
            return False

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if self._waiting >= HASH_QUEUE:
            raise Unavailable
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1


def _be_nice() -> None:
    # bcrypt lets go of the GIL but not of the core: without this, reads wait behind sign-ins.
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), HASH_NICENESS)


def _normal(password: str) -> str:
    return unicodedata.normalize("NFKC", password)


@cache
def _common_passwords(shortest: int) -> frozenset[str]:
    ranked: list[str] = FREQUENCY_LISTS["passwords"]
    return frozenset([word for word in ranked if len(word) >= shortest][:COMMON_PASSWORDS])


def check_password(password: str, shortest: int, *own_names: str) -> None:
    """Refuse a new password that anyone would try first (NIST SP 800-63B-4, section 3.1.1.2).

    Raises a refusal: shorter than `shortest` characters, one of the 3,000 most common, or one of the user's own names.
    """
    if len(password) < shortest:
        raise refusal("too_short", f"Send at least {shortest} characters.")
    if password.casefold() in _common_passwords(shortest):
        raise refusal("not_allowed", "This is one of the most common passwords; choose another.")
    if name_key(password) in map(name_key, own_names):
        raise refusal("not_allowed", "The password must not be your own name or e-mail.")
