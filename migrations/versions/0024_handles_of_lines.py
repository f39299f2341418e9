"""What providers call a line by while somebody is on it

Revision ID: 0024
Revises: 0023
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    json = sa.JSON().with_variant(JSONB(), "postgresql")
    op.add_column("attempt", sa.Column("handles", json, nullable=True))


def downgrade() -> None:
    op.drop_column("attempt", "handles")
