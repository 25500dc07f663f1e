"""Combining marks: how many may follow each other, because normalizing a text sorts them in quadratic time.

The bound is that of the Stream-Safe Text Format of Unicode (UAX #15 section 13). No language needs more than a handful.
"""

import re
import unicodedata
from typing import Final

MAX_MARKS_IN_A_ROW: Final = 30
"""Of marks that are sorted: those with a combining class, also if they get it only when they are decomposed."""


def _is_mark(character: str) -> bool:
    return unicodedata.combining(unicodedata.normalize("NFKD", character)[0]) != 0


# Where marks are below U+10000: not among the Chinese characters and Hangul syllables.
_BLOCKS: Final = (range(0x300, 0x3100), range(0xA000, 0xAC00), range(0xF900, 0x10000))
# To keep the expression fast, it has all characters of old scripts and of music from U+10000 on.
_MARKS: Final = "".join(filter(_is_mark, (chr(code) for block in _BLOCKS for code in block))) + "\U00010000-\U0001efff"
_PERHAPS_TOO_MANY: Final = re.compile(f"[{_MARKS}]{{{MAX_MARKS_IN_A_ROW + 1}}}")


def has_too_many_marks(text: str) -> bool:
    """Whether a text has more than 30 combining marks in a row; takes linear time."""
    if len(text) <= MAX_MARKS_IN_A_ROW or text.isascii() or not _PERHAPS_TOO_MANY.search(text):
        return False
    in_a_row = 0
    for character in text:
        in_a_row = in_a_row + 1 if _is_mark(character) else 0
        if in_a_row > MAX_MARKS_IN_A_ROW:
            return True
    return False
