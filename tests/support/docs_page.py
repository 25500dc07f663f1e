"""Uses the page /docs in a browser: signs in, and presses Execute."""

from tests.support.browser import Browser


def sign_in(browser: Browser, name: str, password: str) -> None:
    """Sign in with *Authorize*, and return when the page shows the closed lock."""
    browser.click(".btn.authorize")
    browser.fill("#oauth_username", name)
    browser.fill("#oauth_password", password)
    # The dialog's other form, for personal tokens, has a button of its own, before this one.
    browser.click(".auth-container > div .authorize")
    browser.look("document.querySelector('.btn.authorize.locked')")
    browser.click(".auth-btn-wrapper .btn-done")


def execute(browser: Browser, operation: str) -> str:
    """Open the form of an operation, press *Execute* without changing it, and return the status of the answer."""
    block = f"#operations-{operation}"
    browser.click(f"{block} .opblock-summary-control")
    # Execute does nothing before the page has loaded the operation's form.
    browser.look(f"document.querySelector('{block} .responses-table')")
    browser.click(f"{block} .execute")
    selector = f"{block} .live-responses-table .response .response-col_status"
    status = str(browser.look(f"document.querySelector('{selector}')?.innerText"))
    return status.split(maxsplit=1)[0]
