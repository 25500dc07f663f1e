"""Which amounts are money in and which are money out: by sign, by a word beside the amount, or by two columns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

Sign = Literal["minus_is_spent", "plus_is_spent", "flag", "columns"]


@dataclass(frozen=True, slots=True)
class Movement:
    """What of one row tells its direction."""

    said: Decimal
    """The number as it stands in the file."""
    meaning: str | None
    """`out` or `in` if a word of the row says so."""
    has_plus: bool
    """Whether a plus is written."""
    side: Literal["in", "out"] | None
    """What CR or DR behind the number, or beside it in some rows only, says."""


def decide_sign(
    movements: Sequence[Movement],
    has_iban: bool,  # noqa: FBT001
    has_running_balance: Callable[[], bool],
    list_incomes: Callable[[], Sequence[Movement]],
    list_kinds: Callable[[], Sequence[Movement]],
) -> Sign | None:
    """Return how the direction of amounts in one column is told, proved by all rows; None if nothing proves it.

    `has_iban` says that the file is of a bank's account, which writes a minus before what was spent, if it writes any.
    `has_running_balance` returns whether the amounts add up to a balance, `list_incomes` the rows with a word that only
    money in is called by, and `list_kinds` those whose kind says that money came in or went out; each is asked only if
    it matters.
    """
    moved = [it for it in movements if it.said]
    negative, positive = [it for it in moved if it.said < 0], [it for it in moved if it.said > 0]
    told = [it for it in moved if it.meaning in {"out", "in"}]
    if not negative and (unsigned := _decide_unsigned(moved, told)):
        return unsigned
    if told and (agreed := _compare(told)):
        return agreed
    if negative and (has_iban or (positive and all(it.has_plus for it in positive))):
        return "minus_is_spent"
    if has_running_balance():
        return "minus_is_spent"
    if agreed := _compare_incomes(list_incomes()) or _compare_kinds(list_kinds()):
        return agreed
    # A statement has more purchases than anything else.
    return "minus_is_spent" if len(negative) > len(positive) else None


def _decide_unsigned(moved: Sequence[Movement], told: Sequence[Movement]) -> Sign | None:
    """Return what tells the direction where no amount has a minus: words in every row, or CR beside some of them."""
    if told:
        return "flag"
    sides = {it.side for it in moved} - {None}
    return ("plus_is_spent" if sides == {"in"} else "minus_is_spent") if sides else None


def _compare(told: Sequence[Movement]) -> Sign | None:
    """Return what words and signs say together; None if they contradict each other."""
    is_minus = {(it.said < 0) == (it.meaning == "out") for it in told}
    if len(is_minus) > 1:
        return None
    return "minus_is_spent" if is_minus.pop() else "plus_is_spent"


def _compare_kinds(told: Sequence[Movement]) -> Sign | None:
    """Return what kinds and signs say together; None unless some are out and some are in."""
    return _compare(told) if {it.meaning for it in told} == {"out", "in"} else None


def _compare_incomes(incomes: Sequence[Movement]) -> Sign | None:
    """Return the sign that money in shows; None if there is none, or both."""
    signs = {it.said > 0 for it in incomes if it.said}
    if len(signs) != 1:
        return None
    return "minus_is_spent" if signs.pop() else "plus_is_spent"


def apply_sign(movement: Movement, sign: Sign, *, are_spent_negative: bool) -> Decimal | None:
    """Return an amount as the account sees it, money in positive; None if no word of the row tells its direction.

    `are_spent_negative`: with `flag`, whether the file writes a minus before all that was spent.
    """
    size = abs(movement.said)
    if movement.side is not None:
        return size if movement.side == "in" else -size
    if sign == "minus_is_spent":
        return movement.said
    if sign == "plus_is_spent":
        return size if movement.has_plus else -movement.said
    if movement.meaning is None:
        return None
    value = size if are_spent_negative else movement.said
    return -value if movement.meaning == "out" else value
