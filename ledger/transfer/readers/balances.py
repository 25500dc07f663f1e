"""Running balances, which prove an amount: each balance is the one before it plus the amount between them."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise, permutations
from typing import Final

Values = Sequence[Decimal | None]
"""One column of numbers; None where a cell is none."""
_Pair = tuple[Decimal, Decimal | None]


MAX_COLUMNS: Final = 8
"""Of more columns of numbers nothing is proved: each would be compared with every two others."""


def find_amount(columns: Sequence[Values]) -> int | None:
    """Return which of some columns holds the amounts, proved by another that holds balances; None if nothing does."""
    if len(columns) > MAX_COLUMNS:
        return None
    proved = {
        amount
        for amount, balance in permutations(range(len(columns)), 2)
        if is_running(columns[amount], columns[balance]) or _precedes(columns[amount], columns[balance])
    }
    proved |= {
        amount
        for before, amount, after in permutations(range(len(columns)), 3)
        if _are_between(columns[before], columns[amount], columns[after])
    }
    return proved.pop() if len(proved) == 1 else None


def is_running(amounts: Values, balances: Values) -> bool:
    """Whether the balances are the amounts added up, the oldest row first or last; needs three rows."""
    rows = _list_pairs(amounts, balances)
    return bool(rows) and (_adds_up(rows) or _adds_up(rows[::-1]))


def _precedes(amounts: Values, balances: Values) -> bool:
    """Whether each balance is the one before its amount."""
    rows = _list_pairs(amounts, balances)
    return bool(rows) and (_adds_up(_shift(rows)) or _adds_up(_shift(rows[::-1])))


def _list_pairs(amounts: Values, balances: Values) -> list[_Pair]:
    """Return the amounts with their balances; none if they are too few, or too many lack one of both."""
    rows = [(amount, balance) for amount, balance in zip(amounts, balances, strict=True) if amount is not None]
    whole = sum(balance is not None for _, balance in rows)
    is_enough = whole >= 3 and whole >= len(amounts) * 0.8 and any(amount for amount, _ in rows)  # noqa: PLR2004
    return rows if is_enough else []


def _shift(rows: Sequence[_Pair]) -> list[_Pair]:
    """Return each balance with the amount of the row before."""
    return [(before, balance) for (before, _), (_, balance) in pairwise([(Decimal(0), None), *rows])]


def _adds_up(rows: Sequence[_Pair]) -> bool:
    """Whether each balance is the one before it plus the amounts since then."""
    expected: Decimal | None = None
    for amount, balance in rows:
        if expected is not None:
            expected += amount
            if balance is not None and balance != expected:
                return False
        expected = expected if balance is None else balance
    return True


def _are_between(before: Values, amounts: Values, after: Values) -> bool:
    rows = [row for row in zip(before, amounts, after, strict=True) if None not in row]
    return (
        len(rows) > 1
        and len(rows) == len(amounts)
        and all((start or 0) + (amount or 0) == end for start, amount, end in rows)
        and (_is_chain(rows) or _is_chain(rows[::-1]))
    )


def _is_chain(rows: Sequence[tuple[Decimal | None, ...]]) -> bool:
    """Whether each row starts with the balance with which the one before ends."""
    return all(end == start for (_, _, end), (start, _, _) in pairwise(rows))
