"""Invites: codes that the operator makes; while REGISTRATION=invite, each registers one account.

    commands invite --> the code, shown once; the table gets its SHA-256 and the instant at which it expires
    POST /users/register with it --> its row is deleted in the transaction that creates the account

So a code that is unknown, one that was used and one that has expired are the same here, and have one answer.
"""

import re
import secrets
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from auth import hash_token
from database import UnitOfWork, now
from infra.row_counts import execute_exactly
from models import Invite
from problems import ValidationFailed
from values.field_errors import field_error
from values.parse_errors import ParseError
from values.shapes import ResponseModel

CODE_BYTES: Final = 16
"""128 random bits; as 32 hexadecimal digits, a double click selects all of the code and any keyboard has them."""
MAX_LIFETIME: Final = timedelta(days=365)
_LIFETIME: Final = re.compile("([1-9][0-9]{0,5})([mhdw])")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

# Answered by the primary key.
_FIND: Final = select(Invite.code_hash).where(
    Invite.code_hash == bindparam("code_hash"), Invite.expires_at > bindparam("instant")
)
_LOCK: Final = _FIND.with_for_update()
_DELETE: Final = delete(Invite).where(Invite.code_hash == bindparam("code_hash"))
_DELETE_EXPIRED: Final = delete(Invite).where(Invite.expires_at <= bindparam("instant"))

_UNUSABLE: Final = field_error(
    "/invite", "not_allowed", "This invite is unknown, was used before, or has expired: ask the operator for another."
)
MISSING: Final = field_error("/invite", "required", "Send the invite that the operator of this service gave you.")


class NewInvite(ResponseModel):
    """A code as the operator gets it, this once, and the instant at which it expires."""

    invite: str
    expires_at: datetime

    def describe(self, registration: str) -> str:
        """Return the code with how it is used, in sentences; `registration` is the setting REGISTRATION."""
        return (
            f"{self.invite}\n"
            f"Give this code to one person: it opens one account, until {self.expires_at:%Y-%m-%d %H:%M} UTC.\n"
            'It is sent as "invite" with POST /users/register, and is not shown again.'
        ) + _UNUSED.get(registration, "")


_UNUSED: Final = {
    "open": "\nREGISTRATION is open: everybody may register without a code. Set REGISTRATION=invite.",
    "closed": "\nREGISTRATION is closed: nobody may register, even with a code. Set REGISTRATION=invite.",
}


class NotALifetime(ParseError):
    """Write a number and a unit, of at most 365 days: 30m, 24h, 7d or 2w."""


def parse_lifetime(text: str) -> timedelta:
    """Return the time for which a code is good, written like 24h or 7d; raise NotALifetime."""
    match = _LIFETIME.fullmatch(text)
    lifetime = timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else timedelta.max
    if lifetime > MAX_LIFETIME:
        raise NotALifetime
    return lifetime


async def create_invite(unit: UnitOfWork, lifetime: timedelta) -> NewInvite:
    """Create a code and return it, this once; expired ones are deleted."""
    code, instant = secrets.token_hex(CODE_BYTES), now()
    connection = await unit.begin()
    await connection.execute(_DELETE_EXPIRED, {"instant": instant})
    expires_at = instant + lifetime
    await connection.execute(insert(Invite), {"code_hash": hash_token(code), "expires_at": expires_at})
    return NewInvite(invite=code, expires_at=expires_at)


async def refuse_unusable(connection: AsyncConnection, code: str) -> None:
    """Raise ValidationFailed if no account can be registered with this code."""
    if (await connection.execute(_FIND, _build_parameters(code))).one_or_none() is None:
        raise unusable_invite_problem()


async def use_invite(connection: AsyncConnection, code: str) -> None:
    """Delete the code in the transaction that creates the account; raise ValidationFailed if somebody else used it."""
    parameters = _build_parameters(code)
    if (await connection.execute(_LOCK, parameters)).one_or_none() is None:
        raise unusable_invite_problem()
    await execute_exactly(connection, 1, _DELETE, parameters)


def unusable_invite_problem() -> ValidationFailed:
    """Return the problem of a code that is unknown, was used, or has expired."""
    return ValidationFailed(errors=[_UNUSABLE])


def _build_parameters(code: str) -> dict[str, object]:
    # Telephones begin a text with a capital letter.
    return {"code_hash": hash_token(code.lower()), "instant": now()}
