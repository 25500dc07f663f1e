"""The words of banks, from `words.toml`: what columns mean, what rows are, months and currencies."""

import re
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

from values.money import DECIMALS
from values.texts import make_text_key

_TABLE: Final = tomllib.loads(Path(__file__).with_name("words.toml").read_text(encoding="utf-8"))
_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
# Letters, digits and what tells headers apart; everything else is a space.
_OTHER: Final = re.compile(r"[^\w/+()&.-]+|_+")
_BRACKETS: Final = re.compile(r"\s*[(\[]([^)\]]*)[)\]]\s*")
# Those of East Asian files.
_WIDE: Final = str.maketrans("\uff08\uff09\u3010\u3011", "()[]")


@lru_cache(maxsize=65_536)
def make_word(text: str) -> str:
    """Return a text in the form in which words are compared: without case, accents, punctuation and extra spaces."""
    if text in {"+", "-", "/"}:
        return text
    folded = make_text_key(_CAMEL.sub(" ", text).translate(_WIDE))
    return " ".join(_OTHER.sub(" ", folded).replace(" / ", "/").strip(" .-/").split())


def _index(table: Mapping[str, list[str]]) -> dict[str, str]:
    """Return the meaning of each word; the first of two meanings counts."""
    found: dict[str, str] = {}
    for meaning, words in table.items():
        for word in words:
            found.setdefault(make_word(word), meaning)
    return found


COLUMNS: Final[Mapping[str, str]] = _index(_TABLE["columns"])
"""The role of a column by its header."""
DIRECTIONS: Final[Mapping[str, str]] = _index(_TABLE["directions"])
"""`out`, `in`, `transfer`, `any_transfer` or `neutral` by the word in a column of directions or types."""
STATUSES: Final[Mapping[str, str]] = _index(_TABLE["statuses"])
"""`booked`, `pending` or `failed` by the word in a column of statuses."""
ROWS: Final[Mapping[str, str]] = _index({name: _TABLE["rows"][name] for name in ("balance", "total")})
"""`balance` or `total` by the only text of a row that is none."""
STATUS_TEXTS: Final[Mapping[str, str]] = {
    word: meaning for word, meaning in STATUSES.items() if word not in map(make_word, _TABLE["shared"]["statuses"])
}
"""Those of the statuses that say it wherever they stand alone."""
SHARED_ACCOUNTS: Final = frozenset(map(make_word, _TABLE["shared"]["accounts"]))
"""Headers of the own account in some files, and of the others' accounts in others."""
OWN_TRANSFERS: Final = frozenset(map(make_word, _TABLE["rows"]["own_transfer"]))
"""What only transfers between own accounts are called."""
OWN_TRANSFER_STARTS: Final = tuple(f"{it} " for it in _TABLE["rows"]["own_transfer_starts"])
"""What texts of such transfers begin with, in lower case."""
INCOME: Final = frozenset(map(make_word, _TABLE["rows"]["income"]))
"""Words that only money in is called by."""
MONTHS: Final[Mapping[str, int]] = {
    spelling: int(number)
    for number, names in _TABLE["months"].items()
    for name in names
    for spelling in (name, make_text_key(name))
}
"""The number of a month by its name or abbreviation, in lower case."""
SHARED_SIGNS: Final[Mapping[str, tuple[str, ...]]] = {
    sign: tuple(codes) for sign, codes in _TABLE["shared_signs"].items()
}
"""The currencies that a sign may stand for."""
_SIGNS: Final = {sign.casefold(): code for code, signs in _TABLE["currencies"].items() for sign in signs} | {
    sign.casefold(): sign for sign in SHARED_SIGNS
}
CURRENCY_SIGNS: Final = frozenset({sign for signs in _TABLE["currencies"].values() for sign in signs} | {*SHARED_SIGNS})
"""The signs and names of currencies that may stand beside a number."""
_SIGN_BEHIND_NUMBER: Final = re.compile(
    r"[0-9] ?(" + "|".join(sorted(map(re.escape, CURRENCY_SIGNS), key=len, reverse=True)) + r")(?!\w)"
)


@lru_cache(maxsize=4_096)
def find_currency(text: str) -> str | None:
    """Return the ISO 4217 code that a text names, or the sign that it is if several currencies have it, else None."""
    stripped = text.strip()
    if stripped.upper() in DECIMALS and stripped.isascii():
        return stripped.upper()
    return _SIGNS.get(stripped.casefold())


def find_currencies(text: str) -> set[str]:
    """Return the currencies whose sign stands behind a number in a text."""
    return {_SIGNS[found[1].casefold()] for found in _SIGN_BEHIND_NUMBER.finditer(text)} - SHARED_SIGNS.keys()


def find_column(header: str) -> tuple[str | None, str | None]:
    """Return the role of a column by its header, and the currency that the header names."""
    header = header.translate(_WIDE)
    word = make_word(header)
    if role := COLUMNS.get(word):
        return role, _find_currency_in(header)
    currency = _find_currency_in(header)
    bare = make_word(_BRACKETS.sub(" ", header))
    if role := COLUMNS.get(bare):
        return role, currency
    words = bare.split()
    named = [it for it in (words[:1], words[-1:]) if it and find_currency(it[0].upper())]
    for part in named:
        rest = [it for it in words if it != part[0]]
        while rest and rest[-1] in {"in", "en", "w", "v", "i"}:
            rest.pop()
        if role := COLUMNS.get(" ".join(rest)):
            return role, find_currency(part[0].upper())
    return None, currency


def _find_currency_in(header: str) -> str | None:
    candidates = [*_BRACKETS.findall(header), *re.findall(r"\b[A-Z]{3}\b", header)]
    candidates += [sign for sign in _TABLE["currencies"]["CNY"][:1] if sign in header]
    return next((found for it in candidates if (found := find_currency(it))), None)
