"""The index of released calls to ring for again serves that statement alone

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

RUNG = sa.text("rung_at IS NOT NULL AND state IN ('RELEASED')")
RELEASED = sa.text("state IN ('RELEASED')")


def upgrade() -> None:
    # Where the table of calls is large already, make it before by hand: CREATE INDEX CONCURRENTLY.
    op.create_index(
        "call_ring_again_idx", "call", ["rung_at"], unique=False, postgresql_where=RUNG, sqlite_where=RUNG,
        if_not_exists=True,
    )  # fmt: skip
    op.drop_index("call_rung_at_idx", table_name="call")


def downgrade() -> None:
    op.create_index(
        "call_rung_at_idx",
        "call",
        ["rung_at"],
        unique=False,
        postgresql_where=RELEASED,
        sqlite_where=RELEASED,
    )
    op.drop_index("call_ring_again_idx", table_name="call")
