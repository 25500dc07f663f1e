"""The application: builds the services, the middleware and the routers, and serves it."""

import gc
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI
from starlette.middleware import Middleware

import migrations
from api.application import Application
from api.docs_pages import mount_pages
from api.middleware import EdgeMiddleware
from api.openapi import TITLE, make_openapi_builder
from api.peers import PeerMiddleware
from api.plain_route import PlainRoute
from api.refusals import render_refusal
from api.rounds import RoundMiddleware
from api.services import Services
from auth import AccessTokens
from config import VERSION, Settings, list_misleading_settings, list_unknown_settings, load_settings
from database import Database
from infra import log, serving
from infra.child_process import ChildProcesses
from infra.database_file import describe_exposed
from infra.engines import CertificateError
from infra.signing_keys import KeyFileError, load_signing_keys
from migrations.errors import SchemaError
from routers import (
    archives,
    budgets,
    categories,
    changes,
    expenses,
    exports,
    imports,
    payees,
    reports,
    sessions,
    system,
    tags,
    tokens,
    trash,
    users,
)
from users.accounts import Accounts
from users.hashing import PasswordHasher
from users.sessions import Sessions
from users.throttle import Throttle

GARBAGE_THRESHOLDS: Final = (2_000, 10, 100)
"""Garbage is looked for after 2,000 new objects, in what is older each tenth time, and in all of it after 2,000,000.

A large import makes half a million objects that stay for its seconds: to go through all of them takes 200 ms.
"""


def create_app(settings: Settings) -> FastAPI:
    """Build the application; its services are built when it starts, and closed when it stops."""
    app = Application(
        title=TITLE,
        version=VERSION,
        lifespan=log.log_lifespan(_build_lifespan(settings), SchemaError, KeyFileError, CertificateError),
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        middleware=[
            Middleware(PeerMiddleware, settings),
            Middleware(RoundMiddleware),
            Middleware(EdgeMiddleware, settings),
        ],
    )
    # FastAPI's own route asks for a layer that Application leaves out.
    app.router.route_class = PlainRoute
    # The most frequently used first, because routes are tried in order.
    for router in (
        expenses.router,
        expenses.bulk_router,
        *(noun.router for noun in (categories, tags, payees, reports, budgets, trash, exports, changes, imports)),
        users.registration,
        *(noun.router for noun in (sessions, tokens, archives, users)),
        system.currencies,
        system.router,
    ):
        # Included, each of them would be matched twice for every request.
        app.router.routes.extend(router.routes)
    mount_pages(app)
    app.openapi = make_openapi_builder(app)  # type: ignore[method-assign]  # FastAPI's documented way to extend the document
    return app


def _build_lifespan(settings: Settings) -> log.Lifespan[FastAPI]:
    """Return what runs around the application's life: build its services before the first request, close them after."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        for sentence in [*list_unknown_settings(), *list_misleading_settings(settings), *describe_exposed(settings)]:
            log.logger.warning("%s", sentence)
        await migrations.migrate_at_start(settings)
        database, passwords = Database(settings), PasswordHasher(settings.bcrypt_rounds)
        access_tokens = AccessTokens(load_signing_keys(settings), settings.access_token_minutes)
        accounts = Accounts(passwords, settings, Throttle(settings))
        sessions, children = Sessions(settings, access_tokens), ChildProcesses()
        app.state.services = Services(settings, database, access_tokens, sessions, accounts, children)
        try:
            await migrations.refuse_another_schema(database)
            yield
        finally:
            children.close()
            passwords.close()
            await database.close()

    return lifespan


settings = load_settings()
app = create_app(settings)
# The garbage collector would go through all that is there now, and stays, again and again while requests wait.
gc.collect()
gc.freeze()
gc.set_threshold(*GARBAGE_THRESHOLDS)

if __name__ == "__main__":
    sys.exit(serving.serve(app, settings, render_refusal))
