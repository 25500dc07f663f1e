"""What the scenarios of one table share: the server, or the cluster, on which each gets a database of its own."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from faults.databases import (
    DURABLE,
    GALERA,
    MARIADB,
    SQLITE,
    Database,
    FullDiskServer,
    Server,
    SqliteFile,
    is_root,
)
from faults.galera import Cluster, ClusterDatabase
from faults.scenario import SCENARIOS, Scenario
from tests.support.servers import MySQL, PrivateMariaDB

KINDS: Final = (SQLITE, MARIADB, GALERA)


class Stages:
    """Opens the database of a scenario; a server is started when it is first needed, and used again."""

    def __init__(self, kind: str, url: str | None = None) -> None:
        self.kind = kind
        self._url = url
        self._server: PrivateMariaDB | None = None
        self._cluster: Cluster | None = None

    def can_play(self, scenario: Scenario) -> bool:
        """Whether a scenario can be played on this database, on this machine."""
        if self._url and (scenario.needs_process or scenario.disk_size):
            return False
        return self.kind in scenario.on and (is_root() or not scenario.disk_size)

    @contextmanager
    def open(self, scenario: Scenario) -> Iterator[Database]:
        """Open an empty database and remove it; after a scenario that failed, the next one gets a new server."""
        database = self._make(scenario)
        try:
            yield database
            database.close()
        except BaseException:
            with suppress(Exception):  # the first error is the one to be told
                database.close()
            self.close()
            raise
        finally:
            if scenario.disk_size and isinstance(database, Server):
                database.server.close()

    def close(self) -> None:
        """End the servers that were started."""
        if self._server:
            self._server.close()
        if self._cluster:
            self._cluster.close()
        self._server = self._cluster = None

    def _make(self, scenario: Scenario) -> Database:
        if self.kind == SQLITE:
            return SqliteFile(scenario.disk_size)
        if self.kind == GALERA:
            self._cluster = self._cluster or Cluster()
            return ClusterDatabase(self._cluster)
        if self._url:
            return Server(MySQL(self._url))
        if scenario.disk_size:
            return Server(FullDiskServer(scenario.disk_size))
        self._server = self._server or PrivateMariaDB(*DURABLE)
        return Server(self._server)


def choose(kind: str, names: list[str], *, all_of_them: bool) -> list[Scenario]:
    """Return the scenarios of a table: those named, or else all, or the quick ones."""
    return [
        it for it in SCENARIOS if kind in it.on and (it.name in names if names else all_of_them or kind in it.quick)
    ]
