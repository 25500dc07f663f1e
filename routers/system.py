"""The service itself: name and version, health, readiness, and the list of currencies."""

from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Request, Response

import migrations
from api.docs_pages import DOCUMENT_PATH
from api.openapi import TITLE
from api.plain_route import PlainRoute
from api.root_path import get_root
from api.route import LedgerRoute
from api.schemas import CurrencyInfo, CurrencyList, Health, Readiness, Service
from api.services import get_services
from config import VERSION
from infra.database_file import GONE, READ_ONLY, REPLACED
from migrations import SchemaState
from values.money import DECIMALS

router = APIRouter(tags=["service"], route_class=PlainRoute)
currencies = APIRouter(tags=["service"], route_class=LedgerRoute)

_CURRENCIES: Final = CurrencyList(
    items=[CurrencyInfo(code=code, decimals=decimals) for code, decimals in DECIMALS.items()], next_cursor=None
)
_CHECKS: Final = {
    SchemaState.READY: {"database": "ok", "migrations": "ok"},
    SchemaState.ANOTHER_SCHEMA: {"database": "ok", "migrations": "another schema"},
    SchemaState.NEWER_SCHEMA: {"database": "ok", "migrations": "another schema"},
    SchemaState.READ_ONLY: {"database": READ_ONLY, "migrations": "ok"},
    SchemaState.FILE_GONE: {"database": GONE, "migrations": "unknown"},
    SchemaState.FILE_REPLACED: {"database": REPLACED, "migrations": "unknown"},
    SchemaState.NO_ANSWER: {"database": "does not answer", "migrations": "unknown"},
}


@router.get("/", summary="Read name and version")
async def read_service(request: Request) -> Service:
    """Return the name and version of the service, and the paths of its documentation."""
    root = get_root(request.scope)
    return Service(service=TITLE, version=VERSION, docs=f"{root}/docs", openapi=f"{root}{DOCUMENT_PATH}")


@router.get("/health", summary="Check that it runs")
async def read_health() -> Health:
    """Return ok while the process runs; the database is not asked."""
    return Health(status="ok")


@router.get(
    "/ready",
    summary="Check that it can work",
    responses={HTTPStatus.SERVICE_UNAVAILABLE.value: {"model": Readiness, "description": "A check failed."}},
)
async def read_readiness(request: Request, response: Response) -> Readiness:
    """Check the database and its schema: 200 if both are ready, else 503. A read-only database is not ready."""
    state = await migrations.check_schema(get_services(request.app).database)
    if state is not SchemaState.READY:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return Readiness(status="ok" if state is SchemaState.READY else "unavailable", checks=_CHECKS[state])


@currencies.get("/currencies", summary="List currencies")
async def list_currencies() -> CurrencyList:
    """List every currency, active or withdrawn, and how many decimals its amounts have (ISO 4217)."""
    return _CURRENCIES
