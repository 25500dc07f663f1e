"""Changes that look first whether they are made: MySQL commits each, and what was cut off half-way is run again."""

from typing import Any

import sqlalchemy as sa
from alembic import op


def create_index(name: str, table: str, columns: list[str]) -> None:
    """Create an index, unless it is there."""
    if name not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}:
        op.create_index(name, table, columns)


def add_column(table: str, column: "sa.Column[Any]") -> None:
    """Add a column, unless it is there."""
    if column.name not in {it["name"] for it in sa.inspect(op.get_bind()).get_columns(table)}:
        op.add_column(table, column)
