"""Verifications, and what limits them

Revision ID: 0021
Revises: 0020
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(JSONB(), "postgresql")
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _id(length: int = 16) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def _time(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    is_open, with_rate_key = sa.text("state IN ('PENDING')"), sa.text("rate_key IS NOT NULL")
    op.create_table(
        "verification",
        sa.Column("id", _id(), nullable=False),
        sa.Column("account_id", _id(), nullable=False),
        sa.Column("e164", _id(), nullable=False),
        sa.Column("country", _id(), nullable=False),
        sa.Column("prefix", _id(), nullable=False),
        sa.Column("rate_key", sa.String(), nullable=True),
        sa.Column("state", _id(), nullable=False),
        sa.Column("channels", JSON, nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("call_id", _id(32), nullable=False),
        sa.Column("sends", sa.Integer(), nullable=False),
        sa.Column("max_sends", sa.Integer(), nullable=False),
        sa.Column("checks", sa.Integer(), nullable=False),
        sa.Column("max_checks", sa.Integer(), nullable=False),
        sa.Column("resend_after", sa.Integer(), nullable=False),
        sa.Column("code_hash", sa.String(), nullable=True),
        sa.Column("sealed_code", sa.String(), nullable=True),
        sa.Column("caller_id", sa.String(), nullable=False),
        sa.Column("template", sa.String(), nullable=False),
        sa.Column("speech", JSON, nullable=False),
        _time("created_at"),
        _time("expires_at"),
        _time("sent_at"),
        _time("next_at", nullable=True),
        _time("wake_at", nullable=True),
        _time("ended_at", nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.CheckConstraint(
            "state IN ('PENDING', 'VERIFIED', 'FAILED', 'EXPIRED', 'CANCELLED')",
            name=op.f("verification_state_check"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("verification_pkey")),
    )
    for name, columns, unique in (
        ("verification_open_key", ["account_id", "e164"], True),
        ("verification_wake_at_idx", ["wake_at"], False),
        ("verification_call_id_idx", ["call_id"], False),
    ):
        op.create_index(
            name, "verification", columns, unique=unique, postgresql_where=is_open, sqlite_where=is_open
        )
    op.create_index("verification_account_id_idx", "verification", ["account_id", "created_at", "id"])
    op.create_index("verification_country_idx", "verification", ["account_id", "country", "ended_at"])
    op.create_index("verification_ended_at_idx", "verification", ["ended_at"])
    op.create_table(
        "verification_send",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("verification_id", _id(), nullable=False),
        sa.Column("account_id", _id(), nullable=False),
        sa.Column("call_id", _id(32), nullable=False),
        sa.Column("channel", _id(), nullable=False),
        sa.Column("e164", _id(), nullable=False),
        sa.Column("prefix", _id(), nullable=False),
        sa.Column("rate_key", sa.String(), nullable=True),
        _time("at"),
        sa.PrimaryKeyConstraint("id", name=op.f("verification_send_pkey")),
    )
    op.create_index("verification_send_verification_id_idx", "verification_send", ["verification_id", "id"])
    op.create_index("verification_send_e164_idx", "verification_send", ["account_id", "e164", "at"])
    op.create_index("verification_send_prefix_idx", "verification_send", ["account_id", "prefix", "at"])
    op.create_index(
        "verification_send_rate_key_idx",
        "verification_send",
        ["account_id", "rate_key", "at"],
        postgresql_where=with_rate_key,
        sqlite_where=with_rate_key,
    )
    op.create_table(
        "verification_rules",
        sa.Column("account_id", _id(), nullable=False),
        sa.Column("given", JSON, nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("verification_rules_account_id_fkey")
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("verification_rules_pkey")),
    )
    op.create_table(
        "verification_conversion",
        sa.Column("account_id", _id(), nullable=False),
        sa.Column("country", _id(), nullable=False),
        sa.Column("ended", sa.Integer(), nullable=False),
        sa.Column("verified", sa.Integer(), nullable=False),
        _time("alarmed_at", nullable=True),
        _time("at"),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("verification_conversion_account_id_fkey")
        ),
        sa.PrimaryKeyConstraint("account_id", "country", name=op.f("verification_conversion_pkey")),
    )


def downgrade() -> None:
    for table in ("verification_conversion", "verification_rules", "verification_send", "verification"):
        op.drop_table(table)
