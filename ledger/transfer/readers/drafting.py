"""Drafting: entries become drafts of expenses, as the options say.

    money in                skipped, or a refund                            incoming
    between own accounts    skipped, or imported                            transfers
    a fee                   in the amount, a row of its own, or added       fees
    parts                   one row, or a row for each part                 splits

What an expense cannot hold is told row by row; nothing is rounded, and no name is cut.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Final

from ledger.transfer.readers.choices import ReadingChoices
from ledger.transfer.readers.drafts import Draft, DraftStatus, Reading
from ledger.transfer.readers.entries import (
    MAX_ENTRIES,
    Entry,
    Question,
    Reason,
    RowError,
    Statement,
    TooManyEntries,
    UnreadableFile,
)
from ledger.transfer.readers.fingerprints import compute_fingerprint, write_number
from ledger.transfer.readers.words import SHARED_SIGNS
from values.combining_marks import MAX_MARKS_IN_A_ROW, has_too_many_marks
from values.money import DECIMALS, MAX_WHOLE_DIGITS, SCALE, write_amount
from values.texts import (
    DESCRIPTION_LENGTH,
    EXTERNAL_ID_LENGTH,
    MAX_TAGS_OF_EXPENSE,
    NAME_LENGTH,
    PAYEE_LENGTH,
)

# C0 but the newline, DEL, C1 and what cannot be encoded: an expense refuses them.
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
MAX_ACCOUNTS: Final = 1_000
CUT: Final = "…"
"""Ends a description that was cut."""


def draft(statement: Statement, choices: ReadingChoices, currency: str) -> Reading:
    """Return what each row of a statement becomes; `currency` is the user's own."""
    if len(statement.accounts) > MAX_ACCOUNTS:
        raise UnreadableFile(f"The file is of more than {MAX_ACCOUNTS:,} accounts: send those of one bank.")
    drafting = _Drafting(choices, currency, len(statement.accounts) > 1)
    drafts: list[Draft] = []
    for entry in statement.entries:
        first = len(drafts) + 1
        for number, row in enumerate(_spread(entry, choices), first):
            if number > MAX_ENTRIES:
                raise TooManyEntries
            drafts.append(drafting.draft(number, row, first if number > first else None))
    several = len(statement.accounts) > 1
    return Reading(
        format=statement.format,
        profile=statement.profile,
        source=statement.accounts[0] if len(statement.accounts) == 1 else None,
        accounts=statement.accounts if several else [],
        options=statement.options | drafting.describe_options(statement),
        questions=[*statement.questions, *drafting.questions.values()],
        drafts=drafts,
    )


def _spread(entry: Entry, choices: ReadingChoices) -> Iterator[Entry]:
    """Yield an entry, with its movements, or its fee or its parts if they are wanted so, as entries of their own."""
    parts = _list_movements(entry) or (_list_parts(entry) if choices.splits == "parts" else [])
    if parts:
        yield replace(entry, skip="split_parent", splits=(), movements=(), errors=[])
        yield from parts
        return
    if entry.fee and choices.fees == "separate":
        yield replace(entry, fee=None)
        yield _build_fee(entry)
    elif entry.fee and choices.fees == "add" and entry.amount is not None:
        said = entry.said_number or write_number(entry.amount)
        yield replace(entry, amount=entry.amount - entry.fee, said_number=said)
    else:
        yield entry


def _build_fee(entry: Entry) -> Entry:
    return replace(
        entry,
        amount=-(entry.fee or Decimal(0)),
        # It is known by the entry whose fee it is, whatever decimal sign its own number was read with.
        said_number="fee",
        texts=_name_entry(entry),
        skip=None if entry.skip in {"transfer", "zero"} else entry.skip,
        fee=None,
        splits=(),
        bank_id=None,
        external_id=None,
    )


def _name_entry(entry: Entry) -> list[str]:
    """Return by what an entry is known, as texts of what belongs to it: that of two equal entries is told apart."""
    return [entry.bank_id or "", _fingerprint_entry(entry)]


def _list_movements(entry: Entry) -> list[Entry]:
    """Return the movements of an entry that a bank has booked together."""
    named = _name_entry(entry) if entry.movements else []
    return [replace(it, texts=[*named, *it.texts]) for it in entry.movements]


def _list_parts(entry: Entry) -> list[Entry]:
    """Return the parts of a split entry; none if they do not add up to its amount."""
    amounts = [split.amount for split in entry.splits]
    if entry.errors or entry.skip or not amounts or sum(it or Decimal(0) for it in amounts) != entry.amount:
        return []
    named = _name_entry(entry)
    return [
        replace(
            entry,
            amount=split.amount,
            whole=entry.amount,
            said_number=f"part {number}",
            category=split.category,
            subcategory=split.subcategory,
            description=split.description or entry.description,
            bank_id=None,
            external_id=None,
            splits=(),
            texts=[*named, split.category or "", split.description or ""],
        )
        for number, split in enumerate(entry.splits, 1)
        if split.amount
    ]


@dataclass(slots=True)
class _Drafting:
    """The options of one file, and the questions that its rows raise."""

    choices: ReadingChoices
    currency: str
    has_accounts: bool
    """Whether the file is of several accounts."""
    questions: dict[str, Question] = field(default_factory=dict)
    has_unnamed: bool = False
    """Whether a row names no currency, so that it is in the user's."""

    def describe_options(self, statement: Statement) -> dict[str, Any]:
        """Return the options of drafting that matter to this file."""
        told: dict[str, Any] = {"incoming": self.choices.incoming or "skip"}
        if self.choices.transfers or any(entry.skip == "transfer" for entry in statement.entries):
            told["transfers"] = self.choices.transfers or "skip"
        if self.choices.splits or any(entry.splits for entry in statement.entries):
            told["splits"] = self.choices.splits or "whole"
        for name in ("category", "currency", "accounts", "person"):
            if (value := getattr(self.choices, name)) is not None:
                told[name] = value
        return {"currency": self.currency} | told if self.has_unnamed else told

    def draft(self, number: int, entry: Entry, head: int | None = None) -> Draft:
        """Return what one entry becomes; `head` is the number of the row of which it is a part or the fee."""
        account = entry.account if self.has_accounts else None
        where: dict[str, Any] = {"number": number, "line": entry.line, "account": account, "head": head}
        if entry.errors:
            return Draft(**where, status="refused", errors=entry.errors)
        skip = self._find_skip(entry)
        # What is left out although it is money is shown with its expense, and so must be read in full.
        is_money = skip in {None, "transfer", "incoming"}
        currency = self._find_currency(entry, is_money=is_money)
        self.has_unnamed |= is_money and entry.currency is None and entry.stated_currency is None
        waits = self._ask_about_transfer(entry) or (entry.fee and self.choices.fees is None)
        is_open = entry.day is None or entry.amount is None or waits
        if is_open or currency is None:
            return Draft(**where, status="open" if is_money else "skipped", reason=None if is_money else skip)
        errors = [*_check_money(entry, currency), *_check_texts(entry)]
        if errors:
            status: DraftStatus = "refused" if is_money else "skipped"
            return Draft(**where, status=status, reason=None if is_money else skip, errors=errors if is_money else ())
        return Draft(**where, status="skipped" if skip else "read", reason=skip, **self._describe(entry, currency))

    def _find_skip(self, entry: Entry) -> Reason | None:
        """Return why an entry is not imported, of what it is and of what was chosen."""
        if self.choices.accounts is not None and entry.account not in self.choices.accounts:
            return "chosen"
        skip: Reason | None = "transfer" if entry.may_be_transfer and self.choices.transfers == "skip" else entry.skip
        if skip and not (skip == "transfer" and self.choices.transfers == "import"):
            return skip
        amount = entry.amount if entry.whole is None else entry.whole
        return "incoming" if amount is not None and amount > 0 and self.choices.incoming != "refund" else None

    def _ask_about_transfer(self, entry: Entry) -> bool:
        """Ask what transfers are, if the entry may be one; return whether it waits for the answer."""
        if not entry.may_be_transfer or self.choices.transfers is not None:
            return False
        detail = "This file calls rows transfers: are these between your own accounts, to be skipped, or payments?"
        self.questions.setdefault("transfers", Question("transfers", ["skip", "import"], detail))
        return True

    def _find_currency(self, entry: Entry, *, is_money: bool) -> str | None:
        """Return the code of an entry's currency; None after asking what a sign stands for."""
        said = entry.currency or self.choices.currency or entry.stated_currency
        shared = SHARED_SIGNS.get(said or "")
        if shared is None:
            return said or self.currency
        for known in (self.choices.currency, self.currency):
            if known in shared:
                return known
        if is_money:
            detail = f"Nothing in this file tells which currency {said} stands for."
            self.questions.setdefault("currency", Question("currency", list(shared), detail))
        return None

    def _describe(self, entry: Entry, currency: str) -> dict[str, Any]:
        """Return the fields of the expense that an entry describes."""
        payee, description = _clean_line(entry.payee), _clean_text(entry.description)
        if payee is not None and len(payee) > PAYEE_LENGTH:
            payee, description = None, "; ".join(filter(None, (payee, description)))
        category, parent = self._find_category(entry)
        return {
            "amount": write_amount(-int((entry.amount or Decimal(0)) * SCALE), currency),
            "currency": currency,
            "date": entry.day.isoformat() if entry.day else None,
            "category": category,
            "parent": parent,
            "payee": payee,
            "description": _cut(description),
            "tags": [tag for it in entry.tags if (tag := _clean_line(it))],
            "external_id": _clean_line(entry.external_id),
            "own_id": entry.own_id,
            "bank_id": _clean_line(entry.bank_id),
            "fingerprint": _fingerprint_entry(entry),
            "parts": [_fingerprint_entry(part) for part in _list_parts(entry)] if entry.splits else (),
            "fee": _fingerprint_entry(_build_fee(entry)) if entry.fee else None,
        }

    def _find_category(self, entry: Entry) -> tuple[str | None, str | None]:
        """Return the category and the one of which it is a part."""
        category, subcategory = entry.category, entry.subcategory
        if entry.splits:
            named = {(split.category, split.subcategory) for split in entry.splits}
            category, subcategory = named.pop() if len(named) == 1 else (None, None)
        category, subcategory = _clean_line(category), _clean_line(subcategory)
        if subcategory and category and subcategory != category:
            return subcategory, category
        return subcategory or category or self.choices.category, None


def _check_money(entry: Entry, currency: str) -> Iterator[RowError]:
    if currency not in DECIMALS:
        yield RowError(None, "not_allowed", "This is no currency: write its ISO 4217 code, like EUR.")
        return
    amount = entry.amount or Decimal(0)
    if abs(amount) >= 10**MAX_WHOLE_DIGITS:
        yield RowError(None, "out_of_range", "An amount has at most 12 digits before the decimal point.")
    elif amount.normalize().as_tuple().exponent < -DECIMALS[currency]:  # type: ignore[operator]  # a finite number
        decimals = DECIMALS[currency] or "no"
        yield RowError(None, "out_of_range", f"{currency} has {decimals} decimals, and amounts are not rounded.")


def _check_texts(entry: Entry) -> Iterator[RowError]:
    names = ("payee", "description", "category", "subcategory", "external_id")
    texts = [*(getattr(entry, name) for name in names), *entry.tags, *entry.texts]
    if any(text and has_too_many_marks(text) for text in texts):
        yield RowError(None, "malformed", f"A text has more than {MAX_MARKS_IN_A_ROW} combining marks in a row.")
        return
    for name, text in [
        ("category", entry.category),
        ("subcategory", entry.subcategory),
        *(("tags", it) for it in entry.tags),
    ]:
        if len(_clean_line(text) or "") > NAME_LENGTH:
            yield RowError(name, "too_long", f"A name of the file's {name} has more than {NAME_LENGTH} characters.")
    if len({*entry.tags}) > MAX_TAGS_OF_EXPENSE:
        yield RowError("tags", "too_long", f"An expense has at most {MAX_TAGS_OF_EXPENSE} tags.")
    if len(_clean_line(entry.external_id) or "") > EXTERNAL_ID_LENGTH:
        yield RowError("external_id", "too_long", f"An external id has at most {EXTERNAL_ID_LENGTH} characters.")


def _fingerprint_entry(entry: Entry) -> str:
    days = entry.said_day or (entry.day.isoformat() if entry.day else "")
    currency = entry.currency or entry.stated_currency or ""
    return compute_fingerprint(days, entry.said_number or write_number(entry.amount), currency, entry.texts)


def _clean_line(text: str | None) -> str | None:
    """Return a text of one line, in NFC and without control characters and blanks around it; None for an empty one."""
    if not text:
        return None
    return " ".join((text if text.isascii() and text.isprintable() else _clean_text(text)).split()) or None


def _clean_text(text: str | None) -> str:
    if not text:
        return ""
    if text.isascii() and text.isprintable():
        return text.strip()
    return unicodedata.normalize("NFC", _CONTROL.sub(" ", text)).strip()


def _cut(text: str) -> str | None:
    return (text if len(text) <= DESCRIPTION_LENGTH else text[: DESCRIPTION_LENGTH - 1].rstrip() + CUT) or None
