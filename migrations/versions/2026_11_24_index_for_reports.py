"""an index that covers what reports add up."""

from collections.abc import Sequence

from migrations.repeatable import create_index, drop_index

revision: str = "c27f4a8e1b60"
down_revision: str | None = "91d3c6b5e0a2"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

NAME = "ix_expenses_owner_id_spent_on_category_id_currency_amount"


def upgrade() -> None:
    create_index(NAME, "expenses", ["owner_id", "spent_on", "category_id", "currency", "amount"])


def downgrade() -> None:
    drop_index(NAME, "expenses")
