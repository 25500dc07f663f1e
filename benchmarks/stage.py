"""The environment of all measurements: a private MariaDB with the schema, settings of the servers, and cores."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Final

from sqlalchemy import Engine, create_engine, make_url, text

import migrations
from benchmarks.workers import Cores, on, split_cores
from tests.support.servers import PrivateMariaDB

# asyncmy is not installed on every platform.
DRIVERS: Final = tuple(name for name in ("aiomysql", "asyncmy") if find_spec(name))
BUFFER_POOL: Final = 1 << 30
# No limits (0): all load comes from 127.0.0.1, and would soon be answered with 429.
NO_THROTTLE: Final = {
    "SIGNIN_PER_NAME": "0",  # the same fifty names fail round after round
    "SIGNIN_PER_ADDRESS": "0",  # all fifty at once, from the one address
    "SIGNIN_PER_NAME_DAILY": "0",  # and the rounds of a day add up
    "REGISTRATIONS_PER_ADDRESS": "0",  # the people of all parts sign up there too
    "REGISTRATION": "open",  # said, so that the service does not warn of it
}


@dataclass(frozen=True)
class Stage:
    """The database, the settings of the servers, and the cores."""

    mariadb: PrivateMariaDB
    engine: Engine
    environment: Mapping[str, str]
    core: Cores
    """The core of the measured worker."""
    others: Cores
    """The cores of the database and the load."""

    def through(self, driver: str) -> "Stage":
        """Return the same stage, on which the servers reach the database through this driver."""
        url = make_url(self.environment["DATABASE_URL"]).set(drivername=f"mysql+{driver}")
        reached = {"DATABASE_URL": url.render_as_string(hide_password=False)}
        return replace(self, environment={**self.environment, **reached})

    def version(self) -> str:
        """Return the version of the database."""
        with self.engine.connect() as connection:
            return str(connection.execute(text("SELECT VERSION()")).scalar_one())

    def questions(self) -> int:
        """Return how many statements clients have sent to the database up to now, this one included."""
        with self.engine.connect() as connection:
            return int(connection.execute(text("SHOW GLOBAL STATUS LIKE 'Questions'")).one()[1])


@contextmanager
def open_stage() -> Iterator[Stage]:
    """Start the database on the cores that the worker does not use, and migrate it.

    It is the tests' server, whose COMMIT does not wait for the disk: that wait would hide the differences of the
    applications. Its buffer pool is raised to 1 GiB, so that a million rows fit.
    """
    core, others = split_cores()
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
