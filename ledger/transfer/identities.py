"""Identities: which rows of a file are known. Pure: what the ledger knows is given.

    the file has        the source knows          becomes
    bank id 17          bank id 17                existing; `changed` if the day or the amount is another
    coffee, coffee      coffee                    existing, new
    coffee              coffee, coffee            existing
    coffee              coffee, which was deleted existing (`deleted`); new with `deleted: import`, instead of the old

    the parts of an entry     the whole entry         existing, and conversely
    an entry and its fee      the entry               existing: its amount may have had the fee

So of equal rows the ledger has as many as the file that has most of them, whatever the options.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date
from itertools import count
from typing import NamedTuple

from ledger.transfer.choices import Choices
from ledger.transfer.readers.drafts import Draft
from ledger.transfer.readers.entries import RowError
from ledger.transfer.rows import BANK, FileRow, KnownRow, make_bank_key, make_key, make_text_key
from ledger.transfer.sources import UNNAMED

SourceKey = tuple[str, str]
"""The key of a source, and the key of a row in it, which equal rows share."""


class OwnExpense(NamedTuple):
    """An expense of the ledger that a row may name by its `id` or its `external_id`."""

    id: int
    is_live: bool
    day: date
    amount: int
    currency: str
    payee: str | None
    description: str | None

    def is_of(self, row: FileRow) -> bool:
        """Whether a row has its day, amount and currency."""
        return row.movement == (self.currency, self.amount, self.day)

    def may_be_told_by(self, row: FileRow) -> bool:
        """Whether a row says most of it: one of its day, its amount and its texts may have been changed meanwhile."""
        currency, amount, day = row.movement
        texts = row.expense.payee, row.expense.description
        same = [(currency, amount) == (self.currency, self.amount), day == self.day]
        return sum([*same, texts == (self.payee, self.description)]) >= 2  # noqa: PLR2004

    def is_told_by(self, row: FileRow) -> bool:
        """Whether a row says the same of it, apart from names that may have been changed meanwhile."""
        said = (*row.movement, row.expense.payee, row.expense.description)
        return said == (self.currency, self.amount, self.day, self.payee, self.description)


def list_keys_to_load(row: FileRow) -> list[str]:
    """Return the keys of known rows that decide about a row: its own, and those of its whole entry or of its parts."""
    if not row.is_undecided:
        return []
    if row.choice is None and row.head is None and not row.draft.parts:
        return [row.key]
    head = [] if row.head is None else [make_key(row.head)]
    return [row.key, make_text_key(row.draft.fingerprint), *_list_part_keys(row.draft), *head]


def list_possible_keys(draft: Draft, head: Draft | None = None) -> list[str]:
    """Return all keys by which options may have made a row of the file known, also if it is not imported now.

    `head` is the entry that it belongs to.
    """
    keys = [make_text_key(draft.fingerprint, head), *_list_part_keys(draft)]
    if draft.fee is not None:
        keys.append(make_text_key(draft.fee, draft))
    return keys if draft.bank_id is None else [*keys, make_bank_key(draft.bank_id)]


def _list_part_keys(draft: Draft) -> list[str]:
    return [make_text_key(part, draft) for part in draft.parts]


class KnownRows:
    """The rows that a source knows, each of which is found once: those with a live expense first."""

    def __init__(self) -> None:
        self._known: dict[SourceKey, list[KnownRow]] = {}
        self._waiting: dict[SourceKey, list[KnownRow]] = {}
        self._free: dict[SourceKey, Iterator[int]] = {}
        self._numbered: Counter[SourceKey] = Counter()
        """Of keys that are not known, the occurrences that rows have got."""
        self._replaced: set[int | None] = set()

    def add(self, it: KnownRow) -> None:
        """Add a known row; all are added before the first is looked for."""
        self._known.setdefault((it.source, it.key), []).append(it)

    def find(self, row: FileRow, *, is_same: bool) -> KnownRow | None:
        """Return a known row that was not found yet; with `is_same` one that has the row's day, amount and currency."""
        key = row.source, row.key
        if row.head is None and not row.draft.parts and key not in self._known:
            # Of a new statement no row is known, and a list for each would keep the garbage collector busy.
            return None
        if key not in self._waiting:
            known = [*self._known.get(key, ()), *self._list_otherwise_known(row)]
            # The last one is found first.
            self._waiting[key] = sorted(known, key=lambda it: (it.is_live, it.key == row.key, -it.occurrence))
        waiting = self._waiting[key]
        for index in reversed(range(len(waiting))):
            if not is_same or waiting[index].is_same(row):
                return waiting.pop(index)
        return None

    def _list_otherwise_known(self, row: FileRow) -> list[KnownRow]:
        """Return the rows that were imported with other options: the whole ones of a part, the parts of a whole one.

        A separate fee has a row of its own beside the entry's, so only entries without one may have it in their amount.
        Likewise deleted entries have come again in parts as often as a part of them has a row.
        """
        if row.head is None:
            parts = [self._known.get((row.source, key), []) for key in _list_part_keys(row.draft)]
            return max(parts, key=lambda some: (sum(it.is_live for it in some), len(some)), default=[])
        wholes = self._known.get((row.source, make_key(row.head)), [])
        own = len(self._known.get((row.source, row.key), ()))
        if row.is_fee:
            return [] if row.choice == "new" else wholes[own:]
        return [*(it for it in wholes if it.is_live), *[it for it in wholes if not it.is_live][own:]]

    def list_replaced(self, row: FileRow, found: KnownRow) -> list[int]:
        """Return the deleted expenses that a row comes instead of: that of the row which was found, and of parts."""
        replaced = {found.expense_id}
        for key in _list_part_keys(row.draft):
            deleted = (it.expense_id for it in self._known.get((row.source, key), ()) if not it.is_live)
            if key != found.key:
                replaced.add(next((it for it in deleted if it not in self._replaced), None))
        self._replaced |= replaced
        return [it for it in replaced if it is not None]

    def number(self, row: FileRow) -> int:
        """Return the occurrence of a row that becomes known."""
        if row.known is not None:
            return row.known.occurrence
        key = row.source, row.key
        if key not in self._known:
            self._numbered[key] += 1
            return self._numbered[key]
        if key not in self._free:
            self._free[key] = _count_without({it.occurrence for it in self._known[key]})
        return next(self._free[key])


def _count_without(taken: AbstractSet[int]) -> Iterator[int]:
    return (number for number in count(1) if number not in taken)


def identify(row: FileRow, known: KnownRows, choices: Choices, *, is_same: bool) -> None:
    """Settle an undecided row if an earlier file had it.

    It is called twice for each row: first with `is_same`, for known rows of the same day and amount, and then without,
    for those whose day or amount has changed. So each of several rows with one key finds its own.
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
    else:
        row.replaced = known.list_replaced(row, row.known)
        if row.known.key != row.key:
            # It becomes known beside the deleted row, whose other parts stay deleted.
            row.known = None


@dataclass(slots=True)
class NamedExpenses:
    """The expenses that rows name by `id` or `external_id`."""

    by_id: Mapping[int, OwnExpense]
    by_external_id: Mapping[str, OwnExpense]

    def settle(self, row: FileRow, choices: Choices) -> None:
        """Settle an undecided row if the expense that it names is there; by `id` only if it says the same of it."""
        named, own = self.by_external_id.get(row.expense.external_id or ""), self.by_id.get(row.draft.own_id or 0)
        found = named or (own if own and own.is_told_by(row) else None)
        if found is None:
            if own and own.is_live and own.may_be_told_by(row):
                row.before = own.id
            return
        if found.is_live:
            row.settle("existing", None if found.is_of(row) else "changed", found.id)
        elif choices.deleted == "keep" and row.choice is None:
            row.settle("existing", "deleted")
        else:
            row.replaced = [*row.replaced, found.id]


def settle_repeated(rows: Iterable[FileRow]) -> None:
    """Settle rows whose `external_id` an earlier row of the file has that is an expense, or becomes one.

    The two are one if they have the same day and amount; otherwise the later one is refused, unless an earlier file
    had it as a row of its own.
    """
    firsts: dict[str, FileRow] = {}
    for row in rows:
        if row.body is None or row.body.external_id is None or row.status not in {None, "existing", "linked"}:
            continue
        first = firsts.setdefault(row.body.external_id, row)
        if row is first or row.known is not None or row.status == "linked":
            continue
        if row.movement != first.movement:
            detail = f"Row {first.draft.number} has this id too, with another day or amount."
            row.refuse([RowError("external_id", "already_exists", detail)])
        elif row.is_undecided:
            row.settle("existing")


def knows_ids_otherwise(rows: Iterable[FileRow], known: Iterable[KnownRow]) -> bool:
    """Whether a row has an id of the bank that the unnamed source knows, but never with its day and amount."""
    by_key: dict[str, list[KnownRow]] = {}
    for it in known:
        if it.source == UNNAMED and it.key.startswith(BANK):
            by_key.setdefault(it.key, []).append(it)
    if not by_key:
        return False
    found = ((row, by_key[row.key]) for row in rows if row.body is not None and row.key in by_key)
    return any(not any(it.is_same(row) for it in some) for row, some in found)


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
