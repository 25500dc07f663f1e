"""Which encoding a text in Latin letters is in: the one in which its letters are those of one language.

    bytes             cp1252        cp1250        all letters are those of
    F8 E6 E5          øæå           řćĺ           Danish, and of no language of cp1250: cp1252
    B3 B9 EA          ³¹ê           łąę           Polish: cp1250
    F8                ø             ř             Danish, or Czech: the words around it tell, else the user's currency

The bytes of every language are legal in every encoding, so nothing else tells them apart.
"""

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from ledger.transfer.readers.words import COLUMNS, DIRECTIONS, ROWS, STATUSES, make_word

_BEYOND_ASCII: Final = re.compile(r"[^\x00-\x7f]")
_CELL: Final = re.compile(r"[^;,|\t\r\n\"]+")
_WORD: Final = re.compile(r"[a-z]{2,}")
_CURRENCY: Final = re.compile(r"(?<![A-Z0-9])[A-Z]{3}(?![A-Z0-9])")
_COUNTRY: Final = re.compile(r"(?<![A-Z0-9])[A-Z]{2}(?=[0-9]{2}[A-Z0-9 ]{11})")
_TABLE: Final[Mapping[str, Any]] = tomllib.loads(Path(__file__).with_name("languages.toml").read_text(encoding="utf-8"))
_SIGNS: Final = frozenset(_TABLE["signs"])
_SIGNS_WITHIN_WORDS: Final = frozenset(_TABLE["signs_within_words"])
_FOREIGN: Final = frozenset([*_TABLE["foreign_letters"], *_TABLE["foreign_letters"].upper()])
_OF_FOREIGN: Final = 0.5
"""What a letter of foreign names counts in a language that does not have it, where a right one counts 1."""
_WRONG: Final = -2
"""Likewise any other letter."""
_MAX_HEADER: Final = 40
_FEW_WORDS: Final = 2
_OF_WORDS: Final = 0.3
"""What two words of a language add to the share of the letters that are right."""
_OF_HEADER: Final = 0.4
"""Likewise a header that is known and has a letter beyond ASCII; at most one counts."""
_OF_PLACE: Final = 0.2
"""Likewise a currency of the language, or the country of an account."""
_OF_USER: Final = 0.1
"""Likewise that it is the user's own currency."""


@dataclass(frozen=True, slots=True)
class Language:
    """A language: its letters beyond ASCII, and what else tells that a text is in it."""

    letters: frozenset[str]
    words: frozenset[str]
    currencies: frozenset[str]
    countries: frozenset[str]


@dataclass(frozen=True)
class Sample:
    """The text by which an encoding is told, what of it is ASCII, and the user's own currency."""

    telling: bytes
    plain: str
    currency: str | None

    def choose_encoding(self) -> tuple[str, float]:
        """Return the encoding in which the letters are most likely those of one language, and the share that are."""
        rates = {encoding: self._rate(encoding, languages) for encoding, languages in _LANGUAGES.items()}
        best = max(rates, key=lambda it: sum(rates[it]))
        return best, rates[best][0]

    def _rate(self, encoding: str, languages: list[Language]) -> tuple[float, float]:
        """Return the share of letters that are right in the language that fits best, and what else tells of it."""
        try:
            text = self.telling.decode(encoding)
        except UnicodeDecodeError:
            return _WRONG, 0
        letters = Counter(_list_letters(text))
        header = _OF_HEADER if _has_known_header(text) else 0
        return max(((_rate_letters(letters, it), header + self._rate_hints(it)) for it in languages), key=sum)

    def _rate_hints(self, language: Language) -> float:
        rate = _OF_WORDS if len(self._words & language.words) >= _FEW_WORDS else 0
        if self._currencies & language.currencies or self._countries & language.countries:
            rate += _OF_PLACE
        return rate + (_OF_USER if self.currency in language.currencies else 0)

    @cached_property
    def _words(self) -> frozenset[str]:
        return frozenset(_WORD.findall(self.plain.lower()))

    @cached_property
    def _currencies(self) -> frozenset[str]:
        return frozenset(_CURRENCY.findall(self.plain))

    @cached_property
    def _countries(self) -> frozenset[str]:
        return frozenset(_COUNTRY.findall(self.plain))


def _list_letters(text: str) -> Iterator[str]:
    """Yield the characters beyond ASCII that tell a language; what belongs to no word in any is U+FFFD."""
    for found in _BEYOND_ASCII.finditer(text):
        letter, before, after = found[0], text[found.start() - 1 : found.start()], text[found.end() : found.end() + 1]
        if letter in _SIGNS:
            if letter not in _SIGNS_WITHIN_WORDS and before.isalpha() and after.isalpha():
                yield "\ufffd"
        elif letter.isalpha() and not (letter.isupper() and before.islower()):
            yield letter
        else:
            yield "\ufffd"


def _rate_letters(letters: Mapping[str, int], language: Language) -> float:
    if not letters:
        return 1
    rates = (number * _rate_letter(letter, language) for letter, number in letters.items())
    return sum(rates) / sum(letters.values())


def _rate_letter(letter: str, language: Language) -> float:
    if letter in language.letters:
        return 1
    return _OF_FOREIGN if letter in _FOREIGN else _WRONG


def _has_known_header(text: str) -> bool:
    cells = {cell.strip() for cell in _CELL.findall(text) if not cell.isascii() and len(cell) <= _MAX_HEADER}
    return any(make_word(cell) in table for cell in cells for table in (COLUMNS, DIRECTIONS, STATUSES, ROWS))


def _build(told: Mapping[str, Any]) -> Language:
    letters = {*told["letters"], *told["letters"].upper()}
    return Language(frozenset(letters), *(frozenset(told[name]) for name in ("words", "currencies", "countries")))


_LANGUAGES: Final[Mapping[str, list[Language]]] = {
    encoding: [_build(told) for told in region["languages"].values()]
    for region in _TABLE["regions"].values()
    for encoding in region["encodings"]
}
"""The languages that are written in each encoding, the most common encoding first."""
LATIN_ENCODINGS: Final = tuple(_LANGUAGES)
