"""Rows: how an expense is read, live or from the trash, and what changing a row has in common, whatever it is."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Select, bindparam, select

from infra.prepared import TupleRow
from models import Category, Expense, TrashedExpense
from problems import PreconditionFailed, ValidationFailed
from schemas import Expense as ExpenseAnswer
from values import money
from values.etags import NO_ETAG_FOR_MANY, Precondition
from values.field_errors import field_error
from values.texts import make_text_key

_SAME_IN_SCHEMA: Final = ("currency", "category", "description", "external_id", "revision", "created_at", "updated_at")


def select_expenses(table: type[Expense | TrashedExpense], *more: Any) -> Select[*tuple[Any, ...]]:
    """Return the SELECT of the owner's expenses in a table, in the order of the answer's fields, then what is more."""
    return (
        select(
            table.id,
            table.amount,
            table.currency,
            table.spent_on,
            Category.name.label("category"),
            table.description,
            table.external_id,
            table.revision,
            table.created_at,
            table.updated_at,
            *more,
        )
        .outerjoin(Category, (Category.owner_id == table.owner_id) & (Category.id == table.category_id))
        .where(table.owner_id == bindparam("owner"))
    )


def build_expense(row: TupleRow) -> ExpenseAnswer:
    """Return the expense of a row that was read so."""
    row_id, amount, currency, *more = row
    return ExpenseAnswer(row_id, money.write_amount(amount, currency), currency, *more)


def build_expense_from_columns(values: Mapping[str, Any]) -> ExpenseAnswer:
    """Return the expense of these columns, and the name of its category."""
    return ExpenseAnswer(
        id=values["id"],
        amount=money.write_amount(values["amount"], values["currency"]),
        date=values["spent_on"],
        deleted_at=values.get("deleted_at"),
        **{name: values[name] for name in _SAME_IN_SCHEMA},
    )


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


def build_expense_columns(row: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of an expense that the fields sent ask for, but for those that other rows have a say in."""
    columns = build_money_columns(row, fields)
    if "date" in fields:
        columns["spent_on"] = fields["date"]
    if "description" in fields:
        columns |= build_description_columns(fields["description"])
    return columns


def build_description_columns(text: str | None) -> dict[str, str | None]:
    """Return the columns of a description: itself, and the key that it is searched by."""
    return {"description": text, "description_key": text and make_text_key(text)}
