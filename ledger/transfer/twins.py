"""Twins: rows that came without a source, and come again with one. Pure.

    the twin's expense is     the row is
    live                      a question, or what `on_match` says (matching.py)
    deleted                   existing, `deleted`; with `deleted: import` new, instead of the deleted one

Equal rows have equal twins, so that it does not matter which row has which; the live ones are taken first.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from ledger.transfer.choices import Choices
from ledger.transfer.rows import FileRow, KnownRow
from ledger.transfer.sources import UNNAMED


@dataclass(slots=True)
class Twins:
    """The rows without a source that are exactly undecided rows with one, by their key."""

    live: dict[str, list[int]] = field(default_factory=dict)
    """Their expenses."""
    deleted: dict[str, list[KnownRow]] = field(default_factory=dict)


def find_twins(rows: Iterable[FileRow], known: Sequence[KnownRow], claimed: AbstractSet[int]) -> Twins:
    """Return the twins of undecided rows whose expenses are none of the `claimed`."""
    twins = Twins()
    unnamed = [it for it in known if it.source == UNNAMED and it.expense_id not in claimed]
    keys = {row.key for row in rows if row.source != UNNAMED} if unnamed else set[str]()
    for it in unnamed:
        if it.key not in keys:
            continue
        if it.is_live and it.expense_id is not None:
            twins.live.setdefault(it.key, []).append(it.expense_id)
        elif not it.is_live:
            twins.deleted.setdefault(it.key, []).append(it)
    return twins


def settle_deleted(rows: Iterable[FileRow], twins: Twins, choices: Choices) -> None:
    """Settle the undecided rows whose twin was deleted."""
    if not twins.deleted:
        return
    left = {key: len(ids) for key, ids in twins.live.items()}
    for row in rows:
        if left.get(row.key, 0):
            left[row.key] -= 1
        elif row.key in twins.deleted and row.source != UNNAMED:
            _settle(row, twins.deleted, choices)


def _settle(row: FileRow, deleted: Mapping[str, list[KnownRow]], choices: Choices) -> None:
    if not deleted[row.key]:
        return
    twin = deleted[row.key].pop()
    if choices.deleted == "keep":
        row.settle("existing", "deleted")
    elif twin.expense_id is not None:
        row.replaced = [twin.expense_id]
