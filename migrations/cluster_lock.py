"""A lock that a Galera cluster certifies, for migrations: `GET_LOCK` is known to one node only.

The table `migration_lock` has one row: its owner, and a count that the owner raises every two seconds, a beat. Of
several nodes that update the row at once, the cluster lets one win; the others get a deadlock (1213). An owner that
died raises nothing any more, so after 15 s without a beat another process takes over. No clocks are compared.
"""

import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, event, text
from sqlalchemy.exc import DBAPIError

from infra.faults import Fault, classify_fault
from migrations.errors import MigrationLocked, MigrationTakenOver

LOCK_TABLE: Final = "migration_lock"
BEAT_SECONDS: Final = 2
ABANDONED_SECONDS: Final = 15
POLL_SECONDS: Final = 0.2

_CREATE: Final = text(
    "CREATE TABLE IF NOT EXISTS migration_lock "
    "(id INTEGER PRIMARY KEY, owner VARCHAR(32) NOT NULL, beats BIGINT NOT NULL)"
)
_INSERT: Final = text("INSERT IGNORE INTO migration_lock (id, owner, beats) VALUES (1, '', 0)")
_READ: Final = text("SELECT owner, beats FROM migration_lock WHERE id = 1")
_TAKE: Final = text(
    "UPDATE migration_lock SET owner = :me, beats = beats + 1 WHERE id = 1 AND owner = :owner AND beats = :beats"
)
_BEAT: Final = text("UPDATE migration_lock SET beats = beats + 1 WHERE id = 1 AND owner = :me")
_RELEASE: Final = text("UPDATE migration_lock SET owner = '' WHERE id = 1 AND owner = :me")


def is_cluster(connection: Connection) -> bool:
    """Whether the server is a node of a Galera cluster."""
    found = connection.exec_driver_sql("SHOW GLOBAL VARIABLES LIKE 'wsrep_on'").one_or_none()
    return found is not None and found[1] == "ON"


@contextmanager
def hold_cluster_lock(migrating: Connection, own: Connection, seconds: float) -> Iterator[None]:
    """Hold the lock while `migrating` is used; raise MigrationLocked if others hold it for `seconds`.

    `own` is a connection in autocommit, which nobody else uses.
    """
    lock = ClusterLock(own)
    lock.take(seconds)
    event.listen(migrating, "before_cursor_execute", lock.refuse_if_lost)
    try:
        with lock.beating():
            yield
    finally:
        event.remove(migrating, "before_cursor_execute", lock.refuse_if_lost)
        lock.release()


class _Holding(NamedTuple):
    """The row: who holds the lock, or '' for nobody, and the number of beats."""

    owner: str
    beats: int


class ClusterLock:
    """The lock as one process sees it, through a connection in autocommit that it uses alone."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._me = secrets.token_hex(16)
        self._one_at_a_time = threading.Lock()
        self._last_beat = 0.0

    def take(self, seconds: float) -> None:
        """Wait until the lock is free or abandoned, and take it; raise MigrationLocked after `seconds`."""
        self._connection.execute(_CREATE)
        deadline = time.monotonic() + seconds
        seen, seen_at = self._read(), time.monotonic()
        while not (self._is_takeable(seen, seen_at) and self._update(_TAKE, **seen._asdict())):
            if time.monotonic() >= deadline:
                raise MigrationLocked
            time.sleep(POLL_SECONDS)
            row = self._read()
            if row != seen:
                seen, seen_at = row, time.monotonic()
        self._last_beat = time.monotonic()

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Raise the count every two seconds, also during a statement of the migration that takes long."""
        ended = threading.Event()

        def beat() -> None:
            while not ended.wait(BEAT_SECONDS):
                # If a beat fails, the next statement of the migration finds that it is missing.
                with suppress(DBAPIError, MigrationTakenOver):
                    self.beat()

        thread = threading.Thread(target=beat, name="migration lock", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def beat(self) -> None:
        """Show the others that this process lives; raise MigrationTakenOver if one of them has taken over."""
        with self._one_at_a_time:
            if self._update(_BEAT):
                self._last_beat = time.monotonic()
            elif self._read().owner != self._me:
                raise MigrationTakenOver

    def refuse_if_lost(self, *_: Any) -> None:
        """Before a statement of the migration, raise MigrationTakenOver if the lock was lost.

        This process may have been suspended for longer than the others wait.
        """
        if time.monotonic() - self._last_beat > 2 * BEAT_SECONDS:
            self.beat()

    def release(self) -> None:
        """Free the lock; if the database does not answer, it counts as abandoned soon."""
        with suppress(DBAPIError):
            self._connection.execute(_RELEASE, {"me": self._me})

    def _is_takeable(self, holding: _Holding, seen_at: float) -> bool:
        return not holding.owner or time.monotonic() - seen_at >= ABANDONED_SECONDS

    def _read(self) -> _Holding:
        while (row := self._connection.execute(_READ).one_or_none()) is None:
            self._update(_INSERT)
        return _Holding(row.owner, row.beats)

    def _update(self, statement: Any, **values: object) -> bool:  # noqa: ANN401
        """Run a statement; return whether it changed the row, which it did not if another node was first."""
        try:
            return self._connection.execute(statement, {"me": self._me} | values).rowcount == 1
        except DBAPIError as error:
            if classify_fault(error) is Fault.RETRY:
                return False
            raise
