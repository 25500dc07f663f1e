"""The README's own commands, run as a reader runs them: by copy and paste, in a fresh checkout, on both databases."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.support.servers import ROOT, Process, free_port, inherited

README: Final = (ROOT / "README.md").read_text(encoding="utf-8")
ADDRESS: Final = "http://localhost:8000"
MYSQL: Final = "mysql+aiomysql://username:password@localhost/expense_tracker"
PROGRAMS: Final = ("bash", "curl", "git", "make", "openssl")
MISSING: Final = [program for program in PROGRAMS if not shutil.which(program)]
# What differs from reader to reader; all else must be as it is printed.
THEIR_OWN: Final = (
    (re.compile(r'"id":[0-9]+'), '"id":<id>'),
    (re.compile(r'"((?!expires)[a-z_]+_at)":"[0-9-]+T[0-9:]+Z"'), r'"\1":<instant>'),
    (re.compile(r'"access_token":"[^"]+"'), '"access_token":<access token>'),
    (re.compile(r'"refresh_token":"[A-Za-z0-9_-]{43}"'), '"refresh_token":<refresh token>'),
    (re.compile(r'"token":"etk_[A-Za-z0-9]{33}"'), '"token":<token>'),
    (re.compile(r'"user_agent":"curl/[0-9.]+"'), '"user_agent":<curl>'),
    (re.compile(r'"request_id":"[0-9a-f]+"'), '"request_id":<request id>'),
)

needs_programs = pytest.mark.skipif(bool(MISSING), reason=f"THE README WAS NOT TRIED: no {', '.join(MISSING)}")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def _block(with_: str) -> str:
    return next(block for block in _blocks("bash") if with_ in block)


def _tracked() -> list[str]:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A fresh checkout, save that the virtual environment is there already."""
    folder = tmp_path / "Expense-Tracker-Backend"
    for name in _tracked():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


class Reader:
    """Somebody who pastes a block that ends in a running service into one terminal, and goes on in another."""

    def __init__(self, checkout: Path, block: str, url: str) -> None:
        self.port = free_port()
        self._environment = inherited() | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PORT": str(self.port),
            "BCRYPT_ROUNDS": "4",
        }
        script = f"set -e\n{block}".replace(MYSQL, url).replace("dev main.py", f"dev main.py --port {self.port}")
        self.process = Process(["bash", "-c", script], checkout, self._environment)
        try:
            self.process.wait_until(self._is_served)
        except BaseException:
            self.process.kill()
            raise

    def paste(self, session: str) -> list[tuple[str, str]]:
        """Type the commands of its sessions, and return what the README shows beside what came."""
        shown = re.findall(r"^\$ (.*(?:\n> .*)*)\n((?:(?!\$ ).*\n)*)", session, re.MULTILINE)
        commands = [command.replace("\n> ", "\n") for command, _ in shown]
        script = "".join(f"{command}\nprintf '\\n\\0'\n" for command in commands)
        script = script.replace(ADDRESS, f"http://127.0.0.1:{self.port}")
        ran = subprocess.run(["bash", "-c", script], env=self._environment, capture_output=True, text=True, check=True)
        return [(_same(output), _same(came)) for (_, output), came in zip(shown, ran.stdout.split("\0"), strict=False)]

    def _is_served(self) -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{self.port}/docs", trust_env=False, timeout=2).is_success
        return False


def _same(output: str) -> str:
    for own, same in THEIR_OWN:
        output = own.sub(same, output)
    return output.strip()


@pytest.fixture
def on_sqlite(checkout: Path) -> Iterator[Reader]:
    start = _block("git clone").partition("cd Expense-Tracker-Backend\n")[2]
    reader = Reader(checkout, start, "")
    yield reader
    reader.process.kill()


@pytest.fixture
def on_mysql(checkout: Path, empty_mysql_url: str) -> Iterator[Reader]:
    reader = Reader(checkout, _block(MYSQL), empty_mysql_url)
    yield reader
    reader.process.kill()


@pytest.fixture
def without_make(checkout: Path) -> Iterator[Reader]:
    reader = Reader(checkout, _block("fastapi dev").splitlines()[-1], "")
    yield reader
    reader.process.kill()


@needs_programs
@pytest.mark.parametrize("way", ["on_sqlite", "on_mysql", "without_make"])
def test_the_session_goes_as_it_is_shown(way: str, request: pytest.FixtureRequest) -> None:
    reader: Reader = request.getfixturevalue(way)
    session = "".join(_blocks("console"))

    answers = reader.paste(session)

    assert len(answers) == len(re.findall(r"^\$ ", session, re.MULTILINE))
    assert [came for _, came in answers] == [shown for shown, _ in answers]


@needs_programs
def test_a_first_start_keeps_its_secret_to_itself(on_sqlite: Reader, checkout: Path) -> None:
    assert on_sqlite.process.alive
    assert (checkout / "expense_tracker.key").stat().st_mode & 0o777 == 0o600


def test_every_target_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = re.findall(r"(?:^|`)make\s+([a-z]+)", README, re.MULTILINE)

    assert set(named) - targets == set()


def test_every_link_leads_to_a_file() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)

    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_structure_lists_every_module() -> None:
    structure = next(block for block in _blocks("text") if "main.py" in block)
    listed = re.findall(r"\w+\.py|[\w/]+/", re.sub("#.*", "", structure))

    assert [name for name in listed if not (ROOT / name).exists()] == []
    assert {name for name in _tracked() if re.fullmatch(r"\w+\.py", name)} - set(listed) == set()


def test_the_readme_is_read_to_its_end() -> None:
    assert README.count("\n") <= 200
