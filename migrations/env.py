"""Alembic runs this: on the connection of `migrations`, or, from the `alembic` command, on the configured database."""

from pathlib import Path
from typing import Literal

from alembic import context
from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import NullPool

from config import Settings
from infra.column_types import UtcDateTime
from infra.private_files import create_private
from migrations import make_sync_url
from migrations.cluster_lock import LOCK_TABLE
from models import User


def render_item(kind: str, item: object, _: object) -> str | Literal[False]:
    """Write our column types as plain ones: a revision must keep its meaning when our code changes."""
    return "sa.DateTime()" if kind == "type" and isinstance(item, UtcDateTime) else False


def include_name(name: str | None, kind: str, _: object) -> bool:
    """Leave out the lock that a cluster has beside the tables of our models."""
    return (kind, name) != ("table", LOCK_TABLE)


def migrate(connection: Connection) -> None:
    """Run the revisions, each in a transaction of its own if the database has transactional DDL."""
    context.configure(
        connection=connection,
        target_metadata=User.metadata,
        render_item=render_item,
        include_name=include_name,
        compare_server_default=False,
        render_as_batch=connection.dialect.name == "sqlite",
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def open_configured() -> Connection:
    """Connect to the configured database; an SQLite file that does not exist is created as the service does it."""
    url = make_sync_url(Settings().url)
    if url.get_backend_name() == "sqlite":
        create_private(Path(str(url.database)))
    return create_engine(url, poolclass=NullPool).connect()


if shared := context.config.attributes.get("connection"):
    migrate(shared)
else:
    with open_configured() as own:
        migrate(own)
