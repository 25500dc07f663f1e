"""The generated key file: made once, readable by its owner, the same for workers that start together."""

import errno
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from config import Settings
from infra import signing_keys
from infra.signing_keys import KeyFileError, load_or_create_secret, load_signing_keys
from tests.support.servers import ROOT, inherited
from tests.support.settings import GOOD_SECRET

# Waits for the end of its input, so that several of these begin at once.
PROGRAM = """
import sys
from config import Settings
from infra.signing_keys import load_signing_keys
sys.stdin.read()
print(load_signing_keys(Settings())[0])
"""


@pytest.fixture
def umask() -> Iterator[None]:
    """Let new files be read by everyone, unless their maker says otherwise."""
    before = os.umask(0)
    yield
    os.umask(before)


def test_an_embedded_database_gets_a_secret_of_its_own(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, database_url=f"sqlite:///{tmp_path}/expenses.db")
    secret = load_signing_keys(settings)[0]
    assert len(bytes.fromhex(secret)) == 32
    assert load_signing_keys(settings)[0] == secret


@pytest.mark.usefixtures("umask")
def test_only_its_owner_reads_the_embedded_secret(tmp_path: Path) -> None:
    load_or_create_secret(tmp_path / "expenses.key")
    assert [file.name for file in tmp_path.iterdir()] == ["expenses.key"]
    assert stat.S_IMODE((tmp_path / "expenses.key").stat().st_mode) == 0o600


def test_threads_that_start_together_agree_on_the_secret(tmp_path: Path) -> None:
    together = Barrier(8)

    def start(_: int) -> str:
        together.wait()
        return load_or_create_secret(tmp_path / "expenses.key")

    with ThreadPoolExecutor(8) as threads:
        secrets = set(threads.map(start, range(8)))
    assert len(secrets) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["expenses.key"]


def test_processes_that_start_together_agree_on_the_secret(tmp_path: Path) -> None:
    gate, go = os.pipe()
    starting = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            cwd=tmp_path,
            env=inherited() | {"PYTHONPATH": str(ROOT)},
            stdin=gate,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    os.close(go)
    secrets = {process.communicate()[0].strip() for process in starting}
    os.close(gate)
    assert {len(secret) for secret in secrets} == {64}
    assert len(secrets) == 1


def refuse_links(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def link(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", link)


@pytest.mark.parametrize("code", [errno.EPERM, errno.ENOTSUP, errno.EACCES, errno.ENOSYS, errno.EMLINK])
@pytest.mark.usefixtures("umask")
def test_where_hard_links_fail_a_secret_is_made_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    refuse_links(monkeypatch, code)
    secret = load_or_create_secret(tmp_path / "expenses.key")
    assert len(bytes.fromhex(secret)) == 32
    assert load_or_create_secret(tmp_path / "expenses.key") == secret
    assert [file.name for file in tmp_path.iterdir()] == ["expenses.key"]
    assert stat.S_IMODE((tmp_path / "expenses.key").stat().st_mode) == 0o600


def test_where_there_are_no_hard_links_at_all_a_secret_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "link")
    assert len(load_or_create_secret(tmp_path / "expenses.key")) == 64


def test_where_hard_links_fail_threads_that_start_together_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_links(monkeypatch, errno.EPERM)
    together = Barrier(8)

    def start(_: int) -> str:
        together.wait()
        return load_or_create_secret(tmp_path / "expenses.key")

    with ThreadPoolExecutor(8) as threads:
        secrets = set(threads.map(start, range(8)))
    assert [len(secret) for secret in secrets] == [64]
    assert [file.name for file in tmp_path.iterdir()] == ["expenses.key"]


def test_where_hard_links_fail_a_secret_that_came_meanwhile_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(_: Path, path: Path) -> None:
        path.touch(0o600)
        path.write_text(GOOD_SECRET)
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", link)
    assert load_or_create_secret(tmp_path / "expenses.key") == GOOD_SECRET
    assert [file.name for file in tmp_path.iterdir()] == ["expenses.key"]


def test_a_secret_that_another_worker_is_writing_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "expenses.key"
    path.touch(0o600)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(load_or_create_secret, path)
        path.write_text(GOOD_SECRET)
        assert waiting.result() == GOOD_SECRET


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"short", b"\xff" * 64, b"a" * 64, b"changeme-9f8e7d6c5b4a39281706f5e4d3c2b1a0"]
)
def test_a_damaged_embedded_secret_does_not_sign(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.setattr(signing_keys, "MAX_SECRET_SECONDS", 0)
    (tmp_path / "expenses.key").touch(0o600)
    (tmp_path / "expenses.key").write_bytes(content)
    settings = Settings(_env_file=None, database_url=f"sqlite:///{tmp_path}/expenses.db")
    with pytest.raises(KeyFileError, match=r"expenses\.key contains .*: delete the file"):
        load_signing_keys(settings)[0]


# ASVS 5.0 13.3.2: a secret is accessible to as few as possible.
@pytest.mark.parametrize("mode", [0o640, 0o660, 0o604, 0o602, 0o644])
def test_an_embedded_secret_that_others_can_use_does_not_sign(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "expenses.key"
    load_or_create_secret(path)
    path.chmod(mode)

    with pytest.raises(KeyFileError, match=rf"run `chmod 600 {re.escape(str(path))}`"):
        load_or_create_secret(path)
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_an_embedded_secret_that_only_its_owner_reads_signs_also_when_nobody_may_write_it(tmp_path: Path) -> None:
    secret = load_or_create_secret(tmp_path / "expenses.key")
    (tmp_path / "expenses.key").chmod(0o400)

    assert load_or_create_secret(tmp_path / "expenses.key") == secret


def run_as_another_than(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the file belong to neither this process's user nor root: only root can really give a file away."""
    if os.geteuid() == 0:
        os.chown(path, 4711, -1)
    else:
        another = os.geteuid() + 1
        monkeypatch.setattr(os, "geteuid", lambda: another)


def test_an_embedded_secret_of_another_account_does_not_sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "expenses.key"
    load_or_create_secret(path)
    run_as_another_than(path, monkeypatch)

    with pytest.raises(KeyFileError, match=rf"run `chown {os.geteuid()} {re.escape(str(path))}`"):
        load_or_create_secret(path)


def test_a_secret_in_the_settings_may_be_in_any_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text(GOOD_SECRET)
    (tmp_path / "secret").chmod(0o444)
    monkeypatch.setenv("SECRET_KEY_FILE", str(tmp_path / "secret"))

    assert load_signing_keys(Settings(_env_file=None, database_url=f"sqlite:///{tmp_path}/a.db")) == (GOOD_SECRET,)


def test_a_key_that_cannot_be_opened_is_named_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "expenses.key").write_text(GOOD_SECRET)
    (tmp_path / "expenses.key").chmod(0o600)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "open", refuse)  # root, who may run the tests, can open every file
    with pytest.raises(KeyFileError, match=r"expenses\.key cannot be read \(Permission denied\): let user \d+ read it"):
        load_or_create_secret(tmp_path / "expenses.key")
