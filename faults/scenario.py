"""A scenario: a function that breaks something while the writers write, and mends it again."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from faults.databases import GALERA, MARIADB, SQLITE
from faults.run import Run

EVERYWHERE: Final = (SQLITE, MARIADB, GALERA)
ONE_DATABASE: Final = (SQLITE, MARIADB)
SERVERS: Final = (MARIADB, GALERA)

Play = Callable[[Run], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A fault with the stage that it needs."""

    name: str
    play: Play
    on: tuple[str, ...]
    quick: tuple[str, ...] = ()
    """On which databases `make faults` plays it; `make faults all` plays all."""
    workers: int = 1
    services: int = 1
    disk_size: int | None = None
    """Bytes of the small disk on which the database lies, for which this program must be root."""
    needs_process: bool = False
    """Whether it kills, freezes, starts, locks or reconfigures the server, so that one given by its URL will not do."""


SCENARIOS: Final[list[Scenario]] = []


def scenario(
    *on: str,
    quick: tuple[str, ...] = (),
    workers: int = 1,
    services: int = 1,
    disk_size: int | None = None,
    needs_process: bool = False,
) -> Callable[[Play], Play]:
    """Put a function into the list of scenarios under its own name."""

    def add(play: Play) -> Play:
        made = Scenario(
            name=getattr(play, "__name__", "").replace("_", "-"),
            play=play,
            on=on,
            quick=quick,
            workers=workers,
            services=services,
            disk_size=disk_size,
            needs_process=needs_process,
        )
        SCENARIOS.append(made)
        return play

    return add
