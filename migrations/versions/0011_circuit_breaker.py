"""Providers have a circuit breaker

Revision ID: 0011
Revises: 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

COUNTS = ("breaker_trips", "breaker_good", "breaker_bad")
TIMES = ("breaker_until", "breaker_since")


def upgrade() -> None:
    for name in COUNTS:
        op.add_column("provider", sa.Column(name, sa.Integer(), nullable=False, server_default="0"))
    for name in TIMES:
        op.add_column("provider", sa.Column(name, sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    for name in (*COUNTS, *TIMES):
        op.drop_column("provider", name)
