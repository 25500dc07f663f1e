"""Running balances, which prove an amount: each balance is the one before it plus the amount between them."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise, permutations

Values = Sequence[Decimal | None]
"""One column of numbers; None where a cell is none."""


def find_amount(columns: Sequence[Values]) -> int | None:
    """Return which of some columns holds the amounts, proved by another that holds balances; None if nothing does."""
    proved = {
        amount
        for amount, balance in permutations(range(len(columns)), 2)
        if is_running(columns[amount], columns[balance])
    }
    proved |= {
        amount
        for before, amount, after in permutations(range(len(columns)), 3)
        if _are_between(columns[before], columns[amount], columns[after])
    }
    return proved.pop() if len(proved) == 1 else None


def is_running(amounts: Values, balances: Values) -> bool:
    """Whether the balances are the amounts added up, the oldest row first or last; needs three rows."""
    rows = [
        (amount, balance) for amount, balance in zip(amounts, balances, strict=True) if None not in {amount, balance}
    ]
    if len(rows) < 3 or len(rows) < len(amounts) * 0.8 or not any(amount for amount, _ in rows):  # noqa: PLR2004
        return False
    return _adds_up(rows) or _adds_up(rows[::-1])


def _adds_up(rows: Sequence[tuple[Decimal | None, Decimal | None]]) -> bool:
    return all((before or 0) + (amount or 0) == balance for (_, before), (amount, balance) in pairwise(rows))


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
