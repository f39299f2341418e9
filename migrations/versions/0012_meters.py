"""Counts for /metrics, and an index of the events that nothing came of

Revision ID: 0012
Revises: 0011
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

ODD = sa.text("state IN ('UNMATCHED', 'UNREADABLE')")


def byte_sorted(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "meter",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("provider_id", byte_sorted(16), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name", "provider_id", "label", name=op.f("meter_pkey")),
    )
    # Where the table of events is large already, make it before by hand: CREATE INDEX CONCURRENTLY.
    op.create_index(
        "event_odd_idx", "event", ["state"], unique=False, postgresql_where=ODD, sqlite_where=ODD,
        if_not_exists=True,
    )  # fmt: skip


def downgrade() -> None:
    op.drop_index("event_odd_idx", table_name="event")
    op.drop_table("meter")
