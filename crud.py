"""Expenses: create, read, change and remove."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sqlalchemy import ColumnElement, bindparam, func, insert, select, update

from infra.prepared import Line, Prepared
from ledger.categories import category_named
from ledger.core import Ledger
from ledger.expenses import trash
from ledger.expenses.filters import ExpenseQuery
from ledger.expenses.rows import answer, answer_of, described, expense_columns, reading, refuse_moved_on, thousandths
from ledger.pages import LIMIT, Cursor, before, behind, fingerprint, read_cursor
from models import Expense, TrashedExpense
from problems import AlreadyExists, NotFound
from schemas import Expense as ExpenseAnswer
from schemas import ExpenseCreate, ExpenseList, ExpenseReplace, ExpenseUpdate
from values.etags import Precondition
from values.field_errors import at
from values.spans import Span

EDITABLE: Final = {"amount", "currency", "date", "category", "description", "external_id"}


_MINE: Final = Expense.owner_id == bindparam("owner")
_THIS: Final = Expense.id == bindparam("row_id")
_EXPENSES: Final = reading(Expense)
_ONE: Final = Prepared(_EXPENSES.where(_THIS))
_ONE_TO_CHANGE: Final = reading(Expense, Expense.category_id, Expense.description_key).where(_THIS)
_BY_EXTERNAL_ID: Final = Prepared(_EXPENSES.where(Expense.external_id == bindparam("external_id")))
_TRASHED_BY_EXTERNAL_ID: Final = Prepared(
    reading(TrashedExpense, TrashedExpense.deleted_at).where(TrashedExpense.external_id == bindparam("external_id"))
)
_INSERT: Final = Prepared(
    insert(Expense).inline(), [column.key for column in Expense.__table__.columns if column.key != "id"]
)
_COUNT: Final = select(func.count()).select_from(Expense).where(_MINE)

# MySQL is told the index, because deep in a ledger its optimizer takes to reading and sorting all of it; save where
# another index may say more.
_FIRST: Final = {
    "-date": _EXPENSES.order_by(Expense.spent_on.desc(), Expense.id.desc()).limit(LIMIT),
    "date": _EXPENSES.order_by(Expense.spent_on, Expense.id).limit(LIMIT),
    "-amount": _EXPENSES.order_by(Expense.amount.desc(), Expense.id.desc()).limit(LIMIT),
    "amount": _EXPENSES.order_by(Expense.amount, Expense.id).limit(LIMIT),
}
_AFTER: Final = {
    "-date": before(Expense.spent_on, Expense.id),
    "date": behind(Expense.spent_on, Expense.id),
    "-amount": before(Expense.amount, Expense.id),
    "amount": behind(Expense.amount, Expense.id),
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


@dataclass(frozen=True, slots=True)
class Page:
    """Which page of a list of expenses: behind which row, and of which days."""

    query: ExpenseQuery
    cursor: Cursor | None
    span: Span | None

    @property
    def is_by_day(self) -> bool:
        """Whether the list is in the order of days."""
        return self.query.sort in {"date", "-date"}


def page_of(ledger: Ledger, query: ExpenseQuery) -> Page:
    """Return the page that is asked for; raise ValidationFailed where there is none."""
    if query.cursor is None:
        return Page(query, None, query.span(ledger.today, ledger.owner.month_start_day))
    cursor = read_cursor(query.cursor, fingerprint(query.asked()), date if query.sort in {"date", "-date"} else int)
    return Page(query, cursor, cursor.span)


async def list_expenses(ledger: Ledger, asked: Page) -> ExpenseList:
    """Return one page of the expenses that match, and where the next begins."""
    query, clauses = asked.query, list(asked.query.clauses(asked.span))
    rows = await _rows(ledger, asked, clauses)
    page = ExpenseList(items=[answer(row) for row in rows[: query.limit]], next_cursor=None)
    if len(rows) > query.limit:
        row_id, amount, _, spent_on, *_ = rows[query.limit - 1]
        position = spent_on if asked.is_by_day else amount
        page.next_cursor = Cursor(fingerprint(query.asked()), position, row_id, asked.span).written()
    if query.with_count:
        page.count = (await ledger.execute(_COUNT.where(*clauses))).scalar_one()
    return page


async def _rows(ledger: Ledger, asked: Page, clauses: Sequence[ColumnElement[bool]]) -> Sequence[Line]:
    """Return the rows of a page, and one more if there is another page."""
    query, cursor = asked.query, asked.cursor
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
    return answer(row)


async def create_expense(ledger: Ledger, data: ExpenseCreate) -> tuple[ExpenseAnswer, bool]:
    """Record an expense; return it and whether it is new: one with a known `external_id` stays as it stands."""
    if data.external_id is not None and (existing := await _with_external_id(ledger, data.external_id)):
        return existing, False
    values = drafted(ledger, data)
    category_id, category = await category_named(ledger, data.category)
    values |= {"category_id": category_id, "revision": await ledger.next_revision(expenses=1)}
    expense_id = await ledger.write(_INSERT, **values)
    return answer_of(values | {"id": expense_id, "category": category}), True


def drafted(ledger: Ledger, data: ExpenseCreate) -> dict[str, Any]:
    """Return the columns of a new expense, but for its category and its revision."""
    currency = data.currency or ledger.owner.currency
    instant = ledger.instant
    return {
        "amount": thousandths(data.amount, currency),
        "currency": currency,
        "spent_on": data.date or ledger.today,
        **described(data.description),
        "external_id": data.external_id,
        "created_at": instant,
        "updated_at": instant,
    }


async def replace_expense(
    ledger: Ledger, expense_id: int, whole: ExpenseReplace, condition: Precondition
) -> ExpenseAnswer:
    """Replace an expense; what was left out becomes null."""
    return await _change(ledger, expense_id, whole.model_dump(include=EDITABLE), whole.revision, condition)


async def change_expense(
    ledger: Ledger, expense_id: int, change: ExpenseUpdate, condition: Precondition
) -> ExpenseAnswer:
    """Change the fields that were sent; the same values change nothing and take no revision."""
    return await _change(ledger, expense_id, change.given(), change.revision, condition)


async def delete_expense(ledger: Ledger, expense_id: int, condition: Precondition) -> None:
    """Move an expense to the trash."""
    row = await ledger.line(_ONE, row_id=expense_id)
    if row is None:
        raise NotFound
    refuse_moved_on(answer(row).revision, condition)
    await trash.discard(ledger, 1, _THIS, row_id=expense_id)


async def _with_external_id(ledger: Ledger, external_id: str) -> ExpenseAnswer | None:
    if row := await ledger.line(_BY_EXTERNAL_ID, external_id=external_id):
        return answer(row)
    if row := await ledger.line(_TRASHED_BY_EXTERNAL_ID, external_id=external_id):
        trashed = answer(row)
        if trashed.deleted_at is None or trashed.deleted_at >= ledger.kept_since:
            return trashed
        await trash.drop(ledger, [trashed.id])
    return None


async def _change(
    ledger: Ledger, expense_id: int, fields: dict[str, Any], revision: int | None, condition: Precondition
) -> ExpenseAnswer:
    found = await ledger.row(_ONE_TO_CHANGE, row_id=expense_id)
    if found is None:
        raise NotFound
    row = found._asdict()
    refuse_moved_on(row["revision"], condition, revision)
    values, category = expense_columns(row, fields), row["category"]
    if "external_id" in fields:
        values["external_id"] = await _free_external_id(ledger, row["external_id"], fields["external_id"])
    if "category" in fields:
        values["category_id"], category = await category_named(ledger, fields["category"])
    changed = {name: value for name, value in values.items() if value != row[name]}
    if changed:
        changed |= {"revision": await ledger.next_revision(), "updated_at": ledger.instant}
        await ledger.execute(update(Expense).where(_MINE, _THIS).values(changed), row_id=expense_id)
    return answer_of(row | changed | {"category": category})


async def _free_external_id(ledger: Ledger, current: str | None, wanted: str | None) -> str | None:
    if wanted not in {None, current} and (existing := await _with_external_id(ledger, str(wanted))):
        raise taken(existing.id, is_deleted=existing.deleted_at is not None)
    return wanted


def taken(existing_id: int | None, *, is_deleted: bool = False) -> AlreadyExists:
    """Return the refusal of an `external_id` that belongs to another expense, which is new where it has no id yet."""
    holder = "A deleted" if is_deleted else "Another"
    entry = at("/external_id", "already_exists", f"{holder} expense of yours has this id.")
    return AlreadyExists(errors=[entry], members={} if existing_id is None else {"existing_id": existing_id})
