"""Combining marks: at most 30 in a row, counted in linear time over all of Unicode."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from values.combining_marks import has_too_many_marks

# A surrogate is refused before, and has no decomposition.
CHARACTERS = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]


def is_mark(character: str) -> bool:
    """Whether a character is sorted when it is normalized."""
    return unicodedata.combining(unicodedata.normalize("NFKD", character)[0]) != 0


MARKS = [character for character in CHARACTERS if is_mark(character)]


def test_every_mark_of_unicode_counts() -> None:
    assert len(MARKS) > 900
    assert [hex(ord(mark)) for mark in MARKS if not has_too_many_marks("a" + mark * 31)] == []


def test_thirty_of_any_mark_may_follow_each_other() -> None:
    assert [hex(ord(mark)) for mark in MARKS if has_too_many_marks(f"{mark * 30}a{mark * 30}")] == []


def test_no_other_character_counts() -> None:
    others = "".join(character for character in CHARACTERS if not is_mark(character))

    assert not has_too_many_marks(others)


@pytest.mark.parametrize(
    "text",
    [
        "a" + "\u0315\u0300\u05ae" * 11,
        "\u0301" * 31,
        "🍎" * 40 + "\u0301" * 31 + "🍎",
        "\U0001d165" * 31,
        "\uff9e" * 31,  # no mark until NFKC makes it one
        "\u0f73\u0301" * 16,
    ],
    ids=ascii,
)
def test_marks_of_any_kind_are_counted_together(text: str) -> None:
    assert has_too_many_marks(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a" * 1_000,
        "cafe\u0301 " * 100,
        "Việt Nam " * 100,
        "नमस्ते दुनिया " * 50,
        "שָׁלוֹם " * 50,
        "ก็ที่นี่ " * 50,
        "👩‍👩‍👧‍👦🏳️‍🌈🇺🇳" * 50,
        "\U00010330" * 100,
        "\U0001d4d0" * 100,
        "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L" * 10,
    ],
    ids=lambda text: ascii(text)[:12],
)
def test_texts_of_all_languages_are_taken(text: str) -> None:
    assert not has_too_many_marks(text)


@given(st.text(st.sampled_from(["a", "é", "\u0301", "\u0315", "\uff9e", "\U0001d165", "\U00010330"]), max_size=80))
def test_the_count_is_that_of_the_definition(text: str) -> None:
    runs = "".join("m" if is_mark(character) else " " for character in text).split()

    assert has_too_many_marks(text) == any(len(run) > 30 for run in runs)
