"""Which of the numbers that were rung picked up

Revision ID: 0031
Revises: 0030
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

E164 = sa.String(16).with_variant(sa.String(16, collation="C"), "postgresql")


def upgrade() -> None:
    for table in ("attempt", "cdr"):
        op.add_column(table, sa.Column("answered_by", E164, nullable=True))


def downgrade() -> None:
    for table in ("cdr", "attempt"):
        op.drop_column(table, "answered_by")
