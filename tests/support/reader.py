"""Somebody who reads README and the guides, and pastes their commands into a terminal."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import httpx

from tests.support.servers import ROOT, Process, free_port, inherited

ADDRESS: Final = "http://localhost:8000"
PROGRAMS: Final = ("bash", "curl", "git", "make", "openssl")
LEFT_OUT: Final = "…"
# A block that ends so leaves a service running; another terminal is needed for what follows.
SERVES: Final = re.compile(r"^(make run|make migrate run|fastapi dev main\.py)\n\Z", re.MULTILINE)
# What differs from reader to reader, by its key in an answer.
THEIR_OWN: Final = {
    **dict.fromkeys(("created_at", "updated_at", "last_used_at", "deleted_at"), r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"),
    "access_token": r"[\w-]+\.[\w-]+\.[\w-]+",
    "refresh_token": r"[\w-]{43}",
    "token": r"etk_[A-Za-z0-9]{33}",
    "user_agent": r"curl/[0-9.]+",
    "request_id": r"[0-9a-f]+",
}


@dataclass(frozen=True)
class Block:
    """A fenced block; `follows` says that nothing stands between it and the block before."""

    language: str
    text: str
    follows: bool


@dataclass(frozen=True)
class Step:
    """Commands that are pasted together, and the answer that is shown below them."""

    commands: str
    answer: Block | None


class Document:
    """README, or one of the guides."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.relative_to(ROOT).as_posix()
        self.text = path.read_text(encoding="utf-8")

    @cached_property
    def blocks(self) -> list[Block]:
        """Every fenced block, in order."""
        found = re.finditer(r"^```(\w+)\n(.*?)^```\n", self.text, re.MULTILINE | re.DOTALL)
        ends = 0
        blocks = []
        for block in found:
            blocks.append(Block(block[1], block[2], follows=block.start() == ends))
            ends = block.end()
        return blocks

    @property
    def serving(self) -> list[str]:
        """The blocks that start the service."""
        return [block.text for block in self.blocks if block.language == "bash" and SERVES.search(block.text)]

    @property
    def steps(self) -> list[Step]:
        """All other commands, in order, each with its answer."""
        pairs = zip(self.blocks, [*self.blocks[1:], None], strict=False)
        return [
            Step(block.text, after if after and after.follows else None)
            for block, after in pairs
            if block.language == "bash" and not SERVES.search(block.text)
        ]


README: Final = Document(ROOT / "README.md")
GUIDES: Final = [Document(path) for path in sorted((ROOT / "docs" / "guides").glob("*.md"))]
DOCUMENTS: Final = [README, *GUIDES]


def tracked() -> list[str]:
    """Return the files of a checkout, with what is new and not ignored."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def check_out(folder: Path) -> Path:
    """Make a fresh checkout, save that the virtual environment is there already."""
    checkout = folder / "Expense-Tracker-Backend"
    for name in tracked():
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, checkout / name)
    (checkout / ".venv").symlink_to(sys.prefix)
    return checkout


class Reader:
    """Pastes a block that starts the service into one terminal, and what follows into another, in the same folder."""

    def __init__(self, checkout: Path, block: str, replaced: Mapping[str, str]) -> None:
        self.port = free_port()
        self._checkout = checkout
        self._environment = inherited() | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PORT": str(self.port),
            "BCRYPT_ROUNDS": "4",
        }
        script = f"set -e\n{block}".replace("dev main.py", f"dev main.py --port {self.port}")
        for shown, own in replaced.items():
            script = script.replace(shown, own)
        self.process = Process(["bash", "-c", script], checkout, self._environment)
        try:
            self.process.wait_until(self._is_served)
        except BaseException:
            self.process.kill()
            raise

    def paste(self, document: Document) -> Iterator[tuple[Step, str, str]]:
        """Paste the blocks one after the other; yield each with what it printed, errors too, and its exit status."""
        # An unset variable ends the session: what a document needs, it must have set before.
        script = "set -u\nexec 2>&1\n" + "".join(
            f"{step.commands}printf '\\0%s\\0' \"$?\"\n" for step in document.steps
        )
        script = script.replace(ADDRESS, f"http://127.0.0.1:{self.port}")
        # Nothing is written into the home of whoever runs the tests.
        home = {"HOME": str(self._checkout.parent)}
        ran = subprocess.run(
            ["bash", "-c", script],
            cwd=self._checkout,
            env=self._environment | home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            check=False,
        )
        *parts, rest = ran.stdout.decode().split("\0")
        assert len(parts) == 2 * len(document.steps), f"the session ended early: {rest}"
        yield from zip(document.steps, parts[::2], parts[1::2], strict=True)

    def _is_served(self) -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{self.port}/docs", trust_env=False, timeout=2).is_success
        return False


def answer_of(step: Step, printed: str) -> tuple[object, object]:
    """Return what came and what is shown, equal where they differ only in what differs from reader to reader."""
    # Headers end their lines with a carriage return, which nobody sees.
    printed, shown = printed.replace("\r\n", "\n"), step.answer.text if step.answer else ""
    if step.answer and step.answer.language == "json":
        expected = json.loads(shown)
        with suppress(json.JSONDecodeError):
            return as_shown(json.loads(printed), expected), expected
    fits = re.fullmatch(_left_open(shown.strip()), printed.strip(), re.DOTALL)
    return (shown if fits else printed), shown


def as_shown(came: Any, shown: Any, key: str = "") -> object:  # noqa: ANN401
    """Return what came, with what is shown in the place of all that may differ from it."""
    if isinstance(came, dict) and isinstance(shown, dict):
        known = {name: as_shown(came[name], shown[name], name) for name in shown if name in came}
        others = {name: value for name, value in came.items() if name not in shown}
        return known | ({LEFT_OUT: shown[LEFT_OUT]} if LEFT_OUT in shown and others else others)
    if isinstance(came, list) and isinstance(shown, list):
        if shown[-1:] == [LEFT_OUT] and len(came) >= len(shown):
            came = [*came[: len(shown) - 1], LEFT_OUT]
        return [*map(as_shown, came, shown), *came[len(shown) :]]
    return shown if _may_differ(came, shown, key) else came


def _may_differ(came: object, shown: object, key: str) -> bool:
    if key == "id":
        return isinstance(came, int) and isinstance(shown, int)
    return (
        isinstance(came, str)
        and isinstance(shown, str)
        and bool(re.fullmatch(THEIR_OWN.get(key) or _left_open(shown), came))
    )


def _left_open(shown: str) -> str:
    return ".*".join(map(re.escape, shown.split(LEFT_OUT)))
