"""/docs and /redoc in a real browser with a new profile and without internet."""

import re
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Final

import httpx
import pytest

from api.docs_pages import _hash_script
from tests.support import docs_page
from tests.support.browser import Browser
from tests.support.servers import Service, open_or_skip

pytestmark = pytest.mark.wire

PASSWORD: Final = "a walk along the sea"
PAGES: Final = ("/docs", "/redoc")
FORMS: Final = ("expenses-create_expense", "expenses-list_expenses")
IMPORT: Final = "imports-import_file"
# A form with a body, one with defaults of several types, and one with lists to choose from.
KINDS_OF_FORMS: Final = (*FORMS, "reports-report_spending")


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
def browser() -> Iterator[Browser]:
    with open_or_skip(Browser, "BROWSER") as browser:
        yield browser


def _look_at(browser: Browser, url: str) -> Browser:
    """Open a page, unless the test before has left it open."""
    if browser.url != url:
        browser.forget()
        browser.open(url)
    return browser


@pytest.fixture
def docs(browser: Browser, service: Service) -> Browser:
    """A browser that shows /docs; an earlier test may have opened forms or signed in."""
    return _look_at(browser, f"{service.url}/docs")


@pytest.fixture
def signed_out(docs: Browser) -> Browser:
    """A browser that shows /docs with nobody signed in, and has recorded nothing yet."""
    docs_page.sign_out(docs)
    docs.start_recording()
    return docs


@pytest.fixture
def new_docs(browser: Browser, service: Service) -> Browser:
    """A browser that has never seen the service, with /docs open."""
    browser.forget()
    browser.open(f"{service.url}/docs")
    return browser


@pytest.fixture
def redoc(browser: Browser, service: Service) -> Browser:
    """A browser that shows /redoc, for tests that only look."""
    return _look_at(browser, f"{service.url}/redoc")


def _operations(service: Service) -> int:
    document = httpx.get(f"{service.url}/openapi.json", trust_env=False).json()
    return sum(len(item) for item in document["paths"].values())


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


def test_docs_show_every_operation_and_ask_no_other_host(new_docs: Browser, service: Service) -> None:
    assert new_docs.look(f"document.querySelectorAll('.opblock').length == {_operations(service)}")

    assert new_docs.hosts() == {f"127.0.0.1:{service.port}"}
    assert new_docs.complaints() == []


def test_authorize_opens_on_the_user_name(signed_out: Browser) -> None:
    signed_out.click(".btn.authorize")

    assert signed_out.look("document.activeElement.id == 'oauth_username'")
    assert signed_out.look("document.querySelector('.modal-ux-content').scrollTop == 0")


def test_authorize_says_when_the_password_is_wrong_and_enter_sends_the_right_one(signed_out: Browser) -> None:
    docs_page.send_password(signed_out, "ada", "wrong")
    said = signed_out.look("document.querySelector('.errors')?.innerText")
    signed_out.fill("#oauth_password", PASSWORD)
    signed_out.press_enter()

    assert "The user name or the password is wrong." in said
    assert docs_page.is_signed_in(signed_out)
    assert [it for it in signed_out.complaints() if "401 (Unauthorized)" not in it] == []


def test_execute_succeeds_on_untouched_forms_twice_also_after_a_reload(signed_out: Browser) -> None:
    docs_page.sign_in(signed_out, "ada", PASSWORD)
    signed_out.open(signed_out.url)
    assert docs_page.is_signed_in(signed_out)
    docs_page.open_forms(signed_out, *KINDS_OF_FORMS)

    answers = [docs_page.execute(signed_out, *KINDS_OF_FORMS) for _ in range(2)]

    assert answers == [["201", "200", "200"]] * 2
    assert signed_out.complaints() == []


def test_a_file_is_chosen_and_imported_with_all_other_fields_left_blank(signed_out: Browser, tmp_path: Path) -> None:
    statement = tmp_path / "march.csv"
    statement.write_text("Date,Text,Amount\n2026-03-01,Coffee,-3\n")
    docs_page.sign_in(signed_out, "ada", PASSWORD)
    docs_page.open_forms(signed_out, IMPORT)
    signed_out.choose_file(f"#operations-{IMPORT} input[type=file]", statement)

    assert docs_page.execute(signed_out, IMPORT) == ["201"]
    assert signed_out.complaints() == []


# ASVS 5.0 14.3.3: a browser's storage holds nothing sensitive but the token of the session.
def test_the_page_stores_of_a_sign_in_only_the_access_token_which_a_reload_restores(signed_out: Browser) -> None:
    docs_page.sign_in(signed_out, "ada", PASSWORD)
    before = docs_page.read_stored(signed_out)
    signed_out.open(signed_out.url)
    assert docs_page.is_signed_in(signed_out)
    docs_page.open_forms(signed_out, "expenses-list_expenses")

    assert docs_page.execute(signed_out, "expenses-list_expenses") == ["200"]
    for stored in (before, docs_page.read_stored(signed_out)):
        assert PASSWORD not in stored
        assert re.findall(r"access_token|refresh_token|client_?secret", stored, re.IGNORECASE) == ["access_token"]


def test_a_password_that_an_older_version_has_stored_is_deleted(signed_out: Browser) -> None:
    docs_page.sign_in(signed_out, "ada", PASSWORD)
    signed_out.look(f"""(all => {{
        Object.values(all)[0].password = {PASSWORD!r}
        Object.values(all)[0].clientSecret = 'a secret'
        localStorage.setItem('authorized', JSON.stringify(all))
        return true
    }})(JSON.parse(localStorage.getItem('authorized')))""")
    signed_out.open(signed_out.url)
    assert docs_page.is_signed_in(signed_out)

    assert re.findall(f"{PASSWORD}|a secret", docs_page.read_stored(signed_out)) == []


def test_the_forms_may_do_what_the_last_personal_token_may_also_after_a_reload(
    signed_out: Browser, service: Service
) -> None:
    docs_page.send_token(signed_out, _make_token(service, "write"))
    docs_page.sign_out(signed_out)
    docs_page.send_token(signed_out, _make_token(service, "read"))
    signed_out.open(signed_out.url)
    assert docs_page.is_signed_in(signed_out)
    docs_page.open_forms(signed_out, *FORMS)

    assert docs_page.execute(signed_out, *FORMS) == ["403", "200"]
    assert [it for it in signed_out.complaints() if "403 (Forbidden)" not in it] == []


def test_docs_show_the_answer_to_a_new_row_first(docs: Browser) -> None:
    docs_page.open_forms(docs, "expenses-create_expense")
    table = "#operations-expenses-create_expense .responses-table:not(.live-responses-table)"
    rows = f"[...document.querySelectorAll('{table} tr.response')]"

    assert docs.look(f"{rows}.map(it => it.dataset.code).slice(0, 2).join() == '201,200'")


def test_authorize_is_on_the_first_screen(new_docs: Browser) -> None:
    assert new_docs.look("document.querySelector('.btn.authorize')?.getBoundingClientRect().bottom < 800")


def test_docs_are_no_wider_than_a_phone(new_docs: Browser) -> None:
    new_docs.call("Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=1, mobile=False)
    try:
        new_docs.look("(table => table && (table.open = true))(document.querySelector('.info details'))")

        assert new_docs.look("document.documentElement.scrollWidth <= 390")
    finally:
        new_docs.call("Emulation.clearDeviceMetricsOverride")


def test_docs_show_no_regular_expression_under_a_parameter(docs: Browser) -> None:
    docs_page.open_forms(docs, "expenses-list_expenses")
    shown = docs.look("document.querySelector('#operations-expenses-list_expenses .parameters').innerText")

    assert "The first day, inclusive." in shown
    assert re.findall(r"pattern|\^", shown) == []


def test_redoc_shows_every_operation_and_asks_no_other_host(redoc: Browser, service: Service) -> None:
    assert redoc.look(f"document.querySelectorAll('[id*=\"/operation/\"]').length >= {_operations(service)}")
    assert redoc.look("document.querySelector('img[alt=\"redocly logo\"]')?.complete")
    assert redoc.hosts() == {f"127.0.0.1:{service.port}"}
    assert redoc.complaints() == []


def test_redoc_shows_the_sample_of_a_new_row_first(redoc: Browser) -> None:
    tabs = "document.querySelector('[id$=\"/operation/create_expense\"]')?.querySelectorAll('[role=tab]')"

    assert redoc.look(f"[...{tabs} ?? []].find(it => it.innerText.trim() == '201')?.ariaSelected == 'true'")


@pytest.mark.parametrize("place", ["", "#tag/reports/operation/report_spending"])
def test_redoc_opens_where_its_address_says(browser: Browser, service: Service, place: str) -> None:
    browser.forget()

    browser.open(f"{service.url}/redoc{place}")

    tabs = "document.querySelector('[id$=\"/operation/create_expense\"]')?.querySelectorAll('[role=tab]')"
    browser.look(f"[...{tabs} ?? []].find(it => it.innerText.trim() == '201')?.ariaSelected == 'true'")
    top = f"document.getElementById({place[1:]!r}).getBoundingClientRect().top" if place else "scrollY"
    assert browser.look(f"Math.abs({top}) < 100")


def test_redoc_shows_no_regular_expression(redoc: Browser) -> None:
    shown = redoc.look("document.querySelector('[id$=\"/operation/create_expense\"]')?.innerText")

    assert "A key of your own" in shown
    assert "^[" not in shown
