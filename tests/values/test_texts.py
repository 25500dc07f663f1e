"""Keys of texts: which names are equal, and what a search finds."""

import pytest

from values.texts import make_name_key, make_text_key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Groceries", "gROCERIES"),
        ("Straße", "STRASSE"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        ("café", "cafe\u0301"),
        ("ﬁsh", "fish"),
        ("Ｆｏｏｄ", "food"),
        ("①", "1"),
    ],
)
def test_names_that_read_alike_are_one(one: str, other: str) -> None:
    assert make_name_key(one) == make_name_key(other)


@pytest.mark.parametrize(("one", "other"), [("café", "cafe"), ("Food", "Foods"), ("a b", "ab"), ("ı", "i")])
def test_names_that_read_otherwise_are_two(one: str, other: str) -> None:
    assert make_name_key(one) != make_name_key(other)


@pytest.mark.parametrize("text", ["ΐ", "ŉ", "ﬃ", "Ω", "🍎", "ẞ"])
def test_folding_twice_changes_nothing_more(text: str) -> None:
    assert (make_name_key(make_name_key(text)), make_text_key(make_text_key(text))) == (
        make_name_key(text),
        make_text_key(text),
    )


def test_a_description_keeps_its_letterforms_when_searched() -> None:
    assert make_text_key("①") == "①"
