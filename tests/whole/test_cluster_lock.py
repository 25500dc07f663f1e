"""The lock of migrations on a cluster, tried on one server: all that it asks of the cluster is that one update wins."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier

import pytest
from sqlalchemy import Connection, Engine, make_url, text

import migrations
from migrations import cluster_lock
from migrations.cluster_lock import ClusterLock, hold_cluster_lock, is_cluster
from migrations.errors import MigrationLocked, MigrationTakenOver
from tests.support.servers import make_plain_engine

PROCESSES = 3


@contextmanager
def _hold(migrating: Connection, seconds: float) -> Iterator[None]:
    own = migrating.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    with own, hold_cluster_lock(migrating, own, seconds):
        yield


@pytest.fixture
def server(empty_mysql_url: str) -> Engine:
    return make_plain_engine(empty_mysql_url)


@pytest.fixture
def connection(server: Engine) -> Iterator[Connection]:
    with server.connect() as connection:
        yield connection


@pytest.fixture
def died(server: Engine) -> Iterator[ClusterLock]:
    """A lock whose owner took it and does nothing any more."""
    with server.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        lock = ClusterLock(connection)
        lock.take(0)
        yield lock


def test_a_server_of_its_own_is_no_cluster(connection: Connection) -> None:
    assert not is_cluster(connection)


def test_processes_that_come_at_once_take_turns(server: Engine) -> None:
    at_once, happened = Barrier(PROCESSES), []

    def migrate(process: int) -> None:
        with server.connect() as connection:
            at_once.wait()
            with _hold(connection, 30):
                happened.append((process, "begins"))
                connection.execute(text("SELECT SLEEP(0.1)"))
                happened.append((process, "ends"))

    with ThreadPoolExecutor(PROCESSES) as processes:
        list(processes.map(migrate, range(PROCESSES)))
    order = [process for process, what in happened if what == "begins"]
    assert sorted(order) == list(range(PROCESSES))
    assert happened == [(process, what) for process in order for what in ("begins", "ends")]


def test_the_lock_is_free_after_a_migration_that_failed(server: Engine, connection: Connection) -> None:
    with pytest.raises(ZeroDivisionError), _hold(connection, 0):
        raise ZeroDivisionError
    with server.connect() as next_one, _hold(next_one, 0):
        assert not next_one.in_transaction()


def test_one_that_works_is_waited_for(server: Engine, connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_lock, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(cluster_lock, "ABANDONED_SECONDS", 1.5)
    with (
        _hold(connection, 0),
        server.connect() as waiting,
        pytest.raises(MigrationLocked, match="Another process has been migrating"),
        _hold(waiting, 2),
    ):
        pass


@pytest.mark.usefixtures("died")
def test_one_that_died_is_waited_for_until_it_is_known(connection: Connection) -> None:
    with pytest.raises(MigrationLocked), _hold(connection, 0.5):
        pass


def test_the_lock_of_one_that_died_is_taken_over(
    died: ClusterLock, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_lock, "ABANDONED_SECONDS", 0.3)
    with _hold(connection, 30), pytest.raises(MigrationTakenOver, match="taken over"):
        died.beat()


def test_one_that_was_suspended_runs_no_statement_after_another_took_over(
    server: Engine, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _hold(connection, 0):
        with server.begin() as another:
            another.execute(text("UPDATE migration_lock SET owner = 'another'"))
        monkeypatch.setattr(cluster_lock, "BEAT_SECONDS", 0)
        with pytest.raises(MigrationTakenOver, match="taken over"):
            connection.execute(text("CREATE TABLE too_late (id INTEGER)"))
    with server.connect() as now:
        assert now.execute(text("SHOW TABLES")).scalars().all() == ["migration_lock"]


def test_the_table_of_the_lock_is_none_of_the_schema(empty_mysql_url: str, connection: Connection) -> None:
    migrations.upgrade(empty_mysql_url)
    with _hold(connection, 0), migrations._lock_for_migration(make_url(empty_mysql_url)) as migrating:
        migrations._run_alembic("check", migrating)
