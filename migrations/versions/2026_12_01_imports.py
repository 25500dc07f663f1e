"""imports, the rows of files that are known, and profiles."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.mysql import MEDIUMTEXT

from migrations.repeatable import (
    add_column,
    add_references,
    create_index,
    drop_column,
    drop_references,
    drop_table,
)

revision: str = "5d09b6a7e214"
down_revision: str | None = "e4a1c7305b98"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
LONG_TEXT = sa.Text().with_variant(MEDIUMTEXT(), "mysql", "mariadb")
REFERENCES = {"import_id": "imports"}
INDEXES = {"expenses": ["owner_id", "import_id", "spent_on", "id"], "trash": ["owner_id", "import_id"]}
ROW_INDEXES = (["owner_id", "source", "spent_on", "row_key"], ["owner_id", "expense_id"], ["owner_id", "import_id"])
EXPENSE_TEXTS = ("payee", "description", "external_id")
TEXTS = {"expenses": EXPENSE_TEXTS, "trash": EXPENSE_TEXTS, "payees": ("name_key",), "tag_sets": ("names",)}
LEDGERS = sa.table("ledgers", sa.column("owner_id"), sa.column("text_bytes"))


def upgrade() -> None:
    create_tables()
    add_column("ledgers", make_counter("imported_count"))
    for table, columns in INDEXES.items():
        add_column(table, sa.Column("edited", sa.Boolean(), server_default=sa.text("0"), nullable=False))
        add_references(table, REFERENCES)
        create_index(f"ix_{table}_{'_'.join(columns)}", table, columns)


def downgrade() -> None:
    for table in reversed(INDEXES):
        drop_references(table, REFERENCES)
        drop_column(table, "edited")
    drop_column("ledgers", "imported_count")
    for name in ("imported_rows", "import_profiles", "imports"):
        drop_table(name)
    # Without the options that are gone; not subtracted, because after an interruption it is run again.
    size = sum((sum_up(name, *columns) for name, columns in TEXTS.items()), sa.literal(0))
    op.execute(LEDGERS.update().values(text_bytes=size))


def create_tables() -> None:
    """Create the tables of imports, of the rows that they brought, and of profiles."""
    create_owned_table(
        "imports",
        sa.Column("source", sa.String(64), nullable=True),
        sa.Column("format", sa.String(16), nullable=False),
        sa.Column("profile", sa.String(50), nullable=True),
        *(sa.Column(name, LONG_TEXT, nullable=False) for name in ("options", "counts", "totals")),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.UniqueConstraint("owner_id", "id", name="uq_imports_owner_id_id"),
    )
    create_owned_table(
        "imported_rows",
        sa.Column("source", sa.String(192), nullable=False),
        sa.Column("row_key", sa.String(65), nullable=False),
        sa.Column("occurrence", sa.Integer(), nullable=False),
        sa.Column("expense_id", BIG_ID, nullable=True),
        sa.Column("import_id", BIG_ID, nullable=True),
        sa.Column("linked", sa.Boolean(), server_default=sa.text("0"), nullable=False),
        sa.Column("revived", sa.Boolean(), server_default=sa.text("0"), nullable=False),
        sa.Column("spent_on", sa.Date(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.ForeignKeyConstraint(
            ["owner_id", "import_id"], ["imports.owner_id", "imports.id"], name="fk_imported_rows_owner_id_import_id"
        ),
        sa.UniqueConstraint(
            "owner_id", "row_key", "source", "occurrence", name="uq_imported_rows_owner_id_row_key_source_occurrence"
        ),
    )
    for columns in ROW_INDEXES:
        create_index(f"ix_imported_rows_{'_'.join(columns)}", "imported_rows", columns)
    create_owned_table(
        "import_profiles",
        sa.Column("name", sa.String(50), nullable=False),
        sa.Column("name_key", sa.String(150), nullable=False),
        sa.Column("options", LONG_TEXT, nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
        sa.UniqueConstraint("owner_id", "name_key", name="uq_import_profiles_owner_id_name_key"),
    )


def make_counter(name: str) -> "sa.Column[Any]":
    """Return the column of a counter that begins at zero."""
    return sa.Column(name, sa.Integer(), server_default=sa.text("0"), nullable=False)


def create_owned_table(name: str, *columns: Any) -> None:
    """Create a table of owned rows with ids."""
    op.create_table(
        name,
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("owner_id", BIG_ID, nullable=False),
        *columns,
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=f"fk_{name}_owner_id"),
        sa.PrimaryKeyConstraint("id", name=f"pk_{name}"),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
        if_not_exists=True,
        sqlite_autoincrement=True,
    )


def measure(column: str) -> sa.ColumnElement[int]:
    """Return the SQL for the bytes of a text: SQLite's LENGTH of a text counts characters."""
    return sa.func.coalesce(sa.func.length(sa.cast(sa.column(column, sa.Text), sa.LargeBinary)), 0)


def sum_up(name: str, *columns: str) -> sa.ColumnElement[int]:
    """Return the SQL for the bytes of a ledger's texts in some columns of a table."""
    table, size = sa.table(name, sa.column("owner_id")), sum(map(measure, columns), sa.literal(0))
    mine = table.c.owner_id == LEDGERS.c.owner_id
    return sa.select(sa.func.coalesce(sa.func.sum(size), 0)).select_from(table).where(mine).scalar_subquery()
