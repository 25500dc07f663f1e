"""The deadline of a request, which stands still while the request waits for its turn."""

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
    def paused(self, unit: UnitOfWork) -> Iterator[None]:
        """Let no time pass, also not for the statements of a unit."""
        loop = asyncio.get_running_loop()
        left = (self._timeout.when() or 0) - loop.time()
        self._timeout.reschedule(None)
        unit.stop_statements_at(None)
        try:
            yield
        finally:
            self._timeout.reschedule(loop.time() + left)
            unit.stop_statements_at(self.statements_end)
