"""A complete file takes its name, and never that of another."""

import os
from pathlib import Path

import pytest

from infra.file_names import take_name


@pytest.fixture(params=["hard links", "none"])
def complete(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A complete file, in a folder with hard links or without."""
    if request.param == "none":
        monkeypatch.delattr(os, "link")
    (tmp_path / "complete").write_text("all of it")
    return tmp_path / "complete"


def test_a_free_name_is_taken(complete: Path, tmp_path: Path) -> None:
    take_name(complete, tmp_path / "name")

    assert (tmp_path / "name").read_text() == "all of it"


def test_a_taken_name_is_left_alone(complete: Path, tmp_path: Path) -> None:
    (tmp_path / "name").write_text("another's")

    with pytest.raises(FileExistsError):
        take_name(complete, tmp_path / "name")
    assert [(tmp_path / name).read_text() for name in ("name", "complete")] == ["another's", "all of it"]


@pytest.mark.usefixtures("complete")
def test_a_name_is_not_taken_for_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        take_name(tmp_path / "missing", tmp_path / "name")
    assert not (tmp_path / "name").exists()
