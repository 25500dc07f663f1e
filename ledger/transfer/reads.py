"""How exports and archives read a ledger: one read after the other, and nothing is held in between."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from ledger.core import Ledger

T = TypeVar("T")


class ReadLedger(Protocol):
    """Runs a read of the ledger: in a unit of work of its own, or in one for all reads of the same moment."""

    async def __call__(self, read: Callable[[Ledger], Awaitable[T]]) -> T:
        """Return what the read returns."""
