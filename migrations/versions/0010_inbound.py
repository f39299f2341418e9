"""Calls that come in: what becomes of them, what is told of them, and their CDRs

Revision ID: 0010
Revises: 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(JSONB(), "postgresql")
ACTIONS = "action IN ('CONNECT', 'CONNECT_ALL', 'ANNOUNCE', 'CALL_BACK', 'OPT_OUT', 'REFUSE')"
OPEN = sa.text("NOT recorded")
KINDS = "kind IN ('CAMPAIGN', 'OTP', 'CLICK_TO_CALL', 'CALLBACK')"
KINDS_OF_CDRS = "kind IN ('CAMPAIGN', 'OTP', 'CLICK_TO_CALL', 'CALLBACK', 'INBOUND')"


def byte_sorted(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "inbound_rule",
        sa.Column("e164", byte_sorted(16), nullable=False),
        sa.Column("account_id", byte_sorted(16), nullable=False),
        sa.Column("action", byte_sorted(16), nullable=False),
        sa.Column("numbers", JSON, nullable=False),
        sa.Column("text", sa.String(), nullable=True),
        sa.Column("media", sa.String(), nullable=True),
        sa.Column("ring_seconds", sa.Integer(), nullable=False),
        sa.Column("language_code", sa.String(), nullable=False),
        sa.Column("voice", sa.String(), nullable=False),
        sa.Column("record", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(ACTIONS, name=op.f("inbound_rule_action_check")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("inbound_rule_account_id_fkey")),
        sa.PrimaryKeyConstraint("e164", name=op.f("inbound_rule_pkey")),
    )
    op.create_index("inbound_rule_account_id_idx", "inbound_rule", ["account_id"])
    op.create_table(
        "inbound_call",
        sa.Column("id", byte_sorted(32), nullable=False),
        sa.Column("provider_id", byte_sorted(16), nullable=False),
        sa.Column("session", sa.String(200), nullable=False),
        sa.Column("account_id", byte_sorted(16), nullable=True),
        sa.Column("action", byte_sorted(16), nullable=True),
        sa.Column("told", JSON, nullable=False),
        sa.Column("recorded", sa.Boolean(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(ACTIONS, name=op.f("inbound_call_action_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("inbound_call_pkey")),
        sa.UniqueConstraint("provider_id", "session", name=op.f("inbound_call_provider_id_session_key")),
    )
    op.create_index(
        "inbound_call_open_idx",
        "inbound_call",
        ["account_id", "started_at"],
        postgresql_where=OPEN,
        sqlite_where=OPEN,
    )
    _allow(KINDS_OF_CDRS)


def downgrade() -> None:
    _allow(KINDS)
    op.drop_table("inbound_call")
    op.drop_table("inbound_rule")


def _allow(kinds: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        with op.batch_alter_table("cdr") as batch:
            batch.drop_constraint(op.f("cdr_kind_check"), type_="check")
            batch.create_check_constraint(op.f("cdr_kind_check"), kinds)
    else:
        op.drop_constraint(op.f("cdr_kind_check"), "cdr", type_="check")
        op.create_check_constraint(op.f("cdr_kind_check"), "cdr", kinds)
