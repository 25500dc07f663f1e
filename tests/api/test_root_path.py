"""ROOT_PATH: links hold behind a proxy that removes the path, and behind one that does not."""

import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import httpx
import pytest
from fastapi import FastAPI
from httpx import ASGITransport

from api.root_path import split_path
from config import Settings
from main import create_app
from tests.support.people import Person

pytestmark = pytest.mark.wire

Start = Callable[[str], Awaitable[FastAPI]]


@dataclass(frozen=True)
class Setup:
    """How the service is shown, and at which path it is then asked."""

    setting: str = ""
    server: str = ""
    asked: str = ""
    root: str = "/money"


SETUPS = {
    "no proxy": Setup(root=""),
    "ROOT_PATH, stripped": Setup(setting="/money"),
    "ROOT_PATH, not stripped": Setup(setting="/money", asked="/money"),
    "--root-path": Setup(server="/money", asked="/money"),
    "ROOT_PATH and --root-path": Setup(setting="/money", server="/money", asked="/money"),
    "two segments": Setup(setting="/apps/money", asked="/apps/money", root="/apps/money"),
}


@pytest.fixture(scope="module", params=list(SETUPS.values()), ids=list(SETUPS))
def setup(request: pytest.FixtureRequest) -> Setup:
    """One of the ways to show the service."""
    way: Setup = request.param
    return way


@pytest.fixture(scope="module")
async def start(settings: Settings) -> AsyncIterator[Start]:
    """A function that returns the app with this setting ROOT_PATH, started once for all setups that need it."""
    apps: dict[str, FastAPI] = {}
    async with AsyncExitStack() as started:

        async def start(root_path: str) -> FastAPI:
            if root_path not in apps:
                app = create_app(settings.model_copy(update={"root_path": root_path}))
                await started.enter_async_context(app.router.lifespan_context(app))
                apps[root_path] = app
            return apps[root_path]

        yield start


@pytest.fixture(scope="module")
async def shown(start: Start, setup: Setup) -> AsyncIterator[Person]:
    """Somebody who asks the service as the proxy of this setup does; with two expenses."""
    transport = ASGITransport(await start(setup.setting), root_path=setup.server)
    async with Person(transport=transport, base_url=f"http://testserver{setup.asked}") as person:
        await person.register()
        await person.sign_in()
        await person.post("/expenses", json={"amount": "1"})
        await person.post("/expenses", json={"amount": "2"})
        yield person


def ask(setup: Setup, address: str) -> str:
    """Return what the proxy asks of the service when a client asks it for this address."""
    assert address.startswith(f"{setup.root}/")
    return address.removeprefix(setup.root)


# --- the addresses that are sent --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/expenses", "/expenses/"])
async def test_a_new_row_is_where_its_location_says(shown: Person, setup: Setup, path: str) -> None:
    made = await shown.post(path, json={"amount": "12.50"})

    assert (await shown.get(ask(setup, made.headers["Location"]))).json() == made.json()


async def test_a_replayed_answer_has_its_location(shown: Person) -> None:
    sent = {"json": {"amount": "12.50"}, "headers": {"Idempotency-Key": "a"}}

    first, again = [await shown.post("/expenses", **sent) for _ in range(2)]  # type: ignore[arg-type]  # of two kinds

    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.headers["Location"] == first.headers["Location"]


@pytest.mark.parametrize("path", ["/expenses", "/expenses/", "/changes"])
async def test_the_next_page_is_where_the_link_says(shown: Person, setup: Setup, path: str) -> None:
    page = await shown.get(f"{path}?limit=1")

    following = await shown.get(ask(setup, page.links["next"]["url"]))

    assert page.links["next"]["rel"] == "next"
    assert following.json()["next_cursor"] != page.json()["next_cursor"]


@pytest.mark.parametrize("name", ["docs", "openapi"])
async def test_the_root_links_to_what_is_there(shown: Person, setup: Setup, name: str) -> None:
    linked = (await shown.get("/")).json()[name]

    assert (await shown.get(ask(setup, linked))).status_code == 200


async def test_the_path_alone_is_the_root(shown: Person) -> None:
    alone = httpx.URL(shown.base_url).copy_with(path=shown.base_url.path.rstrip("/") or "/")

    assert (await shown.get(alone)).json()["service"] == "Expense Tracker"


@pytest.mark.parametrize("page", ["/docs", "/docs/", "/redoc"])
async def test_every_file_of_a_page_is_there(shown: Person, setup: Setup, page: str) -> None:
    files = re.findall(r'(?:src|href|url|spec-url)(?:=|: )["\']([^"\']+)["\']', (await shown.get(page)).text)

    answers = [await shown.get(ask(setup, it)) for it in files]

    assert f"{setup.root}/openapi.json" in files
    assert {it.status_code for it in answers} == {200}


async def test_the_bundle_of_redoc_asks_for_a_logo_that_is_there(shown: Person, setup: Setup) -> None:
    bundle = (await shown.get("/assets/redoc.standalone.js")).text

    assert re.findall(r'"([^"]*/assets/favicon\.png)"', bundle) == [f"{setup.root}/assets/favicon.png"]


async def test_the_document_tells_where_the_service_is(shown: Person, setup: Setup) -> None:
    document = (await shown.get("/openapi.json")).json()

    servers = [it["url"].rstrip("/") for it in document.get("servers", [{"url": "/"}])]
    assert servers == [setup.root]


async def test_the_document_tells_where_one_signs_in(shown: Person, setup: Setup) -> None:
    document = (await shown.get("/openapi.json")).json()
    address = document["components"]["securitySchemes"]["SignIn"]["flows"]["password"]["tokenUrl"]

    answer = await shown.post(
        ask(setup, address), data={"username": shown.user["username"], "password": shown.password}
    )

    assert answer.json()["token_type"] == "bearer"


@pytest.mark.parametrize(
    "headers", [["Host"], ["X-Forwarded-Host", "X-Forwarded-Prefix", "X-Script-Name", "Forwarded"]]
)
@pytest.mark.parametrize("path", ["/", "/docs", "/redoc", "/openapi.json", "/expenses?limit=1", "/nowhere"])
async def test_no_header_has_a_say_in_an_address(shown: Person, headers: list[str], path: str) -> None:
    answer = await shown.get(path, headers=dict.fromkeys(headers, "/evil.example"))

    assert "evil.example" not in answer.text + str(answer.headers)


# --- what is compared with the path -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/expenses", "DELETE, GET, HEAD, PATCH, POST"),
        ("/expenses/1", "DELETE, GET, HEAD, PATCH, PUT"),
        ("/budgets/status", "GET, HEAD"),
        ("/", "GET, HEAD"),
    ],
)
async def test_a_405_lists_every_method(shown: Person, path: str, allowed: str) -> None:
    answer = await shown.request("TRACE", path)

    assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)


@pytest.mark.parametrize("path", ["/users/me", "/users/token", "/users/token/", "/users/nowhere"])
async def test_nothing_under_users_is_stored(shown: Person, path: str) -> None:
    assert (await shown.get(path)).headers["Cache-Control"] == "no-store"


async def test_what_is_not_under_users_may_be_kept(shown: Person) -> None:
    assert (await shown.get("/expenses")).headers["Cache-Control"] == "private, no-cache"


@pytest.mark.parametrize("path", ["/users/token", "/users/token/"])
async def test_a_refused_sign_in_says_so_in_the_words_of_oauth(shown: Person, path: str) -> None:
    answer = await shown.post(path, data={"username": "nobody", "password": "x"})

    assert answer.json()["error"] == "invalid_grant"


@pytest.mark.parametrize("path", ["/expenses/trash/", "/expenses/?min_amount=1"])
async def test_an_address_that_has_lost_its_id_deletes_no_collection(shown: Person, path: str) -> None:
    assert (await shown.delete(path)).status_code == 404


@pytest.mark.parametrize(
    ("path", "route"), [("/expenses/1", "/expenses/{expense_id}"), ("/docs", "/docs"), ("/", "/"), ("/nowhere", None)]
)
async def test_a_request_is_logged_by_the_template_of_its_route(
    shown: Person, caplog: pytest.LogCaptureFixture, path: str, route: str | None
) -> None:
    with caplog.at_level(logging.INFO, "expense_tracker"):
        await shown.get(path)

    assert [vars(it)["route"] for it in caplog.records if it.message == "answered"] == [route]


async def test_one_request_by_two_ways_happens_once(start: Start) -> None:
    async with Person(transport=ASGITransport(await start("/money")), base_url="http://t") as person:
        await person.register()
        await person.sign_in()

        answers = [
            await person.post(path, json={"amount": "1"}, headers={"Idempotency-Key": "a"})
            for path in ("/money/expenses", "/expenses")
        ]

    assert answers[0].json() == answers[1].json()


# --- how it is found --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("server", "setting", "path", "seen"),
    [
        ("", "", "/expenses", "/expenses"),
        ("", "/money", "/money", "/"),
        ("", "/money", "/money/", "/"),
        ("", "/money", "/moneybox", "/moneybox"),
        ("", "/money", "/Money/expenses", "/Money/expenses"),
        ("", "/money", "/money/money/expenses", "/money/expenses"),
        ("", "/money", "/money//expenses", "//expenses"),
        ("/money", "", "/money/money/expenses", "/money/expenses"),
        ("/money/", "", "/money//expenses", "/expenses"),
        ("/", "", "//expenses", "/expenses"),
        ("money", "", "money/expenses", "/expenses"),
        ("/outer", "/money", "/outer/money/expenses", "/expenses"),
        ("/outer", "/money", "/outer/expenses", "/expenses"),
    ],
)
def test_the_service_sees_the_path_below_the_root(server: str, setting: str, path: str, seen: str) -> None:
    assert split_path({"root_path": server, "path": path}, setting)[1] == seen


@pytest.mark.parametrize(
    ("server", "setting", "root"),
    [
        ("", "", ""),
        ("/", "", ""),
        ("/money", "", "/money"),
        ("/money/", "", "/money"),
        ("money", "", "/money"),
        ("//evil.example", "", "/evil.example"),
        ('/"><script>', "", "/%22%3E%3Cscript%3E"),
        ("/outer", "/money", "/money"),
    ],
)
def test_the_root_is_what_the_operator_says(server: str, setting: str, root: str) -> None:
    assert split_path({"root_path": server, "path": "/expenses"}, setting) == (root, "/expenses")


def test_a_server_that_knows_no_root_has_none() -> None:
    assert split_path({"path": "/expenses"}, "") == ("", "/expenses")
