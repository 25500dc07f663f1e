"""Text in the columns of a terminal."""

import pytest

from values.terminal import compute_width, make_visible, pad


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ada@example.com", "ada@example.com"),
        ("büro@例え.jp", "büro@例え.jp"),
        ("two words", "two words"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\r\nb\tc\x00\x7f", "a\\x0d\\x0ab\\x09c\\x00\\x7f"),
        ("\x9b2J", "\\x9b2J"),
        ("\u202egnp.exe\u2066", "\\u202egnp.exe\\u2066"),
        ("a\u2028b\u200bc", "a\\u2028b\\u200bc"),
        ("\U000e0041", "\\U000e0041"),
        ("\ud800", "\\ud800"),
        ("no\u00a0break", "no\\xa0break"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(text: str, shown: str) -> None:
    assert make_visible(text) == shown


@pytest.mark.parametrize(
    ("text", "width"), [("", 0), ("ada", 3), ("漢字", 4), ("ｆｕｌｌ", 8), ("e\u0301", 1), ("a" + "\u0315" * 9, 1)]
)
def test_a_width_is_counted_in_columns(text: str, width: int) -> None:
    assert compute_width(text) == width


@pytest.mark.parametrize(("text", "padded"), [("ada", "ada  "), ("漢字", "漢字 "), ("longer", "longer")])
def test_a_text_is_padded_to_a_width_and_never_cut(text: str, padded: str) -> None:
    assert pad(text, 5) == padded
