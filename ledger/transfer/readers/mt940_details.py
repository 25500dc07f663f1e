"""Details of an MT940 movement, tag 86: free text by the standard, in which each country has a dialect of its own.

- German (DFÜ-Abkommen): `166?00TRANSFER?20purpose?21more?32name?33more`, in pieces of at most 27 characters. Polish
  banks write it with another mark: `020~00`, `077^00`, `<00`.
- Dutch and French: `/TRTP/SEPA OVERBOEKING/NAME/name/REMI/purpose`, and ING's `/CNTP/account/BIC/name/city`.
- ABN AMRO's lines: `BEA   NR:123   21.05.26/12.54 SHOP,PAS001`, and `SEPA IDEAL  IBAN: …  NAAM: name  OMSCHRIJVING: …`.
- Anything else is a description; a payee is not guessed from it.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from ledger.transfer.readers.bank_fields import join_texts, tidy

_FULL_LINE: Final = 65
_FULL_PIECE: Final = 27
_GERMAN: Final = re.compile(r"(?:[0-9]{3}(?=[?~^<>@|][0-9]{2})|(?=[?~^<](?:00|20)))(.)")
_KEYWORD: Final = re.compile(r"(?<![A-Z])(EREF|KREF|MREF|CRED|DEBT|COAM|OAMT|SVWZ|ABWA|ABWE|IBAN|BIC)\+")
_SLASH_TAG: Final = re.compile(
    r"/(TRTP|IBAN|BIC|NAME|REMI|EREF|MARF|CSID|ISDT|ORDP|BENM|ADDR|CNTP|PURP|ULTB|ULTD|PREF|RTRN|ACCT|SVCL|KREF)/"
)
_ABN_AMRO: Final = (
    re.compile(r"[BG]EA +NR:[^ ]{1,20} +[0-9.]{8}/[0-9.]{5} ([^,]{1,100}),PAS[0-9]{1,4}"),
    re.compile(r"SEPA [A-Z].{0,200}? NAAM: *([^:]{1,100}?)(?= {2}|[A-Z]{1,20}:| *$)"),
)
_PURPOSE: Final = (*range(20, 30), *range(60, 64))
_NAME_OF_CNTP: Final = 2


class Details(NamedTuple):
    """Who was paid, and what for."""

    payee: str | None = None
    description: str | None = None


def read_details(lines: Sequence[str]) -> Details:
    """Read the lines of a tag 86 by the dialect that they are written in."""
    if german := _GERMAN.match(lines[0] if lines else ""):
        return _read_german("".join(lines), german[1])
    text = _join_lines(lines)
    if tags := _split_tags(text):
        return _read_tags(tags)
    name = next((match[1] for pattern in _ABN_AMRO if (match := pattern.match(text))), None)
    return Details(tidy(name), tidy(text))


def _join_lines(lines: Sequence[str]) -> str:
    """Join lines; one that is full was broken wherever it ended, also within a word."""
    return "".join(it if len(it) == _FULL_LINE else f"{it} " for it in lines)


def _read_german(text: str, separator: str) -> Details:
    pieces: dict[int, list[str]] = {}
    for piece in text.split(separator)[1:]:
        # A separator without a number belongs to the text.
        number = int(piece[:2]) if piece[:2].isascii() and piece[:2].isdigit() else -1
        pieces.setdefault(number, []).append(piece[2:])
    purpose = _find_purpose(_join_pieces(pieces, _PURPOSE))
    return Details(tidy(_join_pieces(pieces, (32, 33))), join_texts([*pieces.get(0, []), purpose]))


def _join_pieces(pieces: Mapping[int, Sequence[str]], numbers: Sequence[int]) -> str:
    texts = (text for number in numbers for text in pieces.get(number, ()))
    return "".join(it if len(it) == _FULL_PIECE else f"{it} " for it in texts)


def _find_purpose(text: str) -> str:
    """Return what follows SVWZ+, the purpose of a SEPA payment; else all of it."""
    _, *parts = _KEYWORD.split(text)
    keywords = dict(zip(parts[::2], parts[1::2], strict=True))
    return keywords.get("SVWZ", "").strip() or text


def _split_tags(text: str) -> dict[str, str]:
    first, *parts = _SLASH_TAG.split(text)
    if first.strip():
        return {}
    tags: dict[str, str] = {}
    for name, value in zip(parts[::2], parts[1::2], strict=True):
        tags.setdefault(name, value.strip("/ "))
    return tags


def _read_tags(tags: Mapping[str, str]) -> Details:
    party = tags.get("CNTP", "").split("/")
    payee = tags.get("NAME") or (party[_NAME_OF_CNTP] if len(party) > _NAME_OF_CNTP else "")
    purpose = re.sub(r"^(?:USTD|STRD)/{1,2}", "", tags.get("REMI", ""))
    described = join_texts([tags.get("TRTP"), purpose])
    return Details(
        tidy(payee), described or join_texts(it for name, it in tags.items() if name not in {"NAME", "CNTP"})
    )
