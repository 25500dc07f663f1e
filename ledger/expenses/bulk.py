"""Bulk changes: change or delete all expenses that match a filter.

Which tags an expense gets depends on those that it has, so expenses are changed by their tag set:

    tag set   add "b", remove "c"   UPDATE of
    {a}       {a, b}                all that match and have {a}: the new set, and the other new values
    {a, c}    {a, b}                all that match and have {a, c}
    {b}       stays {b}             those with such sets, together, whose other values differ
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, and_, case, false, func, literal, null, or_, select, true, update

from infra.slices import batched
from ledger.categories.names import find_category_id, find_or_create_category
from ledger.core import Ledger
from ledger.editing import Precondition, refuse_changed_row
from ledger.expenses import trash
from ledger.expenses.filter_ids import FilterIds
from ledger.expenses.filters import BulkQuery, read_filtered
from ledger.expenses.retagging import Retagging, TagKeys, load_retagging
from ledger.expenses.rows import SEARCHED_TEXTS, build_columns
from ledger.expenses.schemas import BulkChange, ExpenseChange
from ledger.payees.names import find_or_create_payee
from ledger.quotas import measure_column
from ledger.tags.sets import SETS_PER_STATEMENT
from ledger.unused import refuse_outgrown_quota
from models import Expense
from problems import FilterRequired
from values.sizes import measure

Conditions = Sequence[ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class _Edit:
    """A bulk change: the columns to set, and the tags to add and to remove."""

    change: ExpenseChange
    values: dict[str, Any]
    is_category_new: bool
    retagging: Retagging | None

    @property
    def differs(self) -> ColumnElement[bool]:
        """The condition that an expense has other values, apart from its tags."""
        if self.is_category_new:
            return true()
        return or_(false(), *(getattr(Expense, key).is_distinct_from(self.values[key]) for key in self.values))

    @property
    def replaced_texts(self) -> list[str]:
        """The texts that every changed expense gets."""
        return [name for name in SEARCHED_TEXTS if name in self.values]


@dataclass(frozen=True, slots=True)
class _Group:
    """The matching expenses of one tag set, or all of them if no tags are changed."""

    tag_set_id: int | None
    matched: int
    differing: int
    """The number of those that differ apart from their tags."""
    size: int
    """The bytes of the texts that they would lose."""
    differing_size: int


async def change_matching(
    ledger: Ledger, query: BulkQuery, change: ExpenseChange, condition: Precondition
) -> BulkChange:
    """Change all matching expenses; rows that already have the new values are not touched."""
    return await read_filtered(ledger, query, partial(_change_matching, ledger, query, change, condition))


async def _change_matching(
    ledger: Ledger, query: BulkQuery, change: ExpenseChange, condition: Precondition, ids: FilterIds
) -> BulkChange:
    matching = _build_conditions(ledger, query, ids)
    refuse_changed_row(None, condition)
    edit = await _load_edit(ledger, change)
    groups = await _count_matching(ledger, edit, matching)
    planned = await edit.retagging.plan([it.tag_set_id for it in groups]) if edit.retagging else {}
    retagged = [it for it in groups if it.tag_set_id in planned]
    others = [it for it in groups if it.tag_set_id not in planned]
    changed = sum(it.matched for it in retagged) + sum(it.differing for it in others)
    matched = sum(it.matched for it in groups)
    if query.dry_run or not changed:
        return BulkChange(matched=matched, revision=None)
    lost = sum(it.size for it in retagged) + sum(it.differing_size for it in others)
    _count_texts(ledger, edit, changed, lost)
    values = edit.values | await _create_references(ledger, edit)
    values |= ledger.stamp_change() | {"edited": True}
    if differing := sum(it.differing for it in others):
        unaffected = [*matching, _has_none_of(planned), edit.differs] if planned else [*matching, edit.differs]
        await _update(ledger, differing, unaffected, values)
    if edit.retagging and planned:
        await _update_retagged(ledger, retagged, await edit.retagging.create_sets(planned), matching, values)
    await refuse_outgrown_quota(ledger)
    return BulkChange(matched=matched, revision=ledger.revision)


async def delete_matching(ledger: Ledger, query: BulkQuery, condition: Precondition) -> BulkChange:
    """Move all matching expenses to the trash, with as many statements as for one."""
    return await read_filtered(ledger, query, partial(_delete_matching, ledger, query, condition))


async def _delete_matching(ledger: Ledger, query: BulkQuery, condition: Precondition, ids: FilterIds) -> BulkChange:
    matching = _build_conditions(ledger, query, ids)
    refuse_changed_row(None, condition)
    counted = select(func.count()).select_from(Expense).where(Expense.mine(), *matching)
    matched = (await ledger.execute(counted)).scalar_one()
    if query.dry_run or not matched:
        return BulkChange(matched=matched, revision=None)
    return BulkChange(matched=matched, revision=await trash.move_to_trash(ledger, matched, Expense.mine(), *matching))


def _build_conditions(ledger: Ledger, query: BulkQuery, ids: FilterIds) -> list[ColumnElement[bool]]:
    """Return the conditions of the filter; raise FilterRequired if there are none."""
    span = query.resolve_span(ledger.today, ledger.owner.month_start_day)
    matching = list(query.clauses(span, ids))
    if not matching:
        raise FilterRequired
    return matching


async def _load_edit(ledger: Ledger, change: ExpenseChange) -> _Edit:
    """Return the columns to set; a category that is yet to be made has no id, and neither has a payee."""
    sent = {name: value for name, value in change.dump_sent().items() if name not in {"add_tags", "remove_tags"}}
    values = build_columns(sent)
    if "category" in sent:
        values["category_id"] = await find_category_id(ledger, change.category)
    is_category_new = change.category is not None and values["category_id"] is None
    return _Edit(change, values, is_category_new, await load_retagging(ledger, change))


async def _count_matching(ledger: Ledger, edit: _Edit, matching: Conditions) -> list[_Group]:
    set_id = Expense.tag_set_id if edit.retagging else null()
    size = sum((measure_column(getattr(Expense, name)) for name in edit.replaced_texts), literal(0))
    counted = select(
        set_id.label("tag_set_id"),
        func.count(),
        func.count(case((edit.differs, 1))),
        func.coalesce(func.sum(size), 0),
        func.coalesce(func.sum(case((edit.differs, size))), 0),
    ).where(Expense.mine(), *matching)
    if edit.retagging:
        counted = counted.group_by(Expense.tag_set_id)
    return [_Group(row[0], *map(int, row[1:])) for row in await ledger.fetch_all(counted.select_from(Expense))]


def _count_texts(ledger: Ledger, edit: _Edit, changed: int, lost: int) -> None:
    """Count the texts that so many expenses get, and the bytes that they lose."""
    if texts := edit.replaced_texts:
        sizes = {name: measure(edit.values[name]) for name in texts}
        ledger.add_text(changed * sum(sizes.values()) - lost, f"/{max(texts, key=lambda name: sizes[name])}")


async def _create_references(ledger: Ledger, edit: _Edit) -> dict[str, Any]:
    """Return the ids that the values lack, of a category and a payee, which are created if there is none."""
    ids: dict[str, Any] = {}
    if edit.is_category_new:
        ids["category_id"], _ = await find_or_create_category(ledger, edit.change.category)
    if "payee" in edit.values:
        payee = edit.change.payee
        ids["payee_id"] = None if payee is None else await find_or_create_payee(ledger, payee)
    return ids


def _has_none_of(planned: Mapping[int | None, TagKeys]) -> ColumnElement[bool]:
    """Return the condition that an expense has none of these tag sets."""
    other_set = Expense.tag_set_id.not_in([set_id for set_id in planned if set_id is not None])
    without = Expense.tag_set_id.is_(None)
    return and_(Expense.tag_set_id.is_not(None), other_set) if None in planned else or_(without, other_set)


async def _update_retagged(
    ledger: Ledger,
    groups: Sequence[_Group],
    becomes: Mapping[int | None, int | None],
    matching: Conditions,
    values: Mapping[str, Any],
) -> None:
    """Give the expenses of each group their new tag set; no such set is one of the groups' sets itself."""
    tagged = [it for it in groups if it.tag_set_id is not None]
    for some in batched(tagged, SETS_PER_STATEMENT):
        new = {it.tag_set_id: becomes[it.tag_set_id] for it in some}
        those = [*matching, Expense.tag_set_id.in_(list(new))]
        new_set = case(new, value=Expense.tag_set_id)
        await _update(ledger, sum(it.matched for it in some), those, {**values, "tag_set_id": new_set})
    for untagged in (it for it in groups if it.tag_set_id is None):
        those = [*matching, Expense.tag_set_id.is_(None)]
        await _update(ledger, untagged.matched, those, {**values, "tag_set_id": becomes[None]})


async def _update(ledger: Ledger, rows: int, conditions: Conditions, values: Mapping[str, Any]) -> None:
    await ledger.execute_exactly(rows, update(Expense).where(Expense.mine(), *conditions).values(values))
