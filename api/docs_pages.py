"""Serves /openapi.json, and the pages /docs and /redoc with all their files, so that no other host is needed."""

import base64
import hashlib
import re
from functools import lru_cache
from importlib.resources import files
from typing import Final

from fastapi import FastAPI
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from api.openapi import TITLE, place_document
from api.requests import JSON_TYPE
from api.root_path import get_root

MAX_ROOTS: Final = 4
DOCUMENT_PATH: Final = "/openapi.json"
ASSETS_PATH: Final = "/assets"
ASSET_FILES: Final = files("fastapi_offline") / "static"
# ReDoc's bundle would load this image from another host at every visit.
_FOREIGN_LOGO: Final = b"https://cdn.redoc.ly/redoc/logo-mini.svg"
# On a phone the table of codes is no wider than the screen.
_DOCS_STYLE: Final = ".info td code { overflow-wrap: anywhere }"
# Swagger UI would store all that was typed into *Authorize*, the password in clear. Stored is what it needs to send and
# show a token (ASVS 5.0 14.3.3), also in the place of what an older version has stored. It never sends refresh tokens.
_DOCS_PLUGIN: Final = """() => {
    const keep = ({ name, schema, username, scopes, value, token }) =>
      ({ name, schema, username, scopes, value, token: token && { access_token: token.access_token } })
    const keepTokens = (all) => Object.fromEntries(Object.entries(all).map(([id, one]) => [id, keep(one)]))
    return { statePlugins: { auth: { wrapActions: {
      persistAuthorizationIfNeeded: (_, { authSelectors }) => () =>
        localStorage.setItem("authorized", JSON.stringify(keepTokens(authSelectors.authorized().toJS()))),
      restoreAuthorization: (restore, { authActions }) => ({ authorized }) => {
        restore({ authorized: keepTokens(authorized) })
        authActions.persistAuthorizationIfNeeded()
      },
    } } } }
  }"""
_DOCS_SCRIPT: Final = """
// *Authorize* opens on the user name, and Enter signs in; the answer of a success that makes a row is shown first.
new MutationObserver(() => {
  const name = document.querySelector("#oauth_username:not([data-seen])")
  if (name) {
    name.dataset.seen = "yes"
    name.focus()
    name.closest(".modal-ux-content").scrollTop = 0
  }
  for (const row of document.querySelectorAll(".responses-table [data-code='201']"))
    if (row.previousElementSibling) row.parentNode.prepend(row)
}).observe(document.body, { childList: true, subtree: true })
document.addEventListener("keydown", (event) => {
  if (event.key == "Enter" && event.target.matches("#oauth_username, #oauth_password"))
    event.target.closest(".auth-container").querySelector("button.authorize").click()
})
"""
_REDOC_SCRIPT: Final = """
// The sample of a success that makes a row is shown first: a browser sorts 200 before 201.
new MutationObserver(() => {
  for (const tabs of document.querySelectorAll("[role=tablist]:not([data-seen])")) {
    tabs.dataset.seen = "yes"
    const [first, second] = [...tabs.children].map((tab) => tab.innerText.trim())
    if (first != "200" || second != "201") continue
    // A chosen tab takes the focus, and the page scrolls to it. This prevents the first focus only.
    const tab = tabs.children[1]
    tab.focus = () => delete tab.focus
    tab.click()
  }
}).observe(document.body, { childList: true, subtree: true })
"""
_SCRIPT: Final = re.compile(r"<script>(.*?)</script>", re.DOTALL)


class Assets(StaticFiles):
    """Serves the pages' files and ignores Range headers, because an invalid range is answered in plain text."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one whole file; RFC 9110 section 14.2 lets a server ignore Range."""
        headers = [header for header in scope["headers"] if header[0] != b"range"]
        await super().__call__({**scope, "headers": headers}, receive, send)


def mount_pages(app: FastAPI) -> None:
    """Add the routes of the document, the pages and their files to an application."""
    app.add_route(f"{ASSETS_PATH}/redoc.standalone.js", _serve_redoc_bundle, include_in_schema=False)
    app.mount(ASSETS_PATH, Assets(directory=str(ASSET_FILES)), "assets")
    app.add_route(DOCUMENT_PATH, _show_document, include_in_schema=False)
    app.add_route("/docs", _show_docs, include_in_schema=False)
    app.add_route("/redoc", _show_redoc, include_in_schema=False)


async def _show_document(request: Request) -> Response:
    """Show the OpenAPI document."""
    return Response(_render_document(request.app, get_root(request.scope)), media_type=JSON_TYPE)


# Rendered once for each path below which the service is shown: anybody may ask for them as often as they like.
@lru_cache(MAX_ROOTS)
def _render_document(app: FastAPI, root: str) -> bytes:
    return bytes(JSONResponse(place_document(app.openapi(), root)).body)


async def _show_docs(request: Request) -> HTMLResponse:
    """Show Swagger UI."""
    return _answer_page(*_render_docs(get_root(request.scope)))


@lru_cache(MAX_ROOTS)
def _render_docs(root: str) -> tuple[str, str]:
    page = get_swagger_ui_html(
        openapi_url=f"{root}{DOCUMENT_PATH}",
        title=TITLE,
        swagger_js_url=f"{root}{ASSETS_PATH}/swagger-ui-bundle.js",
        swagger_css_url=f"{root}{ASSETS_PATH}/swagger-ui.css",
        swagger_favicon_url=f"{root}{ASSETS_PATH}/favicon.png",
        swagger_ui_parameters={
            "persistAuthorization": True,
            "tryItOutEnabled": True,
            # These are regular expressions and bounds under each parameter; the descriptions say what they mean.
            "showCommonExtensions": False,
        },
    )
    page = _insert(page, "presets: [", f"plugins: [{_DOCS_PLUGIN}],\n    ")
    page = _insert(page, "</head>", f"<style>{_DOCS_STYLE}</style>")
    return _make_page(_insert(page, "</body>", f"<script>{_DOCS_SCRIPT}</script>"))


async def _show_redoc(request: Request) -> HTMLResponse:
    """Show ReDoc."""
    return _answer_page(*_render_redoc(get_root(request.scope)))


@lru_cache(MAX_ROOTS)
def _render_redoc(root: str) -> tuple[str, str]:
    page = get_redoc_html(
        openapi_url=f"{root}{DOCUMENT_PATH}",
        title=TITLE,
        redoc_js_url=f"{root}{ASSETS_PATH}/redoc.standalone.js",
        redoc_favicon_url=f"{root}{ASSETS_PATH}/favicon.png",
        with_google_fonts=False,
    )
    page = _insert(page, " spec-url=", " hide-schema-pattern")
    return _make_page(_insert(page, "</body>", f"<script>{_REDOC_SCRIPT}</script>"))


async def _serve_redoc_bundle(request: Request) -> Response:
    bundle = _render_redoc_bundle(get_root(request.scope))
    return Response(bundle, media_type="text/javascript", headers={"Cache-Control": "max-age=86400"})


@lru_cache(MAX_ROOTS)
def _render_redoc_bundle(root: str) -> bytes:
    own_logo = f"{root}{ASSETS_PATH}/favicon.png".encode()
    return (ASSET_FILES / "redoc.standalone.js").read_bytes().replace(_FOREIGN_LOGO, own_logo)


def _insert(page: HTMLResponse, marker: str, text: str) -> HTMLResponse:
    """Return a page with a text inserted before the first occurrence of `marker`."""
    return HTMLResponse(bytes(page.body).decode().replace(marker, text + marker, 1))


def _make_page(page: HTMLResponse) -> tuple[str, str]:
    """Return the text of a page and its Content-Security-Policy."""
    text = bytes(page.body).decode()
    # A page may run only the bundles and its own inline scripts (by their hash), and may call only this origin.
    inline = " ".join(f"'sha256-{_hash_script(script)}'" for script in _SCRIPT.findall(text))
    return text, (
        f"default-src 'none'; script-src 'self' {inline}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "font-src 'self'; connect-src 'self'; worker-src blob:; frame-ancestors 'none'; base-uri 'none'; "
        "form-action 'none'"
    )


def _answer_page(text: str, policy: str) -> HTMLResponse:
    return HTMLResponse(text, headers={"Content-Security-Policy": policy})


def _hash_script(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
