"""Fields that all formats of banks have: texts, exact numbers, days, accounts, and the bank's ids."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from ledger.transfer.readers.entries import Entry, RowError
from values.money import DECIMALS

# C0, DEL, C1 and what cannot be encoded; an expense refuses them.
_UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff]")
_PLAIN_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})")
_ISO_DAY: Final = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?![0-9])")
_IBAN_IN_TEXT: Final = re.compile(r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b")
_IBAN: Final = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")
# More than any description holds; joining thousands of texts would take quadratic time.
_LONG_TEXT: Final = 2000
_SHORTEST_ID: Final = 8
_NO_ID: Final = {"", "NONREF", "NOREF", "NOTPROVIDED", "NONE", "NULL", "NA"}


@dataclass(frozen=True, slots=True)
class Days:
    """The days that a bank gives for one movement: of the purchase, of the booking, and of the interest."""

    transaction: date | None = None
    booking: date | None = None
    value: date | None = None


def tidy(text: str | None) -> str | None:
    """Return a text on one line, with single blanks and without control characters; None if nothing is left."""
    return " ".join(_UNPRINTABLE.sub(" ", text or "").split()) or None


def join_texts(texts: Iterable[str | None], separator: str = " ") -> str | None:
    """Join what is there, without texts that stand in it already; nothing is added to more than 2,000 characters."""
    joined = ""
    for text in texts:
        if len(joined) > _LONG_TEXT:
            break
        if (tidied := tidy(text)) and tidied.casefold() not in joined.casefold():
            joined = f"{joined}{separator}{tidied}" if joined else tidied
    return joined or None


def parse_plain_number(text: str) -> Decimal | None:
    """Parse a number with a decimal point and no thousands marks; None if it is written otherwise."""
    return Decimal(text) if _PLAIN_NUMBER.fullmatch(text) else None


def parse_day(year: int, month: int, day: int) -> date | None:
    """Return a day; None if there is no such day, like 30 February."""
    try:
        return date(year, month, day)
    except ValueError:
        return None


def parse_iso_day(text: str | None) -> date | None:
    """Return the day of a date or an instant of ISO 8601, as it is written there; None if it is none."""
    match = _ISO_DAY.match((text or "").strip())
    return parse_day(*map(int, match.groups())) if match else None


def name_account(text: str | None) -> str | None:
    """Return an account as the file names it, and an IBAN without blanks or the currency that some banks append."""
    tidied = tidy(text)
    if tidied is None:
        return None
    last = re.sub(r"[ -]", "", tidied.rpartition("/")[2]).upper()
    if last[-3:] in DECIMALS and _IBAN.fullmatch(last[:-3]):
        # Believed whatever its check digits are: two formats of one bank must name the account alike.
        return last[:-3]
    return last if _is_iban(last) else tidied


def find_iban(text: str) -> str | None:
    """Return the IBAN in a text, without blanks; None if there is none."""
    found = _IBAN_IN_TEXT.search(text)
    return found[0].replace(" ", "") if found else None


def read_bank_id(text: str | None) -> str | None:
    """Return the bank's own id of a movement; None if it is empty, zeros, or a word for none."""
    tidied = tidy(text)
    if tidied is None or re.sub(r"[^A-Z1-9]", "", tidied.upper()) in _NO_ID:
        return None
    return tidied


def may_last(text: str) -> bool:
    """Whether an id can be the only one for years: a short number counts the rows of one statement."""
    bank_id = read_bank_id(text)
    return bank_id is None or len(bank_id.lstrip("0")) >= _SHORTEST_ID


def settle_days(entries: Sequence[Entry], days: Sequence[Days], column: str) -> None:
    """Give each entry the transaction's day if every booked one has that, else the booking's, else the value's.

    It is known again by the first of booking, value and transaction that it has, whatever days the others have. An
    entry without a day, or with one that is not in the calendar, gets an error that names the column.
    """
    booked = [it for entry, it in zip(entries, days, strict=True) if entry.skip is None]
    by_transaction = bool(booked) and all(it.transaction for it in booked)
    for entry, it in zip(entries, days, strict=True):
        entry.day = it.transaction if by_transaction else it.booking or it.value
        said = it.booking or it.value or it.transaction
        entry.said_day = said.isoformat() if said else ""
        if entry.day is None and entry.skip is None and all(error.column != column for error in entry.errors):
            entry.errors.append(
                RowError(column, "malformed", "The row has no day, or one that is not in the calendar.")
            )


def forget_repeated_ids(entries: Sequence[Entry]) -> None:
    """Take the bank's id off the entries of an account that share it, for then it identifies none of them."""
    uses = Counter((it.account, it.bank_id) for it in entries if it.skip is None)
    for entry in entries:
        if uses[entry.account, entry.bank_id] > 1:
            entry.bank_id = None


def list_accounts(accounts: Iterable[str | None]) -> tuple[str, ...]:
    """Return each named account once, in the order of the file."""
    return tuple(dict.fromkeys(it for it in accounts if it))


def blame_amount(column: str, text: str | None) -> RowError:
    """Return what is wrong with an amount that could not be read."""
    if text and text.strip():
        return RowError(column, "malformed", "Write the amount in plain digits, like 12.50.")
    return RowError(column, "required", "The row has no amount.")


def _is_iban(text: str) -> bool:
    """Return whether the check digits are right (ISO 13616, by ISO 7064 MOD 97-10)."""
    if _IBAN.fullmatch(text) is None:
        return False
    return int("".join(str(int(letter, 36)) for letter in text[4:] + text[:4])) % 97 == 1
