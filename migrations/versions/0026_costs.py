"""The currency of costs, and when a cost that no event tells is looked up

Revision ID: 0026
Revises: 0025
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

DUE = sa.text("cost_due_at IS NOT NULL")


def upgrade() -> None:
    op.add_column("attempt", sa.Column("currency", sa.String(), nullable=True))
    op.add_column("attempt", sa.Column("cost_due_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("cdr", sa.Column("currency", sa.String(), nullable=True))
    op.create_index(
        "attempt_cost_due_at_idx",
        "attempt",
        ["cost_due_at"],
        unique=False,
        postgresql_where=DUE,
        sqlite_where=DUE,
    )


def downgrade() -> None:
    op.drop_index("attempt_cost_due_at_idx", table_name="attempt")
    op.drop_column("cdr", "currency")
    op.drop_column("attempt", "cost_due_at")
    op.drop_column("attempt", "currency")
