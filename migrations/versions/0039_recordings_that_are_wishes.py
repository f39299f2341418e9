"""Recordings that are wishes

Revision ID: 0039
Revises: 0038
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("message", sa.Column("record_if_able", sa.Boolean(), nullable=True))


def downgrade() -> None:
    op.drop_column("message", "record_if_able")
