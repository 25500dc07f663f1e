"""Converts between the fields of an expense and its columns, live or in the trash.

    field           column
    date            spent_on
    category        category_id; the name is selected from categories
    payee           payee, payee_key for searching, and payee_id
    description     description, and description_key for searching
    tags            tag_set_id; the names are selected from tag_sets
    every other     the column of the same name

The fields of `schemas.Expense` are the only list of them, in the order in which they are selected. CONTRIBUTING.md says
what a new field needs (*Where a change goes*).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import Select, select

from ledger.core import Ledger
from ledger.editing import convert_amount
from ledger.quotas import EXPENSE_TEXTS
from ledger.tags.sets import split_names
from models import Category, Expense, TagSet, TrashedExpense
from problems import AlreadyExists
from schemas import Expense as ExpenseAnswer
from schemas import ExpenseCreate
from values import money
from values.field_errors import field_error
from values.sizes import measure
from values.texts import make_payee_key, make_text_key

BY_PRIMARY_KEY: Final = "FORCE INDEX (PRIMARY)"
_COLUMN_NAMES: Final = {"date": "spent_on"}
SEARCHED_TEXTS: Final = {"payee": make_payee_key, "description": make_text_key}
"""The texts in which `q` looks, and what makes their keys, which are in columns of their own."""
# `deleted_at`, which only the trash has, is selected last.
_COLUMNS: Final = [
    _COLUMN_NAMES.get(field.name, field.name) for field in fields(ExpenseAnswer) if field.name != "deleted_at"
]
# Of the files of expenses only the one with every field has these.
_LATER_COLUMNS: Final = frozenset(_COLUMNS[_COLUMNS.index("created_at") :])
_AMOUNT: Final = _COLUMNS.index("amount")
_CURRENCY: Final = _COLUMNS.index("currency")
_TAGS: Final = _COLUMNS.index("tags")
# `build_columns` leaves these out: their columns depend on other rows, or on each other.
_RESOLVED_FIELDS: Final = frozenset({"amount", "currency", "category", "tags", "external_id"})


def select_expenses(table: type[Expense | TrashedExpense], *more: Any, by_id: bool = False) -> Select[*tuple[Any, ...]]:
    """Return the SELECT of the owner's expenses in a table: a column for each field of the answer, then `more`.

    With `by_id`, of those that have one of `:ids`.
    """
    joined = {"category": Category.name.label("category"), "tags": TagSet.names.label("tags")}
    columns = [joined[name] if name in joined else getattr(table, name) for name in _COLUMNS]
    # MySQL must be told to look names up by their ids: where most owners have few categories and tag sets, its
    # optimizer would read all of the owner's for each expense.
    return (
        select(*columns, *more)
        .outerjoin(Category, (Category.owner_id == table.owner_id) & (Category.id == table.category_id))
        .outerjoin(TagSet, (TagSet.owner_id == table.owner_id) & (TagSet.id == table.tag_set_id))
        .with_hint(Category, BY_PRIMARY_KEY, "mysql")
        .with_hint(TagSet, BY_PRIMARY_KEY, "mysql")
        .where(table.mine_by_id() if by_id else table.mine())
    )


def leave_out_instants(statement: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    """Return a statement of `select_expenses` without `created_at` and what is selected after it.

    Both instants are converted row by row, which takes a tenth of the time of an export.
    """
    kept = [column for column in statement.selected_columns if column.key not in _LATER_COLUMNS]
    return statement.with_only_columns(*kept)


def get_column(row: Sequence[Any], name: str) -> Any:  # noqa: ANN401
    """Return the value of a column, from a row of `select_expenses`."""
    return row[_COLUMNS.index(name)]


def make_column_getter(*names: str) -> Callable[[Sequence[Any]], Any]:
    """Return a function of a row of `select_expenses`: the value of a column, or the values of several as a tuple."""
    return itemgetter(*map(_COLUMNS.index, names))


def build_expense(row: Sequence[Any]) -> ExpenseAnswer:
    """Build the answer from a row of `select_expenses`, whose `more` is nothing or `deleted_at`."""
    values = list(row)
    values[_AMOUNT] = money.write_amount(values[_AMOUNT], values[_CURRENCY])
    values[_TAGS] = split_names(values[_TAGS])
    return ExpenseAnswer(*values)


def build_expense_from_columns(columns: Mapping[str, Any]) -> ExpenseAnswer:
    """Build the answer from columns by name; `category` and `tags` are the names of the category and of the tag set."""
    return build_expense([*(columns[name] for name in _COLUMNS), columns.get("deleted_at")])


def build_new_columns(ledger: Ledger, data: ExpenseCreate) -> dict[str, Any]:
    """Return the columns of a new expense, except its revision and the ids of what it refers to."""
    currency = data.currency or ledger.owner.currency
    sent = {name: getattr(data, name) for name in type(data).model_fields}
    return {
        **build_columns(sent | {"date": data.date or ledger.today}),
        "amount": convert_amount(data.amount, currency),
        "currency": currency,
        "external_id": data.external_id,
        "import_id": None,
        "edited": False,
        **ledger.new_row_instants,
    }


def build_columns(sent: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of the sent fields, except amount, currency, category, tags and external id."""
    columns = {_COLUMN_NAMES.get(name, name): value for name, value in sent.items() if name not in _RESOLVED_FIELDS}
    keys = {
        f"{name}_key": columns[name] and make_key(columns[name])
        for name, make_key in SEARCHED_TEXTS.items()
        if name in columns
    }
    return columns | keys


def measure_row(columns: Mapping[str, Any]) -> int:
    """Return the bytes of an expense's texts, which `ledger.quotas.measure_texts` returns in SQL."""
    return measure(*(columns[name] for name in EXPENSE_TEXTS))


def count_texts(ledger: Ledger, columns: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> None:
    """Count the texts of a new or changed expense; beyond the quota raise TooMany for the field that grows most."""
    growth = {name: measure(columns[name]) - (measure(before[name]) if before else 0) for name in EXPENSE_TEXTS}
    ledger.add_text(sum(growth.values()), f"/{max(EXPENSE_TEXTS, key=lambda name: growth[name])}")


def external_id_taken_problem(existing_id: int | None, *, is_deleted: bool = False) -> AlreadyExists:
    """Return the problem of an `external_id` that another expense has.

    `existing_id` is None if that expense is created in the same batch.
    """
    holder = "A deleted" if is_deleted else "Another"
    error = field_error("/external_id", "already_exists", f"{holder} expense of yours has this id.")
    return AlreadyExists(errors=[error], members={} if existing_id is None else {"existing_id": existing_id})
