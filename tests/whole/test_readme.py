"""README: what it promises is there. Its commands are run by test_guides.py."""

import re
from typing import Final

import pytest

from tests.support.reader import DOCUMENTS, README, tracked
from tests.support.servers import ROOT

MOST_LINES: Final = 130
MOST_BYTES: Final = 200_000
PNG: Final = b"\x89PNG\r\n\x1a\n"
PICTURES: Final = sorted((ROOT / "docs" / "pictures").glob("*"))
# The owner's own words, by which they find their page again.
HEADINGS: Final = (
    "Features",
    "Technology Stack",
    "Getting Started",
    "Installation",
    "Project Structure",
    "Key Components",
    "Security Considerations",
)


def test_every_target_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    spans = [span for it in DOCUMENTS for span in re.findall(r"`([^`]+)`", it.text)]
    typed = "\n".join([*spans, *(block.text for it in DOCUMENTS for block in it.blocks if block.language == "bash")])
    named = set(re.findall(r"(?:^|\| )make ([a-z-]+)", typed, re.MULTILINE))

    assert named
    assert named - targets == set()


@pytest.mark.parametrize("heading", HEADINGS)
def test_the_owners_headings_are_there(heading: str) -> None:
    assert re.search(rf"^##+ .*{heading}", README.text, re.MULTILINE)


def test_the_structure_lists_every_module_and_package() -> None:
    structure = next(block.text for block in README.blocks if block.language == "text")
    listed = {name for line in structure.splitlines() for name in re.findall(r"\w+\.py|\w+/", line.partition("  ")[0])}
    python = [name for name in tracked() if name.endswith(".py")]
    there = {name.partition("/")[0] + "/" if "/" in name else name for name in python}

    assert listed - {"docs/"} == there


def test_every_picture_is_shown_and_quick_to_load() -> None:
    assert PICTURES
    assert [it.name for it in PICTURES if f"(docs/pictures/{it.name})" not in README.text] == []
    assert [it.name for it in PICTURES if not it.read_bytes().startswith(PNG)] == []
    assert [it.name for it in PICTURES if it.stat().st_size >= MOST_BYTES] == []


def test_the_readme_is_read_to_its_end() -> None:
    assert README.text.count("\n") <= MOST_LINES
