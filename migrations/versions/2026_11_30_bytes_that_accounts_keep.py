"""bytes that accounts keep: of texts, of the trash and of remembered answers."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from migrations.repeatable import add_column, drop_column

revision: str = "7b3f0e92d5a6"
down_revision: str | None = "c8e25f1a70d4"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

COLUMNS = {"text_bytes": sa.BigInteger, "trash_count": sa.Integer, "answer_bytes": sa.BigInteger}
LEDGERS = sa.table("ledgers", sa.column("owner_id"), *map(sa.column, COLUMNS))


def upgrade() -> None:
    for name, kind in COLUMNS.items():
        add_column("ledgers", sa.Column(name, kind(), server_default=sa.text("0"), nullable=False))
    texts = measure("description") + measure("external_id")
    # Not added to what is there: after an interruption it is run again.
    op.execute(
        LEDGERS.update().values(
            text_bytes=sum_up(texts, "expenses") + sum_up(texts, "trash"),
            trash_count=sum_up(sa.literal_column("1"), "trash"),
            answer_bytes=sum_up(200 + measure("key") + measure("body"), "remembered_answers"),
        )
    )


def downgrade() -> None:
    for name in reversed(COLUMNS):
        drop_column("ledgers", name)


def measure(column: str) -> sa.ColumnElement[int]:
    """Return the SQL for the bytes of a text: SQLite's LENGTH of a text counts characters."""
    return sa.func.coalesce(sa.func.length(sa.cast(sa.column(column, sa.Text), sa.LargeBinary)), 0)


def sum_up(size: sa.ColumnElement[int], name: str) -> sa.ColumnElement[int]:
    """Return the SQL for a sum over a ledger's rows in a table."""
    table = sa.table(name, sa.column("owner_id"))
    mine = table.c.owner_id == LEDGERS.c.owner_id
    return sa.select(sa.func.coalesce(sa.func.sum(size), 0)).select_from(table).where(mine).scalar_subquery()
