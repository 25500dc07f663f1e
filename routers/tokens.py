"""Personal access tokens: a user gives one to a script, which sends it instead of signing in."""

from http import HTTPStatus

from fastapi import APIRouter

from api.dependencies import RowId, SignedInCaller, UnitOfWorkDep
from api.problem_json import document_problems
from api.route import LedgerRoute
from problems import NotFound, TooMany
from users import personal_tokens
from users.schemas import PersonalTokenCreate, PersonalTokenList, PersonalTokenSecret

router = APIRouter(prefix="/users/me/tokens", tags=["tokens"], route_class=LedgerRoute)


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    summary="Create a personal access token",
    responses=document_problems([TooMany()]),
)
async def create_token(unit: UnitOfWorkDep, caller: SignedInCaller, data: PersonalTokenCreate) -> PersonalTokenSecret:
    """Create a token for a script, which sends it as `Authorization: Bearer <token>`; only this answer contains it.

    The scope `read` allows every GET of expenses, categories, tags, payees, reports, budgets and changes, and
    `GET /users/me`; `write` also allows every change of expenses, categories, tags and budgets. No other operation
    under `/users` accepts a personal access token. An account has at most 100 of them; expired ones are deleted when a
    new one is created.
    """
    return await personal_tokens.create_token(unit, caller, data)


@router.get("", summary="List your personal access tokens")
async def list_tokens(unit: UnitOfWorkDep, caller: SignedInCaller) -> PersonalTokenList:
    """Return all your personal access tokens, without their secrets, the newest first."""
    return await personal_tokens.list_tokens(unit, caller)


@router.delete("", status_code=HTTPStatus.NO_CONTENT, summary="Delete all your personal access tokens")
async def delete_tokens(unit: UnitOfWorkDep, caller: SignedInCaller) -> None:
    """Delete all your personal access tokens, which end at once."""
    await personal_tokens.delete_tokens(unit, caller)


@router.delete(
    "/{token_id}",
    status_code=HTTPStatus.NO_CONTENT,
    summary="Delete a personal access token",
    responses=document_problems([NotFound()]),
)
async def delete_token(unit: UnitOfWorkDep, caller: SignedInCaller, token_id: RowId) -> None:
    """Delete a personal access token, which ends at once."""
    await personal_tokens.delete_token(unit, caller, token_id)
