"""Single calls of one purpose are found among many others

Revision ID: 0033
Revises: 0032
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

SINGLE = sa.text("campaign_id IS NULL")


def upgrade() -> None:
    # Where the table of calls is large already, make it before by hand: CREATE INDEX CONCURRENTLY.
    op.create_index(
        "call_single_idx",
        "call",
        ["account_id", "kind", "id"],
        postgresql_where=SINGLE,
        sqlite_where=SINGLE,
        if_not_exists=True,
    )


def downgrade() -> None:
    op.drop_index("call_single_idx", table_name="call")
