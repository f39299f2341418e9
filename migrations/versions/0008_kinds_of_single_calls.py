"""Single calls may connect two people, or bring a password in another way than by voice

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def byte_sorted(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column(
        "message", sa.Column("capability", byte_sorted(16), nullable=False, server_default="VOICE_OTP")
    )
    op.add_column("message", sa.Column("code", sa.String(), nullable=True))
    op.add_column("message", sa.Column("connect_to", byte_sorted(16), nullable=True))
    op.add_column("message", sa.Column("record", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("cdr", sa.Column("connect_to", byte_sorted(16), nullable=True))


def downgrade() -> None:
    op.drop_column("cdr", "connect_to")
    for name in ("record", "connect_to", "code", "capability"):
        op.drop_column("message", name)
