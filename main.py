"""The application: its wiring, and nothing else."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from alembic.util import CommandError
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

import migrations
from accounts import Accounts
from auth import AccessTokens
from config import VERSION, Settings, read_settings
from database import Database
from documents import TITLE, describe, mount_pages, name_operation
from migrations import Condition
from passwords import Passwords
from problems import MethodNotAllowed, Problem, problem_of, render
from routers import categories, expenses, system, users
from routers.edge import allow
from routers.envelope import Cors, Envelope, LastResort

LOCAL_ORIGINS = r"https?://(localhost|127\.0\.0\.1)(:[0-9]{1,5})?"
EXPOSED = [
    "Location",
    "Link",
    "ETag",
    "X-Request-ID",
    "WWW-Authenticate",
    "Retry-After",
    "Idempotency-Replayed",
    "Content-Disposition",
]
ALLOWED = ["Authorization", "Content-Type", "If-Match", "If-None-Match", "Idempotency-Key", "X-Request-ID"]
PREFLIGHT_SECONDS = 2 * 60 * 60


class WrongSchema(Exception):
    """The database has another schema than this code: run `make migrate`."""


def create_app(settings: Settings) -> FastAPI:
    """Build the service for these settings."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if settings.embedded or settings.auto_migrate:
            await migrate(settings)
        state = app.state
        state.database = Database(settings)
        state.tokens = AccessTokens(settings.signing_key(), settings.access_token_minutes)
        passwords = Passwords(settings.bcrypt_rounds)
        state.accounts = Accounts(passwords, settings.password_min_length)
        try:
            await refuse_another_schema(state.database)
            yield
        finally:
            passwords.close()
            await state.database.close()

    app = FastAPI(
        title=TITLE,
        version=VERSION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=name_operation,
        middleware=[Middleware(Envelope), cors(settings), Middleware(LastResort)],
    )
    # The busiest first: routes are tried in order.
    for router in (expenses.router, categories.router, users.router, system.currencies, system.router):
        app.include_router(router)
    mount_pages(app)
    app.openapi = describe(app)  # type: ignore[method-assign]  # FastAPI's documented way to extend the document
    for error in (Problem, RequestValidationError, HTTPException):
        app.add_exception_handler(error, answer_problem)
    return app


def cors(settings: Settings) -> Middleware:
    """Return who may call from a browser: an allow-list, with bearer tokens and never with credentials."""
    return Middleware(
        Cors,
        allow_origins=settings.cors_origins,
        allow_origin_regex=None if settings.cors_origins else LOCAL_ORIGINS,
        allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=ALLOWED,
        expose_headers=EXPOSED,
        max_age=PREFLIGHT_SECONDS,
    )


async def migrate(settings: Settings) -> None:
    """Bring the database up; raise WrongSchema where it is ahead of this code."""
    try:
        await asyncio.to_thread(migrations.upgrade, settings.url)
    except CommandError as error:
        raise WrongSchema("The database is newer than this code: deploy the newer code.") from error


async def refuse_another_schema(database: Database) -> None:
    """Raise WrongSchema where the database answers with another schema; one that does not answer may come later."""
    if await migrations.condition(database) is Condition.ANOTHER_SCHEMA:
        raise WrongSchema(WrongSchema.__doc__)


async def answer_problem(request: Request, error: Exception) -> Response:
    """Answer with the problem that an error is."""
    problem = problem_of(error)
    if isinstance(problem, MethodNotAllowed):
        problem.headers = {**problem.headers, **allow(request)}
    return render(request, problem)


settings = read_settings()
app = create_app(settings)

if __name__ == "__main__":
    # uvicorn ends in order and then raises the signal again, which would make an orderly end look like a crash.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # The access log would hold the words that people search their expenses for.
    uvicorn.run(app, host=settings.host, port=settings.port, server_header=False, proxy_headers=False, access_log=False)
