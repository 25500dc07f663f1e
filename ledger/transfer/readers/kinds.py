"""What the words of a row say: its direction, and why it is no booked movement of money."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

from ledger.transfer.readers.delimited import GridRow
from ledger.transfer.readers.entries import Reason
from ledger.transfer.readers.roles import AMBIGUOUS_WORDS, Roles
from ledger.transfer.readers.words import (
    DIRECTIONS,
    INCOME,
    OWN_TRANSFER_STARTS,
    OWN_TRANSFERS,
    ROWS,
    STATUS_TEXTS,
    STATUSES,
    make_word,
)

_SKIPS: Final[Mapping[str, Reason]] = {
    "pending": "pending",
    "failed": "failed",
    "transfer": "transfer",
    "neutral": "neutral",
    "skip": "balance",
}
"""Why a row is skipped of which a word has this meaning."""
_TELLING: Final = ("status", "direction", "type", "date", "category")
"""The columns whose words may say that a row is not booked money."""
_FLOWS: Final = {
    "transfer out": "out",
    "transfer-out": "out",
    "outgoing transfer": "out",
    "transfer in": "in",
    "transfer-in": "in",
    "incoming transfer": "in",
}
"""The direction of transfers whose name says it; others are written from their source, so that money goes out."""
MAX_WORD_LENGTH: Final = 40
MAX_STATUSES: Final = 5
MIN_STATUS_LENGTH: Final = 3
"""Shorter words are countries or codes."""
# Some banks fill a cell up with blanks or lines, and write several texts into it.
_FIELDS: Final = re.compile(r"\s{2,}|\n")
MAX_FIELDS: Final = 10
_TEXTS: Final[Mapping[str, Reason]] = {
    **{word: "pending" for word, meaning in STATUS_TEXTS.items() if meaning == "pending"},
    **dict.fromkeys(OWN_TRANSFERS, "transfer"),
}
"""Why a row is skipped of which a text is this, and nothing more."""
_FIRST_LETTERS: Final = frozenset("".join(it[0] + it[0].upper() for it in OWN_TRANSFER_STARTS))
_LONGEST_STATUS: Final = max(map(len, STATUS_TEXTS))
_SIDES: Final[Mapping[str, Literal["in", "out"]]] = {"cr": "in", "dr": "out"}


@dataclass(frozen=True)
class Kinds:
    """The words of one table; `meanings` are those of the options and of the profile."""

    roles: Roles
    meanings: Mapping[str, str]
    transfer_payees: Sequence[str] = ()
    """What the payee of a transfer between own accounts begins with."""

    def find_skip(self, row: GridRow) -> Reason | None:
        """Return why a row is not booked money; None if it is."""
        if row.line not in self._skips:
            self._skips[row.line] = self._find_skip(row)
        return self._skips[row.line]

    @cached_property
    def _skips(self) -> dict[int, Reason | None]:
        """What was found of each row, by its line: several steps of the reading ask for it."""
        return {}

    def _find_skip(self, row: GridRow) -> Reason | None:
        for role in _TELLING:
            cell = self.roles.get(row, role) if role in self.roles.found else ""
            if cell and (skip := _SKIPS.get(self._find_meaning(role, make_word(cell)))):
                return skip
        if any(self.roles.get(row, "payee").startswith(start) for start in self.transfer_payees):
            return "transfer"
        return self._find_skip_in_texts(row) or ("balance" if "balance" in self._list_kinds(row) else None)

    def _find_skip_in_texts(self, row: GridRow) -> Reason | None:
        """Return why a row is not booked money, if one of its texts says that and nothing more."""
        cells = row.cells
        for index in self._text_columns:
            cell = cells[index] if index < len(cells) else ""
            if not cell:
                continue
            if cell[0] in _FIRST_LETTERS and cell[:MAX_WORD_LENGTH].casefold().startswith(OWN_TRANSFER_STARTS):
                return "transfer"
            for part in _FIELDS.split(cell, MAX_FIELDS) if "  " in cell or "\n" in cell else (cell,):
                word = make_word(part) if part and _may_be_word(part) else ""
                if word in _TEXTS and word not in self.meanings:
                    return _TEXTS[word]
        return None

    @cached_property
    def _text_columns(self) -> Sequence[int]:
        named = [self.roles.found[it] for it in ("type", "payee") if it in self.roles.found]
        return list(dict.fromkeys([*named, *self.roles.descriptions]))

    def _find_meaning(self, role: str, word: str) -> str:
        if word in self.meanings:
            return self.meanings[word]
        if role in {"status", "date"}:
            return STATUSES.get(word, "")
        if role in {"direction", "type"}:
            meaning = "transfer" if word in _FLOWS else DIRECTIONS.get(word, "")
            # Beside words for money in and money out, a transfer is neither.
            return "transfer" if meaning == "any_transfer" and role == "direction" else meaning
        return ""

    def may_be_transfer(self, row: GridRow) -> bool:
        """Whether the kind of a row is a transfer, of which nothing says whether it stays with the user."""
        cell = self.roles.get(row, "type")
        return bool(cell) and self._find_meaning("type", make_word(cell)) == "any_transfer"

    def find_direction(self, row: GridRow) -> str | None:
        """Return `out` or `in` if the word of a row's direction says so."""
        if "direction" not in self.roles.found:
            return None
        word = make_word(self.roles.get(row, "direction"))
        meaning = _FLOWS.get(word) or self.meanings.get(word) or DIRECTIONS.get(word)
        return "out" if meaning in {"transfer", "any_transfer"} else meaning if meaning in {"out", "in"} else None

    def find_side(self, row: GridRow) -> Literal["in", "out"] | None:
        """Return what CR or DR in a column of its own says."""
        return _SIDES.get(make_word(self.roles.get(row, "direction")))

    def is_income(self, row: GridRow) -> bool:
        """Whether a text of the row is what only money in is called."""
        return any(cell and _may_be_word(cell) and make_word(cell) in INCOME for cell in row.cells)

    def find_kind(self, row: GridRow) -> str | None:
        """Return `out` or `in` if the kind of a row says so, and nothing else."""
        word = make_word(self.roles.get(row, "type"))
        meaning = None if word in AMBIGUOUS_WORDS else DIRECTIONS.get(word)
        return meaning if meaning in {"out", "in"} else None

    def is_balance(self, row: GridRow) -> bool:
        """Whether a text of a row without an amount begins as balances do."""
        starts = [make_word(cell[:MAX_WORD_LENGTH]).split() for cell in row.cells if cell]
        return any(ROWS.get(" ".join(it[:count])) == "balance" for it in starts for count in range(1, len(it) + 1))

    def is_total(self, row: GridRow) -> bool:
        """Whether a text of the row is what sums and balances are called."""
        return bool(self._list_kinds(row))

    def _list_kinds(self, row: GridRow) -> set[str]:
        words = [make_word(cell) for cell in row.cells if cell and _may_be_word(cell)]
        return {ROWS[word] for word in words if word in ROWS}

    def list_unknown_statuses(self, rows: Sequence[GridRow]) -> list[str]:
        """Return the words in the column of statuses, if they are a few different ones of which none is known."""
        found = rows if "status" in self.roles.found else ()
        cells = list(dict.fromkeys(cell for row in found if (cell := self.roles.get(row, "status"))))
        if not 1 < len(cells) <= MAX_STATUSES or any(len(cell) < MIN_STATUS_LENGTH for cell in cells):
            return []
        known = {**STATUSES, **self.meanings}
        return [] if any(make_word(cell) in known or not _may_be_word(cell) for cell in cells) else cells

    def list_known(self, words: Sequence[str]) -> dict[str, str]:
        """Return the meanings of the words that have one which can be sent."""
        found = {word: self.meanings.get(make_word(word)) or DIRECTIONS.get(make_word(word)) for word in words}
        return {
            word: meaning.removeprefix("any_") for word, meaning in found.items() if meaning and meaning != "neutral"
        }


def is_status(cell: str) -> bool:
    """Whether a cell only says whether its row is booked."""
    return len(cell) <= _LONGEST_STATUS and _may_be_word(cell) and make_word(cell) in STATUS_TEXTS


def _may_be_word(cell: str) -> bool:
    """Whether a cell is short, and no number, as all known words are; most cells are told apart without more work."""
    return len(cell) <= MAX_WORD_LENGTH and cell[-1] not in "0123456789"


def is_mark(cell: str) -> bool:
    """Whether a cell is CR or DR."""
    return make_word(cell) in _SIDES
