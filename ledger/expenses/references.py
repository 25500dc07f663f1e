r"""What expenses refer to by name: a category, a payee and tags, which are made by their first use.

    sent                      in memory                        written
    "category": "groceries"   category "Groceries" (stored)    category_id
    "payee": "Market hall"    payee "Market hall" (as sent)    payee_id, and payee as it was sent
    "tags": ["b", "A"]        tags "A\nb" (sorted)              tag_set_id

A plan of many changes loads the names first, notes those that it will create, and creates them when it is written.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import bindparam, literal, null, select, union_all

from infra.prepared import Prepared
from ledger.categories import names as category_names
from ledger.core import Ledger
from ledger.payees import names as payee_names
from ledger.tags import names as tag_names
from ledger.tags import sets
from ledger.tags.names import KnownTag
from models import Category, Payee
from values.texts import make_name_key

Columns = dict[str, Any]
"""The columns of one expense by name, and `category` and `tags`: the names that its category and its tag set have."""

# One statement for both; each is answered by a unique index on (owner_id, name_key).
_CATEGORY_AND_PAYEE: Final = Prepared(
    union_all(
        select(literal("category"), Category.id, Category.name).where(
            Category.mine(), Category.name_key == bindparam("category_key")
        ),
        select(literal("payee"), Payee.id, null()).where(Payee.mine(), Payee.name_key == bindparam("payee_key")),
    )
)


@dataclass(slots=True)
class References:
    """The categories and tags that changes name: those that exist, and those that will be created."""

    ledger: Ledger
    categories: dict[str, tuple[int, str]]
    """Id and stored name of each category, by the key of its name."""
    remaining_categories: int
    """How many more categories the account may have."""
    tags: dict[str, KnownTag]
    """The tags, by the key of their name."""
    remaining_tags: int
    """How many more tags the account may have."""
    payees: dict[str, int] = field(default_factory=dict)
    """The ids of payees, by the key of their name; `create_missing` finds or makes those that rows have."""
    tag_sets: dict[frozenset[int], int] = field(default_factory=dict)
    """The ids of tag sets, by the ids of their tags; likewise."""
    new_categories: dict[str, str] = field(default_factory=dict)
    """Name of each category to create, by the key of the name."""
    new_tags: dict[str, str] = field(default_factory=dict)
    """Name of each tag to create, by the key of the name."""
    are_tags_added: bool = False
    """Whether an expense gets a tag that it did not have."""

    def plan_category(self, name: str | None) -> str | None:
        """Return the stored name of the category; plan to create it if there is none."""
        if name is None:
            return None
        key = make_name_key(name)
        if key in self.categories:
            return self.categories[key][1]
        if key not in self.new_categories and len(self.new_categories) >= self.remaining_categories:
            raise category_names.too_many_categories_problem("/category")
        return self.new_categories.setdefault(key, name)

    def plan_tags(self, names: Iterable[str], pointer: str = "/tags", before: str | None = None) -> str | None:
        """Return the stored names of tags as the text of their set; plan to create those that do not exist.

        `before` is the text of the set that the expense has. Raises TooMany if the account would have more than 1,000
        tags; `pointer` is the field that names them.
        """
        found = [self._find_tag(name, pointer) for name in names]
        self.are_tags_added |= not set(found) <= set(sets.split_names(before))
        return sets.write_names(found)

    async def create_missing(self, rows: Collection[Mapping[str, Any]]) -> None:
        """Create what was planned, and the payees and tag sets of these rows; `resolve` knows their ids afterwards."""
        if self.new_categories:
            new_names = list(self.new_categories.values())
            self.categories |= await category_names.create_categories(self.ledger, new_names)
        if self.new_tags:
            self.tags |= await tag_names.create_tags(self.ledger, list(self.new_tags.values()))
        keys = {make_name_key(row["payee"]) for row in rows if row.get("payee")}
        self.payees = await payee_names.find_or_create_payees(self.ledger, keys)
        wanted = {self._find_tag_ids(row["tags"]) for row in rows if row.get("tags")}
        names = {tag.id: tag.name for tag in self.tags.values()}
        self.tag_sets = await sets.find_or_create_sets(
            self.ledger, wanted, names, "/tags", are_tags_added=self.are_tags_added
        )

    def resolve(self, columns: Columns) -> Columns:
        """Return the columns to write: without the id, and with ids instead of the names of category and tags."""
        resolved = {name: value for name, value in columns.items() if name not in {"id", "category", "tags"}}
        if "category" in columns:
            name = columns["category"]
            resolved["category_id"] = None if name is None else self.categories[make_name_key(name)][0]
        if "payee" in columns:
            payee = columns["payee"]
            resolved["payee_id"] = None if payee is None else self.payees[make_name_key(payee)]
        if "tags" in columns:
            tags = columns["tags"]
            resolved["tag_set_id"] = None if tags is None else self.tag_sets[self._find_tag_ids(tags)]
        return resolved

    def _find_tag(self, name: str, pointer: str) -> str:
        key = make_name_key(name)
        if key in self.tags:
            return self.tags[key].name
        if key not in self.new_tags and len(self.new_tags) >= self.remaining_tags:
            raise tag_names.too_many_tags_problem(pointer)
        return self.new_tags.setdefault(key, name)

    def _find_tag_ids(self, names: str) -> frozenset[int]:
        return frozenset(self.tags[make_name_key(name)].id for name in sets.split_names(names))


async def load_references(ledger: Ledger, bodies: Collection[Mapping[str, Any]]) -> References:
    """Load the categories and tags that the bodies name."""
    keys = {make_name_key(body["category"]) for body in bodies if body.get("category") is not None}
    categories = await category_names.find_categories(ledger, keys)
    remaining = await category_names.count_remaining(ledger) if keys - categories.keys() else 0
    tag_keys = {make_name_key(name) for body in bodies for name in body.get("tags") or ()}
    tags = await tag_names.find_tags(ledger, tag_keys)
    remaining_tags = await tag_names.count_remaining(ledger) if tag_keys - tags.keys() else 0
    return References(ledger, categories, remaining, tags, remaining_tags)


async def find_or_create_references(
    ledger: Ledger, category: str | None, payee: str | None, tags: Collection[str]
) -> Columns:
    """Return the columns by which one new expense refers to these, and the names as they are shown.

    Without tags, and where the category and the payee exist, that is one statement.
    """
    columns = await _refer_to_category_and_payee(ledger, category, payee)
    if not tags:
        return columns | {"tag_set_id": None, "tags": None}
    references = await load_references(ledger, [{"tags": tags}])
    shown = {"tags": references.plan_tags(tags)}
    await references.create_missing([shown])
    return columns | shown | references.resolve(shown)


async def _refer_to_category_and_payee(ledger: Ledger, category: str | None, payee: str | None) -> Columns:
    if payee is None:
        category_id, name = await category_names.find_or_create_category(ledger, category)
        return {"category_id": category_id, "category": name, "payee_id": None}
    keys = {"category_key": make_name_key(category or ""), "payee_key": make_name_key(payee)}
    found = {
        kind: (row_id, name) for kind, row_id, name in await ledger.fetch_all_prepared(_CATEGORY_AND_PAYEE, **keys)
    }
    category_id, name = found.get("category", (None, category))
    if category is not None and category_id is None:
        category_id = await category_names.insert_category(ledger, category, "/category")
    payee_id = found["payee"][0] if "payee" in found else await payee_names.insert_payee(ledger, keys["payee_key"])
    return {"category_id": category_id, "category": name, "payee_id": payee_id}
