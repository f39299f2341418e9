"""Campaigns that ask for keys, the keys that were pressed, and what of a provider's settings is no secret

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    op.add_column("campaign", sa.Column("flow", JSON, nullable=True))
    op.add_column("attempt", sa.Column("keys", JSON, nullable=True))
    op.add_column("provider", sa.Column("open_settings", JSON, nullable=True))


def downgrade() -> None:
    op.drop_column("provider", "open_settings")
    op.drop_column("attempt", "keys")
    op.drop_column("campaign", "flow")
