"""Accounts: registering, signing in, the profile, the password, the end."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Form

from problems import AlreadyExists, InvalidCredentials, WrongPassword, documented
from refusals import at
from routers.doors import SignedIn, TheAccounts, TheTokens, Unit
from routers.edge import LedgerRoute, takes_long
from schemas import AccountDeletion, PasswordChange, SignIn, Token, User, UserCreate, UserUpdate

TAKEN: Final = AlreadyExists(errors=[at("/email", "already_exists", "This e-mail belongs to another account.")])
WRONG: Final = WrongPassword(errors=[at("/current_password", "not_allowed", "This is not your current password.")])

router = APIRouter(prefix="/users", tags=["users"], route_class=LedgerRoute)


@router.post("/register", status_code=HTTPStatus.CREATED, summary="Open an account", responses=documented([TAKEN]))
@takes_long
async def register(accounts: TheAccounts, unit: Unit, data: UserCreate) -> User:
    """Register with a user name, an e-mail and a password; then sign in at `POST /users/token`.

    The currency (default EUR) is that of expenses that name none; the time zone (default UTC) decides what "today" is.
    """
    return await accounts.register(unit, data)


@router.post("/token", summary="Sign in", responses=documented([InvalidCredentials()]))
@takes_long
async def sign_in(accounts: TheAccounts, tokens: TheTokens, unit: Unit, form: Annotated[SignIn, Form()]) -> Token:
    """Exchange the user name, or the e-mail, and the password for an access token.

    Send a form (`username=…&password=…`), not JSON; then put `Authorization: Bearer <access_token>` on every request.
    A problem says itself in OAuth2's words too: `error` and `error_description` (RFC 6749 section 5.2).
    """
    return await accounts.sign_in(unit, form, tokens)


@router.get("/me", summary="Read your account")
async def read_me(accounts: TheAccounts, unit: Unit, caller: SignedIn) -> User:
    """Return the account that the token belongs to."""
    return await accounts.profile(unit, caller)


@router.patch("/me", summary="Change your account", responses=documented([TAKEN, WRONG]))
@takes_long
async def change_me(accounts: TheAccounts, unit: Unit, caller: SignedIn, change: UserUpdate) -> User:
    """Change the fields you send; a new `username` or `email` also needs `current_password`."""
    return await accounts.change_profile(unit, caller, change)


@router.put(
    "/me/password",
    status_code=HTTPStatus.NO_CONTENT,
    summary="Change your password",
    responses=documented([WRONG]),
)
@takes_long
async def change_password(accounts: TheAccounts, unit: Unit, caller: SignedIn, change: PasswordChange) -> None:
    """Change the password; every other session ends at once, this one goes on."""
    await accounts.change_password(unit, caller, change)


@router.delete("/me", status_code=HTTPStatus.NO_CONTENT, summary="Delete your account", responses=documented([WRONG]))
@takes_long
async def delete_me(accounts: TheAccounts, unit: Unit, caller: SignedIn, data: AccountDeletion) -> None:
    """Delete the account and everything in it, at once and for good."""
    await accounts.delete_account(unit, caller, data)
