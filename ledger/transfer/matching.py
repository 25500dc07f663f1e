"""Matches: expenses that look like a new row, with the same amount and currency, at most three days apart. Pure.

    the expense is                                         for the row of the file it is
    typed, or imported for another source                  a match
    imported for the same source in another format,
      or by the bank's id and now without, or conversely   a match, and what becomes of the row is a question
    imported without a source for a row that has one,
      or conversely                                        a match, and likewise a question
    imported for the same source in the same way           another movement: no match; but one of the same day, from a
                                                             file with other columns or another way to write days, is
                                                             a match, and a question
    the row of another line of this file                   no match

What was imported for the same source is compared as its file had it, so that it is found after it was edited, and also
after it was deleted: the row may then be linked to what was deleted, and stays deleted.

Rows and expenses are counted by day, and expenses also by how they were imported, so that a file of equal rows in a
ledger of equal expenses is matched in one pass too.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final, Literal, NamedTuple

from ledger.transfer.choices import OnMatch
from ledger.transfer.rows import TEXT, FileRow
from ledger.transfer.sources import OWN_EXPORT, UNNAMED

MATCH_DAYS: Final = 3
MAX_MATCHES: Final = 20
"""Matches of one row that are listed, the nearest first."""
_DISTANCES: Final = sorted(range(-MATCH_DAYS, MATCH_DAYS + 1), key=abs)

Relation = Literal["other", "same_account"]


class Origin(NamedTuple):
    """How an expense was imported: for which source, known by which kind of key, and in which format and layout."""

    source: str
    letter: str
    is_same_format: bool
    has_other_layout: bool = False


class Candidate(NamedTuple):
    """An expense of the ledger as it is now; or, with `imported_for`, as a file of that source had it."""

    id: int
    """That of the expense; of one that was deleted, the negative of its imported row's."""
    day: date
    amount: int
    currency: str
    origins: frozenset[Origin] = frozenset()
    """Typed or recorded expenses have none."""
    imported_for: str | None = None


class _Group(NamedTuple):
    """What candidates have in common that are related to rows in the same way."""

    imported_for: str | None
    origins: frozenset[Origin]


class _Kind(NamedTuple):
    """What decides how a row and an expense are related, beside their days."""

    source: str
    letter: str


Slot = tuple[str, int, date]
"""Currency, amount and day."""


@dataclass(slots=True)
class Found:
    """The matches of a row."""

    ids: list[int] = field(default_factory=list)
    """The nearest of them, as `Candidate.id` has them."""
    total: int = 0
    is_same_account: bool = False


class Matcher:
    """Finds the matches of undecided rows."""

    def __init__(self, twins: Mapping[str, list[int]]) -> None:
        """Take the expenses that were imported without a source, by the key of the row that each was."""
        self._rows: dict[Slot, Counter[_Kind]] = {}
        self._expenses: dict[Slot, dict[_Group, list[int]]] = {}
        self._by_id: dict[int, list[Candidate]] = {}
        self._amounts: set[tuple[str, int]] = set()
        self._twins = twins

    def add_row(self, row: FileRow) -> None:
        """Add an undecided row; all are added before the first is looked at."""
        self._rows.setdefault(row.movement, Counter())[_get_kind(row)] += 1

    def add_expense(self, it: Candidate) -> None:
        """Add an expense that is the row of no line of the file; likewise."""
        slot = it.currency, it.amount, it.day
        group = _Group(it.imported_for, it.origins)
        self._expenses.setdefault(slot, {}).setdefault(group, []).append(it.id)
        self._by_id.setdefault(it.id, []).append(it)
        self._amounts.add((it.currency, it.amount))

    def may_match(self, row: FileRow) -> bool:
        """Whether an expense has the amount of a row, or was this row; of most files few rows match any."""
        return row.movement[:2] in self._amounts or row.key in self._twins

    def find(self, row: FileRow) -> Found:
        """Return the matches of a row."""
        if twins := self._twins.get(row.key):
            # Equal rows have equal twins: which of them has which does not matter.
            return Found([twins.pop()], 1, is_same_account=True)
        found, kind = Found(), _get_kind(row)
        for slot in _list_slots(*row.movement):
            for group, ids in self._expenses.get(slot, {}).items():
                is_same_day = slot[2] == row.movement[2]
                relation = relate(kind.source, kind.letter, group.origins, group.imported_for, is_same_day=is_same_day)
                if relation is not None:
                    found.ids = (found.ids + ids[:MAX_MATCHES])[:MAX_MATCHES]
                    found.total += len(ids)
                    found.is_same_account |= relation == "same_account"
        return found

    def count_rows(self, expense_id: int) -> int:
        """Return how many rows an expense matches."""
        if expense_id not in self._by_id:
            # It is the twin of one row.
            return 1
        return sum(
            number
            for it in self._by_id[expense_id]
            for slot in _list_slots(it.currency, it.amount, it.day)
            for kind, number in self._rows.get(slot, {}).items()
            if relate(kind.source, kind.letter, it.origins, it.imported_for, is_same_day=slot[2] == it.day) is not None
        )


def relate(
    source: str, letter: str, origins: Collection[Origin], imported_for: str | None = None, *, is_same_day: bool
) -> Relation | None:
    """Return how a candidate that lies near a row of this source, with this kind of key, is related to it."""
    same = [it for it in origins if it.source == source]
    if imported_for is None:
        # What came from this account is compared as its file had it; what came from none may be of any.
        sources = {it.source for it in origins} - {OWN_EXPORT}
        may_be_same = bool(sources) and source != OWN_EXPORT and UNNAMED in {source, *sources}
        if same:
            # A bank that adds a column to its files says more of the same row.
            says_other = any(it.letter == letter == TEXT and it.has_other_layout for it in same)
            return "same_account" if is_same_day and says_other else None
        if UNNAMED in sources and source != OWN_EXPORT:
            # It is compared as its file had it, too.
            return None
        return "same_account" if may_be_same else "other"
    if imported_for == UNNAMED != source:
        return None if source == OWN_EXPORT else "same_account"
    if imported_for != source or any(it.is_same_format and it.letter == letter for it in same):
        return None
    return "same_account"


def _get_kind(row: FileRow) -> _Kind:
    return _Kind(row.source, row.key[:1])


def _list_slots(currency: str, amount: int, day: date) -> Iterator[Slot]:
    for days in _DISTANCES:
        yield currency, amount, day + timedelta(days=days)


@dataclass(slots=True)
class Doubts:
    """The numbers of rows that wait for the option `on_match` or `lines`."""

    on_match: list[int] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)


def settle_match(row: FileRow, matcher: Matcher, on_match: OnMatch | None, doubts: Doubts) -> None:
    """Set the matches of an undecided row, and settle it as `on_match` says; a row that stays undecided is new."""
    found = matcher.find(row)
    row.matches = [it for it in found.ids if it > 0]
    if on_match is None and found.is_same_account:
        row.settle("open")
        doubts.on_match.append(row.draft.number)
    elif on_match in {None, "report"} or not found.total:
        return
    elif found.total > 1 or matcher.count_rows(found.ids[0]) > 1:
        row.settle("open")
        doubts.lines.append(row.draft.number)
    elif on_match == "link" and found.ids[0] < 0:
        # It becomes known as deleted, so that it is asked about once.
        row.settle("linked", "deleted")
    elif on_match == "link":
        row.settle("linked", None, found.ids[0])
    else:
        row.settle("skipped", "matched")


def write_numbers(numbers: Sequence[int], most: int = 10) -> str:
    """Return the numbers of rows for a sentence: "13, 14 and 3 more"."""
    shown = ", ".join(map(str, numbers[:most]))
    return f"{shown} and {len(numbers) - most} more" if len(numbers) > most else shown
