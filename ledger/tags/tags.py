"""Tags as a resource: list, read, rename, merge and delete them; expenses make them."""

from collections import Counter
from datetime import date
from typing import Any, Final

from sqlalchemy import Row, bindparam, func, select, update

from infra.slices import iterate_in_slices
from ledger.core import Ledger
from ledger.editing import Precondition, delete_rows, refuse_changed_row
from ledger.tags import sets
from ledger.tags.names import find_tag, load_tags
from ledger.tags.schemas import Tag as TagAnswer
from ledger.tags.schemas import TagDeleteQuery, TagUpdate, TagWithUsage
from models import Expense, Tag, TagSet
from problems import AlreadyExists, NotFound, ValidationFailed
from values.field_errors import field_error, parameter_error
from values.texts import make_name_key, make_sort_key

SELECT_TAGS: Final = select(Tag.id, Tag.name, Tag.revision, Tag.created_at, Tag.updated_at).where(Tag.mine())
_ONE: Final = SELECT_TAGS.where(Tag.id == bindparam("row_id"))
_TAG_IDS: Final = (
    select(TagSet.tag_ids).where(TagSet.mine(), TagSet.id == Expense.tag_set_id).correlate(Expense).scalar_subquery()
)
# Answered by the index on (owner_id, tag_set_id, spent_on, id), which covers it. It is one statement, because a merge
# may delete sets at any moment.
_SELECT_USAGE: Final = (
    select(
        _TAG_IDS.label("tag_ids"), func.count().label("expense_count"), func.max(Expense.spent_on).label("last_used")
    )
    .where(Expense.mine(), Expense.tag_set_id.is_not(None))
    .group_by(Expense.tag_set_id)
    .with_hint(Expense, "FORCE INDEX (ix_expenses_owner_id_tag_set_id_spent_on_id)", "mysql")
)


async def list_tags(ledger: Ledger, *, with_usage: bool) -> list[TagWithUsage]:
    """Return all tags, sorted by name; `with_usage` adds the number of expenses and the last day."""
    tags = sorted(await ledger.fetch_all(SELECT_TAGS), key=lambda row: make_sort_key(row.name))
    if not with_usage:
        return [TagWithUsage(**row._asdict()) for row in tags]
    counts, days = await _load_usage(ledger)
    return [TagWithUsage(**row._asdict(), expense_count=counts[row.id], last_used=days.get(row.id)) for row in tags]


async def read_tag(ledger: Ledger, tag_id: int) -> TagAnswer:
    """Return one tag."""
    return build_tag(await _load_tag(ledger, tag_id))


async def change_tag(ledger: Ledger, tag_id: int, change: TagUpdate, condition: Precondition) -> TagAnswer:
    """Rename a tag, also on its expenses, which get the new revision; raise AlreadyExists if another has the name."""
    row = await _load_tag(ledger, tag_id)
    refuse_changed_row(row.revision, condition, change.revision)
    name = change.name
    if name is None or name == row.name:
        return build_tag(row)
    holder = await find_tag(ledger, name)
    if holder and holder.id != tag_id:
        raise tag_exists_problem(holder.id)
    stamp = ledger.stamp_change()
    values = {"name": name, "name_key": make_name_key(name), **stamp}
    await ledger.execute_exactly(1, update(Tag).where(Tag.mine(), Tag.id == tag_id).values(values))
    await sets.rename_tag(ledger, tag_id, await load_tags(ledger))
    return await read_tag(ledger, tag_id)


async def delete_tag(ledger: Ledger, tag_id: int, query: TagDeleteQuery, condition: Precondition) -> None:
    """Take a tag off its expenses, or with `move_to` give them that tag instead, and delete it."""
    row = await _load_tag(ledger, tag_id)
    refuse_changed_row(row.revision, condition)
    target = await _find_target(ledger, tag_id, query.move_to) if query.move_to is not None else None
    await sets.replace_tag(ledger, tag_id, target, await load_tags(ledger))
    await delete_rows(ledger, 1, Tag, Tag.mine(), Tag.id == tag_id)


def build_tag(row: Row[Any]) -> TagAnswer:
    """Build the answer from a row of SELECT_TAGS."""
    return TagAnswer.model_validate(row._asdict())


def tag_exists_problem(existing_id: int) -> AlreadyExists:
    """Return the problem of a second tag with the same name."""
    error = field_error(
        "/name", "already_exists", "You have a tag of this name; to merge the two, delete this one with `move_to`."
    )
    return AlreadyExists(errors=[error], members={"existing_id": existing_id})


async def _load_tag(ledger: Ledger, tag_id: int) -> Row[Any]:
    row = await ledger.fetch_one(_ONE, row_id=tag_id)
    if row is None:
        raise NotFound
    return row


async def _load_usage(ledger: Ledger) -> tuple[Counter[int], dict[int, date]]:
    """Return the number of expenses of each tag, and the day of the latest."""
    counts: Counter[int] = Counter()
    days: dict[int, date] = {}
    async for row in iterate_in_slices(await ledger.fetch_in_slices(_SELECT_USAGE)):
        for tag in sets.parse_ids(row.tag_ids):
            counts[tag] += row.expense_count
            days[tag] = max(row.last_used, days.get(tag, row.last_used))
    return counts, days


async def _find_target(ledger: Ledger, tag_id: int, move_to: str) -> int:
    target = await find_tag(ledger, move_to)
    if target is None:
        raise ValidationFailed(errors=[parameter_error("move_to", "not_found", "You have no tag of this name.")])
    if target.id == tag_id:
        raise ValidationFailed(errors=[parameter_error("move_to", "not_allowed", "This is the tag to delete.")])
    return target.id
