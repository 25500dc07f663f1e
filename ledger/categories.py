"""Categories: create, read, change and delete them, and find them by name."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any

from sqlalchemy import Row, bindparam, func, select, update

from database import get_inserted_id
from infra.prepared import Prepared, TupleRow
from ledger.core import Ledger
from ledger.editing import Precondition, delete_rows, refuse_changed_row
from models import MAX_CATEGORIES, Budget, Category, Expense, TrashedExpense
from problems import AlreadyExists, CategoryInUse, NotFound, TooMany, ValidationFailed
from schemas import Category as CategoryAnswer
from schemas import CategoryCreate, CategoryDeleteQuery, CategoryUpdate, CategoryWithUsage
from values.field_errors import field_error, parameter_error
from values.texts import make_name_key

_COLUMNS = (
    Category.id,
    Category.name,
    Category.color,
    Category.archived,
    Category.revision,
    Category.created_at,
    Category.updated_at,
)
SELECT_CATEGORIES = select(*_COLUMNS).where(Category.mine())
_ALL = SELECT_CATEGORIES.order_by(Category.name_key)
_ONE = SELECT_CATEGORIES.where(Category.id == bindparam("row_id"))
# Answered by the unique index on (owner_id, name_key).
_BY_NAME = Prepared(select(Category.id, Category.name).where(Category.mine(), Category.name_key == bindparam("key")))
_SELECT_NAMES = select(Category.id, Category.name, Category.name_key).where(Category.mine())
_COUNT = select(func.count()).select_from(Category).where(Category.mine())
# Answered by the index on (owner_id, category_id, spent_on, id), which covers it.
_SELECT_USAGE = (
    select(Expense.category_id, func.count().label("expense_count"), func.max(Expense.spent_on).label("last_used"))
    .where(Expense.mine(), Expense.category_id.is_not(None))
    .group_by(Expense.category_id)
    .with_hint(Expense, "FORCE INDEX (ix_expenses_owner_id_category_id_spent_on_id)", "mysql")
)
_SELECT_USES = [
    select(table.id).where(table.mine(), table.category_id == bindparam("row_id")).limit(1)
    for table in (Expense, Budget)
]
_SELECT_BUDGETS_OF_BOTH = select(Budget.id, Budget.category_id, Budget.currency, Budget.period).where(
    Budget.mine(), Budget.category_id.in_((bindparam("row_id"), bindparam("target")))
)


async def list_categories(ledger: Ledger, *, with_usage: bool) -> list[CategoryWithUsage]:
    """Return all categories, sorted by name; `with_usage` adds the number of expenses and the last day."""
    categories = await ledger.fetch_all(_ALL)
    if not with_usage:
        return [CategoryWithUsage(**row._asdict()) for row in categories]
    used = {row.category_id: (row.expense_count, row.last_used) for row in await ledger.fetch_all(_SELECT_USAGE)}
    return [CategoryWithUsage(**row._asdict(), **_build_usage(*used.get(row.id, (0, None)))) for row in categories]


async def read_category(ledger: Ledger, category_id: int) -> CategoryAnswer:
    """Return one category."""
    return build_category(await _load_category(ledger, category_id))


async def create_category(ledger: Ledger, data: CategoryCreate) -> CategoryAnswer:
    """Create a category; raise AlreadyExists if another one has this name."""
    await _refuse_taken_name(ledger, data.name)
    return await read_category(ledger, await _insert(ledger, data.name, data.color, "/name"))


async def change_category(
    ledger: Ledger, category_id: int, change: CategoryUpdate, condition: Precondition
) -> CategoryAnswer:
    """Change the fields that were sent; a new name also gives the category's expenses and budgets the new revision."""
    row = await _load_category(ledger, category_id)
    refuse_changed_row(row.revision, condition, change.revision)
    values = {name: value for name, value in change.dump_sent().items() if value != getattr(row, name)}
    if not values:
        return build_category(row)
    if "name" in values:
        await _refuse_taken_name(ledger, values["name"], but=category_id)
        values["name_key"] = make_name_key(values["name"])
        await _stamp_rows(ledger, Expense, category_id)
        await _stamp_rows(ledger, Budget, category_id)
    values |= {"revision": ledger.take_revision(), "updated_at": ledger.instant}
    await ledger.execute_exactly(1, update(Category).where(Category.mine(), Category.id == category_id).values(values))
    return await read_category(ledger, category_id)


async def delete_category(
    ledger: Ledger, category_id: int, query: CategoryDeleteQuery, condition: Precondition
) -> None:
    """Delete a category.

    With `move_to`, its expenses and budgets move to that category. With `uncategorized`, the expenses lose their
    category and the budgets are deleted. With neither, raise CategoryInUse if it has expenses or budgets.
    """
    row = await _load_category(ledger, category_id)
    refuse_changed_row(row.revision, condition)
    target = await _find_target(ledger, category_id, query.move_to) if query.move_to is not None else None
    if target is None and not query.uncategorized:
        await _refuse_in_use(ledger, category_id)
    await _stamp_rows(ledger, Expense, category_id, {"category_id": target})
    await _move_or_delete_budgets(ledger, category_id, target)
    trashed = TrashedExpense.mine(), TrashedExpense.category_id == category_id
    await ledger.execute(update(TrashedExpense).where(*trashed).values(category_id=target))
    await delete_rows(ledger, 1, Category, Category.mine(), Category.id == category_id)


async def find_or_create_category(ledger: Ledger, name: str | None) -> tuple[int | None, str | None]:
    """Return id and stored name of the category, creating it if there is none; (None, None) for None."""
    if name is None:
        return None, None
    row = await _find_by_name(ledger, name)
    return (row[0], row[1]) if row else (await _insert(ledger, name, None, "/category"), name)


async def find_category_id(ledger: Ledger, name: str | None) -> int | None:
    """Return the id of the category of this name, or None."""
    row = None if name is None else await _find_by_name(ledger, name)
    return None if row is None else int(row[0])


def build_category(row: Row[Any]) -> CategoryAnswer:
    """Build the answer from a row of SELECT_CATEGORIES."""
    return CategoryAnswer.model_validate(row._asdict())


def _build_usage(expense_count: int, last_used: date | None) -> dict[str, Any]:
    return {"expense_count": expense_count, "last_used": last_used}


async def _load_category(ledger: Ledger, category_id: int) -> Row[Any]:
    row = await ledger.fetch_one(_ONE, row_id=category_id)
    if row is None:
        raise NotFound
    return row


async def _find_by_name(ledger: Ledger, name: str) -> TupleRow | None:
    """Return the id and the stored name of the category of this name, or None."""
    return await ledger.fetch_one_prepared(_BY_NAME, key=make_name_key(name))


async def _refuse_taken_name(ledger: Ledger, name: str, *, but: int | None = None) -> None:
    holder = await _find_by_name(ledger, name)
    if holder and holder[0] != but:
        raise category_exists_problem(holder[0])


def category_exists_problem(existing_id: int) -> AlreadyExists:
    """Return the problem of a second category with the same name."""
    error = field_error("/name", "already_exists", "You have a category of this name.")
    return AlreadyExists(errors=[error], members={"existing_id": existing_id})


async def find_categories(ledger: Ledger, keys: Collection[str]) -> dict[str, tuple[int, str]]:
    """Return id and stored name of the categories that exist, by the key of their name."""
    rows = await ledger.fetch_all(_SELECT_NAMES.where(Category.name_key.in_(keys))) if keys else []
    return {row.name_key: (row.id, row.name) for row in rows}


async def create_categories(ledger: Ledger, names: Sequence[str]) -> dict[str, tuple[int, str]]:
    """Create categories, whose number the caller has checked, and return them like find_categories."""
    revision = ledger.take_revision()
    values = {"color": None, "revision": revision, **ledger.new_row_instants}
    rows = [{"name": name, "name_key": make_name_key(name), **values} for name in names]
    await ledger.insert_all(Category, rows)
    return await find_categories(ledger, {make_name_key(name) for name in names})


async def count_remaining(ledger: Ledger) -> int:
    """Return how many more categories the account can hold."""
    return MAX_CATEGORIES - int((await ledger.execute(_COUNT)).scalar_one())


def too_many_categories_problem(pointer: str) -> TooMany:
    """Return the problem of too many categories; `pointer` is the field that names the new one."""
    detail = f"An account holds at most {MAX_CATEGORIES:,} categories."
    return TooMany(detail, errors=[field_error(pointer, "not_allowed", detail)])


async def _insert(ledger: Ledger, name: str, color: str | None, pointer: str) -> int:
    if await count_remaining(ledger) <= 0:
        raise too_many_categories_problem(pointer)
    revision = ledger.take_revision()
    values = {"name": name, "name_key": make_name_key(name), "color": color, "revision": revision}
    return get_inserted_id(await ledger.insert(Category, **values, **ledger.new_row_instants))


async def _find_target(ledger: Ledger, category_id: int, move_to: str) -> int:
    target = await _find_by_name(ledger, move_to)
    if target is None:
        raise ValidationFailed(errors=[parameter_error("move_to", "not_found", "You have no category of this name.")])
    if target[0] == category_id:
        raise ValidationFailed(errors=[parameter_error("move_to", "not_allowed", "This is the category to delete.")])
    return int(target[0])


async def _refuse_in_use(ledger: Ledger, category_id: int) -> None:
    for uses in _SELECT_USES:
        if await ledger.fetch_one(uses, row_id=category_id):
            raise CategoryInUse


async def _stamp_rows(
    ledger: Ledger, table: type[Expense | Budget], category_id: int, changed: Mapping[str, int | None] | None = None
) -> None:
    """Give the category's rows the transaction's revision, because their answers change, and the `changed` values."""
    stamp = {"revision": ledger.take_revision(), "updated_at": ledger.instant}
    condition = table.mine(), table.category_id == category_id
    await ledger.execute(update(table).where(*condition).values({**(changed or {}), **stamp}))


async def _move_or_delete_budgets(ledger: Ledger, category_id: int, target: int | None) -> None:
    """Move a category's budgets to the target category; delete those for which the target has one already.

    Without a target all are deleted, because a budget without a category is for all spending.
    """
    budgets = await ledger.fetch_all(_SELECT_BUDGETS_OF_BOTH, row_id=category_id, target=target)
    target_kinds = {(row.currency, row.period) for row in budgets if row.category_id == target}
    kinds = {row.id: (row.currency, row.period) for row in budgets if row.category_id == category_id}
    ended = [row_id for row_id, kind in kinds.items() if target is None or kind in target_kinds]
    if moved := kinds.keys() - set(ended):
        values = {"category_id": target, "revision": ledger.take_revision(), "updated_at": ledger.instant}
        statement = update(Budget).where(Budget.mine(), Budget.id.in_(moved)).values(values)
        await ledger.execute_exactly(len(moved), statement)
    if ended:
        await delete_rows(ledger, len(ended), Budget, Budget.mine(), Budget.id.in_(ended))
