"""Budgets: create, read, change and delete them; `status` computes how much of them is used."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from sqlalchemy import bindparam, func, select, update

from database import get_inserted_id
from ledger.budgets.schemas import Budget as BudgetAnswer
from ledger.budgets.schemas import BudgetCreate, BudgetUpdate
from ledger.categories.names import find_or_create_category
from ledger.core import Ledger
from ledger.editing import Precondition, build_money_columns, convert_amount, delete_rows, refuse_changed_row
from models import MAX_BUDGETS, Budget, Category
from problems import AlreadyExists, NotFound, TooMany
from values import money
from values.field_errors import field_error
from values.texts import make_sort_key

_THIS: Final = Budget.id == bindparam("row_id")
SELECT_BUDGETS: Final = (
    select(
        Budget.id,
        Category.name.label("category"),
        Budget.amount,
        Budget.currency,
        Budget.period,
        Budget.revision,
        Budget.created_at,
        Budget.updated_at,
        Budget.category_id,
    )
    .outerjoin(Category, (Category.owner_id == Budget.owner_id) & (Category.id == Budget.category_id))
    .where(Budget.mine())
)
_ONE: Final = SELECT_BUDGETS.where(_THIS)
_COUNT: Final = select(func.count()).select_from(Budget).where(Budget.mine())
_SELECT_SAME_KIND: Final = select(Budget.id).where(
    Budget.mine(),
    Budget.category_id.is_not_distinct_from(bindparam("category_id")),
    Budget.currency == bindparam("currency"),
    Budget.period == bindparam("period"),
)


async def list_budgets(ledger: Ledger) -> list[BudgetAnswer]:
    """Return all budgets."""
    return [build_budget(row) for row in await load_budgets(ledger)]


async def read_budget(ledger: Ledger, budget_id: int) -> BudgetAnswer:
    """Return one budget."""
    return build_budget(await _load_budget(ledger, budget_id))


def budget_exists_problem(fields: Collection[str], existing_id: int) -> AlreadyExists:
    """Return the problem of a second budget with the same category, currency and period; `fields` are those sent."""
    field = next(name for name in ("category", "currency", "period") if name in fields)
    detail = "You have a budget for this category (or for all spending), currency and period: change that one."
    return AlreadyExists(
        errors=[field_error(f"/{field}", "already_exists", detail)], members={"existing_id": existing_id}
    )


async def create_budget(ledger: Ledger, data: BudgetCreate) -> BudgetAnswer:
    """Create a budget; raise AlreadyExists if there is one for the same category, currency and period."""
    if (await ledger.execute(_COUNT)).scalar_one() >= MAX_BUDGETS:
        raise TooMany(f"An account holds at most {MAX_BUDGETS:,} budgets.")
    currency = data.currency or ledger.owner.currency
    amount = convert_amount(data.amount, currency)
    category_id, _ = await find_or_create_category(ledger, data.category)
    values = {"category_id": category_id, "currency": currency, "period": data.period}
    await _refuse_same_kind(ledger, values, data.model_fields_set)
    revision = ledger.take_revision()
    inserted = await ledger.insert(Budget, amount=amount, revision=revision, **values, **ledger.new_row_instants)
    return await read_budget(ledger, get_inserted_id(inserted))


async def change_budget(ledger: Ledger, budget_id: int, change: BudgetUpdate, condition: Precondition) -> BudgetAnswer:
    """Change the fields that were sent; if no value changes, no revision is taken."""
    row = await _load_budget(ledger, budget_id)
    refuse_changed_row(row["revision"], condition, change.revision)
    fields = change.dump_sent()
    values = build_money_columns(row, fields)
    if "period" in fields:
        values["period"] = fields["period"]
    if "category" in fields:
        values["category_id"], _ = await find_or_create_category(ledger, fields["category"])
    changed = {name: value for name, value in values.items() if value != row[name]}
    if not changed:
        return build_budget(row)
    if changed.keys() - {"amount"}:
        kind = {name: (row | values)[name] for name in ("category_id", "currency", "period")}
        await _refuse_same_kind(ledger, kind, {name.removesuffix("_id") for name in changed})
    changed |= ledger.stamp_change()
    await ledger.execute_exactly(1, update(Budget).where(Budget.mine(), _THIS).values(changed), row_id=budget_id)
    return await read_budget(ledger, budget_id)


async def delete_budget(ledger: Ledger, budget_id: int, condition: Precondition) -> None:
    """Delete a budget and leave a tombstone."""
    refuse_changed_row((await _load_budget(ledger, budget_id))["revision"], condition)
    await delete_rows(ledger, 1, Budget, Budget.mine(), _THIS, row_id=budget_id)


async def load_budgets(ledger: Ledger) -> list[dict[str, Any]]:
    """Return the columns of all budgets, in the order of the list; there are at most 1,000, so there are no pages."""
    return sorted((row._asdict() for row in await ledger.fetch_all(SELECT_BUDGETS)), key=_rank)


def _rank(row: Mapping[str, Any]) -> tuple[object, ...]:
    """Return the sort key of a budget: those for all spending come first."""
    return make_sort_key(row["category"] or ""), row["currency"], row["id"]


async def _load_budget(ledger: Ledger, budget_id: int) -> dict[str, Any]:
    row = await ledger.fetch_one(_ONE, row_id=budget_id)
    if row is None:
        raise NotFound
    return row._asdict()


async def _refuse_same_kind(ledger: Ledger, kind: Mapping[str, Any], fields: Collection[str]) -> None:
    if existing := await ledger.fetch_one(_SELECT_SAME_KIND, **kind):
        raise budget_exists_problem(fields, existing[0])


def build_budget(row: Mapping[str, Any]) -> BudgetAnswer:
    """Build the answer from a row of SELECT_BUDGETS."""
    fields = {name: value for name, value in row.items() if name != "category_id"}
    return BudgetAnswer(**fields | {"amount": money.write_amount(row["amount"], row["currency"])})
