"""Expenses: create, read, change and remove."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sqlalchemy import ColumnElement, bindparam, func, insert, select, update

from infra.prepared import Prepared, TupleRow
from ledger.categories import find_or_create_category
from ledger.core import Ledger
from ledger.editing import Precondition, refuse_changed_row
from ledger.expenses import trash
from ledger.expenses.filters import ExpenseQuery
from ledger.expenses.rows import (
    build_expense,
    build_expense_columns,
    build_expense_from_columns,
    build_new_columns,
    external_id_taken_problem,
    select_expenses,
)
from ledger.pages import (
    PAGE_SIZE,
    Cursor,
    build_after_condition,
    build_before_condition,
    fingerprint_query,
    parse_cursor,
)
from models import Expense, TrashedExpense
from problems import NotFound
from schemas import Expense as ExpenseAnswer
from schemas import ExpenseCreate, ExpenseList, ExpenseReplace, ExpenseUpdate
from values.spans import Span

EDITABLE_FIELDS: Final = {"amount", "currency", "date", "category", "description", "external_id"}


_MINE: Final = Expense.owner_id == bindparam("owner")
_THIS: Final = Expense.id == bindparam("row_id")
_EXPENSES: Final = select_expenses(Expense)
_ONE: Final = Prepared(_EXPENSES.where(_THIS))
_ONE_TO_CHANGE: Final = select_expenses(Expense, Expense.category_id, Expense.description_key).where(_THIS)
_BY_EXTERNAL_ID: Final = Prepared(_EXPENSES.where(Expense.external_id == bindparam("external_id")))
_TRASHED_BY_EXTERNAL_ID: Final = Prepared(
    select_expenses(TrashedExpense, TrashedExpense.deleted_at).where(
        TrashedExpense.external_id == bindparam("external_id")
    )
)
_INSERT: Final = Prepared(
    insert(Expense).inline(), [column.key for column in Expense.__table__.columns if column.key != "id"]
)
_COUNT: Final = select(func.count()).select_from(Expense).where(_MINE)

# MySQL is told the index, because deep in a ledger its optimizer takes to reading and sorting all of it; save where
# another index may say more.
_FIRST_PAGES: Final = {
    "-date": _EXPENSES.order_by(Expense.spent_on.desc(), Expense.id.desc()).limit(PAGE_SIZE),
    "date": _EXPENSES.order_by(Expense.spent_on, Expense.id).limit(PAGE_SIZE),
    "-amount": _EXPENSES.order_by(Expense.amount.desc(), Expense.id.desc()).limit(PAGE_SIZE),
    "amount": _EXPENSES.order_by(Expense.amount, Expense.id).limit(PAGE_SIZE),
}
_AFTER_CURSOR: Final = {
    "-date": build_before_condition(Expense.spent_on, Expense.id),
    "date": build_after_condition(Expense.spent_on, Expense.id),
    "-amount": build_before_condition(Expense.amount, Expense.id),
    "amount": build_after_condition(Expense.amount, Expense.id),
}
_PAGES: Final = {(sort, False): statement for sort, statement in _FIRST_PAGES.items()} | {
    (sort, True): statement.where(_AFTER_CURSOR[sort]) for sort, statement in _FIRST_PAGES.items()
}
_INDEX_HINTS: Final = {
    "date": "FORCE INDEX (ix_expenses_owner_id_spent_on_id)",
    "amount": "FORCE INDEX (ix_expenses_owner_id_amount_id)",
}
_HINTED_PAGES: Final = {
    (sort, is_next): statement.with_hint(Expense, _INDEX_HINTS[sort.removeprefix("-")], "mysql")
    for (sort, is_next), statement in _PAGES.items()
}
_UNFILTERED_PAGES: Final = {kind: Prepared(statement) for kind, statement in _HINTED_PAGES.items()}


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page of a list of expenses: behind which row, and of which days."""

    query: ExpenseQuery
    cursor: Cursor | None
    span: Span | None

    @property
    def is_by_day(self) -> bool:
        """Whether the list is in the order of days."""
        return self.query.sort in {"date", "-date"}


def read_page_request(ledger: Ledger, query: ExpenseQuery) -> PageRequest:
    """Return the page that is asked for; raise ValidationFailed where there is none."""
    if query.cursor is None:
        return PageRequest(query, None, query.resolve_span(ledger.today, ledger.owner.month_start_day))
    cursor = parse_cursor(
        query.cursor, fingerprint_query(query.dump_filters()), date if query.sort in {"date", "-date"} else int
    )
    return PageRequest(query, cursor, cursor.span)


async def list_expenses(ledger: Ledger, asked: PageRequest) -> ExpenseList:
    """Return one page of the expenses that match, and where the next begins."""
    query, clauses = asked.query, list(asked.query.clauses(asked.span))
    rows = await _load_page(ledger, asked, clauses)
    page = ExpenseList(items=[build_expense(row) for row in rows[: query.limit]], next_cursor=None)
    if len(rows) > query.limit:
        row_id, amount, _, spent_on, *_ = rows[query.limit - 1]
        position = spent_on if asked.is_by_day else amount
        page.next_cursor = Cursor(fingerprint_query(query.dump_filters()), position, row_id, asked.span).encode()
    if query.with_count:
        page.count = (await ledger.execute(_COUNT.where(*clauses))).scalar_one()
    return page


async def _load_page(ledger: Ledger, asked: PageRequest, clauses: Sequence[ColumnElement[bool]]) -> Sequence[TupleRow]:
    """Return the rows of a page, and one more if there is another page."""
    query, cursor = asked.query, asked.cursor
    parameters: dict[str, Any] = {"limit": query.limit + 1}
    if cursor:
        parameters |= {"value": cursor.value, "row_id": cursor.row_id}
    kind = query.sort, cursor is not None
    if not clauses:
        return await ledger.fetch_all_prepared(_UNFILTERED_PAGES[kind], **parameters)
    pages = _PAGES if query.has_better_index(deep=cursor is not None) else _HINTED_PAGES
    return [tuple(row) for row in await ledger.fetch_all(pages[kind].where(*clauses), **parameters)]


async def read_expense(ledger: Ledger, expense_id: int) -> ExpenseAnswer:
    """Return one expense."""
    row = await ledger.fetch_one_prepared(_ONE, row_id=expense_id)
    if row is None:
        raise NotFound
    return build_expense(row)


async def create_expense(ledger: Ledger, data: ExpenseCreate) -> tuple[ExpenseAnswer, bool]:
    """Record an expense; return it and whether it is new: one with a known `external_id` stays as it stands."""
    if data.external_id is not None and (existing := await _find_by_external_id(ledger, data.external_id)):
        return existing, False
    values = build_new_columns(ledger, data)
    category_id, category = await find_or_create_category(ledger, data.category)
    values |= {"category_id": category_id, "revision": await ledger.take_revision(expenses=1)}
    expense_id = await ledger.write_prepared(_INSERT, **values)
    return build_expense_from_columns(values | {"id": expense_id, "category": category}), True


async def replace_expense(
    ledger: Ledger, expense_id: int, whole: ExpenseReplace, condition: Precondition
) -> ExpenseAnswer:
    """Replace an expense; what was left out becomes null."""
    return await _change_row(ledger, expense_id, whole.model_dump(include=EDITABLE_FIELDS), whole.revision, condition)


async def change_expense(
    ledger: Ledger, expense_id: int, change: ExpenseUpdate, condition: Precondition
) -> ExpenseAnswer:
    """Change the fields that were sent; the same values change nothing and take no revision."""
    return await _change_row(ledger, expense_id, change.dump_sent(), change.revision, condition)


async def delete_expense(ledger: Ledger, expense_id: int, condition: Precondition) -> None:
    """Move an expense to the trash."""
    row = await ledger.fetch_one_prepared(_ONE, row_id=expense_id)
    if row is None:
        raise NotFound
    refuse_changed_row(build_expense(row).revision, condition)
    await trash.move_to_trash(ledger, 1, _THIS, row_id=expense_id)


async def _find_by_external_id(ledger: Ledger, external_id: str) -> ExpenseAnswer | None:
    if row := await ledger.fetch_one_prepared(_BY_EXTERNAL_ID, external_id=external_id):
        return build_expense(row)
    if row := await ledger.fetch_one_prepared(_TRASHED_BY_EXTERNAL_ID, external_id=external_id):
        trashed = build_expense(row)
        if trashed.deleted_at is None or trashed.deleted_at >= ledger.trash_start:
            return trashed
        await trash.delete_expired(ledger, [trashed.id])
    return None


async def _change_row(
    ledger: Ledger, expense_id: int, fields: dict[str, Any], revision: int | None, condition: Precondition
) -> ExpenseAnswer:
    found = await ledger.fetch_one(_ONE_TO_CHANGE, row_id=expense_id)
    if found is None:
        raise NotFound
    row = found._asdict()
    refuse_changed_row(row["revision"], condition, revision)
    values, category = build_expense_columns(row, fields), row["category"]
    if "external_id" in fields:
        values["external_id"] = await _check_external_id(ledger, row["external_id"], fields["external_id"])
    if "category" in fields:
        values["category_id"], category = await find_or_create_category(ledger, fields["category"])
    changed = {name: value for name, value in values.items() if value != row[name]}
    if changed:
        changed |= {"revision": await ledger.take_revision(), "updated_at": ledger.instant}
        await ledger.execute(update(Expense).where(_MINE, _THIS).values(changed), row_id=expense_id)
    return build_expense_from_columns(row | changed | {"category": category})


async def _check_external_id(ledger: Ledger, current: str | None, wanted: str | None) -> str | None:
    if wanted not in {None, current} and (existing := await _find_by_external_id(ledger, str(wanted))):
        raise external_id_taken_problem(existing.id, is_deleted=existing.deleted_at is not None)
    return wanted
