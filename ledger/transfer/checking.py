"""Checks what a row says of its expense by the rules that hold for every expense, however it comes.

Files repeat their words: each text is checked once, which takes a quarter of the time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from ledger.transfer.readers.drafts import Draft
from ledger.transfer.readers.entries import RowError
from values import money
from values.field_errors import translate_errors
from values.fields import Amount, Currency, Day
from values.text_fields import (
    CategoryName,
    Description,
    ExternalId,
    NullableLine,
    NullableText,
    PayeeName,
    Tags,
)

_RULES: Final[Mapping[str, TypeAdapter[Any]]] = {
    "amount": TypeAdapter(Amount),
    "currency": TypeAdapter(Currency),
    "date": TypeAdapter(Day),
    "category": TypeAdapter(NullableLine[CategoryName]),
    "parent": TypeAdapter(NullableLine[CategoryName]),
    "payee": TypeAdapter(NullableLine[PayeeName]),
    "description": TypeAdapter(NullableText[Description]),
    "external_id": TypeAdapter(NullableLine[ExternalId]),
    "tags": TypeAdapter(Tags),
}


@dataclass(slots=True)
class ImportedExpense:
    """The expense that a row describes."""

    amount: int
    """In thousandths."""
    currency: str
    day: date
    category: str | None
    parent: str | None
    payee: str | None
    description: str | None
    tags: list[str]
    external_id: str | None


class RowRefused(Exception):
    """What the row says cannot be an expense."""

    def __init__(self, errors: list[RowError]) -> None:
        super().__init__()
        self.errors = errors


class Checker:
    """Checks the rows of one file."""

    def __init__(self) -> None:
        self._checked: dict[str, dict[object, Any]] = {name: {} for name in _RULES}

    def check(self, draft: Draft) -> ImportedExpense:
        """Return the expense that a draft describes; raise RowRefused with all that is wrong with it."""
        errors: list[RowError] = []
        said: dict[str, Any] = {}
        for name, checked in self._checked.items():
            sent = tuple(draft.tags) if name == "tags" else getattr(draft, name)
            said[name] = checked[sent] if sent in checked else self._check(name, sent, errors)
        if not errors:
            said["amount"] = _convert(said["amount"], said["currency"], errors)
        if errors:
            raise RowRefused(errors)
        return ImportedExpense(day=said.pop("date"), **said)

    def _check(self, name: str, sent: Any, errors: list[RowError]) -> Any:  # noqa: ANN401
        try:
            checked = _RULES[name].validate_python([*sent] if name == "tags" else sent, strict=True)
        except ValidationError as error:
            errors += _describe(name, error)
            return None
        self._checked[name][sent] = checked
        return checked


def _convert(amount: Decimal, currency: str, errors: list[RowError]) -> int:
    try:
        return money.to_thousandths(amount, currency)
    except money.AmountError as error:
        errors.append(RowError("amount", error.code, str(error)))
        return 0


def _describe(name: str, error: ValidationError) -> list[RowError]:
    return [
        RowError(name, it.code, it.detail)
        for it in translate_errors([{**each, "loc": ("body", *each["loc"])} for each in error.errors()])
    ]
