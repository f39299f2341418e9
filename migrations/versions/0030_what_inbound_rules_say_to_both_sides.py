"""What inbound rules say to whoever picks up, whom they hide, and when they answer

Revision ID: 0030
Revises: 0029
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

FLAGS = ("answer_first", "hide_caller")
TEXTS = ("greeting_text", "greeting_media", "press")


def upgrade() -> None:
    for name in FLAGS:
        op.add_column(
            "inbound_rule", sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false())
        )
    for name in TEXTS:
        op.add_column("inbound_rule", sa.Column(name, sa.String(), nullable=True))


def downgrade() -> None:
    for name in (*TEXTS, *FLAGS):
        op.drop_column("inbound_rule", name)
