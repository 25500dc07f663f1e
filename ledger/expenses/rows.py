"""Rows: how an expense is read, live or from the trash, and what changing a row has in common, whatever it is."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Select, bindparam, select

from infra.prepared import TupleRow
from ledger.core import Ledger
from ledger.editing import build_money_columns, convert_amount
from models import Category, Expense, TrashedExpense
from problems import AlreadyExists
from schemas import Expense as ExpenseAnswer
from schemas import ExpenseCreate
from values import money
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


def build_new_columns(ledger: Ledger, data: ExpenseCreate) -> dict[str, Any]:
    """Return the columns of a new expense, but for its category and its revision."""
    currency = data.currency or ledger.owner.currency
    instant = ledger.instant
    return {
        "amount": convert_amount(data.amount, currency),
        "currency": currency,
        "spent_on": data.date or ledger.today,
        **build_description_columns(data.description),
        "external_id": data.external_id,
        "created_at": instant,
        "updated_at": instant,
    }


def external_id_taken_problem(existing_id: int | None, *, is_deleted: bool = False) -> AlreadyExists:
    """Return the refusal of an `external_id` that belongs to another expense, which is new where it has no id yet."""
    holder = "A deleted" if is_deleted else "Another"
    entry = field_error("/external_id", "already_exists", f"{holder} expense of yours has this id.")
    return AlreadyExists(errors=[entry], members={} if existing_id is None else {"existing_id": existing_id})
