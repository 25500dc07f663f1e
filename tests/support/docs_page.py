"""The page /docs as somebody uses it: signing in, and pressing Execute."""

from tests.support.browser import Browser


def sign_in(browser: Browser, name: str, password: str) -> None:
    """Sign in with *Authorize*, and return when the page shows that one is signed in."""
    browser.click(".btn.authorize")
    browser.fill("#oauth_username", name)
    browser.fill("#oauth_password", password)
    # The dialog's other form, for personal tokens, has a button of its own, before this one.
    browser.click(".auth-container > div .authorize")
    browser.look("document.querySelector('.btn.authorize.locked')")
    browser.click(".auth-btn-wrapper .btn-done")


def execute(browser: Browser, operation: str) -> str:
    """Open the form of an operation, press *Execute* as it stands, and return the status of the answer."""
    block = f"#operations-{operation}"
    browser.click(f"{block} .opblock-summary-control")
    # Until the page knows what belongs in the form, Execute finds no operation.
    browser.look(f"document.querySelector('{block} .responses-table')")
    browser.click(f"{block} .execute")
    answered = f"{block} .live-responses-table .response .response-col_status"
    status = str(browser.look(f"document.querySelector('{answered}')?.innerText"))
    return status.split(maxsplit=1)[0]
