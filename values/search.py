"""Searches: the words of `q`, which are looked for in texts by their keys."""

from typing import Annotated, Final

from pydantic import AfterValidator, Field

from values.field_errors import invalid_value
from values.text_fields import NON_BLANK_TEXT_PATTERN, make_text_validator
from values.texts import DESCRIPTION_LENGTH, make_text_key

MAX_WORDS: Final = 10


def split_words(text: str) -> list[str]:
    """Return the keys of the words of a text, each once."""
    return list(dict.fromkeys(make_text_key(text).split()))


def _check_words(value: str) -> str:
    words = split_words(value)
    if not words:
        # Without a word the filter would be none, and everything would match.
        raise invalid_value("malformed", "Send a letter too: accents alone are not looked for.")
    # Each word is looked for in every text.
    if len(words) > MAX_WORDS:
        raise invalid_value("too_long", f"Send at most {MAX_WORDS} different words.")
    return value


SearchWords = Annotated[
    str,
    AfterValidator(make_text_validator(1, DESCRIPTION_LENGTH)),
    AfterValidator(_check_words),
    Field(json_schema_extra={"pattern": NON_BLANK_TEXT_PATTERN, "minLength": 1, "maxLength": DESCRIPTION_LENGTH}),
]
