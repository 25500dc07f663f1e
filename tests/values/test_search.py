"""Searches and sort orders: which words a text has, whatever its case and accents."""

import pytest
from hypothesis import given
from pydantic import TypeAdapter, ValidationError

from tests.support.generated import any_text
from values.search import MAX_WORDS, SearchWords, split_words
from values.texts import make_sort_key, make_text_key

WORDS = TypeAdapter[str](SearchWords)


def finds(q: str, text: str) -> bool:
    """Whether a text contains all words of a query."""
    return all(word in make_text_key(text) for word in split_words(q))


@pytest.mark.parametrize(
    ("q", "text"),
    [
        ("cafe", "CAFÉ"),
        ("CAFÉ", "cafe"),
        ("cafe\u0301", "Café"),
        ("lodz", "Łódź"),
        ("ŁÓDŹ", "lodz"),
        ("strasse", "Straße"),
        ("STRASSE", "straße"),
        ("smorrebrod", "Smørrebrød"),
        ("aeble", "Æble"),
        ("oeuvre", "Œuvre"),
        ("istanbul", "İstanbul"),
        ("diyarbakir", "Diyarbakır"),
        ("dakovo", "Đakovo"),
        ("nandu", "ñandú"),
        ("thodoris", "THODORIS"),
        ("αθηνα", "Αθήνα"),
        ("елка", "Ёлка"),
        ("lod dz", "Łódź dźwig lod"),
        ("bread apples", "Apples and bread"),
        ("ppl", "Apples"),
        ("🍎", "an 🍎 a day"),
        ("%", "100% wool"),
        ("_", "snake_case"),
        ("カフェ", "カフェ"),
    ],
)
def test_words_are_found_without_regard_to_case_and_accents(q: str, text: str) -> None:
    assert finds(q, text)


@pytest.mark.parametrize(
    ("q", "text"),
    [
        ("cafe bar", "Café"),
        ("100%", "1000 wool"),
        ("a_b", "axb"),
        ("a%b", "axxb"),
        ("カフェ", "ガフェ"),
        ("tea", "te a"),
    ],
)
def test_other_words_are_not_found(q: str, text: str) -> None:
    assert not finds(q, text)


@pytest.mark.parametrize(
    ("q", "words"),
    [
        ("one", ["one"]),
        ("Two  WORDS", ["two", "words"]),
        ("twice Twice TWICE", ["twice"]),
        ("café cafe", ["cafe"]),
        ("a\u00a0b\u3000c", ["a", "b", "c"]),
        ("", []),
        ("\u0301", []),
        ("\u0301 \u0308", []),
        ("a \u0301", ["a"]),
    ],
)
def test_a_query_is_split_into_different_words(q: str, words: list[str]) -> None:
    assert split_words(q) == words


@pytest.mark.parametrize("q", ["a", "é", " a ", "%", " ".join("abcdefghij"), "a " * 100, "q" * 500])
def test_words_can_be_looked_for(q: str) -> None:
    assert WORDS.validate_python(q) == q.strip()


@pytest.mark.parametrize("q", ["", " ", "\u0301", "\u0301 \u0308", " ".join("abcdefghijk"), "q" * 501, "a\x00b"])
def test_other_words_cannot_be_looked_for(q: str) -> None:
    with pytest.raises(ValidationError):
        WORDS.validate_python(q)


def test_ten_words_are_the_most() -> None:
    assert MAX_WORDS == 10


@given(text=any_text)
def test_every_text_is_found_by_itself(text: str) -> None:
    assert finds(text, text)


@given(text=any_text)
def test_a_text_is_found_in_any_case(text: str) -> None:
    assert finds(text.casefold(), text)
    assert finds(text.upper(), text)
    assert finds(text.lower(), text)


@given(text=any_text)
def test_the_words_of_a_word_are_that_word(text: str) -> None:
    assert [split_words(word) for word in split_words(text)] == [[word] for word in split_words(text)]


@pytest.mark.parametrize(
    "names",
    [
        ["eleve", "Élève", "Enfants"],
        ["ÉLAN", "eleve", "Élève", "Elf", "Émile", "Enfants"],
        ["apple", "Banana", "cherry"],
        ["lodz", "Łódź", "Lodzia"],
        ["resume", "résume", "résumé", "resumes"],
        ["cote", "coté", "côte", "côté"],
        ["Ｆｏｏｄ", "fool"],
    ],
)
def test_names_are_sorted_with_accents_beside_their_letters(names: list[str]) -> None:
    keys = [make_sort_key(name) for name in names]

    assert sorted(keys) == keys


@given(one=any_text, other=any_text)
def test_names_that_differ_in_more_than_case_have_a_fixed_order(one: str, other: str) -> None:
    assert (make_sort_key(one) == make_sort_key(other)) == (make_sort_key(one)[1] == make_sort_key(other)[1])
