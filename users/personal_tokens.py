"""Personal access tokens: a user creates one for a script, which then needs no password.

    etk_ 0Xq4…                          9fK2aB
    |    |                              |
    |    27 characters: 160 random bits 6 characters: CRC-32 of the 27
    prefix of all these tokens          (in base 62, like the 27)

A token with a wrong checksum was mistyped: it is refused without a query. Only the token's SHA-256 is stored.
"""

import asyncio
import re
import secrets
import zlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from auth import Caller, hash_token
from database import UnitOfWork, get_inserted_id, now
from infra.pools import ACCOUNT_LOCK
from infra.prepared import Prepared
from infra.row_counts import execute_exactly, refuse_missed_rows
from models import LedgerState, PersonalToken, User
from problems import InvalidToken, NotFound, TokenExpired, TooMany, ValidationFailed
from users import schemas
from users.schemas import PersonalTokenCreate, PersonalTokenList, PersonalTokenSecret
from users.sessions import is_session_live
from values.field_errors import field_error

MAX_TOKENS: Final = 100
PREFIX: Final = "etk_"
RANDOM_BITS: Final = 160
SECRET_LENGTH: Final = 27
CHECKSUM_LENGTH: Final = 6
BASE62_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_TOKEN: Final = re.compile(f"{PREFIX}[0-9A-Za-z]{{{SECRET_LENGTH + CHECKSUM_LENGTH}}}")
INVALID_DETAIL: Final = (
    "This personal access token is not valid, or was deleted: make another with POST /users/me/tokens."
)
EXPIRED_DETAIL: Final = "This personal access token has expired: make another with POST /users/me/tokens."
USE_RECORDED_EVERY: Final = timedelta(minutes=1)
RECORDING_SECONDS: Final = 1

SCOPES: Final = {"read": frozenset({"read"}), "write": frozenset({"read", "write"})}
"""The scopes that a token of each scope includes."""

_THIS: Final = (PersonalToken.mine(), PersonalToken.id == bindparam("token_id"))
# Holding the token proves ownership. Answered by the unique index on token_hash and the keys of users and ledgers.
_SELECT_HOLDER: Final = Prepared(
    select(
        PersonalToken.id,
        PersonalToken.owner_id,
        PersonalToken.scope,
        PersonalToken.expires_at,
        PersonalToken.last_used_at,
        User.currency,
        User.timezone,
        User.month_start_day,
        LedgerState.revision,
    )
    .join(User, User.id == PersonalToken.owner_id)
    .join(LedgerState, LedgerState.owner_id == PersonalToken.owner_id)
    .where(PersonalToken.token_hash == bindparam("token_hash"))
)
_ALL: Final = (
    select(
        PersonalToken.id,
        PersonalToken.name,
        PersonalToken.scope,
        PersonalToken.created_at,
        PersonalToken.last_used_at,
        PersonalToken.expires_at,
    )
    .where(PersonalToken.mine())
    .order_by(PersonalToken.id.desc())
)
_DELETE_EXPIRED: Final = delete(PersonalToken).where(
    PersonalToken.mine(), PersonalToken.expires_at <= bindparam("instant")
)
# Locked, so that their number is known when they are deleted.
_LOCK_TOKENS: Final = select(PersonalToken.id).where(PersonalToken.mine()).with_for_update()
_COUNT: Final = select(func.count(PersonalToken.id)).where(PersonalToken.mine())
# Locked so that two requests cannot both create the hundredth token.
_LOCK_USER: Final = select(User.id).where(User.id == bindparam("user_id")).with_for_update()
_RECORD_USE: Final = (
    update(PersonalToken)
    .where(*_THIS, or_(PersonalToken.last_used_at.is_(None), PersonalToken.last_used_at <= bindparam("noted_before")))
    .values(last_used_at=bindparam("instant"))
)


@dataclass(frozen=True, slots=True)
class TokenHolder:
    """The user of a personal token, and the scopes of the token."""

    token_id: int
    caller: Caller
    scopes: frozenset[str]
    last_used_at: datetime | None

    @property
    def is_use_record_due(self) -> bool:
        """Whether `last_used_at` is at least a minute old, so that this use is recorded."""
        return self.last_used_at is None or self.last_used_at <= now() - USE_RECORDED_EVERY


# --- The format -------------------------------------------------------------------------------------------------------


def generate_token() -> str:
    """Return a new token: `etk_`, 160 random bits, and a checksum."""
    secret = _encode_base62(secrets.randbits(RANDOM_BITS), SECRET_LENGTH)
    return PREFIX + secret + _compute_checksum(secret)


def is_personal_token(token: str) -> bool:
    """Whether the token has the prefix of personal tokens; it may be invalid."""
    return token.startswith(PREFIX)


def has_valid_checksum(token: str) -> bool:
    """Whether the token has the format of personal tokens and the right checksum."""
    secret = token[len(PREFIX) : len(PREFIX) + SECRET_LENGTH]
    return bool(_TOKEN.fullmatch(token)) and token.endswith(_compute_checksum(secret))


def _compute_checksum(secret: str) -> str:
    return _encode_base62(zlib.crc32(secret.encode()), CHECKSUM_LENGTH)


def _encode_base62(number: int, length: int) -> str:
    digits = ""
    for _ in range(length):
        number, digit = divmod(number, len(BASE62_DIGITS))
        digits = BASE62_DIGITS[digit] + digits
    return digits


# --- Use --------------------------------------------------------------------------------------------------------------


async def load_token_holder(connection: AsyncConnection, token: str) -> TokenHolder:
    """Load the user of a token; raise InvalidToken, without a query if the checksum is wrong, or TokenExpired."""
    row = (
        await _SELECT_HOLDER.fetch_one(connection, {"token_hash": hash_token(token)})
        if has_valid_checksum(token)
        else None
    )
    if row is None:
        raise InvalidToken(INVALID_DETAIL)
    token_id, owner_id, scope, expires_at, last_used_at, *profile = row
    if expires_at is not None and expires_at <= now():
        raise TokenExpired(EXPIRED_DETAIL)
    return TokenHolder(token_id, Caller(owner_id, None, *profile), SCOPES[scope], last_used_at)


async def record_use(unit: UnitOfWork, holder: TokenHolder) -> None:
    """Record that a token was used, unless that was done within a minute; raise TimeoutError after one second."""
    instant = now()
    token_parameters = {"owner": holder.caller.id, "token_id": holder.token_id}
    time_parameters = {"instant": instant, "noted_before": instant - USE_RECORDED_EVERY}
    async with asyncio.timeout(RECORDING_SECONDS), unit.begin_separate() as connection:
        await connection.execute(_RECORD_USE, token_parameters | time_parameters)


# --- Management by the owner ------------------------------------------------------------------------------------------


async def create_token(unit: UnitOfWork, caller: Caller, data: PersonalTokenCreate) -> PersonalTokenSecret:
    """Create a token and return it, this once; delete expired ones. Raise TooMany if the user has 100 already."""
    instant = now()
    if data.expires_at is not None and data.expires_at <= instant:
        raise ValidationFailed(errors=[field_error("/expires_at", "out_of_range", "Send an instant in the future.")])
    connection = await unit.begin(caller.id, ACCOUNT_LOCK)
    await connection.execute(_LOCK_USER, {"user_id": caller.id})
    if not await is_session_live(connection, caller):
        # The session ended while this request waited for the lock, for example by a new password.
        raise InvalidToken
    await connection.execute(_DELETE_EXPIRED, {"owner": caller.id, "instant": instant})
    if (await connection.execute(_COUNT, {"owner": caller.id})).scalar_one() >= MAX_TOKENS:
        raise TooMany(f"An account has at most {MAX_TOKENS} personal access tokens: delete one first.")
    token, values = generate_token(), {**data.model_dump(), "created_at": instant}
    row = {"owner_id": caller.id, "token_hash": hash_token(token), **values}
    inserted = await connection.execute(insert(PersonalToken), row)
    return PersonalTokenSecret(id=get_inserted_id(inserted), token=token, last_used_at=None, **values)


async def list_tokens(unit: UnitOfWork, caller: Caller) -> PersonalTokenList:
    """Return the caller's tokens, the newest first."""
    rows = await (await unit.connection()).execute(_ALL, {"owner": caller.id})
    return PersonalTokenList(items=[schemas.PersonalToken.model_validate(row._asdict()) for row in rows])


async def delete_token(unit: UnitOfWork, caller: Caller, token_id: int) -> None:
    """Delete one of the caller's tokens; raise NotFound if none has this id."""
    connection, parameters = await unit.begin(), {"owner": caller.id, "token_id": token_id}
    deleted = (await connection.execute(delete(PersonalToken).where(*_THIS), parameters)).rowcount
    if not deleted:
        # A DELETE that the database has ended early also says that it deleted none.
        left = (await connection.execute(select(PersonalToken.id).where(*_THIS), parameters)).all()
        refuse_missed_rows(len(left), deleted)
        raise NotFound


async def delete_tokens(unit: UnitOfWork, caller: Caller) -> None:
    """Delete all tokens of the caller."""
    connection, owner = await unit.begin(), {"owner": caller.id}
    token_ids = (await connection.execute(_LOCK_TOKENS, owner)).scalars().all()
    if token_ids:
        statement = delete(PersonalToken).where(PersonalToken.mine(), PersonalToken.id.in_(token_ids))
        await execute_exactly(connection, len(token_ids), statement, owner)
