"""Rows that clients change: what changing one has in common, whatever it is."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import money
from problems import PreconditionFailed, ValidationFailed
from refusals import at


def moved_on() -> PreconditionFailed:
    """Return the refusal of a change to what is another row by now than the one that was read."""
    return PreconditionFailed(errors=[at("/revision", "precondition_failed", "The row's revision is another now.")])


def refuse_moved_on(sent: int | None, revision: int) -> None:
    """Raise PreconditionFailed where a revision was sent and the row's is another."""
    if sent not in {None, revision}:
        raise moved_on()


def thousandths(amount: Decimal, currency: str) -> int:
    """Return an amount in thousandths; raise ValidationFailed where the currency has not so many decimals."""
    try:
        return money.thousandths(amount, currency)
    except money.TooManyDecimals as error:
        raise ValidationFailed(errors=[at("/amount", error.code, str(error))]) from None


def money_columns(row: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row's amount and currency after the fields sent; an amount that was not sent must fit a new currency."""
    currency = fields.get("currency", row["currency"])
    if "amount" in fields:
        return {"amount": thousandths(fields["amount"], currency), "currency": currency}
    kept = Decimal(money.written(row["amount"], row["currency"])).normalize()
    try:
        return {"amount": money.thousandths(kept, currency), "currency": currency}
    except money.TooManyDecimals as error:
        entry = at("/currency", error.code, f"{error} Send an amount too.")
        raise ValidationFailed(errors=[entry]) from None
