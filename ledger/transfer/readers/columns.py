"""What the columns of a table mean, by their headers and by their values.

1. what each column holds      days, numbers or texts, in a sample of the rows
2. roles by header             a column whose values contradict its header keeps no role
3. roles by value              where no header says which is the day, the amount, the currency or the direction
4. roles by option             those of the profile and those that were sent, which beat all others
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ledger.transfer.readers.dates import read_shape
from ledger.transfer.readers.delimited import GridRow
from ledger.transfer.readers.entries import BadOption, Question
from ledger.transfer.readers.layout import AMOUNT_ROLES, DATE_ROLES, Layout
from ledger.transfer.readers.numbers import read_number
from ledger.transfer.readers.words import DIRECTIONS, STATUSES, find_column, find_currency, make_word

SAMPLE_ROWS: Final = 400
MOST: Final = 0.5
"""The share of a column's cells that must be days, or numbers, for it to be a column of them."""
SINGLE_ROLES: Final = (
    *("date", "amount", "debit", "credit", "direction", "fee", "currency", "payee", "category", "subcategory"),
    *("tags", "external_id", "bank_id", "account", "type", "status"),
)
"""The roles of which the options name one column each; `description` may have several."""
AMBIGUOUS_WORDS: Final = frozenset({word for word in DIRECTIONS if len(word) == 1} | {"true", "false", "paid", "sale"})
"""Words that say a direction only where the header says so, or where there is none."""
_LETTER: Final = re.compile(r"[^\W\d_]")


@dataclass(slots=True)
class Column:
    """One column: its header, and what its cells hold, counted in the sample."""

    index: int
    header: str
    role: str | None
    currency: str | None
    """The currency that the header names."""
    filled: int = 0
    days: int = 0
    numbers: int = 0
    exact: int = 0
    """Numbers with decimals or a currency, as amounts mostly have."""
    negative: int = 0
    zero: int = 0
    texts: int = 0
    words: set[str] = field(default_factory=set)

    @property
    def holds_days(self) -> bool:
        """Whether most cells are days."""
        return self.days > self.filled * MOST

    def has_only(self, known: Mapping[str, str]) -> bool:
        """Whether all words of the column are known ones, and not a single sign only."""
        return bool(self.words) and all(word in known for word in self.words)


@dataclass(slots=True)
class Roles:
    """Which column has which role, by its index."""

    columns: Sequence[Column]
    found: dict[str, int]
    descriptions: list[int]
    dates: list[int]
    """The columns of days that may be the row's, in the order of their preference."""
    questions: list[Question] = field(default_factory=list)

    def name(self, index: int) -> str | int:
        """Return the header of a column, or its number from 1 if the header is empty or not the only one."""
        header = self.columns[index].header
        return header if header and [it.header for it in self.columns].count(header) == 1 else index + 1

    def get(self, row: GridRow, role: str) -> str:
        """Return the cell of a row in the column of a role; empty if there is none."""
        index = self.found.get(role)
        return row.cells[index] if index is not None and index < len(row.cells) else ""

    def describe_column(self, role: str) -> str | None:
        """Return the header of the column of a role, or its number."""
        return str(self.name(self.found[role])) if role in self.found else None

    def describe(self) -> dict[str, Any]:
        """Return the columns as the option `columns` names them."""
        named: dict[str, Any] = {role: self.name(index) for role, index in self.found.items()}
        return named | {"description": [self.name(index) for index in self.descriptions]}


def find_roles(layout: Layout, chosen: Mapping[str, Any], settled: Mapping[str, Any]) -> Roles:
    """Return the roles of the columns; `chosen` are those of the options, `settled` the meanings of words."""
    columns = _measure(layout)
    taken = _resolve(columns, chosen)
    for index in {index for found in taken.values() for index in found}:
        columns[index].role = None
    free = [column for column in columns if column.index not in {it for found in taken.values() for it in found}]
    roles = _find_by_header_and_value(
        free, columns, {make_word(word) for word in settled}, has_header=layout.header_line > 0
    )
    return _apply(roles, chosen, taken)


def _apply(roles: Roles, chosen: Mapping[str, Any], taken: Mapping[str, Sequence[int]]) -> Roles:
    for role in chosen:
        roles.found.pop(role, None)
        if role == "description":
            roles.descriptions = list(taken.get(role, ()))
        elif role in taken:
            roles.found[role] = taken[role][0]
            if role == "date":
                roles.dates = [taken[role][0]]
    if chosen.get("amount"):
        roles.found.pop("debit", None)
        roles.found.pop("credit", None)
    elif chosen.get("debit") or chosen.get("credit"):
        roles.found.pop("amount", None)
    answered = {f"columns.{role}" for role in chosen}
    if {"debit", "credit"} & chosen.keys():
        answered.add("columns.amount")
    roles.questions = [question for question in roles.questions if question.option not in answered]
    return roles


def _resolve(columns: Sequence[Column], chosen: Mapping[str, Any]) -> dict[str, list[int]]:
    """Return the indexes of the columns that the options name; raise BadOption for one that is not there."""
    taken: dict[str, list[int]] = {}
    for role, value in chosen.items():
        names = value if isinstance(value, list) else [value]
        if found := [_resolve_name(columns, role, name) for name in names if name not in {None, ""}]:
            taken[role] = found
    return taken


def _resolve_name(columns: Sequence[Column], role: str, name: str | int) -> int:
    if isinstance(name, int):
        if 1 <= name <= len(columns):
            return name - 1
        raise BadOption(f"columns/{role}", f"The file has {len(columns)} columns.")
    named = [it.index for it in columns if it.header == name]
    named = named or [it.index for it in columns if it.header and make_word(it.header) == make_word(name)]
    if not named:
        raise BadOption(f"columns/{role}", "No column of the file has this header.")
    return named[0]


def _measure(layout: Layout) -> list[Column]:
    columns = [
        Column(index, header, *(find_column(header) if header else (None, None)))
        for index, header in enumerate(layout.headers)
    ]
    # Rows without a day are totals, texts that go on, and remarks below.
    dated = [row for row in layout.body if any(cell and read_shape(cell) for cell in row.cells)]
    rows = dated or layout.body
    for row in rows[:: max(1, len(rows) // SAMPLE_ROWS)]:
        if not layout.is_header(row):
            _count_cells(columns, row)
    return columns


def _count_cells(columns: Sequence[Column], row: GridRow) -> None:
    for column, cell in zip(columns, row.cells, strict=False):
        if not cell:
            continue
        column.filled += 1
        if len(column.words) < SAMPLE_ROWS:
            column.words.add(make_word(cell))
        if read_shape(cell):
            column.days += 1
            # Eight digits may be both.
            continue
        number = read_number(cell)
        if number:
            column.numbers += 1
            column.exact += number.shows != "plain" or number.unit is not None
            column.negative += number.sign == "-"
            column.zero += not number.core.strip("0.,' ")
        else:
            column.texts += _LETTER.search(cell) is not None


def _find_by_header_and_value(
    free: Sequence[Column], columns: Sequence[Column], meanings: set[str], *, has_header: bool
) -> Roles:
    roles = Roles(columns, {}, [], [])
    by_role: dict[str, list[Column]] = {}
    for column in free:
        if column.role and not _suits(column, meanings):
            # The same word means the day of the value in one language and the currency in another.
            column.role = None
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
    used = {*roles.found.values(), *roles.descriptions}
    roles.descriptions += [
        it.index for it in free if it.index not in used and it.role in {None, "payee", "description"} and it.texts
    ]
    roles.descriptions.sort()
    return roles


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


def _are_alike(dates: Sequence[int], columns: Sequence[Column]) -> bool:
    """Whether columns of days hold the same days, so that it does not matter which one is taken."""
    return len({frozenset(columns[it].words) for it in dates}) == 1


def _find_amounts(roles: Roles, by_role: Mapping[str, Sequence[Column]], free: Sequence[Column]) -> None:
    for role in ("debit", "credit"):
        preferred = [*by_role.get(f"booked_{role}", ()), *by_role.get(role, ())]
        if preferred:
            roles.found[role] = preferred[0].index
    amounts = list(by_role.get("amount", ()))
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
        roles.found["payee"] = payees[0].index
    roles.descriptions = [it.index for it in by_role.get("description", ())]


def _find_words(
    roles: Roles, by_role: Mapping[str, Sequence[Column]], free: Sequence[Column], meanings: set[str]
) -> None:
    """Find the columns whose words say the direction, the kind, the state or the currency of a row."""
    known = {**DIRECTIONS, **dict.fromkeys(meanings, "")}
    for role in ("direction", "type", "status"):
        if role in by_role:
            roles.found[role] = by_role[role][0].index
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
        amount = roles.found.get("amount", roles.found.get("debit", 0))
        # Of several the first behind the amount is the amount's.
        roles.found["currency"] = next((it for it in found if it > amount), found[0])


def _ask_column(roles: Roles, role: str, indexes: Iterable[int], detail: str) -> Question:
    return Question(f"columns.{role}", [roles.name(index) for index in indexes], detail)
