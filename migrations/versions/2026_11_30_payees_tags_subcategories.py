"""payees, tags and parents of categories, and a search that finds words without their accents."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from migrations.repeatable import (
    add_column,
    add_references,
    create_index,
    drop_column,
    drop_index,
    drop_references,
    drop_table,
)

revision: str = "e4a1c7305b98"
down_revision: str | None = "7b3f0e92d5a6"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

LEDGERS = sa.table("ledgers", sa.column("owner_id"), sa.column("text_bytes"))
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
LIVE_AND_TRASHED = ("expenses", "trash")
PARENT = {"parent_id": "categories"}
REFERENCES = {"payee_id": "payees", "tag_set_id": "tag_sets"}
PAYEE_COLUMNS = {"payee": 100, "payee_key": 300}
OLD_REPORT_INDEX = "ix_expenses_owner_id_spent_on_category_id_currency_amount"
REPORT_COLUMNS = ["owner_id", "spent_on", "category_id", "currency", "amount"]
INDEXES: dict[str, list[tuple[str, ...]]] = {
    "expenses": [("owner_id", "payee_id", "spent_on", "id"), ("owner_id", "tag_set_id", "spent_on", "id")],
    "trash": [("owner_id", "payee_id"), ("owner_id", "tag_set_id")],
}
# Rows of which the keys are read and written together, each time in a transaction of their own.
SLICE = 500

# Copied: a migration must do the same when the service has changed.
ACCENTS = re.compile("[\u0300-\u036f]+")
BARE_LETTERS = str.maketrans(
    {"æ": "ae", "ð": "d", "đ": "d", "ħ": "h", "\u0131": "i", "ł": "l", "ø": "o", "œ": "oe", "ŧ": "t"}
)


def upgrade() -> None:
    create_tables()
    add_references("categories", PARENT)
    create_index("ix_categories_owner_id_parent_id", "categories", ["owner_id", "parent_id"])
    for table in LIVE_AND_TRASHED:
        for name, length in PAYEE_COLUMNS.items():
            add_column(table, sa.Column(name, sa.String(length), nullable=True))
        add_references(table, REFERENCES)
        for columns in INDEXES[table]:
            create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns))
    create_index("ix_expenses_for_reports", "expenses", [*REPORT_COLUMNS, *REFERENCES])
    drop_index(OLD_REPORT_INDEX, "expenses")
    write_keys("description_key", drop_accents)


def downgrade() -> None:
    write_keys("description", fold_case)
    create_index(OLD_REPORT_INDEX, "expenses", REPORT_COLUMNS)
    for table in reversed(LIVE_AND_TRASHED):
        drop_references(table, REFERENCES)
        for name in PAYEE_COLUMNS:
            drop_column(table, name)
    drop_references("categories", PARENT)
    for table in ("tag_sets", "tags", "payees"):
        drop_table(table)
    tombstones = sa.table("tombstones", sa.column("kind"))
    op.execute(tombstones.delete().where(tombstones.c.kind == "tag"))
    # Without the texts that are gone.
    texts = measure("description") + measure("external_id")
    op.execute(LEDGERS.update().values(text_bytes=sum_up(texts, "expenses") + sum_up(texts, "trash")))


def measure(column: str) -> sa.ColumnElement[int]:
    """Return the SQL for the bytes of a text: SQLite's LENGTH of a text counts characters."""
    return sa.func.coalesce(sa.func.length(sa.cast(sa.column(column, sa.Text), sa.LargeBinary)), 0)


def sum_up(size: sa.ColumnElement[int], name: str) -> sa.ColumnElement[int]:
    """Return the SQL for a sum over a ledger's rows in a table."""
    table = sa.table(name, sa.column("owner_id"))
    mine = table.c.owner_id == LEDGERS.c.owner_id
    return sa.select(sa.func.coalesce(sa.func.sum(size), 0)).select_from(table).where(mine).scalar_subquery()


def create_tables() -> None:
    """Create the tables of payees, tags and tag sets."""
    create_owned_table(
        "payees",
        sa.Column("name_key", sa.String(300), nullable=False),
        sa.Column("search_key", sa.String(300), nullable=False),
        unique=("name_key", "id"),
    )
    create_index("ix_payees_owner_id_search_key", "payees", ["owner_id", "search_key"])
    create_owned_table(
        "tags",
        sa.Column("name", sa.String(50), nullable=False),
        sa.Column("name_key", sa.String(150), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
        unique=("name_key",),
    )
    create_index("ix_tags_owner_id_revision_id", "tags", ["owner_id", "revision", "id"])
    create_owned_table(
        "tag_sets",
        sa.Column("tag_ids", sa.String(401), nullable=False),
        sa.Column("names", sa.String(1020), nullable=False),
        unique=("tag_ids", "id"),
    )


def create_owned_table(name: str, *columns: "sa.Column[Any]", unique: Sequence[str]) -> None:
    """Create a table of owned rows with ids; each of the `unique` columns is unique together with the owner."""
    op.create_table(
        name,
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("owner_id", BIG_ID, nullable=False),
        *columns,
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=f"fk_{name}_owner_id"),
        sa.PrimaryKeyConstraint("id", name=f"pk_{name}"),
        *(sa.UniqueConstraint("owner_id", column, name=f"uq_{name}_owner_id_{column}") for column in unique),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
        if_not_exists=True,
        sqlite_autoincrement=True,
    )


def write_keys(source: str, make_key: Callable[[str], str]) -> None:
    """Make each `description_key` from another column; only those with other letters than ASCII can change."""
    with op.get_context().autocommit_block():
        for table in LIVE_AND_TRASHED:
            columns = {"id", source, "description_key"}
            write_keys_of(sa.table(table, *map(sa.column, columns)), source, make_key)


def write_keys_of(table: "sa.TableClause", source: str, make_key: Callable[[str], str]) -> None:
    """The same for one table, in slices; it can be interrupted and begun anew."""
    connection, text, last = op.get_bind(), table.c[source], 0
    is_ascii = sa.func.length(sa.cast(text, sa.LargeBinary)) == sa.func.char_length(text)
    if connection.dialect.name == "sqlite":
        is_ascii = sa.func.length(sa.cast(text, sa.LargeBinary)) == sa.func.length(text)
    found = sa.select(table.c.id, text.label("source"), table.c.description_key).where(sa.not_(is_ascii))
    while rows := connection.execute(found.where(table.c.id > last).order_by(table.c.id).limit(SLICE)).all():
        last = rows[-1].id
        keys = {row.id: key for row in rows if (key := make_key(row.source)) != row.description_key}
        if keys:
            changed = table.update().where(table.c.id.in_(keys))
            connection.execute(changed.values(description_key=sa.case(keys, value=table.c.id)))


def drop_accents(key: str) -> str:
    """Return a key without accents."""
    bare = ACCENTS.sub("", unicodedata.normalize("NFD", key)).translate(BARE_LETTERS)
    return unicodedata.normalize("NFC", bare)


def fold_case(text: str) -> str:
    """Return the key of a text as it was before, with accents."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
