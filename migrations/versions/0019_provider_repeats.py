"""Repeats that a provider makes by itself

Revision ID: 0019
Revises: 0018
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "campaign", sa.Column("provider_repeats", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    policy = sa.JSON().with_variant(JSONB(), "postgresql")
    op.add_column("attempt", sa.Column("provider_repeats", policy, nullable=True))
    op.add_column("attempt", sa.Column("dial_ended_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("attempt", "dial_ended_at")
    op.drop_column("attempt", "provider_repeats")
    op.drop_column("campaign", "provider_repeats")
