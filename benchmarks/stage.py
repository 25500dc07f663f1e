"""The stage of all measurements: a private MariaDB with the schema in it, and what servers on it are told."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine, create_engine, make_url, text

import migrations
from benchmarks.workers import Cores, on, two_sides
from tests.support.servers import PrivateMariaDB

BUFFER_POOL: Final = 1 << 30
# All load comes from 127.0.0.1, and what is measured is not how it is turned away: 0 is no limit.
NO_THROTTLE: Final = {
    "SIGNIN_PER_NAME": "0",  # the same fifty names fail round after round
    "SIGNIN_PER_ADDRESS": "0",  # all fifty at once, from the one address
    "SIGNIN_PER_NAME_DAILY": "0",  # and the rounds of a day add up
    "REGISTRATIONS_PER_ADDRESS": "0",  # the people of all parts sign up there too
}


@dataclass(frozen=True)
class Stage:
    """What every measurement needs."""

    mariadb: PrivateMariaDB
    engine: Engine
    environment: Mapping[str, str]
    core: Cores
    """Where the worker runs that is measured."""
    others: Cores
    """Where the database and the load run."""

    def version(self) -> str:
        """Return what the database calls itself."""
        with self.engine.connect() as connection:
            return str(connection.execute(text("SELECT VERSION()")).scalar_one())

    def questions(self) -> int:
        """Return how many statements clients have sent to the database up to now, this one included."""
        with self.engine.connect() as connection:
            return int(connection.execute(text("SHOW GLOBAL STATUS LIKE 'Questions'")).one()[1])


@contextmanager
def stage() -> Iterator[Stage]:
    """Start the database, beside the core that is kept for the worker.

    It is the tests' server, which forgets rather than waits: a COMMIT does not wait for the disk, which would make all
    three applications alike. Its buffer pool is raised so that a million rows fit, as on any server meant for them.
    """
    core, others = two_sides()
    with on(others):
        mariadb = PrivateMariaDB()
    try:
        mariadb.execute(f"SET GLOBAL innodb_buffer_pool_size = {BUFFER_POOL}")
        url = mariadb.create_database("expenses_bench")
        migrations.upgrade(url)
        engine = create_engine(migrations.make_sync_url(make_url(url)))
        environment = {"DATABASE_URL": url, "SECRET_KEY": secrets.token_hex(32), "ACCESS_TOKEN_MINUTES": "600"}
        yield Stage(mariadb, engine, environment | NO_THROTTLE, core, others)
        engine.dispose()
    finally:
        mariadb.close()
