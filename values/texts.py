"""Texts: their greatest lengths, and the normalized keys by which they are unique or searched."""

import re
import unicodedata
from typing import Final

MIN_USERNAME_LENGTH: Final = 3
NAME_LENGTH: Final = 50
EMAIL_LENGTH: Final = 254
PAYEE_LENGTH: Final = 100
DESCRIPTION_LENGTH: Final = 500
EXTERNAL_ID_LENGTH: Final = 64
INVITE_LENGTH: Final = 64
SOURCE_LENGTH: Final = 64
"""The name of the account that a file is of."""
MAX_TAGS_OF_EXPENSE: Final = 20
"""Tags of one expense."""
# A key has at most three times the characters of its text, except for a few ligatures, and such texts are refused.
KEY_GROWTH: Final = 3


# The combining marks of Latin, Greek and Cyrillic; those of other scripts are letters of their own.
_ACCENTS: Final = re.compile("[\u0300-\u036f]+")
# Letters that Unicode does not decompose, and that its collation (UTS #10) puts beside these.
_BARE_LETTERS: Final = str.maketrans(
    {"æ": "ae", "ð": "d", "đ": "d", "ħ": "h", "\u0131": "i", "ł": "l", "ø": "o", "œ": "oe", "ŧ": "t"}
)


def make_text_key(text: str) -> str:
    """Return the key by which a text is searched: casefolded (Unicode 3.13, D145), without accents, in NFC."""
    return _drop_accents(unicodedata.normalize("NFC", text).casefold())


def make_name_key(name: str) -> str:
    """Return the key by which a name is unique: casefolded, in NFKC, to which ² is 2 and ﬁ is fi; accents count."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def make_payee_key(name: str) -> str:
    """Return the key by which a payee is searched: the key of its name without accents."""
    return make_text_key(make_name_key(name))


def make_sort_key(name: str) -> tuple[str, str]:
    """Return the key by which names are sorted: first without their accents, then with them."""
    key = make_name_key(name)
    return _drop_accents(key), key


def _drop_accents(casefolded: str) -> str:
    if casefolded.isascii():
        return casefolded
    bare = _ACCENTS.sub("", unicodedata.normalize("NFD", casefolded)).translate(_BARE_LETTERS)
    return unicodedata.normalize("NFC", bare)
