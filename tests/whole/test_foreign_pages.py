"""Pages of other sites in a real browser: they can neither guess passwords from their visitor's network nor write."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Final

import httpx
import pytest

from tests.support import docs_page
from tests.support.browser import Browser
from tests.support.servers import Service, open_or_skip

PASSWORD: Final = "a walk along the sea"
# Without it the pages of this machine, which are all that a test has, might call.
SETTINGS: Final = {"CORS_ORIGINS": "https://app.example", "SIGNIN_PER_NAME": "5"}


class EmptyPage(BaseHTTPRequestHandler):
    """Another site: each of its pages is empty."""

    def do_GET(self) -> None:
        """Send an empty page."""
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """The address of another site."""
    with ThreadingHTTPServer(("127.0.0.1", 0), EmptyPage) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """The service, with one account."""
    with Service(SETTINGS) as service:
        account = {"username": "alice", "email": "alice@example.com", "password": PASSWORD}
        httpx.post(f"{service.url}/users/register", json=account, trust_env=False).raise_for_status()
        yield service


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser."""
    with open_or_skip(Browser, "BROWSER") as browser:
        yield browser


def sign_in(service: Service) -> int:
    """Sign Alice in from the network of the browser, and return the status."""
    form = {"username": "alice", "password": PASSWORD}
    return httpx.post(f"{service.url}/users/token", data=form, trust_env=False).status_code


def test_a_page_that_guesses_in_the_background_locks_nobody_out(browser: Browser, service: Service, site: str) -> None:
    """ASVS 5.0 3.5.1: `no-cors` sends a form without asking, and the visitor's network would pay for it."""
    browser.open(site)
    guess = (
        f"fetch('{service.url}/users/token', {{method: 'POST', mode: 'no-cors', "
        "body: new URLSearchParams({username: 'alice', password: 'wrong'})})"
    )
    assert browser.look(f"Promise.all(Array.from({{length: 8}}, () => {guess})).then(all => all.length)") == 8

    assert sign_in(service) == 200


def test_a_form_that_a_page_submits_is_refused(browser: Browser, service: Service, site: str) -> None:
    """ASVS 5.0 3.5.1."""
    browser.open(site)
    browser.leave(
        "(form => (form.method = 'POST', "
        f"form.action = '{service.url}/users/token', document.body.append(form), form.submit()))"
        "(document.createElement('form'))"
    )

    assert browser.look("document.body.innerText.includes('origin_not_allowed')")


def test_a_page_without_an_origin_is_refused(browser: Browser, service: Service) -> None:
    """ASVS 5.0 3.5.1: as in a sandboxed frame, whose origin is `null`."""
    browser.open("data:text/html,<form>")
    browser.leave(
        f"(form => (form.method = 'POST', form.action = '{service.url}/users/token', form.submit()))"
        "(document.querySelector('form'))"
    )

    assert browser.look("document.body.innerText.includes('origin_not_allowed')")


def test_the_services_own_page_still_signs_in_and_writes(browser: Browser, service: Service) -> None:
    browser.forget()
    browser.open(f"{service.url}/docs")
    docs_page.sign_in(browser, "alice", PASSWORD)
    docs_page.open_forms(browser, "expenses-create_expense")

    assert docs_page.execute(browser, "expenses-create_expense") == ["201"]
    assert browser.complaints() == []
