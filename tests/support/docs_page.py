"""Uses the page /docs in a browser: signs in, opens forms, and presses Execute."""

import json

from tests.support.browser import Browser


def sign_in(browser: Browser, name: str, password: str) -> None:
    """Sign in with *Authorize*, and return when the page shows the closed lock."""
    send_password(browser, name, password)
    is_signed_in(browser)
    browser.click(".auth-btn-wrapper .btn-done")


def send_password(browser: Browser, name: str, password: str) -> None:
    """Sign in with *Authorize*, and leave its dialog open."""
    browser.click(".btn.authorize")
    browser.fill("#oauth_username", name)
    browser.fill("#oauth_password", password)
    # The dialog's other form, for personal tokens, has a button of its own, before this one.
    browser.click(".auth-container > div .authorize")


def is_signed_in(browser: Browser) -> bool:
    """Whether the page shows the closed lock, or soon does."""
    return bool(browser.look("document.querySelector('.btn.authorize.locked')"))


def open_forms(browser: Browser, *operations: str) -> None:
    """Open the forms of operations, and return when the page can execute them."""
    browser.click(*(f"#operations-{it} .opblock-summary-control" for it in operations))
    # Execute does nothing before the page has loaded the operation's form.
    tables = json.dumps([f"#operations-{it} .responses-table" for it in operations])
    browser.look(f"{tables}.every(it => document.querySelector(it))")


def execute(browser: Browser, *operations: str) -> list[str]:
    """Press *Execute* on open forms at once, without changing them, and return the statuses of the answers."""
    browser.click(*(f"#operations-{it} .execute" for it in operations))
    cells = [f"#operations-{it} .live-responses-table .response .response-col_status" for it in operations]
    texts = f"{json.dumps(cells)}.map(it => document.querySelector(it)?.innerText)"
    statuses = browser.look(f"(all => all.every(Boolean) && all)({texts})")
    browser.click(*(f"#operations-{it} .btn-clear" for it in operations))
    return [str(status).split(maxsplit=1)[0] for status in statuses]
