"""The audit of the locked dependencies fails for what it finds, and says so if nobody could be asked."""

import json
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.support import audit
from tests.support.servers import ROOT, inherited

KNOWN = "GHSA-wj6h-64fc-37mp"
# Whatever imports a module late, a sign-in and a request with its token do: the token is signed, and then verified.
SERVE = """
import asyncio, sys
import httpx
from main import app

async def use():
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            account = {"username": "ada", "email": "ada@example.com", "password": "a walk along the sea"}
            await client.post("/users/register", json=account)
            token = (await client.post("/users/token", data=account)).json()["access_token"]
            answer = await client.get("/users/me", headers={"Authorization": f"Bearer {token}"})
            print(answer.status_code, "jose" in sys.modules, "ecdsa" in sys.modules)

asyncio.run(use())
"""


class Advisories(BaseHTTPRequestHandler):
    """Answers as OSV does: one advisory for each version of ecdsa, and one for example-package."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["package"]["name"]
        ids = {"ecdsa": [KNOWN], "example-package": ["PYSEC-2026-1"]}.get(asked, [])
        affected = [{"package": {"name": asked, "ecosystem": "PyPI"}, "ranges": []}]
        body = json.dumps({"vulns": [{"id": it, "summary": "It harms.", "affected": affected} for it in ids]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Write nothing."""


@pytest.fixture
def advisories() -> Iterator[tuple[str, ...]]:
    """The options with which pip-audit asks a service of the test's own."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Advisories) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield "--vulnerability-service=osv", f"--osv-url=http://127.0.0.1:{server.server_port}/v1/query"
        server.shutdown()


def lock(folder: Path, *packages: str) -> str:
    file = folder / "requirements.txt"
    file.write_text("".join(f"{package} --hash=sha256:{'0' * 64}\n" for package in packages))
    return str(file)


def test_an_exception_that_is_argued_passes(tmp_path: Path, advisories: tuple[str, ...]) -> None:
    report = audit.ask(lock(tmp_path, "ecdsa==0.19.2", "idna==3.20"), *advisories)

    assert audit.judge(report) == []


def test_another_vulnerability_fails(tmp_path: Path, advisories: tuple[str, ...]) -> None:
    report = audit.ask(lock(tmp_path, "ecdsa==0.19.2", "example-package==1.0"), *advisories)

    assert audit.judge(report) == ["example-package 1.0 has PYSEC-2026-1 (not fixed yet)."]


def test_an_exception_that_nothing_needs_any_more_fails(tmp_path: Path, advisories: tuple[str, ...]) -> None:
    report = audit.ask(lock(tmp_path, "idna==3.20"), *advisories)

    assert audit.judge(report) == [
        f"docs/decisions/0002 argues an exception for {KNOWN}, which nothing needs any more: remove it."
    ]


@pytest.mark.parametrize("is_required", [False, True])
def test_a_service_that_does_not_answer_is_told_and_fails_where_the_audit_is_required(
    capsys: pytest.CaptureFixture[str], is_required: bool
) -> None:
    nobody = ("--vulnerability-service=osv", "--osv-url=http://127.0.0.1:9/v1/query", "--timeout=5")

    assert audit.main(nobody, is_required=is_required) == is_required
    assert "NOTHING WAS AUDITED" in capsys.readouterr().err


# The package index's mirror answers 404 for each; pip-audit ends with 0 and "No known vulnerabilities found".
def test_a_service_that_knows_no_package_is_not_taken_for_a_clean_audit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    skipped = json.dumps({"dependencies": [{"name": "idna", "skip_reason": "Dependency not found"}], "fixes": []})
    ended = subprocess.CompletedProcess[str]([], 0, skipped, "No known vulnerabilities found")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: ended)

    assert audit.main([], is_required=True) == 1
    assert "NOTHING WAS AUDITED" in capsys.readouterr().err


def test_a_package_that_alone_is_not_found_fails() -> None:
    exception = {"name": "ecdsa", "version": "0.19.2", "vulns": [{"id": KNOWN, "aliases": [], "fix_versions": []}]}
    report = {"dependencies": [exception, {"name": "gone", "skip_reason": "Dependency not found"}]}

    assert audit.judge(report) == ["gone was not audited: Dependency not found."]


def test_the_service_never_imports_ecdsa(tmp_path: Path) -> None:
    environment = inherited() | {"PYTHONPATH": str(ROOT), "BCRYPT_ROUNDS": "4"}
    used = subprocess.run(
        [sys.executable, "-c", SERVE], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )

    assert used.stdout == "200 True False\n", used.stderr
