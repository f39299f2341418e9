"""Events of providers that were not understood are counted

Revision ID: 0014
Revises: 0013
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    provider_id = sa.String(16).with_variant(sa.String(16, collation="C"), "postgresql")
    op.create_table(
        "unknown_word",
        sa.Column("provider_id", provider_id, nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("provider_id", name=op.f("unknown_word_pkey")),
    )


def downgrade() -> None:
    op.drop_table("unknown_word")
