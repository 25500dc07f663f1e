"""Categories by their names: find them, and create those that are used for the first time."""

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from sqlalchemy import bindparam, func, select

from database import get_inserted_id
from infra.prepared import Prepared
from ledger.core import Ledger
from models import MAX_CATEGORIES, Category
from problems import TooMany
from values.field_errors import field_error
from values.texts import make_name_key

# Answered by the unique index on (owner_id, name_key).
_SELECT_BY_NAME: Final = select(Category.id, Category.name, Category.parent_id).where(
    Category.mine(), Category.name_key == bindparam("key")
)
_BY_NAME: Final = Prepared(_SELECT_BY_NAME)
_SELECT_NAMES: Final = select(Category.id, Category.name, Category.name_key).where(Category.mine())
_COUNT: Final = select(func.count()).select_from(Category).where(Category.mine())


class KnownCategory(NamedTuple):
    """A category that exists."""

    id: int
    name: str
    parent_id: int | None


async def find_by_name(ledger: Ledger, name: str) -> KnownCategory | None:
    """Return the category of this name, or None."""
    row = await ledger.fetch_one_prepared(_BY_NAME, key=make_name_key(name))
    return KnownCategory(*row) if row else None


async def find_or_create_category(
    ledger: Ledger, name: str | None, pointer: str = "/category"
) -> tuple[int | None, str | None]:
    """Return id and stored name of the category, creating it if there is none; (None, None) for None.

    `pointer` is the field that names it, to which a TooMany refers.
    """
    if name is None:
        return None, None
    row = await find_by_name(ledger, name)
    return (row.id, row.name) if row else (await insert_category(ledger, name, pointer), name)


async def find_category_id(ledger: Ledger, name: str | None) -> int | None:
    """Return the id of the category of this name, or None."""
    row = None if name is None else await find_by_name(ledger, name)
    return None if row is None else row.id


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


async def insert_category(
    ledger: Ledger, name: str, pointer: str, color: str | None = None, parent_id: int | None = None, *, besides: int = 0
) -> int:
    """Create a category, whose name no other has, and return its id.

    Raises TooMany at `pointer` if the account would have more than 1,000 with those that are to be created `besides`.
    """
    if await count_remaining(ledger) <= besides:
        raise too_many_categories_problem(pointer)
    values = {"name": name, "name_key": make_name_key(name), "color": color, "parent_id": parent_id}
    revision = ledger.take_revision()
    return get_inserted_id(await ledger.insert(Category, **values, revision=revision, **ledger.new_row_instants))


async def count_remaining(ledger: Ledger) -> int:
    """Return how many more categories the account can hold."""
    return MAX_CATEGORIES - int((await ledger.execute(_COUNT)).scalar_one())


def too_many_categories_problem(pointer: str) -> TooMany:
    """Return the problem of too many categories; `pointer` is the field that names the new one."""
    detail = f"An account holds at most {MAX_CATEGORIES:,} categories."
    return TooMany(detail, errors=[field_error(pointer, "not_allowed", detail)])
