"""Which inbound rules an account has claimed by itself

Those that are there hold where they held.

Revision ID: 0041
Revises: 0040
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("inbound_rule", sa.Column("claimed", sa.Boolean(), nullable=True))


def downgrade() -> None:
    op.drop_column("inbound_rule", "claimed")
