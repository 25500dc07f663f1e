"""Cells of a CSV file: quoting (RFC 4180), texts that a spreadsheet does not run as formulas, and lists of tags.

A spreadsheet runs a cell that begins with = + - @, a TAB or a line end, some of them also after blanks or quotes, or in
the fullwidth form of these characters (OWASP, CSV Injection). One that splits rows at semicolons, TABs or bars, as many
do by the language of their user, also begins a cell behind each of these, and a row behind a line end in quotes. What
would be run there gets an apostrophe in front, and so does an apostrophe. So whoever reads the file takes off one
apostrophe at each of these places, if there is one, and has the text.
"""

import re
from collections.abc import Iterable
from typing import Final

_GUARD: Final = "'"
_RISKY: Final = re.compile(
    r"""(?:\A(?=[\s"']*[\t\n\r])|(\A|[;|\t\n\r])(?=[\s"']*[=+\-@＝＋－＠]|'))"""  # noqa: RUF001  # fullwidth on purpose
)
_GUARDED: Final = re.compile(r"(\A|[;|\t\n\r])'")
_NEEDS_QUOTES: Final = re.compile(r'[",\r\n]')
# Nearly all texts: they begin with a letter or a digit, and need no quotes.
_PLAIN: Final = re.compile(r'[^\W_][^",;|\t\r\n]*+')
_TAG: Final = re.compile(r'(?:\A|,)\s*+(?:"((?:[^"]++|"")*+)"\s*+(?=,|\Z)|([^,]*+))')


def guard_cell(text: str) -> str:
    """Return the text of a cell, with an apostrophe before what a spreadsheet would run, and before an apostrophe."""
    return _RISKY.sub(_add_guard, text)


def _add_guard(found: re.Match[str]) -> str:
    return (found[1] or "") + _GUARD


def unguard_cell(cell: str) -> str:
    """Return the text that `guard_cell` was given."""
    return _GUARDED.sub(r"\1", cell)


def write_cell(text: str | None) -> str:
    """Return a text as a cell stands in the file, guarded and quoted; None is an empty cell."""
    if text is None:
        return ""
    return text if _PLAIN.fullmatch(text) else _quote(guard_cell(text))


def join_tags(names: Iterable[str]) -> str:
    """Write names of tags as one cell; one that has a comma or a quote is quoted: `shared, "bed, breakfast"`."""
    return ", ".join(map(_quote, names))


def split_tags(cell: str) -> list[str]:
    """Return the names of tags in a cell, as `join_tags` or a person has written it."""
    names = [(quoted.replace('""', '"') if quoted else plain).strip() for quoted, plain in _TAG.findall(cell)]
    return [name for name in names if name]


def _quote(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if _NEEDS_QUOTES.search(text) else text
