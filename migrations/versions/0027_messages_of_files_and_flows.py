"""Single calls that play a file or ask for keys

Revision ID: 0027
Revises: 0026
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("message", sa.Column("media", sa.String(), nullable=True))
    json = sa.JSON().with_variant(JSONB(), "postgresql")
    op.add_column("message", sa.Column("flow", json, nullable=True))


def downgrade() -> None:
    op.drop_column("message", "flow")
    op.drop_column("message", "media")
