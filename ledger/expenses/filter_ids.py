"""The ids of what a filter names, read before the expenses: one statement for all of them, and none without names.

    category=Food          category_id (7, 9)    Food and its child Bread
    uncategorized=true     category_id (None,)   or with the above (7, 9, None)
    payee=lidl             payee_id (3,)
    tag=a&tag=b            tag_set_id (5, 8)     the sets that have both

One id is compared with `=`, so that an index has its expenses in the order of days; `pages` merges those of several.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, Select, or_, select
from sqlalchemy.orm import InstrumentedAttribute, aliased

from ledger.tags.sets import has_tag
from models import Category, Expense, Payee, Tag, TagSet
from values.texts import make_name_key

Ids = tuple[int | None, ...]
"""Alternatives; None stands for expenses without one."""
Column = InstrumentedAttribute[int | None]
MAX_SET_IDS: Final = 1_000
"""If more tag sets have a tag, their ids are not read: a subquery finds them."""


class FilterIds(NamedTuple):
    """The ids that each column may have; None: any."""

    tag_set_id: Ids | Select[int] | None = None
    """The statement that finds the ids, if they are more than MAX_SET_IDS."""
    payee_id: Ids | None = None
    category_id: Ids | None = None

    def list_alternatives(self) -> list[tuple[Column, Ids]]:
        """Return the columns that are restricted to ids, each with these."""
        return [(getattr(Expense, name), ids) for name, ids in self._asdict().items() if isinstance(ids, tuple)]

    def without(self, column: Column) -> "FilterIds":
        """Return the same without the ids of one column."""
        return self._replace(**{column.key: None})

    def clauses(self) -> Iterator[ColumnElement[bool]]:
        """Yield the conditions on expenses."""
        for column, ids in self.list_alternatives():
            yield match_ids(column, ids)
        if isinstance(self.tag_set_id, Select):
            yield Expense.tag_set_id.in_(self.tag_set_id)


def match_ids(column: Column, ids: Ids) -> ColumnElement[bool]:
    """Return the condition that a column has one of these ids."""
    known = [row_id for row_id in ids if row_id is not None]
    # An empty IN, not `false()`: SQLAlchemy would reduce the whole WHERE to that, without the owner.
    has_one = column == known[0] if len(known) == 1 else column.in_(known)
    if None not in ids:
        return has_one
    return or_(column.is_(None), has_one) if known else column.is_(None)


def select_categories(names: Sequence[str], *, with_children: bool) -> Select[int]:
    """Select the ids of the categories of these names, and of their children."""
    keys = [make_name_key(name) for name in names]
    parent = aliased(Category)
    children = Category.parent_id.in_(select(parent.id).where(parent.mine(), parent.name_key.in_(keys)))
    named = Category.name_key.in_(keys)
    return select(Category.id).where(Category.mine(), or_(named, children) if with_children else named)


def select_payees(names: Sequence[str]) -> Select[int]:
    """Select the ids of the payees of these names."""
    return select(Payee.id).where(Payee.mine(), Payee.name_key.in_([make_name_key(name) for name in names]))


def select_tag_sets(names: Sequence[str]) -> Select[int]:
    """Select the ids of the tag sets that have all tags of these names."""
    tags = [select(Tag.id).where(Tag.mine(), Tag.name_key == make_name_key(name)) for name in names]
    return select(TagSet.id).where(TagSet.mine(), *(has_tag(tag.scalar_subquery()) for tag in tags))
