"""Accounts: register, read and change the profile, change the password, delete the account."""

from http import HTTPStatus
from typing import Final

from fastapi import APIRouter

from api.dependencies import (
    AccountsDep,
    AnyCaller,
    BulkAccountsDep,
    ClientDep,
    MayRegister,
    SignedInCaller,
    UnitOfWorkDep,
)
from api.problem_json import document_problems
from api.route import LedgerRoute
from crud import names_taken_problem
from problems import RegistrationClosed
from routers.sessions import TOO_MANY_ATTEMPTS
from schemas import AccountDeletion, PasswordChange, User, UserCreate, UserUpdate
from users.accounts import wrong_password_problem
from users.invites import unusable_invite_problem

EMAIL_TAKEN: Final = names_taken_problem("email")
WRONG_PASSWORD: Final = wrong_password_problem()

# A router of its own with the tag `sessions`: the document shows registration together with signing in.
registration = APIRouter(prefix="/users", tags=["sessions"], route_class=LedgerRoute)
router = APIRouter(prefix="/users", tags=["users"], route_class=LedgerRoute)


@registration.post(
    "/register",
    status_code=HTTPStatus.CREATED,
    summary="Open an account",
    responses=document_problems([RegistrationClosed(), EMAIL_TAKEN, unusable_invite_problem(), TOO_MANY_ATTEMPTS]),
)
async def register(
    accounts: AccountsDep, unit: UnitOfWorkDep, client: ClientDep, _: MayRegister, data: UserCreate
) -> User:
    """Register with a user name, an e-mail and a password; then sign in at `POST /users/token`.

    The currency (default EUR) is that of expenses without one; the time zone (default UTC) decides what "today" is. Two
    accounts cannot have the same user name or e-mail; upper and lower case are equal. The password must be none of the
    3,000 most common ones, nor your user name or e-mail. After 20 registrations from one address in an hour the answer
    is 429, unless the service is set to another limit; a registration with a taken name counts too.

    The operator of the service may have closed registration (403), or ask for an `invite`: a code that opens one
    account. A registration that is refused does not use it up. A code that is unknown, was used or has expired is a 422
    at `/invite`. Where registration is open, an `invite` is not looked at and stays good.
    """
    return await accounts.register(unit, data, client)


@router.get("/me", summary="Read your account")
async def read_me(accounts: AccountsDep, unit: UnitOfWorkDep, caller: AnyCaller) -> User:
    """Return the account that the token belongs to."""
    return await accounts.read_profile(unit, caller)


@router.patch(
    "/me", summary="Change your account", responses=document_problems([EMAIL_TAKEN, WRONG_PASSWORD, TOO_MANY_ATTEMPTS])
)
async def change_me(
    accounts: AccountsDep, unit: UnitOfWorkDep, client: ClientDep, caller: SignedInCaller, change: UserUpdate
) -> User:
    """Change the fields you send; another `username` or `email` also needs `current_password`.

    The account as you read it can be sent back. A wrong password counts as a failed sign-in, here and in every other
    operation that needs the current one; a new name or e-mail counts as a registration.
    """
    return await accounts.change_profile(unit, caller, change, client)


@router.put(
    "/me/password",
    status_code=HTTPStatus.NO_CONTENT,
    summary="Change your password",
    responses=document_problems([WRONG_PASSWORD, TOO_MANY_ATTEMPTS]),
)
async def change_password(
    accounts: AccountsDep, unit: UnitOfWorkDep, client: ClientDep, caller: SignedInCaller, change: PasswordChange
) -> None:
    """Change the password; every other session ends at once, but not this one.

    Personal access tokens stay valid: if somebody else may know the old password, delete them with
    `DELETE /users/me/tokens`.
    """
    await accounts.change_password(unit, caller, change, client)


@router.delete(
    "/me",
    status_code=HTTPStatus.NO_CONTENT,
    summary="Delete your account",
    responses=document_problems([WRONG_PASSWORD, TOO_MANY_ATTEMPTS]),
)
async def delete_me(
    accounts: BulkAccountsDep, unit: UnitOfWorkDep, client: ClientDep, caller: SignedInCaller, data: AccountDeletion
) -> None:
    """Delete the account and everything in it, at once and for good."""
    await accounts.delete_account(unit, caller, data, client)
