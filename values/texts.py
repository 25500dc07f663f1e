"""Texts: how long they may be, and the keys by which they are unique or searched."""

import unicodedata
from typing import Final

NAME_LENGTH: Final = 50
EMAIL_LENGTH: Final = 254
DESCRIPTION_LENGTH: Final = 500
EXTERNAL_ID_LENGTH: Final = 64
# Folding case and normalising make a text at most three times as long, save for a few ligatures, which are refused.
KEY_GROWTH: Final = 3


def make_text_key(text: str) -> str:
    """Return what a text is searched by: NFC, without regard to case (Unicode 3.13, D145 caseless matching)."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def make_name_key(name: str) -> str:
    """Return what makes a name unique: as make_text_key, and letters that only look alike in form are one (NFKC)."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
