"""What the columns of a table mean, by their headers and by their values.

1. what each column holds      days, numbers or texts, in a sample of the rows (measuring)
2. roles by header             a column whose values contradict its header keeps no role (roles)
3. roles by value              where no header says which is the day, the amount, the currency or the direction (roles)
4. roles by option             those of the profile and those that were sent, which beat all others
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ledger.transfer.readers.bank_fields import find_iban
from ledger.transfer.readers.entries import BadOption
from ledger.transfer.readers.layout import Layout
from ledger.transfer.readers.measuring import Column, measure
from ledger.transfer.readers.roles import Roles, detect_roles
from ledger.transfer.readers.words import make_word


def find_roles(layout: Layout, chosen: Mapping[str, Any], settled: Mapping[str, Any]) -> Roles:
    """Return the roles of the columns; `chosen` are those of the options, `settled` the meanings of words."""
    columns = measure(layout)
    taken = _resolve(columns, chosen)
    for index in {index for found in taken.values() for index in found}:
        columns[index].role = None
    free = [column for column in columns if column.index not in {it for found in taken.values() for it in found}]
    ibans = {iban for row in layout.preamble for cell in row.cells if (iban := find_iban(cell))}
    roles = detect_roles(free, columns, {make_word(word) for word in settled}, ibans, has_header=layout.header_line > 0)
    return _apply(roles, chosen, taken)


def _apply(roles: Roles, chosen: Mapping[str, Any], taken: Mapping[str, Sequence[int]]) -> Roles:
    for role in chosen:
        roles.found.pop(role, None)
        roles.beside.pop(role, None)
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
    roles.settle_beside()
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
