"""Categories as a resource: list, create, read and change them."""

from datetime import date
from typing import Any, Final

from sqlalchemy import Row, bindparam, func, select, update
from sqlalchemy.orm import aliased

from ledger.categories import names
from ledger.categories.merging import stamp_rows
from ledger.core import Ledger
from ledger.editing import Precondition, refuse_changed_row
from models import Budget, Category, Expense
from problems import AlreadyExists, NotFound, ValidationFailed
from schemas import Category as CategoryAnswer
from schemas import CategoryCreate, CategoryUpdate, CategoryWithUsage
from values.field_errors import field_error
from values.texts import make_name_key, make_sort_key

_PARENT: Final = aliased(Category)
SELECT_CATEGORIES: Final = (
    select(
        Category.id,
        Category.name,
        _PARENT.name.label("parent"),
        Category.color,
        Category.archived,
        Category.revision,
        Category.created_at,
        Category.updated_at,
    )
    .outerjoin(_PARENT, (_PARENT.owner_id == Category.owner_id) & (_PARENT.id == Category.parent_id))
    .where(Category.mine())
)
_ONE: Final = SELECT_CATEGORIES.where(Category.id == bindparam("row_id"))
_A_CHILD: Final = select(Category.id).where(Category.mine(), Category.parent_id == bindparam("row_id")).limit(1)
# Answered by the index on (owner_id, category_id, spent_on, id), which covers it.
_SELECT_USAGE: Final = (
    select(Expense.category_id, func.count().label("expense_count"), func.max(Expense.spent_on).label("last_used"))
    .where(Expense.mine(), Expense.category_id.is_not(None))
    .group_by(Expense.category_id)
    .with_hint(Expense, "FORCE INDEX (ix_expenses_owner_id_category_id_spent_on_id)", "mysql")
)


async def list_categories(ledger: Ledger, *, with_usage: bool) -> list[CategoryWithUsage]:
    """Return all categories, sorted by name; `with_usage` adds the number of expenses and the last day."""
    categories = sorted(await ledger.fetch_all(SELECT_CATEGORIES), key=lambda row: make_sort_key(row.name))
    if not with_usage:
        return [CategoryWithUsage(**row._asdict()) for row in categories]
    used = {row.category_id: (row.expense_count, row.last_used) for row in await ledger.fetch_all(_SELECT_USAGE)}
    return [CategoryWithUsage(**row._asdict(), **_build_usage(*used.get(row.id, (0, None)))) for row in categories]


async def read_category(ledger: Ledger, category_id: int) -> CategoryAnswer:
    """Return one category."""
    return build_category(await load_category(ledger, category_id))


async def create_category(ledger: Ledger, data: CategoryCreate) -> CategoryAnswer:
    """Create a category, and its parent if that is new; raise AlreadyExists if another one has this name."""
    await _refuse_taken_name(ledger, data.name)
    parent_id, _ = await _find_parent(ledger, data.parent, data.name)
    return await read_category(ledger, await names.insert_category(ledger, data.name, "/name", data.color, parent_id))


async def change_category(
    ledger: Ledger, category_id: int, change: CategoryUpdate, condition: Precondition
) -> CategoryAnswer:
    """Change the fields that were sent.

    A new name also gives the category's expenses, budgets and children the new revision, because they show it.
    """
    row = await load_category(ledger, category_id)
    refuse_changed_row(row.revision, condition, change.revision)
    sent = change.dump_sent()
    name = sent.get("name", row.name)
    values = {field: value for field, value in sent.items() if field != "parent" and value != getattr(row, field)}
    if "parent" in sent:
        values |= await _change_parent(ledger, row, sent["parent"], name)
    if not values:
        return build_category(row)
    if "name" in values:
        await _refuse_taken_name(ledger, name, but=category_id)
        values["name_key"] = make_name_key(name)
        for column in (Expense.category_id, Budget.category_id, Category.parent_id):
            await stamp_rows(ledger, column, category_id)
    values |= ledger.stamp_change()
    await ledger.execute_exactly(1, update(Category).where(Category.mine(), Category.id == category_id).values(values))
    return await read_category(ledger, category_id)


async def load_category(ledger: Ledger, category_id: int) -> Row[Any]:
    """Return the row of a category; raise NotFound if there is none."""
    row = await ledger.fetch_one(_ONE, row_id=category_id)
    if row is None:
        raise NotFound
    return row


def build_category(row: Row[Any]) -> CategoryAnswer:
    """Build the answer from a row of SELECT_CATEGORIES."""
    return CategoryAnswer.model_validate(row._asdict())


def category_exists_problem(existing_id: int) -> AlreadyExists:
    """Return the problem of a second category with the same name."""
    error = field_error(
        "/name",
        "already_exists",
        "You have a category of this name, perhaps below another parent; to merge the two, delete one with `move_to`.",
    )
    return AlreadyExists(errors=[error], members={"existing_id": existing_id})


def _build_usage(expense_count: int, last_used: date | None) -> dict[str, Any]:
    return {"expense_count": expense_count, "last_used": last_used}


async def _refuse_taken_name(ledger: Ledger, name: str, *, but: int | None = None) -> None:
    holder = await names.find_by_name(ledger, name)
    if holder and holder.id != but:
        raise category_exists_problem(holder.id)


async def _change_parent(ledger: Ledger, row: Row[Any], parent: str | None, name: str) -> dict[str, int | None]:
    """Return the column of the new parent of a category; nothing if it has this parent already."""
    if parent == row.parent:
        return {}
    parent_id, stored = await _find_parent(ledger, parent, name, row.id)
    return {} if stored == row.parent else {"parent_id": parent_id}


async def _find_parent(
    ledger: Ledger, parent: str | None, name: str, category_id: int | None = None
) -> tuple[int | None, str | None]:
    """Return id and stored name of the parent of a category that has, or gets, this name; create it if there is none.

    Raises ValidationFailed if there would be two levels, or a category would be its own parent.
    """
    if parent is None:
        return None, None
    found = await names.find_by_name(ledger, parent)
    if make_name_key(parent) == make_name_key(name):
        raise _refused_parent_problem("A category cannot be its own parent.")
    if found and found.id == category_id:
        raise _refused_parent_problem(
            "This is the name that the category has now: rename it first, and then send this."
        )
    if found and found.parent_id is not None:
        raise _refused_parent_problem("This category has a parent itself, and there is only one level.")
    if category_id is not None and await ledger.fetch_one(_A_CHILD, row_id=category_id):
        raise _refused_parent_problem("The category has children, and there is only one level.")
    if found:
        return found.id, found.name
    return await names.insert_category(ledger, parent, "/parent", besides=int(category_id is None)), parent


def _refused_parent_problem(detail: str) -> ValidationFailed:
    return ValidationFailed(errors=[field_error("/parent", "not_allowed", detail)])
