"""A changed calling window reaches waiting calls page by page

Revision ID: 0032
Revises: 0031
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

WAITING = sa.text("state IN ('WAITING')")


def upgrade() -> None:
    call_id = sa.String(32).with_variant(sa.String(32, collation="C"), "postgresql")
    op.add_column("campaign", sa.Column("pass_due_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("campaign", sa.Column("pass_call_id", call_id, nullable=True))
    # Where the table of calls is large already, make it before by hand: CREATE INDEX CONCURRENTLY.
    op.create_index(
        "call_waiting_idx",
        "call",
        ["campaign_id", "due_at", "id"],
        postgresql_where=WAITING,
        sqlite_where=WAITING,
        if_not_exists=True,
    )
    op.drop_index("call_due_idx", table_name="call")


def downgrade() -> None:
    op.create_index(
        "call_due_idx", "call", ["campaign_id", "due_at"], postgresql_where=WAITING, sqlite_where=WAITING
    )
    op.drop_index("call_waiting_idx", table_name="call")
    op.drop_column("campaign", "pass_call_id")
    op.drop_column("campaign", "pass_due_at")
