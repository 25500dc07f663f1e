"""What changing a row has in common, whatever row it is: its preconditions, and its amount and currency."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from problems import PreconditionFailed, ValidationFailed
from values import money
from values.etags import IF_MATCH, IF_NONE_MATCH, is_weak_match, write_row_etag
from values.field_errors import FieldError, field_error, header_error

ETAG_CHANGED: Final = "The row's ETag is another now; a weak one (W/) never matches."
NO_ETAG_FOR_MANY: Final = "Many rows have no ETag that could match: send *, or leave it out."


@dataclass(frozen=True, slots=True)
class Precondition:
    """What must be so of the row that a change is for."""

    if_match: frozenset[str] | None = None
    if_none_match: frozenset[str] | None = None

    def list_failures(self, revision: int | None) -> list[FieldError]:
        """Return what of it is not so of a row at this revision; of many rows at once (None) no tag is the tag."""
        tag = "" if revision is None else write_row_etag(revision)
        entries = []
        if self.if_match is not None and "*" not in self.if_match and tag not in self.if_match:
            entries.append(
                header_error(IF_MATCH, "precondition_failed", NO_ETAG_FOR_MANY if revision is None else ETAG_CHANGED)
            )
        if self.if_none_match is not None and is_weak_match(tag, self.if_none_match):
            entries.append(header_error(IF_NONE_MATCH, "precondition_failed", "There is such a row."))
        return entries


REVISION_CHANGED: Final = field_error("/revision", "precondition_failed", "The row's revision is another now.")


def refuse_changed_row(revision: int | None, condition: Precondition, sent: int | None = None) -> None:
    """Raise PreconditionFailed where a row, at this revision, is not what the change is for; many rows have none."""
    unmet = condition.list_failures(revision)
    if sent not in {None, revision}:
        unmet.append(REVISION_CHANGED)
    if unmet:
        raise PreconditionFailed(NO_ETAG_FOR_MANY if revision is None else "", errors=unmet)


def convert_amount(amount: Decimal, currency: str) -> int:
    """Return an amount in thousandths; raise ValidationFailed where the currency has not so many decimals."""
    try:
        return money.to_thousandths(amount, currency)
    except money.TooManyDecimals as error:
        raise ValidationFailed(errors=[field_error("/amount", error.code, str(error))]) from None


def build_money_columns(row: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row's amount and currency after the fields sent; an amount that was not sent must fit a new currency."""
    currency = fields.get("currency", row["currency"])
    if "amount" in fields:
        return {"amount": convert_amount(fields["amount"], currency), "currency": currency}
    kept = Decimal(money.write_amount(row["amount"], row["currency"])).normalize()
    try:
        return {"amount": money.to_thousandths(kept, currency), "currency": currency}
    except money.TooManyDecimals as error:
        entry = field_error("/currency", error.code, f"{error} Send an amount too.")
        raise ValidationFailed(errors=[entry]) from None
