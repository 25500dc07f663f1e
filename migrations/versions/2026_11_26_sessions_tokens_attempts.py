"""sessions that are refreshed, personal tokens, and attempts that are counted."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from migrations.repeatable import add_column, create_index, drop_column, drop_table

revision: str = "4d0a7c9be213"
down_revision: str | None = "b1feee82a585"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MYSQL = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "mysql_engine": "InnoDB"}


def upgrade() -> None:
    epoch = sa.text("'1970-01-01 00:00:00'")
    add_column("sessions", sa.Column("last_used_at", sa.DateTime(), server_default=epoch, nullable=False))
    add_column("sessions", sa.Column("user_agent", sa.String(length=255), nullable=True))
    add_column("sessions", sa.Column("ip", sa.String(length=45), nullable=True))
    add_column("sessions", sa.Column("generation", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.create_table(
        "refresh_tokens",
        sa.Column("owner_id", BIG_ID, nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("session_id", BIG_ID, nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_refresh_tokens_owner_id")),
        sa.ForeignKeyConstraint(["session_id"], ["sessions.id"], name=op.f("fk_refresh_tokens_session_id")),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_refresh_tokens")),
        if_not_exists=True,
        **MYSQL,
    )
    create_index("ix_refresh_tokens_owner_id_session_id", "refresh_tokens", ["owner_id", "session_id"])
    op.create_table(
        "personal_tokens",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("owner_id", BIG_ID, nullable=False),
        sa.Column("name", sa.String(length=50), nullable=False),
        sa.Column("scope", sa.String(length=5), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("last_used_at", sa.DateTime(), nullable=True),
        sa.Column("expires_at", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_personal_tokens_owner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_personal_tokens")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_personal_tokens_token_hash")),
        sqlite_autoincrement=True,
        if_not_exists=True,
        **MYSQL,
    )
    create_index("ix_personal_tokens_owner_id_id", "personal_tokens", ["owner_id", "id"])
    op.create_table(
        "familiar_networks",
        sa.Column("owner_id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("network", sa.String(length=45), nullable=False),
        sa.Column("seen_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_familiar_networks_owner_id")),
        sa.PrimaryKeyConstraint("owner_id", "network", name=op.f("pk_familiar_networks")),
        if_not_exists=True,
        **MYSQL,
    )
    op.create_table(
        "attempts",
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("instants", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_attempts")),
        if_not_exists=True,
        **MYSQL,
    )
    create_index("ix_attempts_expires_at", "attempts", ["expires_at"])


def downgrade() -> None:
    for table in ("attempts", "familiar_networks", "personal_tokens", "refresh_tokens"):
        drop_table(table)
    for column in ("generation", "ip", "user_agent", "last_used_at"):
        drop_column("sessions", column)
