"""What is heard by whom we call back

Revision ID: 0038
Revises: 0037
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("inbound_rule", sa.Column("back_text", sa.String(), nullable=True))
    op.add_column("inbound_rule", sa.Column("back_media", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("inbound_rule", "back_media")
    op.drop_column("inbound_rule", "back_text")
