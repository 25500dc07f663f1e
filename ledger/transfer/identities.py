"""Identities: which rows of a file are known. Pure: what the ledger knows is given.

    the file has        the source knows          becomes
    bank id 17          bank id 17                existing; `changed` if the day or the amount is another
    coffee, coffee      coffee                    existing, new
    coffee              coffee, coffee            existing
    coffee              coffee, which was deleted existing (`deleted`); new with `deleted: import`

    the parts of an entry     the whole entry         existing, and conversely
    an entry and its fee      the entry               existing: its amount may have had the fee

So of equal rows the ledger has as many as the file that has most of them, whatever the options.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import date
from itertools import count
from typing import NamedTuple

from ledger.transfer.choices import Choices
from ledger.transfer.readers.drafts import Draft
from ledger.transfer.readers.entries import RowError
from ledger.transfer.rows import FileRow, KnownRow, make_bank_key, make_key, make_text_key

Place = tuple[str, str]
"""The keys of a source and of a row."""


class OwnExpense(NamedTuple):
    """An expense of the ledger that a row may name by its `id` or its `external_id`."""

    id: int
    is_live: bool
    day: date
    amount: int
    currency: str
    payee: str | None
    description: str | None

    def is_told_by(self, row: FileRow) -> bool:
        """Whether a row says the same of it, apart from names that may have been changed meanwhile."""
        said = (*row.place, row.expense.payee, row.expense.description)
        return said == (self.currency, self.amount, self.day, self.payee, self.description)


def list_keys(row: FileRow) -> list[str]:
    """Return the keys by which a row may be known; where the option `lines` says that it is new, also by its texts."""
    if not row.is_undecided:
        return []
    if row.choice == "new" or row.head is not None or row.draft.parts:
        return [row.key, make_text_key(row.draft.fingerprint), *_list_part_keys(row), *_list_head_keys(row)]
    return [row.key]


def _list_part_keys(row: FileRow) -> list[str]:
    return [make_text_key(part) for part in row.draft.parts]


def _list_head_keys(row: FileRow) -> list[str]:
    return [] if row.head is None else [make_key(row.head)]


class KnownRows:
    """The rows that a source knows, each of which is found once: those with a live expense first."""

    def __init__(self) -> None:
        self._known: dict[Place, list[KnownRow]] = {}
        self._waiting: dict[Place, list[KnownRow]] = {}
        self._free: dict[Place, Iterator[int]] = {}

    def add(self, it: KnownRow) -> None:
        """Add a known row; all are added before the first is looked for."""
        self._known.setdefault((it.source, it.key), []).append(it)

    def find(self, row: FileRow, *, is_same: bool) -> KnownRow | None:
        """Return a known row that was not found yet; with `is_same` one that has the row's day, amount and currency."""
        place = row.source, row.key
        if place not in self._waiting:
            known = [*self._known.get(place, ()), *self._list_otherwise_known(row)]
            # The last one is found first.
            self._waiting[place] = sorted(known, key=lambda it: (it.is_live, it.key == row.key, -it.occurrence))
        waiting = self._waiting[place]
        for index in reversed(range(len(waiting))):
            if not is_same or waiting[index].is_same(row):
                return waiting.pop(index)
        return None

    def _list_otherwise_known(self, row: FileRow) -> list[KnownRow]:
        """Return the rows that were imported with other options: the whole ones of a part, the parts of a whole one.

        A separate fee has a row of its own beside the entry's, so only entries without one may have it in their amount.
        """
        if row.head is not None:
            wholes = self._known.get((row.source, make_key(row.head)), [])
            return wholes[len(self._known.get((row.source, row.key), ())) :] if row.is_fee else wholes
        parts = [self._known.get((row.source, key), []) for key in _list_part_keys(row)]
        return max(parts, key=len, default=[])

    def number(self, row: FileRow) -> int:
        """Return the occurrence of a row that becomes known."""
        if row.known is not None:
            return row.known.occurrence
        place = row.source, row.key
        if place not in self._free:
            self._free[place] = _count_without({it.occurrence for it in self._known.get(place, ())})
        return next(self._free[place])


def _count_without(taken: AbstractSet[int]) -> Iterator[int]:
    return (number for number in count(1) if number not in taken)


def identify(row: FileRow, known: KnownRows, choices: Choices, *, is_same: bool) -> None:
    """Settle an undecided row if it is known.

    With `is_same` first, so that of several with its key a row is the one that has its amount.
    """
    if not row.is_undecided or row.known is not None:
        return
    row.known = known.find(row, is_same=is_same)
    if row.choice == "new" and row.known and row.known.is_live and row.is_changed:
        # The caller says that the bank has used its id again, so the row is known by its texts.
        row.key = make_text_key(row.draft.fingerprint)
        row.known = known.find(row, is_same=False)
    if row.known is None:
        return
    if row.known.is_live:
        row.settle("existing", "changed" if row.is_changed else None, row.known.expense_id)
    elif choices.deleted == "keep" and row.choice is None:
        row.settle("existing", "deleted")
    elif row.known.key != row.key:
        # It becomes known beside the deleted row, whose other parts stay deleted.
        row.known = None


@dataclass(slots=True)
class NamedExpenses:
    """The expenses that rows name by `id` or `external_id`."""

    by_id: Mapping[int, OwnExpense]
    by_external_id: Mapping[str, OwnExpense]
    _firsts: dict[str, FileRow] = field(default_factory=dict)
    """The first undecided row of each `external_id`."""

    def settle(self, row: FileRow, choices: Choices) -> None:
        """Settle an undecided row if the expense that it names is there; by `id` only if it says the same of it."""
        external_id = row.expense.external_id
        named, own = self.by_external_id.get(external_id or ""), self.by_id.get(row.draft.own_id or 0)
        found = named or (own if own and own.is_told_by(row) else None)
        if found and found.is_live:
            row.settle("existing", None, found.id)
        elif found and choices.deleted == "keep" and row.choice is None:
            row.settle("existing", "deleted")
        elif external_id is not None:
            _settle_repeated(row, self._firsts.setdefault(external_id, row))


def _settle_repeated(row: FileRow, first: FileRow) -> None:
    """Settle a row whose `external_id` an earlier one of the file has; refuse it if the two are not the same."""
    if row is first:
        return
    if row.place == first.place:
        row.settle("existing")
    else:
        detail = f"Row {first.draft.number} has this id too, with another day or amount."
        row.refuse([RowError("external_id", "already_exists", detail)])


def list_all_keys(draft: Draft) -> list[str]:
    """Return the keys by which a row of the file may be known, whatever the options, also one that is not imported."""
    texts = [draft.fingerprint, *draft.parts] if draft.fee is None else [draft.fingerprint, *draft.parts, draft.fee]
    keys = [make_text_key(it) for it in texts]
    return keys if draft.bank_id is None else [*keys, make_bank_key(draft.bank_id)]


def lacks_rows(in_file: Mapping[str, int], known: Sequence[tuple[str, int | None]]) -> bool:
    """Whether a file lacks one of the rows that its source knows within the same days: each a key and an expense.

    An expense that came in two formats has a row of each; the file has one of them.
    """
    left = Counter(in_file)
    keys: dict[int | None, list[str]] = {}
    for key, expense_id in known:
        if expense_id is None:
            left[key] -= 1
        else:
            keys.setdefault(expense_id, []).append(key)
    for several in sorted(keys.values(), key=len):
        left[max(several, key=lambda key: left[key])] -= 1
    return any(number < 0 for number in left.values())
