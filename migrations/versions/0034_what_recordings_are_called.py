"""What a provider calls the recording of a call by

Revision ID: 0034
Revises: 0033
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("attempt", "cdr"):
        op.add_column(table, sa.Column("recording_name", sa.String(), nullable=True))


def downgrade() -> None:
    for table in ("cdr", "attempt"):
        op.drop_column(table, "recording_name")
