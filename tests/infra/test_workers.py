"""Several workers of `make run`: one that dies is replaced, and none outlives the parent."""

import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from filelock import FileLock
from sqlalchemy import text

import migrations
from infra import workers
from tests.support import forks
from tests.support.servers import (
    MAIN,
    Process,
    Service,
    free_port,
    inherited,
    is_served,
    make_plain_engine,
    wait_until_closed,
)

pytestmark = pytest.mark.skipif(not forks.CAN_FORK, reason="the processes are found as Linux shows them")


def children_of(pid: int) -> set[int]:
    """Return the ids of a process's children."""
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def workers_of(service: Service) -> set[int]:
    """Return the ids of the service's workers."""
    return children_of(service.process.pid)


def serving(service: Service, times: int) -> Callable[[], bool]:
    """Return a condition: so many workers have started to serve, those that have died included."""
    return lambda: service.log.count("Application startup complete") == times


@pytest.fixture
def service() -> Iterator[Service]:
    """Two workers that serve from an empty folder: neither a database nor a secret is there."""
    with closing(Service({"WORKERS": "2", "SECRET_KEY": ""}, program=MAIN)) as service:
        service.process.wait_until(lambda: "is running in 2 processes" in service.log)
        yield service


def test_the_workers_share_one_migration_and_one_key(service: Service) -> None:
    assert len(workers_of(service)) == 2
    assert {file.name for file in service.folder.glob("*.key*")} == {"expense_tracker.key"}


def answer_without(suspended: int, service: Service) -> httpx.Response:
    """Return an answer that another worker gives, because this one is suspended."""
    state = Path(f"/proc/{suspended}/stat")
    os.kill(suspended, signal.SIGSTOP)
    try:
        service.process.wait_until(lambda: state.read_text().rpartition(")")[2].split()[0] == "T")
        return httpx.get(f"{service.url}/health?q=hunter2", trust_env=False)
    finally:
        os.kill(suspended, signal.SIGCONT)


def test_every_worker_has_the_protections_of_one(service: Service) -> None:
    answers = [answer_without(worker, service) for worker in workers_of(service)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert {answer.headers.get("server") for answer in answers} == {None}
    assert "hunter2" not in service.log
    assert [line for line in service.log.splitlines() if "level" not in json.loads(line)] == []


def test_that_the_service_runs_is_told_once_and_by_the_parent(service: Service) -> None:
    told = f"Expense Tracker is running in 2 processes: open http://localhost:{service.port}/docs (Ctrl-C stops it)"
    service.process.wait_until(lambda: told in service.log)
    os.kill(min(workers_of(service)), signal.SIGKILL)
    service.process.wait_until(serving(service, 3))
    assert service.log.count(told) == 1


def test_a_worker_that_was_killed_is_replaced(service: Service) -> None:
    before = workers_of(service)
    for worker in before:
        os.kill(worker, signal.SIGKILL)
    service.process.wait_until(serving(service, 4))
    assert len(workers_of(service)) == 2
    assert workers_of(service).isdisjoint(before)
    assert service.log.count("ended with SIGKILL after it had served; the next one starts in 0.5 s") == 2
    service.stop()


def test_a_worker_that_is_killed_at_its_start_is_replaced(tmp_path: Path) -> None:
    port = free_port()
    environment = inherited() | {"WORKERS": "2", "PORT": str(port)}
    process = Process([sys.executable, *MAIN], tmp_path, environment)
    try:
        with FileLock(tmp_path / "expense_tracker.db.lock"):
            # The first worker waits for the lock to migrate, and the second one for the first.
            process.wait_until(lambda: len(children_of(process.pid)) == 1)
            os.kill(min(children_of(process.pid)), signal.SIGKILL)
            process.wait_until(lambda: "ended with SIGKILL before it served; the next one" in process.log)
        process.wait_until(lambda: "is running in 2 processes" in process.log)
        assert is_served(port, "/ready")
        assert process.stop() == 0
    finally:
        process.kill()


def test_no_worker_outlives_a_parent_that_was_killed(service: Service) -> None:
    os.kill(service.process.pid, signal.SIGKILL)
    wait_until_closed(service.port)


def test_a_worker_that_ends_before_it_serves_has_not_served() -> None:
    told, telling = multiprocessing.Pipe(duplex=False)
    # The end of a process closes the pipe a moment before the process has ended.
    telling.close()
    assert told.poll()
    assert not workers._has_told(told)


def test_if_no_worker_can_start_the_service_ends_with_the_reason(tmp_path: Path, empty_mysql_url: str) -> None:
    settings = {"DATABASE_URL": empty_mysql_url, "SECRET_KEY": os.urandom(32).hex(), "PORT": str(free_port())}
    environment = inherited() | settings | {"WORKERS": "4"}
    ended = forks.run(MAIN, tmp_path, environment)
    assert ended.returncode == 3
    assert ended.stderr.count("run `make migrate`") == 1
    assert "the first worker cannot start, so the service ends" in ended.stderr.splitlines()[-1]


def test_a_worker_that_cannot_start_is_tried_again_after_longer_and_longer_pauses(empty_mysql_url: str) -> None:
    migrations.upgrade(empty_mysql_url)
    with (
        closing(Service({"WORKERS": "2", "DATABASE_URL": empty_mysql_url}, program=MAIN)) as service,
        make_plain_engine(empty_mysql_url, isolation_level="AUTOCOMMIT").connect() as database,
    ):
        service.process.wait_until(serving(service, 2))
        revision = migrations.read_newest_revision()
        database.execute(text("UPDATE alembic_version SET version_num = 'another'"))
        os.kill(max(workers_of(service)), signal.SIGKILL)
        service.process.wait_until(lambda: "exit code 3 before it served; the next one starts in 1.0 s" in service.log)
        service.process.wait_until(lambda: "exit code 3 before it served; the next one starts in 2.0 s" in service.log)
        assert is_served(service.port, "/health")
        database.execute(text("UPDATE alembic_version SET version_num = :it"), {"it": revision})
        service.process.wait_until(serving(service, 3))
        service.stop()
