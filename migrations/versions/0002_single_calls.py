"""Single calls: what they say, in which texts one-time passwords are spoken, and which of them wait

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

WAITING_SINGLE = sa.text("state IN ('WAITING') AND campaign_id IS NULL")


def byte_sorted(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "announce_template",
        sa.Column("account_id", byte_sorted(16), nullable=False),
        sa.Column("id", byte_sorted(16), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("announce_template_account_id_fkey")
        ),
        sa.PrimaryKeyConstraint("account_id", "id", name=op.f("announce_template_pkey")),
    )
    op.create_index(
        "announce_template_account_id_idx", "announce_template", ["account_id", "created_at"], unique=False
    )
    op.create_table(
        "message",
        sa.Column("call_id", byte_sorted(32), nullable=False),
        sa.Column("caller_id", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=True),
        sa.Column("repeat_count", sa.Integer(), nullable=False),
        sa.Column("voice", sa.String(), nullable=False),
        sa.Column("volume", sa.String(), nullable=False),
        sa.Column("rate", sa.String(), nullable=False),
        sa.Column("pitch", sa.String(), nullable=False),
        sa.Column("language_code", sa.String(), nullable=False),
        sa.Column("tts_engine_type", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["call_id"], ["call.id"], name=op.f("message_call_id_fkey")),
        sa.PrimaryKeyConstraint("call_id", name=op.f("message_pkey")),
    )
    # Where the table of calls is large already, make it before by hand: CREATE INDEX CONCURRENTLY.
    op.create_index(
        "call_single_due_idx",
        "call",
        ["due_at"],
        unique=False,
        postgresql_where=WAITING_SINGLE,
        sqlite_where=WAITING_SINGLE,
        if_not_exists=True,
    )


def downgrade() -> None:
    op.drop_index("call_single_due_idx", table_name="call")
    op.drop_table("message")
    op.drop_table("announce_template")
