"""The deadline of a request, which is extended a little while the request waits for others of its client."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from database import UnitOfWork

STATEMENT_SHARE: Final = 0.9


class Deadline:
    """When a request is given up; its statements are stopped a little earlier, so that their connection survives."""

    def __init__(self, timeout: asyncio.Timeout, seconds: float) -> None:
        """`timeout` is that of a request that may take so many `seconds` in all."""
        self._timeout = timeout
        self._reserve = seconds * (1 - STATEMENT_SHARE)

    @property
    def statements_end(self) -> float:
        """When a statement that still runs is stopped; an instant of the event loop's clock."""
        return (self._timeout.when() or 0) - self._reserve

    @contextmanager
    def extended(self, unit: UnitOfWork, seconds: float) -> Iterator[None]:
        """Give a request, and the statements of its unit, so many seconds more; those not needed are taken back."""
        loop = asyncio.get_running_loop()
        began, end = loop.time(), self._timeout.when() or 0
        self._move(unit, end + seconds)
        try:
            yield
        finally:
            if not self._timeout.expired():
                self._move(unit, end + min(seconds, loop.time() - began))

    def _move(self, unit: UnitOfWork, end: float) -> None:
        self._timeout.reschedule(end)
        unit.stop_statements_at(self.statements_end)
