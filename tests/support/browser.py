"""A real browser for the tests of pages: headless Chromium, controlled by the DevTools protocol."""

import base64
import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Self
from urllib.parse import urlsplit

import httpx
from websockets.sync.client import connect

from tests.support.servers import NoServer, Process

NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
FLAGS: Final = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
    "--window-size=1280,2000",
]
PATIENCE: Final = 10

Message = dict[str, Any]


class Browser:
    """One page of a browser with a new profile; it records the page's requests, console messages and errors."""

    def __init__(self) -> None:
        program = next(filter(None, map(shutil.which, NAMES)), None)
        if program is None:
            raise NoServer(f"none of {', '.join(NAMES)} is installed")
        self.url = "about:blank"
        self._numbers = count(1)
        self._seen: list[Message] = []
        with ExitStack() as stack:
            profile = stack.enter_context(TemporaryDirectory(prefix="expenses-browser-", ignore_cleanup_errors=True))
            self._process = Process([program, *FLAGS, f"--user-data-dir={profile}", "about:blank"], Path(profile))
            stack.callback(self._process.kill)
            page = self._page(Path(profile, "DevToolsActivePort"))
            self._socket = stack.enter_context(connect(page, max_size=None, proxy=None))
            self._open = stack.pop_all()
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> Message:
        """Send a command of the protocol and return its result."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while (message := self._receive()).get("id") != number:
            pass
        assert "error" not in message, message
        result: Message = message["result"]
        return result

    def open(self, url: str) -> None:
        """Open a page, or load the current one again, and return when it has loaded."""
        before = self._count("Page.loadEventFired")
        self.call("Page.navigate", url=url)
        self.url = url
        while self._count("Page.loadEventFired") == before:
            self._receive()

    def leave(self, expression: str) -> None:
        """Evaluate a JavaScript expression that leads to another page, and return when that has loaded."""
        before = self._count("Page.loadEventFired")
        self.call("Runtime.evaluate", expression=f"setTimeout(() => {expression}); 0")
        while self._count("Page.loadEventFired") == before:
            self._receive()

    def look(self, expression: str) -> Any:  # noqa: ANN401
        """Evaluate a JavaScript expression until it is true, for at most 10 seconds, and return its value."""
        waiting = f"""new Promise((resolve, reject) => {{
            const look = () => {{
                const found = {expression}
                if (found) resolve(found instanceof Node || found); else setTimeout(look, 20)
            }}
            setTimeout(() => reject(document.body.innerText), {PATIENCE * 1000})
            look()
        }})"""
        seen = self.call("Runtime.evaluate", expression=waiting, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in seen, f"never came: {expression}\n{seen}"
        return seen["result"].get("value")

    def click(self, *selectors: str) -> None:
        """Click the first element of each selector at once, as soon as all of them exist and are enabled."""
        found = f"{json.dumps(selectors)}.map(it => document.querySelector(it))"
        self.look(f"(all => all.every(it => it && !it.disabled) && (all.forEach(it => it.click()), true))({found})")

    def fill(self, selector: str, text: str) -> None:
        """Type into a field, as soon as it exists."""
        self.look(f"(it => it && (it.focus(), it.select(), true))(document.querySelector({json.dumps(selector)}))")
        self.call("Input.insertText", text=text)

    def choose_file(self, selector: str, path: Path) -> None:
        """Choose a file in a field, as soon as it exists."""
        self.look(f"document.querySelector({json.dumps(selector)})")
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        field = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=field, files=[str(path)])

    def press_enter(self) -> None:
        """Press Enter in the field that has the focus."""
        key = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13}
        self.call("Input.dispatchKeyEvent", type="keyDown", text="\r", **key)
        self.call("Input.dispatchKeyEvent", type="keyUp", **key)

    def picture(self, path: Path) -> None:
        """Save a screenshot of the page."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def forget(self) -> None:
        """Delete the recorded events and what pages have stored, so that the browser is as new."""
        self.open("about:blank")
        self.call("Storage.clearDataForOrigin", origin="*", storageTypes="all")
        self.start_recording()

    def start_recording(self) -> None:
        """Delete the recorded events."""
        self._seen.clear()

    def hosts(self) -> set[str]:
        """Return the hosts of all requests."""
        sent = [event["params"]["request"]["url"] for event in self._events("Network.requestWillBeSent")]
        return {urlsplit(url).netloc for url in sent if url.startswith(("http", "ws"))}

    def complaints(self) -> list[str]:
        """Return all errors and warnings of the console, such as exceptions, violated policies and missing files."""
        logged = [event["params"]["entry"] for event in self._events("Log.entryAdded")]
        calls = [event["params"] for event in self._events("Runtime.consoleAPICalled")]
        return (
            [f"{entry['level']}: {entry['text']} {entry.get('url')}" for entry in logged if entry["level"] != "verbose"]
            + [f"{call['type']}: {call['args']}" for call in calls if call["type"] in {"error", "warning", "assert"}]
            + [str(event["params"]) for event in self._events("Runtime.exceptionThrown")]
        )

    def close(self) -> None:
        """Close the browser and delete its profile."""
        self._open.close()

    def __enter__(self) -> Self:
        """Return the browser."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def _page(self, port_file: Path) -> str:
        """Return the DevTools URL of the page, once the browser has written its port into the file."""
        self._process.wait_until(lambda: port_file.exists() and "\n" in port_file.read_text())
        port = port_file.read_text().split(maxsplit=1)[0]
        targets = httpx.get(f"http://127.0.0.1:{port}/json/list", trust_env=False).json()
        return next(str(target["webSocketDebuggerUrl"]) for target in targets if target["type"] == "page")

    def _receive(self) -> Message:
        message: Message = json.loads(self._socket.recv(PATIENCE * 2))
        self._seen.append(message)
        return message

    def _events(self, method: str) -> Iterator[Message]:
        return (message for message in self._seen if message.get("method") == method)

    def _count(self, method: str) -> int:
        return sum(1 for _ in self._events(method))
