"""Fingerprints: by what a row is known again whose bank gives it no id.

    a row of a statement    its days, its number, its currency and its texts, as this row alone says them
    an expense of our own   its day, amount, currency and texts, in whichever export or archive it stands

What the rest of the file or an option says must not count: the next statement or a corrected answer says it otherwise.
"""

import hashlib
import unicodedata
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

EXPENSE_TEXTS: Final = ("category", "payee", "description", "external_id")


def compute_fingerprint(days: str, number: str, currency: str, texts: Iterable[str]) -> str:
    """Return the SHA-256 of what a row says, in hexadecimal; blanks between words do not count."""
    parts = [days, number, currency, *(" ".join(unicodedata.normalize("NFC", text).split()) for text in texts)]
    # Each part is preceded by its length, so that different parts never give the same text.
    told = "".join([f"{len(part)}:{part}" for part in parts])
    return hashlib.sha256(told.encode(errors="surrogatepass")).hexdigest()


def write_number(number: Decimal | None) -> str:
    """Return a number for a fingerprint: 12.50 and 12.5 are the same."""
    return "" if number is None else f"{number.normalize():f}"


def list_expense_texts(expense: Mapping[str, Any], tags: Iterable[str]) -> list[str]:
    """Return the texts of an expense of our own."""
    return [*(expense[name] for name in EXPENSE_TEXTS if expense.get(name)), *tags]
