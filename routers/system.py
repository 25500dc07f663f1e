"""The service itself: what it is, whether it lives, whether it can work."""

import asyncio
from http import HTTPStatus

from fastapi import APIRouter, Request, Response

import migrations
from config import VERSION
from database import Database
from faults import fault_of
from money import DECIMALS
from routers.edge import READ_SECONDS, LedgerRoute
from schemas import CurrencyInfo, CurrencyList, Health, Readiness, Service

router = APIRouter(tags=["service"])
currencies = APIRouter(tags=["service"], route_class=LedgerRoute)

_CURRENCIES = CurrencyList(
    items=[CurrencyInfo(code=code, decimals=decimals) for code, decimals in DECIMALS.items()], next_cursor=None
)


@router.get("/", summary="What this is")
async def read_service() -> Service:
    """Name the service, its version, and where its documentation is."""
    return Service(service="Expense Tracker", version=VERSION, docs="/docs", openapi="/openapi.json")


@router.get("/health", summary="Does it live?")
async def read_health() -> Health:
    """Say ok while the process lives; it asks nothing of the database."""
    return Health(status="ok")


@router.get(
    "/ready",
    summary="Can it work?",
    responses={HTTPStatus.SERVICE_UNAVAILABLE.value: {"model": Readiness, "description": "A check failed."}},
)
async def read_readiness(request: Request, response: Response) -> Readiness:
    """Check the database and its schema: 200 if the service can do its work, else 503."""
    checks = await check(request.app.state.database)
    is_ready = set(checks.values()) == {"ok"}
    if not is_ready:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return Readiness(status="ok" if is_ready else "unavailable", checks=checks)


@currencies.get("/currencies", summary="List currencies")
async def list_currencies() -> CurrencyList:
    """List every currency and how many decimals its amounts have (ISO 4217)."""
    return _CURRENCIES


async def check(database: Database) -> dict[str, str]:
    """Return what each check of the database says: ok, or what is wrong."""
    try:
        async with asyncio.timeout(READ_SECONDS), database.unit() as unit:
            revision = await (await unit.reader()).run_sync(migrations.current)
    except Exception as error:
        if fault_of(error) is None:
            raise
        return {"database": "does not answer", "migrations": "unknown"}
    return {"database": "ok", "migrations": "ok" if revision == migrations.head() else "another schema"}
