"""What changes of rows have in common: preconditions, the amount with its currency, and deletion with tombstones."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import ColumnElement, delete, insert, literal, select

from ledger.core import Ledger
from models import Budget, Category, Expense, Tag, Tombstone
from problems import PreconditionFailed, ValidationFailed
from values import money
from values.etags import IF_MATCH, IF_NONE_MATCH, is_match, write_row_etag
from values.field_errors import FieldError, field_error, header_error

ETAG_CHANGED: Final = "The row has another ETag now; the ETag of a list never matches."
NO_ETAG_FOR_MANY: Final = "Several rows have no ETag that could match: send * or leave the header out."


@dataclass(frozen=True, slots=True)
class Precondition:
    """The If-Match and If-None-Match of a request (RFC 9110 section 13.1)."""

    if_match: frozenset[str] | None = None
    if_none_match: frozenset[str] | None = None

    def list_failures(self, revision: int | None) -> list[FieldError]:
        """Return the preconditions that fail for a row at `revision`; None: for several rows, which match no ETag."""
        tag = "" if revision is None else write_row_etag(revision)
        errors = []
        if self.if_match is not None and not is_match(tag, self.if_match):
            errors.append(
                header_error(IF_MATCH, "precondition_failed", NO_ETAG_FOR_MANY if revision is None else ETAG_CHANGED)
            )
        if self.if_none_match is not None and is_match(tag, self.if_none_match):
            errors.append(header_error(IF_NONE_MATCH, "precondition_failed", "The row exists already."))
        return errors


REVISION_CHANGED: Final = field_error("/revision", "precondition_failed", "The row has another revision now.")


def refuse_changed_row(revision: int | None, condition: Precondition, sent: int | None = None) -> None:
    """Raise PreconditionFailed if the row at `revision` (None: several rows) has changed since the client read it."""
    failures = condition.list_failures(revision)
    if sent not in {None, revision}:
        failures.append(REVISION_CHANGED)
    if failures:
        raise PreconditionFailed(NO_ETAG_FOR_MANY if revision is None else "", errors=failures)


def convert_amount(amount: Decimal, currency: str) -> int:
    """Convert an amount to thousandths; raise ValidationFailed if it has more decimals than the currency."""
    try:
        return money.to_thousandths(amount, currency)
    except money.TooManyDecimals as error:
        raise ValidationFailed(errors=[field_error("/amount", error.code, str(error))]) from None


def build_money_columns(row: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row's new amount and currency; an amount that was not sent must fit the decimals of a new currency."""
    currency = fields.get("currency", row["currency"])
    if "amount" in fields:
        return {"amount": convert_amount(fields["amount"], currency), "currency": currency}
    amount = Decimal(money.write_amount(row["amount"], row["currency"])).normalize()
    try:
        return {"amount": money.to_thousandths(amount, currency), "currency": currency}
    except money.TooManyDecimals as error:
        currency_error = field_error("/currency", error.code, f"{error} Send an amount too.")
        raise ValidationFailed(errors=[currency_error]) from None


KINDS: Final[Mapping[type[Expense | Category | Tag | Budget], str]] = {
    Expense: "expense",
    Category: "category",
    Tag: "tag",
    Budget: "budget",
}
"""The name of a table's rows in the feed of changes."""


async def delete_rows(
    ledger: Ledger,
    count: int,
    table: type[Expense | Category | Tag | Budget],
    *which: ColumnElement[bool],
    **parameters: Any,
) -> None:
    """Delete the rows that meet the conditions, `count` rows of the owner, and leave a tombstone for each."""
    revision = ledger.take_revision()
    rows = select(table.owner_id, literal(KINDS[table]), table.id, literal(revision)).where(*which)
    into = insert(Tombstone).from_select(["owner_id", "kind", "row_id", "revision"], rows)
    await ledger.execute_exactly(count, into, **parameters)
    await ledger.execute_exactly(count, delete(table).where(*which), **parameters)
