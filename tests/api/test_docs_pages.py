"""/docs and /redoc, opened in a real browser that has never been here and has no internet."""

import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Final

import httpx
import pytest

from api.docs_pages import _hash_script
from tests.support.browser import Browser
from tests.support.servers import Service, open_or_skip

PASSWORD: Final = "a walk along the sea"
PAGES: Final = ("/docs", "/redoc")
FORMS: Final = ("expenses-create_expense", "expenses-list_expenses")


# --- the pages as they are served -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_names_no_other_host(client: httpx.AsyncClient, path: str) -> None:
    assert re.findall(r"(?:https?:)?//[a-z]", (await client.get(path)).text) == []


@pytest.mark.parametrize("path", PAGES)
async def test_a_pages_policy_names_each_inline_script(client: httpx.AsyncClient, path: str) -> None:
    page = await client.get(path)
    inline = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)

    assert [script for script in inline if _hash_script(script) not in page.headers["Content-Security-Policy"]] == []


@pytest.mark.parametrize("path", PAGES)
async def test_a_pages_policy_lets_no_other_script_run(client: httpx.AsyncClient, path: str) -> None:
    policy = (await client.get(path)).headers["Content-Security-Policy"]
    scripts = next(rule for rule in policy.split("; ") if rule.startswith("script-src"))

    assert "unsafe" not in scripts
    assert re.findall(r"https?:|\*", policy) == []


@pytest.mark.parametrize("path", PAGES)
async def test_every_file_of_a_page_is_there(client: httpx.AsyncClient, path: str) -> None:
    files = re.findall(r'(?:src|href)="(/[^"]+)"', (await client.get(path)).text)

    assert files
    assert [file for file in files if (await client.get(file)).status_code != HTTPStatus.OK] == []


@pytest.mark.parametrize("asked", ["bytes=0-9", "bytes=999999999-", "bytes=9-1", "lines=1-2", "bytes=", "x"])
async def test_a_file_is_sent_whole_whatever_range_is_asked_for(client: httpx.AsyncClient, asked: str) -> None:
    whole = await client.get("/assets/swagger-ui.css")

    answer = await client.get("/assets/swagger-ui.css", headers={"Range": asked})

    assert (answer.status_code, len(answer.content)) == (HTTPStatus.OK, len(whole.content))


async def test_the_bundle_of_redoc_asks_for_no_foreign_image(client: httpx.AsyncClient) -> None:
    assert "cdn.redoc.ly" not in (await client.get("/assets/redoc.standalone.js")).text


# --- the pages as they are seen ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """The service, with one account."""
    with Service({}) as service:
        account = {"username": "ada", "email": "ada@example.com", "password": PASSWORD}
        httpx.post(f"{service.url}/users/register", json=account, trust_env=False).raise_for_status()
        yield service


@pytest.fixture(scope="module")
def _browser() -> Iterator[Browser]:
    with open_or_skip(Browser, "BROWSER") as browser:
        yield browser


@pytest.fixture
def blank(_browser: Browser) -> Browser:
    """A browser that has never seen the service."""
    _browser.forget()
    return _browser


@pytest.fixture
def browser(blank: Browser, service: Service) -> Browser:
    """A browser that has never seen the service, with /docs open."""
    blank.open(f"{service.url}/docs")
    return blank


def _operations(service: Service) -> int:
    document = httpx.get(f"{service.url}/openapi.json", trust_env=False).json()
    return sum(len(item) for item in document["paths"].values())


def _authorize(browser: Browser, password: str) -> None:
    browser.click(".btn.authorize")
    browser.fill("#oauth_username", "ada")
    browser.fill("#oauth_password", password)
    # The dialog's other form, for personal tokens, has a button of its own, before this one.
    browser.click(".auth-container > div .authorize")


def _authorize_script(browser: Browser, token: str) -> None:
    browser.click(".btn.authorize")
    browser.fill("#auth-bearer-value", token)
    browser.click(".auth-container > form .authorize")


def _make_token(service: Service, scope: str) -> str:
    form = {"username": "ada", "password": PASSWORD}
    signed_in = httpx.post(f"{service.url}/users/token", data=form, trust_env=False).raise_for_status().json()
    made = httpx.post(
        f"{service.url}/users/me/tokens",
        json={"name": "a page", "scope": scope},
        headers={"Authorization": f"Bearer {signed_in['access_token']}"},
        trust_env=False,
    )
    return str(made.raise_for_status().json()["token"])


def _is_signed_in(browser: Browser) -> bool:
    return bool(browser.look("document.querySelector('.btn.authorize.locked')"))


def _open(browser: Browser, *operations: str) -> None:
    """Open forms, and wait until the page knows what belongs in them: until then Execute finds no operation."""
    for operation in operations:
        browser.click(f"#operations-{operation} .opblock-summary-control")
        browser.look(f"document.querySelector('#operations-{operation} .responses-table')")


def _execute(browser: Browser, operation: str) -> str:
    """Press Execute on the form as it stands, and return the status of the answer."""
    block = f"#operations-{operation}"
    browser.click(f"{block} .execute")
    status = str(
        browser.look(
            f"document.querySelector('{block} .live-responses-table .response .response-col_status')?.innerText"
        )
    )
    browser.click(f"{block} .btn-clear")
    return status.split(maxsplit=1)[0]


def test_docs_show_every_operation_and_ask_no_other_host(browser: Browser, service: Service) -> None:
    assert browser.look(f"document.querySelectorAll('.opblock').length == {_operations(service)}")

    assert browser.hosts() == {f"127.0.0.1:{service.port}"}
    assert browser.complaints() == []


def test_redoc_shows_every_operation_and_asks_no_other_host(blank: Browser, service: Service) -> None:
    blank.open(f"{service.url}/redoc")

    assert blank.look(f"document.querySelectorAll('[id*=\"/operation/\"]').length >= {_operations(service)}")
    assert blank.look("document.querySelector('img[alt=\"redocly logo\"]')?.complete")
    assert blank.hosts() == {f"127.0.0.1:{service.port}"}
    assert blank.complaints() == []


def test_authorize_says_when_the_password_is_wrong(browser: Browser) -> None:
    _authorize(browser, "wrong")

    assert "The user name or the password is wrong." in browser.look("document.querySelector('.errors')?.innerText")


def test_authorize_opens_on_the_user_name(browser: Browser) -> None:
    browser.click(".btn.authorize")

    assert browser.look("document.activeElement.id == 'oauth_username'")
    assert browser.look("document.querySelector('.modal-ux-content').scrollTop == 0")


def test_enter_signs_in(browser: Browser) -> None:
    browser.click(".btn.authorize")
    browser.fill("#oauth_username", "ada")
    browser.fill("#oauth_password", PASSWORD)

    browser.press_enter()

    assert _is_signed_in(browser)
    assert browser.complaints() == []


def test_docs_show_the_answer_to_a_new_row_first(browser: Browser) -> None:
    _open(browser, "expenses-create_expense")
    rows = "[...document.querySelectorAll('#operations-expenses-create_expense tr.response')]"

    assert browser.look(f"{rows}.map(it => it.dataset.code).slice(0, 2).join() == '201,200'")


def test_docs_show_no_regular_expression_under_a_parameter(browser: Browser) -> None:
    _open(browser, "expenses-list_expenses")
    shown = browser.look("document.querySelector('#operations-expenses-list_expenses .parameters').innerText")

    assert "The first day, inclusive." in shown
    assert re.findall(r"pattern|\^", shown) == []


def test_redoc_shows_the_sample_of_a_new_row_first(browser: Browser, service: Service) -> None:
    browser.open(f"{service.url}/redoc")
    tabs = "document.querySelector('[id$=\"/operation/create_expense\"]')?.querySelectorAll('[role=tab]')"

    assert browser.look(f"[...{tabs} ?? []].find(it => it.innerText.trim() == '201')?.ariaSelected == 'true'")


def test_redoc_shows_no_regular_expression(browser: Browser, service: Service) -> None:
    browser.open(f"{service.url}/redoc")
    shown = browser.look("document.querySelector('[id$=\"/operation/create_expense\"]')?.innerText")

    assert "A key of your own" in shown
    assert "^[" not in shown


def test_execute_succeeds_on_untouched_forms_twice_also_after_a_reload(browser: Browser, service: Service) -> None:
    _authorize(browser, PASSWORD)
    assert _is_signed_in(browser)
    browser.open(f"{service.url}/docs")
    assert _is_signed_in(browser)
    asked = ("reports-report_spending", "budgets-read_budget_status")
    _open(browser, *FORMS, *asked, "budgets-create_budget")

    recorded = [_execute(browser, name) for name in FORMS * 2]
    reported = [_execute(browser, name) for name in (*asked, "budgets-create_budget", *asked)]

    assert recorded == ["201", "200", "201", "200"]
    assert reported == ["200", "200", "201", "200", "200"]
    assert browser.complaints() == []


def test_a_personal_token_to_read_lets_the_forms_read_and_not_write_also_after_a_reload(
    browser: Browser, service: Service
) -> None:
    _authorize_script(browser, _make_token(service, "read"))
    assert _is_signed_in(browser)
    browser.open(f"{service.url}/docs")
    assert _is_signed_in(browser)
    _open(browser, *FORMS)

    assert [_execute(browser, it) for it in FORMS] == ["403", "200"]


def test_a_personal_token_to_write_lets_the_forms_write_too(browser: Browser, service: Service) -> None:
    _authorize_script(browser, _make_token(service, "write"))
    assert _is_signed_in(browser)
    browser.click(".auth-btn-wrapper .btn-done")
    _open(browser, *FORMS)

    assert [_execute(browser, it) for it in FORMS] == ["201", "200"]
    assert browser.complaints() == []
