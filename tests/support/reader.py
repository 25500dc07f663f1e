"""Runs the commands of README and the guides, as somebody who pastes them into a terminal, and compares the output.

    Document    splits a file into fenced blocks: `serving` start the service, `steps` are commands with their output
    Reader      runs a block that starts the service in a fresh checkout, and pastes the steps
    answer_of   compares the output of a step with the document; `…` stands for any text, and ids, tokens and times may
                  differ

tests/whole/test_guides.py uses it for every document.
"""

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

from tests.support.servers import ROOT, Process, free_port, inherited, is_served

ADDRESS: Final = "http://localhost:8000"
PROGRAMS: Final = ("bash", "curl", "git", "make", "openssl")
LEFT_OUT: Final = "…"
# A block that ends with one of these commands leaves a service running; later blocks need another terminal.
SERVES: Final = re.compile(r"^(make run|make migrate run|fastapi dev main\.py)\n\Z", re.MULTILINE)
# The patterns of values that differ from run to run, by their key in an answer.
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
    """A fenced block; `follows`: it comes directly after the block before."""

    language: str
    text: str
    follows: bool


@dataclass(frozen=True)
class Step:
    """A block of commands, and the block with their output below it."""

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
        matches = re.finditer(r"^```(\w+)\n(.*?)^```\n", self.text, re.MULTILINE | re.DOTALL)
        previous_end = 0
        blocks = []
        for match in matches:
            blocks.append(Block(match[1], match[2], follows=match.start() == previous_end))
            previous_end = match.end()
        return blocks

    @property
    def serving(self) -> list[str]:
        """The blocks that start the service."""
        return [block.text for block in self.blocks if block.language == "bash" and SERVES.search(block.text)]

    @property
    def steps(self) -> list[Step]:
        """All other blocks of commands, in order, each with its output."""
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
    """Return the files of a checkout: the tracked ones, and new ones that are not ignored."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def check_out(folder: Path) -> Path:
    """Make a fresh checkout, with a link to the virtual environment of the tests."""
    checkout = folder / "Expense-Tracker-Backend"
    for name in tracked():
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, checkout / name)
    (checkout / ".venv").symlink_to(sys.prefix)
    return checkout


class Reader:
    """Runs a block that starts the service in one terminal, and the steps in another, in the same folder."""

    def __init__(self, checkout: Path, block: str, replaced: Mapping[str, str]) -> None:
        self.port = free_port()
        self._checkout = checkout
        self._environment = inherited() | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PORT": str(self.port),
            "BCRYPT_ROUNDS": "4",
        }
        script = f"set -e\n{block}".replace("dev main.py", f"dev main.py --port {self.port}")
        for text, replacement in replaced.items():
            script = script.replace(text, replacement)
        self.process = Process(["bash", "-c", script], checkout, self._environment)
        try:
            self.process.wait_until(self._is_served)
        except BaseException:
            self.process.kill()
            raise

    def paste(self, document: Document) -> Iterator[tuple[Step, str, str]]:
        """Run the steps in one shell; yield each with its output, errors included, and its exit status."""
        # With `set -u` an unset variable ends the shell, so a document must set every variable that it uses.
        script = "set -u\nexec 2>&1\n" + "".join(
            f"{step.commands}printf '\\0%s\\0' \"$?\"\n" for step in document.steps
        )
        script = script.replace(ADDRESS, f"http://127.0.0.1:{self.port}")
        # So that no command writes into the home of the developer.
        home = {"HOME": str(self._checkout.parent)}
        completed = subprocess.run(
            ["bash", "-c", script],
            cwd=self._checkout,
            env=self._environment | home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            check=False,
        )
        *parts, rest = completed.stdout.decode().split("\0")
        assert len(parts) == 2 * len(document.steps), f"the session ended early: {rest}"
        yield from zip(document.steps, parts[::2], parts[1::2], strict=True)

    def _is_served(self) -> bool:
        return is_served(self.port, "/docs")


def answer_of(step: Step, printed: str) -> tuple[object, object]:
    """Return the output and the documented output; they are equal if they differ only in values that may differ."""
    # curl prints headers with a carriage return at the end of each line, which the documents leave out.
    printed, shown = printed.replace("\r\n", "\n"), step.answer.text if step.answer else ""
    if step.answer and step.answer.language == "json":
        expected = json.loads(shown)
        with suppress(json.JSONDecodeError):
            return as_shown(json.loads(printed), expected), expected
    fits = re.fullmatch(_left_open(shown.strip()), printed.strip(), re.DOTALL)
    return (shown if fits else printed), shown


def as_shown(came: Any, shown: Any, key: str = "") -> object:  # noqa: ANN401
    """Return the JSON that came, with the documented value in place of each value that may differ."""
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
