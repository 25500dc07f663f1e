"""Schema changes that do nothing if already made: MySQL commits each, and what was interrupted is run again."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import sqlalchemy as sa
from alembic import op
from alembic.operations import BatchOperations

# Where SQLite has the definition of each table, and the highest id that was ever used in it.
_MASTER: Final = sa.table("sqlite_master", sa.column("name"), sa.column("sql"))
_SEQUENCE: Final = sa.table("sqlite_sequence", sa.column("name"), sa.column("seq"))


def create_index(name: str, table: str, columns: list[str]) -> None:
    """Create an index if it does not exist."""
    if name not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}:
        op.create_index(name, table, columns)


def add_column(table: str, column: "sa.Column[Any]") -> None:
    """Add a column if it does not exist."""
    if column.name not in {existing["name"] for existing in sa.inspect(op.get_bind()).get_columns(table)}:
        op.add_column(table, column)


def drop_table(name: str) -> None:
    """Drop a table if it exists."""
    op.drop_table(name, if_exists=True)


def drop_index(name: str, table: str) -> None:
    """Drop an index if it exists."""
    if name in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}:
        op.drop_index(name, table)


def drop_column(table: str, name: str) -> None:
    """Drop a column if it exists."""
    if name in {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}:
        op.drop_column(table, name)


def add_references(table: str, columns: Mapping[str, str]) -> None:
    """Add nullable columns that refer, together with `owner_id`, to a row of another table: `columns` names it.

    SQLite copies the table for that.
    """
    found = {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}
    if op.get_bind().dialect.name == "sqlite":
        if not columns.keys() <= found:
            with _copy_of(table) as copy:
                for name, target in columns.items():
                    copy.add_column(_reference(name))
                    copy.create_foreign_key(_name_key(table, name), target, ["owner_id", name], ["owner_id", "id"])
        return
    keys = {key["name"] for key in sa.inspect(op.get_bind()).get_foreign_keys(table)}
    with _without_checks():
        for name, target in columns.items():
            if name not in found:
                op.add_column(table, _reference(name))
            if _name_key(table, name) not in keys:
                op.create_foreign_key(_name_key(table, name), table, target, ["owner_id", name], ["owner_id", "id"])


@contextmanager
def _without_checks() -> Iterator[None]:
    # The new columns are null, so there is nothing to check; MySQL would copy the whole table.
    op.execute("SET SESSION foreign_key_checks = 0")
    try:
        yield
    finally:
        op.execute("SET SESSION foreign_key_checks = 1")


def drop_references(table: str, columns: Mapping[str, str]) -> None:
    """Drop what `add_references` has added, and the indexes of these columns."""
    is_sqlite, inspector = op.get_bind().dialect.name == "sqlite", sa.inspect(op.get_bind())
    found = [column["name"] for column in inspector.get_columns(table) if column["name"] in columns]
    keys = {key["name"] for key in inspector.get_foreign_keys(table)} if not is_sqlite else set()
    for name in (name for name in found if _name_key(table, name) in keys):
        op.drop_constraint(_name_key(table, name), table, type_="foreignkey")
    for index in inspector.get_indexes(table):
        if set(found) & set(index["column_names"]):
            drop_index(str(index["name"]), table)
    if is_sqlite and found:
        with _copy_of(table) as copy:
            for name in found:
                copy.drop_constraint(_name_key(table, name), type_="foreignkey")
                copy.drop_column(name)
    elif not is_sqlite:
        for name in found:
            op.drop_column(table, name)


def _reference(name: str) -> "sa.Column[Any]":
    return sa.Column(name, sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True)


def _name_key(table: str, column: str) -> str:
    return f"fk_{table}_owner_id_{column}"


@contextmanager
def _copy_of(table: str) -> Iterator[BatchOperations]:
    """Change an SQLite table by copying it; ids that were used before are not used again by the copy."""
    connection = op.get_bind()
    # An interrupted copy is begun anew.
    drop_table(f"_alembic_tmp_{table}")
    definition = connection.scalar(sa.select(_MASTER.c.sql).where(_MASTER.c.name == table))
    is_numbered = "AUTOINCREMENT" in str(definition)
    highest = connection.scalar(sa.select(_SEQUENCE.c.seq).where(_SEQUENCE.c.name == table))
    with op.batch_alter_table(table, recreate="always", table_kwargs={"sqlite_autoincrement": is_numbered}) as copy:
        yield copy
    if highest is not None:
        connection.execute(_SEQUENCE.delete().where(_SEQUENCE.c.name == table))
        connection.execute(_SEQUENCE.insert().values(name=table, seq=highest))
