"""Uses the page /docs in a browser: signs in, opens forms, and presses Execute."""

import json
from typing import Final

from tests.support.browser import Browser

# All that a page can keep beyond a reload, as one text.
_STORED: Final = """(async () => JSON.stringify([
  { ...localStorage }, { ...sessionStorage }, document.cookie, history.state, await indexedDB.databases(),
  await caches.keys(),
]))()"""


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


def send_token(browser: Browser, token: str) -> None:
    """Send a personal token with *Authorize*, and return when the page shows the closed lock."""
    browser.click(".btn.authorize")
    browser.fill("#auth-bearer-value", token)
    browser.click(".auth-container > form .authorize")
    is_signed_in(browser)


def sign_out(browser: Browser) -> None:
    """Log out with *Authorize*, if somebody is signed in, and return when the page shows the open lock."""
    browser.click(".btn.authorize")
    browser.look("document.querySelector('.auth-container')")
    buttons = "[...document.querySelectorAll('.auth-container button')].filter(it => it.innerText == 'Logout')"
    browser.look(f"({buttons}.forEach(it => it.click()), document.querySelector('.btn.authorize.unlocked'))")
    browser.click(".auth-btn-wrapper .btn-done")


def is_signed_in(browser: Browser) -> bool:
    """Whether the page shows the closed lock, or soon does."""
    return bool(browser.look("document.querySelector('.btn.authorize.locked')"))


def read_stored(browser: Browser) -> str:
    """Return all that the page has stored, as one text."""
    seen = browser.call("Runtime.evaluate", expression=_STORED, awaitPromise=True, returnByValue=True)
    return str(seen["result"]["value"])


def open_forms(browser: Browser, *operations: str) -> None:
    """Open the forms of operations that are not open, and return when the page can execute them."""
    controls = json.dumps([f"#operations-{it} .opblock-summary-control" for it in operations])
    found = f"{controls}.map(it => document.querySelector(it))"
    click = "all.filter(it => !it.closest('.opblock.is-open')).forEach(it => it.click())"
    browser.look(f"(all => all.every(Boolean) && ({click}, true))({found})")
    # Execute does nothing before the page has loaded the operation's form.
    tables = json.dumps([f"#operations-{it} .responses-table" for it in operations])
    browser.look(f"{tables}.every(it => document.querySelector(it))")


def execute(browser: Browser, *operations: str) -> list[str]:
    """Press *Execute* on open forms at once, without changing them, and return the statuses of the answers."""
    found = f"{json.dumps([f'#operations-{it} .execute' for it in operations])}.map(it => document.querySelector(it))"
    # Earlier answers are cleared in the same step, because each step draws the whole page, which takes half a second.
    click = "[...document.querySelectorAll('.btn-clear'), ...all].forEach(it => it.click())"
    browser.look(f"(all => all.every(it => it && !it.disabled) && ({click}, true))({found})")
    cells = [f"#operations-{it} .live-responses-table .response .response-col_status" for it in operations]
    texts = f"{json.dumps(cells)}.map(it => document.querySelector(it)?.innerText)"
    statuses = browser.look(f"(all => all.every(Boolean) && all)({texts})")
    return [str(status).split(maxsplit=1)[0] for status in statuses]
