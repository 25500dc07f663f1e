"""Categories that a file names: those that exist, and those that its import makes, with their parents.

    the file says      there is                    the expense gets
    Bread in Food      Bread in Food               Bread
    Bread in Food      no Bread                    Bread, which is made in Food, which is made if there is none
    Bread in Food      Bread elsewhere             "Food: Bread", which is made in Food
    Bread in Food      Food, itself in Home        "Food: Bread", which stands on its own: there is one level

Categories that are there are found whatever the case of their names.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import select

from ledger.categories.names import too_many_categories_problem
from ledger.core import Ledger
from models import MAX_CATEGORIES, Category
from values.texts import KEY_GROWTH, NAME_LENGTH, make_name_key

SELECT_CATEGORY_KEYS: Final = select(Category.id, Category.name, Category.name_key, Category.parent_id).where(
    Category.mine()
)


class NameTooLong(ValueError):
    """The category's name would be too long with its parent's before it: send a shorter one."""


@dataclass(slots=True)
class _Planned:
    """A category that exists, or that will be made."""

    name: str
    parent: str | None
    """The key of its parent's name."""
    id: int | None = None


@dataclass(slots=True)
class CategoryPlan:
    """The categories of a ledger as an import leaves them."""

    ledger: Ledger
    by_key: dict[str, _Planned]
    new: list[str] = field(default_factory=list)
    """The keys of those to make, a parent before its children."""
    _named: dict[tuple[str, str | None], str] = field(default_factory=dict)

    def find(self, name: str, parent: str | None, pointer: str) -> str:
        """Return the stored name of a category, which is planned if there is none.

        Raises NameTooLong; or TooMany, with the `pointer` of what names it, if the account would have more than 1,000.
        """
        asked = name, parent
        if asked not in self._named:
            self._named[asked] = self._find(name, parent, pointer)
        return self._named[asked]

    def _find(self, name: str, parent: str | None, pointer: str) -> str:
        key, parent_key = make_name_key(name), None if parent is None else make_name_key(parent)
        if parent is None or parent_key is None or parent_key == key:
            return self._use(name, None, pointer)
        above = self.by_key.get(parent_key)
        may_hold, existing = above is None or above.parent is None, self.by_key.get(key)
        is_there = existing is not None and existing.parent == parent_key
        composed = name if is_there or (existing is None and may_hold) else f"{above.name if above else parent}: {name}"
        if len(composed) > NAME_LENGTH or len(make_name_key(composed)) > NAME_LENGTH * KEY_GROWTH:
            raise NameTooLong
        self._use(parent, None, pointer)
        return self._use(composed, parent_key if may_hold else None, pointer)

    def _use(self, name: str, parent: str | None, pointer: str) -> str:
        key = make_name_key(name)
        if key not in self.by_key:
            if len(self.by_key) >= MAX_CATEGORIES:
                raise too_many_categories_problem(pointer)
            self.by_key[key] = _Planned(name, parent)
            self.new.append(key)
        return self.by_key[key].name

    async def create(self) -> dict[str, tuple[int, str]]:
        """Make the planned categories; return id and name of all, by the key of the name."""
        tops = [key for key in self.new if self.by_key[key].parent is None]
        await self._insert(tops)
        await self._insert(key for key in self.new if self.by_key[key].parent is not None)
        return {key: (it.id or 0, it.name) for key, it in self.by_key.items()}

    async def _insert(self, keys: Iterable[str]) -> None:
        stamps = {"color": None, "revision": self.ledger.take_revision(), **self.ledger.new_row_instants}
        rows = [{"name_key": key, **self._build_columns(self.by_key[key]), **stamps} for key in keys]
        if rows:
            await self.ledger.insert_all(Category, rows)
            for stored in await self.ledger.fetch_all(SELECT_CATEGORY_KEYS):
                self.by_key[stored.name_key].id = stored.id

    def _build_columns(self, it: _Planned) -> dict[str, Any]:
        return {"name": it.name, "parent_id": None if it.parent is None else self.by_key[it.parent].id}


async def load_categories(ledger: Ledger) -> CategoryPlan:
    """Return the ledger's categories, and none to make."""
    rows = await ledger.fetch_all(SELECT_CATEGORY_KEYS)
    keys = {row.id: row.name_key for row in rows}
    return CategoryPlan(
        ledger, {row.name_key: _Planned(row.name, keys.get(row.parent_id or 0), row.id) for row in rows}
    )
