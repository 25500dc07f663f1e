"""Files that only the account of the service may use are made so, and found where they are not."""

import os
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import pytest

from infra import private_files
from infra.private_files import create_private, list_exposed, write_chmod


@pytest.mark.parametrize("mode", [0o640, 0o620, 0o610, 0o604, 0o602, 0o601, 0o666])
def test_a_file_that_any_other_account_can_use_is_exposed(tmp_path: Path, mode: int) -> None:
    files = [tmp_path / name for name in ("expenses.db", "expenses.db-wal", "missing")]
    for file in files[:2]:
        create_private(file)
    files[1].chmod(mode)

    assert list_exposed(files) == [files[1]]


def test_a_file_that_is_there_is_neither_emptied_nor_changed(tmp_path: Path) -> None:
    file = tmp_path / "expenses.db"
    file.write_text("rows")
    file.chmod(0o644)

    create_private(file)

    assert (file.read_text(), file.stat().st_mode & 0o777) == ("rows", 0o644)


def test_a_file_system_that_has_no_modes_exposes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def make_as_exfat_does(**options: Any) -> IO[bytes]:
        file: IO[bytes] = TemporaryFile(**options)  # noqa: SIM115  # the caller closes it
        os.fchmod(file.fileno(), 0o777)
        return file

    monkeypatch.setattr(private_files, "TemporaryFile", make_as_exfat_does)
    (tmp_path / "expenses.key").touch(0o777)
    (tmp_path / "expenses.key").chmod(0o777)

    assert list_exposed([tmp_path / "expenses.key"]) == []


def test_the_command_can_be_pasted_whatever_the_name() -> None:
    assert write_chmod([Path("a.db"), Path("our money/a.db")]) == "chmod 600 a.db 'our money/a.db'"
