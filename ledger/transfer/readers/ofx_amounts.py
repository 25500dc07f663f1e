"""Amounts of OFX: the standard allows either decimal mark and no thousands marks, and banks write those, too."""

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Final, NamedTuple

from ledger.transfer.readers.entries import Question
from values.money import DECIMALS, MAX_DECIMALS

_OTHER: Final = {".": ",", ",": "."}
_SIGNED: Final = re.compile(r"([+-]?)([0-9.,]{1,60})")
# One to three digits, a mark, three digits: 1.450. A leading zero proves that the mark is no thousands mark.
_AMBIGUOUS: Final = re.compile(r"[+-]?[1-9][0-9]{0,2}([.,])[0-9]{3}")
_GROUPED: Final = re.compile(r"[0-9]{1,3}(?:[.,][0-9]{3})++")


class Amount(NamedTuple):
    """An amount as it is written, and the currency that it is in."""

    text: str
    currency: str | None


def is_blank(text: str) -> bool:
    """Return whether an amount has no digit at all, as banks write it on lines that are no movements."""
    return not any(letter.isalnum() for letter in text)


def is_ambiguous(text: str) -> bool:
    """Return whether the mark in an amount stands before three decimals or between thousands, like 1.450."""
    return _AMBIGUOUS.fullmatch(text.strip()) is not None


def decide_decimal(amounts: Iterable[Amount]) -> str | None:
    """Return the decimal mark that the amounts of a file prove; None if none does, or they contradict each other."""
    amounts = list(amounts)
    proved = {mark for it in amounts if (mark := _find_proof(it.text))}
    if not proved:
        # By the standard every mark is a decimal one, and this currency is written with three decimals.
        three = (it for it in amounts if DECIMALS.get(it.currency or "") == MAX_DECIMALS)
        proved = {match[1] for it in three if (match := _AMBIGUOUS.fullmatch(it.text.strip()))}
    return proved.pop() if len(proved) == 1 else None


def parse_ofx_amount(text: str, decimal: str | None) -> Decimal | None:
    """Parse an amount by the mark that it proves itself, else by the file's; None if it is no number.

    An ambiguous amount is None without the file's mark.
    """
    text = text.strip()
    match = _SIGNED.fullmatch(text)
    if match is None:
        return None
    sign, body = match.groups()
    if body.isdigit():
        return Decimal(sign + body)
    mark = _find_proof(text) or decimal
    if mark is None:
        return None
    whole, _, decimals = body.partition(mark)
    thousands = _OTHER[mark]
    if thousands in whole:
        if _GROUPED.fullmatch(whole) is None:
            return None
        whole = whole.replace(thousands, "")
    if not f"{whole}{decimals}".isdigit():
        return None
    return Decimal(f"{sign}{whole or 0}.{decimals}")


def ask_for_decimal() -> Question:
    """Return the question which mark stands before the decimals."""
    detail = "No amount in this file tells whether 1.450 is one thousand four hundred and fifty or has three decimals."
    return Question("decimal", (".", ","), detail)


def _find_proof(text: str) -> str | None:
    """Return the decimal mark that an amount proves by itself; of two different marks it is the last one."""
    body = text.strip().lstrip("+-")
    marks = [letter for letter in body if letter in _OTHER]
    if not marks or is_ambiguous(text):
        return None
    if len(marks) == 1 or marks[-1] != marks[-2]:
        return marks[-1]
    return _OTHER[marks[-1]]
