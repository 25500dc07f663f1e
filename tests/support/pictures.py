"""Takes the screenshots of README: pages of the running service in a browser.

Run as a program by `make pictures`
"""

from typing import Final

import httpx

from tests.support.browser import Browser
from tests.support.servers import ROOT, Service

PICTURES: Final = ROOT / "docs" / "pictures"
SAMPLE: Final = ROOT / "docs" / "guides" / "sample.json"
NAME: Final = "ada"
PASSWORD: Final = "a walk along the sea"
# README shows each picture smaller than its pixels, so that it is sharp on most screens.
WIDTH: Final = 720
HEIGHT: Final = 490
SHARPNESS: Final = 1.5
REPORT: Final = "#operations-reports-report_spending"


def main() -> None:
    """Start the service with the sample expenses, and take a screenshot of /docs and one of a report."""
    PICTURES.mkdir(exist_ok=True)
    with Service({}) as service, Browser() as browser:
        _record(service.url)
        browser.call(
            "Emulation.setDeviceMetricsOverride",
            width=WIDTH,
            height=HEIGHT,
            deviceScaleFactor=SHARPNESS,
            mobile=False,
        )
        browser.call("Emulation.setScrollbarsHidden", hidden=True)
        browser.open(f"{service.url}/docs")
        _show(browser, "#operations-tag-expenses")
        _take(browser, "docs.png")
        _sign_in(browser)
        _ask(browser)
        _take(browser, "report.png")


def _record(url: str) -> None:
    """Register, and record the expenses that README records."""
    with httpx.Client(base_url=url, trust_env=False) as client:
        account = {"username": NAME, "email": f"{NAME}@example.com", "password": PASSWORD}
        client.post("/users/register", json=account).raise_for_status()
        form = {"username": NAME, "password": PASSWORD}
        token = client.post("/users/token", data=form).raise_for_status().json()["access_token"]
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        apples = {"amount": "12.50", "date": "2026-11-22", "category": "Groceries", "description": "Apples"}
        client.post("/expenses", json=apples, headers=headers).raise_for_status()
        client.post("/expenses/batch", content=SAMPLE.read_bytes(), headers=headers).raise_for_status()


def _sign_in(browser: Browser) -> None:
    browser.click(".btn.authorize")
    browser.fill("#oauth_username", NAME)
    browser.fill("#oauth_password", PASSWORD)
    browser.click(".auth-container > div .authorize")
    browser.click(".auth-btn-wrapper .btn-done")


def _ask(browser: Browser) -> None:
    """Request the spending of a month by category, and scroll to the answer."""
    browser.click(f"{REPORT} .opblock-summary-control")
    browser.look(f"document.querySelector('{REPORT} .responses-table')")
    browser.fill(f"{REPORT} tr[data-param-name=period] input", "2026-11")
    browser.look(
        # The page reads the field before when it loses the focus.
        f"(it => it && (it.focus(), [...it.options].forEach(one => one.selected = one.value == 'category'), "
        f"it.dispatchEvent(new Event('change', {{bubbles: true}})), true))"
        f"(document.querySelector('{REPORT} tr[data-param-name=group_by] select'))"
    )
    browser.click(f"{REPORT} .execute")
    _show(browser, f"{REPORT} .live-responses-table")


def _show(browser: Browser, selector: str) -> None:
    browser.look(f"(it => it && (it.scrollIntoView(), true))(document.querySelector('{selector}'))")


def _take(browser: Browser, name: str) -> None:
    browser.picture(PICTURES / name)


if __name__ == "__main__":
    main()
