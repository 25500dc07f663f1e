"""The databases on which faults are played: an SQLite file, a MariaDB server, or another running server."""

import os
import secrets
import sqlite3
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from sqlalchemy import Connection, Engine, make_url, text
from sqlalchemy.exc import OperationalError

import migrations
from tests.support.servers import MySQL, PrivateMariaDB, make_plain_engine

SQLITE, MARIADB, GALERA = "sqlite", "mariadb", "galera"
# As in production, and unlike the tests' server: what was committed outlives a kill.
DURABLE: Final = ("--innodb-flush-log-at-trx-commit=1", "--innodb-doublewrite=1", "--innodb-fast-shutdown=1")
# How long after the last request a server may need to end transactions, in seconds.
LEFT_OPEN_SECONDS: Final = 3.0
# How often a connection is killed before the list of connections is read anew, and the seconds between.
KILLS_PER_LISTING: Final = 20
BETWEEN_KILLS: Final = 0.005
# Connections of one service: its two pools.
POOLS: Final = 20


class Database:
    """A database with the schema, as a scenario acts upon it and the judge reads it."""

    kind = SQLITE
    urls: Sequence[str]
    """The URL for the service; for several nodes, one for each."""

    def migrate(self) -> None:
        """Bring the schema up to date."""
        migrations.upgrade(self.urls[0])

    def make_another(self) -> "Database":
        """Return an empty database of the same kind, in the same place."""
        return SqliteFile()

    def open_engine(self) -> Engine:
        """Return an engine with which the judge reads everything."""
        return make_plain_engine(self.urls[0])

    def find_left_open(self, services: int) -> tuple[str, bool]:
        """Return what is left open after the last request, in a few words, and whether that is in order."""
        raise NotImplementedError

    def close(self) -> None:
        """Remove it."""


class SqliteFile(Database):
    """An SQLite file in a folder of its own; with `size`, on a small disk of so many bytes (needs root)."""

    def __init__(self, size: int | None = None) -> None:
        self._disk = Disk(size)
        self.path = self._disk.path / "expenses.db"
        self.urls = [f"sqlite+aiosqlite:///{self.path}"]

    @property
    def disk(self) -> "Disk":
        """Where it lies."""
        return self._disk

    def find_left_open(self, services: int) -> tuple[str, bool]:  # noqa: ARG002
        """Try to write from outside, and to empty the write-ahead log, as only a file that nobody reads lets."""
        connection = sqlite3.connect(self.path, timeout=LEFT_OPEN_SECONDS, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
            busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except sqlite3.Error as error:
            return error.sqlite_errorname, False
        finally:
            connection.close()
        return ("wal busy", False) if busy else ("none", True)

    def close(self) -> None:
        """Delete the file."""
        self._disk.close()


class Disk:
    """A folder; with `size`, it is a file system of so many bytes in memory, which can be filled (needs root)."""

    def __init__(self, size: int | None = None) -> None:
        self._folder = TemporaryDirectory(prefix="expenses-faults-", ignore_cleanup_errors=True)
        self.path = Path(self._folder.name)
        self._is_mounted = size is not None
        if size is not None:
            options = ["-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(self.path)]
            subprocess.run(["mount", *options], check=True)

    def fill(self) -> None:
        """Write until nothing more can be written."""
        block = b"\0" * 4096
        with suppress(OSError), (self.path / "ballast").open("ab", buffering=0) as ballast:
            while True:
                ballast.write(block)

    def empty(self) -> None:
        """Delete what `fill` has written."""
        (self.path / "ballast").unlink(missing_ok=True)

    def close(self) -> None:
        """Unmount and delete it."""
        if self._is_mounted:
            subprocess.run(["umount", "--lazy", str(self.path)], check=False)
        self._folder.cleanup()


class Server(Database):
    """A database on a server; the service's user may do everything in it, but administer nothing."""

    kind = MARIADB

    def __init__(self, server: MySQL, nodes: Sequence[MySQL] = ()) -> None:
        self.server = server
        self.nodes = nodes or [server]
        name = f"expenses_faults_{secrets.token_hex(4)}"
        self.user, password = f"svc_{secrets.token_hex(4)}", secrets.token_hex(16)
        self._admin_url = make_url(server.create_database(name))
        server.execute(f"CREATE USER {self.user} IDENTIFIED BY '{password}'")
        server.execute(f"GRANT ALL ON `{name}`.* TO {self.user}")
        account = self._admin_url.set(username=self.user, password=password)
        self.urls = [
            account.set(port=node.server_url.port).render_as_string(hide_password=False) for node in self.nodes
        ]

    @property
    def process(self) -> PrivateMariaDB:
        """The server, which this program has started and may kill."""
        if not isinstance(self.server, PrivateMariaDB):
            raise TypeError("this server was not started here")
        return self.server

    def make_another(self) -> Database:
        """Return an empty database on the same server."""
        return Server(self.server, self.nodes)

    def open_engine(self) -> Engine:
        """Return an engine of the server's administrator."""
        return make_plain_engine(self._admin_url)

    def ask(self, query: str) -> int:
        """Return the one number that a query of the administrator gives."""
        return _ask(self.server, self._admin_url.database or "", query)

    def wait_until_back(self) -> None:
        """Wait until the server, which stood still, can serve again: it can at once."""

    def kill_connections(self) -> None:
        """Kill each of the service's connections."""
        with self.administer() as administrator:
            self.kill_connections_by(administrator)

    def kill_connections_by(self, administrator: Connection) -> None:
        """Kill each of the service's connections, by a connection that is open: a new one could be refused."""
        self._kill(administrator, "CONNECTION", self._list_connections(administrator))

    def kill_statements(self, seconds: float) -> None:
        """Kill whatever the service's connections are executing, every few milliseconds, for so many seconds.

        A connection that executes nothing does not notice. Asking which do would take longer than most statements.
        """
        end = time.monotonic() + seconds
        with self.administer() as administrator:
            while time.monotonic() < end:
                connections = self._list_connections(administrator)
                for _ in range(KILLS_PER_LISTING):
                    self._kill(administrator, "QUERY", connections)
                    time.sleep(BETWEEN_KILLS)

    def administer(self) -> Connection:
        """Open a connection of a user who may do everything."""
        return make_plain_engine(self._admin_url, isolation_level="AUTOCOMMIT").connect()

    def _list_connections(self, administrator: Connection) -> Sequence[int]:
        query = text("SELECT id FROM information_schema.processlist WHERE user = :user")
        return administrator.execute(query, {"user": self.user}).scalars().all()

    def _kill(self, administrator: Connection, what: str, connections: Sequence[int]) -> None:
        for connection in connections:
            with suppress(OperationalError):  # it may have ended meanwhile
                administrator.exec_driver_sql(f"KILL {what} {connection}")

    def find_left_open(self, services: int) -> tuple[str, bool]:
        """Count the service's transactions and connections, on all nodes."""
        deadline = time.monotonic() + LEFT_OPEN_SECONDS
        while (transactions := self._count_transactions()) and time.monotonic() < deadline:
            time.sleep(0.2)
        connections = self._sum_over_nodes("SELECT COUNT(*) FROM information_schema.processlist WHERE user = :user")
        return f"{transactions}/{connections}", transactions == 0 and connections <= POOLS * services

    def _count_transactions(self) -> int:
        query = (
            "SELECT COUNT(*) FROM information_schema.innodb_trx JOIN information_schema.processlist "
            "ON processlist.id = innodb_trx.trx_mysql_thread_id WHERE processlist.user = :user"
        )
        return self._sum_over_nodes(query)

    def _sum_over_nodes(self, query: str) -> int:
        return sum(_ask(node, self._admin_url.database or "", query, user=self.user) for node in self.nodes)

    def close(self) -> None:
        """Drop the database and the service's user."""
        with suppress(OperationalError):
            self.server.execute(f"DROP USER {self.user}")
        with suppress(OperationalError):
            self.server.drop_database(self._admin_url.database or "")


class FullDiskServer(PrivateMariaDB):
    """A MariaDB with its data on a small disk (needs root)."""

    def __init__(self, size: int) -> None:
        self.disk = Disk(size)
        super().__init__(*DURABLE, "--innodb-log-file-size=8M", "--innodb-buffer-pool-size=32M", within=self.disk.path)

    def close(self) -> None:
        """Kill the server and unmount its disk."""
        super().close()
        self.disk.close()


def _ask(node: MySQL, database: str, query: str, **values: str) -> int:
    with make_plain_engine(node.server_url.set(database=database)).connect() as connection:
        return int(connection.execute(text(query), values).scalar_one())


def is_root() -> bool:
    """Whether this process may mount small disks and forbid writing to files."""
    return os.geteuid() == 0
