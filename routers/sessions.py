"""Sessions: sign in, refresh tokens, sign out, list sessions and end them."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Form

from api.dependencies import AccountsDep, ClientDep, RowId, SessionsDep, SignedInCaller, UnitOfWorkDep
from api.problem_json import document_problems
from api.route import LedgerRoute
from problems import InvalidCredentials, InvalidToken, NotFound, RefreshTokenReused
from users import sessions
from users.schemas import RefreshTokenShown, SessionList, SignIn, Token
from users.throttle import too_many_attempts_problem

TOO_MANY_ATTEMPTS: Final = too_many_attempts_problem(840)

router = APIRouter(prefix="/users", tags=["sessions"], route_class=LedgerRoute)


@router.post("/token", summary="Sign in", responses=document_problems([InvalidCredentials(), TOO_MANY_ATTEMPTS]))
async def sign_in(
    accounts: AccountsDep,
    session_service: SessionsDep,
    unit: UnitOfWorkDep,
    client: ClientDep,
    form: Annotated[SignIn, Form()],
) -> Token:
    """Exchange the user name, or the e-mail, and the password for an access token and a refresh token.

    Send a form (`username=…&password=…`), not JSON; then put `Authorization: Bearer <access_token>` on every request,
    and before it has expired get the next one with `POST /users/token/refresh`. An account has at most 100 sessions:
    a further sign-in ends the one that was least recently opened or refreshed.

    After 5 wrong passwords for one name from one address in 15 minutes, or 50 from one address whatever the names, the
    answer is 429 until the time in `Retry-After` is over, unless the service is set to other limits. A correct password
    does not count, and does not clear the wrong ones. It counts only while it is verified, so of more than 5 sign-ins
    with one name at the same time some may get a 429. Problems have the two members of an OAuth2 error too: `error` and
    `error_description` (RFC 6749 sections 5.2 and 4.1.2.1).
    """
    return await accounts.sign_in(unit, form, client, session_service)


@router.post(
    "/token/refresh",
    summary="Stay signed in",
    responses=document_problems([InvalidToken(sessions.INVALID_DETAIL), RefreshTokenReused()]),
)
async def refresh_token(
    session_service: SessionsDep, unit: UnitOfWorkDep, client: ClientDep, body: RefreshTokenShown
) -> Token:
    """Exchange a refresh token for the next pair of tokens; no `Authorization` is needed.

    If the answer is lost, send the same refresh token again: you get the same successor, until that is exchanged in
    turn. Earlier access tokens stay valid until they expire. Once the successor is exchanged, the old refresh token
    counts as stolen: sending it ends the session with 401 `refresh_token_reused`, and later requests get
    `invalid_token`. All tabs of a browser should share one refresh token, and read it just before they use it. A
    session also ends if it is not refreshed for 30 days, and 180 days after the sign-in, unless the service is set to
    other limits.
    """
    return await session_service.refresh(unit, body.refresh_token, client)


@router.post("/logout", status_code=HTTPStatus.NO_CONTENT, summary="Sign out")
async def log_out(unit: UnitOfWorkDep, body: RefreshTokenShown) -> None:
    """End the session of a refresh token and all its access tokens, at once; no `Authorization` is needed.

    An unknown refresh token ends nothing and gets the same answer.
    """
    await sessions.log_out(unit, body.refresh_token)


@router.get("/me/sessions", summary="List your sessions")
async def list_sessions(unit: UnitOfWorkDep, caller: SignedInCaller) -> SessionList:
    """Return your sessions, the newest first; `current` marks the one that sends this request."""
    return await sessions.list_sessions(unit, caller)


@router.delete("/me/sessions", status_code=HTTPStatus.NO_CONTENT, summary="Sign out everywhere else")
async def end_other_sessions(unit: UnitOfWorkDep, caller: SignedInCaller) -> None:
    """End all your sessions but this one, at once. `DELETE /users/me/tokens` ends your personal access tokens."""
    await sessions.end_other_sessions(unit, caller)


@router.delete(
    "/me/sessions/{session_id}",
    status_code=HTTPStatus.NO_CONTENT,
    summary="End a session",
    responses=document_problems([NotFound()]),
)
async def end_session(unit: UnitOfWorkDep, caller: SignedInCaller, session_id: RowId) -> None:
    """End one of your sessions, at once; the current one too, if you send its id."""
    await sessions.end_session(unit, caller, session_id)
