"""Lighter calls: what each of their changes of state paid for, and nothing needed

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

OPEN = sa.text("state IN ('DIALLING', 'IN_PROGRESS', 'RELEASED', 'WAITING')")


def upgrade() -> None:
    op.drop_index("call_open_idx", table_name="call")
    op.drop_index("attempt_call_id_idx", table_name="attempt")
    for table in ("attempt", "cdr"):
        with op.batch_alter_table(table) as batch:
            batch.drop_constraint(f"{table}_call_id_fkey", type_="foreignkey")


def downgrade() -> None:
    for table in ("cdr", "attempt"):
        with op.batch_alter_table(table) as batch:
            batch.create_foreign_key(f"{table}_call_id_fkey", "call", ["call_id"], ["id"])
    op.create_index("attempt_call_id_idx", "attempt", ["call_id"], unique=False)
    op.create_index(
        "call_open_idx", "call", ["campaign_id"], unique=False, postgresql_where=OPEN, sqlite_where=OPEN
    )
