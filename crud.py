"""Expenses: create, read, change and remove."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

from sqlalchemy import BindParameter, ColumnElement, Integer, bindparam, delete, func, insert, literal, select, update
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.selectable import Select

import money
from categories import category_named
from database import now
from filters import ExpenseQuery
from ledger import Ledger
from models import Category, Expense, Tombstone, TrashedExpense
from pagination import Cursor, fingerprint, read_cursor
from prepared import Line, Prepared
from problems import AlreadyExists, NotFound
from refusals import at
from rows import money_columns, refuse_moved_on, thousandths
from schemas import Expense as ExpenseAnswer
from schemas import ExpenseCreate, ExpenseList, ExpenseReplace, ExpenseUpdate
from texts import text_key

EDITABLE: Final = {"amount", "currency", "date", "category", "description", "external_id"}


def _reading(table: type[Expense | TrashedExpense], *more: Any) -> Select[*tuple[Any, ...]]:
    # In the order of the answer's fields.
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


_MINE: Final = Expense.owner_id == bindparam("owner")
_THIS: Final = Expense.id == bindparam("row_id")
_EXPENSES: Final = _reading(Expense)
_ONE: Final = Prepared(_EXPENSES.where(_THIS))
_ONE_TO_CHANGE: Final = _reading(Expense, Expense.category_id, Expense.description_key).where(_THIS)
_BY_EXTERNAL_ID: Final = Prepared(_EXPENSES.where(Expense.external_id == bindparam("external_id")))
_TRASHED_BY_EXTERNAL_ID: Final = Prepared(
    _reading(TrashedExpense, TrashedExpense.deleted_at).where(TrashedExpense.external_id == bindparam("external_id"))
)
_INSERT: Final = Prepared(
    insert(Expense).inline(), [column.key for column in Expense.__table__.columns if column.key != "id"]
)
_COUNT: Final = select(func.count()).select_from(Expense).where(_MINE)
_REMOVE: Final = delete(Expense).where(_MINE, _THIS)
_MOVED: Final = tuple(
    column.key for column in Expense.__table__.columns if column.key not in {"revision", "updated_at"}
)

_SAME_NAME: Final = (
    "currency",
    "category",
    "description",
    "external_id",
    "revision",
    "created_at",
    "updated_at",
)

# Each order is an index with the owner first and the id last, read from one end or the other. The position after a
# cursor has this one form because both databases walk the index for it: an OR alone scans on SQLite, a row constructor
# on MySQL, and without the equality MySQL skips the rows of the cursor's own day one by one. MySQL is told the index,
# because deep in a ledger its optimizer takes to reading and sorting all of it; save where another index may say more.
_VALUE: Final[BindParameter[Any]] = bindparam("value")
_ID: Final[BindParameter[Any]] = bindparam("row_id")
_LIMIT: Final = bindparam("limit", type_=Integer)


def _before(column: InstrumentedAttribute[Any]) -> ColumnElement[bool]:
    return (column <= _VALUE) & ((column < _VALUE) | ((column == _VALUE) & (Expense.id < _ID)))


def _behind(column: InstrumentedAttribute[Any]) -> ColumnElement[bool]:
    return (column >= _VALUE) & ((column > _VALUE) | ((column == _VALUE) & (Expense.id > _ID)))


_FIRST: Final = {
    "-date": _EXPENSES.order_by(Expense.spent_on.desc(), Expense.id.desc()).limit(_LIMIT),
    "date": _EXPENSES.order_by(Expense.spent_on, Expense.id).limit(_LIMIT),
    "-amount": _EXPENSES.order_by(Expense.amount.desc(), Expense.id.desc()).limit(_LIMIT),
    "amount": _EXPENSES.order_by(Expense.amount, Expense.id).limit(_LIMIT),
}
_AFTER: Final = {
    "-date": _before(Expense.spent_on),
    "date": _behind(Expense.spent_on),
    "-amount": _before(Expense.amount),
    "amount": _behind(Expense.amount),
}
_PAGES: Final = {(sort, False): statement for sort, statement in _FIRST.items()} | {
    (sort, True): statement.where(_AFTER[sort]) for sort, statement in _FIRST.items()
}
_INDEX: Final = {
    "date": "FORCE INDEX (ix_expenses_owner_id_spent_on_id)",
    "amount": "FORCE INDEX (ix_expenses_owner_id_amount_id)",
}
_WALKED: Final = {
    (sort, is_next): statement.with_hint(Expense, _INDEX[sort.removeprefix("-")], "mysql")
    for (sort, is_next), statement in _PAGES.items()
}
_UNFILTERED: Final = {kind: Prepared(statement) for kind, statement in _WALKED.items()}


async def list_expenses(ledger: Ledger, query: ExpenseQuery) -> ExpenseList:
    """Return one page of the expenses that match, and where the next begins."""
    asked = fingerprint(query.asked())
    by_day = query.sort in {"date", "-date"}
    cursor = None if query.cursor is None else read_cursor(query.cursor, asked, date if by_day else int)
    span = cursor.span if cursor else query.span(ledger.today, ledger.owner.month_start_day)
    clauses = list(query.clauses(span))
    rows = await _page(ledger, query, cursor, clauses)
    page = ExpenseList(items=[_answer(row) for row in rows[: query.limit]], next_cursor=None)
    if len(rows) > query.limit:
        row_id, amount, _, spent_on, *_ = rows[query.limit - 1]
        page.next_cursor = Cursor(asked, spent_on if by_day else amount, row_id, span).written()
    if query.with_count:
        page.count = (await ledger.execute(_COUNT.where(*clauses))).scalar_one()
    return page


async def _page(
    ledger: Ledger, query: ExpenseQuery, cursor: Cursor | None, clauses: Sequence[ColumnElement[bool]]
) -> Sequence[Line]:
    """Return the rows of a page, and one more if there is another page."""
    parameters: dict[str, Any] = {"limit": query.limit + 1}
    if cursor:
        parameters |= {"value": cursor.value, "row_id": cursor.row_id}
    kind = query.sort, cursor is not None
    if not clauses:
        return await ledger.lines(_UNFILTERED[kind], **parameters)
    pages = _PAGES if query.is_narrowed(deep=cursor is not None) else _WALKED
    return [tuple(row) for row in await ledger.rows(pages[kind].where(*clauses), **parameters)]


async def read_expense(ledger: Ledger, expense_id: int) -> ExpenseAnswer:
    """Return one expense."""
    row = await ledger.line(_ONE, row_id=expense_id)
    if row is None:
        raise NotFound
    return _answer(row)


async def create_expense(ledger: Ledger, data: ExpenseCreate) -> tuple[ExpenseAnswer, bool]:
    """Record an expense; return it and whether it is new: one with a known `external_id` stays as it stands."""
    if data.external_id is not None and (existing := await _with_external_id(ledger, data.external_id)):
        return existing, False
    currency = data.currency or ledger.owner.currency
    amount = thousandths(data.amount, currency)
    category_id, category = await category_named(ledger, data.category)
    instant = now()
    values = {
        "amount": amount,
        "currency": currency,
        "spent_on": data.date or ledger.today,
        "category_id": category_id,
        "description": data.description,
        "description_key": data.description and text_key(data.description),
        "external_id": data.external_id,
        "revision": await ledger.next_revision(expenses=1),
        "created_at": instant,
        "updated_at": instant,
    }
    expense_id = await ledger.write(_INSERT, **values)
    return _answer_of(values | {"id": expense_id, "category": category}), True


async def replace_expense(ledger: Ledger, expense_id: int, whole: ExpenseReplace) -> ExpenseAnswer:
    """Replace an expense; what was left out becomes null."""
    return await _change(ledger, expense_id, whole.model_dump(include=EDITABLE), whole.revision)


async def change_expense(ledger: Ledger, expense_id: int, change: ExpenseUpdate) -> ExpenseAnswer:
    """Change the fields that were sent; the same values change nothing and take no revision."""
    return await _change(ledger, expense_id, change.given(), change.revision)


async def delete_expense(ledger: Ledger, expense_id: int) -> None:
    """Move an expense to the trash and leave a tombstone."""
    revision = await ledger.next_revision(expenses=-1)
    instant = now()
    columns = [getattr(Expense, name) for name in _MOVED]
    moved = select(*columns, literal(revision), literal(instant), literal(instant)).where(_MINE, _THIS)
    into = insert(TrashedExpense).from_select([*_MOVED, "revision", "updated_at", "deleted_at"], moved)
    if (await ledger.execute(into, row_id=expense_id)).rowcount == 0:
        raise NotFound
    await ledger.execute(_REMOVE, row_id=expense_id)
    await ledger.insert(Tombstone, kind="expense", row_id=expense_id, revision=revision)


def _answer(row: Line) -> ExpenseAnswer:
    row_id, amount, currency, *more = row
    return ExpenseAnswer(row_id, money.written(amount, currency), currency, *more)


def _answer_of(values: Mapping[str, Any]) -> ExpenseAnswer:
    return ExpenseAnswer(
        id=values["id"],
        amount=money.written(values["amount"], values["currency"]),
        date=values["spent_on"],
        **{name: values[name] for name in _SAME_NAME},
    )


async def _with_external_id(ledger: Ledger, external_id: str) -> ExpenseAnswer | None:
    for read in (_BY_EXTERNAL_ID, _TRASHED_BY_EXTERNAL_ID):
        if row := await ledger.line(read, external_id=external_id):
            return _answer(row)
    return None


async def _change(ledger: Ledger, expense_id: int, fields: dict[str, Any], revision: int | None) -> ExpenseAnswer:
    found = await ledger.row(_ONE_TO_CHANGE, row_id=expense_id)
    if found is None:
        raise NotFound
    row = found._asdict()
    refuse_moved_on(revision, row["revision"])
    values, category = await _columns(ledger, row, fields)
    changed = {name: value for name, value in values.items() if value != row[name]}
    if changed:
        changed |= {"revision": await ledger.next_revision(), "updated_at": now()}
        await ledger.execute(update(Expense).where(_MINE, _THIS).values(changed), row_id=expense_id)
    return _answer_of(row | changed | {"category": category})


async def _columns(
    ledger: Ledger, row: Mapping[str, Any], fields: Mapping[str, Any]
) -> tuple[dict[str, Any], str | None]:
    """Return the columns that the fields sent ask for, and the name of the category that it then has."""
    values = money_columns(row, fields)
    if "date" in fields:
        values["spent_on"] = fields["date"]
    if "description" in fields:
        values["description"] = fields["description"]
        values["description_key"] = fields["description"] and text_key(fields["description"])
    if "external_id" in fields:
        values["external_id"] = await _free_external_id(ledger, row["external_id"], fields["external_id"])
    if "category" not in fields:
        return values, row["category"]
    values["category_id"], category = await category_named(ledger, fields["category"])
    return values, category


async def _free_external_id(ledger: Ledger, current: str | None, wanted: str | None) -> str | None:
    if wanted not in {None, current} and (existing := await _with_external_id(ledger, str(wanted))):
        holder = "Another" if existing.deleted_at is None else "A deleted"
        entry = at("/external_id", "already_exists", f"{holder} expense of yours has this id.")
        raise AlreadyExists(errors=[entry], members={"existing_id": existing.id})
    return wanted
