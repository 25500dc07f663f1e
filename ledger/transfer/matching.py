"""Matches: expenses that look like a new row, with the same amount and currency, at most three days apart. Pure.

    the expense is                                         the row of the file
    typed, or imported for another source                  matches it
    imported for the same source in another format,
      or by the bank's id and now without, or conversely   matches it, and what to do with it is a question
    imported without a source, as exactly this row         the same
    imported for the same source in the same way           is another movement: no match
    the row of another line of this file                   no match

Rows and expenses are counted by day, and expenses also by how they were imported, so that a file of equal rows in a
ledger of equal expenses is matched in one pass too.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final, Literal, NamedTuple

from ledger.transfer.choices import OnMatch
from ledger.transfer.rows import FileRow

MATCH_DAYS: Final = 3
MAX_MATCHES: Final = 20
"""Matches of one row that are listed, the nearest first."""
_DISTANCES: Final = sorted(range(-MATCH_DAYS, MATCH_DAYS + 1), key=abs)

Relation = Literal["other", "same_account"]


class Origin(NamedTuple):
    """How an expense was imported: for which source, known by which kind of key, and in which format."""

    source: str
    letter: str
    is_same_format: bool


class Candidate(NamedTuple):
    """An expense of the ledger; typed or recorded ones have no origin."""

    id: int
    day: date
    amount: int
    currency: str
    origins: frozenset[Origin] = frozenset()


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
    """The nearest of them."""
    total: int = 0
    is_same_account: bool = False


class Matcher:
    """Finds the matches of undecided rows."""

    def __init__(self, twins: Mapping[str, list[int]]) -> None:
        """Take the expenses that were imported without a source, by the key of the row that each was."""
        self._rows: dict[Slot, Counter[_Kind]] = {}
        self._expenses: dict[Slot, dict[frozenset[Origin], list[int]]] = {}
        self._by_id: dict[int, Candidate] = {}
        self._amounts: set[tuple[str, int]] = set()
        self._twins = twins

    def add_row(self, row: FileRow) -> None:
        """Add an undecided row; all are added before the first is looked at."""
        self._rows.setdefault(row.place, Counter())[_get_kind(row)] += 1

    def add_expense(self, it: Candidate) -> None:
        """Add an expense that is the row of no line of the file; likewise."""
        slot = it.currency, it.amount, it.day
        self._expenses.setdefault(slot, {}).setdefault(it.origins, []).append(it.id)
        self._by_id[it.id] = it
        self._amounts.add((it.currency, it.amount))

    def may_match(self, row: FileRow) -> bool:
        """Whether an expense has the amount of a row, or was this row; of most files few rows match any."""
        return row.place[:2] in self._amounts or row.key in self._twins

    def find(self, row: FileRow) -> Found:
        """Return the matches of a row."""
        if twins := self._twins.get(row.key):
            # Equal rows have equal twins: which of them has which does not matter.
            return Found([twins.pop()], 1, is_same_account=True)
        found, kind = Found(), _get_kind(row)
        for slot in _list_slots(*row.place):
            for origins, ids in self._expenses.get(slot, {}).items():
                relation = relate(kind.source, kind.letter, origins)
                if relation is not None:
                    found.ids = (found.ids + ids[:MAX_MATCHES])[:MAX_MATCHES]
                    found.total += len(ids)
                    found.is_same_account |= relation == "same_account"
        return found

    def count_rows(self, expense_id: int) -> int:
        """Return how many rows an expense matches."""
        it = self._by_id.get(expense_id)
        if it is None:
            # It is the twin of one row.
            return 1
        slots = _list_slots(it.currency, it.amount, it.day)
        return sum(
            number
            for slot in slots
            for kind, number in self._rows.get(slot, {}).items()
            if relate(kind.source, kind.letter, it.origins) is not None
        )


def relate(source: str, letter: str, origins: Collection[Origin]) -> Relation | None:
    """Return how an expense that lies near a row of this source, with this kind of key, is related to it."""
    same = [it for it in origins if it.source == source]
    if any(it.is_same_format and it.letter == letter for it in same):
        return None
    return "same_account" if same else "other"


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
    row.matches = found.ids
    if on_match is None and found.is_same_account:
        row.settle("open")
        doubts.on_match.append(row.draft.number)
    elif on_match in {None, "report"} or not found.total:
        return
    elif found.total > 1 or matcher.count_rows(found.ids[0]) > 1:
        row.settle("open")
        doubts.lines.append(row.draft.number)
    elif on_match == "link":
        row.settle("linked", None, found.ids[0])
    else:
        row.settle("skipped", "matched")


def write_numbers(numbers: Sequence[int], most: int = 10) -> str:
    """Return the numbers of rows for a sentence: "13, 14 and 3 more"."""
    shown = ", ".join(map(str, numbers[:most]))
    return f"{shown} and {len(numbers) - most} more" if len(numbers) > most else shown
