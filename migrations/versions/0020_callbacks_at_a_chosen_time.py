"""Callbacks at a chosen time, any number of them to one agent; CDRs of single calls by how they ended

Revision ID: 0020
Revises: 0019
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

OPEN = "kind = 'CALLBACK' AND state IN ('DIALLING', 'IN_PROGRESS', 'RELEASED', 'WAITING')"
OPEN_OF_RULES = f"{OPEN} AND scheduled_at IS NULL"
SCHEDULED = sa.text("scheduled_at IS NOT NULL")
SINGLE = sa.text("campaign_id IS NULL")
KINDS = "kind IN ('CAMPAIGN', 'OTP', 'CLICK_TO_CALL', 'CALLBACK', 'INBOUND')"
KINDS_WITH_RULES = "kind IN ('CAMPAIGN', 'OTP', 'CLICK_TO_CALL', 'CALLBACK', 'INBOUND_CALLBACK', 'INBOUND')"


def upgrade() -> None:
    op.add_column("call", sa.Column("scheduled_at", sa.DateTime(timezone=True), nullable=True))
    op.drop_index("call_callback_key", table_name="call")
    _callback_key(OPEN_OF_RULES)
    op.create_index(
        "call_scheduled_idx", "call", ["account_id", "id"], unique=False,
        postgresql_where=SCHEDULED, sqlite_where=SCHEDULED,
    )  # fmt: skip
    _allow(KINDS_WITH_RULES)
    # Until now, all were of inbound rules.
    op.execute("UPDATE cdr SET kind = 'INBOUND_CALLBACK' WHERE kind = 'CALLBACK'")
    # Where the table of CDRs is large already, make it before by hand: CREATE INDEX CONCURRENTLY.
    op.create_index(
        "cdr_single_idx", "cdr", ["account_id", "dial_status"], unique=False,
        postgresql_where=SINGLE, sqlite_where=SINGLE, if_not_exists=True,
    )  # fmt: skip


def downgrade() -> None:
    op.drop_index("cdr_single_idx", table_name="cdr")
    op.execute("UPDATE cdr SET kind = 'CALLBACK' WHERE kind = 'INBOUND_CALLBACK'")
    _allow(KINDS)
    op.drop_index("call_scheduled_idx", table_name="call")
    op.drop_index("call_callback_key", table_name="call")
    # Nobody could tell them from those of rules, and would move or delete them no more.
    op.execute(
        "UPDATE call SET state = 'CANCELLED', ended_at = CURRENT_TIMESTAMP, reason = 'schema went back' "
        "WHERE scheduled_at IS NOT NULL AND state IN ('WAITING', 'RELEASED')"
    )
    op.drop_column("call", "scheduled_at")
    _callback_key(OPEN)


def _callback_key(predicate: str) -> None:
    op.create_index(
        "call_callback_key", "call", ["account_id", "e164"], unique=True,
        postgresql_where=sa.text(predicate), sqlite_where=sa.text(predicate),
    )  # fmt: skip


def _allow(kinds: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        with op.batch_alter_table("cdr") as batch:
            batch.drop_constraint(op.f("cdr_kind_check"), type_="check")
            batch.create_check_constraint(op.f("cdr_kind_check"), kinds)
    else:
        op.drop_constraint(op.f("cdr_kind_check"), "cdr", type_="check")
        op.create_check_constraint(op.f("cdr_kind_check"), "cdr", kinds)
