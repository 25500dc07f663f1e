"""Identities: which rows of a file are known. Pure: what the ledger knows is given.

    the file has        the source knows          becomes
    bank id 17          bank id 17                existing; `changed` if the day or the amount is another
    coffee, coffee      coffee                    existing, new
    coffee              coffee, coffee            existing
    coffee              coffee, which was deleted existing (`deleted`); new with `deleted: import`

So of equal rows the ledger has as many as the file that has most of them.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import count
from typing import NamedTuple

from ledger.transfer.choices import Choices
from ledger.transfer.readers.drafts import Draft
from ledger.transfer.readers.entries import RowError
from ledger.transfer.rows import BANK, FileRow, KnownRow, make_bank_key, make_text_key

Place = tuple[str, str]
"""The keys of a source and of a row."""


class OwnExpense(NamedTuple):
    """An expense of the ledger that a row may name by its `id` or its `external_id`."""

    id: int
    is_live: bool
    day: object
    amount: int
    currency: str
    payee: str | None
    description: str | None

    def is_told_by(self, row: FileRow) -> bool:
        """Whether a row says the same of it, apart from names that may have been changed meanwhile."""
        said = (row.day, row.amount, row.currency, row.expense.payee, row.expense.description)
        return said == (self.day, self.amount, self.currency, self.payee, self.description)


def list_keys(rows: Iterable[FileRow]) -> set[str]:
    """Return the keys of the rows that may be known; where the option `lines` says that one is new, both of them."""
    keys = {row.key for row in rows if row.is_undecided}
    return keys | {make_text_key(row.draft) for row in rows if row.is_undecided and row.choice == "new"}


class KnownRows:
    """The rows that a source knows, each of which is found once: those with a live expense first."""

    def __init__(self, known: Iterable[KnownRow]) -> None:
        self._waiting: dict[Place, list[KnownRow]] = defaultdict(list)
        occupied: dict[Place, set[int]] = defaultdict(set)
        for it in sorted(known, key=lambda row: (row.is_live, -row.occurrence)):
            # The last of each list is found first.
            self._waiting[it.source, it.key].append(it)
            occupied[it.source, it.key].add(it.occurrence)
        self._free = {place: _count_without(taken) for place, taken in occupied.items()}

    def find(self, source: str, key: str) -> KnownRow | None:
        """Return a known row that was not found yet."""
        waiting = self._waiting.get((source, key))
        return waiting.pop() if waiting else None

    def number(self, row: FileRow) -> int:
        """Return the occurrence of a row that becomes known."""
        if row.known is not None:
            return row.known.occurrence
        return next(self._free.setdefault((row.source, row.key), _count_without(frozenset())))


def _count_without(taken: AbstractSet[int]) -> Iterator[int]:
    return (number for number in count(1) if number not in taken)


def identify(rows: Iterable[FileRow], known: KnownRows, choices: Choices) -> None:
    """Settle the undecided rows that are known."""
    for row in rows:
        if row.is_undecided:
            _identify(row, known, choices)


def _identify(row: FileRow, known: KnownRows, choices: Choices) -> None:
    row.known = known.find(row.source, row.key)
    if row.choice == "new" and row.known and row.known.is_live and row.key.startswith(BANK) and row.is_changed:
        # The caller says that the bank has used its id again, so the row is known by its texts.
        row.key = make_text_key(row.draft)
        row.known = known.find(row.source, row.key)
    if row.known is None:
        return
    if row.known.is_live:
        is_changed = row.key.startswith(BANK) and row.is_changed
        row.settle("existing", "changed" if is_changed else None, row.known.expense_id)
    elif choices.deleted == "keep" and row.choice is None:
        row.settle("existing", "deleted")


def settle_named(
    rows: Iterable[FileRow], by_id: Mapping[int, OwnExpense], by_external_id: Mapping[str, OwnExpense], choices: Choices
) -> None:
    """Settle the undecided rows that name an expense by its `id`, if they say the same of it, or by `external_id`."""
    firsts: dict[str, FileRow] = {}
    for row in rows:
        if row.is_undecided:
            named = by_external_id.get(row.expense.external_id or "")
            own = by_id.get(row.draft.own_id or 0)
            found = named or (own if own and own.is_told_by(row) else None)
            if found and found.is_live:
                row.settle("existing", None, found.id)
            elif found and choices.deleted == "keep" and row.choice is None:
                row.settle("existing", "deleted")
            elif row.expense.external_id is not None:
                _settle_repeated(row, firsts.setdefault(row.expense.external_id, row))


def _settle_repeated(row: FileRow, first: FileRow) -> None:
    """Settle a row whose `external_id` an earlier one of the file has; refuse it if the two are not the same."""
    if row is first:
        return
    if (row.day, row.amount, row.currency) == (first.day, first.amount, first.currency):
        row.settle("existing")
    else:
        detail = f"Row {first.draft.number} has this id too, with another day or amount."
        row.refuse([RowError("external_id", "already_exists", detail)])


def count_keys(drafts: Iterable[Draft]) -> Counter[str]:
    """Return how often the file has each key, also of rows that are not imported."""
    counted: Counter[str] = Counter()
    for draft in drafts:
        counted[make_text_key(draft)] += 1
        if draft.bank_id is not None:
            counted[make_bank_key(draft.bank_id)] += 1
    return counted


def lacks_rows(in_file: Mapping[str, int], known: Sequence[str]) -> bool:
    """Whether a file lacks one of the rows, given by their keys, that its source knows within the same days."""
    return any(number > in_file.get(key, 0) for key, number in Counter(known).items())
