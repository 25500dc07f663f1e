"""The roles of columns, by their headers and by their values."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ledger.transfer.readers.bank_fields import find_iban, may_last
from ledger.transfer.readers.delimited import GridRow
from ledger.transfer.readers.entries import Question
from ledger.transfer.readers.layout import AMOUNT_ROLES, DATE_ROLES
from ledger.transfer.readers.measuring import FEW, MOST, Column
from ledger.transfer.readers.words import (
    DIRECTIONS,
    SHARED_ACCOUNTS,
    STATUS_TEXTS,
    STATUSES,
    find_currency,
    make_word,
)

AMBIGUOUS_WORDS: Final = frozenset({word for word in DIRECTIONS if len(word) == 1} | {"true", "false", "paid", "sale"})
"""Words that say a direction only where the header says so, or where there is none."""


@dataclass(slots=True)
class Roles:
    """Which column has which role, by its index."""

    columns: Sequence[Column]
    found: dict[str, int]
    descriptions: list[int]
    dates: list[int]
    """The columns of days that may be the row's, in the order of their preference."""
    questions: list[Question] = field(default_factory=list)
    beside: dict[str, list[int]] = field(default_factory=dict)
    """The columns of currencies, and those of directions, where there are several: each belongs to another amount."""

    def name(self, index: int) -> str | int:
        """Return the header of a column, or its number from 1 if the header is empty or not the only one."""
        header = self.columns[index].header
        return header if header and [it.header for it in self.columns].count(header) == 1 else index + 1

    def get(self, row: GridRow, role: str) -> str:
        """Return the cell of a row in the column of a role; empty if there is none."""
        index = self.found.get(role)
        return row.cells[index] if index is not None and index < len(row.cells) else ""

    def settle_beside(self) -> None:
        """Take the currency and the direction that stand beside the amount."""
        amount = next((self.found[role] for role in ("amount", "debit", "credit") if role in self.found), 0)
        for role, indexes in self.beside.items():
            self.found[role] = self._find_beside(indexes, amount)

    def _find_beside(self, indexes: Sequence[int], amount: int) -> int:
        if self._precede_numbers(indexes):
            return next((it for it in reversed(indexes) if it < amount), indexes[0])
        return next((it for it in indexes if it > amount), indexes[0])

    def _precede_numbers(self, indexes: Sequence[int]) -> bool:
        """Whether each of some columns stands before its number, and not behind it."""
        before = all(it + 1 < len(self.columns) and self.columns[it + 1].numbers for it in indexes)
        return before and not all(it and self.columns[it - 1].numbers for it in indexes)

    def describe_column(self, role: str) -> str | None:
        """Return the header of the column of a role, or its number."""
        return str(self.name(self.found[role])) if role in self.found else None

    def describe(self) -> dict[str, Any]:
        """Return the columns as the option `columns` names them."""
        named: dict[str, Any] = {role: self.name(index) for role, index in self.found.items()}
        return named | {"description": [self.name(index) for index in self.descriptions]}


def detect_roles(
    free: Sequence[Column], columns: Sequence[Column], meanings: set[str], ibans: set[str], *, has_header: bool
) -> Roles:
    """Return the roles of the columns that are `free`.

    `meanings` are words that the options explain, and `ibans` those that stand above the table.
    """
    roles = Roles(columns, {}, [], [])
    by_role: dict[str, list[Column]] = {}
    for column in free:
        column.role = _check_role(column, meanings, ibans)
        if column.role:
            by_role.setdefault(column.role, []).append(column)
    roles.dates = [it.index for role in DATE_ROLES for it in by_role.get(role, ())]
    if not roles.dates:
        roles.dates = [it.index for it in free if it.holds_days and it.filled]
        if len({*roles.dates}) > 1 and not has_header and not _are_alike(roles.dates, columns):
            roles.questions.append(_ask_column(roles, "date", roles.dates, "Which of these columns is the day?"))
    if roles.dates:
        roles.found["date"] = roles.dates[0]
    for role in ("category", "subcategory", "tags", "account", "fee", "bank_id"):
        if role in by_role:
            roles.found[role] = by_role[role][0].index
    _find_amounts(roles, by_role, free)
    _find_payee(roles, by_role)
    _find_words(roles, by_role, free, meanings)
    if "parent_category" in by_role and "category" in roles.found:
        roles.found["subcategory"] = roles.found["category"]
        roles.found["category"] = by_role["parent_category"][0].index
    roles.settle_beside()
    used = {*roles.found.values(), *roles.descriptions, *(it for some in roles.beside.values() for it in some)}
    roles.descriptions += [
        it.index for it in free if it.index not in used and it.role in {None, "payee", "description"} and it.texts
    ]
    roles.descriptions.sort()
    return roles


def _check_role(column: Column, meanings: set[str], ibans: set[str]) -> str | None:
    """Return the role that a column's header gives it, or what its values make of it."""
    if column.role and not _suits(column, meanings):
        # The same word means the day of the value in one language and the currency in another.
        return None
    if column.role == "bank_id" and not all(map(may_last, column.words)):
        return "ignored"
    if column.role == "account" and not _is_own(column, ibans):
        return "ignored"
    if column.role in {None, "type", "description"} and _says_states(column):
        return "status"
    return column.role


def _suits(column: Column, meanings: set[str]) -> bool:
    """Whether a column's values can be what its header says."""
    if column.role in {*DATE_ROLES}:
        return column.days > 0
    if column.role in {*AMOUNT_ROLES, "fee", "balance"}:
        return column.numbers > 0 or not column.filled
    if column.role == "direction":
        return any(word in DIRECTIONS or word in meanings for word in column.words)
    if column.role == "currency":
        return any(find_currency(word) for word in column.words) or not column.filled
    return True


def _says_states(column: Column) -> bool:
    """Whether a column says in nearly every row whether it is booked, whatever its header is."""
    return column.has_only(STATUS_TEXTS) and column.filled > column.seen * MOST


def _is_own(column: Column, ibans: set[str]) -> bool:
    """Whether a column names the account that the file is of, and not those of the others."""
    if make_word(column.header) not in SHARED_ACCOUNTS or not any(map(_has_digit, column.words)):
        return True
    if column.filled < column.seen or (len(column.words) > 1 and len(column.words) > column.filled * MOST):
        return False
    named = {iban for word in column.words if (iban := find_iban(word.upper()))}
    return not (ibans and named) or bool(ibans & named)


def _has_digit(word: str) -> bool:
    return any(map(str.isdigit, word))


def _are_alike(dates: Sequence[int], columns: Sequence[Column]) -> bool:
    """Whether columns of days hold the same days, so that it does not matter which one is taken."""
    return len({frozenset(columns[it].words) for it in dates}) == 1


def _find_amounts(roles: Roles, by_role: Mapping[str, Sequence[Column]], free: Sequence[Column]) -> None:
    for role in ("debit", "credit"):
        preferred = [*by_role.get(f"booked_{role}", ()), *by_role.get(role, ())]
        if preferred:
            roles.found[role] = preferred[0].index
    named = by_role.get("amount", ())
    amounts = [it for it in named if it.numbers > it.zero] or list(named)
    if amounts:
        signed = [it for it in amounts if it.negative]
        if {"debit", "credit"} <= roles.found.keys() and not signed:
            return
        roles.found.pop("debit", None)
        roles.found.pop("credit", None)
        roles.found["amount"] = (signed or amounts)[0].index
        rivals = [it.index for it in amounts if it.filled]
        if len({frozenset(roles.columns[it].words) for it in rivals}) > 1:
            roles.questions.append(_ask_column(roles, "amount", rivals, "Which of these columns is the amount?"))
        return
    if roles.found.keys() & {"debit", "credit"}:
        return
    candidates = _find_number_columns([it for it in free if it.role is None])
    if candidates:
        roles.found["amount"] = candidates[0]
    if len(candidates) > 1:
        roles.questions.append(
            _ask_column(roles, "amount", candidates, "Which of these columns is the amount? Others may be balances.")
        )


def _find_number_columns(free: Sequence[Column]) -> list[int]:
    """Return the columns without a header that may be the amount: of those with decimals, if any has."""
    numbers = [it for it in free if it.numbers and it.numbers > it.filled * MOST]
    exact = [it for it in numbers if it.exact] or numbers
    most = max((it.filled for it in exact), default=0)
    whole = [it for it in exact if it.filled > most * MOST and not it.zero] or exact
    return [it.index for it in whole]


def _find_payee(roles: Roles, by_role: Mapping[str, Sequence[Column]]) -> None:
    payees = [it for it in by_role.get("payee", ()) if it.filled]
    if payees:
        # The account's own name stands in every row, and numbers of accounts name nobody.
        named = [it for it in payees if not _holds_accounts(it) and (len(it.words) > 1 or it.filled < FEW)]
        roles.found["payee"] = (named or payees)[0].index
    roles.descriptions = [it.index for it in by_role.get("description", ())]


def _holds_accounts(column: Column) -> bool:
    return bool(column.words) and all(find_iban(word.upper()) for word in column.words)


def _find_words(
    roles: Roles, by_role: Mapping[str, Sequence[Column]], free: Sequence[Column], meanings: set[str]
) -> None:
    """Find the columns whose words say the direction, the kind, the state or the currency of a row."""
    known = {**DIRECTIONS, **dict.fromkeys(meanings, "")}
    if directions := [it.index for it in by_role.get("direction", ())]:
        roles.beside["direction"], roles.found["direction"] = directions, directions[0]
    if states := by_role.get("status"):
        roles.found["status"] = max(states, key=lambda it: any(word in STATUSES for word in it.words)).index
    _find_kinds(roles, by_role.get("type", ()), known)
    used = {*roles.found.values()}
    others = [it for it in free if it.role is None and it.index not in used and it.texts and not it.exact]
    # A header that says something else is believed: *Debit* and *Credit* may be kinds of cards.
    unnamed = [it for it in others if not it.header]
    kinds = [it for it in by_role.get("type", ()) if it.has_only(known) and not it.words & AMBIGUOUS_WORDS]
    if "direction" not in roles.found:
        found = kinds or [it for it in unnamed if it.has_only(known) and _tells_sides(it)]
        if found:
            roles.found["direction"] = found[0].index
            if roles.found.get("type") == found[0].index:
                del roles.found["type"]
    if "status" not in roles.found and (states := [it for it in unnamed if it.has_only(STATUSES)]):
        roles.found["status"] = states[0].index
    _find_currency_column(roles, by_role, others)


def _find_kinds(roles: Roles, kinds: Sequence[Column], known: Mapping[str, str]) -> None:
    """Take the column of kinds, of several the one with the fewest; where words mostly differ, they are texts."""
    filled = [it for it in kinds if it.filled] or kinds
    if not filled:
        return
    kind = min(filled, key=lambda it: len(it.words)) if any(it.is_mixed for it in filled) else filled[0]
    roles.found["type"] = kind.index
    mixed = [it for it in filled if it.is_mixed and not it.has_only(known)]
    roles.descriptions += [it.index for it in mixed if it is not kind or len(filled) == 1]


def _tells_sides(column: Column) -> bool:
    """Whether words without a header say the direction: two different ones, or one that means nothing else."""
    return len(column.words) > 1 or not column.words & AMBIGUOUS_WORDS


def _find_currency_column(roles: Roles, by_role: Mapping[str, Sequence[Column]], unnamed: Sequence[Column]) -> None:
    named = [it.index for it in by_role.get("currency", ())]
    found = named or [
        it.index
        for it in unnamed
        if it.words and it.texts == it.filled and all(find_currency(word) for word in it.words)
    ]
    if found:
        roles.beside["currency"], roles.found["currency"] = found, found[0]


def _ask_column(roles: Roles, role: str, indexes: Iterable[int], detail: str) -> Question:
    return Question(f"columns.{role}", [roles.name(index) for index in indexes], detail)
