"""What developers explore: the OpenAPI document, and /docs and /redoc, whose files the application serves itself."""

import base64
import hashlib
import re
from collections.abc import Callable
from importlib.resources import files
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

import schemas

ASSETS: Final = "/assets"
TITLE: Final = "Expense Tracker"
DESCRIPTION: Final = """\
Accounts, categories and expenses, exact to the last decimal.

Press **Authorize** and sign in with your user name and password (make an account with `POST /users/register` first);
the sign-in survives a reload of this page. Amounts are decimal strings beside an ISO 4217 currency; a negative one is a
refund. Every error is a problem (RFC 9457) whose `errors` name each field to blame. Unknown fields and query parameters
are refused, so that a typo never widens a request.
"""
_SCRIPT: Final = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def name_operation(route: APIRoute) -> str:
    """Name an operation after its function."""
    return route.name


def mount_pages(app: FastAPI) -> None:
    """Serve /docs and /redoc without any other host."""
    app.mount(ASSETS, StaticFiles(directory=str(files("fastapi_offline") / "static")), "assets")

    async def docs(_: Request) -> HTMLResponse:
        """Show Swagger UI."""
        page = get_swagger_ui_html(
            openapi_url="/openapi.json",
            title=TITLE,
            swagger_js_url=f"{ASSETS}/swagger-ui-bundle.js",
            swagger_css_url=f"{ASSETS}/swagger-ui.css",
            swagger_favicon_url=f"{ASSETS}/favicon.png",
            swagger_ui_parameters={"persistAuthorization": True, "tryItOutEnabled": True},
        )
        return _with_policy(page)

    async def redoc(_: Request) -> HTMLResponse:
        """Show ReDoc."""
        page = get_redoc_html(
            openapi_url="/openapi.json",
            title=TITLE,
            redoc_js_url=f"{ASSETS}/redoc.standalone.js",
            redoc_favicon_url=f"{ASSETS}/favicon.png",
            with_google_fonts=False,
        )
        return _with_policy(page)

    app.add_route("/docs", docs, include_in_schema=False)
    app.add_route("/redoc", redoc, include_in_schema=False)


def _with_policy(page: HTMLResponse) -> HTMLResponse:
    # The pages run the bundles and the few lines inside them, named by their hash, and talk to this origin alone.
    inline = " ".join(f"'sha256-{_sha256(script)}'" for script in _SCRIPT.findall(bytes(page.body).decode()))
    page.headers["Content-Security-Policy"] = (
        f"default-src 'none'; script-src 'self' {inline}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "font-src 'self'; connect-src 'self'; worker-src blob:; frame-ancestors 'none'; base-uri 'none'"
    )
    return page


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def describe(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """Return what makes the OpenAPI document of an application, once."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(
                title=TITLE, version=app.version, description=DESCRIPTION, routes=app.routes, tags=app.openapi_tags
            )
            made["components"]["schemas"]["Problem"] = schemas.Problem.model_json_schema(mode="serialization")
            app.openapi_schema = _without_null_defaults(made)
        return app.openapi_schema

    return document


def _without_null_defaults(node: Any) -> Any:  # noqa: ANN401
    # "Left out" is no value: a default of null would promise that null may be sent.
    if isinstance(node, dict):
        kept = {key: value for key, value in node.items() if not (key == "default" and value is None)}
        return {key: _without_null_defaults(value) for key, value in kept.items()}
    return [_without_null_defaults(item) for item in node] if isinstance(node, list) else node
