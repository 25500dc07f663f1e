"""Behind a real nginx that shows the service at /money/ and compresses: links, pages and entity tags hold."""

import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import pytest

from tests.support import docs_page
from tests.support.browser import Browser
from tests.support.nginx import Nginx
from tests.support.servers import MAIN, Service, find_program, open_or_skip

PASSWORD: Final = "a walk along the sea"
PATH: Final = "/money"


@dataclass(frozen=True)
class Setup:
    """How the service is started, and whether nginx strips the path before it asks."""

    strips: bool
    environment: Mapping[str, str] = field(default_factory=dict)
    options: Sequence[str] = ()
    program: Sequence[str] = ()


NAMED: Final = {"ROOT_PATH": PATH}
STRIPPED: Final = "uvicorn main:app, stripped"
SETUPS: Final = {
    STRIPPED: Setup(strips=True, environment=NAMED),
    "make run, not stripped": Setup(strips=False, environment=NAMED, program=MAIN),
    "uvicorn --root-path, stripped": Setup(strips=True, options=["--root-path", PATH]),
}


class Visitor(httpx.Client):
    """Somebody who asks the service through nginx: `get("/expenses")` asks for `/money/expenses`."""

    def __init__(self, nginx: Nginx) -> None:
        super().__init__(base_url=nginx.url, timeout=20, trust_env=False, headers={"Accept-Encoding": "gzip"})
        self.name = f"user-{secrets.token_hex(6)}"

    def sign_up(self) -> None:
        """Register and sign in."""
        account = {"username": self.name, "email": f"{self.name}@example.com", "password": PASSWORD}
        self.post("/users/register", json=account).raise_for_status()
        signed_in = self.post("/users/token", data={"username": self.name, "password": PASSWORD}).raise_for_status()
        self.headers["Authorization"] = f"Bearer {signed_in.json()['access_token']}"

    def spend(self, path: str = "/expenses") -> httpx.Response:
        """Record an expense."""
        return self.post(path, json={"amount": "12.50", "description": "Apples and bread"}).raise_for_status()

    def follow(self, answer: httpx.Response, address: str) -> httpx.Response:
        """Ask for an address of an answer, resolved as a browser resolves it (RFC 3986 section 5)."""
        return self.get(answer.url.join(address))


@pytest.fixture(scope="module", params=list(SETUPS.values()), ids=list(SETUPS))
def nginx(request: pytest.FixtureRequest) -> Iterator[Nginx]:
    """The service behind nginx, in each of the setups."""
    setup: Setup = request.param
    open_or_skip(lambda: find_program("nginx"), "NGINX")
    started: dict[str, Any] = {"options": setup.options, "program": setup.program}
    with Service(setup.environment, **started) as service, Nginx(service.port, PATH, strips=setup.strips) as nginx:
        yield nginx


@pytest.fixture(scope="module")
def visitor(nginx: Nginx) -> Iterator[Visitor]:
    """A user whose ledger nobody else changes."""
    with Visitor(nginx) as visitor:
        visitor.sign_up()
        yield visitor


@pytest.fixture(scope="module")
def _browser() -> Iterator[Browser]:
    with open_or_skip(Browser, "BROWSER") as browser:
        yield browser


@pytest.fixture
def browser(_browser: Browser) -> Browser:
    """A browser that has never seen the service."""
    _browser.forget()
    return _browser


# --- addresses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/expenses", "/expenses/"])
def test_a_new_row_is_where_its_location_says(visitor: Visitor, path: str) -> None:
    made = visitor.spend(path)

    assert visitor.follow(made, made.headers["Location"]).json() == made.json()


@pytest.mark.parametrize("path", ["/expenses", "/expenses/"])
def test_the_next_page_is_where_the_link_says(visitor: Visitor, path: str) -> None:
    older, newer = (visitor.spend().json() for _ in range(2))

    page = visitor.get(f"{path}?limit=1")

    assert page.json()["items"] == [newer]
    assert visitor.follow(page, page.links["next"]["url"]).json()["items"] == [older]


@pytest.mark.parametrize("name", ["docs", "openapi"])
def test_the_root_links_to_what_is_there(visitor: Visitor, name: str) -> None:
    root = visitor.get("/")

    assert visitor.follow(root, root.json()[name]).status_code == 200


def test_the_document_tells_where_the_service_is(visitor: Visitor) -> None:
    document = visitor.get("/openapi.json")
    server = document.url.join(document.json()["servers"][0]["url"])

    assert visitor.get(f"{server}/users/me").json()["username"] == visitor.name


def test_the_document_tells_where_one_signs_in(visitor: Visitor) -> None:
    document = visitor.get("/openapi.json")
    address = document.json()["components"]["securitySchemes"]["SignIn"]["flows"]["password"]["tokenUrl"]

    answer = visitor.post(document.url.join(address), data={"username": visitor.name, "password": PASSWORD})

    assert answer.status_code == 200


@pytest.mark.parametrize("headers", [["Host"], ["X-Forwarded-Host", "X-Forwarded-Prefix"]])
@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/expenses?limit=1"])
def test_no_header_has_a_say_in_an_address(visitor: Visitor, path: str, headers: list[str]) -> None:
    answer = visitor.get(path, headers=dict.fromkeys(headers, "evil.example"))

    assert (answer.status_code, "evil.example" in answer.text + str(answer.headers)) == (200, False)


# --- what depends on the path -----------------------------------------------------------------------------------------


def test_a_405_lists_every_method(visitor: Visitor) -> None:
    answer = visitor.request("PATCH", "/budgets/status", json={})

    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", ["/users/me", "/users/token", "/users/token/"])
def test_nothing_under_users_is_stored(visitor: Visitor, path: str) -> None:
    assert visitor.get(path).headers["Cache-Control"] == "no-store"


def test_a_refused_sign_in_says_so_in_the_words_of_oauth(visitor: Visitor) -> None:
    answer = visitor.post("/users/token", data={"username": visitor.name, "password": "wrong"})

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_grant")


# --- entity tags ------------------------------------------------------------------------------------------------------


def test_nginx_compresses_a_row_and_makes_its_tag_a_weak_one(visitor: Visitor) -> None:
    made = visitor.spend()

    row = visitor.get(f"/expenses/{made.json()['id']}")

    assert row.headers["Content-Encoding"] == "gzip"
    assert row.headers["ETag"] == f'W/"{made.json()["revision"]}"'


def test_a_row_that_the_client_has_is_not_sent_again(visitor: Visitor) -> None:
    row = visitor.get(f"/expenses/{visitor.spend().json()['id']}")

    assert visitor.get(row.url, headers={"If-None-Match": row.headers["ETag"]}).status_code == 304


@pytest.mark.parametrize("path", ["/expenses", "/reports/spending", "/changes"])
def test_a_list_that_the_client_has_is_not_sent_again(visitor: Visitor, path: str) -> None:
    tag = visitor.get(path).headers["ETag"]

    assert visitor.get(path, headers={"If-None-Match": tag}).status_code == 304


def test_a_row_is_changed_by_the_tag_that_came_compressed(visitor: Visitor) -> None:
    row = visitor.get(f"/expenses/{visitor.spend().json()['id']}")

    changed = visitor.patch(row.url, json={"amount": "13.00"}, headers={"If-Match": row.headers["ETag"]})

    assert (changed.status_code, changed.json()["amount"]) == (200, "13.00")


def test_a_row_that_has_moved_on_is_not_changed_by_the_tag_that_came_compressed(visitor: Visitor) -> None:
    row = visitor.get(f"/expenses/{visitor.spend().json()['id']}")
    visitor.patch(row.url, json={"amount": "13.00"})

    changed = visitor.patch(row.url, json={"amount": "14.00"}, headers={"If-Match": row.headers["ETag"]})

    assert changed.status_code == 412


# --- pages ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_everything_that_a_page_asks_for_is_below_the_path(visitor: Visitor, path: str) -> None:
    page = visitor.get(path)
    addresses = re.findall(r"""["'](/[^"'\s]+)["']""", page.text)

    assert f"{PATH}/openapi.json" in addresses
    assert [it for it in addresses if not it.startswith(f"{PATH}/") or not visitor.follow(page, it).is_success] == []


def test_the_bundle_of_redoc_shows_a_logo_that_is_there(visitor: Visitor) -> None:
    bundle = visitor.get("/assets/redoc.standalone.js")
    (logo,) = re.findall(r'"([^"]*/favicon\.png)"', bundle.text)

    assert visitor.follow(bundle, logo).headers["Content-Type"] == "image/png"


# In one of the setups: the browser follows the addresses of the document and of the pages, which are tried in each.
in_a_browser: Final = pytest.mark.parametrize("nginx", [SETUPS[STRIPPED]], ids=[STRIPPED], indirect=True)


@in_a_browser
def test_one_signs_in_and_executes_from_docs(browser: Browser, nginx: Nginx, visitor: Visitor) -> None:
    browser.open(f"{nginx.url}/docs")
    docs_page.sign_in(browser, visitor.name, PASSWORD)
    docs_page.open_forms(browser, "expenses-create_expense")

    assert docs_page.execute(browser, "expenses-create_expense") == ["201"]
    assert (browser.complaints(), browser.hosts()) == ([], {nginx.host})


@in_a_browser
def test_redoc_shows_the_operations(browser: Browser, nginx: Nginx) -> None:
    browser.open(f"{nginx.url}/redoc")

    assert browser.look("document.querySelectorAll('[id*=\"/operation/\"]').length > 0")
    assert browser.look("document.querySelector('img[alt=\"redocly logo\"]')?.naturalWidth > 0")
    assert (browser.complaints(), browser.hosts()) == ([], {nginx.host})
