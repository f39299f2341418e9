"""How far into its list a campaign meant to call that ended before it had

Revision ID: 0028
Revises: 0027
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("campaign", sa.Column("end_position", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("campaign", "end_position")
