"""what safe clients need: remembered answers, a day of sweeping, and the order of changes."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.mysql import MEDIUMTEXT

from migrations.repeatable import add_column, create_index, drop_column, drop_index, drop_table

revision: str = "b1feee82a585"
down_revision: str | None = "c27f4a8e1b60"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "remembered_answers",
        sa.Column(
            "owner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("request", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("location", sa.String(length=64), nullable=True),
        sa.Column("etag", sa.String(length=32), nullable=True),
        sa.Column("body", sa.Text().with_variant(MEDIUMTEXT(), "mysql", "mariadb"), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_remembered_answers_owner_id")),
        sa.PrimaryKeyConstraint("owner_id", "key", name=op.f("pk_remembered_answers")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
        if_not_exists=True,
    )
    create_index("ix_remembered_answers_owner_id_created_at", "remembered_answers", ["owner_id", "created_at"])
    create_index("ix_budgets_owner_id_revision_id", "budgets", ["owner_id", "revision", "id"])
    create_index("ix_trash_owner_id_revision_id", "trash", ["owner_id", "revision", "id"])
    add_column("ledgers", sa.Column("swept_on", sa.Date(), server_default=sa.text("'1970-01-01'"), nullable=False))


def downgrade() -> None:
    drop_column("ledgers", "swept_on")
    drop_index("ix_trash_owner_id_revision_id", "trash")
    drop_index("ix_budgets_owner_id_revision_id", "budgets")
    drop_table("remembered_answers")
