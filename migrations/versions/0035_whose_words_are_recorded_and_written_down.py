"""Whose words are recorded, and whether they are written down

Revision ID: 0035
Revises: 0034
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


SIDE = sa.String(16).with_variant(sa.String(16, collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("message", sa.Column("record_side", SIDE, nullable=True))
    op.add_column("message", sa.Column("transcript", sa.Boolean(), nullable=True))


def downgrade() -> None:
    for column in ("transcript", "record_side"):
        op.drop_column("message", column)
