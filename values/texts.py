"""Texts: their greatest lengths, and the normalized keys by which they are unique or searched."""

import unicodedata
from typing import Final

MIN_USERNAME_LENGTH: Final = 3
NAME_LENGTH: Final = 50
EMAIL_LENGTH: Final = 254
DESCRIPTION_LENGTH: Final = 500
EXTERNAL_ID_LENGTH: Final = 64
INVITE_LENGTH: Final = 64
# A key has at most three times the characters of its text, except for a few ligatures, and such texts are refused.
KEY_GROWTH: Final = 3


def make_text_key(text: str) -> str:
    """Return the key by which a text is searched: NFC, casefolded (Unicode 3.13, D145 canonical caseless match)."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def make_name_key(name: str) -> str:
    """Return the key by which a name is unique: like make_text_key with NFKC, to which ² is 2 and ﬁ is fi."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
