r"""Tag sets: the tags that expenses have together.

    expenses                    tag_sets                                     tags
    amount     tag_set_id       id   tag_ids   names                         id   name
    12.50      5                5    /3/17/    holiday\nshared              3    shared
    8.00       5                6    /3/       shared                        17   holiday
    3.20       null

A page reads the names of a set by its id, as it reads the name of a category. Filters and groups by tag use the id of
the set. Renaming a tag rewrites the names in its sets. The daily sweep deletes a set that no expense has any more.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, String, case, cast, delete, func, literal, select, update
from sqlalchemy.orm import InstrumentedAttribute

from infra.slices import batched, iterate_in_slices
from ledger.core import Ledger
from ledger.quotas import measure_column
from ledger.unused import MAX_NAMES, delete_unreferenced
from models import ID_LENGTH, MAX_TAG_SETS, Expense, TagSet, TrashedExpense
from problems import TooMany
from values.field_errors import field_error
from values.sizes import measure
from values.texts import make_sort_key

SETS_PER_STATEMENT: Final = 100
_COUNT: Final = select(func.count()).select_from(TagSet).where(TagSet.mine())
_SELECT: Final = select(TagSet.id, TagSet.tag_ids, TagSet.names).where(TagSet.mine())


def write_names(names: Iterable[str]) -> str | None:
    """Return the `names` of a set, sorted by name; None if there are none."""
    return "\n".join(sorted(names, key=make_sort_key)) or None


def split_names(names: str | None) -> list[str]:
    """Return the names of the tags of a set, of no set none."""
    return names.split("\n") if names else []


def write_ids(tag_ids: Iterable[int]) -> str:
    """Return the `tag_ids` of a set."""
    return "/" + "".join(f"{tag_id}/" for tag_id in sorted(tag_ids))


def parse_ids(tag_ids: str) -> frozenset[int]:
    """Return the ids of the tags of a set."""
    return frozenset(map(int, tag_ids.strip("/").split("/")))


def has_tag(tag_id: ColumnElement[int] | InstrumentedAttribute[int] | int) -> ColumnElement[bool]:
    """Return the condition that a set has a tag; if the id is null, so is the condition, and nothing matches."""
    slash = literal("/")
    return func.instr(TagSet.tag_ids, slash + cast(tag_id, String(ID_LENGTH)) + slash) > 0


async def load_names(ledger: Ledger, set_ids: Iterable[int]) -> dict[int, list[str]]:
    """Return the names of the tags of these sets, by the id of the set."""
    rows = await ledger.fetch_in(_SELECT, TagSet.id, set_ids)
    return {row.id: split_names(row.names) async for row in iterate_in_slices(rows)}


async def find_or_create_sets(
    ledger: Ledger,
    wanted: Collection[frozenset[int]],
    names: Mapping[int, str],
    pointer: str,
    *,
    are_tags_added: bool,
) -> dict[frozenset[int], int]:
    """Return the ids of the sets with just these tags; `names` has the name of each tag.

    Raises TooMany, with the `pointer` of the field that changes tags, if the account would have more than 10,000 sets,
    or if there is no room for the names of new ones. Where tags are only taken off, the names always have room,
    although the set that is left may be a new one.
    """
    found = await find_sets(ledger, wanted)
    missing = [tags for tags in wanted if tags not in found]
    if not missing:
        return found
    if await _make_room(ledger, len(missing), pointer):
        # Some of those that were found may be deleted now.
        return await find_or_create_sets(ledger, wanted, names, pointer, are_tags_added=are_tags_added)
    rows = [
        {"tag_ids": write_ids(tags), "names": write_names(names[tag] for tag in tags)}
        async for tags in iterate_in_slices(missing)
    ]
    size = sum(measure(row["names"]) for row in rows)
    if are_tags_added:
        ledger.add_text(size, pointer)
    else:
        ledger.count(text_bytes=size)
    await ledger.insert_all(TagSet, rows)
    return found | await find_sets(ledger, missing)


async def find_sets(ledger: Ledger, wanted: Iterable[frozenset[int]]) -> dict[frozenset[int], int]:
    """Return the ids of those of these sets that exist."""
    rows = await ledger.fetch_in(_SELECT, TagSet.tag_ids, map(write_ids, wanted))
    return {parse_ids(row.tag_ids): row.id async for row in iterate_in_slices(rows)}


async def _make_room(ledger: Ledger, more: int, pointer: str) -> bool:
    """Delete sets that nothing has, if the account would have more than 10,000; return whether any was deleted.

    Raises TooMany if there is none. What many sets cost, such as renaming a tag that all of them have, would be a
    burden for other accounts.
    """
    if (await ledger.execute(_COUNT)).scalar_one() + more <= MAX_TAG_SETS:
        return False
    size = measure_column(TagSet.names)
    if not await delete_unreferenced(ledger, MAX_NAMES, TagSet.id, size, "tag_set_id"):
        raise too_many_sets_problem(pointer)
    return True


def too_many_sets_problem(pointer: str) -> TooMany:
    """Return the problem of too many different sets of tags; `pointer` is the field that names tags."""
    detail = (
        f"An account has at most {MAX_TAG_SETS:,} different sets of tags, those of deleted expenses included: give "
        "some expenses the same tags, or empty the trash."
    )
    return TooMany(detail, errors=[field_error(pointer, "not_allowed", detail)])


async def rename_tag(ledger: Ledger, tag_id: int, names: Mapping[int, str]) -> None:
    """Write the new name of a tag into its sets, and give its expenses the transaction's revision."""
    rows = await _load_sets_with(ledger, tag_id)
    await _stamp_expenses(ledger, [row.id for row in rows])
    rewritten = {row.id: parse_ids(row.tag_ids) async for row in iterate_in_slices(rows)}
    growth = await _rewrite_sets(ledger, rewritten, names) - sum(measure(row.names) for row in rows)
    ledger.add_text(growth, "/name")


async def replace_tag(ledger: Ledger, tag_id: int, replacement: int | None, names: Mapping[int, str]) -> None:
    """Give the expenses of a tag another one instead, or none, and the transaction's revision.

    A set becomes the one without the tag: if there is such a set already, its expenses move to that one. Deleted
    expenses keep the revision of their deletion.
    """
    rows = await _load_sets_with(ledger, tag_id)
    added = frozenset() if replacement is None else frozenset({replacement})
    becoming = {row.id: (parse_ids(row.tag_ids) - {tag_id}) | added async for row in iterate_in_slices(rows)}
    targets: dict[frozenset[int], int | None] = {frozenset(): None}
    targets |= await find_sets(ledger, set(becoming.values()) - targets.keys())
    moved: dict[int, int | None] = {}
    rewritten: dict[int, frozenset[int]] = {}
    for set_id, tags in becoming.items():
        if tags in targets:
            moved[set_id] = targets[tags]
        else:
            targets[tags] = set_id
            rewritten[set_id] = tags
    await _stamp_expenses(ledger, list(rewritten))
    await _move_expenses(ledger, moved)
    growth = await _rewrite_sets(ledger, rewritten, names) - sum(measure(row.names) for row in rows)
    ledger.count(text_bytes=growth)


async def _load_sets_with(ledger: Ledger, tag_id: int) -> Sequence[Row[Any]]:
    return await ledger.fetch_in_slices(_SELECT.where(has_tag(tag_id)))


async def _rewrite_sets(ledger: Ledger, rewritten: Mapping[int, frozenset[int]], names: Mapping[int, str]) -> int:
    """Give sets these tags, with their names; return the bytes of the names."""
    size = 0
    for set_ids in batched(rewritten, SETS_PER_STATEMENT):
        new_ids = {set_id: write_ids(rewritten[set_id]) for set_id in set_ids}
        new_names = {set_id: write_names(names[tag] for tag in rewritten[set_id]) for set_id in set_ids}
        size += measure(*new_names.values())
        values = {"tag_ids": case(new_ids, value=TagSet.id), "names": case(new_names, value=TagSet.id)}
        statement = update(TagSet).where(TagSet.mine(), TagSet.id.in_(set_ids)).values(values)
        await ledger.execute_exactly(len(set_ids), statement)
    return size


async def _stamp_expenses(ledger: Ledger, set_ids: Sequence[int]) -> None:
    stamp = ledger.stamp_change()
    for some in batched(set_ids, SETS_PER_STATEMENT):
        await ledger.execute(update(Expense).where(Expense.mine(), Expense.tag_set_id.in_(some)).values(stamp))


async def _move_expenses(ledger: Ledger, targets: Mapping[int, int | None]) -> None:
    """Give the expenses of some sets another set, or none, and delete these sets."""
    stamp = ledger.stamp_change()
    for some in batched(targets, SETS_PER_STATEMENT):
        becomes = {set_id: targets[set_id] for set_id in some}
        for table, changed in ((Expense, stamp), (TrashedExpense, {})):
            values = {**changed, "tag_set_id": case(becomes, value=table.tag_set_id)}
            await ledger.execute(update(table).where(table.mine(), table.tag_set_id.in_(some)).values(values))
        await ledger.execute_exactly(len(some), delete(TagSet).where(TagSet.mine(), TagSet.id.in_(some)))
