"""an index that covers what reports add up."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "c27f4a8e1b60"
down_revision: str | None = "91d3c6b5e0a2"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

NAME = "ix_expenses_owner_id_spent_on_category_id_currency_amount"


def upgrade() -> None:
    # MySQL commits each statement by itself: what was cut off after this one can be run again.
    if NAME not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes("expenses")}:
        op.create_index(NAME, "expenses", ["owner_id", "spent_on", "category_id", "currency", "amount"])


def downgrade() -> None:
    op.drop_index(NAME, "expenses")
