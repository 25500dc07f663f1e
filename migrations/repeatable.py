"""Schema changes that do nothing if already made: MySQL commits each, and what was interrupted is run again."""

from typing import Any

import sqlalchemy as sa
from alembic import op


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
