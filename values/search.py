"""Searches: the words of `q`, which are looked for in texts by their keys."""

from typing import Annotated, Final

from pydantic import AfterValidator, Field

from values.field_errors import invalid_value
from values.text_fields import NON_BLANK_TEXT_PATTERN, make_text_validator
from values.texts import DESCRIPTION_LENGTH, make_payee_key, make_text_key

MAX_WORDS: Final = 10


def split_words(text: str) -> list[str]:
    """Return the keys of the words of a text, each once."""
    return list(dict.fromkeys(make_text_key(text).split()))


def split_payee_words(word: str) -> list[str]:
    """Return what is looked for in payees instead of a word, because their keys have other letters for some.

    That is mostly one word; an acute accent that stands alone divides it in two.
    """
    return make_payee_key(word).split() or [word]


def _check_words(value: str) -> str:
    words = split_words(value)
    if not words:
        # Without a word the filter would be none, and everything would match.
        raise invalid_value("malformed", "Send a letter too: accents alone are not looked for.")
    # Each word is looked for in every text.
    if sum(len(split_payee_words(word)) for word in words) > MAX_WORDS:
        raise invalid_value("too_long", f"Send at most {MAX_WORDS} different words.")
    return value


SearchWords = Annotated[
    str,
    AfterValidator(make_text_validator(1, DESCRIPTION_LENGTH)),
    AfterValidator(_check_words),
    Field(json_schema_extra={"pattern": NON_BLANK_TEXT_PATTERN, "minLength": 1, "maxLength": DESCRIPTION_LENGTH}),
]
