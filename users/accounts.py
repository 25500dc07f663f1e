"""Accounts: register, sign in, read and change the profile, change the password, delete the account.

The operator's commands add an account, remove one and reset a password, without what protects the service from others.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

import crud
from auth import Caller
from config import Settings
from crud import SIGN_IN_FIELDS, UserRow
from database import UnitOfWork
from infra.pools import ACCOUNT_LOCK, SESSIONS_LOCK
from infra.request_context import note_user
from problems import (
    InvalidCredentials,
    InvalidToken,
    RegistrationClosed,
    ValidationFailed,
    WrongPassword,
)
from schemas import AccountDeletion, PasswordChange, UserCreate, UserUpdate
from schemas import User as UserAnswer
from users import familiar_networks, invites, sessions, throttle
from users.client_address import Client
from users.hashing import PasswordHasher
from users.schemas import SignIn, Token
from users.sessions import Sessions
from users.throttle import Throttle
from values.field_errors import FieldError, field_error, to_field_error, translate_errors
from values.passwords import check_length, refuse_guessable
from values.text_fields import normalize_email
from values.texts import make_name_key

# Stands for the id of an unknown user, who has no familiar network.
_UNKNOWN_USER_ID: Final = 0


class Accounts:
    """Operations on accounts.

    No connection and no lock is held while a password is hashed. Afterwards the work goes on only if the stored hash is
    still the one that was verified.
    """

    def __init__(self, passwords: PasswordHasher, settings: Settings, throttle: Throttle) -> None:
        self._passwords = passwords
        self._shortest = settings.password_min_length
        self._registration = settings.registration
        self._throttle = throttle

    def refuse_if_closed(self) -> None:
        """Raise RegistrationClosed if nobody may register."""
        if self._registration == "closed":
            raise RegistrationClosed

    async def register(self, unit: UnitOfWork, data: UserCreate, client: Client) -> UserAnswer:
        """Register a user; an invite is used up only if the account is created, and not looked at if none is needed.

        Raises RegistrationClosed; ValidationFailed if an invite is needed and this one cannot be used; AlreadyExists,
        with a field error for each of user name and e-mail that is taken; or TooManyAttempts after too many
        registrations from this network.
        """
        self.refuse_if_closed()
        invite = data.invite if self._registration == "invite" else None
        self._refuse_incomplete(data)
        attempt = await self._throttle.count_registration(unit, client.network)
        if invite is not None:
            await invites.refuse_unusable(await unit.connection(), invite)
        await unit.release()
        async with throttle.take_back_if_unavailable(unit, attempt):
            password_hash = await self._passwords.hash(data.password, client.site)
        connection = await unit.begin()
        if invite is not None:
            await invites.use_invite(connection, invite)
        return await crud.create_user(connection, data, password_hash)

    async def sign_in(self, unit: UnitOfWork, form: SignIn, client: Client, session_service: Sessions) -> Token:
        """Sign in: open a session and return its tokens.

        Raises InvalidCredentials after one password hash, whether the user exists or not, or TooManyAttempts without
        a hash after too many failed attempts.
        """
        user, key = await crud.find_user(unit, form.username), crud.make_sign_in_key(form.username)
        owner_id, stored = (user.id, user.password_hash) if user else (_UNKNOWN_USER_ID, None)
        if user is not None:
            note_user(user.id)
        is_right = await self._verify_throttled(unit, owner_id, key, client, form.password, stored, is_signed_in=False)
        if not is_right or user is None:
            raise InvalidCredentials
        outdated = self._passwords.is_outdated(user.password_hash)
        renewed = await self._passwords.hash(form.password, client.site) if outdated else None
        connection = await unit.begin(user.id, SESSIONS_LOCK)
        await crud.lock_user(connection, user.id, user.password_hash, InvalidCredentials(), shared=not renewed)
        if renewed:
            await crud.set_password_hash(connection, user.id, renewed)
        return await session_service.open(connection, user.id, client)

    async def read_profile(self, unit: UnitOfWork, caller: Caller) -> UserAnswer:
        """Return the caller's profile."""
        return await crud.read_profile(await unit.connection(), caller.id)

    async def change_profile(self, unit: UnitOfWork, caller: Caller, change: UserUpdate, client: Client) -> UserAnswer:
        """Change the fields that were sent; another user name or e-mail needs the current password."""
        sent = change.dump_sent()
        password = sent.pop("current_password", None)
        verified, renamed = None, SIGN_IN_FIELDS.keys() & sent.keys()
        if password is None and renamed:
            renamed = _list_changes(renamed, sent, await self.read_profile(unit, caller))
        if password is not None or renamed:
            user = await self._verify_current_password(unit, caller, password, client)
            verified, renamed = user.password_hash, _list_changes(renamed, sent, user)
        _refuse_own_password(password or "", sent)
        if renamed:
            # The answer reveals whether a name is taken, as a registration does, so it counts as one.
            await self._throttle.count_registration(unit, client.network)
        connection = await unit.begin(caller.id, ACCOUNT_LOCK)
        user = await crud.lock_user(connection, caller.id, verified, wrong_password_problem())
        if verified is None and _list_changes(SIGN_IN_FIELDS.keys() & sent.keys(), sent, user):
            # Another request has renamed the account in the meantime.
            raise _password_required_problem()
        return await crud.change_user(connection, user, sent)

    async def change_password(self, unit: UnitOfWork, caller: Caller, change: PasswordChange, client: Client) -> None:
        """Change the password and end all other sessions of the user."""
        profile = await self.read_profile(unit, caller)
        self._check_new_password("/new_password", change.new_password, profile.username, profile.email)
        user = await self._verify_current_password(unit, caller, change.current_password, client)
        password_hash = await self._passwords.hash(change.new_password, client.site, caller.id)
        connection = await unit.begin(caller.id, ACCOUNT_LOCK)
        await crud.lock_user(connection, caller.id, user.password_hash, wrong_password_problem())
        await crud.set_password_hash(connection, caller.id, password_hash)
        await sessions.end_sessions(connection, caller.id, but=caller.sid)

    async def delete_account(self, unit: UnitOfWork, caller: Caller, data: AccountDeletion, client: Client) -> None:
        """Delete the account with all rows that belong to it."""
        user = await self._verify_current_password(unit, caller, data.current_password, client)
        connection = await unit.begin(caller.id)
        await crud.delete_user(connection, caller.id, user.password_hash, wrong_password_problem())

    async def add(self, unit: UnitOfWork, fields: Mapping[str, str]) -> UserAnswer:
        """Create an account for the operator's command; raise ValidationFailed or AlreadyExists as `register` does."""
        data = _read_new_account(fields)
        self._check_new_password("/password", data.password, data.username, data.email)
        password_hash = await self._passwords.hash(data.password)
        return await crud.create_user(await unit.begin(), data, password_hash)

    async def remove(self, unit: UnitOfWork, user_id: int) -> None:
        """Delete an account as `delete_account` does, for the operator's command; raise InvalidToken if it is gone."""
        connection = await unit.begin(user_id)
        await crud.delete_user(connection, user_id, None, InvalidToken())

    async def reset_password(self, unit: UnitOfWork, user: UserRow, password: str) -> None:
        """Set a new password for this account and end all its sessions.

        For the operator's command, which replaces a forgotten password; the operator has checked who is asking. Raises
        InvalidToken if the account is gone.
        """
        self._check_new_password("/new_password", password, user.username, user.email)
        password_hash = await self._passwords.hash(password)
        connection = await unit.begin(user.id, ACCOUNT_LOCK)
        await crud.lock_user(connection, user.id, None, InvalidToken())
        await crud.set_password_hash(connection, user.id, password_hash)
        await sessions.end_sessions(connection, user.id)

    async def _verify_current_password(
        self, unit: UnitOfWork, caller: Caller, password: str | None, client: Client
    ) -> UserRow:
        """Return the caller's row if the password is right; a wrong one is counted like at a sign-in."""
        if password is None:
            raise _password_required_problem()
        user = await crud.read_user(await unit.connection(), caller.id)
        key = make_name_key(user.username)
        if not await self._verify_throttled(
            unit, caller.id, key, client, password, user.password_hash, is_signed_in=True
        ):
            raise wrong_password_problem()
        return user

    async def _verify_throttled(
        self,
        unit: UnitOfWork,
        owner_id: int,
        key: str,
        client: Client,
        password: str,
        stored: str | None,
        *,
        is_signed_in: bool,
    ) -> bool:
        """Count the attempt, verify the password, and remove the attempt again if the password is right.

        Guesses of others, who are not signed in, take nothing of the account's share of the hashes.
        """
        is_familiar = self._throttle.is_familiarity_needed and await familiar_networks.is_familiar(
            await unit.connection(), owner_id, client.network
        )
        await unit.release()
        attempt = await self._throttle.count_password_attempt(unit, key, client.network, is_familiar=is_familiar)
        async with throttle.take_back_if_unavailable(unit, attempt):
            is_right = await self._passwords.verify(password, stored, client.site, owner_id if is_signed_in else None)
        if is_right:
            await throttle.take_back(unit, attempt)
        return is_right

    def _refuse_incomplete(self, data: UserCreate) -> None:
        """Raise ValidationFailed, with all errors at once, for a password too easy to guess or a missing invite."""
        errors = self._list_password_errors("/password", data.password, data.username, data.email)
        if self._registration == "invite" and data.invite is None:
            errors.append(invites.MISSING)
        if errors:
            raise ValidationFailed(errors=errors)

    def _check_new_password(self, pointer: str, password: str, *own_names: str) -> None:
        if errors := self._list_password_errors(pointer, password, *own_names):
            raise ValidationFailed(errors=errors)

    def _list_password_errors(self, pointer: str, password: str, *own_names: str) -> list[FieldError]:
        try:
            refuse_guessable(check_length(password), self._shortest, *own_names)
        except PydanticCustomError as error:
            return [to_field_error(pointer, error)]
        return []


def _read_new_account(fields: Mapping[str, str]) -> UserCreate:
    try:
        return UserCreate.model_validate(fields)
    except ValidationError as error:
        in_body = [{**each, "loc": ("body", *each["loc"])} for each in error.errors()]
        raise ValidationFailed(errors=translate_errors(in_body)) from None


def _password_required_problem() -> ValidationFailed:
    sentence = "Send your current password to change the name or the e-mail."
    return ValidationFailed(errors=[field_error("/current_password", "required", sentence)])


def wrong_password_problem() -> WrongPassword:
    """Return the problem of a current password that is wrong."""
    return WrongPassword(errors=[field_error("/current_password", "not_allowed", "This is not your current password.")])


def _list_changes(names: Iterable[str], sent: Mapping[str, Any], user: UserAnswer | UserRow) -> set[str]:
    """Return those of the names whose value in `sent` is not the user's."""
    return {name for name in names if sent[name] != getattr(user, name)}


def _refuse_own_password(password: str, sent: Mapping[str, Any]) -> None:
    key = make_name_key(normalize_email(password))
    names = [name for name in ("username", "email") if name in sent and make_name_key(sent[name]) == key]
    if names:
        raise ValidationFailed(
            errors=[field_error(f"/{name}", "not_allowed", "This is your password.") for name in names]
        )
