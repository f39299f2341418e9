"""How two people are connected: what they hear first, for how long they talk, who else is rung

Revision ID: 0029
Revises: 0028
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    json = sa.JSON().with_variant(JSONB(), "postgresql")
    op.add_column("message", sa.Column("prompts", json, nullable=True))
    op.add_column("message", sa.Column("max_seconds", sa.Integer(), nullable=True))
    op.add_column("message", sa.Column("ring", json, nullable=True))


def downgrade() -> None:
    op.drop_column("message", "ring")
    op.drop_column("message", "max_seconds")
    op.drop_column("message", "prompts")
