"""Tags that many expenses get and lose: which tag set each set becomes, worked out before anything is written."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from infra.slices import iterate_in_slices
from ledger.core import Ledger
from ledger.expenses.references import References, load_references
from ledger.expenses.schemas import ExpenseChange
from ledger.tags import sets
from ledger.tags.names import load_tags
from problems import ValidationFailed
from values.field_errors import field_error
from values.texts import MAX_TAGS_OF_EXPENSE, make_name_key

TagKeys = frozenset[str]
"""The tags of a set, by the keys of their names: those that are yet to be made have no id."""
ADD_TAGS: Final = "/add_tags"


@dataclass(frozen=True, slots=True)
class Retagging:
    """The tags to add and to remove."""

    references: References
    names: Sequence[str]
    """The names of the tags to add."""
    added: TagKeys
    removed: TagKeys

    async def plan(self, set_ids: Collection[int | None]) -> dict[int | None, TagKeys]:
        """Return what each of these sets (None: no tags) becomes, without those that stay as they are.

        Raises ValidationFailed if one would have more than 20 tags.
        """
        stored = [set_id for set_id in set_ids if set_id is not None]
        names = await sets.load_names(self.references.ledger, stored)
        # A dry run locks nothing: a set that was deleted meanwhile is missing here.
        before = {
            set_id: frozenset(map(make_name_key, names.get(set_id or 0, ())))
            async for set_id in iterate_in_slices(set_ids)
        }
        after = {set_id: (had | self.added) - self.removed for set_id, had in before.items()}
        if any(len(has) > MAX_TAGS_OF_EXPENSE for has in after.values()):
            raise overfull_expense_problem()
        return {set_id: has for set_id, has in after.items() if has != before[set_id]}

    async def create_sets(self, planned: Mapping[int | None, TagKeys]) -> dict[int | None, int | None]:
        """Return the id of the set that each becomes, or None for no tags; create tags and sets that are missing."""
        ledger = self.references.ledger
        self.references.plan_tags(self.names, ADD_TAGS)
        await self.references.create_missing([])
        names = await load_tags(ledger)
        ids = {make_name_key(name): tag for tag, name in names.items()}
        wanted = {
            set_id: frozenset(ids[key] for key in has) async for set_id, has in iterate_in_slices(planned.items())
        }
        pointer = ADD_TAGS if self.added else "/remove_tags"
        found = await sets.find_or_create_sets(
            ledger, set(filter(None, wanted.values())), names, pointer, are_tags_added=bool(self.added)
        )
        return {set_id: found[tags] if tags else None for set_id, tags in wanted.items()}


async def load_retagging(ledger: Ledger, change: ExpenseChange) -> Retagging | None:
    """Return the tags that a bulk change adds and removes, or None if it changes no tags."""
    added, removed = change.add_tags or (), change.remove_tags or ()
    if not (added or removed):
        return None
    references = await load_references(ledger, [{"tags": added}])
    return Retagging(references, added, frozenset(map(make_name_key, added)), frozenset(map(make_name_key, removed)))


def overfull_expense_problem() -> ValidationFailed:
    """Return the problem of a bulk change after which an expense would have more than 20 tags."""
    detail = f"An expense that matches would have more than {MAX_TAGS_OF_EXPENSE} tags; nothing was changed."
    return ValidationFailed(errors=[field_error(ADD_TAGS, "too_long", detail)])
