"""The services that the application builds when it starts, and that all requests use."""

from dataclasses import dataclass

from fastapi import FastAPI

from auth import AccessTokens
from config import Settings
from database import Database
from infra.child_process import ChildProcesses
from users.accounts import Accounts
from users.sessions import Sessions


@dataclass(frozen=True, slots=True)
class Services:
    """The services of one application, stored as `app.state.services`."""

    settings: Settings
    database: Database
    access_tokens: AccessTokens
    sessions: Sessions
    accounts: Accounts
    children: ChildProcesses


def get_services(app: FastAPI) -> Services:
    """Return the services of an application that has started."""
    services: Services = app.state.services
    return services
