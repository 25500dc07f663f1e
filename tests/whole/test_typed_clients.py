"""A typed client made from the document by openapi-typescript compiles, and redocly finds no error in the document."""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from tests.support.document import DOCUMENT
from tests.support.servers import ROOT, NoServer, open_or_skip

CLIENTS: Final = ROOT / "tests" / "clients"
LOCK: Final = CLIENTS / "package-lock.json"
CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "expense-tracker-tests"
COMPILE: Final = (
    "--strict",
    "--noEmit",
    "--skipDefaultLibCheck",  # TypeScript's own declarations of the language and the DOM
    *("--target", "es2022", "--lib", "es2022,dom", "--module", "esnext", "--moduleResolution", "bundler"),
)
SECONDS: Final = 300


def _run(*command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=SECONDS)


def _install_packages() -> Path:
    """Return the folder of the packages, installed once for each state of the lock."""
    if not (shutil.which("node") and shutil.which("npm")):
        raise NoServer("node and npm are not installed")
    kept = CACHE / hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]
    if not kept.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=CACHE))
        _install_into(made)
        # Whole and at once: tests run in several processes, of which another one may have been first.
        with suppress(OSError):
            made.rename(kept)
        shutil.rmtree(made, ignore_errors=True)
    return kept / "node_modules"


def _install_into(folder: Path) -> None:
    for file in (CLIENTS / "package.json", LOCK):
        shutil.copy(file, folder)
    done = _run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", folder=folder)
    if done.returncode:
        shutil.rmtree(folder)
        raise NoServer(f"npm ci failed:\n{done.stderr[-2000:]}")


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the packages, the client and the document."""
    packages = open_or_skip(_install_packages, "NODE")
    folder = tmp_path_factory.mktemp("clients")
    (folder / "node_modules").symlink_to(packages)
    for name in ("client.ts", "lint.mjs"):
        shutil.copy(CLIENTS / name, folder)
    (folder / "openapi.json").write_text(json.dumps(DOCUMENT), encoding="utf-8")
    return folder


def test_a_typed_client_compiles_in_strict_mode(workshop: Path) -> None:
    made = _run("node_modules/.bin/openapi-typescript", "openapi.json", "--output", "api.d.ts", folder=workshop)
    assert made.returncode == 0, made.stderr

    assert _run("node_modules/.bin/tsc", *COMPILE, "client.ts", folder=workshop).stdout == ""


def test_redocly_finds_no_error_in_the_document(workshop: Path) -> None:
    linted = _run("node", "lint.mjs", "openapi.json", folder=workshop)

    assert (linted.returncode, linted.stdout, linted.stderr) == (0, "", "")
