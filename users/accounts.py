"""Accounts: registering, signing in, the profile, the password, and the end of it all."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic_core import PydanticCustomError
from sqlalchemy import Row, bindparam, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from auth import Caller
from database import ACCOUNT_LOCK, SESSIONS_LOCK, Base, UnitOfWork, get_inserted_id, now
from infra.log import note_user
from models import (
    Budget,
    Category,
    Expense,
    FamiliarNetwork,
    LedgerState,
    PersonalToken,
    RefreshToken,
    RememberedAnswer,
    Session,
    Tombstone,
    TrashedExpense,
    User,
)
from problems import (
    AlreadyExists,
    InvalidCredentials,
    InvalidToken,
    NotFound,
    ValidationFailed,
    WrongPassword,
)
from schemas import AccountDeletion, PasswordChange, SignIn, UserCreate, UserUpdate
from schemas import User as UserAnswer
from users import familiar_networks, sessions, throttle
from users.client_address import Client
from users.hashing import PasswordHasher
from users.schemas import Token
from users.sessions import Sessions
from users.throttle import Throttle
from values.field_errors import FieldError, field_error, to_field_error
from values.fields import normalize_email
from values.passwords import check_length, refuse_guessable
from values.texts import make_name_key

_PROFILE_COLUMNS: Final = (
    User.id,
    User.username,
    User.email,
    User.currency,
    User.timezone,
    User.month_start_day,
    User.created_at,
    User.updated_at,
)
_PROFILE: Final = select(*_PROFILE_COLUMNS).where(User.id == bindparam("user_id"))
_PROFILE_AND_HASH: Final = select(*_PROFILE_COLUMNS, User.password_hash).where(User.id == bindparam("user_id"))
# Answered by the unique indexes on username_key and email_key.
_BY_NAME: Final = select(User.id, User.password_hash, User.username, User.email).where(
    or_(User.username_key == bindparam("key"), User.email_key == bindparam("key"))
)
_BY_NAME_OR_EMAIL: Final = select(User.id, User.username_key, User.email_key).where(
    or_(User.username_key == bindparam("username_key"), User.email_key == bindparam("email_key"))
)
# Children first: foreign keys only check, so that nothing disappears by a rule that no reader of the code sees.
_OWNED: Final[tuple[type[Base], ...]] = (
    TrashedExpense,
    Expense,
    Budget,
    Category,
    Tombstone,
    RememberedAnswer,
    RefreshToken,
    Session,
    PersonalToken,
    FamiliarNetwork,
    LedgerState,
)
# What an account is known by.
_SIGN_IN_FIELDS: Final = {"username", "email"}
# Whose networks are looked at where the name is unknown.
_UNKNOWN_USER_ID: Final = 0


class Accounts:
    """What can be done with accounts; hashing holds no connection and no lock, and goes on only if nothing moved."""

    def __init__(self, passwords: PasswordHasher, shortest_password: int, throttle: Throttle) -> None:
        self._passwords = passwords
        self._shortest = shortest_password
        self._throttle = throttle

    async def register(self, unit: UnitOfWork, data: UserCreate, client: Client) -> UserAnswer:
        """Open an account; raise AlreadyExists with a pointer for each of name and e-mail that is taken.

        Raises TooManyAttempts where too many were opened from this address, or tried to be.
        """
        self._check_new_password("/password", data.password, data.username, data.email)
        attempt = await self._throttle.count_registration(unit, client.network)
        async with throttle.take_back_if_unavailable(unit, attempt):
            password_hash = await self._passwords.hash(data.password, client.network)
        connection = await unit.begin()
        await _refuse_taken_names(connection, data.username, data.email)
        profile = data.model_dump(exclude={"password"})
        keys = {"username_key": make_name_key(data.username), "email_key": make_name_key(data.email)}
        inserted = await connection.execute(insert(User), profile | keys | {"password_hash": password_hash})
        user_id = get_inserted_id(inserted)
        ledger = {"owner_id": user_id, "revision": 0, "expense_count": 0, "swept_on": now().date()}
        await connection.execute(insert(LedgerState), ledger)
        return await _load_profile(connection, user_id)

    async def sign_in(self, unit: UnitOfWork, form: SignIn, client: Client, session_service: Sessions) -> Token:
        """Open a session and return its tokens; raise InvalidCredentials, after one hash, whoever it was.

        Raises TooManyAttempts instead, without a hash, where too many have failed.
        """
        user, key = await _find_by_name(unit, form.username), _make_sign_in_key(form.username)
        owner_id, stored = (user.id, user.password_hash) if user else (_UNKNOWN_USER_ID, None)
        if user is not None:
            note_user(user.id)
        if not await self._verify_throttled(unit, owner_id, key, client, form.password, stored) or user is None:
            raise InvalidCredentials
        outdated = self._passwords.is_outdated(user.password_hash)
        renewed = await self._passwords.hash(form.password, client.network) if outdated else None
        connection = await unit.begin(user.id, SESSIONS_LOCK)
        await _lock_if_unchanged(connection, user.id, user.password_hash, InvalidCredentials(), shared=not renewed)
        if renewed:
            await connection.execute(update(User).where(User.id == user.id).values(password_hash=renewed))
        return await session_service.open(connection, user.id, client)

    async def read_profile(self, unit: UnitOfWork, caller: Caller) -> UserAnswer:
        """Return the caller's account."""
        return await _load_profile(await unit.connection(), caller.id)

    async def change_profile(self, unit: UnitOfWork, caller: Caller, change: UserUpdate, client: Client) -> UserAnswer:
        """Change the fields sent; a new name or e-mail needs the current password."""
        wanted = change.dump_sent()
        given = wanted.pop("current_password", None)
        verified, renamed = None, _SIGN_IN_FIELDS & wanted.keys()
        if given is not None or renamed:
            user = await self._verify_current_password(unit, caller, given, client)
            verified = user.password_hash
            renamed = {name for name in renamed if wanted[name] != getattr(user, name)}
        _refuse_own_password(given or "", wanted)
        if renamed:
            # It tells whether a name is taken, as a registration does, and so is one to the throttle.
            await self._throttle.count_registration(unit, client.network)
        connection = await unit.begin(caller.id, ACCOUNT_LOCK)
        user = await _lock_if_unchanged(connection, caller.id, verified, _wrong_password_problem())
        values = {name: value for name, value in wanted.items() if value != getattr(user, name)}
        if _SIGN_IN_FIELDS & values.keys():
            await _refuse_taken_names(connection, values.get("username"), values.get("email"), but=caller.id)
            values |= {f"{name}_key": make_name_key(values[name]) for name in _SIGN_IN_FIELDS & values.keys()}
        if values:
            await connection.execute(update(User).where(User.id == caller.id).values(**values, updated_at=now()))
        return await _load_profile(connection, caller.id)

    async def change_password(self, unit: UnitOfWork, caller: Caller, change: PasswordChange, client: Client) -> None:
        """Change the password and end every other session."""
        profile = await self.read_profile(unit, caller)
        self._check_new_password("/new_password", change.new_password, profile.username, profile.email)
        user = await self._verify_current_password(unit, caller, change.current_password, client)
        password_hash = await self._passwords.hash(change.new_password, client.network)
        connection = await unit.begin(caller.id, ACCOUNT_LOCK)
        await _lock_if_unchanged(connection, caller.id, user.password_hash, _wrong_password_problem())
        await connection.execute(update(User).where(User.id == caller.id).values(password_hash=password_hash))
        await sessions.end_sessions(connection, caller.id, but=caller.sid)

    async def delete_account(self, unit: UnitOfWork, caller: Caller, data: AccountDeletion, client: Client) -> None:
        """Delete the account and every row of it."""
        user = await self._verify_current_password(unit, caller, data.current_password, client)
        connection = await unit.begin(caller.id)
        await _lock_if_unchanged(connection, caller.id, user.password_hash, _wrong_password_problem())
        locked = select(LedgerState.revision).where(LedgerState.owner_id == bindparam("owner")).with_for_update()
        await connection.execute(locked, {"owner": caller.id})
        for table in _OWNED:
            owned = table.__table__.c.owner_id == bindparam("owner")
            await connection.execute(delete(table).where(owned), {"owner": caller.id})
        await connection.execute(delete(User).where(User.id == caller.id))

    async def reset_password(self, unit: UnitOfWork, user: Row[*tuple[Any, ...]], password: str) -> None:
        """Set the forgotten password of an account that was found, and end every session of it.

        For the operator, who has made sure who is asking.
        """
        self._check_new_password("/new_password", password, user.username, user.email)
        password_hash = await self._passwords.hash(password)
        connection = await unit.begin(user.id, ACCOUNT_LOCK)
        await connection.execute(update(User).where(User.id == user.id).values(password_hash=password_hash))
        await sessions.end_sessions(connection, user.id)

    async def _verify_current_password(
        self, unit: UnitOfWork, caller: Caller, password: str | None, client: Client
    ) -> Row[*tuple[Any, ...]]:
        """Return the caller's account, whose password this is; a wrong one counts as at the sign-in."""
        if password is None:
            entry = field_error(
                "/current_password", "required", "Send your current password to change the name or the e-mail."
            )
            raise ValidationFailed(errors=[entry])
        user = (await (await unit.connection()).execute(_PROFILE_AND_HASH, {"user_id": caller.id})).one_or_none()
        if user is None:
            raise InvalidToken
        key = make_name_key(user.username)
        if not await self._verify_throttled(unit, caller.id, key, client, password, user.password_hash):
            raise _wrong_password_problem()
        return user

    async def _verify_throttled(
        self, unit: UnitOfWork, owner_id: int, key: str, client: Client, password: str, stored: str | None
    ) -> bool:
        """Tell whether a password is right; the attempt is counted first, and taken back unless it was wrong."""
        is_familiar = self._throttle.is_familiarity_needed and await familiar_networks.is_familiar(
            await unit.connection(), owner_id, client.network
        )
        await unit.release()
        attempt = await self._throttle.count_password_attempt(unit, key, client.network, is_familiar=is_familiar)
        async with throttle.take_back_if_unavailable(unit, attempt):
            is_right = await self._passwords.verify(password, stored, client.network)
        if is_right:
            await throttle.take_back(unit, attempt)
        return is_right

    def _check_new_password(self, pointer: str, password: str, *own_names: str) -> None:
        try:
            refuse_guessable(check_length(password), self._shortest, *own_names)
        except PydanticCustomError as refused:
            raise ValidationFailed(errors=[to_field_error(pointer, refused)]) from None


def _wrong_password_problem() -> WrongPassword:
    return WrongPassword(errors=[field_error("/current_password", "not_allowed", "This is not your current password.")])


def _refuse_own_password(password: str, wanted: Mapping[str, Any]) -> None:
    key = make_name_key(normalize_email(password))
    taken = [name for name in ("username", "email") if name in wanted and make_name_key(wanted[name]) == key]
    if taken:
        raise ValidationFailed(
            errors=[field_error(f"/{name}", "not_allowed", "This is your password.") for name in taken]
        )


async def find_user(unit: UnitOfWork, name: str) -> Row[*tuple[Any, ...]]:
    """Return the account of this user name or e-mail, with its password hash; raise NotFound where there is none."""
    user = await _find_by_name(unit, name)
    if user is None:
        raise NotFound("There is no account with this user name or e-mail.")
    return user


async def _find_by_name(unit: UnitOfWork, name: str) -> Row[*tuple[Any, ...]] | None:
    return (await (await unit.connection()).execute(_BY_NAME, {"key": _make_sign_in_key(name)})).one_or_none()


def _make_sign_in_key(name: str) -> str:
    """Return what a user name or an e-mail is known by."""
    return make_name_key(normalize_email(name.strip()))


async def _load_profile(connection: AsyncConnection, user_id: int) -> UserAnswer:
    row = (await connection.execute(_PROFILE, {"user_id": user_id})).one_or_none()
    if row is None:
        raise InvalidToken
    return UserAnswer.model_validate(row._asdict())


async def _lock_if_unchanged(
    connection: AsyncConnection, user_id: int, verified: str | None, otherwise: Exception, *, shared: bool = False
) -> Row[*tuple[Any, ...]]:
    """Lock the user's row and return it, if the password hash is still the one that was verified (None: any).

    A sign-in shares the lock, as every foreign key to the row does, and so never waits for the user's own import.
    """
    user = (
        await connection.execute(_PROFILE_AND_HASH.with_for_update(read=shared), {"user_id": user_id})
    ).one_or_none()
    if user is None:
        raise InvalidToken
    if verified is not None and user.password_hash != verified:
        raise otherwise
    return user


async def _refuse_taken_names(
    connection: AsyncConnection, username: str | None, email: str | None, *, but: int | None = None
) -> None:
    keys = {"username_key": make_name_key(username or ""), "email_key": make_name_key(email or "")}
    rows = [row for row in await connection.execute(_BY_NAME_OR_EMAIL, keys) if row.id != but]
    taken: list[FieldError] = [
        field_error(f"/{name}", "already_exists", f"This {label} belongs to another account.")
        for name, label in (("username", "user name"), ("email", "e-mail"))
        if any(getattr(row, f"{name}_key") == keys[f"{name}_key"] for row in rows)
    ]
    if taken:
        raise AlreadyExists("The user name or the e-mail is taken.", errors=taken)
